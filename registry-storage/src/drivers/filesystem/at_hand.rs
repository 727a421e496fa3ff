//! Reading what the kernel has in memory, without waiting for a disk.
//!
//! A read on a blocking thread costs two switches between threads, several times the read itself when
//! everything is cached, as links and manifests usually are. Linux can be asked to open a file only if
//! the whole path is in its cache (`openat2` with `RESOLVE_CACHED`, Linux 5.12) and to read only what is
//! in the page cache (`preadv2` with `RWF_NOWAIT`, Linux 4.14). Both answer at once, either way; what is
//! not at hand is read on a blocking thread as ever.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a file if that needs no disk. `None` if it might, or if this system cannot tell.
///
/// # Errors
/// Only that nothing is there, if the kernel knows that without asking the disk.
pub(super) fn open(location: &Path) -> io::Result<Option<File>> {
    imp::open(location, imp::READ)
}

/// The same, only to ask what the file is. Works for directories and unreadable files.
///
/// # Errors
/// Those of [`open`].
pub(super) fn locate(location: &Path) -> io::Result<Option<File>> {
    imp::open(location, imp::PATH)
}

/// Reads `len` bytes at `offset` if they are all in memory.
pub(super) fn read(file: &File, offset: u64, len: usize) -> Option<Vec<u8>> {
    imp::read(file, offset, len)
}

/// Reads `len` bytes at `offset`, from the disk if need be, into memory that is not cleared first.
///
/// # Errors
/// Fewer bytes are an error, since a length has been promised.
pub(super) fn read_waiting(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    imp::read_waiting(file, offset, len)
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs::File;
    use std::io::{self, IoSliceMut};
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
    use rustix::io::{Errno, ReadWriteFlags};

    pub(super) const READ: OFlags = OFlags::RDONLY;
    pub(super) const PATH: OFlags = OFlags::PATH;

    /// Whether the kernel, or what stands between it and us, knows the call.
    static KNOWN: AtomicBool = AtomicBool::new(true);

    pub(super) fn open(location: &Path, flags: OFlags) -> io::Result<Option<File>> {
        if !KNOWN.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let flags = flags | OFlags::CLOEXEC;
        match rustix::fs::openat2(CWD, location, flags, Mode::empty(), ResolveFlags::CACHED) {
            Ok(file) => Ok(Some(file.into())),
            Err(error @ (Errno::NOENT | Errno::NOTDIR)) => Err(error.into()),
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
                KNOWN.store(false, Ordering::Relaxed);
                Ok(None)
            }
            // Not at hand; or an error that the ordinary way will find again and report.
            Err(_) => Ok(None),
        }
    }

    pub(super) fn read(file: &File, offset: u64, len: usize) -> Option<Vec<u8>> {
        let mut content = vec![0; len];
        let mut filled = 0;
        while filled < len {
            let mut rest = [IoSliceMut::new(&mut content[filled..])];
            match rustix::io::preadv2(file, &mut rest, offset + filled as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => return None,
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
        Some(content)
    }

    pub(super) fn read_waiting(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::with_capacity(len);
        while content.len() < len {
            let at = offset + content.len() as u64;
            let mut rest = std::mem::take(&mut content);
            let filled = rest.len();
            rest.reserve_exact(len - filled);
            match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut rest), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            // The capacity may be more than was asked for, and so may what was read.
            rest.truncate(len);
            content = rest;
        }
        Ok(content)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) const READ: () = ();
    pub(super) const PATH: () = ();

    pub(super) fn open(_: &Path, (): ()) -> io::Result<Option<File>> {
        Ok(None)
    }

    pub(super) fn read(_: &File, _: u64, _: usize) -> Option<Vec<u8>> {
        None
    }

    pub(super) fn read_waiting(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let mut content = vec![0; len];
        file.read_exact_at(&mut content, offset)?;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which answer comes depends on the system; that it is right does not.
    #[test]
    fn what_is_at_hand_is_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        if let Some(file) = open(&path).unwrap() {
            assert_eq!(read(&file, 2, 3).as_deref(), Some(b"234".as_slice()));
            assert_eq!(read(&file, 8, 3), None, "the end is not waited for");
            assert_eq!(read_waiting(&file, 2, 3).unwrap(), b"234");
            assert!(read_waiting(&file, 8, 3).is_err(), "fewer bytes than promised");
        }
        if let Some(found) = locate(dir.path()).unwrap() {
            assert!(found.metadata().unwrap().is_dir());
        }
        let absent = open(&dir.path().join("absent"));
        assert!(matches!(absent, Ok(None)) || absent.unwrap_err().kind() == io::ErrorKind::NotFound);
    }
}
