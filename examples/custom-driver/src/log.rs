//! Records, and the files that they amount to.
//!
//! A record is a line of JSON that says what was done, followed by the bytes that it was done with, and
//! before both a line that tells whether all of it is there:
//!
//! ```text
//! <first 16 digits of the SHA-256 of the rest> <length of the header> <length of the bytes>\n
//! {"at":1700000000000,"put":"/a/file"}\n
//! bytes
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use registry_core::{Algorithm, Change, Digester, PutMode, StorageError, StoragePath};
use serde::{Deserialize, Serialize};

use crate::tree::Tree;
use crate::{NAME, failed, not_found};

/// How many digits of a checksum are kept: enough to recognize what a power cut left behind.
const CHECKSUM: usize = 16;

/// What was done, with `len` bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When, in milliseconds of Unix time.
    at: u64,
    #[serde(skip)]
    len: u64,
    #[serde(flatten)]
    action: Action,
}

/// What can be done to files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    /// The bytes are a whole file.
    Put(StoragePath),
    /// The bytes are added to a file.
    Append(StoragePath),
    /// A file is moved.
    Rename(StoragePath, StoragePath),
    /// A file or directory is removed.
    Delete(StoragePath),
}

impl Record {
    fn new(action: Action, len: u64) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { at: now.as_millis() as u64, len, action }
    }

    /// A whole file.
    pub(crate) fn put(path: &StoragePath, len: usize) -> Self {
        Self::new(Action::Put(path.clone()), len as u64)
    }

    /// More of a file.
    pub(crate) fn append(path: &StoragePath, len: usize) -> Self {
        Self::new(Action::Append(path.clone()), len as u64)
    }

    /// No file any more.
    pub(crate) fn delete(path: &StoragePath) -> Self {
        Self::new(Action::Delete(path.clone()), 0)
    }
}

/// An open log.
#[derive(Debug)]
pub(crate) struct Log {
    file: Arc<File>,
    end: u64,
    tree: Tree,
}

impl Log {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock()?;
        let mut log = Self { file: Arc::new(file), end: 0, tree: Tree::default() };
        let mut input = BufReader::new(log.file.try_clone()?);
        while let Some((record, start, end)) = next(&mut input, log.end)? {
            log.end = end;
            log.learn(record, start);
        }
        log.file.set_len(log.end)?;
        log.file.sync_all()?;
        if let Some(dir) = std::path::absolute(path)?.parent() {
            // Without this a power cut could take a new log as a whole.
            File::open(dir)?.sync_all()?;
        }
        Ok(log)
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Does one step of a batch.
    pub(crate) fn change(&mut self, change: Change) -> Result<(), StorageError> {
        match change {
            Change::Put { path, mode: PutMode::Create, .. } if self.tree.get(&path).is_ok() => {
                Err(StorageError::AlreadyExists { driver: NAME, path })
            }
            Change::Put { path, content, .. } => self.append(Record::put(&path, content.len()), &content),
            Change::Rename { from, .. } if self.tree.get(&from).is_err() => Err(not_found(&from)),
            Change::Rename { from, to } => self.append(Record::new(Action::Rename(from, to), 0), &[]),
            Change::Remove { path } if self.tree.get(&path).is_err() => Ok(()),
            Change::Delete { path } | Change::Remove { path } => self.append(Record::delete(&path), &[]),
        }
    }

    /// Writes a record, and only then believes in it. What a failure leaves behind is overwritten.
    pub(crate) fn append(&mut self, record: Record, bytes: &[u8]) -> Result<(), StorageError> {
        if let Action::Append(path) = &record.action {
            self.tree.get(path)?;
        }
        let mut header = serde_json::to_vec(&record).map_err(|error| failed("writing", error.into()))?;
        header.push(b'\n');
        let mut digester = Digester::new(Algorithm::Sha256);
        digester.update(&header);
        digester.update(bytes);
        let checksum = digester.finish();
        let frame = format!("{} {} {}\n", &checksum.encoded()[..CHECKSUM], header.len(), bytes.len());
        let head = [frame.as_bytes(), &header].concat();
        let start = self.end + head.len() as u64;
        self.file.write_all_at(bytes, start).map_err(|error| failed("writing", error))?;
        self.file.write_all_at(&head, self.end).map_err(|error| failed("writing", error))?;
        self.end = start + bytes.len() as u64;
        self.learn(record, start);
        Ok(())
    }

    /// What a record whose bytes begin at `start` says about files.
    fn learn(&mut self, record: Record, start: u64) {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(record.at);
        let bytes = start..start + record.len;
        match record.action {
            Action::Put(path) => self.tree.put(&path, bytes, modified),
            Action::Append(path) => self.tree.append(&path, bytes, modified),
            Action::Rename(from, to) => self.tree.rename(&from, &to),
            Action::Delete(path) => self.tree.delete(&path),
        }
    }
}

/// The record at `at`, where its bytes begin and where it ends; `None` if none is there as a whole.
fn next(input: &mut impl BufRead, at: u64) -> io::Result<Option<(Record, u64, u64)>> {
    let mut frame = String::new();
    match input.by_ref().take(80).read_line(&mut frame) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
        read => read?,
    };
    let Some((checksum, header_len, len)) = parse_frame(&frame) else { return Ok(None) };
    let mut header = Vec::new();
    let mut digester = Digester::new(Algorithm::Sha256);
    input.by_ref().take(header_len).read_to_end(&mut header)?;
    digester.update(&header);
    let mut left = len;
    while left > 0 {
        let piece = input.fill_buf()?;
        let taken = piece.len().min(left.try_into().unwrap_or(usize::MAX));
        if taken == 0 {
            return Ok(None);
        }
        digester.update(&piece[..taken]);
        input.consume(taken);
        left -= taken as u64;
    }
    if digester.finish().encoded()[..CHECKSUM] != *checksum {
        return Ok(None);
    }
    let Ok(record) = serde_json::from_slice::<Record>(&header) else { return Ok(None) };
    let start = at + frame.len() as u64 + header_len;
    Ok(Some((Record { len, ..record }, start, start + len)))
}

fn parse_frame(line: &str) -> Option<(&str, u64, u64)> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let frame = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some(frame)
}
