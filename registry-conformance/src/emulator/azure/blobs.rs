//! The operations on blobs.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/operations-on-blobs>

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::header::{self, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use s3s::Body;
use s3s::dto::{Range, StreamingBlob, Timestamp, TimestampFormat};

use super::super::BUCKET;
use super::super::bucket::{Attributes, Bucket, Condition, Object};
use super::super::data::Data;
use super::super::log::{Kind, decode, parameter};
use super::super::server::{Error, ShortListing};
use super::{Refused, batch, list, xml};

/// A block of a blob: its identifier in base64, and its bytes.
type Block = (String, Data);
type Done = Result<Response<Body>, Refused>;

pub(super) struct Blobs {
    pub(super) bucket: Arc<Bucket>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The identifiers of the parts of the upload of each blob, in the order in which they came.
    uncommitted: HashMap<String, Vec<String>>,
    /// What a blob was put together from, with the tag that it had then.
    committed: HashMap<String, (String, Vec<Block>)>,
    /// How often each copy is still said to be pending.
    copies: HashMap<String, u32>,
}

impl Blobs {
    pub(super) fn new(bucket: Arc<Bucket>) -> Self {
        Self { bucket, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn call(
        &self,
        kind: Kind,
        key: &str,
        request: http::Request<Body>,
    ) -> Result<Done, Error> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or("");
        let headers = &parts.headers;
        Ok(match kind {
            Kind::Bucket => Ok(Response::new(Body::empty())),
            Kind::List => {
                let most = parts.extensions.get::<ShortListing>().map_or(usize::MAX, |short| short.0);
                Ok(list::answer(&self.bucket, query, most))
            }
            Kind::DeleteObjects => batch::answer(self, headers, body).await?,
            Kind::Get => self.get(key, headers),
            Kind::Head => self.head(key),
            Kind::Delete => self.delete(key),
            Kind::Put => {
                let data = self.bucket.area.receive(StreamingBlob::from(body)).await?;
                self.put(key, headers, data)
            }
            Kind::Copy => self.copy(key, headers),
            Kind::UploadPart => {
                let data = self.bucket.area.receive(StreamingBlob::from(body)).await?;
                self.put_block(key, query, data)
            }
            Kind::UploadPartCopy => self.put_block_from(key, query, headers),
            Kind::Complete => self.commit(key, headers, &body.collect().await?.to_bytes()),
            Kind::ListParts => self.blocks(key, query),
            _ => Err(Refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented")),
        })
    }

    fn get(&self, key: &str, headers: &HeaderMap) -> Done {
        let object = self.bucket.get(key)?;
        let whole = object.data.length();
        let range = headers.get("x-ms-range").or(headers.get(RANGE)).and_then(|value| value.to_str().ok());
        let range = match range.map(Range::parse) {
            None => None,
            Some(Ok(range @ Range::Int { .. })) => Some(range.check(whole)),
            // Azure knows no suffix.
            Some(_) => return Err(Refused(StatusCode::BAD_REQUEST, "InvalidHeaderValue")),
        };
        let mut answer = Response::builder();
        let range = match range {
            None => 0..whole,
            Some(Err(_)) => return Err(Refused(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange")),
            Some(Ok(range)) => {
                let said = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
                answer = answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, said);
                range
            }
        };
        answer = answer.header(header::CONTENT_LENGTH, range.end - range.start);
        let data = object.data.slice(range);
        let body = Body::from(StreamingBlob::wrap(data.read()));
        self.described(key, &object, answer, body)
    }

    fn head(&self, key: &str) -> Done {
        let object = self.bucket.get(key)?;
        let answer = Response::builder().header(header::CONTENT_LENGTH, object.data.length());
        self.described(key, &object, answer, Body::empty())
    }

    /// An answer with everything that is known of a blob.
    fn described(&self, key: &str, object: &Object, answer: http::response::Builder, body: Body) -> Done {
        let said = &object.attributes;
        let mut answer = written(answer, object)
            .header("x-ms-blob-type", "BlockBlob")
            .header("accept-ranges", "bytes")
            .header(header::CONTENT_TYPE, said.content_type.as_deref().unwrap_or("application/octet-stream"));
        let more = [
            (header::CONTENT_DISPOSITION, &said.content_disposition),
            (header::CONTENT_ENCODING, &said.content_encoding),
            (header::CONTENT_LANGUAGE, &said.content_language),
            (header::CACHE_CONTROL, &said.cache_control),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                answer = answer.header(name, value);
            }
        }
        for (name, value) in said.metadata.iter().flatten() {
            answer = answer.header(format!("x-ms-meta-{name}"), value);
        }
        if let Some(left) = self.state().copies.get_mut(key) {
            answer = answer.header("x-ms-copy-status", if *left > 0 { "pending" } else { "success" });
            *left = left.saturating_sub(1);
        }
        answer.body(body).map_err(|_| Refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"))
    }

    fn put(&self, key: &str, headers: &HeaderMap, data: Data) -> Done {
        let object = self.bucket.put(key, data, attributes(headers), &condition(headers)?);
        let object = object.map_err(|refusal| taken(headers, refusal.into()))?;
        self.forget(key);
        created(&object)
    }

    /// Drops what was known of an earlier blob of this name: uncommitted blocks go with it.
    fn forget(&self, key: &str) {
        let mut state = self.state();
        state.uncommitted.remove(key);
        state.committed.remove(key);
        state.copies.remove(key);
        let _ = self.bucket.abort(key, "");
    }

    pub(super) fn delete(&self, key: &str) -> Done {
        if !self.bucket.delete(key) {
            return Err(Refused(StatusCode::NOT_FOUND, "BlobNotFound"));
        }
        self.forget(key);
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::ACCEPTED;
        Ok(answer)
    }

    fn copy(&self, key: &str, headers: &HeaderMap) -> Done {
        let from = source(headers)?;
        let object = self.bucket.copy(&from, key, None, None, &condition(headers)?);
        let object = object.map_err(|refusal| taken(headers, refusal.into()))?;
        self.forget(key);
        let pending = self.bucket.options.pending_copies;
        self.state().copies.insert(key.to_owned(), pending);
        let answer = Response::builder()
            .status(StatusCode::ACCEPTED)
            .header("x-ms-copy-id", &object.tag)
            .header("x-ms-copy-status", if pending > 0 { "pending" } else { "success" });
        empty(written(answer, &object))
    }

    fn put_block(&self, key: &str, query: &str, data: Data) -> Done {
        let id = parameter(query, "blockid").unwrap_or_default();
        let mut state = self.state();
        let known = state.uncommitted.entry(key.to_owned()).or_default();
        if id.is_empty() || known.first().is_some_and(|first| first.len() != id.len()) {
            return Err(Refused(StatusCode::BAD_REQUEST, "InvalidBlobOrBlock"));
        }
        let index = known.iter().position(|known| *known == id).unwrap_or_else(|| {
            known.push(id);
            known.len() - 1
        });
        self.bucket.start_upload(key, String::new(), Attributes::default());
        let number = i32::try_from(index).unwrap_or(i32::MAX);
        self.bucket.put_part(key, "", number, data)?;
        empty(Response::builder().status(StatusCode::CREATED))
    }

    fn put_block_from(&self, key: &str, query: &str, headers: &HeaderMap) -> Done {
        let object = self.bucket.get(&source(headers)?)?;
        let range = headers.get("x-ms-source-range").and_then(|value| value.to_str().ok());
        let range = match range {
            None => 0..object.data.length(),
            Some(text) => Range::parse(text)
                .ok()
                .and_then(|range| range.check(object.data.length()).ok())
                .ok_or(Refused(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"))?,
        };
        if range.end - range.start > self.bucket.options.max_copy {
            return Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge"));
        }
        self.put_block(key, query, object.data.slice(range))
    }

    /// The blocks of a blob that are not in it yet, in the order in which they came, and those that are.
    fn known(&self, state: &State, key: &str) -> (Vec<Block>, Vec<Block>) {
        let parts = self.bucket.parts(key, "").unwrap_or_default();
        let ids = state.uncommitted.get(key).into_iter().flatten().cloned();
        let uncommitted = ids.zip(parts.into_values().map(|part| part.data)).collect();
        let now = self.bucket.get(key).map(|object| object.tag).ok();
        let committed = state.committed.get(key).filter(|(tag, _)| Some(tag) == now.as_ref());
        (uncommitted, committed.map(|(_, blocks)| blocks.clone()).unwrap_or_default())
    }

    fn commit(&self, key: &str, headers: &HeaderMap, body: &[u8]) -> Done {
        let mut state = self.state();
        let (uncommitted, committed) = self.known(&state, key);
        let find = |blocks: &[Block], id: &str| blocks.iter().find(|(known, _)| known == id).cloned();
        let mut chosen = Vec::new();
        for (place, id) in named(&String::from_utf8_lossy(body)) {
            let block = match place.as_str() {
                "Uncommitted" => find(&uncommitted, &id),
                "Committed" => find(&committed, &id),
                _ => find(&uncommitted, &id).or_else(|| find(&committed, &id)),
            };
            chosen.push(block.ok_or(Refused(StatusCode::BAD_REQUEST, "InvalidBlockList"))?);
        }
        let data = Data::concat(&self.bucket.area, chosen.iter().map(|(_, data)| data.clone()));
        let object = self.bucket.write(key, data, attributes(headers), &condition(headers)?);
        let object = object.map_err(|refusal| taken(headers, refusal.into()))?;
        let _ = self.bucket.abort(key, "");
        state.uncommitted.remove(key);
        state.copies.remove(key);
        state.committed.insert(key.to_owned(), (object.tag.clone(), chosen));
        created(&object)
    }

    fn blocks(&self, key: &str, query: &str) -> Done {
        let (uncommitted, committed) = self.known(&self.state(), key);
        if uncommitted.is_empty() && self.bucket.get(key).is_err() {
            return Err(Refused(StatusCode::NOT_FOUND, "BlobNotFound"));
        }
        let wanted = parameter(query, "blocklisttype").unwrap_or_else(|| "committed".to_owned());
        let section = |name: &str, blocks: &[Block]| {
            if wanted != "all" && !wanted.eq_ignore_ascii_case(name) {
                return String::new();
            }
            let blocks = blocks
                .iter()
                .map(|(id, data)| format!("<Block><Name>{id}</Name><Size>{}</Size></Block>", data.length()));
            format!("<{name}Blocks>{}</{name}Blocks>", blocks.collect::<String>())
        };
        let sections = section("Committed", &committed) + &section("Uncommitted", &uncommitted);
        Ok(xml(format!("<BlockList>{sections}</BlockList>")))
    }
}

fn empty(answer: http::response::Builder) -> Done {
    let answer = answer.header(header::CONTENT_LENGTH, 0).body(Body::empty());
    answer.map_err(|_| Refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"))
}

fn created(object: &Object) -> Done {
    empty(written(Response::builder().status(StatusCode::CREATED), object))
}

fn written(answer: http::response::Builder, object: &Object) -> http::response::Builder {
    answer
        .header(header::ETAG, format!("\"{}\"", object.tag))
        .header(header::LAST_MODIFIED, http_date(object.modified))
}

pub(super) fn http_date(time: SystemTime) -> String {
    let mut text = Vec::new();
    let _ = Timestamp::from(time).format(TimestampFormat::HttpDate, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn condition(headers: &HeaderMap) -> Result<Condition, Refused> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(IF_MATCH), text(IF_NONE_MATCH)) {
        (None, None) => Ok(Condition::None),
        (None, Some("*")) => Ok(Condition::Absent),
        (Some("*"), None) => Ok(Condition::Present),
        (Some(tag), None) => Ok(Condition::Tag(tag.trim_matches('"').to_owned())),
        _ => Err(Refused(StatusCode::BAD_REQUEST, "InvalidHeaderValue")),
    }
}

/// Azure has a name of its own for a blob that is there and must not be.
fn taken(headers: &HeaderMap, refused: Refused) -> Refused {
    if refused.0 == StatusCode::PRECONDITION_FAILED && headers.contains_key(IF_NONE_MATCH) {
        return Refused(StatusCode::CONFLICT, "BlobAlreadyExists");
    }
    refused
}

/// The blob that a copy takes from, of this container.
fn source(headers: &HeaderMap) -> Result<String, Refused> {
    let url = headers.get("x-ms-copy-source").and_then(|value| value.to_str().ok()).unwrap_or("");
    let path = url.split('?').next().unwrap_or("");
    let key = path.split_once(&format!("/{BUCKET}/")).map(|(_, key)| decode(key));
    key.ok_or(Refused(StatusCode::NOT_FOUND, "CannotVerifyCopySource"))
}

fn attributes(headers: &HeaderMap) -> Attributes {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let metadata = headers.iter().filter_map(|(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().strip_prefix("x-ms-meta-")?.to_owned(), value.to_str().ok()?.to_owned()))
    });
    Attributes {
        content_type: text("x-ms-blob-content-type").or_else(|| text("content-type")),
        content_disposition: text("x-ms-blob-content-disposition"),
        content_encoding: text("x-ms-blob-content-encoding"),
        content_language: text("x-ms-blob-content-language"),
        cache_control: text("x-ms-blob-cache-control"),
        storage_class: text("x-ms-access-tier"),
        metadata: Some(metadata.collect()),
        ..Attributes::default()
    }
}

/// The places and identifiers in a block list.
fn named(text: &str) -> Vec<(String, String)> {
    let elements = text.split('<').filter_map(|element| element.split_once('>'));
    elements
        .filter(|(name, _)| matches!(*name, "Latest" | "Committed" | "Uncommitted"))
        .map(|(name, id)| (name.to_owned(), id.trim().to_owned()))
        .collect()
}
