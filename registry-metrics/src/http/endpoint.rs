//! Which endpoint a path means, by the names that Distribution gives them.

/// An endpoint of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Base,
    Blob,
    BlobUpload,
    BlobUploadChunk,
    Catalog,
    Manifest,
    /// Ours: Distribution has none.
    Referrers,
    Tags,
}

impl Endpoint {
    /// In the order of their names.
    pub(crate) const ALL: [Self; 8] = [
        Self::Base,
        Self::Blob,
        Self::BlobUpload,
        Self::BlobUploadChunk,
        Self::Catalog,
        Self::Manifest,
        Self::Referrers,
        Self::Tags,
    ];

    /// The value of the label `handler`.
    pub(crate) fn handler(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Blob => "blob",
            Self::BlobUpload => "blob_upload",
            Self::BlobUploadChunk => "blob_upload_chunk",
            Self::Catalog => "catalog",
            Self::Manifest => "manifest",
            Self::Referrers => "referrers",
            Self::Tags => "tags",
        }
    }

    /// Whether what arrives there is the content of blobs.
    pub(crate) fn takes_content(self) -> bool {
        matches!(self, Self::BlobUpload | Self::BlobUploadChunk)
    }

    /// The endpoint of a path below `prefix`, which ends with a slash. Only the words that tell endpoints apart
    /// are looked at; whether the rest is a name or a digest, the API will say.
    pub(crate) fn of(path: &str, prefix: &str) -> Option<Self> {
        let path = path.strip_prefix(prefix)?;
        let Some(path) = path.strip_prefix("v2/") else { return (path == "v2").then_some(Self::Base) };
        let path = path.strip_suffix('/').unwrap_or(path);
        match path {
            "" => return Some(Self::Base),
            "_catalog" => return Some(Self::Catalog),
            _ => {}
        }
        let mut parts = path.rsplitn(3, '/');
        match (parts.next()?, parts.next()?, parts.next()?) {
            ("list", "tags", _) => Some(Self::Tags),
            (_, "manifests", _) => Some(Self::Manifest),
            (_, "referrers", _) => Some(Self::Referrers),
            ("uploads", "blobs", _) => Some(Self::BlobUpload),
            (_, "blobs", _) => Some(Self::Blob),
            (_, "uploads", rest) if rest.ends_with("/blobs") => Some(Self::BlobUploadChunk),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_handlers() {
        for (path, expected) in [
            ("/v2", Some(Endpoint::Base)),
            ("/v2/", Some(Endpoint::Base)),
            ("/v2/_catalog", Some(Endpoint::Catalog)),
            ("/v2/a/tags/list", Some(Endpoint::Tags)),
            ("/v2/a/tags/list/", Some(Endpoint::Tags)),
            ("/v2/a/b/manifests/v1", Some(Endpoint::Manifest)),
            ("/v2/a/referrers/sha256:0", Some(Endpoint::Referrers)),
            ("/v2/a/blobs/sha256:0", Some(Endpoint::Blob)),
            ("/v2/a/blobs/uploads/", Some(Endpoint::BlobUpload)),
            ("/v2/a/blobs/uploads/7", Some(Endpoint::BlobUploadChunk)),
            // A repository may be called by the words of the API.
            ("/v2/tags/list/manifests/blobs", Some(Endpoint::Manifest)),
            ("/v2/blobs/uploads/tags/list", Some(Endpoint::Tags)),
            ("/", None),
            ("/healthz", None),
            ("/v1/_ping", None),
            ("/v22/", None),
            ("/v2/a", None),
            ("/v2/a/uploads/7", None),
        ] {
            assert_eq!(Endpoint::of(path, "/"), expected, "{path}");
        }
        assert_eq!(Endpoint::of("/x/v2/_catalog", "/x/"), Some(Endpoint::Catalog));
        assert_eq!(Endpoint::of("/v2/_catalog", "/x/"), None);
    }

    #[test]
    fn handlers_are_in_the_order_of_their_names() {
        assert!(Endpoint::ALL.map(Endpoint::handler).is_sorted());
        for (index, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, index);
        }
    }
}
