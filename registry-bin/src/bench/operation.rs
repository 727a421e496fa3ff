//! The requests behind every workload, and those that prepare and clean up.

use std::sync::Arc;

use http::uri::{InvalidUri, Uri};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use super::client::{Answer, Client, RequestError};
use super::fixture::{Fixture, MANIFEST, Repository, Thing};
use super::payload::{Blob, Hash, Payload};
use super::workload::Workload;

/// Tags on the page that is read.
const PAGE: u64 = 100;

/// What a worker repeats. Each time it is told the turn, a number of its own.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Measured(Workload),
    /// Puts the first image under the tag of this turn.
    PutTag,
    /// Puts the manifest of this turn that is there to be deleted, with a tag.
    PutVictim,
    /// Removes the thing of this turn.
    Remove(Arc<[Thing]>),
}

/// One client at work.
#[derive(Debug)]
pub(super) struct Worker {
    client: Client,
    fixture: Arc<Fixture>,
    /// Request targets that are asked for over and over.
    known: Vec<Uri>,
}

impl Worker {
    /// Prepares what `operation` can have before its first turn, so that it is not measured.
    pub(super) fn new(fixture: &Arc<Fixture>, operation: &Operation) -> Result<Self, InvalidUri> {
        let reads = &fixture.reads;
        let images = fixture.images.iter();
        let known = match operation {
            Operation::Measured(Workload::Ping) => vec![fixture.target.uri("/v2/")?],
            Operation::Measured(Workload::ManifestTag | Workload::ManifestHead) => {
                (0..images.len()).map(|number| reads.manifest(image_tag(number))).collect::<Result<_, _>>()?
            }
            Operation::Measured(Workload::ManifestDigest) => {
                images.map(|image| reads.manifest(image.digest)).collect::<Result<_, _>>()?
            }
            Operation::Measured(Workload::BlobHead | Workload::BlobGet) => {
                images.map(|image| reads.blob(image.layer.digest)).collect::<Result<_, _>>()?
            }
            Operation::Measured(Workload::BlobGetLarge) => vec![reads.blob(fixture.large_blob.digest)?],
            Operation::Measured(Workload::Tags) => vec![fixture.tags.page(PAGE)?],
            Operation::Measured(Workload::BlobPush | Workload::BlobPushLarge) => vec![reads.uploads()?],
            Operation::Measured(Workload::ImagePush) => vec![fixture.tags.uploads()?],
            Operation::Measured(Workload::Delete)
            | Operation::PutTag
            | Operation::PutVictim
            | Operation::Remove(_) => Vec::new(),
        };
        Ok(Self { client: Client::new(&fixture.target), fixture: Arc::clone(fixture), known })
    }

    pub(super) async fn connect(&mut self) -> Result<(), RequestError> {
        self.client.connect().await.map(drop)
    }

    /// Does `operation` once and returns how many bytes of content went over the wire for it.
    pub(super) async fn perform(&mut self, operation: &Operation, turn: u64) -> Result<u64, RequestError> {
        let fixture = Arc::clone(&self.fixture);
        match operation {
            Operation::Measured(workload) => self.measured(&fixture, *workload, turn).await,
            Operation::PutTag => {
                let image = &fixture.images[0];
                let uri = fixture.tags.manifest(format_args!("tag-{turn:06}"))?;
                self.put_manifest(uri, image.manifest.clone().into()).await
            }
            Operation::PutVictim => {
                let uri = fixture.tags.manifest(format_args!("victim-{turn:06}"))?;
                let manifest = fixture.victim(turn);
                let digest = Hash::of(&manifest);
                let put = self.put_manifest(uri, manifest.into()).await?;
                fixture.remember(Thing { tags: true, manifest: true, digest });
                Ok(put)
            }
            Operation::Remove(things) => {
                let Some(thing) = things.get(turn as usize) else { return Ok(0) };
                let repository = if thing.tags { &fixture.tags } else { &fixture.reads };
                let uri = match thing.manifest {
                    true => repository.manifest(thing.digest)?,
                    false => repository.blob(thing.digest)?,
                };
                // The measurement may have removed it already.
                let gone = [StatusCode::ACCEPTED, StatusCode::NOT_FOUND];
                self.client.expect_any(&gone, &Method::DELETE, &uri, None, none()).await?;
                Ok(0)
            }
        }
    }

