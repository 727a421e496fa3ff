//! Objects that are removed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::Method;
use md5::{Digest, Md5};
use serde::Deserialize;

use super::S3;
use super::call::Call;
use crate::drivers::bucket::store::BucketError;
use crate::drivers::bucket::text::is_in_urls;
use crate::drivers::bucket::xml::{escape, parse};

/// The most keys of one request.
const BULK: usize = 1000;
/// How many requests are under way at once.
const SIDE_BY_SIDE: usize = 4;
/// How often keys are tried again that a service could not remove for now.
const AGAIN: usize = 3;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DeleteResult {
    error: Vec<KeyError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct KeyError {
    key: String,
    code: String,
    message: String,
}

impl S3 {
    pub(super) async fn delete_objects(&self, keys: &[String]) -> Result<(), BucketError> {
        match keys {
            [] => Ok(()),
            [key] if is_in_urls(key) => self.delete_object(key).await,
            keys => {
                let bulks: Vec<_> = keys.chunks(BULK).map(|bulk| self.delete_bulk(bulk)).collect();
                futures::stream::iter(bulks).buffer_unordered(SIDE_BY_SIDE).try_collect().await
            }
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>
    async fn delete_object(&self, key: &str) -> Result<(), BucketError> {
        match self.send(Call::new(Method::DELETE, key)).await {
            Ok(_) | Err(BucketError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
    async fn delete_bulk(&self, keys: &[String]) -> Result<(), BucketError> {
        let mut left: Vec<String> = keys.to_vec();
        for again in 0..=AGAIN {
            let xml = request(&left);
            let sum = BASE64_STANDARD.encode(Md5::digest(&xml));
            let call = Call::new(Method::POST, None)
                .query("delete", "")
                .header("content-md5", &sum)?
                .header("content-type", "application/xml")?
                .body(vec![xml])
                .error_in_body();
            let result: DeleteResult = parse(&self.ask(call).await?)?;
            let errors = result.error.into_iter().filter(|error| error.code != "NoSuchKey");
            let (for_now, for_good): (Vec<_>, Vec<_>) = errors.partition(|error| {
                matches!(error.code.as_str(), "InternalError" | "SlowDown" | "ServiceUnavailable")
            });
            if let Some(first) = for_good.first() {
                return Err(failure(first, for_good.len() + for_now.len(), keys.len()));
            }
            let Some(first) = for_now.first() else { return Ok(()) };
            if again == AGAIN {
                let source = failure(first, for_now.len(), keys.len());
                return Err(BucketError::Unavailable { retry_after: None, source: Box::new(source) });
            }
            left = for_now.into_iter().map(|error| error.key).collect();
            tokio::time::sleep(self.pause * (1 << again)).await;
        }
        Ok(())
    }
}

/// The body of a request, which only asks for what went wrong.
fn request(keys: &[String]) -> Bytes {
    let mut xml =
        String::from("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    for key in keys {
        xml.push_str("<Object><Key>");
        xml.push_str(&escape(key));
        xml.push_str("</Key></Object>");
    }
    xml.push_str("</Delete>");
    xml.into()
}

fn failure(first: &KeyError, failed: usize, all: usize) -> BucketError {
    let KeyError { key, code, message } = first;
    let what = format!("{failed} of {all} keys were not deleted, such as {key}: {code}: {message}").into();
    if code == "AccessDenied" { BucketError::Denied(what) } else { BucketError::Other(what) }
}

#[cfg(test)]
mod tests {
    //! What is sent and what comes back.

    use super::*;

    #[test]
    fn keys_are_escaped_and_errors_belong_to_keys() {
        let xml = request(&["a<b".to_owned(), "c".to_owned()]);
        let text = std::str::from_utf8(&xml).unwrap();
        assert!(text.ends_with("<Object><Key>a&lt;b</Key></Object><Object><Key>c</Key></Object></Delete>"));
        let answer = b"<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Deleted><Key>x</Key></Deleted><Error><Key>a&lt;b</Key><Code>AccessDenied</Code>\
            <Message>Access Denied</Message></Error></DeleteResult>";
        let result: DeleteResult = parse(answer).unwrap();
        let error = failure(&result.error[0], 1, 2);
        assert!(matches!(error, BucketError::Denied(_)), "{error:?}");
        assert!(format!("{error:?}").contains("1 of 2 keys were not deleted, such as a<b: AccessDenied"));
        assert!(parse::<DeleteResult>(b"<DeleteResult/>").unwrap().error.is_empty());
    }
}
