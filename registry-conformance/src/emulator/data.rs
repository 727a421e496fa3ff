//! The bytes of objects and parts: in memory while they are few, else in one temporary file with holes where they
//! are zeros, so that gigabytes of them cost neither memory nor disk.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};

/// How much is written and read at once.
const BLOCK: usize = 256 * 1024;
/// What is kept in memory.
const SMALL: usize = 64 * 1024;

/// The file behind an emulator's objects. Space is not given back before the emulator goes.
#[derive(Debug)]
pub(super) struct Area {
    file: File,
    end: AtomicU64,
}

impl Area {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, end: AtomicU64::new(0) })
    }

    /// Takes all bytes of `body`.
    pub(super) async fn receive<S, E>(self: &Arc<Self>, mut body: S) -> Result<Data, E>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: From<io::Error>,
    {
        let mut data = Data { area: Arc::clone(self), extents: Vec::new(), length: 0 };
        let mut waiting = BytesMut::new();
        while let Some(bytes) = body.next().await {
            waiting.extend_from_slice(&bytes?);
            while waiting.len() >= BLOCK {
                let block = waiting.split_to(BLOCK).freeze();
                data.append(block)?;
            }
        }
        data.append(waiting.freeze())?;
        Ok(data)
    }
}

/// A run of bytes.
#[derive(Debug, Clone)]
enum Extent {
    Memory(Bytes),
    File { offset: u64, length: u64 },
    Zeros { length: u64 },
}

impl Extent {
    fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } | Self::Zeros { length } => *length,
        }
    }

    fn slice(&self, from: u64, length: u64) -> Self {
        match self {
            Self::Memory(bytes) => Self::Memory(bytes.slice(from as usize..(from + length) as usize)),
            Self::File { offset, .. } => Self::File { offset: offset + from, length },
            Self::Zeros { .. } => Self::Zeros { length },
        }
    }
}

/// Bytes that never change; a copy and a slice share them.
#[derive(Debug, Clone)]
pub(super) struct Data {
    area: Arc<Area>,
    extents: Vec<Extent>,
    length: u64,
}

impl Data {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    fn append(&mut self, block: Bytes) -> io::Result<()> {
        let length = block.len() as u64;
        self.length += length;
        let zeros = block.iter().all(|byte| *byte == 0);
        match self.extents.last_mut() {
            _ if length == 0 => {}
            Some(Extent::Zeros { length: before }) if zeros => *before += length,
            _ if zeros => self.extents.push(Extent::Zeros { length }),
            _ if block.len() <= SMALL => self.extents.push(Extent::Memory(block)),
            last => {
                let offset = self.area.end.fetch_add(length, Ordering::Relaxed);
                self.area.file.write_all_at(&block, offset)?;
                match last {
                    Some(Extent::File { offset: start, length: before }) if *start + *before == offset => {
                        *before += length;
                    }
                    _ => self.extents.push(Extent::File { offset, length }),
                }
            }
        }
        Ok(())
    }

    /// One after the other.
    pub(super) fn concat(area: &Arc<Area>, parts: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self { area: Arc::clone(area), extents: Vec::new(), length: 0 };
        for part in parts {
            whole.length += part.length;
            whole.extents.extend(part.extents);
        }
        whole
    }

    /// The bytes in `range`, which lies within.
    pub(super) fn slice(&self, range: Range<u64>) -> Self {
        let mut extents = Vec::new();
        let mut start = 0;
        for extent in &self.extents {
            let end = start + extent.length();
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                extents.push(extent.slice(from - start, to - from));
            }
            start = end;
        }
        Self { area: Arc::clone(&self.area), extents, length: range.end - range.start }
    }

    /// The bytes, block by block.
    pub(super) fn read(self) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + Unpin + 'static {
        let Self { area, extents, .. } = self;
        futures::stream::iter(extents.into_iter().flat_map(move |extent| {
            let area = Arc::clone(&area);
            (0..extent.length()).step_by(BLOCK).map(move |from| {
                let length = (extent.length() - from).min(BLOCK as u64);
                match extent.slice(from, length) {
                    Extent::Memory(bytes) => Ok(bytes),
                    Extent::Zeros { length } => Ok(Bytes::from(vec![0; length as usize])),
                    Extent::File { offset, length } => {
                        let mut block = vec![0; length as usize];
                        area.file.read_exact_at(&mut block, offset)?;
                        Ok(Bytes::from(block))
                    }
                }
            })
        }))
    }
}
