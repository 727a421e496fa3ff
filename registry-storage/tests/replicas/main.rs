//! Two processes over one flat store.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod memory;
mod names;
mod races;

use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use http::Method;
use registry_conformance::content::Content;
use registry_conformance::faults::{Call, Fault, FaultyDriver};
use registry_core::{
    Algorithm, Batch, BlobStore, Descriptor, Digest, Error, GetBlob, ListMode, Manifest, MediaType,
    MountSource, Namespace, PageRequest, PutManifest, Repository, RepositoryName, RequestContext, Result,
    StartUpload, StorageDriver, StorageDriverExt, StoragePath, Tag, UploadStart,
};
use registry_storage::{MemoryCache, MemoryDriver, StorageNamespace};

const ROOT: &str = "/docker/registry/v2";

/// A process whose calls can be broken.
struct Process {
    driver: Arc<FaultyDriver>,
    namespace: StorageNamespace,
}

impl Process {
    fn over(store: &MemoryDriver) -> Self {
        Self::with(store, false)
    }

    fn with(store: &MemoryDriver, backwards: bool) -> Self {
        let driver = Arc::new(FaultyDriver::new(Arc::new(store.clone())).backwards(backwards));
        let cache = Arc::new(MemoryCache::default());
        let namespace = StorageNamespace::builder(Arc::clone(&driver) as Arc<dyn StorageDriver>)
            .descriptor_cache(Some(cache))
            .build();
        Self { driver, namespace }
    }

    async fn for_a(&self, method: Method, name: &str) -> Arc<dyn Repository> {
        let mut cx = RequestContext::system("replicas");
        cx.method = Some(method);
        self.namespace.repository(&Arc::new(cx), &RepositoryName::parse(name).unwrap()).await.unwrap()
    }

    async fn blobs(&self, method: Method, name: &str) -> Arc<dyn BlobStore> {
        self.for_a(method, name).await.blobs()
    }

    async fn push(&self, name: &str, content: &str) -> Digest {
        let digest = Algorithm::Sha256.digest(content.as_bytes());
        let blobs = self.blobs(Method::PUT, name).await;
        let UploadStart::Session(mut session) = blobs.start(StartUpload::default()).await.unwrap() else {
            panic!("a session was asked for")
        };
        session.write(content.to_owned().into()).await.unwrap();
        session.commit(&digest).await.unwrap();
        digest
    }

    async fn put(&self, manifest: &Manifest, tags: &[&str]) -> Result<Descriptor> {
        let tags = tags.iter().map(|text| tag(text));
        let manifests = self.for_a(Method::PUT, "a").await.manifests();
        manifests.put(manifest, PutManifest::default().with_tags(tags)).await
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        self.for_a(Method::DELETE, "a").await.manifests().delete(digest).await
    }

    async fn delete_tag(&self, text: &str) -> Result<()> {
        self.for_a(Method::DELETE, "a").await.tags().delete(&tag(text)).await
    }

    async fn by_tag(&self, text: &str) -> Result<Manifest> {
        let repository = self.for_a(Method::GET, "a").await;
        let digest = repository.tags().get(&tag(text)).await?;
        repository.manifests().get(&digest).await
    }

    async fn by_digest(&self, digest: &Digest) -> Result<Manifest> {
        self.for_a(Method::GET, "a").await.manifests().get(digest).await
    }

    async fn tags(&self) -> Vec<String> {
        match self.for_a(Method::GET, "a").await.tags().list(&PageRequest::first(100)).await {
            Ok(page) => page.items.into_iter().map(|tag| tag.to_string()).collect(),
            Err(Error::NameUnknown { .. }) => Vec::new(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(&format!("{ROOT}{text}")).unwrap()
}

fn image(label: &str) -> Manifest {
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","annotations":{{"n":"{label}"}}}}"#,
        MediaType::OCI_IMAGE
    );
    Manifest::new(MediaType::parse(MediaType::OCI_IMAGE).unwrap(), Algorithm::Sha256, text)
}

fn is_unknown<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::BlobUnknown { .. } | Error::ManifestUnknown { .. }))
}

async fn put_files(store: &MemoryDriver, files: impl Iterator<Item = (String, String)>) {
    let batch = files.fold(Batch::new(), |batch, (at, content)| batch.put(path(&at), content));
    store.apply(batch).await.unwrap();
}
