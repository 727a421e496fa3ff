//! Asking a repository about many digests at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use registry_core::manifest::ManifestReference;
use registry_core::{BlobStore, Descriptor, Digest, Error, ManifestStore, Result};

use super::brief;

/// How many questions are asked at a time.
const CONCURRENCY: usize = 16;

/// As what content has to be in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Blob,
    Manifest,
    ManifestOrBlob,
}

/// Whether there is content with this digest, as this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    kind: Kind,
    digest: Digest,
}

impl Question {
    /// A question, if it is worth asking: a digest that is malformed or of an algorithm that we do not
    /// compute belongs to nothing.
    pub(super) fn new(kind: Kind, digest: &str) -> Option<Self> {
        let digest = Digest::parse(digest).ok()?;
        digest.algorithm().map(|_| Self { kind, digest })
    }
}

/// The answers.
#[derive(Debug)]
pub(super) struct Lookup {
    /// Sizes of what is there.
    found: HashMap<Question, u64>,
    /// What was reported as missing already.
    reported: HashSet<String>,
}

impl Lookup {
    /// Asks each question once, several at a time.
    ///
    /// # Errors
    /// Any failure but that something is unknown: then there is no saying what is missing.
    pub(super) async fn run(
        blobs: &Arc<dyn BlobStore>,
        manifests: &Arc<dyn ManifestStore>,
        questions: Vec<Question>,
    ) -> Result<Self> {
        let questions: HashSet<Question> = questions.into_iter().collect();
        let ask = |question: Question| {
            let (blobs, manifests) = (Arc::clone(blobs), Arc::clone(manifests));
            async move {
                let found = answer(&*blobs, &*manifests, &question).await?;
                Ok::<_, Error>(found.map(|descriptor| (question, descriptor.size)))
            }
        };
        let found = stream::iter(questions)
            .map(ask)
            .buffer_unordered(CONCURRENCY)
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await?;
        Ok(Self { found, reported: HashSet::new() })
    }

    /// Adds what is wrong with a descriptor: once for each missing digest, and for every wrong size.
    pub(super) fn fault(&mut self, kind: Kind, reference: &ManifestReference, faults: &mut Vec<Error>) {
        let size = Question::new(kind, &reference.digest).and_then(|question| self.found.get(&question));
        match (size, u64::try_from(reference.size)) {
            (None, _) => {
                if self.reported.insert(reference.digest.clone()) {
                    digest_fault(reference, faults);
                    let digest = brief(&reference.digest).to_owned();
                    faults.push(Error::ManifestBlobUnknown { digest });
                }
            }
            (Some(&actual), Ok(declared)) if kind == Kind::Blob && declared > 0 && declared != actual => {
                faults.push(Error::manifest_invalid(format!(
                    "{} has {actual} bytes, the manifest says {declared}",
                    reference.digest
                )));
            }
            (Some(_), _) => {}
        }
    }
}

/// Adds what is wrong with the text of a digest.
pub(super) fn digest_fault(reference: &ManifestReference, faults: &mut Vec<Error>) {
    if let Err(error) = Digest::parse(&reference.digest) {
        faults.push(Error::Invalid(error));
    }
}

async fn answer(
    blobs: &dyn BlobStore,
    manifests: &dyn ManifestStore,
    question: &Question,
) -> Result<Option<Descriptor>> {
    let Question { kind, digest } = question;
    let found = match kind {
        Kind::Blob => None,
        Kind::Manifest | Kind::ManifestOrBlob => unknown_as_none(manifests.stat(digest).await)?,
    };
    match (found, kind) {
        (None, Kind::Blob | Kind::ManifestOrBlob) => unknown_as_none(blobs.stat(digest).await),
        (found, _) => Ok(found),
    }
}

fn unknown_as_none(result: Result<Descriptor>) -> Result<Option<Descriptor>> {
    match result {
        Ok(descriptor) => Ok(Some(descriptor)),
        Err(
            Error::BlobUnknown { .. }
            | Error::ManifestUnknown { .. }
            | Error::NameUnknown { .. }
            | Error::DigestUnsupported { .. },
        ) => Ok(None),
        Err(failed) => Err(failed),
    }
}
