//! What a process finds of the queue of the one before it.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::segment::{self, Position, Segment};

/// A queue as it was left.
#[derive(Debug)]
pub(super) struct Found {
    /// At least one; the last is open for writing.
    pub(super) segments: VecDeque<Segment>,
    pub(super) tail: File,
    /// How long the file of the last one is; what follows its lines is zeros.
    pub(super) allocated: u64,
    /// What comes next.
    pub(super) cursor: Position,
    /// How many lines of the cursor's segment are before it.
    pub(super) read: u64,
}

/// Reads a directory, cuts off what a crash has left of a last line, and removes what was delivered.
pub(super) fn recover(directory: &Path) -> io::Result<Found> {
    let saved = read_cursor(directory)?;
    let numbers = segment::numbers(directory)?;
    let mut segments = VecDeque::new();
    let mut cursor = None;
    let mut read = 0;
    let mut allocated = 0;
    for (index, number) in numbers.iter().copied().enumerate() {
        let path = segment::path(directory, number);
        if saved.is_some_and(|saved| number < saved.segment) && index + 1 < numbers.len() {
            std::fs::remove_file(&path)?;
            continue;
        }
        let content = std::fs::read(&path)?;
        let len = if index + 1 == numbers.len() {
            whole_lines(&content)
        } else {
            content.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1)
        };
        allocated = content.len() as u64;
        if content[len..].iter().any(|byte| *byte != 0) {
            allocated = len as u64;
            tracing::warn!(
                file = %path.display(),
                bytes = content[len..].iter().filter(|byte| **byte != 0).count(),
                "notifications: the end of a queue was being written when the process ended, and is cut off"
            );
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(len as u64)?;
            file.sync_all()?;
        }
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        if let Some(saved) = saved.filter(|saved| saved.segment == number) {
            let offset = usize::try_from(saved.offset).unwrap_or(usize::MAX).min(len);
            // Anything but the beginning of a line is nothing that we wrote.
            let offset = if offset == 0 || content[offset - 1] == b'\n' { offset } else { 0 };
            cursor = Some(Position { segment: number, offset: offset as u64 });
            read = lines(&content[..offset]);
        }
        segments.push_back(Segment { number, bytes: len as u64, records: lines(&content[..len]) });
    }
    if segments.is_empty() {
        let number = saved.map_or(1, |saved| saved.segment + 1);
        segments.push_back(Segment { number, bytes: 0, records: 0 });
    }
    let (first, last) = (segments[0], segments[segments.len() - 1]);
    let cursor = cursor.unwrap_or_else(|| match saved {
        // The segment of the cursor is gone, and so is what it had delivered.
        Some(saved) if saved.segment > last.number => {
            read = last.records;
            Position { segment: last.number, offset: last.bytes }
        }
        _ => Position { segment: first.number, offset: 0 },
    });
    while segments.len() > 1 && segments[0].number < cursor.segment {
        std::fs::remove_file(segment::path(directory, segments[0].number))?;
        segments.pop_front();
    }
    let tail = open_tail(directory, last.number)?;
    Ok(Found { segments, tail, allocated, cursor, read })
}

/// How much of the content of a segment is whole lines.
fn whole_lines(content: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(len) = content[whole..].iter().position(|byte| *byte == b'\n') {
        // A power cut may leave a hole in the middle of what was being written.
        if !segment::is_json(&content[whole..whole + len]) {
            break;
        }
        whole += len + 1;
    }
    whole
}

/// Opens a segment for writing; the name of a new one is durable after this.
pub(super) fn open_tail(directory: &Path, number: u64) -> io::Result<File> {
    let path = segment::path(directory, number);
    let file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
    segment::sync_directory(directory)?;
    Ok(file)
}

/// The file that says what was delivered. It is not synced: it may be older than the truth, and then some events
/// are delivered again.
#[derive(Debug)]
pub(super) struct CursorFile(File);

const CURSOR: &str = "cursor";

impl CursorFile {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().create(true).write(true).truncate(false).open(directory.join(CURSOR))?;
        Ok(Self(file))
    }

    /// Always as many bytes, so that a write replaces all of the one before.
    pub(super) fn write(&mut self, at: Position) -> io::Result<()> {
        self.0.write_all_at(format!("{:020} {:020}\n", at.segment, at.offset).as_bytes(), 0)
    }
}

/// What was delivered; `None` if nothing says so.
fn read_cursor(directory: &Path) -> io::Result<Option<Position>> {
    let mut text = String::new();
    match File::open(directory.join(CURSOR)) {
        Ok(file) => {
            file.take(64).read_to_string(&mut text).map(drop).or_else(|error| match error.kind() {
                io::ErrorKind::InvalidData => Ok(()),
                _ => Err(error),
            })?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut parts = text.strip_suffix('\n').unwrap_or_default().split(' ').map(str::parse);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(segment)), Some(Ok(offset)), None) => Ok(Some(Position { segment, offset })),
        _ => Ok(None),
    }
}
