//! A repository over files in memory.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use registry_core::{
    Algorithm, Batch, Blob, BlobStore, BlobWriter, Descriptor, Digest, Digester, Error, FileWriter, GetBlob,
    ListMode, Manifest, ManifestStore, MediaType, Page, PageRequest, PutManifest, Reference, ReferrerFilter,
    Repository, RepositoryName, Result, StartUpload, StorageDriverExt, StorageError, Tag, TagExpect,
    TagStore, UploadId, UploadStart, UploadStatus, WriteMode,
};

use super::{Shared, blob_path, content_path, manifest_path, path, tag_path};

const LIMIT: u64 = 4 << 20;

/// A manifest as a file: its type, a line feed, its bytes.
pub(super) fn encode(manifest: &Manifest) -> Bytes {
    [manifest.media_type().as_str().as_bytes(), b"\n", manifest.payload()].concat().into()
}

#[derive(Debug, Clone)]
pub(super) struct FakeRepository {
    shared: Arc<Shared>,
    name: RepositoryName,
}

impl FakeRepository {
    pub(super) fn new(shared: Arc<Shared>, name: RepositoryName) -> Self {
        Self { shared, name }
    }

    fn blob_unknown(&self, digest: &Digest) -> Error {
        Error::BlobUnknown { repository: self.name.clone(), digest: digest.clone() }
    }

    fn unknown(&self, reference: Reference) -> Error {
        Error::ManifestUnknown { repository: self.name.clone(), reference }
    }
}

impl Repository for FakeRepository {
    fn name(&self) -> &RepositoryName {
        &self.name
    }

    fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::new(self.clone())
    }

    fn manifests(&self) -> Arc<dyn ManifestStore> {
        Arc::new(self.clone())
    }

    fn tags(&self) -> Arc<dyn TagStore> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl BlobStore for FakeRepository {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        if !self.shared.driver.exists(&blob_path(&self.name, digest)).await? {
            return Err(self.blob_unknown(digest));
        }
        let size = self.shared.driver.stat(&content_path(digest)).await?.size;
        Ok(Descriptor::blob(digest.clone(), size))
    }

    async fn get(&self, digest: &Digest, options: GetBlob) -> Result<Blob> {
        let descriptor = BlobStore::stat(self, digest).await?;
        let content = self.shared.driver.reader(&content_path(digest), options.range).await?;
        Ok(Blob { descriptor, range: content.range, body: content.body.into() })
    }

    async fn start(&self, options: StartUpload) -> Result<UploadStart> {
        if let Some(source) = options.mount {
            let link = blob_path(&self.name, &source.descriptor.digest);
            self.shared.driver.put(&link, Bytes::new()).await?;
            return Ok(UploadStart::Mounted(source.descriptor));
        }
        let file = path(format!("/{}/_u/1", self.name));
        let file = self.shared.driver.writer(&file, WriteMode::Truncate).await?;
        let digester = Digester::new(options.algorithm.unwrap_or_default());
        let id = UploadId::parse("1").unwrap();
        Ok(UploadStart::Session(Box::new(Writer { repository: self.clone(), id, file, digester })))
    }

    async fn resume(&self, id: &UploadId, _ticket: Option<&str>) -> Result<Box<dyn BlobWriter>> {
        Err(Error::UploadUnknown { repository: self.name.clone(), id: id.clone() })
    }

    async fn status(&self, id: &UploadId, _ticket: Option<&str>) -> Result<UploadStatus> {
        Err(Error::UploadUnknown { repository: self.name.clone(), id: id.clone() })
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        BlobStore::stat(self, digest).await?;
        Ok(self.shared.driver.delete(&blob_path(&self.name, digest)).await?)
    }
}

#[derive(Debug)]
struct Writer {
    repository: FakeRepository,
    id: UploadId,
    file: Box<dyn FileWriter>,
    digester: Digester,
}

#[async_trait]
impl BlobWriter for Writer {
    fn id(&self) -> &UploadId {
        &self.id
    }

    fn size(&self) -> u64 {
        self.file.size()
    }

    fn started_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn min_chunk_size(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(7)
    }

