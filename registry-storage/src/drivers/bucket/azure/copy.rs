//! Copies within the account.
//!
//! The service may answer that a copy is under way. Until it is done, the blob is there and empty, which does not
//! count as being there; a copy that fails or takes too long is removed again.

use std::time::Duration;

use http::header::{ETAG, IF_MATCH};
use http::{HeaderMap, Method};
use object_store::client::HttpError;
use registry_core::BoxError;

use super::super::http::describe;
use super::super::object::bucket_error;
use super::super::store::BucketError;
use super::super::text::percent;
use super::api::Api;

/// How the end of a copy is waited for.
#[derive(Debug, Clone)]
pub(super) struct Polls {
    /// How often, as long as it makes no progress.
    pub(super) most: u32,
    /// The first wait; each is longer by this.
    pub(super) delay: Duration,
}

/// How far a copy is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As is everything that is no copy.
    Done,
    /// With its id, and how many bytes of how many there are.
    Pending(String, String),
    /// Why.
    Failed(String),
}

impl State {
    fn read(headers: &HeaderMap) -> Self {
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        match header("x-ms-copy-status") {
            "" | "success" => Self::Done,
            "pending" => {
                Self::Pending(header("x-ms-copy-id").to_owned(), header("x-ms-copy-progress").to_owned())
            }
            other => Self::Failed(format!("{other} {}", header("x-ms-copy-status-description"))),
        }
    }
}

/// Whether a blob is a copy that is not done.
pub(super) fn unfinished(headers: &HeaderMap) -> bool {
    State::read(headers) != State::Done
}

/// Begins to copy a blob, which mostly is all of it.
pub(super) async fn start(api: &Api, from: &str, to: &str) -> Result<State, HttpError> {
    let request = api.request(Method::PUT, to, "").header("x-ms-copy-source", api.url(from));
    Ok(State::read(api.ask(request).await?.headers()))
}

/// Waits until a copy is done.
pub(super) async fn finish(api: &Api, polls: &Polls, to: &str, state: State) -> Result<(), BucketError> {
    let mut state = state;
    let (mut polled, mut idle, mut seen) = (0, 0, None);
    loop {
        let (id, progress) = match state {
            State::Done => return Ok(()),
            State::Failed(why) => {
                discard(api, to).await;
                let why = format!("the service gave the copy up: {}", why.trim());
                return Err(BucketError::Other(why.into()));
            }
            State::Pending(id, progress) => (id, progress),
        };
        if seen.replace(progress.clone()).is_some_and(|seen| seen != progress) {
            idle = 0;
        }
        if idle >= polls.most {
            abort(api, to, &id).await;
            let source: BoxError = format!("a copy was not done after {polled} polls").into();
            return Err(BucketError::Unavailable { retry_after: None, source });
        }
        (polled, idle) = (polled + 1, idle + 1);
        tokio::time::sleep(polls.delay * idle).await;
        let answer = api.ask(api.request(Method::HEAD, to, "")).await;
        let answer = answer.map_err(|error| match bucket_error(error) {
            // Of the copy, not of what is copied.
            BucketError::NotFound => BucketError::Other("somebody removed the copy".into()),
            error => error,
        })?;
        state = State::read(answer.headers());
    }
}

/// Gives a copy up and removes what is there of it.
async fn abort(api: &Api, key: &str, id: &str) {
    let query = format!("comp=copy&copyid={}", percent(id));
    let request = api.request(Method::PUT, key, &query).header("x-ms-copy-action", "abort");
    match api.ask(request).await {
        Ok(_) => discard(api, key).await,
        // It may have been done in the meantime, and is the better for it then.
        Err(error) => tracing::warn!(key, error = describe(&error), "a copy could not be aborted"),
    }
}

/// Removes a copy that is not done and not going to be, and nothing else that somebody wrote there.
async fn discard(api: &Api, key: &str) {
    let result = async {
        let answer = api.ask(api.request(Method::HEAD, key, "")).await?;
        let Some(tag) = answer.headers().get(ETAG).filter(|_| unfinished(answer.headers())) else {
            return Ok(());
        };
        api.ask(api.request(Method::DELETE, key, "").header(IF_MATCH, tag)).await.map(drop)
    };
    if let Err(error) = result.await {
        tracing::warn!(key, error = describe(&error), "what is left of a failed copy could not be removed");
    }
}
