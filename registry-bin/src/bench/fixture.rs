//! What is in the registry while it is measured: repositories, images, tags, and a list of all of it for the end.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::uri::{InvalidUri, Uri};

use super::payload::{Blob, BlobMaker, Hash};
use super::target::Target;

/// Media type of all manifests here.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Size of a small blob, one whose transfer costs next to nothing.
const SMALL: u64 = 4096;

/// Small images that are read in turn, so that not all clients want the same one.
const IMAGES: u64 = 16;

/// Manifests that are there to be deleted.
pub(super) const VICTIMS: u64 = 256;

/// Things remembered for removal; the rest only counts.
const REMEMBERED: usize = 200_000;

/// Content and names of one run. All of it is known before anything is pushed.
#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) target: Target,
    /// Images that are read, and blobs that are pushed.
    pub(super) reads: Repository,
    /// The prepared tags, and images that are pushed beside them.
    pub(super) tags: Repository,
    pub(super) small: BlobMaker,
    pub(super) large: BlobMaker,
    pub(super) config: Blob,
    pub(super) large_blob: Blob,
    pub(super) images: Vec<Image>,
    created: Mutex<Created>,
}

/// A repository and the paths in it.
#[derive(Debug)]
pub(super) struct Repository {
    target: Target,
    pub(super) name: String,
}

/// An image of one layer.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) layer: Blob,
    pub(super) manifest: Bytes,
    pub(super) digest: Hash,
}

/// Something that DELETE removes.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) tags: bool,
    pub(super) manifest: bool,
    pub(super) digest: Hash,
}

#[derive(Debug, Default)]
struct Created {
    things: Vec<Thing>,
    forgotten: u64,
}

impl Repository {
    pub(super) fn uploads(&self) -> Result<Uri, InvalidUri> {
        self.target.uri(&format!("/v2/{}/blobs/uploads/", self.name))
    }

    pub(super) fn blob(&self, digest: Hash) -> Result<Uri, InvalidUri> {
        self.target.uri(&format!("/v2/{}/blobs/{digest}", self.name))
    }

    pub(super) fn manifest(&self, reference: impl std::fmt::Display) -> Result<Uri, InvalidUri> {
        self.target.uri(&format!("/v2/{}/manifests/{reference}", self.name))
    }

    pub(super) fn page(&self, length: u64) -> Result<Uri, InvalidUri> {
        self.target.uri(&format!("/v2/{}/tags/list?n={length}", self.name))
    }
}

impl Fixture {
    /// `run` makes the content of this run differ from that of every other.
    pub(super) fn new(target: &Target, repository: &str, large: u64, run: [u8; 16]) -> Self {
        let at = |name| Repository { target: target.clone(), name };
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},"run":"{}"}}"#,
            hex::encode(run)
        );
        let config = Bytes::from(config);
        let config = Blob { digest: Hash::of(&config), size: config.len() as u64, payload: config.into() };
        let (small, large) = (BlobMaker::new(SMALL, run), BlobMaker::new(large, run));
        let image = |number: u64| {
            let layer = small.make();
            let manifest = manifest(&config, &layer, &format!("image {number}"));
            Image { layer, digest: Hash::of(&manifest), manifest }
        };
        Self {
            target: target.clone(),
            reads: at(repository.to_owned()),
            tags: at(format!("{repository}/tags")),
            images: (0..IMAGES).map(image).collect(),
            large_blob: large.make(),
            small,
            large,
            config,
            created: Mutex::default(),
        }
    }

    /// The image to read in the `turn`th request.
    pub(super) fn image(&self, turn: u64) -> (usize, &Image) {
        let number = (turn % IMAGES) as usize;
        (number, &self.images[number])
    }

    /// A manifest that is there to be deleted: the first image with a remark of its own.
    pub(super) fn victim(&self, number: u64) -> Bytes {
        manifest(&self.config, &self.images[0].layer, &format!("victim {number}"))
    }

    /// A manifest of a new layer on the shared configuration.
    pub(super) fn image_of(&self, layer: &Blob) -> Bytes {
        manifest(&self.config, layer, "pushed")
    }

    /// Remembers what has been stored, for the removal at the end.
    pub(super) fn remember(&self, thing: Thing) {
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        if created.things.len() < REMEMBERED {
            created.things.push(thing);
        } else {
            created.forgotten += 1;
        }
    }

    /// What was remembered, manifests first and each thing once, and how many things were too many for that.
    pub(super) fn take_created(&self) -> (Vec<Thing>, u64) {
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        let Created { mut things, forgotten } = std::mem::take(&mut *created);
        things.sort_by_key(|thing| !thing.manifest);
        (things, forgotten)
    }
}

fn manifest(config: &Blob, layer: &Blob, remark: &str) -> Bytes {
    let descriptor = |kind: &str, blob: &Blob| {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{}","size":{}}}"#,
            blob.digest, blob.size
        )
    };
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}],"annotations":{{"remark":"{remark}"}}}}"#,
        descriptor("config.v1+json", config),
        descriptor("layer.v1.tar", layer),
    );
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> Fixture {
        Fixture::new(&"http://h:1".parse().unwrap(), "bench/x", 1000, [3; 16])
    }

    #[test]
    fn manifests_are_documents_that_name_their_blobs() {
        let fixture = fixture();
        let image = &fixture.images[1];
        let parsed: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
        assert_eq!(parsed["config"]["digest"], fixture.config.digest.to_string());
        assert_eq!(parsed["layers"][0]["digest"], image.layer.digest.to_string());
        assert_eq!(parsed["layers"][0]["size"], 4096);
        assert_ne!(fixture.victim(0), fixture.victim(1));
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let fixture = fixture();
        assert_eq!(fixture.reads.uploads().unwrap(), "/v2/bench/x/blobs/uploads/");
        assert_eq!(fixture.tags.manifest("t").unwrap(), "/v2/bench/x/tags/manifests/t");
        assert_eq!(fixture.tags.page(100).unwrap(), "/v2/bench/x/tags/tags/list?n=100");
    }

    #[test]
    fn manifests_are_removed_before_what_they_refer_to() {
        let fixture = fixture();
        let digest = fixture.config.digest;
        for manifest in [false, true, false] {
            fixture.remember(Thing { tags: true, manifest, digest });
        }
        let (things, forgotten) = fixture.take_created();
        let order: Vec<_> = things.iter().map(|thing| thing.manifest).collect();
        assert_eq!((order, forgotten), (vec![true, false, false], 0));
        assert!(fixture.take_created().0.is_empty());
    }
}
