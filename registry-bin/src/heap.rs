//! The allocator of a build with the feature `heap-profile`: jemalloc, which notes where one of 512 KiB was asked for.
#![allow(unsafe_code, reason = "jemalloc is configured by a symbol, and asked for a profile by a C string")]

use std::ffi::{CString, c_char};
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
    // SAFETY: `prof.dump` reads a pointer to a C string, and this one is valid until the call returns. Nothing is asked
    // to be written.
    let code = unsafe {
        mallctl(
            c"prof.dump".as_ptr(),
            null_mut(),
            null_mut(),
            (&raw mut argument).cast(),
            size_of::<*const c_char>(),
        )
    };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code));
    }
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok(text)
}
