//! The thread that writes a queue.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::super::recover::{CursorFile, open_tail};
use super::super::segment::{self, Position, Segment};
use super::{Shared, TOGETHER, WINDOW};

/// How long the file that says what was delivered may be behind.
const SAVE: Duration = Duration::from_millis(100);

/// The pause before the next try when the disk refuses.
const RETRY: Duration = Duration::from_secs(1);

/// How long until a refusal is reported again.
const AGAIN: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    shared: Arc<Shared>,
    tail: File,
    /// The number and the length of the tail.
    at: Position,
    /// How long the file of the tail is. What has no line yet is zeros: writing over them is durable sooner than
    /// making the file longer.
    allocated: u64,
    cursor_file: CursorFile,
    saved: Option<Position>,
    saved_at: Instant,
    reported: Option<Instant>,
}

/// What there is to do.
struct Work {
    lines: Vec<Bytes>,
    waiting: Vec<oneshot::Sender<()>>,
    cursor: Position,
    closing: bool,
}

/// By how much a file grows.
fn allocation(segment_bytes: u64) -> u64 {
    segment_bytes.min(1 << 20)
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, tail: File, allocated: u64, cursor_file: CursorFile) -> Self {
        let at = shared.state().end();
        let saved_at = Instant::now();
        Self { shared, tail, at, allocated, cursor_file, saved: None, saved_at, reported: None }
    }

    pub(super) fn run(mut self) {
        loop {
            let work = self.next();
            let closing = work.closing;
            let idle = work.lines.is_empty();
            let written = self.write(work.lines, !work.waiting.is_empty());
            // Also those whose events could not be written: a push is not refused for that.
            for waiting in work.waiting {
                let _ = waiting.send(());
            }
            // After the sync, not beside it: whoever waits and delivery are then woken at once.
            if !idle {
                self.shared.arrived.notify_one();
            }
            let saved = self.save(work.cursor, idle || closing);
            if let Err(error) = written.and(saved) {
                self.report(&error);
                if !closing {
                    self.pause();
                }
            }
            if closing {
                // Nothing but lines is left behind. If this fails, the next start sees to it.
                let _ = self.tail.set_len(self.at.offset);
                return;
            }
        }
    }

    /// Waits until there is something to write, or until it is time to save what was delivered.
    fn next(&self) -> Work {
        let mut state = self.shared.state();
        while state.incoming.is_empty() && !state.closing {
            if self.saved != Some(state.cursor) || !state.finished.is_empty() {
                // What was delivered is saved a little later, together with what comes meanwhile.
                let (after, timeout) =
                    self.shared.work.wait_timeout(state, SAVE).unwrap_or_else(PoisonError::into_inner);
                state = after;
                if timeout.timed_out() {
                    break;
                }
            } else {
                state.asleep = true;
                state = self.shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.asleep = false;
            }
        }
        let until = Instant::now() + TOGETHER.0;
        while !state.incoming.is_empty()
            && state.waiting.is_empty()
            && state.incoming_bytes <= TOGETHER.1
            && !state.closing
            && let Some(left) = until.checked_duration_since(Instant::now())
        {
            state = self.shared.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.incoming_bytes = 0;
        Work {
            lines: std::mem::take(&mut state.incoming),
            waiting: std::mem::take(&mut state.waiting),
            cursor: state.cursor,
            closing: state.closing,
        }
    }

    /// Appends lines. Those that cannot be written come before what has come meanwhile, next time.
    fn write(&mut self, lines: Vec<Bytes>, sync: bool) -> io::Result<()> {
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            match self.write_some(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) => {
                    let mut state = self.shared.state();
                    let mut kept = rest.to_vec();
                    state.incoming_bytes += kept.iter().map(|line| line.len() + 1).sum::<usize>();
                    kept.append(&mut state.incoming);
                    state.incoming = kept;
                    return Err(error);
                }
            }
        }
        if sync && !lines.is_empty() { self.tail.sync_data() } else { Ok(()) }
    }

    /// Appends as many lines as the segment has room for, and hands them on; how many.
    fn write_some(&mut self, lines: &[Bytes]) -> io::Result<usize> {
        if self.at.offset >= self.shared.segment_bytes {
            self.rotate()?;
        }
        let mut buffer = Vec::new();
        let mut count = 0;
        for line in lines {
            let len = self.at.offset + (buffer.len() + line.len()) as u64;
            if count > 0 && len >= self.shared.segment_bytes {
                break;
            }
            buffer.extend_from_slice(line);
            buffer.push(b'\n');
            count += 1;
        }
        self.make_room(buffer.len() as u64)?;
        // What is written in part is written over by the next try, which begins with the same lines.
        self.allocate(self.at.offset + buffer.len() as u64)?;
        self.tail.write_all_at(&buffer, self.at.offset)?;
        let mut state = self.shared.state();
        for line in &lines[..count] {
            state.window.push_back((self.at, line.clone()));
            state.window_bytes += line.len();
            self.at.offset += line.len() as u64 + 1;
        }
        while state.window_bytes > WINDOW
            && let Some((_, line)) = state.window.pop_front()
        {
            state.window_bytes -= line.len();
        }
        if let Some(tail) = state.segments.back_mut() {
            tail.bytes = self.at.offset;
            tail.records += count as u64;
        }
        Ok(count)
    }

    /// Makes the tail this long, and then some.
    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let step = allocation(self.shared.segment_bytes);
        while self.allocated < len {
            let zeros = vec![0; usize::try_from(step).unwrap_or_default()];
            self.tail.write_all_at(&zeros, self.allocated)?;
            self.allocated += step;
        }
        Ok(())
    }

    /// Begins the next segment. The one before is durable then: only the last can be torn.
    fn rotate(&mut self) -> io::Result<()> {
        self.tail.set_len(self.at.offset)?;
        self.tail.sync_data()?;
        let number = self.at.segment + 1;
        self.tail = open_tail(&self.shared.directory, number)?;
        self.at = Position { segment: number, offset: 0 };
        self.allocated = 0;
        self.shared.state().segments.push_back(Segment { number, bytes: 0, records: 0 });
        Ok(())
    }

    /// Gives up the oldest segments until there is room for this many bytes more.
    fn make_room(&self, more: u64) -> io::Result<()> {
        let mut dropped = 0;
        let mut state = self.shared.state();
        let max_bytes = self.shared.max_bytes - allocation(self.shared.segment_bytes);
        while state.bytes() + more > max_bytes
            && let Some(events) = state.drop_oldest()
        {
            dropped += events;
        }
        drop(state);
        self.shared.drops.add(dropped, "the queue is full (notifications.queue.maxbytes)");
        self.remove_finished()
    }

    /// Saves what was delivered, if it is `due` or has not been for a while, and removes what is not needed any
    /// more.
    fn save(&mut self, cursor: Position, due: bool) -> io::Result<()> {
        if self.saved != Some(cursor) && (due || self.saved_at.elapsed() >= SAVE) {
            self.cursor_file.write(cursor)?;
            self.saved = Some(cursor);
            self.saved_at = Instant::now();
        }
        self.remove_finished()
    }

    /// A file that cannot be removed now is removed at the next start: it lies before the cursor.
    fn remove_finished(&self) -> io::Result<()> {
        let finished = std::mem::take(&mut self.shared.state().finished);
        for number in finished {
            match std::fs::remove_file(segment::path(&self.shared.directory, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn report(&mut self, error: &io::Error) {
        if self.reported.is_none_or(|reported| reported.elapsed() > AGAIN) {
            self.reported = Some(Instant::now());
            tracing::error!(
                endpoint = self.shared.endpoint,
                directory = %self.shared.directory.display(),
                error = error as &dyn std::error::Error,
                "notifications: cannot write to the queue, events wait in memory"
            );
        }
    }

    /// Not longer than until the end.
    fn pause(&self) {
        let until = Instant::now() + RETRY;
        let mut state = self.shared.state();
        while !state.closing
            && let Some(left) = until.checked_duration_since(Instant::now())
        {
            // Pushes that come meanwhile need not wait for what cannot be had.
            for waiting in state.waiting.drain(..) {
                let _ = waiting.send(());
            }
            state = self.shared.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
