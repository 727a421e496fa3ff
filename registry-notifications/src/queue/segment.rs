//! The files of a queue: lines of JSON, in segments that are removed as a whole.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// What is read in one go when a queue is behind.
const PIECE: u64 = 256 << 10;

/// The end of the names of segments.
const SUFFIX: &str = ".events";

/// A place in a queue: a segment, and bytes in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Position {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// A file of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) records: u64,
}

/// The path of a segment.
pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}{SUFFIX}"))
}

/// The numbers of the segments that are there, in order.
pub(super) fn numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Whole lines from `offset` on, up to byte `end` of the segment and to `most` lines; where the next one begins. The
/// line breaks are not among them. What is no JSON is skipped and counted.
pub(super) fn read(path: &Path, offset: u64, end: u64, most: usize) -> io::Result<Piece> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    // One line may be longer than a piece.
    while offset + (bytes.len() as u64) < end && !bytes.contains(&b'\n') {
        let left = end - offset - bytes.len() as u64;
        let read = (&mut file).take(left.min(PIECE)).read_to_end(&mut bytes)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let bytes = Bytes::from(bytes);
    let mut result = Piece { lines: Vec::new(), next: offset, broken: 0 };
    let mut at = 0;
    while result.lines.len() < most
        && let Some(len) = bytes[at..].iter().position(|byte| *byte == b'\n')
    {
        let line = bytes.slice(at..at + len);
        if is_json(&line) {
            result.lines.push(line);
        } else {
            result.broken += 1;
        }
        at += len + 1;
        result.next = offset + at as u64;
    }
    if result.next == offset {
        // Not one line break until the end: nothing that we wrote.
        result.broken = 1;
        result.next = end;
    }
    Ok(result)
}

/// What was read of a segment.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) lines: Vec<Bytes>,
    /// The offset of the next line.
    pub(super) next: u64,
    /// How many lines were skipped because they are damaged.
    pub(super) broken: u64,
}

/// Whether a line is whole.
pub(super) fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// Makes names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
