//! Bytes of a file that are in memory.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};

use super::budget::{Budget, Room};
use super::piece::Piece;

/// The most bytes of a piece. What arrives is copied into pieces of our own, since it may be a small part
/// of a large buffer.
const PIECE: usize = 128 << 10;

/// The least bytes of a piece.
const LEAST_PIECE: usize = 4 << 10;

/// Bytes that were accepted and not sent yet. The budget can take them away.
pub(crate) struct Held(Mutex<State>);

struct State {
    bytes: Pieces,
    gave_way: bool,
}

/// Bytes with the room they are in.
pub(crate) struct Pieces {
    full: Vec<Bytes>,
    open: Piece,
    len: u64,
    room: Room,
}

impl Held {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self(Mutex::new(State { bytes: Pieces::new(budget.none()), gave_way: false }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> u64 {
        self.state().bytes.len
    }

    pub(crate) fn exceeds(&self) -> bool {
        self.state().bytes.room.exceeds()
    }

    /// How many bytes fit without more room.
    pub(crate) fn spare(&self) -> usize {
        self.state().bytes.open.spare()
    }

    /// For how many bytes room should be asked, with so many at hand.
    pub(crate) fn wants(&self, at_hand: usize) -> usize {
        if self.len() == 0 { at_hand.next_power_of_two().clamp(LEAST_PIECE, PIECE) } else { PIECE }
    }

    /// Adds bytes, in more room if there is some. `false` if the bytes had to give way.
    pub(crate) fn push(&self, data: &[u8], room: Option<Room>) -> bool {
        let mut state = self.state();
        if state.gave_way {
            drop(state);
            drop(room);
            return false;
        }
        let bytes = &mut state.bytes;
        if let Some(room) = room {
            let capacity = usize::try_from(room.bytes()).unwrap_or(PIECE);
            let full = std::mem::replace(&mut bytes.open, Piece::with_capacity(capacity));
            if !full.is_empty() {
                bytes.full.push(full.freeze());
            }
            bytes.room.add(room);
        }
        bytes.open.put(data);
        bytes.len += data.len() as u64;
        true
    }

    /// All bytes, with their room; `None` if they had to give way.
    pub(crate) fn take(&self) -> Option<Pieces> {
        let mut state = self.state();
        if state.gave_way {
            return None;
        }
        let room = state.bytes.room.take();
        let mut taken = Pieces::new(room);
        std::mem::swap(&mut taken.full, &mut state.bytes.full);
        std::mem::swap(&mut taken.open, &mut state.bytes.open);
        std::mem::swap(&mut taken.len, &mut state.bytes.len);
        Some(taken)
    }

    /// Throws everything away, for others.
    pub(crate) fn give_way(&self) {
        let pieces = self.take();
        self.state().gave_way = true;
        drop(pieces);
    }
}

impl Pieces {
    fn new(room: Room) -> Self {
        Self { full: Vec::new(), open: Piece::none(), len: 0, room }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes in order, and the room, which is to be kept until they are no longer needed.
    pub(crate) fn into_parts(mut self) -> (Vec<Bytes>, Room) {
        if !self.open.is_empty() {
            self.full.push(self.open.freeze());
        }
        (self.full, self.room)
    }

    /// The bytes in one piece.
    pub(crate) fn into_whole(self) -> (Bytes, Room) {
        let len = usize::try_from(self.len).unwrap_or_default();
        let (mut pieces, room) = self.into_parts();
        if pieces.len() == 1 {
            return (pieces.remove(0), room);
        }
        // Each piece goes as soon as it is copied, so that both copies are never there.
        let mut whole = BytesMut::with_capacity(len);
        pieces.into_iter().for_each(|piece| whole.put(piece));
        (whole.freeze(), room)
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.len()).finish()
    }
}
