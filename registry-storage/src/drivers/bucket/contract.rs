//! What [`Bucket`] promises, asked of a service that is running. The bucket is empty before and after.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::TryStreamExt;

use super::store::{Bucket, BucketError, GetRange, KeyPage, ListKeys, Part, Pending};

/// Everything, one after the other.
pub(super) async fn hold(bucket: &dyn Bucket) {
    objects(bucket).await;
    ranges(bucket).await;
    copies(bucket).await;
    odd_keys(bucket).await;
    listings(bucket).await;
    listing_from_anywhere(bucket).await;
    uploads(bucket).await;
    uploads_that_are_not_there(bucket).await;
    two_uploads_of_one_key(bucket).await;
    let left = all(bucket, "", false).await;
    assert!(left.is_empty(), "left behind: {left:?}");
}

async fn put(bucket: &dyn Bucket, key: &str, content: &str) {
    bucket.put(key, Bytes::from(content.to_owned()), false).await.unwrap();
}

async fn read(bucket: &dyn Bucket, key: &str, range: Option<GetRange>) -> Result<String, BucketError> {
    let object = bucket.get(key, range).await?;
    let content: Vec<Bytes> = object.body.try_collect().await.unwrap();
    let content = String::from_utf8(content.concat()).unwrap();
    assert_eq!(object.range.end - object.range.start, content.len() as u64, "{key}");
    Ok(content)
}

async fn delete(bucket: &dyn Bucket, keys: &[&str]) {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    bucket.delete(&keys).await.unwrap();
}

/// Every key with a prefix, in pages of three.
async fn all(bucket: &dyn Bucket, prefix: &str, fold: bool) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let after = keys.last().map(String::as_str);
        let page = bucket.list(&ListKeys { prefix, fold, after, limit: 3 }).await.unwrap();
        assert!(page.keys.len() <= 3, "{page:?}");
        assert!(!page.more || !page.keys.is_empty(), "a page without keys does not tell where to go on");
        keys.extend(page.keys.into_iter().map(|key| key.key));
        if !page.more {
            assert!(keys.is_sorted(), "{keys:?}");
            return keys;
        }
    }
}

async fn objects(bucket: &dyn Bucket) {
    assert!(matches!(bucket.head("a/b").await, Err(BucketError::NotFound)));
    assert!(matches!(read(bucket, "a/b", None).await, Err(BucketError::NotFound)));
    put(bucket, "a/b", "one").await;
    put(bucket, "a/b", "two!").await;
    assert_eq!(read(bucket, "a/b", None).await.unwrap(), "two!");
    let meta = bucket.head("a/b").await.unwrap();
    assert_eq!(meta.size, 4);
    assert!(meta.modified.elapsed().unwrap_or_default().as_secs() < 600, "{meta:?}");
    assert!(matches!(bucket.head("a").await, Err(BucketError::NotFound)), "a directory is no object");

    assert!(matches!(bucket.put("a/b", "three".into(), true).await, Err(BucketError::AlreadyExists)));
    bucket.put("a/c", "new".into(), true).await.unwrap();
    assert_eq!(read(bucket, "a/b", None).await.unwrap(), "two!");
    put(bucket, "empty", "").await;
    assert_eq!(bucket.head("empty").await.unwrap().size, 0);
    assert_eq!(read(bucket, "empty", None).await.unwrap(), "");

    delete(bucket, &["a/b", "a/c", "not-there", "empty"]).await;
    delete(bucket, &["a/b"]).await;
    delete(bucket, &[]).await;
    assert!(matches!(bucket.head("a/b").await, Err(BucketError::NotFound)));
}

async fn ranges(bucket: &dyn Bucket) {
    put(bucket, "digits", "0123456789").await;
    for (range, expected) in [
        (GetRange::Bounded(2..5), "234"),
        (GetRange::Bounded(8..50), "89"),
        (GetRange::From(7), "789"),
        (GetRange::From(0), "0123456789"),
        (GetRange::Suffix(3), "789"),
        (GetRange::Suffix(50), "0123456789"),
    ] {
        let object = bucket.get("digits", Some(range.clone())).await.unwrap();
        assert_eq!((object.meta.size, object.range.end - object.range.start), (10, expected.len() as u64));
        assert_eq!(read(bucket, "digits", Some(range)).await.unwrap(), expected);
    }
    for range in [GetRange::From(10), GetRange::Bounded(10..12)] {
        let outside = read(bucket, "digits", Some(range)).await;
        assert!(matches!(outside, Err(BucketError::InvalidRange { len: None | Some(10) })), "{outside:?}");
    }
    delete(bucket, &["digits"]).await;
}

