//! Listings that begin anywhere.
//!
//! Since its version 2026-02-06 the service begins a listing at a name (`startFrom`, which it includes). Older
//! ones and emulators do not know that and begin at the beginning: then what comes before is read and passed
//! over. So that reading page after page does not begin at the beginning each time, the marker with which the
//! service goes on after a page is kept for whoever asks for what comes after the last key of that page.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use http::{Request, StatusCode};
use object_store::client::{HttpError, HttpErrorKind};
use serde::Deserialize;

use super::super::http::refusal;
use super::super::object::bucket_error;
use super::super::store::{BucketError, Key, KeyPage, ListKeys};
use super::super::text::percent;
use super::super::xml;
use super::api::Api;

/// The version that begins anywhere.
const STARTS_ANYWHERE: &str = "2026-02-06";
/// How many listings can be gone on with by their marker.
const KEPT: usize = 64;

/// How far listings have come, and whether the service begins anywhere.
#[derive(Debug, Default)]
pub(super) struct Listings {
    from_the_beginning: AtomicBool,
    markers: Mutex<VecDeque<Place>>,
}

#[derive(Debug)]
struct Place {
    prefix: String,
    fold: bool,
    /// The last key before.
    after: String,
    marker: String,
}

impl Listings {
    pub(super) async fn list(&self, api: &Api, request: &ListKeys<'_>) -> Result<KeyPage, BucketError> {
        let mut marker = request.after.and_then(|after| self.known(request, after));
        let mut start = request.after.filter(|_| marker.is_none());
        start = start.filter(|_| !self.from_the_beginning.load(Ordering::Relaxed));
        loop {
            let asked = Asked { marker: marker.as_deref(), start, uncommitted: false };
            let page = match Page::ask(api, request, &asked).await {
                Ok(page) => page,
                // A version that it does not know.
                Err(error) if start.is_some() && is_bad_request(&error) => {
                    self.from_the_beginning.store(true, Ordering::Relaxed);
                    start = None;
                    continue;
                }
                Err(error) => return Err(bucket_error(error)),
            };
            if start.is_some_and(|start| page.begins_before(start)) {
                self.from_the_beginning.store(true, Ordering::Relaxed);
            }
            start = None;
            let (mut keys, next) = page.keys();
            keys.retain(|key| request.after.is_none_or(|after| key.key.as_str() > after));
            match (keys.last(), next) {
                (None, Some(next)) => marker = Some(next),
                (Some(last), Some(next)) => {
                    self.keep(request, &last.key, next);
                    return Ok(KeyPage { keys, more: true });
                }
                (_, None) => return Ok(KeyPage { keys, more: false }),
            }
        }
    }

    /// The blobs whose names begin with a prefix, with those that only have blocks yet. For each page the names
    /// of those that may have some.
    pub(super) async fn unfinished(
        &self,
        api: &Api,
        request: &ListKeys<'_>,
        marker: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), BucketError> {
        let asked = Asked { marker, start: None, uncommitted: true };
        let page = Page::ask(api, request, &asked).await.map_err(bucket_error)?;
        let (keys, next) = page.keys();
        // Nothing says of a blob that it only has blocks, but it has no content then.
        let empty = keys.into_iter().filter(|key| key.size == Some(0));
        Ok((empty.map(|key| key.key).collect(), next))
    }

    /// The marker that goes on after a key.
    fn known(&self, request: &ListKeys<'_>, after: &str) -> Option<String> {
        let markers = self.markers.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |place: &&Place| {
            place.after == after && place.prefix == request.prefix && place.fold == request.fold
        };
        markers.iter().find(fits).map(|place| place.marker.clone())
    }

    fn keep(&self, request: &ListKeys<'_>, after: &str, marker: String) {
        let mut markers = self.markers.lock().unwrap_or_else(PoisonError::into_inner);
        if markers.len() >= KEPT {
            markers.pop_front();
        }
        let (prefix, after) = (request.prefix.to_owned(), after.to_owned());
        markers.push_back(Place { prefix, fold: request.fold, after, marker });
    }
}

fn is_bad_request(error: &HttpError) -> bool {
    refusal(error).is_some_and(|refused| refused.status == StatusCode::BAD_REQUEST)
}

/// Which page is asked for.
#[derive(Debug, Default)]
struct Asked<'a> {
    marker: Option<&'a str>,
    start: Option<&'a str>,
    uncommitted: bool,
}

