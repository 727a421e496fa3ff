//! A queue that outlives the process.
//!
//! Events are appended to a file by a thread of the queue's own, which takes all that have come in since the last
//! time: however many pushes wait for their events to be durable, they wait for the same sync. Delivery reads what
//! was written lately from memory, and what it is behind with from the files.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::recover::{self, CursorFile};
use super::segment::{self, Position, Segment};
use super::{Batch, Drops, Upto};

mod writer;

/// How much of what was written lately stays in memory.
const WINDOW: usize = 1 << 20;

/// How long an event that nobody waits for may wait for others to be written with, and how much of them.
const TOGETHER: (Duration, usize) = (Duration::from_millis(5), 64 << 10);

/// How much may wait to be written, while the disk does not answer.
const INCOMING: usize = 4 << 20;

/// A queue in a directory.
#[derive(Debug)]
pub(crate) struct DiskQueue {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    endpoint: String,
    max_bytes: u64,
    segment_bytes: u64,
    state: Mutex<State>,
    /// Something for the writer to do.
    work: Condvar,
    /// Something to deliver.
    arrived: Notify,
    drops: Arc<Drops>,
    /// Locked for as long as the queue is open.
    _lock: File,
}

#[derive(Debug)]
struct State {
    /// Accepted, and not written yet.
    incoming: Vec<Bytes>,
    incoming_bytes: usize,
    /// Who waits until all of these are durable.
    waiting: Vec<oneshot::Sender<()>>,
    /// The files, the oldest first; never empty.
    segments: VecDeque<Segment>,
    /// What comes next, and how many lines of its segment are before it.
    cursor: Position,
    read: u64,
    /// The latest lines, in order and without a gap, each with its place.
    window: VecDeque<(Position, Bytes)>,
    window_bytes: usize,
    pending: u64,
    /// Files that are not needed any more.
    finished: Vec<u64>,
    /// Whether the writer waits without looking at the clock.
    asleep: bool,
    closing: bool,
}

impl State {
    /// What all lines that are not delivered take.
    fn bytes(&self) -> u64 {
        let all: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        all.saturating_sub(self.cursor.offset)
    }

    /// The place after the last line.
    fn end(&self) -> Position {
        let last = self.segments[self.segments.len() - 1];
        Position { segment: last.number, offset: last.bytes }
    }

    /// Moves on to the next segment where one is through, and forgets what is behind the cursor.
    fn settle(&mut self) {
        while self.segments.len() > 1
            && (self.segments[0].number < self.cursor.segment || self.cursor.offset >= self.segments[0].bytes)
        {
            if self.segments[0].number >= self.cursor.segment {
                self.cursor = Position { segment: self.segments[1].number, offset: 0 };
                self.read = 0;
            }
            self.finished.push(self.segments[0].number);
            self.segments.pop_front();
        }
        while let Some((at, line)) = self.window.front()
            && *at < self.cursor
        {
            self.window_bytes -= line.len();
            self.window.pop_front();
        }
    }

    /// Gives up the oldest segment; how many events that are. The last one stays, something is written to it.
    fn drop_oldest(&mut self) -> Option<u64> {
        if self.segments.len() < 2 {
            return None;
        }
        let dropped = self.segments[0].records.saturating_sub(self.read);
        self.cursor = Position { segment: self.segments[1].number, offset: 0 };
        self.read = 0;
        self.pending = self.pending.saturating_sub(dropped);
        self.settle();
        Some(dropped)
    }
}

/// What delivery does next.
enum Plan {
    Deliver(Batch),
    Read { number: u64, offset: u64, end: u64 },
    Wait,
}

