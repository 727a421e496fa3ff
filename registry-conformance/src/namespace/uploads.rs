//! Upload sessions.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use registry_core::{Algorithm, Digest, Error, GetBlob, Namespace, StartUpload, UploadId, UploadStart};

use super::{begin, push, read, repository};
use crate::data::{assert_same, random};
use crate::suite::refused;

/// In this process or another, at the byte it had come to.
pub async fn an_upload_goes_on_where_it_was_closed(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let content = random(1, 50_000);
    let mut writer = begin(&one).await;
    let id = writer.id().clone();
    let mut written = 0;
    for end in [1, 64, 65, 1000, 49_999] {
        writer.write(content.slice(written..end)).await.unwrap();
        assert_eq!(writer.size(), end as u64);
        let started_at = writer.started_at();
        assert_eq!(writer.close().await.unwrap(), end as u64);
        written = end;
        writer = one.blobs().resume(&id, None).await.unwrap();
        assert_eq!(writer.size(), end as u64, "resume continues at the size");
        assert_eq!(writer.id(), &id);
        assert_eq!(writer.started_at(), started_at, "the session is as old as it was");
    }
    writer.write(content.slice(written..)).await.unwrap();
    let digest = Algorithm::Sha256.digest(&content);
    writer.commit(&digest).await.unwrap();
    assert_same(&read(&one, &digest, GetBlob::default()).await.unwrap(), &content, "the blob");
}

/// Dropping a writer is a crash. What had been closed is there; of the rest, a beginning.
pub async fn an_upload_goes_on_after_a_crash(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let content = random(2, 2 << 20);
    let mut writer = begin(&one).await;
    let id = writer.id().clone();
    writer.write(content.slice(..1000)).await.unwrap();
    writer.close().await.unwrap();
    let mut writer = one.blobs().resume(&id, None).await.unwrap();
    writer.write(content.slice(1000..1_500_000)).await.unwrap();
    drop(writer);
    // What was under way when the writer went may hold the session for a moment.
    let mut writer = loop {
        match one.blobs().resume(&id, None).await {
            Err(Error::UploadBusy { .. }) => tokio::task::yield_now().await,
            result => break result.unwrap(),
        }
    };
    let size = writer.size() as usize;
    assert!((1000..=1_500_000).contains(&size), "between what was closed and what was written: {size}");
    writer.write(content.slice(size..)).await.unwrap();
    let digest = Algorithm::Sha256.digest(&content);
    writer.commit(&digest).await.unwrap();
    assert_same(&read(&one, &digest, GetBlob::default()).await.unwrap(), &content, "the blob");
}

/// Pieces of any size, empty ones included.
pub async fn an_upload_in_many_pieces_is_the_same_blob(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let content = random(3, 3000);
    let mut writer = begin(&one).await;
    for piece in content.chunks(1) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        writer.write(Bytes::new()).await.unwrap();
    }
    let digest = Algorithm::Sha256.digest(&content);
    writer.commit(&digest).await.unwrap();
    assert_same(&read(&one, &digest, GetBlob::default()).await.unwrap(), &content, "the blob");
}

/// Larger than any buffer.
pub async fn a_large_upload_is_read_back(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let content = random(4, 20 << 20);
    let digest = push(&one, content.clone()).await;
    assert_same(&read(&one, &digest, GetBlob::default()).await.unwrap(), &content, "the blob");
}

/// The second is refused, and nothing is interleaved.
pub async fn an_open_session_has_one_writer(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let mut writer = begin(&one).await;
    let id = writer.id().clone();
    writer.write("con".into()).await.unwrap();
    refused!(one.blobs().resume(&id, None).await, Error::UploadBusy { .. }, "a second writer");
    writer.write("tent".into()).await.unwrap();
    writer.close().await.unwrap();
    let writer = one.blobs().resume(&id, None).await.unwrap();
    assert_eq!(writer.size(), 7);
    writer.commit(&Algorithm::Sha256.digest(b"content")).await.unwrap();
}

/// Asking needs no hold on the session.
pub async fn a_session_is_asked_how_far_it_is_while_it_is_written(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let mut writer = begin(&one).await;
    let id = writer.id().clone();
    assert_eq!(one.blobs().status(&id, None).await.unwrap().size, 0);
    writer.write("content".into()).await.unwrap();
    let status = one.blobs().status(&id, None).await.unwrap();
    assert!(status.size <= 7);
    assert_eq!(status.started_at, writer.started_at());
    writer.close().await.unwrap();
    let status = one.blobs().status(&id, None).await.unwrap();
    assert_eq!((status.size, &status.id), (7, &id));
}

/// Content that is not what it was said to be is thrown away; the right one can follow.
pub async fn a_wrong_digest_ends_the_session(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let expected = Algorithm::Sha256.digest(b"content");
    let mut writer = begin(&one).await;
    let id = writer.id().clone();
    writer.write("other".into()).await.unwrap();
    match writer.commit(&expected).await {
        Err(Error::DigestMismatch { expected: named, actual }) => {
            assert_eq!(named, expected);
            assert_eq!(actual, Some(Algorithm::Sha256.digest(b"other")));
        }
        other => panic!("a digest mismatch, not {other:?}"),
    }
    refused!(one.blobs().resume(&id, None).await, Error::UploadUnknown { .. }, "after a mismatch");
    refused!(one.blobs().stat(&expected).await, Error::BlobUnknown { .. }, "after a mismatch");
    let other = Algorithm::Sha256.digest(b"other");
    refused!(one.blobs().stat(&other).await, Error::BlobUnknown { .. }, "what came is not a blob either");
    assert_eq!(push(&one, "content").await, expected);
}

