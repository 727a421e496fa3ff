//! The storage-backed namespace against the namespace suite, over each built-in driver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use registry_core::{
    Algorithm, Manifest, MediaType, Namespace, PageRequest, PutManifest, RepositoryName, RequestContext,
    StartUpload, StorageDriver, Tag, UploadStart,
};
use registry_storage::{FilesystemDriver, MemoryCache, MemoryDriver, StorageNamespace};

fn over(driver: impl StorageDriver) -> Arc<dyn Namespace> {
    Arc::new(StorageNamespace::builder(Arc::new(driver)).build())
}

async fn filesystem() -> (Arc<dyn Namespace>, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    (over(FilesystemDriver::new(root.path())), root)
}

async fn with_a_cache(driver: MemoryDriver) -> (Arc<dyn Namespace>, ()) {
    let cache = Arc::new(MemoryCache::default());
    let builder = StorageNamespace::builder(Arc::new(driver)).descriptor_cache(Some(cache));
    (Arc::new(builder.build()), ())
}

registry_conformance::namespace_tests!(inmemory_namespace, async { (over(MemoryDriver::new()), ()) });
registry_conformance::namespace_tests!(flat_namespace, async { (over(MemoryDriver::flat()), ()) });
registry_conformance::namespace_tests!(filesystem_namespace, filesystem());
registry_conformance::namespace_tests!(namespace_with_a_cache, with_a_cache(MemoryDriver::new()));
registry_conformance::namespace_tests!(flat_namespace_with_a_cache, with_a_cache(MemoryDriver::flat()));

/// The official suite looks at the list after the last delete. A bucket has no directory that stays; there a layer is
/// enough for a repository to be known.
#[tokio::test]
async fn a_repository_whose_last_manifest_was_deleted_has_an_empty_list_of_tags() {
    let (disk, _root) = filesystem().await;
    for namespace in [disk, over(MemoryDriver::flat())] {
        let cx = Arc::new(RequestContext::system("test"));
        let one = namespace.repository(&cx, &RepositoryName::parse("one").unwrap()).await.unwrap();
        let UploadStart::Session(mut writer) = one.blobs().start(StartUpload::default()).await.unwrap()
        else {
            panic!("mounted without a source");
        };
        writer.write("layer".into()).await.unwrap();
        writer.commit(&Algorithm::Sha256.digest(b"layer")).await.unwrap();
        let text = format!(r#"{{"schemaVersion":2,"mediaType":"{}","layers":[]}}"#, MediaType::OCI_IMAGE);
        let pushed = Manifest::new(MediaType::parse(MediaType::OCI_IMAGE).unwrap(), Algorithm::Sha256, text);
        let options = PutManifest::default().with_tags([Tag::parse("a").unwrap()]);
        one.manifests().put(&pushed, options).await.unwrap();
        one.manifests().delete(pushed.digest()).await.unwrap();
        let page = one.tags().list(&PageRequest::first(10)).await.unwrap();
        assert!(page.items.is_empty() && !page.more);
    }
}
