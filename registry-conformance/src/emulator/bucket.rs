//! What a bucket holds and how it changes, whatever the protocol: names in byte order, every change at once and
//! seen by everybody, uploads in parts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::data::{Area, Data};
use super::options::Options;

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NoSuchKey,
    NoSuchUpload,
    InvalidPart,
    InvalidPartOrder,
    EntityTooSmall,
    EntityTooLarge,
    CopyTooLarge,
    PreconditionFailed,
}

/// What has to hold for a write.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    None,
    Absent,
    Present,
    Tag(String),
}

/// What a writer said about an object, kept and given back.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    pub(super) content_type: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) storage_class: Option<String>,
    pub(super) encryption: Option<String>,
    pub(super) encryption_key: Option<String>,
    pub(super) metadata: Option<HashMap<String, String>>,
}

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) data: Data,
    /// Opaque and new with each write: what holds for it holds for digests too.
    pub(super) tag: String,
    pub(super) modified: SystemTime,
    pub(super) attributes: Attributes,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) data: Data,
    pub(super) tag: String,
    pub(super) modified: SystemTime,
}

#[derive(Debug)]
struct Upload {
    attributes: Attributes,
    started: SystemTime,
    parts: BTreeMap<i32, Part>,
}

/// The tag of the nth write.
pub(super) fn tag(number: u64) -> String {
    format!("{:032x}", u128::from(number) | (0xe7a6 << 112))
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Object>,
    /// By key and identifier, the order in which they are listed.
    uploads: BTreeMap<(String, String), Upload>,
    tags: u64,
}

impl State {
    fn tag(&mut self) -> String {
        self.tags += 1;
        tag(self.tags)
    }

    fn put(&mut self, key: &str, data: Data, attributes: Attributes) -> Object {
        let object = Object { data, tag: self.tag(), modified: SystemTime::now(), attributes };
        self.objects.insert(key.to_owned(), object.clone());
        object
    }
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Object)>,
    pub(super) prefixes: Vec<String>,
    /// The last name of this page, if there are more.
    pub(super) next: Option<String>,
}

/// An upload that is neither complete nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The object that is going to be.
    pub key: String,
    /// The name of the upload.
    pub id: String,
    /// The bytes in its parts.
    pub bytes: u64,
    pub(super) started: SystemTime,
}

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) area: Arc<Area>,
    pub(super) options: Options,
    state: Mutex<State>,
}

