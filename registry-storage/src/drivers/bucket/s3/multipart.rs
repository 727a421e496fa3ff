//! Objects in parts: uploads, and copies of what is too large for one request.

use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::Method;
use serde::Deserialize;

use super::S3;
use super::call::Call;
use crate::drivers::bucket::object::path;
use crate::drivers::bucket::pages;
use crate::drivers::bucket::store::{BucketError, Part};
use crate::drivers::bucket::text::{percent, percent_path};
use crate::drivers::bucket::xml::parse;

/// The most that one CopyObject copies, in bytes.
const COPY_LIMIT: u64 = 5 << 30;
/// The most parts of an object.
pub(super) const PARTS: u32 = 10_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InitiateMultipartUploadResult {
    upload_id: String,
}

#[derive(Debug, Deserialize)]
struct CopyPartResult {
    #[serde(rename = "ETag")]
    tag: String,
}

impl S3 {
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>
    pub(super) async fn create_upload(&self, key: &str) -> Result<String, BucketError> {
        path(key)?;
        let call = Call::new(Method::POST, key).query("uploads", "").headers(&self.headers);
        let begun: InitiateMultipartUploadResult = parse(&self.ask(call).await?)?;
        Ok(begun.upload_id)
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html>
    pub(super) async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        content: Vec<Bytes>,
    ) -> Result<Part, BucketError> {
        let size = content.iter().map(|piece| piece.len() as u64).sum();
        let call = Call::new(Method::PUT, key)
            .query("partNumber", &number.to_string())
            .query("uploadId", upload)
            .body(content);
        let answer = self.send(call).await?;
        let tag = answer.headers().get(http::header::ETAG).and_then(|tag| tag.to_str().ok());
        let Some(tag) = tag else { return Err(BucketError::Other("a part has no ETag".into())) };
        Ok(Part { number, size, tag: tag.to_owned() })
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>
    pub(super) async fn upload_part_copy(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        from: &str,
        range: Range<u64>,
    ) -> Result<Part, BucketError> {
        let size = range.end - range.start;
        let call = Call::new(Method::PUT, key)
            .query("partNumber", &number.to_string())
            .query("uploadId", upload)
            .header("x-amz-copy-source", &self.copy_source(from))?
            .header("x-amz-copy-source-range", &format!("bytes={}-{}", range.start, range.end - 1))?
            .error_in_body();
        let copied: CopyPartResult = parse(&self.ask(call).await?)?;
        Ok(Part { number, size, tag: copied.tag })
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
    ///
    /// A service that has no such upload may have made the object of it before, and the answer was lost: then
    /// there is an object of the right size, made of as many parts.
    pub(super) async fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        parts: &[Part],
    ) -> Result<(), BucketError> {
        let namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
        let parts_in_xml = pages::named(parts);
        let xml = format!(
            "<CompleteMultipartUpload xmlns=\"{namespace}\">{parts_in_xml}</CompleteMultipartUpload>"
        );
        let call = Call::new(Method::POST, key)
            .query("uploadId", upload)
            .header("content-type", "application/xml")?
            .body(vec![xml.into()])
            .error_in_body();
        match self.ask(call).await {
            Ok(_) => Ok(()),
            Err(BucketError::NoSuchUpload) => {
                let size = parts.iter().map(|part| part.size).sum::<u64>();
                if self.was_completed(key, size, parts.len()).await? {
                    Ok(())
                } else {
                    Err(BucketError::NoSuchUpload)
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn was_completed(&self, key: &str, size: u64, parts: usize) -> Result<bool, BucketError> {
        let answer = match self.send(Call::new(Method::HEAD, key)).await {
            Ok(answer) => answer,
            Err(BucketError::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let length = header(http::header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        // Amazon's tags end in the number of parts, those of others need not.
        let made_of = header(http::header::ETAG)
            .and_then(|tag| tag.trim_matches('"').rsplit_once('-')?.1.parse::<usize>().ok());
        Ok(length == Some(size) && made_of.is_none_or(|made_of| made_of == parts))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>
    pub(super) async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), BucketError> {
        let call = Call::new(Method::DELETE, key).query("uploadId", upload);
        match self.send(call).await {
            Ok(_) | Err(BucketError::NoSuchUpload | BucketError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
    pub(super) async fn copy_object(&self, from: &str, to: &str, size: u64) -> Result<(), BucketError> {
        if size > self.copy_threshold.min(COPY_LIMIT) && self.copies_parts() {
            return self.copy_in_parts(from, to, size).await;
        }
        let call = Call::new(Method::PUT, to)
            .headers(&self.headers)
            .header("x-amz-copy-source", &self.copy_source(from))?
            .error_in_body();
        self.ask(call).await?;
        Ok(())
    }

    async fn copy_in_parts(&self, from: &str, to: &str, size: u64) -> Result<(), BucketError> {
        let upload = self.create_upload(to).await?;
        let result = self.copy_parts(from, to, size, &upload).await;
        if result.is_err()
            && let Err(error) = self.abort_upload(to, &upload).await
        {
            // It is found by the purge, like one whose process ended.
            let error = crate::drivers::bucket::http::describe(&error);
            tracing::debug!(key = to, error, "a failed copy could not be aborted");
        }
        result
    }

    async fn copy_parts(&self, from: &str, to: &str, size: u64, upload: &str) -> Result<(), BucketError> {
        let ranges = ranges(size, self.copy_part);
        let copies = ranges
            .into_iter()
            .zip(1..)
            .map(|(range, number)| self.upload_part_copy(to, upload, number, from, range));
        let parts = futures::stream::iter(copies).buffered(self.copy_concurrency.max(1));
        let parts: Vec<Part> = parts.try_collect().await?;
        self.complete_upload(to, upload, &parts).await
    }

    fn copy_source(&self, key: &str) -> String {
        format!("/{}/{}", percent(self.endpoint.bucket()), percent_path(key))
    }
}

/// The ranges of an object, of at least this size and not more than there can be parts.
fn ranges(size: u64, part: u64) -> Vec<Range<u64>> {
    let part = part.max(size.div_ceil(u64::from(PARTS))).clamp(1, COPY_LIMIT);
    (0..size.div_ceil(part)).map(|index| index * part..((index + 1) * part).min(size)).collect()
}

#[cfg(test)]
mod tests {
    //! How copies are cut.

    use super::*;

    #[test]
    fn ranges_cover_an_object_of_any_size() {
        assert_eq!(ranges(10, 4), [0..4, 4..8, 8..10]);
        assert_eq!(ranges(8, 4), [0..4, 4..8]);
        let tera = 5 << 40;
        let many = ranges(tera, 32 << 20);
        assert!(many.len() <= PARTS as usize);
        assert_eq!(many.last().unwrap().end, tera);
        assert!(many.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(many.iter().all(|range| range.end - range.start <= COPY_LIMIT));
    }
}
