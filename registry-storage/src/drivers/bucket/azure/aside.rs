//! Writing where a blob of another kind is.
//!
//! Distribution wrote append blobs. The service takes no blocks for one and makes no block blob of it: it has to be
//! deleted first. So that this happens only when everything is there that replaces it, the blocks of an upload
//! are kept with a blob beside it, which is copied into its place in the end.

use http::Method;
use object_store::client::HttpError;

use super::super::http::refusal;
use super::super::object::bucket_error;
use super::super::store::{BucketError, Part};
use super::super::text::percent;
use super::api::Answer;
use super::blocks::{self, Waiting};
use super::{Azure, copy};

/// Whether a request was refused because the blob that is there is of another kind.
pub(super) fn is_of_another_kind(error: &HttpError) -> bool {
    refusal(error).is_some_and(|refused| refused.code == "InvalidBlobType")
}

/// Where the blocks of an upload are kept for which there is no place.
fn aside(key: &str, upload: &str) -> String {
    format!("{key}.{upload}")
}

impl Azure {
    /// Sends what makes a block. Its id.
    pub(super) async fn put_block<F: Future<Output = Result<Answer, HttpError>>>(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        send: impl Fn(http::request::Builder) -> F,
    ) -> Result<String, BucketError> {
        let id = blocks::id(upload, number);
        let query = format!("comp=block&blockid={}", percent(&id));
        let result = match send(self.api.request(Method::PUT, key, &query)).await {
            Err(error) if is_of_another_kind(&error) => {
                send(self.api.request(Method::PUT, &aside(key, upload), &query)).await
            }
            other => other,
        };
        result.map(|_| id).map_err(bucket_error)
    }

    /// The blocks that a blob is not yet made of, wherever they are kept.
    pub(super) async fn waiting(&self, key: &str, upload: &str) -> Result<Waiting, BucketError> {
        match self.blocks_of(key).await {
            Err(error) if is_of_another_kind(&error) => {
                self.blocks_of(&aside(key, upload)).await.map_err(bucket_error)
            }
            other => other.map_err(bucket_error),
        }
    }

    /// The blocks that a blob is not yet made of.
    pub(super) async fn blocks_of(&self, key: &str) -> Result<Waiting, HttpError> {
        let request = self.api.request(Method::GET, key, "comp=blocklist&blocklisttype=uncommitted");
        match self.api.ask(request).await {
            Ok(answer) => Waiting::parse(answer.body()),
            Err(error) if refusal(&error).is_some_and(|refused| refused.status == 404) => {
                Ok(Waiting::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a blob of blocks. Each is what was written last under its id, in the blob or for it: so a repeated
    /// request does the same as the first.
    pub(super) async fn commit(&self, key: &str, upload: &str, parts: &[Part]) -> Result<(), BucketError> {
        let body = bytes::Bytes::from(blocks::commit(parts.iter().map(|part| part.tag.as_str())));
        let send = |key: &str| {
            let request = self.api.request(Method::PUT, key, "comp=blocklist");
            let body = body.clone();
            async move { self.api.send(request, body).await }
        };
        let result = match send(key).await {
            Err(error) if is_of_another_kind(&error) => {
                let beside = aside(key, upload);
                match send(&beside).await {
                    Ok(_) => return self.take_place(&beside, key).await,
                    Err(error) => Err(error),
                }
            }
            other => other.map(drop),
        };
        match result.map_err(bucket_error) {
            Err(BucketError::PartChanged) if self.waiting(key, upload).await?.of(upload).is_empty() => {
                Err(BucketError::NoSuchUpload)
            }
            other => other,
        }
    }

    /// Copies a blob, over one of another kind if need be.
    pub(super) async fn copy_over(&self, from: &str, to: &str) -> Result<(), BucketError> {
        match copy::start(&self.api, from, to).await {
            Err(error) if is_of_another_kind(&error) => {
                self.remove(to).await?;
                let state = copy::start(&self.api, from, to).await.map_err(bucket_error)?;
                copy::finish(&self.api, &self.polls, to, state).await
            }
            Err(error) => Err(bucket_error(error)),
            Ok(state) => copy::finish(&self.api, &self.polls, to, state).await,
        }
    }

    async fn take_place(&self, beside: &str, key: &str) -> Result<(), BucketError> {
        self.copy_over(beside, key).await?;
        self.remove(beside).await
    }

    /// Removes a blob, if it is there.
    pub(super) async fn remove(&self, key: &str) -> Result<(), BucketError> {
        match self.api.ask(self.api.request(Method::DELETE, key, "")).await.map_err(bucket_error) {
            Err(BucketError::NotFound) => Ok(()),
            other => other.map(drop),
        }
    }
}
