//! That what a manifest refers to is there.

mod lookup;
mod validation;

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::manifest::ManifestReference;
use registry_core::{
    BlobStore, ComposedRepository, Descriptor, Digest, Error, Manifest, ManifestDocument, ManifestStore,
    MediaType, Page, PageRequest, PutManifest, ReferrerFilter, Repository, RepositoryMiddleware,
    RequestContext, Result,
};

use lookup::{Kind, Lookup, Question};

pub use validation::{ManifestValidation, Platform, Platforms};

/// Refuses a manifest that refers to content which is not in the repository, or to which it may not refer.
///
/// Outermost in a repository's chain, so that content which other middleware makes visible counts.
/// Everything that is wrong is reported at once, in the order of the manifest, as one error or as
/// [`Error::Many`]:
///
/// | Descriptor | Has to | Otherwise |
/// |---|---|---|
/// | any that is checked | have a well-formed digest | [`Error::Invalid`] and [`Error::ManifestBlobUnknown`] |
/// | config, layer, artifact blob | be a blob of the repository | [`Error::ManifestBlobUnknown`] |
/// | the same, with a size | have that many bytes | [`Error::ManifestInvalid`] |
/// | Docker foreign layer | have a URL; need not be there | [`Error::ManifestInvalid`] |
/// | OCI non-distributable layer | need not be there | |
/// | child of an index | be a manifest of the repository, if [`Platforms`] says so | [`Error::ManifestBlobUnknown`] |
/// | any with URLs | follow the rules of [`ManifestValidation`] | [`Error::ManifestInvalid`] |
/// | `config` of an image manifest | be there at all | [`Error::ManifestInvalid`] |
///
/// A child of an index whose type is not that of a manifest may also be a blob: build caches list layers
/// in an index. Content of a digest algorithm that we do not compute is never there. A missing `subject`
/// is no error. Content may be deleted between the check and the moment at which the manifest is stored;
/// garbage collection has to spare what is new.
#[derive(Debug, Clone, Default)]
pub struct ReferenceCheck {
    validation: Arc<ManifestValidation>,
}

impl ReferenceCheck {
    /// A check with these rules.
    pub fn new(validation: ManifestValidation) -> Self {
        Self { validation: Arc::new(validation) }
    }

    /// Puts this around a repository; cannot fail.
    pub fn around(&self, inner: Arc<dyn Repository>) -> Arc<dyn Repository> {
        let manifests = Manifests {
            inner: inner.manifests(),
            blobs: inner.blobs(),
            validation: Arc::clone(&self.validation),
        };
        Arc::new(ComposedRepository::of(inner).with_manifests(manifests))
    }
}

#[async_trait]
impl RepositoryMiddleware for ReferenceCheck {
    async fn wrap(
        &self,
        _cx: &Arc<RequestContext>,
        inner: Arc<dyn Repository>,
    ) -> Result<Arc<dyn Repository>> {
        Ok(self.around(inner))
    }
}

/// What is expected of a descriptor.
enum Presence {
    /// It has to be there.
    Required(Kind),
    /// It may be elsewhere; its digest has to be well-formed.
    Elsewhere,
    /// Not even that.
    Unchecked,
}

#[derive(Debug)]
struct Manifests {
    inner: Arc<dyn ManifestStore>,
    blobs: Arc<dyn BlobStore>,
    validation: Arc<ManifestValidation>,
}

impl Manifests {
    async fn check(&self, manifest: &Manifest) -> Result<()> {
        let document = ManifestDocument::parse_checked(manifest)?;
        let mut faults = Vec::new();
        let is_image =
            matches!(manifest.media_type().as_str(), MediaType::OCI_IMAGE | MediaType::DOCKER_IMAGE);
        if is_image && document.config.is_none() {
            faults.push(Error::manifest_invalid("an image manifest has a 'config'"));
        }

        let references = self.references(&document);
        let questions: Vec<Question> = references
            .iter()
            .filter_map(|(reference, presence)| match presence {
                Presence::Required(kind) => Question::new(*kind, &reference.digest),
                Presence::Elsewhere | Presence::Unchecked => None,
            })
            .collect();
        let mut lookup = Lookup::run(&self.blobs, &self.inner, questions).await?;
        for (reference, presence) in &references {
            self.url_faults(reference, &mut faults);
            match presence {
                Presence::Required(kind) => lookup.fault(*kind, reference, &mut faults),
                Presence::Elsewhere => lookup::digest_fault(reference, &mut faults),
                Presence::Unchecked => {}
            }
        }
        match faults.len() {
            0 => Ok(()),
            1 => Err(faults.remove(0)),
            _ => Err(Error::Many(faults)),
        }
    }

