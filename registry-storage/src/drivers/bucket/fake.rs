//! A bucket in memory, which is as strict as S3, logs what it is asked and fails when it is told to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::Uri;
use registry_core::{RedirectHint, StoragePath};
use tokio::sync::Notify;

use super::driver::BucketDriver;
use super::options::BucketOptions;
use super::store::{
    Bucket, BucketError, GetRange, Key, KeyPage, Limits, ListKeys, Object, ObjectMeta, Part, Pending,
};

/// The least size of a part: small, so that tests are.
pub(super) const MIN_PART: usize = 5 << 10;

/// The size that parts begin with.
pub(super) const PART: usize = 8 << 10;

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not done.
    NotDone,
    /// It is done, and nobody is told.
    LostAnswer,
    /// It is not done and not answered: the process is gone, or the client, until it is
    /// [given up](FakeBucket::give_up).
    Gone,
    /// It is done and not answered.
    GoneAfter,
}

impl Fault {
    pub(super) const ALL: [Self; 4] = [Self::NotDone, Self::LostAnswer, Self::Gone, Self::GoneAfter];
}

#[derive(Debug)]
pub(super) struct FakeBucket {
    limits: Limits,
    copies_parts: bool,
    state: Mutex<State>,
    given_up: Notify,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, (Bytes, SystemTime)>,
    uploads: BTreeMap<String, Upload>,
    begun: u64,
    log: Vec<String>,
    /// After how many more requests one fails, and how.
    fault: Option<(usize, Fault)>,
    struck: bool,
}

#[derive(Debug)]
struct Upload {
    key: String,
    parts: BTreeMap<u32, (Bytes, String)>,
    initiated: SystemTime,
}

impl FakeBucket {
    /// What waits for an answer that does not come waits no longer.
    pub(super) fn give_up(&self) {
        self.given_up.notify_waiters();
    }

    pub(super) fn new() -> Arc<Self> {
        Self::with(true, true)
    }

    /// One that can or cannot list uploads, and make parts of objects.
    pub(super) fn with(lists_uploads: bool, copies_parts: bool) -> Arc<Self> {
        let limits = Limits {
            min_part: MIN_PART as u64,
            max_parts: 10_000,
            part: PART as u64,
            page: 1000,
            lists_uploads,
            starts_anywhere: true,
            creates: true,
        };
        Arc::new(Self { limits, copies_parts, state: Mutex::default(), given_up: Notify::new() })
    }

    /// A driver over this, as a process that has just started has it.
    pub(super) fn driver(self: &Arc<Self>) -> BucketDriver {
        self.driver_with_memory(1 << 20)
    }

    pub(super) fn driver_with_memory(self: &Arc<Self>, memory: u64) -> BucketDriver {
        let mut options = BucketOptions::new("bucket");
        options.root = "/root/".to_owned();
        options.memory = memory;
        BucketDriver::over(Arc::clone(self) as Arc<dyn Bucket>, &options)
    }

    /// What was asked since the last time, without keys.
    pub(super) fn asked(&self) -> Vec<String> {
        let log = std::mem::take(&mut self.state.lock().unwrap().log);
        log.into_iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    /// Lets the request after `skipped` others fail.
    pub(super) fn arm(&self, skipped: usize, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        (state.fault, state.struck) = (Some((skipped, fault)), false);
    }

    /// Ends that. Whether a request failed.
    pub(super) fn disarm(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.fault = None;
        state.struck
    }

    /// The content of every object.
    pub(super) fn objects(&self) -> BTreeMap<String, Bytes> {
        let state = self.state.lock().unwrap();
        state.objects.iter().map(|(key, (content, _))| (key.clone(), content.clone())).collect()
    }

    pub(super) fn pending(&self) -> usize {
        self.state.lock().unwrap().uploads.len()
    }

    /// The content of a file.
    pub(super) fn file(&self, path: &str) -> Option<Bytes> {
        let path = StoragePath::parse(path).unwrap();
        self.objects().remove(&format!("root/{}", path.relative()))
    }

    async fn ask<T>(
        &self,
        call: &str,
        key: &str,
        answer: impl FnOnce(&mut State) -> Result<T, BucketError> + Send,
    ) -> Result<T, BucketError> {
        tokio::task::yield_now().await;
        let (fault, answer) = {
            let mut state = self.state.lock().unwrap();
            state.log.push(format!("{call} {key}"));
            let fault = match &mut state.fault {
                Some((0, fault)) => {
                    let fault = *fault;
                    (state.fault, state.struck) = (None, true);
                    Some(fault)
                }
                Some((skipped, _)) => {
                    *skipped -= 1;
                    None
                }
                None => None,
            };
            let done = !matches!(fault, Some(Fault::NotDone | Fault::Gone));
            (fault, done.then(|| answer(&mut state)))
        };
        match (fault, answer) {
            (None, Some(answer)) => answer,
            (fault, _) => {
                if matches!(fault, Some(Fault::Gone | Fault::GoneAfter)) {
                    self.given_up.notified().await;
                }
                Err(BucketError::Unavailable { retry_after: None, source: "told to fail".into() })
            }
        }
    }
}

fn concat<'a>(pieces: impl Iterator<Item = &'a Bytes>) -> Bytes {
    pieces.flat_map(|piece| piece.iter().copied()).collect::<Vec<_>>().into()
}

