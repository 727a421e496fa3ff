//! Which kinds of images a registry takes.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    ComposedRepository, Descriptor, Digest, Error, ErrorCode, GrantedClasses, Manifest, ManifestDocument,
    ManifestStore, MediaType, Page, PageRequest, PutManifest, ReferrerFilter, Repository,
    RepositoryMiddleware, RepositoryName, RequestContext, Result,
};

/// The class of images, and what a scope without a class means.
const IMAGE: &str = "image";

/// The class of plugins for docker.
const PLUGIN: &str = "plugin";

/// Takes manifests of some classes only, as `policy.repository.classes` of Distribution does: an image has the class
/// `image`, a plugin for docker the class `plugin`. An image whose configuration is neither is refused; lists of
/// images have no class and pass.
///
/// Where an access controller has left [`GrantedClasses`], as one for tokens does, the repository also has to have
/// been granted with the class of the manifest.
///
/// All refusals are `DENIED`, with the words of Distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestClasses {
    allowed: Arc<[String]>,
}

impl ManifestClasses {
    /// Takes manifests of these classes.
    pub fn new<S: Into<String>>(classes: impl IntoIterator<Item = S>) -> Self {
        Self { allowed: classes.into_iter().map(Into::into).collect() }
    }
}

#[async_trait]
impl RepositoryMiddleware for ManifestClasses {
    async fn wrap(
        &self,
        cx: &Arc<RequestContext>,
        inner: Arc<dyn Repository>,
    ) -> Result<Arc<dyn Repository>> {
        let manifests = Classified {
            inner: inner.manifests(),
            allowed: Arc::clone(&self.allowed),
            cx: Arc::clone(cx),
            name: inner.name().clone(),
        };
        Ok(Arc::new(ComposedRepository::of(inner).with_manifests(manifests)))
    }
}

#[derive(Debug)]
struct Classified {
    inner: Arc<dyn ManifestStore>,
    allowed: Arc<[String]>,
    cx: Arc<RequestContext>,
    name: RepositoryName,
}

fn denied(message: String) -> Error {
    Error::coded_with(ErrorCode::DENIED, message, None, None)
}

/// The class of a manifest; `None` for those that have none.
fn class(manifest: &Manifest) -> Result<Option<&'static str>> {
    let of_docker = match manifest.media_type().as_str() {
        MediaType::DOCKER_IMAGE => true,
        MediaType::OCI_IMAGE => false,
        _ => return Ok(None),
    };
    let document = ManifestDocument::parse(manifest.payload())?;
    let config = document.config.map(|config| config.media_type).unwrap_or_default();
    match config.as_str() {
        "application/vnd.docker.container.image.v1+json" if of_docker => Ok(Some(IMAGE)),
        "application/vnd.docker.plugin.v1+json" if of_docker => Ok(Some(PLUGIN)),
        "application/vnd.oci.image.config.v1+json" if !of_docker => Ok(Some(IMAGE)),
        other => Err(denied(format!("unknown manifest class for {other}"))),
    }
}

