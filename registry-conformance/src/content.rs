//! Repositories by description: blobs, images, indexes and artifacts under labels, with every digest
//! filled in.
//!
//! ```
//! use registry_conformance::content::Content;
//! let content = Content::new()
//!     .blob("config", "{}")
//!     .blob("layer", "bytes of a layer")
//!     .image("amd64", "config", &["layer"])
//!     .index("multi", &["amd64"])
//!     .artifact("signature", "application/vnd.example.signature", Some("multi"), &[("signer", "me")])
//!     .tag("latest", "multi");
//! assert_eq!(content.manifest("amd64").descriptor().digest, *content.digest("amd64"));
//! assert_eq!(content.requests("a/b").len(), 2 + 3);
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, header};
use registry_core::{
    Algorithm, Descriptor, Digest, Manifest, MediaType, PutManifest, Repository, Result, StartUpload, Tag,
    UploadStart,
};
use serde_json::{Value, json};

/// The type of an image's configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The type of a layer.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The type of an artifact's empty configuration.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Content of a repository, in the order in which it can be pushed.
#[derive(Debug, Clone, Default)]
pub struct Content {
    blobs: Vec<(String, Digest, Bytes)>,
    manifests: Vec<(String, Manifest)>,
    tags: Vec<(Tag, String)>,
}

impl Content {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A blob.
    #[must_use]
    pub fn blob(mut self, label: &str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        self.blobs.push((label.to_owned(), Algorithm::Sha256.digest(&content), content));
        self
    }

