//! Blobs of a repository: visibility, ranges, mounts, deletes.

use std::sync::Arc;

use futures::{StreamExt, future::join_all};
use registry_core::{
    Algorithm, ByteRange, Descriptor, Digest, Error, GetBlob, MountSource, Namespace, PageRequest,
    StartUpload, UploadStart,
};

use super::{name, push, read, repository};
use crate::data::{assert_same, random};
use crate::suite::refused;

/// What was pushed is there, with its size, byte for byte.
pub async fn a_pushed_blob_is_read_back(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let content = random(1, 100_000);
    let digest = push(&one, content.clone()).await;
    assert_eq!(one.blobs().stat(&digest).await.unwrap(), Descriptor::blob(digest.clone(), 100_000));
    assert_same(&read(&one, &digest, GetBlob::default()).await.unwrap(), &content, "the blob");
}

/// No bytes are a blob too.
pub async fn an_empty_blob_is_a_blob(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let digest = push(&one, "").await;
    assert_eq!(one.blobs().stat(&digest).await.unwrap().size, 0);
    assert!(read(&one, &digest, GetBlob::default()).await.unwrap().is_empty());
    let part = GetBlob::default().with_range(Some(ByteRange::From(0)));
    refused!(
        one.blobs().get(&digest, part).await,
        Error::RangeNotSatisfiable { len: 0 },
        "nothing has no part"
    );
}

/// Each form of range gives its bytes, and says which.
pub async fn parts_of_a_blob_are_read(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let content = random(2, 300_000);
    let digest = push(&one, content.clone()).await;
    let cases = [
        (ByteRange::bounded(0, 1), 0..1),
        (ByteRange::bounded(10, 200_000), 10..200_000),
        (ByteRange::bounded(299_999, 999_999), 299_999..300_000),
        (Some(ByteRange::From(1)), 1..300_000),
        (ByteRange::suffix(5), 299_995..300_000),
        (ByteRange::suffix(u64::MAX), 0..300_000),
    ];
    for (range, expected) in cases {
        let options = GetBlob::default().with_range(range);
        let blob = one.blobs().get(&digest, options.clone()).await.unwrap();
        assert_eq!(blob.range, expected, "{range:?}");
        assert_eq!(blob.descriptor.size, 300_000, "the size is that of the whole blob");
        drop(blob);
        let part = read(&one, &digest, options).await.unwrap();
        let (start, end) = (expected.start as usize, expected.end as usize);
        assert_same(&part, &content[start..end], "the part");
    }
    let beyond = GetBlob::default().with_range(Some(ByteRange::From(300_000)));
    refused!(
        one.blobs().get(&digest, beyond).await,
        Error::RangeNotSatisfiable { len: 300_000 },
        "past the end"
    );
}

/// Neither before it is pushed nor while its upload is open.
pub async fn a_blob_is_unknown_until_it_is_pushed(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let digest = Algorithm::Sha256.digest(b"content");
    refused!(one.blobs().stat(&digest).await, Error::BlobUnknown { .. }, "before");
    let mut writer = super::begin(&one).await;
    writer.write("content".into()).await.unwrap();
    refused!(one.blobs().stat(&digest).await, Error::BlobUnknown { .. }, "during");
    refused!(one.blobs().get(&digest, GetBlob::default()).await, Error::BlobUnknown { .. }, "during");
    writer.commit(&digest).await.unwrap();
    one.blobs().stat(&digest).await.unwrap();
    let unsupported = Digest::parse("blake3:abc").unwrap();
    refused!(one.blobs().stat(&unsupported).await, Error::BlobUnknown { .. }, "of an unknown algorithm");
}

/// Whatever it is called, however long: no file has a name of more than 255 bytes.
pub async fn what_no_store_can_hold_is_unknown(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    for len in [255, 256, Digest::MAX_LEN - 2] {
        for text in [format!("x:{}", "a".repeat(len)), format!("{}:ab", "x".repeat(len.min(500)))] {
            let odd = Digest::parse(&text).unwrap();
            refused!(one.blobs().stat(&odd).await, Error::BlobUnknown { .. }, "{text}");
            refused!(one.blobs().get(&odd, GetBlob::default()).await, Error::BlobUnknown { .. }, "{text}");
            refused!(one.blobs().delete(&odd).await, Error::BlobUnknown { .. }, "{text}");
            refused!(one.manifests().stat(&odd).await, Error::ManifestUnknown { .. }, "{text}");
            refused!(one.manifests().delete(&odd).await, Error::ManifestUnknown { .. }, "{text}");
            assert!(namespace.blobs().stat(&odd).await.unwrap().is_none(), "{text}");
        }
    }
}

/// Repositories show what was put into them, though content is stored once.
pub async fn a_blob_of_one_repository_is_unknown_in_another(namespace: Arc<dyn Namespace>) {
    let digest = push(&repository(&namespace, "one").await, "content").await;
    for other in ["two", "one/below", "on"] {
        let other = repository(&namespace, other).await;
        refused!(other.blobs().stat(&digest).await, Error::BlobUnknown { .. }, "elsewhere");
        refused!(
            other.blobs().get(&digest, GetBlob::default()).await,
            Error::BlobUnknown { .. },
            "elsewhere"
        );
        refused!(other.blobs().delete(&digest).await, Error::BlobUnknown { .. }, "elsewhere");
    }
}

fn mount(from: Option<&str>, descriptor: Descriptor) -> StartUpload {
    let source = MountSource { from: from.map(name), descriptor };
    StartUpload::default().with_mount(Some(source))
}

