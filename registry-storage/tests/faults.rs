//! Pushes and deletes over a store that fails at any one of its calls.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use registry_conformance::faults::{Fault, FaultyDriver};
use registry_core::{
    Algorithm, Error, Manifest, MediaType, Namespace, PutManifest, RepositoryName, RequestContext,
    StorageDriver, Tag,
};
use registry_storage::{FilesystemDriver, MemoryDriver, StorageNamespace};

async fn over(driver: Arc<dyn StorageDriver>) -> Arc<dyn Namespace> {
    Arc::new(StorageNamespace::builder(driver).build())
}

/// In memory where there is such a place: thousands of syncs are not what is tested here.
async fn filesystem() -> (Arc<dyn StorageDriver>, tempfile::TempDir) {
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    (Arc::new(FilesystemDriver::new(root.path())), root)
}

registry_conformance::fault_tests!(
    faults_over_memory,
    async { (Arc::new(MemoryDriver::new()) as Arc<dyn StorageDriver>, ()) },
    over
);
registry_conformance::fault_tests!(
    faults_over_a_flat_store,
    async { (Arc::new(MemoryDriver::flat()) as Arc<dyn StorageDriver>, ()) },
    over
);
registry_conformance::fault_tests!(faults_over_the_filesystem, filesystem(), over);

/// A driver may go on with what was begun when nobody waits for it any more. Until it is done, nobody else may be let
/// at the repository: a manifest that is pushed while the rest of its delete goes on would lose its link or its tag.
#[tokio::test]
async fn what_a_client_gave_up_on_is_done_before_anything_that_comes_later() {
    let text = format!(r#"{{"schemaVersion":2,"mediaType":"{}","layers":[]}}"#, MediaType::OCI_IMAGE);
    let manifest = Manifest::new(MediaType::parse(MediaType::OCI_IMAGE).unwrap(), Algorithm::Sha256, text);
    let tagged = || PutManifest::default().with_tags([Tag::parse("a").unwrap()]);
    for flat in [false, true] {
        for delete in [false, true] {
            for nth in 0.. {
                let store = if flat { MemoryDriver::flat() } else { MemoryDriver::new() };
                let driver = Arc::new(FaultyDriver::new(Arc::new(store)));
                let namespace = over(Arc::clone(&driver) as Arc<dyn StorageDriver>).await;
                let cx = Arc::new(RequestContext::system("test"));
                let one = namespace.repository(&cx, &RepositoryName::parse("one").unwrap()).await.unwrap();
                let manifests = one.manifests();
                if delete {
                    manifests.put(&manifest, tagged()).await.unwrap();
                }
                let faults = driver.faults();
                faults.arm(Fault::Pause, nth, |_| true);
                let (same, pushed) = (Arc::clone(&manifests), manifest.clone());
                let mut first = tokio::spawn(async move {
                    if delete {
                        same.delete(pushed.digest()).await
                    } else {
                        same.put(&pushed, tagged()).await.map(|_| ())
                    }
                });
                tokio::select! {
                    () = faults.stalled() => {}
                    done = &mut first => {
                        done.unwrap().unwrap();
                        assert!(nth > 2, "it makes calls");
                        break;
                    }
                }
                first.abort();
                assert!(first.await.unwrap_err().is_cancelled());
                faults.disarm();
                let second = manifests.delete(manifest.digest()).await;
                let when = format!("flat: {flat}, delete: {delete}, call {nth}");
                match delete {
                    true => {
                        assert!(matches!(second, Err(Error::ManifestUnknown { .. })), "{when}: {second:?}")
                    }
                    false => second.unwrap_or_else(|error| panic!("{when}: {error}")),
                }
                assert!(one.tags().get(&Tag::parse("a").unwrap()).await.is_err(), "{when}");
            }
        }
    }
}
