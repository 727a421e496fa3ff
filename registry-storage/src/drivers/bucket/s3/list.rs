//! What is in the bucket: objects, and uploads that have not ended.

use std::borrow::Cow;
use std::time::SystemTime;

use http::Method;
use serde::Deserialize;

use super::S3;
use super::call::Call;
use crate::drivers::bucket::store::{BucketError, Key, KeyPage, ListKeys, Part, Pending};
use crate::drivers::bucket::xml::parse;

/// The most entries of an answer.
pub(super) const PAGE: usize = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListBucketResult {
    is_truncated: bool,
    next_continuation_token: Option<String>,
    contents: Vec<Contents>,
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListPartsResult {
    is_truncated: bool,
    next_part_number_marker: Option<String>,
    part: Vec<ListedPart>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedPart {
    part_number: u32,
    #[serde(rename = "ETag")]
    tag: String,
    size: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListMultipartUploadsResult {
    upload: Vec<ListedUpload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedUpload {
    key: String,
    upload_id: String,
    initiated: String,
}

impl S3 {
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
    pub(super) async fn list_objects(&self, request: &ListKeys<'_>) -> Result<KeyPage, BucketError> {
        let mut token: Option<String> = None;
        loop {
            let mut call = Call::new(Method::GET, None)
                .query("list-type", "2")
                .query("prefix", request.prefix)
                .query("max-keys", &request.limit.clamp(1, PAGE).to_string());
            if request.fold {
                call = call.query("delimiter", "/");
            }
            if let Some(token) = &token {
                call = call.query("continuation-token", token);
            } else if let Some(after) = start_after(request) {
                call = call.query("start-after", &after);
            }
            let mut found: ListBucketResult = parse(&self.ask(call).await?)?;
            token = found.next_continuation_token.take();
            let page = page(found, request);
            // A page without keys does not tell where to go on.
            if !page.keys.is_empty() || !page.more || token.is_none() {
                return Ok(page);
            }
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html>
    pub(super) async fn list_parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, BucketError> {
        let mut parts: Vec<Part> = Vec::new();
        loop {
            let mut call = Call::new(Method::GET, key).query("uploadId", upload);
            if let Some(last) = parts.last() {
                call = call.query("part-number-marker", &last.number.to_string());
            }
            let found: ListPartsResult = parse(&self.ask(call).await?)?;
            let before = parts.len();
            parts.extend(found.part.into_iter().map(|part| Part {
                number: part.part_number,
                size: part.size,
                tag: part.tag,
            }));
            parts.sort_unstable_by_key(|part| part.number);
            parts.dedup_by_key(|part| part.number);
            let went_on = found.next_part_number_marker.is_some() && parts.len() > before;
            if !found.is_truncated || !went_on {
                return Ok(parts);
            }
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>
    pub(super) async fn list_uploads(
        &self,
        prefix: &str,
        after: Option<&Pending>,
    ) -> Result<Vec<Pending>, BucketError> {
        let mut call = Call::new(Method::GET, None).query("uploads", "").query("prefix", prefix);
        if let Some(after) = after {
            call = call.query("key-marker", &after.key).query("upload-id-marker", &after.upload);
        }
        let found: ListMultipartUploadsResult = parse(&self.ask(call).await?)?;
        let pending = found.upload.into_iter().map(|upload| Pending {
            // One whose age cannot be read counts as new: it is not for the purge.
            initiated: humantime::parse_rfc3339_weak(&upload.initiated).unwrap_or_else(|_| SystemTime::now()),
            key: upload.key,
            upload: upload.upload_id,
        });
        Ok(pending.filter(|found| after.is_none_or(|after| *found != *after)).collect())
    }
}

/// The folded key that a listing goes on after: nothing of what is in it is to come.
fn folded_before<'a>(request: &ListKeys<'a>) -> Option<&'a str> {
    let after = request.after.filter(|_| request.fold)?;
    let inside = after.strip_prefix(request.prefix)?.find('/')?;
    after.get(..=request.prefix.len() + inside)
}

/// Services differ in whether they fold what is left of `dir/` to it once more, so nothing is left.
fn start_after<'a>(request: &ListKeys<'a>) -> Option<Cow<'a, str>> {
    match folded_before(request) {
        Some(folded) => Some(format!("{folded}\u{10ffff}").into()),
        None => request.after.map(Into::into),
    }
}

fn page(found: ListBucketResult, request: &ListKeys<'_>) -> KeyPage {
    let objects = found.contents.into_iter().map(|object| Key { key: object.key, size: Some(object.size) });
    let folded = found.common_prefixes.into_iter().map(|prefix| Key { key: prefix.prefix, size: None });
    let before = folded_before(request);
    let wanted = |key: &Key| {
        request.after.is_none_or(|after| key.key.as_str() > after)
            && before.is_none_or(|folded| !key.key.starts_with(folded))
    };
    let mut keys: Vec<Key> = objects.chain(folded).filter(wanted).collect();
    keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    KeyPage { keys, more: found.is_truncated }
}

#[cfg(test)]
mod tests {
    //! How listings are read.

    use super::*;

    fn request<'a>(after: Option<&'a str>, fold: bool) -> ListKeys<'a> {
        ListKeys { prefix: "", fold, after, limit: 10 }
    }

    #[test]
    fn objects_and_folded_keys_are_in_one_order() {
        let xml =
            b"<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Name>b</Name><Prefix></Prefix><KeyCount>4</KeyCount><IsTruncated>true</IsTruncated>\
            <Contents><Key>a&amp;b</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
            <ETag>&quot;x&quot;</ETag><Size>12</Size><StorageClass>STANDARD</StorageClass></Contents>\
            <CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>\
            <Contents><Key>a0</Key><Size>0</Size></Contents>\
            <CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes></ListBucketResult>";
        let found = page(parse(xml).unwrap(), &request(None, true));
        assert!(found.more);
        let keys: Vec<_> = found.keys.iter().map(|key| (key.key.as_str(), key.size)).collect();
        assert_eq!(keys, [("a&b", Some(12)), ("a/", None), ("a0", Some(0)), ("b/", None)]);
    }

    #[test]
    fn an_empty_listing_is_one() {
        let found: ListBucketResult = parse(b"<ListBucketResult><Name>b</Name></ListBucketResult>").unwrap();
        assert_eq!(page(found, &request(None, false)), KeyPage::default());
        assert!(parse::<ListBucketResult>(b"no xml").is_err());
    }

    #[test]
    fn after_a_folded_key_comes_nothing_of_it() {
        let after = |prefix, after, fold| {
            let request = ListKeys { prefix, fold, after: Some(after), limit: 10 };
            start_after(&request).unwrap().into_owned()
        };
        assert_eq!(after("", "a/", true), "a/\u{10ffff}");
        assert_eq!(after("", "a/b/c", true), "a/\u{10ffff}");
        assert_eq!(after("a/", "a/", true), "a/");
        assert_eq!(after("", "a/", false), "a/");
        assert_eq!(after("", "a", true), "a");
        // A service that folds the rest to the same key again.
        let folded = CommonPrefix { prefix: "a/".to_owned() };
        let found = ListBucketResult { common_prefixes: vec![folded], ..Default::default() };
        assert_eq!(page(found, &request(Some("a/"), true)).keys, []);
    }
}