/// With and without a source; nothing is uploaded.
pub async fn a_blob_is_mounted_from_another_repository(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let digest = push(&one, "content").await;
    let descriptor = one.blobs().stat(&digest).await.unwrap();
    for (target, from) in [("two", Some("one")), ("three", None), ("one", Some("one"))] {
        let target = repository(&namespace, target).await;
        match target.blobs().start(mount(from, descriptor.clone())).await.unwrap() {
            UploadStart::Mounted(mounted) => assert_eq!(mounted, descriptor),
            UploadStart::Session(_) => panic!("the blob is there to be mounted"),
        }
        assert_eq!(read(&target, &digest, GetBlob::default()).await.unwrap(), "content");
    }
}

/// A mount is no reference to its source.
pub async fn a_mounted_blob_outlives_its_source(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let digest = push(&one, "content").await;
    let descriptor = one.blobs().stat(&digest).await.unwrap();
    let two = repository(&namespace, "two").await;
    two.blobs().start(mount(Some("one"), descriptor)).await.unwrap();
    one.blobs().delete(&digest).await.unwrap();
    assert_eq!(read(&two, &digest, GetBlob::default()).await.unwrap(), "content");
}

/// The client uploads then, as if it had not asked.
pub async fn a_mount_of_what_is_not_stored_begins_an_upload(namespace: Arc<dyn Namespace>) {
    let two = repository(&namespace, "two").await;
    let digest = Algorithm::Sha256.digest(b"content");
    let absent = Descriptor::blob(digest.clone(), 7);
    match two.blobs().start(mount(Some("one"), absent)).await.unwrap() {
        UploadStart::Mounted(descriptor) => panic!("{descriptor:?} is not stored"),
        UploadStart::Session(mut writer) => {
            writer.write("content".into()).await.unwrap();
            writer.commit(&digest).await.unwrap();
        }
    }
    assert_eq!(read(&two, &digest, GetBlob::default()).await.unwrap(), "content");
}

/// A delete concerns one repository, and holds at once.
pub async fn a_deleted_blob_is_gone_here_and_nowhere_else(namespace: Arc<dyn Namespace>) {
    let (one, two) = (repository(&namespace, "one").await, repository(&namespace, "two").await);
    let digest = push(&one, "content").await;
    push(&two, "content").await;
    one.blobs().stat(&digest).await.unwrap();
    one.blobs().delete(&digest).await.unwrap();
    refused!(one.blobs().stat(&digest).await, Error::BlobUnknown { .. }, "deleted");
    refused!(one.blobs().get(&digest, GetBlob::default()).await, Error::BlobUnknown { .. }, "deleted");
    refused!(one.blobs().delete(&digest).await, Error::BlobUnknown { .. }, "deleted twice");
    assert_eq!(read(&two, &digest, GetBlob::default()).await.unwrap(), "content");
}

/// No memory of the delete stays behind.
pub async fn a_deleted_blob_can_be_pushed_again(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    for _ in 0..3 {
        let digest = push(&one, "content").await;
        assert_eq!(read(&one, &digest, GetBlob::default()).await.unwrap(), "content");
        one.blobs().delete(&digest).await.unwrap();
    }
}

/// Who has begun to read gets all bytes, or an error.
pub async fn deleting_while_reading_never_cuts_a_blob_short(namespace: Arc<dyn Namespace>) {
    let one = repository(&namespace, "one").await;
    let content = random(3, 3 << 20);
    let digest = push(&one, content.clone()).await;
    let blob = one.blobs().get(&digest, GetBlob::default()).await.unwrap();
    let mut stream = blob.body.into_stream().unwrap();
    let mut received = Vec::new();
    if let Some(piece) = stream.next().await {
        received.extend_from_slice(&piece.unwrap());
    }
    one.blobs().delete(&digest).await.unwrap();
    namespace.blobs().delete(&digest).await.unwrap();
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => received.extend_from_slice(&piece),
            Err(_) => return,
        }
    }
    assert_same(&received, &content, "what was read");
}

/// All of them succeed, and the blob is whole.
pub async fn the_same_blob_pushed_by_many_at_once_is_one_blob(namespace: Arc<dyn Namespace>) {
    let content = random(4, 200_000);
    let pushes = (0..16).map(|n| {
        let (namespace, content) = (Arc::clone(&namespace), content.clone());
        let repository_name = format!("many/{}", n % 4);
        tokio::spawn(async move {
            let repository = repository(&namespace, &repository_name).await;
            let digest = push(&repository, content.clone()).await;
            assert_same(&read(&repository, &digest, GetBlob::default()).await.unwrap(), &content, "the blob");
        })
    });
    for push in join_all(pushes).await {
        push.unwrap();
    }
    let stored = namespace.blobs().list(&PageRequest::first(10)).await.unwrap();
    assert_eq!(stored.items, [Algorithm::Sha256.digest(&content)], "stored once");
}

/// For administration, whichever repository it is in.
pub async fn content_is_known_across_repositories(namespace: Arc<dyn Namespace>) {
    let digest = push(&repository(&namespace, "one").await, "content").await;
    let blobs = namespace.blobs();
    assert_eq!(blobs.stat(&digest).await.unwrap().map(|found| found.size), Some(7));
    let blob = blobs.get(&digest).await.unwrap().expect("content is there");
    assert_eq!(blob.range, 0..7);
    let absent = Algorithm::Sha256.digest(b"absent");
    assert!(blobs.stat(&absent).await.unwrap().is_none());
    assert!(blobs.get(&absent).await.unwrap().is_none());
    blobs.delete(&digest).await.unwrap();
    assert!(blobs.stat(&digest).await.unwrap().is_none(), "deleted content is not remembered");
}