async fn copies(bucket: &dyn Bucket) {
    put(bucket, "from", "content").await;
    put(bucket, "to", "old").await;
    bucket.copy("from", "to", 7).await.unwrap();
    assert_eq!(read(bucket, "to", None).await.unwrap(), "content");
    assert_eq!(read(bucket, "from", None).await.unwrap(), "content");
    let missing = bucket.copy("not-there", "to", 7).await;
    assert!(matches!(missing, Err(BucketError::NotFound)), "{missing:?}");
    assert_eq!(read(bucket, "to", None).await.unwrap(), "content");
    delete(bucket, &["from", "to"]).await;
}

/// A prefix is free text, so that keys may have what URLs do not.
async fn odd_keys(bucket: &dyn Bucket) {
    let keys = ["odd/a b", "odd/a+b", "odd/a=b&c", "odd/ä"];
    for key in keys {
        put(bucket, key, key).await;
        assert_eq!(read(bucket, key, None).await.unwrap(), key);
        assert_eq!(bucket.head(key).await.unwrap().size, key.len() as u64);
    }
    assert_eq!(all(bucket, "odd/", false).await, keys);
    assert_eq!(all(bucket, "odd/a+", false).await, ["odd/a+b"]);
    bucket.copy("odd/a b", "odd/copy of ä", 7).await.unwrap();
    assert_eq!(read(bucket, "odd/copy of ä", None).await.unwrap(), "odd/a b");
    delete(bucket, &keys).await;
    delete(bucket, &["odd/copy of ä"]).await;
}

const ROW: [&str; 9] = ["r/a", "r/a-b/1", "r/a/1", "r/a/2", "r/a/3/x", "r/b", "r/c/1", "r/d", "ra"];

async fn listings(bucket: &dyn Bucket) {
    for key in ROW {
        put(bucket, key, key).await;
    }
    assert_eq!(all(bucket, "r/", false).await, ROW[..8]);
    assert_eq!(all(bucket, "r", false).await, ROW);
    assert_eq!(all(bucket, "", false).await, ROW);
    assert_eq!(all(bucket, "r/", true).await, ["r/a", "r/a-b/", "r/a/", "r/b", "r/c/", "r/d"]);
    assert_eq!(all(bucket, "r/a/", true).await, ["r/a/1", "r/a/2", "r/a/3/"]);
    assert_eq!(all(bucket, "r/a", false).await, ["r/a", "r/a-b/1", "r/a/1", "r/a/2", "r/a/3/x"]);
    assert_eq!(all(bucket, "x/", false).await, [""; 0]);
    let page = bucket.list(&ListKeys { prefix: "r/", fold: true, after: None, limit: 100 }).await.unwrap();
    let sizes: Vec<_> = page.keys.iter().map(|key| key.size).collect();
    assert_eq!(sizes, [Some(3), None, None, Some(3), None, Some(3)]);
    assert!(!page.more);
}

async fn listing_from_anywhere(bucket: &dyn Bucket) {
    for fold in [false, true] {
        let whole = all(bucket, "r/", fold).await;
        let exact = whole.iter().cloned();
        let between = ["r/", "r/a-", "r/a/2x", "r/bb", "r/c", "r/z"].map(str::to_owned);
        for after in exact.chain(between) {
            let expected: Vec<_> = whole.iter().filter(|key| **key > after).cloned().collect();
            let request = ListKeys { prefix: "r/", fold, after: Some(&after), limit: 100 };
            let KeyPage { keys, more } = bucket.list(&request).await.unwrap();
            let keys: Vec<_> = keys.into_iter().map(|key| key.key).collect();
            assert_eq!((keys, more), (expected, false), "after {after}, fold {fold}");
        }
    }
    delete(bucket, &ROW).await;
}

fn part(bucket: &dyn Bucket, byte: u8) -> Bytes {
    vec![byte; usize::try_from(bucket.limits().min_part).unwrap()].into()
}