/// A page as the service writes it (<https://learn.microsoft.com/rest/api/storageservices/list-blobs>).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    blobs: Blobs,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Blobs {
    #[serde(rename = "$value", default)]
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
enum Item {
    Blob(Blob),
    BlobPrefix(Prefix),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blob {
    name: String,
    #[serde(default)]
    properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Properties {
    #[serde(rename = "Content-Length")]
    length: Option<u64>,
    #[serde(rename = "ResourceType")]
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Prefix {
    name: String,
}

impl Page {
    async fn ask(api: &Api, request: &ListKeys<'_>, asked: &Asked<'_>) -> Result<Self, HttpError> {
        let mut url = format!(
            "{}?restype=container&comp=list&maxresults={}&prefix={}",
            api.container(),
            request.limit,
            percent(request.prefix)
        );
        let more = [("marker", asked.marker), ("startFrom", asked.start)];
        let more = more.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let fold = request.fold.then_some(("delimiter", "/"));
        let include = asked.uncommitted.then_some(("include", "uncommittedblobs"));
        for (name, value) in more.chain(fold).chain(include) {
            url.push_str(&format!("&{name}={}", percent(value)));
        }
        let mut ask = Request::get(url);
        if asked.start.is_some() {
            ask = ask.header("x-ms-version", STARTS_ANYWHERE);
        }
        let answer = api.ask(ask).await?;
        Self::parse(answer.body())
    }

    fn parse(body: &[u8]) -> Result<Self, HttpError> {
        xml::parse(body).map_err(|error| HttpError::new(HttpErrorKind::Decode, error))
    }

    /// Whether it has something that comes before what it should begin with.
    fn begins_before(&self, start: &str) -> bool {
        match self.blobs.items.first() {
            Some(Item::Blob(blob)) => blob.name.as_str() < start,
            // What is folded may reach beyond.
            Some(Item::BlobPrefix(prefix)) => {
                prefix.name.as_str() < start && !start.starts_with(&prefix.name)
            }
            None => false,
        }
    }

    /// The keys, in order, and the marker of the next page.
    fn keys(self) -> (Vec<Key>, Option<String>) {
        let items = self.blobs.items.into_iter().filter_map(|item| match item {
            Item::BlobPrefix(prefix) => Some(Key { key: prefix.name, size: None }),
            // Accounts with a hierarchical namespace have directories, which are no files.
            Item::Blob(blob) if blob.properties.kind.as_deref() == Some("directory") => None,
            Item::Blob(blob) => Some(Key { key: blob.name, size: Some(blob.properties.length.unwrap_or(0)) }),
        });
        let mut keys: Vec<Key> = items.collect();
        keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        (keys, self.next_marker.filter(|marker| !marker.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    //! Pages as the service writes them.

    use super::*;

    #[test]
    fn a_page_has_blobs_and_prefixes_in_one_row() {
        let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\
            <EnumerationResults ServiceEndpoint=\"https://a.blob.core.windows.net/\" ContainerName=\"c\">\
            <Prefix>p/</Prefix><MaxResults>4</MaxResults><Delimiter>/</Delimiter><Blobs>\
            <Blob><Name>p/a</Name><Properties><Content-Length>8</Content-Length>\
            <BlobType>BlockBlob</BlobType></Properties><OrMetadata /></Blob>\
            <BlobPrefix><Name>p/b/</Name></BlobPrefix>\
            <Blob><Name>p/c</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>\
            <Blob><Name>p/d</Name><Properties><Content-Length>0</Content-Length></Properties></Blob>\
            <BlobPrefix><Name>p/e/</Name></BlobPrefix></Blobs><NextMarker>2!8!</NextMarker></EnumerationResults>";
        let page = Page::parse(body.as_bytes()).unwrap();
        assert!(page.begins_before("p/b"));
        assert!(!page.begins_before("p/a"));
        let (keys, next) = page.keys();
        let short: Vec<_> = keys.iter().map(|key| (key.key.as_str(), key.size)).collect();
        assert_eq!(short, [("p/a", Some(8)), ("p/b/", None), ("p/d", Some(0)), ("p/e/", None)]);
        assert_eq!(next.as_deref(), Some("2!8!"));
    }

    #[test]
    fn a_folded_directory_reaches_beyond_its_own_name() {
        let page = Page::parse(
            b"<EnumerationResults><Blobs><BlobPrefix><Name>p/b/</Name></BlobPrefix></Blobs><NextMarker />\
              </EnumerationResults>",
        )
        .unwrap();
        assert!(!page.begins_before("p/b/x"));
        assert!(page.begins_before("p/c"));
        assert_eq!(page.keys().1, None);
    }

    #[test]
    fn a_page_may_be_empty() {
        for body in [&b"<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>"[..], b"<X/>"] {
            assert_eq!(Page::parse(body).unwrap().keys(), (Vec::new(), None));
        }
    }
}
