//! The suite of the storage driver: the promises of [`registry_core::StorageDriver`], case by case.
//!
//! A case takes an empty driver and panics if the driver breaks a promise. [`check`] runs one and then
//! asserts that the driver can be emptied again.

pub mod batch;
pub mod fault;
pub mod list;
pub mod put;
pub mod read;
pub mod write;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use registry_core::{
    ByteRange, Content, ContentBody, FileWriter, ListMode, ListRequest, StorageDriver, StorageDriverExt,
    StorageError, StoragePath, WriteMode, collect,
};

/// Expands to a module with one test per case of the driver suite.
///
/// `make` is an expression with a future of `(Arc<dyn StorageDriver>, guard)`: an empty driver, and
/// something to be kept until the case is over.
///
/// ```ignore
/// registry_conformance::driver_tests!(filesystem, async {
///     let dir = tempfile::tempdir().unwrap();
///     (Arc::new(FilesystemDriver::new(dir.path())) as Arc<dyn StorageDriver>, dir)
/// });
/// ```
#[macro_export]
macro_rules! driver_tests {
    ($(#[$attribute:meta])* $name:ident, $make:expr) => {
        $crate::__driver_cases! { __tests {$(#[$attribute])* $name, $make, $crate::driver::check} }
    };
}

/// The list of all cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __driver_cases {
    ($then:ident $arguments:tt) => {
        $crate::$then! {
            $arguments
            driver::put {
                put_is_read_back_byte_for_byte,
                get_of_what_is_no_file_is_not_found,
                get_refuses_more_than_its_limit,
                put_replaces,
                create_refuses_to_replace,
                one_of_many_creators_wins,
                readers_see_the_old_or_the_new_file,
                every_allowed_name_can_be_used,
                names_differ_by_case,
                deep_directories_come_and_go,
                stat_tells_files_from_directories,
            }
            driver::batch {
                an_empty_batch_does_nothing,
                rename_moves_and_creates_directories,
                rename_replaces,
                rename_without_a_source_changes_nothing,
                a_replaced_file_is_never_absent,
                delete_removes_files_and_directories,
                delete_of_nothing_succeeds,
                remove_removes_a_file_alone,
                delete_spares_names_that_share_a_prefix,
                a_deleted_path_can_be_used_again,
                steps_of_one_stage_are_all_done,
                later_stages_build_on_earlier_ones,
                a_failed_stage_ends_the_batch,
                later_stages_are_never_seen_first,
                a_repeated_batch_leaves_the_same,
                relaxed_steps_are_visible_too,
                a_directory_is_deleted_while_it_is_written,
            }
            driver::read {
                a_whole_file_is_read,
                ranges_are_cut_at_the_end,
                a_range_past_the_end_is_refused_with_the_length,
                an_empty_file_has_no_ranges,
                what_is_no_file_cannot_be_read,
                a_large_file_is_read_in_any_piece,
                many_readers_do_not_disturb_each_other,
                an_open_file_outlives_its_deletion_or_fails,
                an_open_file_does_not_change,
                redirects_are_urls_or_nothing,
            }
            driver::write {
                truncate_writes_from_nothing,
                truncate_replaces,
                append_continues,
                append_needs_a_file,
                size_counts_everything_accepted,
                many_small_writes_add_up,
                a_large_file_is_written_in_several_sittings,
                a_second_writer_is_refused,
                the_file_is_free_after_every_ending,
                commit_moves_the_file,
                a_file_can_be_written_to_where_it_belongs,
                a_destined_file_appears_when_its_stage_comes,
                a_cancelled_file_never_reaches_where_it_was_destined,
                a_detached_file_is_continued_with_its_ticket,
                a_detached_file_is_continued_without_its_ticket,
                a_detached_empty_file_is_begun_with_its_ticket,
                an_old_ticket_does_not_change_what_was_committed,
                commit_without_steps_keeps_the_file,
                a_failed_commit_keeps_the_file,
                an_empty_file_can_be_committed,
                an_empty_file_can_be_continued,
                cancel_removes_the_file,
                a_dropped_writer_leaves_a_beginning,
                writers_of_different_files_do_not_meet,
            }
            driver::list {
                children_are_in_byte_order,
                children_follow_a_name_that_need_not_exist,
                pages_of_children_join_up,
                a_page_of_nothing_is_empty,
                what_is_no_directory_is_empty,
                a_prefix_of_a_name_is_not_its_directory,
                recursive_lists_every_file_once,
                recursive_counts_files_only,
                many_files_are_listed,
            }
            driver::fault {
                a_dropped_put_leaves_the_old_or_the_new,
                a_dropped_batch_leaves_its_beginning,
                a_dropped_write_leaves_a_beginning,
                a_dropped_read_leaves_no_trace,
                a_dropped_close_or_commit_can_be_done_again,
            }
        }
    };
}

/// Runs a case and asserts that no file is left once everything is deleted.
///
/// # Panics
/// If the driver breaks a promise.
pub async fn check<C, F>(driver: Arc<dyn StorageDriver>, case: C)
where
    C: FnOnce(Arc<dyn StorageDriver>) -> F,
    F: Future<Output = ()>,
{
    assert!(!driver.name().is_empty(), "a driver has a name");
    assert_empty(&*driver, "before the case").await;
    case(Arc::clone(&driver)).await;
    // What a dropped future had begun may still end, and leave a file after its directory was deleted.
    for _ in 0..50 {
        clear(&*driver).await;
        let left = driver.list(&StoragePath::root(), &ListRequest::recursive(1)).await;
        if left.is_ok_and(|left| left.entries.is_empty()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_empty(&*driver, "after everything was deleted").await;
}

async fn clear(driver: &dyn StorageDriver) {
    let root = StoragePath::root();
    for entry in driver.list_all(&root, ListMode::Children).await.expect("the root can be listed") {
        let path = root.join(&entry.name).expect("a listed name is a segment");
        driver.delete(&path).await.unwrap_or_else(|error| panic!("cannot delete {path}: {error:?}"));
    }
}

/// Asserts that there is no file.
///
/// # Panics
/// If there is.
pub async fn assert_empty(driver: &dyn StorageDriver, when: &str) {
    let page = driver
        .list(&StoragePath::root(), &ListRequest::recursive(10))
        .await
        .unwrap_or_else(|error| panic!("the root cannot be listed {when}: {error:?}"));
    assert_eq!(page.entries, [], "{when} the driver has no files");
    assert!(!page.more, "{when} nothing follows an empty page");
}

/// A path that is known to be one.
pub(crate) fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn put(driver: &dyn StorageDriver, at: &str, content: impl Into<Bytes>) {
    driver.put(&path(at), content.into()).await.unwrap_or_else(|error| panic!("cannot put {at}: {error:?}"));
}

pub(crate) async fn get(driver: &dyn StorageDriver, at: &str) -> Bytes {
    driver.get(&path(at), 64 << 20).await.unwrap_or_else(|error| panic!("cannot get {at}: {error:?}"))
}

pub(crate) async fn exists(driver: &dyn StorageDriver, at: &str) -> bool {
    driver.exists(&path(at)).await.unwrap_or_else(|error| panic!("cannot stat {at}: {error:?}"))
}

/// Whether there is a file; a directory that a driver keeps is none.
pub(crate) async fn is_file(driver: &dyn StorageDriver, at: &str) -> bool {
    let found = driver.stat_if_present(&path(at)).await;
    found.unwrap_or_else(|error| panic!("cannot stat {at}: {error:?}")).is_some_and(|found| !found.is_dir)
}

pub(crate) async fn open(driver: &dyn StorageDriver, at: &str, range: Option<ByteRange>) -> Content {
    driver
        .reader(&path(at), range)
        .await
        .unwrap_or_else(|error| panic!("cannot open {at} ({range:?}): {error:?}"))
}

/// All bytes of opened content. Where it is an open file, the file has to have the same bytes.
pub(crate) async fn drain(content: Content) -> Result<Bytes, StorageError> {
    let expected = content.range.end - content.range.start;
    let in_file = match &content.body {
        ContentBody::File(slice) => {
            let range = slice.range();
            assert_eq!(range.end - range.start, expected, "the slice of the file has the bytes of the range");
            read_slice(slice.file(), range.start, expected as usize)
        }
        ContentBody::Bytes(_) | ContentBody::Stream(_) => None,
    };
    let bytes = collect(content.body.into_stream(), 64 << 20).await?.expect("no more bytes than the range");
    if let Some(in_file) = in_file {
        crate::data::assert_same(&in_file, &bytes, "the open file and its stream");
    }
    Ok(bytes)
}

#[cfg(unix)]
fn read_slice(file: &std::fs::File, start: u64, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, start).expect("the open file has its bytes");
    Some(bytes)
}

#[cfg(not(unix))]
fn read_slice(_: &std::fs::File, _: u64, _: usize) -> Option<Vec<u8>> {
    None
}

pub(crate) async fn writer(driver: &dyn StorageDriver, at: &str, mode: WriteMode) -> Box<dyn FileWriter> {
    driver
        .writer(&path(at), mode.clone())
        .await
        .unwrap_or_else(|error| panic!("cannot open {at} to {mode:?}: {error:?}"))
}

/// Opens a file whose last writer was dropped. The driver may still be busy with what that one began,
/// but not for ever.
pub(crate) async fn reopen(
    driver: &dyn StorageDriver,
    at: &str,
    mode: WriteMode,
) -> Result<Box<dyn FileWriter>, StorageError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match driver.writer(&path(at), mode.clone()).await {
            Err(StorageError::Busy { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_listed() {
        let sources = [
            include_str!("driver/put.rs"),
            include_str!("driver/batch.rs"),
            include_str!("driver/read.rs"),
            include_str!("driver/write.rs"),
            include_str!("driver/list.rs"),
            include_str!("driver/fault.rs"),
        ];
        for ((file, listed), source) in crate::__driver_cases!(__names {}).iter().zip(sources) {
            crate::suite::tests::assert_listed(file, source, listed);
        }
    }
}
