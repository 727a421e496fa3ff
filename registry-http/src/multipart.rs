//! `multipart/byteranges`: several parts of a blob in one response (RFC 9110, section 14.6).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use registry_core::{BlobStore, ByteRange, ByteStream, Digest, Error, GetBlob, MediaType};

use crate::range::content_range;

/// Several parts of a blob, ready to be sent.
pub(crate) struct Multipart {
    pub(crate) content_type: String,
    pub(crate) len: u64,
    pub(crate) stream: ByteStream,
}

impl Multipart {
    /// Puts together `parts` of a blob of `size` bytes. Each is opened when its turn comes, so one file
    /// is open at a time.
    pub(crate) fn new(blobs: Arc<dyn BlobStore>, digest: Digest, size: u64, parts: Vec<Range<u64>>) -> Self {
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let heads: Vec<Bytes> = parts
            .iter()
            .map(|part| {
                let content_type = MediaType::OCTET_STREAM;
                let range = content_range(part, size);
                format!("\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {range}\r\n\r\n")
                    .into()
            })
            .collect();
        let end: Bytes = format!("\r\n--{boundary}--\r\n").into();
        let len = heads.iter().map(|head| head.len() as u64).sum::<u64>()
            + parts.iter().map(|part| part.end - part.start).sum::<u64>()
            + end.len() as u64;
        let parts = stream::iter(heads.into_iter().zip(parts)).then(move |(head, part)| {
            let (blobs, digest) = (Arc::clone(&blobs), digest.clone());
            async move {
                let body = open(blobs.as_ref(), &digest, part).await?;
                Ok::<_, Error>(stream::once(async move { Ok(head) }).chain(body))
            }
        });
        let stream = parts.try_flatten().chain(stream::once(async move { Ok(end) })).boxed();
        Self { content_type: format!("multipart/byteranges; boundary={boundary}"), len, stream }
    }
}

async fn open(blobs: &dyn BlobStore, digest: &Digest, part: Range<u64>) -> Result<ByteStream, Error> {
    let options = GetBlob::default().with_range(ByteRange::bounded(part.start, part.end));
    let blob = blobs.get(digest, options).await?;
    blob.body.into_stream().map_err(|uri| {
        Error::internal("reading part of a blob", format!("redirected to {uri} without having asked for it"))
    })
}