    async fn measured(
        &mut self,
        fixture: &Fixture,
        workload: Workload,
        turn: u64,
    ) -> Result<u64, RequestError> {
        let (number, image) = fixture.image(turn);
        let layer = image.layer.size;
        let manifest = image.manifest.len() as u64;
        match workload {
            Workload::Ping => self.read(0, None).await.map(|answer| answer.length),
            Workload::ManifestTag | Workload::ManifestDigest => {
                self.get(number, manifest, Some(accept())).await
            }
            Workload::ManifestHead => self.head(number, manifest, Some(accept())).await,
            Workload::BlobHead => self.head(number, layer, None).await,
            Workload::BlobGet => self.get(number, layer, None).await,
            Workload::BlobGetLarge => self.get(0, fixture.large_blob.size, None).await,
            Workload::Tags => self.read(0, None).await.map(|answer| answer.length),
            Workload::BlobPush => self.push_new(fixture, fixture.small.make(), false).await,
            Workload::BlobPushLarge => self.push_new(fixture, fixture.large.make(), false).await,
            Workload::ImagePush => {
                let layer = fixture.small.make();
                let manifest = fixture.image_of(&layer);
                let digest = Hash::of(&manifest);
                let uri = fixture.tags.manifest(format_args!("pushed-{turn:06}"))?;
                let pushed = self.push_new(fixture, layer, true).await?;
                let put = self.put_manifest(uri, manifest.into()).await?;
                fixture.remember(Thing { tags: true, manifest: true, digest });
                Ok(pushed + put)
            }
            Workload::Delete => {
                let uri = fixture.tags.manifest(Hash::of(&fixture.victim(turn)))?;
                self.client.expect(StatusCode::ACCEPTED, &Method::DELETE, &uri, None, none()).await?;
                Ok(0)
            }
        }
    }

    /// Stores a blob of the set-up.
    pub(super) async fn push(&mut self, repository: &Repository, blob: &Blob) -> Result<(), RequestError> {
        let digest = blob.digest.to_string();
        self.client.push(&repository.uploads()?, &digest, blob.payload.clone()).await
    }

    /// Stores a manifest under `uri`.
    pub(super) async fn put_manifest(&mut self, uri: Uri, manifest: Payload) -> Result<u64, RequestError> {
        let length = manifest.length();
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static(MANIFEST));
        self.client.expect(StatusCode::CREATED, &Method::PUT, &uri, Some(kind), manifest).await?;
        Ok(length)
    }

    async fn push_new(&mut self, fixture: &Fixture, blob: Blob, tags: bool) -> Result<u64, RequestError> {
        let uploads = &self.known[0];
        self.client.push(uploads, &blob.digest.to_string(), blob.payload).await?;
        fixture.remember(Thing { tags, manifest: false, digest: blob.digest });
        Ok(blob.size)
    }

    async fn read(
        &mut self,
        which: usize,
        kind: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Answer, RequestError> {
        self.client.expect(StatusCode::OK, &Method::GET, &self.known[which], kind, none()).await
    }

    async fn get(
        &mut self,
        which: usize,
        expected: u64,
        kind: Option<(HeaderName, HeaderValue)>,
    ) -> Result<u64, RequestError> {
        let found = self.read(which, kind).await?.length;
        if found == expected {
            return Ok(found);
        }
        Err(RequestError::Length { request: format!("GET {}", self.known[which]), found, expected })
    }

    async fn head(
        &mut self,
        which: usize,
        expected: u64,
        kind: Option<(HeaderName, HeaderValue)>,
    ) -> Result<u64, RequestError> {
        let uri = &self.known[which];
        let answer = self.client.expect(StatusCode::OK, &Method::HEAD, uri, kind, none()).await?;
        let found =
            answer.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        match found.unwrap_or(0) {
            found if found == expected => Ok(0),
            found => Err(RequestError::Length { request: format!("HEAD {uri}"), found, expected }),
        }
    }
}

/// The tag of a small image.
pub(super) fn image_tag(number: usize) -> String {
    format!("image-{number}")
}

fn accept() -> (HeaderName, HeaderValue) {
    (header::ACCEPT, HeaderValue::from_static(MANIFEST))
}

fn none() -> Payload {
    Payload::default()
}
