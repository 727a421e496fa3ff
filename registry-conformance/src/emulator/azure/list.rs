//! List Blobs.

use http::Response;
use s3s::Body;

use super::super::BUCKET;
use super::super::bucket::Bucket;
use super::super::log::parameter;
use super::blobs::http_date;
use super::{escape, xml};

/// The most entries of a page.
const PAGE: usize = 5000;

/// A page of the container, with `short` entries at most.
pub(super) fn answer(bucket: &Bucket, query: &str, short: usize) -> Response<Body> {
    let said = |name| parameter(query, name).unwrap_or_default();
    let (prefix, delimiter, marker) = (said("prefix"), said("delimiter"), said("marker"));
    let most = said("maxresults").parse().unwrap_or(PAGE).min(PAGE).min(short);
    let page = bucket.list(&prefix, &delimiter, &marker, most);
    let blobs = page.objects.iter().map(|(key, object)| {
        format!(
            "<Blob><Name>{}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>{}</Etag>\
             <Content-Length>{}</Content-Length><Content-Type>{}</Content-Type>\
             <BlobType>BlockBlob</BlobType></Properties></Blob>",
            escape(key),
            http_date(object.modified),
            object.tag,
            object.data.length(),
            escape(object.attributes.content_type.as_deref().unwrap_or("application/octet-stream")),
        )
    });
    let prefixes = page
        .prefixes
        .iter()
        .map(|prefix| format!("<BlobPrefix><Name>{}</Name></BlobPrefix>", escape(prefix)));
    // Blobs that only have blocks come with the last page, whatever their names.
    let uncommitted = said("include").split(',').any(|one| one == "uncommittedblobs") && page.next.is_none();
    let mut pending: Vec<String> = bucket.pending().into_iter().map(|pending| pending.key).collect();
    pending.sort_unstable();
    pending.dedup();
    pending.retain(|key| uncommitted && key.starts_with(&prefix) && bucket.get(key).is_err());
    let pending = pending.iter().map(|key| {
        let name = escape(key);
        format!("<Blob><Name>{name}</Name><Properties><BlobType>BlockBlob</BlobType></Properties></Blob>")
    });
    xml(format!(
        "<EnumerationResults ContainerName=\"{BUCKET}\"><Prefix>{}</Prefix><Blobs>{}{}{}</Blobs>\
         <NextMarker>{}</NextMarker></EnumerationResults>",
        escape(&prefix),
        blobs.collect::<String>(),
        pending.collect::<String>(),
        prefixes.collect::<String>(),
        escape(page.next.as_deref().unwrap_or("")),
    ))
}