impl Classified {
    fn check(&self, manifest: &Manifest) -> Result<()> {
        let Some(class) = class(manifest)? else { return Ok(()) };
        if !self.allowed.iter().any(|allowed| allowed == class) {
            return Err(denied(format!("registry does not allow {class} manifest")));
        }
        let Some(GrantedClasses(granted)) = self.cx.extensions.get::<GrantedClasses>() else {
            return Ok(());
        };
        let mut here = granted.iter().filter(|(name, _)| name == self.name.as_str()).peekable();
        let is_known = here.peek().is_some();
        let fits = here.any(|(_, of)| if of.is_empty() { class == IMAGE } else { of == class });
        if is_known && !fits {
            return Err(denied(format!("repository not authorized for {class} manifest")));
        }
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ManifestStore for Classified {
    async fn stat(&self, digest: &Digest) -> Result<Descriptor> {
        self.inner.stat(digest).await
    }

    async fn get(&self, digest: &Digest) -> Result<Manifest> {
        self.inner.get(digest).await
    }

    async fn put(&self, manifest: &Manifest, options: PutManifest) -> Result<Descriptor> {
        self.check(manifest)?;
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
mod tests {
    use http::Extensions;
    use serde_json::json;

    use super::*;
    use crate::testing::{Fake, manifest};

    const DOCKER: &str = MediaType::DOCKER_IMAGE;
    const OCI: &str = MediaType::OCI_IMAGE;

    /// The answer to a push of a manifest with this configuration, by a caller with these grants.
    async fn put(
        classes: &[&str],
        granted: Option<&[(&str, &str)]>,
        media_type: &str,
        config: &str,
    ) -> String {
        let mut extensions = Extensions::new();
        if let Some(granted) = granted {
            let granted = granted.iter().map(|(name, class)| ((*name).to_owned(), (*class).to_owned()));
            extensions.insert(GrantedClasses(granted.collect()));
        }
        let cx = Arc::new(RequestContext::new("1").with_extensions(extensions));
        let fake = Fake::new();
        let blob = fake.add_blob("a", b"{}").digest;
        let payload = json!({
            "schemaVersion": 2, "mediaType": media_type, "layers": [],
            "config": { "mediaType": config, "digest": blob, "size": 2 },
        });
        let guarded =
            ManifestClasses::new(classes.iter().copied()).wrap(&cx, fake.open("a").await).await.unwrap();
        match guarded.manifests().put(&manifest(media_type, &payload), PutManifest::default()).await {
            Ok(_) => "stored".to_owned(),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::DENIED);
                error.to_string()
            }
        }
    }

    #[tokio::test]
    async fn a_manifest_has_the_class_of_its_configuration() {
        let (image, plugin) =
            ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.plugin.v1+json");
        let oci = "application/vnd.oci.image.config.v1+json";
        let helm = "application/vnd.cncf.helm.config.v1+json";
        let index = "application/vnd.oci.image.index.v1+json";
        let unknown = |media_type: &str| format!("unknown manifest class for {media_type}");
        for (classes, media_type, config, expected) in [
            (&["image"][..], DOCKER, image, "stored".to_owned()),
            (&["image"], OCI, oci, "stored".to_owned()),
            (&["plugin"], DOCKER, plugin, "stored".to_owned()),
            (&["image", "plugin"], DOCKER, plugin, "stored".to_owned()),
            (&["image"], DOCKER, plugin, "registry does not allow plugin manifest".to_owned()),
            (&["plugin"], OCI, oci, "registry does not allow image manifest".to_owned()),
            (&["image", "plugin"], OCI, helm, unknown(helm)),
            (&["image", "plugin"], OCI, plugin, unknown(plugin)),
            (&["image", "plugin"], DOCKER, oci, unknown(oci)),
            (&["plugin"], index, image, "stored".to_owned()),
        ] {
            assert_eq!(put(classes, None, media_type, config).await, expected, "{classes:?} {config}");
        }
    }

    #[tokio::test]
    async fn the_class_that_was_granted_has_to_be_that_of_the_manifest() {
        let (image, plugin) =
            ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.plugin.v1+json");
        let refused = |class: &str| format!("repository not authorized for {class} manifest");
        for (granted, config, expected) in [
            (&[("a", "")][..], image, "stored".to_owned()),
            (&[("a", "image")], image, "stored".to_owned()),
            (&[("a", "plugin")], image, refused("image")),
            (&[("a", "")], plugin, refused("plugin")),
            (&[("a", "plugin")], plugin, "stored".to_owned()),
            (&[("a", ""), ("a", "plugin")], plugin, "stored".to_owned()),
            (&[("b", "")], plugin, "stored".to_owned()),
            (&[], plugin, "stored".to_owned()),
        ] {
            let put = put(&["image", "plugin"], Some(granted), DOCKER, config).await;
            assert_eq!(put, expected, "{granted:?} {config}");
        }
    }
}
