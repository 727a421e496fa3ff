//! How much of all uploads together is in memory.
//!
//! Writers ask for room when they have bytes to put into it, and wait for it while there is none; so a
//! client that sends faster than the bucket takes is slowed down. Whoever has collected most goes first:
//! that part is sent soonest, which makes room again.
//!
//! Clients that send nothing keep the room of what they have sent. If they have all of it and nothing is
//! on its way to the bucket, one writer may exceed the budget until its part is sent, so uploads go on,
//! one at a time. If that one's client stalls as well while others wait, its bytes are thrown away and
//! its upload fails.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::held::Held;

/// How long a writer may exceed the budget without doing anything, while others wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// The room that all writers of a driver share.
pub(crate) struct Budget {
    limit: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: u64,
    most: u64,
    /// How many requests are on their way that make room when they end.
    flights: usize,
    exceeding: Option<Exceeding>,
    waiting: Vec<Waiting>,
    turn: u64,
}

/// The writer that may exceed the budget.
struct Exceeding {
    held: Weak<Held>,
    asked: Instant,
}

struct Waiting {
    bytes: u64,
    /// How much it has collected.
    collected: u64,
    turn: u64,
    held: Weak<Held>,
    room: oneshot::Sender<Room>,
}

/// Room for so many bytes, until it is dropped.
pub(crate) struct Room {
    budget: Arc<Budget>,
    bytes: u64,
    exceeds: bool,
}

/// A request that makes room when it ends.
pub(crate) struct Flight(Arc<Budget>);

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes are in memory, and how many were at most.
    pub(crate) fn used(&self) -> (u64, u64) {
        let state = self.state();
        (state.used, state.most)
    }

    /// No room, to which some may be added.
    pub(crate) fn none(self: &Arc<Self>) -> Room {
        Room { budget: Arc::clone(self), bytes: 0, exceeds: false }
    }

    /// Room for more bytes of `held`, at once or not at all.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: u64, held: &Held) -> Option<Room> {
        let exceeds = held.exceeds();
        let mut state = self.state();
        if exceeds {
            // Others wait until this part is sent: it grows without asking.
            if let Some(exceeding) = &mut state.exceeding {
                exceeding.asked = Instant::now();
            }
        } else if !state.waiting.is_empty() || state.used + bytes > self.limit {
            return None;
        }
        Some(self.grant(&mut state, bytes, false))
    }

    /// Room for more bytes of `held`, as soon as there is some.
    pub(crate) async fn take(self: &Arc<Self>, bytes: u64, held: &Arc<Held>) -> Room {
        if let Some(room) = self.try_take(bytes, held) {
            return room;
        }
        let collected = held.len();
        let mut room = {
            let (sender, receiver) = oneshot::channel();
            let mut state = self.state();
            state.turn += 1;
            let turn = state.turn;
            let held = Arc::downgrade(held);
            state.waiting.push(Waiting { bytes, collected, turn, held, room: sender });
            self.serve(&mut state);
            receiver
        };
        loop {
            match tokio::time::timeout(PATIENCE / 4, &mut room).await {
                Ok(Ok(room)) => return room,
                // The sender is never dropped without room having been sent.
                Ok(Err(_)) => return self.none(),
                Err(_) => self.relieve(),
            }
        }
    }

    /// That something is on its way which makes room when it ends.
    pub(crate) fn flight(self: &Arc<Self>) -> Flight {
        self.state().flights += 1;
        Flight(Arc::clone(self))
    }

    fn grant(self: &Arc<Self>, state: &mut State, bytes: u64, exceeds: bool) -> Room {
        state.used += bytes;
        state.most = state.most.max(state.used);
        Room { budget: Arc::clone(self), bytes, exceeds }
    }

    /// Gives room to those who wait, as far as there is some.
    fn serve(self: &Arc<Self>, state: &mut State) {
        state.waiting.retain(|waiting| !waiting.room.is_closed());
        loop {
            let first = state.waiting.iter().enumerate();
            let first = first.max_by_key(|(_, waiting)| (waiting.collected, std::cmp::Reverse(waiting.turn)));
            let Some((at, waiting)) = first else { return };
            let exceeds = state.used + waiting.bytes > self.limit;
            if exceeds && (state.flights > 0 || state.exceeding.is_some()) {
                return;
            }
            let waiting = state.waiting.swap_remove(at);
            let room = self.grant(state, waiting.bytes, exceeds);
            match waiting.room.send(room) {
                Ok(()) if exceeds => {
                    state.exceeding = Some(Exceeding { held: waiting.held, asked: Instant::now() });
                }
                Ok(()) => {}
                // Given back by hand: dropping it would ask for the lock that is held here.
                Err(mut room) => {
                    state.used -= std::mem::take(&mut room.bytes);
                    room.exceeds = false;
                }
            }
        }
    }

    /// Takes its bytes from a writer that exceeds the budget and does nothing.
    fn relieve(&self) {
        let stalled = {
            let state = self.state();
            let stalled = state.exceeding.as_ref();
            let stalled = stalled.filter(|it| state.flights == 0 && it.asked.elapsed() >= PATIENCE);
            stalled.and_then(|exceeding| exceeding.held.upgrade())
        };
        if let Some(stalled) = stalled {
            stalled.give_way();
        }
    }
}