impl DiskQueue {
    /// Opens the queue in `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// Those of the file system; [`WouldBlock`](io::ErrorKind::WouldBlock) if another process has it open.
    pub(crate) fn open(
        directory: &Path,
        endpoint: &str,
        max_bytes: u64,
        drops: Arc<Drops>,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let lock = File::options().create(true).write(true).truncate(false).open(directory.join("lock"))?;
        lock.try_lock().map_err(io::Error::from)?;
        let found = recover::recover(directory)?;
        let cursor_file = CursorFile::open(directory)?;
        if let Some(parent) = directory.parent() {
            segment::sync_directory(parent)?;
        }
        let pending = found.segments.iter().map(|segment| segment.records).sum::<u64>() - found.read;
        let state = State {
            incoming: Vec::new(),
            incoming_bytes: 0,
            waiting: Vec::new(),
            segments: found.segments,
            cursor: found.cursor,
            read: found.read,
            window: VecDeque::new(),
            window_bytes: 0,
            pending,
            finished: Vec::new(),
            asleep: false,
            closing: false,
        };
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            endpoint: endpoint.to_owned(),
            max_bytes,
            segment_bytes: (max_bytes / 8).max(4 << 10),
            state: Mutex::new(state),
            work: Condvar::new(),
            arrived: Notify::new(),
            drops,
            _lock: lock,
        });
        let of_writer = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("notifications".to_owned())
            .spawn(move || writer::Writer::new(of_writer, found.tail, found.allocated, cursor_file).run())?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)) })
    }

    pub(super) fn push(&self, line: Bytes, durable: bool) -> Option<oneshot::Receiver<()>> {
        let shared = &self.shared;
        if line.len() as u64 >= shared.max_bytes {
            shared.drops.add(1, "one is larger than the queue (notifications.queue.maxbytes)");
            return None;
        }
        let mut state = shared.state();
        if state.incoming_bytes + line.len() > INCOMING && !state.incoming.is_empty() || state.closing {
            drop(state);
            shared.drops.add(1, "they cannot be written to the queue");
            return None;
        }
        let first = state.incoming.is_empty();
        state.incoming_bytes += line.len() + 1;
        let many = state.incoming_bytes > TOGETHER.1;
        state.incoming.push(line);
        state.pending += 1;
        let receiver = durable.then(|| {
            let (sender, receiver) = oneshot::channel();
            state.waiting.push(sender);
            receiver
        });
        drop(state);
        // The writer has begun to wait for more, or will: it need not hear of each.
        if first || durable || many {
            shared.work.notify_one();
        }
        receiver
    }

    pub(super) async fn peek(&self, most: usize) -> Batch {
        loop {
            match self.shared.plan(most) {
                Plan::Deliver(batch) => return batch,
                Plan::Wait => self.shared.arrived.notified().await,
                Plan::Read { number, offset, end } => {
                    if let Some(batch) = self.read(number, offset, end, most).await {
                        return batch;
                    }
                }
            }
        }
    }

    /// Reads what is not in memory. Damaged lines, and a segment that cannot be read, are given up.
    async fn read(&self, number: u64, offset: u64, end: u64, most: usize) -> Option<Batch> {
        let path = segment::path(&self.shared.directory, number);
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || segment::read(&file, offset, end, most)).await;
        match read.map_err(io::Error::other).flatten() {
            Ok(piece) => {
                let next = Position { segment: number, offset: piece.next };
                self.shared.drops.add(piece.broken, "lines of the queue are damaged");
                if piece.lines.is_empty() {
                    self.done(next, piece.broken);
                    return None;
                }
                // Those that were skipped are through together with those that were not.
                self.shared.skipped(piece.broken);
                Some(Batch { lines: piece.lines, upto: Upto::Place(next) })
            }
            Err(error) => {
                let mut state = self.shared.state();
                // It may have been dropped meanwhile because the queue was full.
                if state.cursor == (Position { segment: number, offset }) {
                    tracing::error!(
                        file = %path.display(),
                        error = &error as &dyn std::error::Error,
                        "notifications: a part of the queue cannot be read, and is skipped"
                    );
                    let lost = state.segments[0].records.saturating_sub(state.read);
                    state.cursor.offset = end;
                    state.read += lost;
                    state.pending = state.pending.saturating_sub(lost);
                    state.settle();
                    drop(state);
                    self.shared.drops.add(lost, "a part of the queue cannot be read");
                }
                None
            }
        }
    }

    pub(super) fn done(&self, upto: Position, count: u64) {
        let mut state = self.shared.state();
        if upto <= state.cursor {
            return;
        }
        state.cursor = upto;
        state.read += count;
        state.pending = state.pending.saturating_sub(count);
        state.settle();
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.shared.work.notify_one();
        }
    }

    pub(super) fn pending(&self) -> u64 {
        self.shared.state().pending
    }

    pub(super) async fn close(&self) {
        self.shared.state().closing = true;
        self.shared.work.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A panic of the thread has been reported by its hook.
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
    }
}

impl Drop for DiskQueue {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.work.notify_one();
    }
}

impl Shared {
    fn plan(&self, most: usize) -> Plan {
        let mut state = self.state();
        state.settle();
        let cursor = state.cursor;
        if cursor >= state.end() {
            return Plan::Wait;
        }
        if state.window.front().is_some_and(|(at, _)| *at == cursor) {
            // A batch ends with its segment, so that what comes after it is a place in the same one.
            let lines: Vec<_> = state
                .window
                .iter()
                .take(most)
                .take_while(|(at, _)| at.segment == cursor.segment)
                .map(|(_, line)| line.clone())
                .collect();
            let len: u64 = lines.iter().map(|line| line.len() as u64 + 1).sum();
            let upto = Upto::Place(Position { offset: cursor.offset + len, ..cursor });
            return Plan::Deliver(Batch { lines, upto });
        }
        // Up to where memory has it, or to the end of the segment.
        let end = match state.window.front() {
            Some((at, _)) if at.segment == cursor.segment => at.offset,
            _ => state.segments[0].bytes,
        };
        Plan::Read { number: cursor.segment, offset: cursor.offset, end }
    }

    fn skipped(&self, count: u64) {
        let mut state = self.state();
        state.read += count;
        state.pending = state.pending.saturating_sub(count);
    }

    /// Every change is made whole before anything can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