async fn uploads(bucket: &dyn Bucket) {
    let key = "_uploads/one/data";
    let upload = bucket.begin(key).await.unwrap();
    let [a, b, c] = [b'a', b'b', b'c'].map(|byte| part(bucket, byte));
    let second = bucket.put_part(key, &upload, 2, vec![b.slice(..9), b.slice(9..)]).await.unwrap();
    bucket.put_part(key, &upload, 1, vec![c]).await.unwrap();
    let first = bucket.put_part(key, &upload, 1, vec![a.clone()]).await.unwrap();
    let third = bucket.put_part(key, &upload, 3, vec!["end".into()]).await.unwrap();
    assert_eq!((third.number, third.size), (3, 3));
    assert!(matches!(bucket.head(key).await, Err(BucketError::NotFound)), "nothing is there yet");

    let parts = bucket.parts(key, &upload).await.unwrap();
    let short: Vec<_> = parts.iter().map(|part| (part.number, part.size)).collect();
    let size = bucket.limits().min_part;
    assert_eq!(short, [(1, size), (2, size), (3, 3)]);
    assert_eq!(pending(bucket, "_uploads/").await, [(key.to_owned(), upload.clone())]);
    assert!(pending(bucket, "other/").await.is_empty());

    bucket.complete(key, &upload, &[first, second, third]).await.unwrap();
    let whole = [&a[..], &b[..], b"end"].concat();
    assert!(read(bucket, key, None).await.unwrap().into_bytes() == whole);
    assert!(pending(bucket, "_uploads/").await.is_empty());
    let parts = bucket.parts(key, &upload).await;
    assert!(matches!(parts, Err(BucketError::NoSuchUpload)), "{parts:?}");
    delete(bucket, &[key]).await;
}

async fn pending(bucket: &dyn Bucket, prefix: &str) -> Vec<(String, String)> {
    let mut all: Vec<Pending> = Vec::new();
    loop {
        let page = bucket.uploads(prefix, all.last()).await.unwrap();
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    assert!(all.iter().all(|one| one.initiated.elapsed().unwrap_or_default().as_secs() < 600), "{all:?}");
    all.into_iter().map(|one| (one.key, one.upload)).collect()
}

async fn uploads_that_are_not_there(bucket: &dyn Bucket) {
    let key = "_uploads/two/data";
    let upload = bucket.begin(key).await.unwrap();
    let part = bucket.put_part(key, &upload, 1, vec!["content".into()]).await.unwrap();
    let wrong = Part { tag: part.tag.chars().rev().collect(), ..part.clone() };
    let changed = bucket.complete(key, &upload, &[wrong]).await;
    assert!(matches!(changed, Err(BucketError::PartChanged)), "{changed:?}");
    bucket.complete(key, &upload, std::slice::from_ref(&part)).await.unwrap();
    delete(bucket, &[key]).await;
    let gone = bucket.complete(key, &upload, &[part]).await;
    assert!(matches!(gone, Err(BucketError::NoSuchUpload)), "{gone:?}");
    assert!(matches!(bucket.parts(key, &upload).await, Err(BucketError::NoSuchUpload)));
    bucket.abort(key, &upload).await.unwrap();
    assert!(matches!(bucket.head(key).await, Err(BucketError::NotFound)));
}

async fn two_uploads_of_one_key(bucket: &dyn Bucket) {
    let key = "_uploads/three/data";
    let one = bucket.begin(key).await.unwrap();
    let two = bucket.begin(key).await.unwrap();
    let of_one = bucket.put_part(key, &one, 1, vec!["one".into()]).await.unwrap();
    let of_two = bucket.put_part(key, &two, 1, vec!["two!".into()]).await.unwrap();
    let both = BTreeSet::from([one.clone(), two.clone()]);
    let found: BTreeSet<_> = pending(bucket, key).await.into_iter().map(|(_, upload)| upload).collect();
    assert_eq!(found, both);
    assert_eq!(bucket.parts(key, &one).await.unwrap()[0].size, 3);
    bucket.complete(key, &one, &[of_one]).await.unwrap();
    assert_eq!(read(bucket, key, None).await.unwrap(), "one");
    // Either the second one is still there, or it says that it is not.
    match bucket.complete(key, &two, &[of_two]).await {
        Ok(()) => assert_eq!(read(bucket, key, None).await.unwrap(), "two!"),
        Err(error) => assert!(matches!(error, BucketError::NoSuchUpload), "{error:?}"),
    }
    bucket.abort(key, &two).await.unwrap();
    delete(bucket, &[key]).await;
}
