//! Which file of a repository is what, for those who walk a store instead of asking for something in it.

use registry_core::{Digest, StoragePath, Tag};

use super::{ROOT, TagNote, parse_tag_note, path, segments};

/// The directories of a repository, relative to it.
pub(crate) const LAYERS: &str = "_layers";
pub(crate) const MANIFESTS: &str = "_manifests";
pub(crate) const REVISIONS: &str = "_manifests/revisions";
pub(crate) const TAGS: &str = "_manifests/tags";
pub(crate) const UPLOADS: &str = "_uploads";
pub(crate) const REFERRERS: &str = "_referrers";

/// The root of the layout.
pub(crate) fn root() -> StoragePath {
    path(ROOT.to_owned())
}

/// Where content is on its way into a store. Beside the layout, so that nobody who walks it meets it.
pub(crate) fn arrivals() -> StoragePath {
    path("/docker/registry/_migrate".to_owned())
}

/// Where one piece of content is on its way into a store.
pub(crate) fn arrival(digest: &Digest) -> Option<StoragePath> {
    arrivals().join(&segments(digest)?.replace('/', "-")).ok()
}

/// A file of a repository. What repository it is does not matter, so that those are known too that no client
/// can name, such as Distribution's `FOO.com/bar`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RepositoryFile {
    /// That a blob is there.
    Layer(Digest),
    /// That a manifest is there.
    Revision(Digest),
    /// The type of a manifest.
    MediaType(Digest),
    /// That a tag may point at a manifest.
    Note(Digest, TagNote),
    /// A signature of a manifest, which only Distribution 2 knows.
    Signature,
    /// What a tag points at.
    TagCurrent(Tag),
    /// That a tag pointed at a manifest at some time.
    TagIndex(Tag, Digest),
    /// The descriptor of a referrer.
    Referrer,
    /// Which manifests have been looked at for a subject.
    Scanned,
}

impl RepositoryFile {
    /// What the file at `name`, relative to its repository, is; `None` if it is nothing of the layout.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let digest = |algorithm: &str, encoded: &str| Digest::parse(&format!("{algorithm}:{encoded}")).ok();
        match *parts.as_slice() {
            ["_layers", algorithm, encoded, "link"] => digest(algorithm, encoded).map(Self::Layer),
            ["_manifests", "revisions", algorithm, encoded, file] => {
                let digest = digest(algorithm, encoded)?;
                match file {
                    "link" => Some(Self::Revision(digest)),
                    "mediatype" => Some(Self::MediaType(digest)),
                    _ => parse_tag_note(file).map(|note| Self::Note(digest, note)),
                }
            }
            ["_manifests", "revisions", algorithm, encoded, "signatures", of, signature, "link"] => {
                digest(algorithm, encoded).and(digest(of, signature)).map(|_| Self::Signature)
            }
            ["_manifests", "tags", tag, "current", "link"] => Tag::parse(tag).ok().map(Self::TagCurrent),
            ["_manifests", "tags", tag, "index", algorithm, encoded, "link"] => {
                Some(Self::TagIndex(Tag::parse(tag).ok()?, digest(algorithm, encoded)?))
            }
            ["_referrers", "scanned"] => Some(Self::Scanned),
            ["_referrers", algorithm, encoded, referrer] => {
                let subject = digest(&super::parse_subject_algorithm(algorithm), encoded);
                subject.and(super::parse_referrer_name(referrer)).map(|_| Self::Referrer)
            }
            _ => None,
        }
    }

    /// Where such a file is in the repository at `dir`. `None` for those whose digest has no path, and for those
    /// that are only ever met on a walk.
    pub(crate) fn path(&self, dir: &StoragePath) -> Option<StoragePath> {
        let name = match self {
            Self::Layer(digest) => format!("{LAYERS}/{}/link", segments(digest)?),
            Self::Revision(digest) => format!("{REVISIONS}/{}/link", segments(digest)?),
            Self::MediaType(digest) => format!("{REVISIONS}/{}/mediatype", segments(digest)?),
            Self::Note(digest, TagNote::More(tag)) => {
                format!("{REVISIONS}/{}/{}.{tag}", segments(digest)?, super::TAG)
            }
            Self::TagCurrent(tag) => format!("{TAGS}/{tag}/current/link"),
            Self::TagIndex(tag, digest) => format!("{TAGS}/{tag}/index/{}/link", segments(digest)?),
            Self::Scanned => format!("{REFERRERS}/scanned"),
            Self::Note(_, TagNote::First(_)) | Self::Signature | Self::Referrer => return None,
        };
        dir.join(&name).ok()
    }

    /// The directory in the repository at `dir` that goes when the file goes for good: that of the blob's link, of
    /// the manifest, of the whole tag. `None` for a file that has none of its own.
    pub(crate) fn directory(&self, dir: &StoragePath) -> Option<StoragePath> {
        match self {
            Self::TagCurrent(tag) => dir.join(&format!("{TAGS}/{tag}")).ok(),
            Self::Layer(_) | Self::Revision(_) | Self::TagIndex(..) => self.path(dir)?.parent(),
            Self::MediaType(_) | Self::Note(..) | Self::Signature | Self::Referrer | Self::Scanned => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use registry_core::{Algorithm, RepositoryName};

    use super::super::*;
    use super::*;

    #[test]
    fn files_are_known_by_the_paths_that_are_built() {
        let name = RepositoryName::parse("library/app").unwrap();
        let dir = StoragePath::parse("/docker/registry/v2/repositories/library/app").unwrap();
        let tag = Tag::parse("v1").unwrap();
        for digest in [Algorithm::Sha256.digest(b"x"), Algorithm::Sha512.digest(b"x")] {
            let first = RepositoryFile::Note(digest.clone(), TagNote::First(Some(tag.clone())));
            let more = RepositoryFile::Note(digest.clone(), TagNote::More(tag.clone()));
            let cases = [
                (layer_link(&name, &digest), RepositoryFile::Layer(digest.clone())),
                (revision_link(&name, &digest), RepositoryFile::Revision(digest.clone())),
                (revision_media_type(&name, &digest), RepositoryFile::MediaType(digest.clone())),
                (revision_first_tag(&name, &digest, Some(&tag)), first),
                (revision_tag(&name, &digest, &tag), more),
                (Some(tag_current(&name, &tag)), RepositoryFile::TagCurrent(tag.clone())),
                (tag_index(&name, &tag, &digest), RepositoryFile::TagIndex(tag.clone(), digest.clone())),
                (referrer(&name, &digest, &digest), RepositoryFile::Referrer),
                (Some(referrers_scanned(&name)), RepositoryFile::Scanned),
            ];
            for (path, file) in cases {
                let path = path.unwrap();
                let relative = path.as_str().strip_prefix(dir.as_str()).unwrap().trim_start_matches('/');
                assert_eq!(RepositoryFile::parse(relative), Some(file.clone()), "{relative}");
                assert!(file.path(&dir).is_none_or(|built| built == path), "{relative}");
                assert!(file.directory(&dir).is_none_or(|unit| path.is_within(&unit) && unit != path));
            }
        }
    }

    #[test]
    fn other_files_are_not() {
        for name in [
            "_layers/sha256/ab/link",
            "_layers/link",
            "_manifests/tags/v1/link",
            "_manifests/tags/-/current/link",
            "_manifests/revisions/sha256/ab/link",
            "_referrers/sha256/x",
            "_uploads/id/data",
            "note.txt",
            "",
        ] {
            assert_eq!(RepositoryFile::parse(name), None, "{name}");
        }
    }
}
