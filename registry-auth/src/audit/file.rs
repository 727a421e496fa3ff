//! A file that lines are appended to, and that somebody may move away.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long lines may go to a file that has been moved away.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct LogFile {
    path: PathBuf,
    open: Mutex<Open>,
}

struct Open {
    file: File,
    looked: Instant,
    /// Whether the last line was cut short, so that the next needs a newline before it.
    torn: bool,
}

impl LogFile {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let open = Mutex::new(Open { file: append_to(&path)?, looked: Instant::now(), torn: false });
        Ok(Self { path, open })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn reopen(&self) -> io::Result<()> {
        let file = append_to(&self.path)?;
        let mut open = self.lock();
        *open = Open { file, looked: Instant::now(), torn: false };
        Ok(())
    }

    /// Appends a line, which has its newline, by one call to the system.
    pub(super) fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.lock();
        if open.looked.elapsed() >= LOOK {
            open.looked = Instant::now();
            if moved(&open.file, &self.path) {
                match append_to(&self.path) {
                    Ok(file) => (open.file, open.torn) = (file, false),
                    // Better in the file that was moved than nowhere.
                    Err(error) => tracing::warn!("cannot begin a new {}: {error}", self.path.display()),
                }
            }
        }
        let mended;
        let line = if open.torn {
            mended = [b"\n", line].concat();
            &mended
        } else {
            line
        };
        let written = loop {
            match open.file.write(line) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => break written?,
            }
        };
        open.torn = if written == 0 { open.torn } else { written < line.len() };
        if written < line.len() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "only a part of a line could be written"));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// Whether something else, or nothing, is at the path of an open file.
fn moved(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else { return true };
    (open.dev(), open.ino()) != (there.dev(), there.ino())
}
