//! Work that is done to its end, whether or not anybody waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tracing::Instrument;

/// Does `work` where it is awaited. If the future is dropped before, the rest is done in a task of its own; that
/// costs nothing where nobody goes away.
pub(super) fn whole<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Whole<T> {
    // In the span of the request also when it is over.
    Whole(Some(Box::pin(work.in_current_span())))
}

/// See [`whole`]. `None` once it has ended, or panicked.
pub(super) struct Whole<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Future for Whole<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Work that panics is not there any more when this is dropped.
        let Some(mut work) = self.0.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.0 = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Whole<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}
