//! Requests with the same password at the same time are one verification.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::memory::Fingerprint;
use super::queue::Busy;

type Outcome = Result<bool, Busy>;
type Table = Mutex<HashMap<Fingerprint, Arc<OnceCell<Outcome>>>>;

/// The verifications that are under way.
#[derive(Default)]
pub(super) struct Flights(Table);

/// A part in one of them.
struct Flight<'a> {
    table: &'a Table,
    fingerprint: Fingerprint,
    cell: Arc<OnceCell<Outcome>>,
}

fn lock(table: &Table) -> MutexGuard<'_, HashMap<Fingerprint, Arc<OnceCell<Outcome>>>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flights {
    /// The outcome of `verify`, or of what somebody else is verifying under this fingerprint already. If that one
    /// goes away before it is known, the next of those that wait verifies.
    pub(super) async fn join(
        &self,
        fingerprint: Fingerprint,
        verify: impl Future<Output = Outcome> + Send,
    ) -> Outcome {
        let cell = Arc::clone(lock(&self.0).entry(fingerprint).or_default());
        let flight = Flight { table: &self.0, fingerprint, cell };
        *flight.cell.get_or_init(|| verify).await
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut table = lock(self.table);
        // The table's and this one: nobody else is waiting.
        let last = Arc::strong_count(&self.cell) == 2;
        let same = table.get(&self.fingerprint).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        if same && (last || self.cell.initialized()) {
            table.remove(&self.fingerprint);
        }
    }
}

impl std::fmt::Debug for Flights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Flights").field(&lock(&self.0).len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::super::memory::{Memory, Times};
    use super::*;

    fn fingerprint() -> Fingerprint {
        let times = Times { right: std::time::Duration::ZERO, wrong: std::time::Duration::ZERO };
        Memory::new(&[0; 64], times, 1).fingerprint("a", "b", None)
    }

    #[tokio::test]
    async fn many_requests_are_one_verification() {
        let (flights, verified) = (Flights::default(), AtomicUsize::new(0));
        let (end, ended) = oneshot::channel::<()>();
        let first = flights.join(fingerprint(), async {
            verified.fetch_add(1, Ordering::Relaxed);
            ended.await.unwrap();
            Ok(true)
        });
        let second = flights.join(fingerprint(), async {
            verified.fetch_add(1, Ordering::Relaxed);
            Ok(false)
        });
        let third = async {
            tokio::task::yield_now().await;
            end.send(()).unwrap();
        };
        assert_eq!(tokio::join!(first, second, third), (Ok(true), Ok(true), ()));
        assert_eq!(verified.load(Ordering::Relaxed), 1);
        assert!(lock(&flights.0).is_empty());
    }

    #[tokio::test]
    async fn if_the_first_leaves_the_next_verifies() {
        let flights = Flights::default();
        let mut first = Box::pin(flights.join(fingerprint(), pending()));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        let (second, ()) = tokio::join!(flights.join(fingerprint(), ready(Ok(false))), async { drop(first) });
        assert_eq!(second, Ok(false));
        assert!(lock(&flights.0).is_empty());
    }

    #[tokio::test]
    async fn a_verification_that_did_not_happen_is_tried_again() {
        let flights = Flights::default();
        assert_eq!(flights.join(fingerprint(), ready(Err(Busy))).await, Err(Busy));
        assert_eq!(flights.join(fingerprint(), ready(Ok(true))).await, Ok(true));
    }
}
