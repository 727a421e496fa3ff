//! The operations of S3 on the bucket.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::super::bucket::{Attributes, Bucket, Condition, Page};
use super::super::data::Data;
use super::super::server::ShortListing;
use super::answers::{
    Claimed, claimed, condition, get_output, head_output, ours, read_condition, said, source, tag,
};

/// The most entries of a page.
const PAGE: usize = 1000;

pub(super) struct Api(Arc<Bucket>);

impl Api {
    pub(super) fn new(bucket: Arc<Bucket>) -> Self {
        Self(bucket)
    }

    /// Takes a body whose bytes are those that were claimed.
    async fn receive(&self, body: Option<StreamingBlob>, claimed: Claimed) -> S3Result<Data> {
        let Some(body) = body else {
            return Err(s3_error!(IncompleteBody));
        };
        let hasher = Arc::new(Mutex::new(claimed.hasher()));
        let seen = Arc::clone(&hasher);
        let body = body.map(move |bytes| {
            let bytes = bytes.map_err(Broken)?;
            seen.lock().unwrap_or_else(PoisonError::into_inner).update(&bytes);
            Ok(bytes)
        });
        let data =
            self.0.area.receive(body).await.map_err(|Broken(cause)| match cause.downcast::<S3Error>() {
                Ok(refusal) => *refusal,
                Err(cause) => S3Error::with_source(s3s::S3ErrorCode::IncompleteBody, cause),
            })?;
        let hasher = std::mem::take(&mut *hasher.lock().unwrap_or_else(PoisonError::into_inner));
        claimed.check(hasher)?;
        Ok(data)
    }
}

struct Broken(s3s::StdError);

impl From<std::io::Error> for Broken {
    fn from(cause: std::io::Error) -> Self {
        Self(cause.into())
    }
}

/// A page of objects and prefixes.
fn contents(page: &Page) -> (Option<Vec<Object>>, Option<Vec<CommonPrefix>>) {
    let objects = page.objects.iter().map(|(key, object)| Object {
        key: Some(key.clone()),
        size: i64::try_from(object.data.length()).ok(),
        e_tag: Some(tag(&object.tag)),
        last_modified: Some(Timestamp::from(object.modified)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Default::default()
    });
    let prefixes = page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(prefix.clone()) });
    (Some(objects.collect()), Some(prefixes.collect()))
}

/// As many entries as asked for, or as the fault plan allows.
fn most(asked: Option<i32>, extensions: &http::Extensions) -> usize {
    let asked = asked.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).min(PAGE);
    extensions.get::<ShortListing>().map_or(asked, |short| asked.min(short.0))
}