impl Room {
    /// Adds other room to this.
    pub(crate) fn add(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
        self.exceeds |= std::mem::take(&mut other.exceeds);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn exceeds(&self) -> bool {
        self.exceeds
    }

    /// All of it, leaving none.
    pub(crate) fn take(&mut self) -> Self {
        let (bytes, exceeds) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.exceeds));
        Self { budget: Arc::clone(&self.budget), bytes, exceeds }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes == 0 && !self.exceeds {
            return;
        }
        let mut state = self.budget.state();
        state.used -= self.bytes;
        if self.exceeds {
            state.exceeding = None;
        }
        self.budget.serve(&mut state);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.flights -= 1;
        self.0.serve(&mut state);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("limit", &self.limit).field("used", &self.used().0).finish()
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Room").field(&self.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    //! Writers that share too little memory, some of whose clients send nothing.

    use super::*;

    const PIECE: u64 = 1 << 10;
    const PART: u64 = 8 * PIECE;

    /// Collects parts and sends them, each send taking a while.
    async fn upload(budget: Arc<Budget>, parts: usize, pause: Duration) {
        let held = Arc::new(Held::new(&budget));
        for _ in 0..parts {
            while held.len() < PART {
                let room = budget.take(PIECE, &held).await;
                assert!(held.push(&[0; PIECE as usize], Some(room)), "an upload that goes on is let be");
                tokio::time::sleep(pause).await;
            }
            let part = held.take().expect("nothing was thrown away");
            let _flight = budget.flight();
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(part);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_uploads_share_little_memory_and_all_end() {
        let budget = Budget::new(2 * PART);
        let uploads: Vec<_> = (0..32_u64)
            .map(|n| tokio::spawn(upload(Arc::clone(&budget), 10, Duration::from_micros(n * 300))))
            .collect();
        for upload in uploads {
            upload.await.unwrap();
        }
        let (used, most) = budget.used();
        assert_eq!(used, 0, "all room is given back");
        assert!(most <= 3 * PART, "{most} bytes were in memory");
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_send_nothing_stop_nobody() {
        let budget = Budget::new(2 * PART);
        let mut stalled = Vec::new();
        for _ in 0..8 {
            let held = Arc::new(Held::new(&budget));
            for _ in 0..2 {
                let room = budget.try_take(PIECE, &held).expect("there is room yet");
                held.push(&[0; PIECE as usize], Some(room));
            }
            stalled.push(held);
        }
        assert!(budget.try_take(1, &Arc::new(Held::new(&budget))).is_none(), "all room is taken");
        let uploads: Vec<_> =
            (0..5).map(|_| tokio::spawn(upload(Arc::clone(&budget), 4, Duration::ZERO))).collect();
        for upload in uploads {
            upload.await.unwrap();
        }
        assert!(budget.used().1 <= 3 * PART, "{} bytes were in memory", budget.used().1);
        assert!(
            stalled.iter().all(|held| held.len() == 2 * PIECE),
            "who stays in the budget keeps its bytes"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_exceeds_the_budget_and_stalls_gives_way() {
        let budget = Budget::new(PIECE);
        let first = Arc::new(Held::new(&budget));
        let room = budget.take(PIECE, &first).await;
        first.push(&[0; PIECE as usize], Some(room));
        let second = Arc::new(Held::new(&budget));
        let room = budget.take(PIECE, &second).await;
        assert!(second.push(&[0; PIECE as usize], Some(room)), "one may exceed it");
        upload(Arc::clone(&budget), 2, Duration::ZERO).await;
        assert!(second.take().is_none(), "its bytes were thrown away");
        assert!(!second.push(b"x", None), "and it is told so");
        assert_eq!(first.take().map(|part| part.len()), Some(PIECE), "the other keeps its own");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_no_longer_leaves_no_trace() {
        let budget = Budget::new(PIECE);
        let held = Arc::new(Held::new(&budget));
        let room = budget.take(PIECE, &held).await;
        let flight = budget.flight();
        for _ in 0..3 {
            let waiting = budget.take(PIECE, &held);
            assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
        }
        drop((room, flight));
        assert_eq!(budget.used().0, 0);
        assert!(budget.try_take(PIECE, &held).is_some());
    }
}
