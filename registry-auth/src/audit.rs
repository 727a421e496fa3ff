//! Who did what, as lines of JSON.
//!
//! An [`AuditLog`] is the [`AuditSink`] for a file or standard output. A line is written by one system call before the
//! answer goes out, so what a client has been told is in the log, and lines of several processes in one file stay
//! whole. A line that cannot be written is counted and said in the log of the program; the request goes on.

mod file;
mod line;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use registry_core::{AuditRecord, AuditSink};

use self::file::LogFile;
use self::line::Line;

/// How often a failure is said at most.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Writes a line of JSON for each record.
pub struct AuditLog {
    to: Target,
    reads: bool,
    written: AtomicU64,
    failed: AtomicU64,
    /// When a failure was said last.
    said: Mutex<Option<Instant>>,
}

enum Target {
    File(LogFile),
    Writer(Writer),
}

/// Takes a line with the newline at its end.
type Writer = Box<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

impl AuditLog {
    /// Appends to a file, which is created with mode 0640 if need be. If it is moved or deleted, as logrotate does, a
    /// new one is begun within a second, or at once by [`reopen`](Self::reopen).
    ///
    /// # Errors
    /// Those of opening the file.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        Ok(Self::new(Target::File(LogFile::open(path.into())?)))
    }

    /// Hands lines to a function, such as one that writes to standard output.
    pub fn to(write: impl Fn(&[u8]) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::new(Target::Writer(Box::new(write)))
    }

    fn new(to: Target) -> Self {
        let (written, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { to, reads: true, written, failed, said: Mutex::new(None) }
    }

    /// Whether reading is recorded; it is unless this says otherwise. Without it there are all changes and all tokens
    /// that are issued, and of reading only what was refused to somebody who showed credentials.
    #[must_use]
    pub fn with_reads(mut self, reads: bool) -> Self {
        self.reads = reads;
        self
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.to {
            Target::File(file) => Some(file.path()),
            Target::Writer(_) => None,
        }
    }

    /// Closes the file and opens what is at its path now.
    ///
    /// # Errors
    /// Those of opening the file; lines then go on to the one before.
    pub fn reopen(&self) -> io::Result<()> {
        match &self.to {
            Target::File(file) => file.reopen(),
            Target::Writer(_) => Ok(()),
        }
    }

    /// How many records were written, and how many could not be.
    pub fn counts(&self) -> (u64, u64) {
        (self.written.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    fn wants(&self, record: &AuditRecord<'_>) -> bool {
        self.reads
            || !record.operation.is_read()
            || record.refused && (record.credentials || record.principal.is_some())
    }

    fn say(&self, error: &io::Error, failed: u64) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            *said = Some(Instant::now());
            let path =
                self.path().map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
            tracing::error!(failed, "cannot write to the audit log {path}: {error}");
        }
    }
}

impl AuditSink for AuditLog {
    fn record(&self, record: &AuditRecord<'_>) {
        if !self.wants(record) {
            return;
        }
        let line = Line::new(record).bytes();
        let written = match &self.to {
            Target::File(file) => file.write(&line),
            Target::Writer(write) => write(&line),
        };
        match written {
            Ok(()) => {
                self.written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => self.say(&error, self.failed.fetch_add(1, Ordering::Relaxed) + 1),
        }
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("path", &self.path())
            .field("reads", &self.reads)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