/// A mistake in the digest alone costs no upload.
pub async fn a_digest_that_cannot_be_computed_leaves_the_session(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let mut writer = begin(&one).await;
    let id = writer.id().clone();
    writer.write("content".into()).await.unwrap();
    let unsupported = Digest::parse("blake3:abc").unwrap();
    refused!(writer.commit(&unsupported).await, Error::DigestUnsupported { .. }, "blake3");
    let writer = one.blobs().resume(&id, None).await.unwrap();
    assert_eq!(writer.size(), 7);
    writer.commit(&Algorithm::Sha256.digest(b"content")).await.unwrap();
}

/// There is nothing to resume, ask or cancel.
pub async fn a_committed_session_is_gone(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let mut writer = begin(&one).await;
    let id = writer.id().clone();
    writer.write("content".into()).await.unwrap();
    writer.commit(&Algorithm::Sha256.digest(b"content")).await.unwrap();
    refused!(one.blobs().resume(&id, None).await, Error::UploadUnknown { .. }, "committed");
    refused!(one.blobs().status(&id, None).await, Error::UploadUnknown { .. }, "committed");
}

/// The same, without a blob.
pub async fn a_cancelled_session_is_gone(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let mut writer = begin(&one).await;
    let id = writer.id().clone();
    writer.write("content".into()).await.unwrap();
    writer.close().await.unwrap();
    one.blobs().resume(&id, None).await.unwrap().cancel().await.unwrap();
    refused!(one.blobs().resume(&id, None).await, Error::UploadUnknown { .. }, "cancelled");
    refused!(one.blobs().status(&id, None).await, Error::UploadUnknown { .. }, "cancelled");
    let digest = Algorithm::Sha256.digest(b"content");
    refused!(one.blobs().stat(&digest).await, Error::BlobUnknown { .. }, "cancelled");
}

/// An id means something in its repository alone.
pub async fn a_session_is_unknown_in_another_repository(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let writer = begin(&one).await;
    let id = writer.id().clone();
    writer.close().await.unwrap();
    let two = repository(&namespace, "two").await;
    refused!(two.blobs().resume(&id, None).await, Error::UploadUnknown { .. }, "elsewhere");
    refused!(two.blobs().status(&id, None).await, Error::UploadUnknown { .. }, "elsewhere");
    let absent = UploadId::parse("0191b6a0-0000-7000-8000-000000000000").unwrap();
    refused!(one.blobs().resume(&absent, None).await, Error::UploadUnknown { .. }, "never begun");
}

/// Over several requests, too.
pub async fn sha512_is_computed_as_announced(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let options = StartUpload::default().with_algorithm(Some(Algorithm::Sha512));
    let UploadStart::Session(writer) = one.blobs().start(options).await.unwrap() else {
        panic!("a session begins");
    };
    let id = writer.id().clone();
    writer.close().await.unwrap();
    for piece in ["con", "tent"] {
        let mut writer = one.blobs().resume(&id, None).await.unwrap();
        writer.write(piece.into()).await.unwrap();
        writer.close().await.unwrap();
    }
    let digest = Algorithm::Sha512.digest(b"content");
    let descriptor = one.blobs().resume(&id, None).await.unwrap().commit(&digest).await.unwrap();
    assert_eq!(descriptor.digest, digest, "the digest it was pushed under");
    assert_eq!(one.blobs().stat(&digest).await.unwrap().digest, digest);
    assert_eq!(read(&one, &digest, GetBlob::default()).await.unwrap(), "content");
}

/// It is only known at the end then.
pub async fn sha512_is_computed_without_an_announcement(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let content = random(5, 700_000);
    let mut writer = begin(&one).await;
    writer.write(content.clone()).await.unwrap();
    let digest = Algorithm::Sha512.digest(&content);
    writer.commit(&digest).await.unwrap();
    assert_same(&read(&one, &digest, GetBlob::default()).await.unwrap(), &content, "the blob");
    let mut writer = begin(&one).await;
    let id = writer.id().clone();
    writer.write("other".into()).await.unwrap();
    refused!(writer.commit(&digest).await, Error::DigestMismatch { .. }, "other content");
    refused!(one.blobs().resume(&id, None).await, Error::UploadUnknown { .. }, "after a mismatch");
}

/// Each with bytes of its own.
pub async fn many_sessions_are_independent(namespace: Arc<dyn Namespace>) {
    let uploads = (0..32).map(|n: u64| {
        let namespace = Arc::clone(&namespace);
        tokio::spawn(async move {
            let one = repository(&namespace, "one").await;
            let content = random(100 + n, 10_000 + n as usize);
            let mut writer = begin(&one).await;
            for piece in content.chunks(777) {
                writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
                tokio::task::yield_now().await;
            }
            let digest = Algorithm::Sha256.digest(&content);
            writer.commit(&digest).await.unwrap();
            assert_same(&read(&one, &digest, GetBlob::default()).await.unwrap(), &content, "the blob");
        })
    });
    for upload in join_all(uploads).await {
        upload.unwrap();
    }
}