#[async_trait::async_trait]
impl S3 for Api {
    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        ours(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        ours(&req.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        ours(&input.bucket)?;
        let object = self.0.get(&input.key)?;
        read_condition(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let whole = object.data.length();
        let (range, content_range) = match input.range {
            None => (0..whole, None),
            Some(range) => {
                let range = range.check(whole)?;
                let said = format!("bytes {}-{}/{whole}", range.start, range.end.saturating_sub(1));
                (range, Some(said))
            }
        };
        let mut output = get_output(&object);
        output.content_length = i64::try_from(range.end - range.start).ok();
        output.content_range = content_range;
        output.body = Some(StreamingBlob::wrap(object.data.slice(range).read()));
        Ok(S3Response::new(output))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        ours(&input.bucket)?;
        let object = self.0.get(&input.key)?;
        read_condition(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        Ok(S3Response::new(head_output(&object)))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = req.input;
        ours(&input.bucket)?;
        let condition = condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let data = self.receive(input.body.take(), claimed!(input)).await?;
        let object = self.0.put(&input.key, data, said!(input), &condition)?;
        let output = PutObjectOutput { e_tag: Some(tag(&object.tag)), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = req.input;
        ours(&input.bucket)?;
        let from = source(&input.copy_source)?;
        let original = self.0.get(from)?;
        read_condition(
            &original,
            input.copy_source_if_match.as_ref(),
            input.copy_source_if_none_match.as_ref(),
        )?;
        let directive = input.metadata_directive.as_ref().map(MetadataDirective::as_str);
        let fresh = (directive == Some(MetadataDirective::REPLACE)).then(|| said!(input));
        let class = input.storage_class.as_ref().map(|class| class.as_str().to_owned());
        if from == input.key && fresh.is_none() && class.is_none() {
            return Err(s3_error!(InvalidRequest, "This copy request is illegal: nothing would change."));
        }
        // Which `s3s` does not know of a copy.
        let absent = req.headers.get(http::header::IF_NONE_MATCH).is_some_and(|value| value == "*");
        let condition = if absent { Condition::Absent } else { Condition::None };
        let object = self.0.copy(from, &input.key, fresh, class, &condition)?;
        let result = CopyObjectResult {
            e_tag: Some(tag(&object.tag)),
            last_modified: Some(Timestamp::from(object.modified)),
            ..Default::default()
        };
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        ours(&req.input.bucket)?;
        self.0.delete(&req.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        ours(&req.input.bucket)?;
        let named = req.input.delete.objects;
        if named.is_empty() || named.len() > PAGE {
            return Err(s3_error!(MalformedXML));
        }
        let mut deleted = Vec::new();
        for object in named {
            self.0.delete(&object.key);
            deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
        }
        Ok(S3Response::new(DeleteObjectsOutput { deleted: Some(deleted), ..Default::default() }))
    }

    async fn list_objects(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = req.input;
        ours(&input.bucket)?;
        let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
        let most = most(input.max_keys, &req.extensions);
        let page = self.0.list(
            prefix.unwrap_or(""),
            delimiter.unwrap_or(""),
            input.marker.as_deref().unwrap_or(""),
            most,
        );
        let (contents, common_prefixes) = contents(&page);
        Ok(S3Response::new(ListObjectsOutput {
            contents,
            common_prefixes,
            is_truncated: Some(page.next.is_some()),
            // S3 gives it only with a delimiter.
            next_marker: page.next.filter(|_| delimiter.is_some()),
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            marker: input.marker,
            max_keys: input.max_keys,
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        ours(&input.bucket)?;
        if input.encoding_type.is_some() {
            return Err(s3_error!(NotImplemented, "encoding-type"));
        }
        let most = most(input.max_keys, &req.extensions);
        let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
        // A token goes before the name to start after, as in S3.
        let after = input.continuation_token.as_deref().or(input.start_after.as_deref());
        let page = self.0.list(prefix.unwrap_or(""), delimiter.unwrap_or(""), after.unwrap_or(""), most);
        let (contents, common_prefixes) = contents(&page);
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
            contents,
            common_prefixes,
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        ours(&input.bucket)?;
        let attributes: Attributes = said!(input);
        let id = self.0.start_upload(&input.key, self.0.upload_id(), attributes);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..Default::default()
        }))
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let mut input = req.input;
        ours(&input.bucket)?;
        self.0.has_upload(&input.key, &input.upload_id)?;
        numbered(input.part_number)?;
        let data = self.receive(input.body.take(), claimed!(input)).await?;
        let part = self.0.put_part(&input.key, &input.upload_id, input.part_number, data)?;
        let output = UploadPartOutput {
            e_tag: Some(tag(&part.tag)),
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = req.input;
        if !self.0.options.part_copy {
            return Err(s3_error!(NotImplemented));
        }
        ours(&input.bucket)?;
        self.0.has_upload(&input.key, &input.upload_id)?;
        numbered(input.part_number)?;
        let object = self.0.get(source(&input.copy_source)?)?;
        read_condition(
            &object,
            input.copy_source_if_match.as_ref(),
            input.copy_source_if_none_match.as_ref(),
        )?;
        let whole = object.data.length();
        let range = match input.copy_source_range.as_deref() {
            None => 0..whole,
            Some(text) => {
                // First and last byte, both needed: no suffix, no open end.
                let bounds = text.strip_prefix("bytes=").and_then(|text| text.split_once('-'));
                let bounds = bounds
                    .and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
                let Some((first, last)) = bounds else { return Err(s3_error!(InvalidArgument)) };
                if first > last || last >= whole {
                    return Err(s3_error!(InvalidRange));
                }
                first..last + 1
            }
        };
        if range.end - range.start > self.0.options.max_copy {
            return Err(s3_error!(InvalidRequest, "The range is larger than what may be copied."));
        }
        let data = object.data.slice(range);
        let part = self.0.put_part(&input.key, &input.upload_id, input.part_number, data)?;
        let result = CopyPartResult {
            e_tag: Some(tag(&part.tag)),
            last_modified: Some(Timestamp::from(part.modified)),
            ..Default::default()
        };
        let output = UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let input = req.input;
        ours(&input.bucket)?;
        let all = self.0.parts(&input.key, &input.upload_id)?;
        let most = most(input.max_parts, &req.extensions);
        let after = input.part_number_marker.unwrap_or(0);
        let mut parts: Vec<Part> = all
            .into_iter()
            .filter(|(number, _)| *number > after)
            .map(|(number, part)| Part {
                part_number: Some(number),
                size: i64::try_from(part.data.length()).ok(),
                e_tag: Some(tag(&part.tag)),
                last_modified: Some(Timestamp::from(part.modified)),
                ..Default::default()
            })
            .collect();
        let is_truncated = parts.len() > most;
        parts.truncate(most);
        let next = parts.last().and_then(|part| part.part_number).filter(|_| is_truncated);
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(is_truncated),
            next_part_number_marker: next,
            part_number_marker: input.part_number_marker,
            parts: Some(parts),
            ..Default::default()
        }))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        if !self.0.options.list_uploads {
            return Err(s3_error!(NotImplemented));
        }
        ours(&input.bucket)?;
        let most = most(input.max_uploads, &req.extensions);
        let prefix = input.prefix.as_deref().unwrap_or("");
        let after_key = input.key_marker.as_deref().unwrap_or("");
        let after_id = input.upload_id_marker.as_deref();
        let mut pending = self.0.pending();
        pending.retain(|upload| {
            let after = match after_id {
                Some(id) => (upload.key.as_str(), upload.id.as_str()) > (after_key, id),
                None => upload.key.as_str() > after_key,
            };
            after && upload.key.starts_with(prefix)
        });
        let is_truncated = pending.len() > most;
        pending.truncate(most);
        let last = pending.last().cloned().filter(|_| is_truncated);
        let uploads = pending.into_iter().map(|upload| MultipartUpload {
            key: Some(upload.key),
            upload_id: Some(upload.id),
            initiated: Some(Timestamp::from(upload.started)),
            ..Default::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            uploads: Some(uploads.collect()),
            is_truncated: Some(is_truncated),
            next_key_marker: last.as_ref().map(|upload| upload.key.clone()),
            next_upload_id_marker: last.map(|upload| upload.id),
            key_marker: input.key_marker,
            upload_id_marker: input.upload_id_marker,
            prefix: input.prefix,
            max_uploads: input.max_uploads,
            ..Default::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        ours(&input.bucket)?;
        let condition = condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let mut named = Vec::new();
        for part in parts {
            let (Some(number), Some(etag)) = (part.part_number, part.e_tag) else {
                return Err(s3_error!(MalformedXML));
            };
            named.push((number, Some(etag.into_value())));
        }
        let object = self.0.complete(&input.key, &input.upload_id, &named, &condition)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(tag(&object.tag)),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        ours(&req.input.bucket)?;
        self.0.abort(&req.input.key, &req.input.upload_id)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

fn numbered(number: i32) -> S3Result<()> {
    if (1..=10_000).contains(&number) {
        Ok(())
    } else {
        Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))
    }
}
