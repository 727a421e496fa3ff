//! Who may make the machine work on a password, and who waits.
//!
//! A few verifications run at a time; the others wait, in a line for each network that asks, and the lines take turns.
//! So one machine that tries passwords makes itself wait, and hardly anybody else. The number of those that wait is
//! bounded, and so is the time.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// So many verifications wait before this one that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being verified")]
pub struct Busy;

/// A network that asks: an address, or the half of an IPv6 address that a customer of a provider gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    V4([u8; 4]),
    V6([u16; 4]),
    Unknown,
}

impl From<Option<IpAddr>> for Asker {
    fn from(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Self::V4(address.octets()),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
            None => Self::Unknown,
        }
    }
}

/// The verifications that run and those that wait.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// How many wait at most.
    places: usize,
    /// How long each waits at most.
    patience: Duration,
}

#[derive(Debug)]
struct State {
    /// How many more may run. None wait unless this is 0.
    free: usize,
    lines: HashMap<Asker, VecDeque<oneshot::Sender<Permit>>>,
    /// The lines in the order of their turns; each that is not empty is here once.
    turns: VecDeque<Asker>,
    waiting: usize,
}

impl Queue {
    pub(super) fn new(at_once: usize, places: usize, patience: Duration) -> Arc<Self> {
        let state = State { free: at_once, lines: HashMap::new(), turns: VecDeque::new(), waiting: 0 };
        Arc::new(Self { state: Mutex::new(state), places, patience })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn. Dropping the future gives the place up.
    pub(super) async fn enter(self: &Arc<Self>, asker: Asker) -> Result<Permit, Busy> {
        let turn = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Permit(Some(Arc::clone(self))));
            }
            if state.waiting >= self.places && !state.make_room(asker) {
                return Err(Busy);
            }
            let (ticket, turn) = oneshot::channel();
            state.push(asker, ticket);
            turn
        };
        match timeout(self.patience, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Busy),
        }
    }
}

impl State {
    fn push(&mut self, asker: Asker, ticket: oneshot::Sender<Permit>) {
        let line = self.lines.entry(asker).or_default();
        if line.is_empty() {
            self.turns.push_back(asker);
        }
        line.push_back(ticket);
        self.waiting += 1;
    }

    /// The next whose turn it is.
    fn pop(&mut self) -> Option<oneshot::Sender<Permit>> {
        let asker = self.turns.pop_front()?;
        let line = self.lines.get_mut(&asker)?;
        let ticket = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&asker);
        } else {
            self.turns.push_back(asker);
        }
        self.waiting -= 1;
        Some(ticket)
    }

    /// Finds a place for `asker`: that of somebody who has left, or else of the last in the longest line, if that is
    /// longer than the asker's own will be.
    fn make_room(&mut self, asker: Asker) -> bool {
        let before = self.waiting;
        for line in self.lines.values_mut() {
            line.retain(|ticket| !ticket.is_closed());
        }
        self.lines.retain(|_, line| !line.is_empty());
        self.turns.retain(|asker| self.lines.contains_key(asker));
        self.waiting = self.lines.values().map(VecDeque::len).sum();
        if self.waiting < before {
            return true;
        }
        let own = self.lines.get(&asker).map_or(0, VecDeque::len);
        match self.lines.values_mut().max_by_key(|line| line.len()) {
            Some(longest) if longest.len() > own + 1 => {
                longest.pop_back();
                self.waiting -= 1;
                true
            }
            _ => false,
        }
    }
}

/// That a verification may run, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Option<Arc<Queue>>);

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        let mut state = queue.lock();
        while let Some(ticket) = state.pop() {
            match ticket.send(Self(Some(Arc::clone(&queue)))) {
                Ok(()) => return,
                // Nobody waits there any more. Taken apart, so that it does not come here again.
                Err(mut unwanted) => unwanted.0 = None,
            }
        }
        state.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn asker(last: u8) -> Asker {
        Asker::from(Some(IpAddr::from([10, 0, 0, last])))
    }

    type Waiting = Pin<Box<dyn Future<Output = Result<Permit, Busy>> + Send>>;

    /// Stands in line, which begins when the future is first polled.
    async fn stand(queue: &Arc<Queue>, who: u8) -> Waiting {
        let queue = Arc::clone(queue);
        let mut waiting: Waiting = Box::pin(async move { queue.enter(asker(who)).await });
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await;
        assert!(first.is_pending());
        waiting
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_run_and_the_next_waits_for_one_to_end() {
        let queue = Queue::new(2, 8, PATIENCE);
        let (first, _second) = (queue.enter(asker(1)).await.unwrap(), queue.enter(asker(1)).await.unwrap());
        let third = stand(&queue, 1).await;
        drop(first);
        drop(third.await.unwrap());
        assert_eq!(queue.lock().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_lines_take_turns() {
        let queue = Queue::new(1, 8, PATIENCE);
        let mut running = queue.enter(asker(1)).await.unwrap();
        let mut waiting = Vec::new();
        for who in [1, 1, 1, 2, 2, 3] {
            waiting.push((who, stand(&queue, who).await));
        }
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(running);
            // Only one of them can have got the permit.
            let mut found = None;
            for (index, (_, one)) in waiting.iter_mut().enumerate() {
                let now = std::future::poll_fn(|cx| std::task::Poll::Ready(one.as_mut().poll(cx))).await;
                if let std::task::Poll::Ready(permit) = now {
                    assert!(found.is_none());
                    found = Some((index, permit.unwrap()));
                }
            }
            let (index, permit) = found.unwrap();
            order.push(waiting.remove(index).0);
            running = permit;
        }
        assert_eq!(order, [1, 2, 3, 1, 2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let queue = Queue::new(1, 8, PATIENCE);
        let running = queue.enter(asker(1)).await.unwrap();
        assert_eq!(queue.enter(asker(2)).await.unwrap_err(), Busy);
        drop(running);
        // Whoever has left is passed over.
        let state = queue.lock();
        assert_eq!((state.free, state.waiting), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_while_it_is_called_gives_the_permit_back() {
        let queue = Queue::new(1, 8, PATIENCE);
        let running = queue.enter(asker(1)).await.unwrap();
        let waiting = stand(&queue, 1).await;
        drop(running);
        assert_eq!(queue.lock().free, 0);
        drop(waiting);
        assert_eq!(queue.lock().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_turns_away_who_fills_it() {
        let queue = Queue::new(1, 4, PATIENCE);
        let _running = queue.enter(asker(1)).await.unwrap();
        let mut many = Vec::new();
        for _ in 0..4 {
            many.push(stand(&queue, 1).await);
        }
        assert_eq!(queue.enter(asker(1)).await.unwrap_err(), Busy);
        // Another takes the place of the last of them,
        let _other = stand(&queue, 2).await;
        assert_eq!(many.pop().unwrap().await.unwrap_err(), Busy);
        // until the lines are alike,
        let _other = stand(&queue, 2).await;
        assert_eq!(many.pop().unwrap().await.unwrap_err(), Busy);
        assert_eq!(queue.enter(asker(2)).await.unwrap_err(), Busy);
        // or of somebody who has left.
        drop(many.pop());
        let _third = stand(&queue, 2).await;
        assert_eq!(queue.lock().waiting, 4);
    }

    #[test]
    fn an_ipv6_customer_is_one_asker() {
        let of = |text: &str| Asker::from(Some(text.parse::<IpAddr>().unwrap()));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::2"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), Asker::from(None));
    }
}