    /// Every descriptor of a manifest, in its order.
    fn references<'a>(&self, document: &'a ManifestDocument) -> Vec<(&'a ManifestReference, Presence)> {
        let blob = |reference: &'a ManifestReference| (reference, Presence::Required(Kind::Blob));
        let layer = |reference: &'a ManifestReference| match is_elsewhere(&reference.media_type) {
            true => (reference, Presence::Elsewhere),
            false if !self.validation.requires_layers() => (reference, Presence::Unchecked),
            false => blob(reference),
        };
        let child = |reference: &'a ManifestReference| match self.validation.requires_child(reference) {
            true if is_manifest(&reference.media_type) => (reference, Presence::Required(Kind::Manifest)),
            true => (reference, Presence::Required(Kind::ManifestOrBlob)),
            false => (reference, Presence::Unchecked),
        };
        let config = document.config.iter().map(blob);
        let layers = document.layers.iter().flatten().map(layer);
        let blobs = document.blobs.iter().flatten().map(blob);
        let subject = document.subject.iter().map(|subject| (subject, Presence::Unchecked));
        config
            .chain(layers)
            .chain(blobs)
            .chain(document.manifest_references().map(child))
            .chain(subject)
            .collect()
    }

    fn url_faults(&self, reference: &ManifestReference, faults: &mut Vec<Error>) {
        if reference.urls.is_empty() && reference.media_type.starts_with(DOCKER_FOREIGN) {
            faults
                .push(Error::manifest_invalid(format!("missing URL on layer {}", brief(&reference.digest))));
        }
        let elsewhere = reference.media_type.starts_with(OCI_NONDISTRIBUTABLE);
        for url in &reference.urls {
            if let Some(rule) = self.validation.url_fault(url, elsewhere) {
                faults.push(Error::manifest_invalid(format!("URL {:?} is refused: {rule}", brief(url))));
            }
        }
    }
}

/// Docker's layers that a registry may not hand out, whatever their compression.
const DOCKER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.";
/// The same of the image specification, which has deprecated them.
const OCI_NONDISTRIBUTABLE: &str = "application/vnd.oci.image.layer.nondistributable.";

fn is_elsewhere(media_type: &str) -> bool {
    media_type.starts_with(DOCKER_FOREIGN) || media_type.starts_with(OCI_NONDISTRIBUTABLE)
}

fn is_manifest(media_type: &str) -> bool {
    matches!(
        media_type,
        MediaType::OCI_IMAGE | MediaType::OCI_INDEX | MediaType::DOCKER_IMAGE | MediaType::DOCKER_LIST
    )
}

/// The beginning of a client's text, for a message.
fn brief(text: &str) -> &str {
    let end = text.char_indices().nth(256).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ManifestStore for Manifests {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        self.inner.stat(digest).await
    }

    async fn get(&self, digest: &Digest) -> Result<Manifest> {
        self.inner.get(digest).await
    }

    async fn put(&self, manifest: &Manifest, options: PutManifest) -> Result<Descriptor> {
        self.check(manifest).await?;
        self.inner.put(manifest, options).await
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        self.inner.delete(digest).await
    }

    async fn list(&self, page: &PageRequest) -> Result<Page<Digest>> {
        self.inner.list(page).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        filter: &ReferrerFilter,
        page: &PageRequest,
    ) -> Result<Page<Descriptor>> {
        self.inner.referrers(subject, filter, page).await
    }
}

#[cfg(test)]
mod tests;