    /// An image of blobs that are there already.
    ///
    /// # Panics
    /// If there is no blob of a label.
    #[must_use]
    pub fn image(self, label: &str, config: &str, layers: &[&str]) -> Self {
        let layers: Vec<_> = layers.iter().map(|layer| self.blob_json(LAYER, layer)).collect();
        let payload = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_IMAGE,
            "config": self.blob_json(CONFIG, config),
            "layers": layers,
        });
        self.document(label, MediaType::OCI_IMAGE, &payload)
    }

    /// An index of manifests that are there already.
    ///
    /// # Panics
    /// If there is no manifest of a label.
    #[must_use]
    pub fn index(self, label: &str, children: &[&str]) -> Self {
        let children: Vec<_> =
            children.iter().map(|child| json!(self.manifest(child).descriptor())).collect();
        let payload = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children });
        self.document(label, MediaType::OCI_INDEX, &payload)
    }

    /// An artifact without content of its own, which may refer to a manifest that is there already.
    ///
    /// # Panics
    /// If there is no manifest of the label of its subject.
    #[must_use]
    pub fn artifact(
        self,
        label: &str,
        artifact_type: &str,
        subject: Option<&str>,
        annotations: &[(&str, &str)],
    ) -> Self {
        let subject = subject.map(|subject| self.manifest(subject).descriptor());
        self.artifact_of(label, artifact_type, subject.as_ref(), annotations)
    }

    /// An artifact that may refer to a manifest of which only the descriptor is known.
    #[must_use]
    pub fn artifact_of(
        self,
        label: &str,
        artifact_type: &str,
        subject: Option<&Descriptor>,
        annotations: &[(&str, &str)],
    ) -> Self {
        let empty = json!(Descriptor::new(media_type(EMPTY), Algorithm::Sha256.digest(b"{}"), 2));
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let mut payload = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_IMAGE,
            "artifactType": artifact_type,
            "config": empty,
            "layers": [empty],
            "annotations": annotations,
        });
        if let Some(subject) = subject {
            payload["subject"] = json!(subject);
        }
        self.document(label, MediaType::OCI_IMAGE, &payload)
    }

    /// Any document as a manifest.
    #[must_use]
    pub fn document(self, label: &str, media_type: &str, payload: &Value) -> Self {
        self.raw(label, media_type, payload.to_string())
    }

    /// Any bytes as a manifest.
    #[must_use]
    pub fn raw(mut self, label: &str, pushed_as: &str, payload: impl Into<Bytes>) -> Self {
        let manifest = Manifest::new(media_type(pushed_as), Algorithm::Sha256, payload);
        self.manifests.push((label.to_owned(), manifest));
        self
    }

    /// A tag of a manifest.
    ///
    /// # Panics
    /// If the text is no tag.
    #[must_use]
    pub fn tag(mut self, tag: &str, label: &str) -> Self {
        self.tags.push((Tag::parse(tag).expect("the text is a tag"), label.to_owned()));
        self
    }

    /// The digest of a blob or of a manifest.
    ///
    /// # Panics
    /// If there is none of that label.
    pub fn digest(&self, label: &str) -> &Digest {
        let blob = self.blobs.iter().find(|(known, ..)| known == label).map(|(_, digest, _)| digest);
        blob.unwrap_or_else(|| self.manifest(label).digest())
    }

    /// A manifest.
    ///
    /// # Panics
    /// If there is none of that label.
    pub fn manifest(&self, label: &str) -> &Manifest {
        let found = self.manifests.iter().find(|(known, _)| known == label);
        found.map(|(_, manifest)| manifest).unwrap_or_else(|| panic!("there is no {label:?}"))
    }

    /// Digests and bytes of all blobs.
    pub fn blobs(&self) -> impl Iterator<Item = (&Digest, &Bytes)> {
        self.blobs.iter().map(|(_, digest, content)| (digest, content))
    }

    /// All manifests, children before parents, each with its tags.
    pub fn manifests(&self) -> impl Iterator<Item = (&Manifest, Vec<Tag>)> {
        self.manifests.iter().map(|(label, manifest)| {
            let tags = self.tags.iter().filter(|(_, of)| of == label).map(|(tag, _)| tag.clone());
            (manifest, tags.collect())
        })
    }

    /// Pushes everything into a repository: each blob in two sittings, then the manifests.
    ///
    /// # Errors
    /// The first of the repository. Everything may be pushed again then.
    pub async fn push(&self, repository: &dyn Repository) -> Result<()> {
        let store = repository.blobs();
        for (digest, content) in self.blobs() {
            let UploadStart::Session(mut writer) = store.start(StartUpload::default()).await? else {
                panic!("an upload without a mount begins with a session");
            };
            let (head, tail) = (content.slice(..content.len() / 2), content.slice(content.len() / 2..));
            let id = writer.id().clone();
            writer.write(head).await?;
            writer.close().await?;
            let mut writer = store.resume(&id, None).await?;
            writer.write(tail).await?;
            writer.commit(digest).await?;
        }
        for (manifest, tags) in self.manifests() {
            repository.manifests().put(manifest, PutManifest::default().with_tags(tags)).await?;
        }
        Ok(())
    }

    /// The requests that push everything over HTTP: one POST for each blob (end-4b), one PUT for each
    /// manifest (end-7b).
    ///
    /// # Panics
    /// If the name makes no URL.
    pub fn requests(&self, repository: &str) -> Vec<Request<Bytes>> {
        let blobs = self.blobs().map(|(digest, content)| {
            let uri = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
            request(Method::POST, uri, MediaType::OCTET_STREAM, content)
        });
        let manifests = self.manifests().map(|(manifest, tags)| {
            let query: Vec<_> = tags.iter().map(|tag| format!("tag={tag}")).collect();
            let uri = format!("/v2/{repository}/manifests/{}?{}", manifest.digest(), query.join("&"));
            request(Method::PUT, uri, manifest.media_type().as_str(), manifest.payload())
        });
        blobs.chain(manifests).collect()
    }

    fn blob_json(&self, pushed_as: &str, label: &str) -> Value {
        let (_, digest, content) = self
            .blobs
            .iter()
            .find(|(known, ..)| known == label)
            .unwrap_or_else(|| panic!("there is no blob {label:?}"));
        json!(Descriptor::new(media_type(pushed_as), digest.clone(), content.len() as u64))
    }
}

fn request(method: Method, uri: String, content_type: &str, body: &Bytes) -> Request<Bytes> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CONTENT_LENGTH, body.len())
        .body(body.clone())
        .expect("the name makes a URL")
}

fn media_type(text: &str) -> MediaType {
    MediaType::parse(text).expect("the text is a media type")
}