impl State {
    fn object(&self, key: &str) -> Result<(Bytes, SystemTime), BucketError> {
        self.objects.get(key).cloned().ok_or(BucketError::NotFound)
    }

    fn put(&mut self, key: &str, content: Bytes) {
        self.objects.insert(key.to_owned(), (content, SystemTime::now()));
    }

    fn upload(&mut self, key: &str, id: &str) -> Result<&mut Upload, BucketError> {
        self.uploads.get_mut(id).filter(|upload| upload.key == key).ok_or(BucketError::NoSuchUpload)
    }

    fn part(&mut self, key: &str, id: &str, number: u32, content: Bytes) -> Result<Part, BucketError> {
        self.begun += 1;
        let tag = format!("\"{:032x}\"", self.begun);
        let size = content.len() as u64;
        self.upload(key, id)?.parts.insert(number, (content, tag.clone()));
        Ok(Part { number, size, tag })
    }
}

#[async_trait]
impl Bucket for FakeBucket {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn get(&self, key: &str, range: Option<GetRange>) -> Result<Object, BucketError> {
        self.ask("get", key, |state| {
            let (content, modified) = state.object(key)?;
            let size = content.len() as u64;
            let range: Range<u64> = match range {
                None => 0..size,
                Some(GetRange::Bounded(range)) => range.start..range.end.min(size),
                Some(GetRange::From(start)) => start..size,
                Some(GetRange::Suffix(len)) => size.saturating_sub(len)..size,
            };
            if range.is_empty() && range != (0..0) || range.start > size {
                return Err(BucketError::InvalidRange { len: None });
            }
            let content = content.slice(range.start as usize..range.end as usize);
            let pieces: Vec<_> =
                content.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let body = stream::iter(pieces).boxed();
            Ok(Object { meta: ObjectMeta { size, modified }, range, body })
        })
        .await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, BucketError> {
        self.ask("head", key, |state| {
            let (content, modified) = state.object(key)?;
            Ok(ObjectMeta { size: content.len() as u64, modified })
        })
        .await
    }

    async fn put(&self, key: &str, content: Bytes, create: bool) -> Result<(), BucketError> {
        self.ask("put", key, |state| {
            if create && state.objects.contains_key(key) {
                return Err(BucketError::AlreadyExists);
            }
            state.put(key, content);
            Ok(())
        })
        .await
    }

    async fn copy(&self, from: &str, to: &str, size: u64) -> Result<(), BucketError> {
        self.ask("copy", from, |state| {
            let (content, _) = state.object(from)?;
            assert_eq!(content.len() as u64, size, "the size of {from} is known");
            state.put(to, content);
            Ok(())
        })
        .await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), BucketError> {
        assert!(!keys.is_empty(), "nobody asks to remove nothing");
        self.ask("delete", &keys.join(","), |state| {
            keys.iter().for_each(|key| drop(state.objects.remove(key)));
            Ok(())
        })
        .await
    }

    async fn list(&self, request: &ListKeys<'_>) -> Result<KeyPage, BucketError> {
        assert!((1..=self.limits.page).contains(&request.limit), "a page of {}", request.limit);
        self.ask("list", request.prefix, |state| {
            let mut page = KeyPage::default();
            for (key, (content, _)) in &state.objects {
                let Some(rest) = key.strip_prefix(request.prefix) else { continue };
                let found = match rest.split_once('/') {
                    Some((dir, _)) if request.fold => {
                        Key { key: format!("{}{dir}/", request.prefix), size: None }
                    }
                    _ => Key { key: key.clone(), size: Some(content.len() as u64) },
                };
                let after = request.after.is_none_or(|after| found.key.as_str() > after);
                if !after || page.keys.last() == Some(&found) {
                    continue;
                }
                if page.keys.len() == request.limit {
                    page.more = true;
                    break;
                }
                page.keys.push(found);
            }
            Ok(page)
        })
        .await
    }

