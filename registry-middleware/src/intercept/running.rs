//! A call between `before` and `after`, and the bodies that keep it open.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use registry_core::{
    Blob, BlobBody, ByteStream, Content, ContentBody, Error, RepositoryName, RequestContext, Result,
    StorageError,
};

use super::{Call, Interceptor, Operation, Outcome, Target};

/// Where calls are intercepted: by whom, and what they have in common.
#[derive(Debug, Clone)]
pub(super) struct Site {
    interceptor: Arc<dyn Interceptor>,
    repository: Option<RepositoryName>,
    context: Option<Arc<RequestContext>>,
}

impl Site {
    pub(super) fn new(interceptor: Arc<dyn Interceptor>) -> Self {
        Self { interceptor, repository: None, context: None }
    }

    /// The same, for one request and perhaps one repository.
    pub(super) fn at(
        interceptor: &Arc<dyn Interceptor>,
        context: Option<Arc<RequestContext>>,
        repository: Option<RepositoryName>,
    ) -> Self {
        Self { interceptor: Arc::clone(interceptor), repository, context }
    }

    /// Asks the interceptor, and begins the call if it agrees.
    pub(super) async fn enter(&self, operation: Operation, target: Target) -> Result<Running> {
        // It is not over only once it has begun: a call that is refused, or dropped before, has no end.
        let mut running =
            Running { site: self.clone(), operation, target, started: Instant::now(), over: true };
        self.interceptor.before(&running.call()).await?;
        running.started = Instant::now();
        running.over = false;
        Ok(running)
    }
}

/// A call that is being made. Dropping it abandons the call.
#[derive(Debug)]
pub(super) struct Running {
    site: Site,
    operation: Operation,
    target: Target,
    started: Instant,
    over: bool,
}

impl Running {
    fn call(&self) -> Call<'_> {
        Call {
            operation: self.operation,
            repository: self.site.repository.as_ref(),
            context: self.site.context.as_deref(),
            target: &self.target,
        }
    }

    fn end(&mut self, outcome: Outcome<'_>) {
        if !std::mem::replace(&mut self.over, true) {
            self.site.interceptor.after(&self.call(), self.started.elapsed(), outcome);
        }
    }

    /// Ends the call with its result.
    pub(super) fn finish<T, E: Failure>(mut self, result: Result<T, E>) -> Result<T, E> {
        self.end(match &result {
            Ok(_) => Outcome::Done,
            Err(error) => error.outcome(),
        });
        result
    }

    /// Ends the call when the body of `blob` does.
    pub(super) fn follow_blob(mut self, mut blob: Blob) -> Blob {
        blob.body = match blob.body {
            BlobBody::Stream(stream) => BlobBody::Stream(self.follow(stream, &blob.range)),
            at_hand @ (BlobBody::Bytes(_) | BlobBody::File(_) | BlobBody::Redirect(_)) => {
                self.end(Outcome::Done);
                at_hand
            }
        };
        blob
    }

    /// Ends the call when the body of `content` does.
    pub(super) fn follow_content(mut self, mut content: Content) -> Content {
        content.body = match content.body {
            ContentBody::Stream(stream) => ContentBody::Stream(self.follow(stream, &content.range)),
            at_hand @ (ContentBody::Bytes(_) | ContentBody::File(_)) => {
                self.end(Outcome::Done);
                at_hand
            }
        };
        content
    }

    fn follow<E: Failure>(self, stream: ByteStream<E>, range: &std::ops::Range<u64>) -> ByteStream<E> {
        let missing = range.end.saturating_sub(range.start);
        Followed { stream, missing, running: self }.boxed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Outcome::Abandoned);
    }
}

/// A body whose end is the end of a call.
struct Followed<E> {
    stream: ByteStream<E>,
    /// How many bytes have not been taken yet. Whoever knows the length drops a body after its last byte
    /// without asking whether there is more; that is no early end.
    missing: u64,
    running: Running,
}

impl<E: Failure> Stream for Followed<E> {
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.stream.as_mut().poll_next(cx));
        match &next {
            Some(Ok(bytes)) => self.missing = self.missing.saturating_sub(bytes.len() as u64),
            Some(Err(error)) => self.running.end(error.outcome()),
            None => self.running.end(Outcome::Done),
        }
        Poll::Ready(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<E> Drop for Followed<E> {
    fn drop(&mut self) {
        if self.missing == 0 {
            self.running.end(Outcome::Done);
        }
    }
}

/// The two kinds of error, as outcomes.
pub(super) trait Failure: Send + 'static {
    fn outcome(&self) -> Outcome<'_>;
}

impl Failure for Error {
    fn outcome(&self) -> Outcome<'_> {
        Outcome::Failed(self)
    }
}

impl Failure for StorageError {
    fn outcome(&self) -> Outcome<'_> {
        Outcome::StorageFailed(self)
    }
}
