//! What goes on at one connection, shared by its stream, its service and its task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// How far an HTTP/1.1 connection is, which answers one request after the other.
///
/// Nothing was asked for yet.
const FRESH: u8 = 0;
/// A request is being answered.
const ASKED: u8 = 1;
/// It is answered; the end of the answer has not been sent.
const ANSWERED: u8 = 2;
/// Everything has been sent.
const SENT: u8 = 3;
/// There will be no more requests.
const CLOSING: u8 = 4;

/// Counters and flags of one connection.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Bytes arrived that are no part of a request yet.
    head: AtomicBool,
    /// A request was answered whose body nobody will read.
    body: AtomicBool,
    /// What comes is frames: bytes that are no part of a request are nothing that somebody waits for.
    frames: AtomicBool,
    /// The client takes nothing more at the moment.
    blocked: AtomicBool,
    /// Bytes that were handed to the system.
    sent: AtomicU64,
    /// Requests that have not been answered to the end.
    requests: AtomicUsize,
    /// Answers of which something was handed on and that were not asked for more since.
    waiting: AtomicUsize,
    /// Goes up with every piece of a request or an answer.
    pieces: AtomicU64,
    /// See [`FRESH`]. Changed by the task of the connection alone, if it speaks HTTP/1.1; of no meaning otherwise.
    turn: AtomicU8,
    /// Bodies of requests that nobody has seen the end of.
    bodies: AtomicUsize,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Traffic>);

impl Traffic {
    /// Bytes arrived that are no part of a request yet.
    pub(super) fn arrived(&self) {
        self.head.store(true, Ordering::Relaxed);
    }

    /// All that arrived is, or was, somebody's.
    pub(super) fn taken(&self) {
        self.head.store(false, Ordering::Relaxed);
    }

    /// A request was answered, and its body will not be read.
    pub(super) fn refused(&self) {
        self.body.store(true, Ordering::Relaxed);
    }

    /// From here on HTTP/2 is spoken.
    pub(super) fn in_frames(&self) {
        self.frames.store(true, Ordering::Relaxed);
    }

    /// Whether something came that nobody has read.
    pub(super) fn unread(&self) -> bool {
        let head = self.head.load(Ordering::Relaxed) && !self.frames.load(Ordering::Relaxed);
        head || self.body.load(Ordering::Relaxed)
    }

    /// The system took so many bytes.
    pub(super) fn sent(&self, bytes: usize) {
        self.blocked.store(false, Ordering::Relaxed);
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The system takes none.
    pub(super) fn blocked(&self) {
        self.blocked.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    pub(super) fn sent_so_far(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// A piece of a request or an answer went from one hand to the next.
    pub(super) fn piece(&self) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn pieces_so_far(&self) -> u64 {
        self.pieces.load(Ordering::Relaxed)
    }

    pub(super) fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn waited(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether an answer waits for the client.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Hyper begins to read.
    pub(super) fn begin(&self) {
        self.turn.store(FRESH, Ordering::Relaxed);
    }

    /// There is a request.
    pub(super) fn asked(&self) {
        self.turn.store(ASKED, Ordering::Relaxed);
    }

    fn answered(&self) {
        self.turn.store(ANSWERED, Ordering::Relaxed);
    }

    /// Everything that hyper had to send is with the system.
    pub(super) fn flushed(&self) {
        if self.turn.load(Ordering::Relaxed) == ANSWERED {
            self.turn.store(SENT, Ordering::Relaxed);
        }
    }

    /// Hyper takes no more requests.
    pub(super) fn closing(&self) {
        self.turn.store(CLOSING, Ordering::Relaxed);
    }

    /// A request has a body.
    pub(super) fn body(&self) {
        self.bodies.fetch_add(1, Ordering::Relaxed);
    }

    /// A body was read to its end.
    pub(super) fn whole(&self) {
        self.bodies.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the next request is waited for, or the rest of a body and then the next request.
    pub(super) fn is_calm(&self) -> bool {
        matches!(self.turn.load(Ordering::Relaxed), FRESH | SENT)
    }

    /// Whether what comes next, if not here already, is a new request, and one was answered since hyper began to read.
    pub(super) fn is_at_rest(&self) -> bool {
        self.turn.load(Ordering::Relaxed) == SENT && self.bodies.load(Ordering::Relaxed) == 0
    }

    pub(super) fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }
}

impl UnderWay {
    pub(super) fn new(traffic: &Arc<Traffic>) -> Self {
        traffic.requests.fetch_add(1, Ordering::Relaxed);
        traffic.piece();
        traffic.asked();
        Self(Arc::clone(traffic))
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
        self.0.piece();
        self.0.answered();
    }
}
