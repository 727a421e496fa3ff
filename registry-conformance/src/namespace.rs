//! The suite of namespaces: repositories with their blobs, uploads, manifests, tags and referrers.
//!
//! ```ignore
//! registry_conformance::namespace_tests!(over_memory, async {
//!     let namespace = StorageNamespace::builder(Arc::new(MemoryDriver::new())).build();
//!     (Arc::new(namespace) as Arc<dyn Namespace>, ())
//! });
//! ```
//!
//! Deletes have to be switched on, and manifests may refer to what is not there: that this is refused is
//! policy, which the HTTP suite checks.

pub mod blobs;
pub mod catalog;
pub mod manifests;
pub mod referrers;
pub mod tags;
pub mod uploads;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use registry_core::{
    Algorithm, BlobWriter, Digest, GetBlob, Manifest, MediaType, Namespace, PutManifest, Repository,
    RepositoryName, RequestContext, StartUpload, Tag, UploadStart, collect,
};

/// Expands to a module with one test for each case of the namespace suite. See the module's page.
#[macro_export]
macro_rules! namespace_tests {
    ($(#[$attribute:meta])* $name:ident, $make:expr) => {
        $crate::__namespace_cases! {
            __tests {$(#[$attribute])* $name, $make, $crate::namespace::check}
        }
    };
}

/// The list of all cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __namespace_cases {
    ($then:ident $arguments:tt) => {
        $crate::$then! {
            $arguments
            namespace::blobs {
                a_pushed_blob_is_read_back,
                an_empty_blob_is_a_blob,
                parts_of_a_blob_are_read,
                a_blob_is_unknown_until_it_is_pushed,
                what_no_store_can_hold_is_unknown,
                a_blob_of_one_repository_is_unknown_in_another,
                a_blob_is_mounted_from_another_repository,
                a_mounted_blob_outlives_its_source,
                a_mount_of_what_is_not_stored_begins_an_upload,
                a_deleted_blob_is_gone_here_and_nowhere_else,
                a_deleted_blob_can_be_pushed_again,
                deleting_while_reading_never_cuts_a_blob_short,
                the_same_blob_pushed_by_many_at_once_is_one_blob,
                content_is_known_across_repositories,
            }
            namespace::uploads {
                an_upload_goes_on_where_it_was_closed,
                an_upload_goes_on_after_a_crash,
                an_upload_in_many_pieces_is_the_same_blob,
                a_large_upload_is_read_back,
                an_open_session_has_one_writer,
                a_session_is_asked_how_far_it_is_while_it_is_written,
                a_wrong_digest_ends_the_session,
                a_digest_that_cannot_be_computed_leaves_the_session,
                a_committed_session_is_gone,
                a_cancelled_session_is_gone,
                a_session_is_unknown_in_another_repository,
                sha512_is_computed_as_announced,
                sha512_is_computed_without_an_announcement,
                many_sessions_are_independent,
            }
            namespace::manifests {
                a_manifest_is_served_byte_for_byte,
                a_manifest_keeps_the_type_it_was_pushed_as,
                a_manifest_is_published_under_all_its_tags,
                a_manifest_without_tags_is_found_by_digest,
                a_manifest_is_pushed_under_sha512,
                what_is_no_manifest_is_refused,
                what_others_read_otherwise_is_refused,
                pushing_a_manifest_again_changes_nothing,
                a_deleted_manifest_takes_its_tags_along,
                a_deleted_manifest_can_be_pushed_again,
                manifests_are_listed_page_by_page,
                a_manifest_of_one_repository_is_unknown_in_another,
                many_manifests_are_pushed_at_once,
            }
            namespace::tags {
                a_tag_moves,
                a_deleted_tag_leaves_its_manifest,
                tags_are_listed_in_byte_order,
                tags_are_listed_page_by_page,
                a_page_of_tags_begins_after_any_text,
                an_unknown_repository_has_no_list_of_tags,
                one_of_many_that_expect_a_tag_absent_wins,
                a_tag_that_is_expected_absent_is_not_moved,
                the_tags_of_a_manifest_are_found,
                a_tag_that_moves_points_at_the_old_or_the_new,
                a_tag_is_not_set_to_what_is_not_there,
                a_delete_leaves_no_tag_without_a_manifest,
            }
            namespace::referrers {
                referrers_are_described,
                the_subject_need_not_exist,
                a_subject_of_an_odd_name_disturbs_no_other,
                a_page_of_referrers_is_bounded_in_bytes,
                referrers_are_filtered_by_type,
                referrers_are_listed_page_by_page,
                a_deleted_referrer_is_not_listed,
                an_index_can_be_a_referrer,
                referrers_of_one_repository_are_unknown_in_another,
            }
            namespace::catalog {
                repositories_are_listed_in_the_order_of_their_components,
                repositories_are_listed_page_by_page,
                a_repository_with_blobs_alone_is_not_listed,
                a_page_begins_after_a_name_that_does_not_exist,
                an_empty_registry_has_an_empty_list,
            }
        }
    };
}

/// Runs one case.
#[doc(hidden)]
pub async fn check<C, F>(namespace: Arc<dyn Namespace>, case: C)
where
    C: FnOnce(Arc<dyn Namespace>) -> F,
    F: Future<Output = ()>,
{
    case(namespace).await;
}

/// A repository name that is one.
pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

/// A tag that is one.
pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

/// A handle on a repository.
pub(crate) async fn repository(namespace: &Arc<dyn Namespace>, text: &str) -> Arc<dyn Repository> {
    let cx = Arc::new(RequestContext::system("conformance"));
    namespace.repository(&cx, &name(text)).await.unwrap()
}

/// Begins an upload.
pub(crate) async fn begin(repository: &Arc<dyn Repository>) -> Box<dyn BlobWriter> {
    match repository.blobs().start(StartUpload::default()).await.unwrap() {
        UploadStart::Session(writer) => writer,
        UploadStart::Mounted(descriptor) => panic!("{descriptor:?} was mounted without a source"),
    }
}

/// Pushes a blob in one piece.
pub(crate) async fn push(repository: &Arc<dyn Repository>, content: impl Into<Bytes>) -> Digest {
    let content = content.into();
    let digest = Algorithm::Sha256.digest(&content);
    let mut writer = begin(repository).await;
    let size = content.len() as u64;
    writer.write(content).await.unwrap();
    let descriptor = writer.commit(&digest).await.unwrap();
    assert_eq!((&descriptor.digest, descriptor.size), (&digest, size), "the descriptor of a pushed blob");
    digest
}

/// Reads a blob or part of it.
pub(crate) async fn read(
    repository: &Arc<dyn Repository>,
    digest: &Digest,
    options: GetBlob,
) -> registry_core::Result<Bytes> {
    let blob = repository.blobs().get(digest, options).await?;
    let announced = blob.range.end - blob.range.start;
    let stream = blob.body.into_stream().expect("bytes were asked for, not a redirect");
    let content = collect(stream, 1 << 30).await?.expect("less than a gigabyte");
    assert_eq!(content.len() as u64, announced, "as many bytes as announced");
    Ok(content)
}

/// An OCI image manifest that differs from others by `label`.
pub(crate) fn image(label: &str) -> Manifest {
    let payload = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","annotations":{{"label":"{label}"}},"layers":[]}}"#,
        MediaType::OCI_IMAGE
    );
    manifest(MediaType::OCI_IMAGE, payload)
}

/// A manifest of these bytes, pushed as this type.
pub(crate) fn manifest(media_type: &str, payload: impl Into<Bytes>) -> Manifest {
    Manifest::new(MediaType::parse(media_type).unwrap(), Algorithm::Sha256, payload)
}

/// Publishes a manifest under tags.
pub(crate) async fn publish(repository: &Arc<dyn Repository>, manifest: &Manifest, tags: &[&str]) {
    let options = PutManifest::default().with_tags(tags.iter().map(|text| tag(text)));
    let descriptor = repository.manifests().put(manifest, options).await.unwrap();
    assert_eq!(descriptor, manifest.descriptor(), "the descriptor of a published manifest");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_in_the_list() {
        for (file, cases) in __namespace_cases!(__names {}) {
            let path = format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"));
            let source = std::fs::read_to_string(path).unwrap();
            crate::suite::tests::assert_listed(file, &source, cases);
        }
    }
}