    fn expect(&mut self, _digest: &Digest) {}

    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.digester.update(&data);
        Ok(self.file.write(data).await?)
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        Ok(self.file.close().await?)
    }

    async fn detach(self: Box<Self>) -> Result<UploadStatus> {
        let (id, started_at) = (self.id.clone(), self.started_at());
        Ok(UploadStatus { id, size: self.close().await?, started_at, ticket: None })
    }

    async fn commit(self: Box<Self>, expected: &Digest) -> Result<Descriptor> {
        let Self { repository, file, digester, .. } = *self;
        let actual = digester.finish();
        if actual != *expected {
            file.cancel().await?;
            return Err(Error::DigestMismatch { expected: expected.clone(), actual: Some(actual) });
        }
        let from = path(format!("/{}/_u/1", repository.name));
        let link = blob_path(&repository.name, expected);
        let batch = Batch::new().rename(from, content_path(expected)).then().put(link, "");
        let size = file.commit(batch).await?;
        Ok(Descriptor::blob(expected.clone(), size))
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        Ok(self.file.cancel().await?)
    }
}

#[async_trait]
impl ManifestStore for FakeRepository {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        Ok(ManifestStore::get(self, digest).await?.descriptor())
    }

    async fn get(&self, digest: &Digest) -> Result<Manifest> {
        let file = self.shared.driver.get_if_present(&manifest_path(&self.name, digest), LIMIT).await?;
        let file = file.ok_or_else(|| self.unknown(Reference::Digest(digest.clone())))?;
        let end = file.iter().position(|&byte| byte == b'\n').unwrap();
        let media_type = MediaType::parse(std::str::from_utf8(&file[..end]).unwrap()).unwrap();
        Ok(Manifest::new(media_type, Algorithm::Sha256, file.slice(end + 1..)))
    }

    async fn put(&self, manifest: &Manifest, options: PutManifest) -> Result<Descriptor> {
        let mut batch =
            Batch::new().put(manifest_path(&self.name, manifest.digest()), encode(manifest)).then();
        for tag in &options.tags {
            batch = batch.put(tag_path(&self.name, tag), manifest.digest().to_string());
        }
        self.shared.driver.apply(batch).await?;
        let hook = self.shared.after_put.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        Ok(manifest.descriptor())
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        ManifestStore::stat(self, digest).await?;
        let mut batch = Batch::new();
        for tag in self.lookup(digest).await? {
            batch = batch.delete(tag_path(&self.name, &tag));
        }
        let batch = batch.then().delete(manifest_path(&self.name, digest));
        Ok(self.shared.driver.apply(batch).await?)
    }

    async fn list(&self, _page: &PageRequest) -> Result<Page<Digest>> {
        Ok(Page::default())
    }

    async fn referrers(
        &self,
        _subject: &Digest,
        _filter: &ReferrerFilter,
        _page: &PageRequest,
    ) -> Result<Page<Descriptor>> {
        Ok(Page::default())
    }
}

#[async_trait]
impl TagStore for FakeRepository {
    async fn get(&self, tag: &Tag) -> Result<Digest> {
        let file = self.shared.driver.get_if_present(&tag_path(&self.name, tag), LIMIT).await?;
        let file = file.ok_or_else(|| self.unknown(Reference::Tag(tag.clone())))?;
        Ok(Digest::parse(std::str::from_utf8(&file).unwrap()).unwrap())
    }

    async fn set(&self, tag: &Tag, target: &Descriptor, expect: TagExpect) -> Result<()> {
        let (path, link) = (tag_path(&self.name, tag), target.digest.to_string());
        let batch = match expect {
            TagExpect::Any => Batch::new().put(path, link),
            TagExpect::Absent => Batch::new().create(path, link),
        };
        match self.shared.driver.apply(batch).await {
            Err(StorageError::AlreadyExists { .. }) => {
                Err(Error::TagExists { repository: self.name.clone(), tag: tag.clone() })
            }
            other => Ok(other?),
        }
    }

    async fn delete(&self, tag: &Tag) -> Result<()> {
        TagStore::get(self, tag).await?;
        Ok(self.shared.driver.delete(&tag_path(&self.name, tag)).await?)
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>> {
        let dir = path(format!("/{}/_t", self.name));
        let files = self.shared.driver.list_all(&dir, ListMode::Recursive).await?;
        Ok(Page::cut(files.iter().map(|file| Tag::parse(&file.name).unwrap()).collect(), page.limit))
    }

    async fn lookup(&self, target: &Digest) -> Result<Vec<Tag>> {
        let mut found = Vec::new();
        for tag in TagStore::list(self, &PageRequest::first(usize::MAX)).await?.items {
            if TagStore::get(self, &tag).await? == *target {
                found.push(tag);
            }
        }
        Ok(found)
    }
}
