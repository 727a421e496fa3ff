//! How pages are read.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::*;

/// Answers with one page after the other, and keeps what it was asked.
struct Book {
    pages: Mutex<Vec<&'static str>>,
    asked: Mutex<Vec<String>>,
}

impl Book {
    fn new(pages: &[&'static str]) -> Self {
        Self { pages: Mutex::new(pages.iter().rev().copied().collect()), asked: Mutex::default() }
    }
}

#[async_trait]
impl Pages for Book {
    async fn page(&self, key: Option<&str>, query: &[(&str, &str)]) -> Result<Bytes, BucketError> {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.asked.lock().unwrap().push(format!("{}?{}", key.unwrap_or_default(), query.join("&")));
        Ok(Bytes::from_static(self.pages.lock().unwrap().pop().expect("no page was left").as_bytes()))
    }
}

fn request<'a>(after: Option<&'a str>, fold: bool) -> ListKeys<'a> {
    ListKeys { prefix: "", fold, after, limit: 10 }
}

#[test]
fn objects_and_folded_keys_are_in_one_order() {
    let xml = b"<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
        <Name>b</Name><Prefix></Prefix><KeyCount>4</KeyCount><IsTruncated>true</IsTruncated>\
        <Contents><Key>a&amp;b</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
        <ETag>&quot;x&quot;</ETag><Size>12</Size><StorageClass>STANDARD</StorageClass></Contents>\
        <CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>\
        <Contents><Key>a0</Key><Size>0</Size></Contents>\
        <CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes></ListBucketResult>";
    let found = page(parse(xml).unwrap(), &request(None, true));
    assert!(found.more);
    let keys: Vec<_> = found.keys.iter().map(|key| (key.key.as_str(), key.size)).collect();
    assert_eq!(keys, [("a&b", Some(12)), ("a/", None), ("a0", Some(0)), ("b/", None)]);
}

#[test]
fn an_empty_listing_is_one() {
    let found: ListBucketResult = parse(b"<ListBucketResult><Name>b</Name></ListBucketResult>").unwrap();
    assert_eq!(page(found, &request(None, false)), KeyPage::default());
    assert!(parse::<ListBucketResult>(b"no xml").is_err());
}

#[test]
fn after_a_folded_key_comes_nothing_of_it() {
    let after = |prefix, after, fold| {
        let request = ListKeys { prefix, fold, after: Some(after), limit: 10 };
        start_after(&request).unwrap().into_owned()
    };
    assert_eq!(after("", "a/", true), "a/\u{10ffff}");
    assert_eq!(after("", "a/b/c", true), "a/\u{10ffff}");
    assert_eq!(after("a/", "a/", true), "a/");
    assert_eq!(after("", "a/", false), "a/");
    assert_eq!(after("", "a", true), "a");
    // A service that folds the rest to the same key again.
    let folded = answers::CommonPrefix { prefix: "a/".to_owned() };
    let found = ListBucketResult { common_prefixes: vec![folded], ..Default::default() };
    assert_eq!(page(found, &request(Some("a/"), true)).keys, []);
}

#[tokio::test]
async fn a_page_without_keys_is_gone_on_after_by_its_token() {
    let book = Book::new(&[
        "<ListBucketResult><IsTruncated>true</IsTruncated>\
         <NextContinuationToken>t</NextContinuationToken></ListBucketResult>",
        "<ListBucketResult><Contents><Key>b</Key><Size>1</Size></Contents></ListBucketResult>",
    ]);
    let found = objects(&book, &request(Some("a"), false)).await.unwrap();
    assert_eq!((found.keys[0].key.as_str(), found.more), ("b", false));
    let asked = book.asked.into_inner().unwrap();
    assert_eq!(asked[0], "?list-type=2&prefix=&max-keys=10&start-after=a");
    assert_eq!(asked[1], "?list-type=2&prefix=&max-keys=10&continuation-token=t");
}

#[tokio::test]
async fn uploads_have_a_key_an_id_and_a_time() {
    let book = Book::new(&[
        "<?xml version='1.0' encoding='UTF-8'?>\
         <ListMultipartUploadsResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>\
         <Bucket>b</Bucket><NextKeyMarker>k2</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker>\
         <MaxUploads>2</MaxUploads><IsTruncated>true</IsTruncated>\
         <Upload><Key>k1</Key><UploadId>u1</UploadId><StorageClass>STANDARD</StorageClass>\
         <Initiated>2021-11-24T01:08:26.000Z</Initiated></Upload>\
         <Upload><Key>k2</Key><UploadId>u2</UploadId><Initiated>2021-11-24T01:08:27Z</Initiated></Upload>\
         <Upload><Key>k3</Key><UploadId>u3</UploadId><Initiated>long ago</Initiated></Upload>\
         </ListMultipartUploadsResult>",
        "<ListMultipartUploadsResult/>",
    ]);
    let found = uploads(&book, "k", None).await.unwrap();
    assert_eq!((found[0].key.as_str(), found[0].upload.as_str()), ("k1", "u1"));
    let second = SystemTime::UNIX_EPOCH + Duration::from_secs(1_637_716_107);
    assert_eq!(found[1].initiated, second);
    assert!(found[2].initiated.elapsed().unwrap() < Duration::from_secs(3600), "not for the purge");
    assert_eq!(uploads(&book, "k", found.last()).await.unwrap(), []);
    let asked = book.asked.into_inner().unwrap();
    assert_eq!(asked, ["?uploads=&prefix=k", "?uploads=&prefix=k&key-marker=k3&upload-id-marker=u3"]);
}

#[tokio::test]
async fn parts_go_on_only_where_the_list_was_cut() {
    let book = Book::new(&[
        "<ListPartsResult><NextPartNumberMarker>2</NextPartNumberMarker><IsTruncated>true</IsTruncated>\
         <Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag><Size>5</Size></Part>\
         <Part><PartNumber>2</PartNumber><ETag>&quot;b&quot;</ETag><Size>6</Size></Part></ListPartsResult>",
        "<ListPartsResult><NextPartNumberMarker>3</NextPartNumberMarker><IsTruncated>false</IsTruncated>\
         <Part><PartNumber>3</PartNumber><ETag>c</ETag><Size>7</Size></Part></ListPartsResult>",
    ]);
    let found = parts(&book, "k", "u").await.unwrap();
    assert_eq!(found[1], Part { number: 2, size: 6, tag: "\"b\"".to_owned() });
    assert_eq!(found.len(), 3);
    assert_eq!(book.asked.into_inner().unwrap(), ["k?uploadId=u", "k?uploadId=u&part-number-marker=2"]);
}