impl Bucket {
    pub(super) fn new(options: Options) -> std::io::Result<Self> {
        Ok(Self { area: Arc::new(Area::new()?), options, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, state: &State, key: &str, condition: &Condition) -> Result<(), Refusal> {
        if self.options.ignores_conditions {
            return Ok(());
        }
        let present = state.objects.get(key);
        let holds = match condition {
            Condition::None => true,
            Condition::Absent => present.is_none(),
            Condition::Present => present.is_some(),
            Condition::Tag(tag) => present.is_some_and(|object| object.tag == *tag),
        };
        holds.then_some(()).ok_or(Refusal::PreconditionFailed)
    }

    pub(super) fn get(&self, key: &str) -> Result<Object, Refusal> {
        self.state().objects.get(key).cloned().ok_or(Refusal::NoSuchKey)
    }

    pub(super) fn put(
        &self,
        key: &str,
        data: Data,
        attributes: Attributes,
        condition: &Condition,
    ) -> Result<Object, Refusal> {
        if data.length() > self.options.max_put {
            return Err(Refusal::EntityTooLarge);
        }
        self.write(key, data, attributes, condition)
    }

    /// The same for bytes that did not come in one request.
    pub(super) fn write(
        &self,
        key: &str,
        data: Data,
        attributes: Attributes,
        condition: &Condition,
    ) -> Result<Object, Refusal> {
        let mut state = self.state();
        self.holds(&state, key, condition)?;
        Ok(state.put(key, data, attributes))
    }

    /// Whether there was one.
    pub(super) fn delete(&self, key: &str) -> bool {
        self.state().objects.remove(key).is_some()
    }

    /// Gives `to` the bytes of `from`, with `attributes` or those of the original. A storage class is not copied.
    pub(super) fn copy(
        &self,
        from: &str,
        to: &str,
        attributes: Option<Attributes>,
        storage_class: Option<String>,
        condition: &Condition,
    ) -> Result<Object, Refusal> {
        let mut state = self.state();
        let source = state.objects.get(from).cloned().ok_or(Refusal::NoSuchKey)?;
        if source.data.length() > self.options.max_copy {
            return Err(Refusal::CopyTooLarge);
        }
        self.holds(&state, to, condition)?;
        let attributes = attributes.unwrap_or(source.attributes);
        Ok(state.put(to, source.data, Attributes { storage_class, ..attributes }))
    }

    /// At most `max` names and prefixes that sort after `after`, in byte order.
    pub(super) fn list(&self, prefix: &str, delimiter: &str, after: &str, max: usize) -> Page {
        let state = self.state();
        let mut page = Page::default();
        let mut last: Option<String> = None;
        let mut from = if after > prefix { after.to_owned() } else { prefix.to_owned() };
        loop {
            let next = state.objects.range(from.clone()..).find(|(key, _)| key.as_str() > after);
            let Some((key, object)) = next.filter(|(key, _)| key.starts_with(prefix)) else {
                break;
            };
            let rest = &key[prefix.len()..];
            let folded = match rest.find(delimiter) {
                Some(at) if !delimiter.is_empty() => Some(&key[..prefix.len() + at + delimiter.len()]),
                _ => None,
            };
            let skipped = folded.is_some_and(|folded| folded <= after);
            if !skipped {
                if page.objects.len() + page.prefixes.len() == max {
                    page.next = last;
                    break;
                }
                last = Some(folded.unwrap_or(key).to_owned());
                match folded {
                    Some(folded) => page.prefixes.push(folded.to_owned()),
                    None => page.objects.push((key.clone(), object.clone())),
                }
            }
            // Behind this name, or behind everything that the prefix stands for.
            from = match folded {
                Some(folded) => format!("{folded}\u{10ffff}"),
                None => format!("{key}\0"),
            };
        }
        page
    }

    /// A name for an upload that no other has.
    pub(super) fn upload_id(&self) -> String {
        let mut state = self.state();
        format!("upload.{}", state.tag())
    }

    pub(super) fn start_upload(&self, key: &str, id: String, attributes: Attributes) -> String {
        let mut state = self.state();
        let upload = Upload { attributes, started: SystemTime::now(), parts: BTreeMap::new() };
        state.uploads.entry((key.to_owned(), id.clone())).or_insert(upload);
        id
    }

    pub(super) fn has_upload(&self, key: &str, id: &str) -> Result<(), Refusal> {
        let there = self.state().uploads.contains_key(&(key.to_owned(), id.to_owned()));
        there.then_some(()).ok_or(Refusal::NoSuchUpload)
    }

    pub(super) fn put_part(&self, key: &str, id: &str, number: i32, data: Data) -> Result<Part, Refusal> {
        let mut state = self.state();
        let tag = state.tag();
        let upload = state.uploads.get_mut(&(key.to_owned(), id.to_owned())).ok_or(Refusal::NoSuchUpload)?;
        if data.length() > self.options.max_put {
            return Err(Refusal::EntityTooLarge);
        }
        let part = Part { data, tag, modified: SystemTime::now() };
        upload.parts.insert(number, part.clone());
        Ok(part)
    }

    pub(super) fn parts(&self, key: &str, id: &str) -> Result<BTreeMap<i32, Part>, Refusal> {
        let state = self.state();
        let upload = state.uploads.get(&(key.to_owned(), id.to_owned())).ok_or(Refusal::NoSuchUpload)?;
        Ok(upload.parts.clone())
    }

    /// Makes the object of the named parts. When it is refused the upload is as before.
    pub(super) fn complete(
        &self,
        key: &str,
        id: &str,
        named: &[(i32, Option<String>)],
        condition: &Condition,
    ) -> Result<Object, Refusal> {
        let mut state = self.state();
        let name = (key.to_owned(), id.to_owned());
        let upload = state.uploads.get(&name).ok_or(Refusal::NoSuchUpload)?;
        if named.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(Refusal::InvalidPartOrder);
        }
        let mut chosen = Vec::new();
        for (index, (number, tag)) in named.iter().enumerate() {
            let part = upload.parts.get(number).ok_or(Refusal::InvalidPart)?;
            if tag.as_ref().is_some_and(|tag| *tag != part.tag) {
                return Err(Refusal::InvalidPart);
            }
            if index + 1 < named.len() && part.data.length() < self.options.min_part {
                return Err(Refusal::EntityTooSmall);
            }
            chosen.push(part.data.clone());
        }
        if chosen.is_empty() {
            return Err(Refusal::InvalidPart);
        }
        self.holds(&state, key, condition)?;
        let attributes = upload.attributes.clone();
        state.uploads.remove(&name);
        let count = chosen.len();
        let mut object = state.put(key, Data::concat(&self.area, chosen), attributes);
        object.tag = format!("{}-{count}", object.tag);
        state.objects.insert(key.to_owned(), object.clone());
        Ok(object)
    }

    pub(super) fn abort(&self, key: &str, id: &str) -> Result<(), Refusal> {
        let removed = self.state().uploads.remove(&(key.to_owned(), id.to_owned()));
        removed.map(drop).ok_or(Refusal::NoSuchUpload)
    }

    /// Every upload under way, by key and identifier.
    pub(super) fn pending(&self) -> Vec<Pending> {
        let state = self.state();
        let uploads = state.uploads.iter();
        uploads
            .map(|((key, id), upload)| Pending {
                key: key.clone(),
                id: id.clone(),
                bytes: upload.parts.values().map(|part| part.data.length()).sum(),
                started: upload.started,
            })
            .collect()
    }

    /// Every name with its length.
    pub(super) fn names(&self) -> Vec<(String, u64)> {
        self.state().objects.iter().map(|(key, object)| (key.clone(), object.data.length())).collect()
    }
}