    async fn begin(&self, key: &str) -> Result<String, BucketError> {
        self.ask("begin", key, |state| {
            state.begun += 1;
            let id = format!("upload-{}", state.begun);
            let upload = Upload { key: key.to_owned(), parts: BTreeMap::new(), initiated: SystemTime::now() };
            state.uploads.insert(id.clone(), upload);
            Ok(id)
        })
        .await
    }

    async fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        content: Vec<Bytes>,
    ) -> Result<Part, BucketError> {
        let content = concat(content.iter());
        self.ask("part", key, |state| state.part(key, upload, number, content)).await
    }

    async fn copy_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        from: &str,
        range: Range<u64>,
    ) -> Result<Option<Part>, BucketError> {
        if !self.copies_parts {
            return Ok(None);
        }
        self.ask("copypart", key, |state| {
            let content = state.object(from)?.0.slice(range.start as usize..range.end as usize);
            state.part(key, upload, number, content).map(Some)
        })
        .await
    }

    async fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<(), BucketError> {
        self.ask("complete", key, |state| {
            let known = &state.upload(key, upload)?.parts;
            let mut content = Vec::new();
            for (part, number) in parts.iter().zip(1..) {
                assert_eq!(part.number, number, "parts are in order");
                match known.get(&number) {
                    Some((bytes, tag)) if *tag == part.tag => content.push(bytes.clone()),
                    _ => return Err(BucketError::PartChanged),
                }
            }
            let small = content.iter().rev().skip(1).any(|part| part.len() < MIN_PART);
            if small || parts.is_empty() {
                return Err(BucketError::Other("EntityTooSmall".into()));
            }
            let content = concat(content.iter());
            state.uploads.remove(upload);
            state.put(key, content);
            Ok(())
        })
        .await
    }

    async fn abort(&self, key: &str, upload: &str) -> Result<(), BucketError> {
        self.ask("abort", key, |state| {
            state.uploads.remove(upload);
            Ok(())
        })
        .await
    }

    async fn parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, BucketError> {
        assert!(self.limits.lists_uploads, "the service lists no parts");
        self.ask("parts", key, |state| {
            let parts = state.upload(key, upload)?.parts.iter();
            let part = |(&number, (content, tag)): (&u32, &(Bytes, String))| Part {
                number,
                size: content.len() as u64,
                tag: tag.clone(),
            };
            Ok(parts.map(part).collect())
        })
        .await
    }

    async fn uploads(&self, prefix: &str, after: Option<&Pending>) -> Result<Vec<Pending>, BucketError> {
        assert!(self.limits.lists_uploads, "the service lists no uploads");
        self.ask("uploads", prefix, |state| {
            let pending = state.uploads.iter().map(|(id, upload)| Pending {
                key: upload.key.clone(),
                upload: id.clone(),
                initiated: upload.initiated,
            });
            let mut pending: Vec<_> = pending.filter(|pending| pending.key.starts_with(prefix)).collect();
            pending.sort_by(|a, b| (&a.key, &a.upload).cmp(&(&b.key, &b.upload)));
            if let Some(after) = after {
                pending.retain(|it| (&it.key, &it.upload) > (&after.key, &after.upload));
            }
            pending.truncate(2);
            Ok(pending)
        })
        .await
    }

    async fn sign(&self, key: &str, _: &RedirectHint) -> Result<Option<Uri>, BucketError> {
        let uri = format!("https://bucket.example.com/{key}?signed").parse();
        self.ask("sign", key, |_| uri.map(Some).map_err(|_| BucketError::NotFound)).await
    }
}

registry_conformance::driver_tests!(fake_bucket, async { (FakeBucket::new().driver_arc(), ()) });
registry_conformance::driver_tests!(fake_bucket_without_lists_of_uploads, async {
    (FakeBucket::with(false, true).driver_arc(), ())
});
registry_conformance::driver_tests!(fake_bucket_without_copies_of_parts, async {
    (FakeBucket::with(true, false).driver_arc(), ())
});

impl FakeBucket {
    fn driver_arc(self: &Arc<Self>) -> Arc<dyn registry_core::StorageDriver> {
        Arc::new(self.driver())
    }
}
