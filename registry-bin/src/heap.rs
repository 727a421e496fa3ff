//! The allocator of a build with the feature `heap-profile`: jemalloc, which notes where one of 512 KiB was asked for.
#![allow(unsafe_code, reason = "jemalloc is configured by a symbol, and asked for a profile by a C string")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use rustix::fs::{MemfdFlags, memfd_create};
use tikv_jemalloc_sys::mallctl;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A sample every 2^19 bytes, as Go takes them; what was freed is counted too.
// SAFETY: jemalloc reads a pointer to a C string there, and nobody else knows the name.
#[unsafe(export_name = "_rjem_malloc_conf")]
static CONFIGURATION: &[u8; 61] = b"prof:true,prof_active:true,prof_accum:true,lg_prof_sample:19\0";

/// What jemalloc knows, in its own form: stacks as addresses, with counts.
///
/// # Errors
/// There is no memory for it, or jemalloc does not record.
pub(crate) fn dump() -> io::Result<Vec<u8>> {
    // Jemalloc opens a file by name, and there may be no directory that can be written to.
    let mut file = File::from(memfd_create("heap", MemfdFlags::CLOEXEC)?);
    let name = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let mut argument: *const c_char = name.as_ptr();
    // SAFETY: `prof.dump` reads a pointer to a C string, and this one is valid until the call returns.
    unsafe { control(c"prof.dump", (&raw mut argument).cast(), size_of::<*const c_char>()) }?;
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok(text)
}

/// Gives what is free back to the system, which otherwise is kept for a while by those who have used it last.
pub(crate) fn give_back() {
    // SAFETY: 4096 stands for all arenas, and the call takes nothing. If it fails, nothing has changed.
    let _ = unsafe { control(c"arena.4096.purge", null_mut(), 0) };
}

/// Has jemalloc do something.
///
/// # Safety
/// `argument` and `len` are what jemalloc's manual says of `what`.
unsafe fn control(what: &CStr, argument: *mut c_void, len: usize) -> io::Result<()> {
    // SAFETY: Nothing is asked to be written; the rest is the caller's word.
    match unsafe { mallctl(what.as_ptr(), null_mut(), null_mut(), argument, len) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
