//! Every path in the store. Nothing else builds one.
//!
//! ```text
//! /docker/registry/v2/
//!   blobs/<algorithm>/<first two hex digits>/<hex>/data      content: blobs and manifests alike
//!   repositories/<name>/
//!     _layers/<algorithm>/<hex>/link                         a blob is in the repository
//!     _manifests/
//!       revisions/<algorithm>/<hex>/link                     a manifest is in the repository
//!       revisions/<algorithm>/<hex>/mediatype                its type, where its bytes do not say it  (*)
//!       revisions/<algorithm>/<hex>/tags[.<tag>]             every tag since is noted, this the first      (*)
//!       revisions/<algorithm>/<hex>/tag.<tag>                a tag that may point at it                    (*)
//!       tags/<tag>/current/link                              what a tag points at
//!       tags/<tag>/index/<algorithm>/<hex>/link              what it ever pointed at
//!     _uploads/<id>/
//!       startedat                                            RFC 3339, seconds
//!       data                                                 the bytes so far
//!       hashstates/<algorithm>/<offset>                      state of the digest after that many bytes
//!     _referrers/<algorithm>/<hex of the subject>/<algorithm>-<hex>   descriptor of a referrer        (*)
//!     _referrers/scanned                                     revisions that have been looked at       (*)
//! ```
//!
//! Beside it is `/docker/registry/_migrate/<algorithm>-<hex>`: content that a migration is writing (*).
//!
//! The layout is Distribution's, byte for byte: a `link` holds the digest it leads to and no newline.
//! What is marked (*) is ours, in places that Distribution passes over: its walks skip directories that
//! begin with `_`, and below `revisions/` it reads only files called `link`.
//!
//! A link in `_layers` may lead to a digest of another algorithm: Distribution keeps content that was
//! pushed under SHA-512 under its SHA-256 digest. We keep it under the digest it was pushed with.

mod files;

use registry_core::{Algorithm, Digest, RepositoryName, StoragePath, Tag, UploadId};

pub(crate) use files::{
    LAYERS, MANIFESTS, REFERRERS, REVISIONS, RepositoryFile, TAGS, UPLOADS, arrival, arrivals, root,
};

const ROOT: &str = "/docker/registry/v2";

/// The most bytes that a link may have. A digest has at most 135; more is damage.
pub(crate) const LINK_LIMIT: u64 = 1024;

/// A path out of parts that were validated when they were parsed.
fn path(text: String) -> StoragePath {
    StoragePath::try_from(text).expect("names, tags, digests and ids are made of path characters")
}

/// The most bytes of a name in a directory, on any file system. Some servers for buckets keep to it too.
const NAME_MAX: usize = 255;

/// `<algorithm>/<encoded>` of a digest that the store could hold. `None` for one that no store holds.
fn segments(digest: &Digest) -> Option<String> {
    let (algorithm, encoded) = (digest.algorithm_name(), digest.encoded());
    match digest.algorithm() {
        // Its grammar leaves nothing to be looked at.
        Some(_) => Some([algorithm, "/", encoded].concat()),
        None => holdable([&algorithm.replace(['+', '.'], "/"), "/", encoded].concat()),
    }
}

/// A relative path, if it is one.
fn holdable(text: String) -> Option<String> {
    let fits = text.split('/').all(|name| name.len() <= NAME_MAX);
    (fits && StoragePath::root().join(&text).is_ok()).then_some(text)
}

fn repository(name: &RepositoryName) -> String {
    [ROOT, "/repositories/", name.as_str()].concat()
}

/// What is at `rest` in a repository. Some of it is in every request, so it is put together at once.
fn within(name: &RepositoryName, rest: [&str; 3]) -> Option<StoragePath> {
    let [first, second, third] = rest;
    StoragePath::try_from([ROOT, "/repositories/", name.as_str(), first, second, third].concat()).ok()
}

/// Where repositories are.
pub(crate) fn repositories() -> StoragePath {
    path(format!("{ROOT}/repositories"))
}

/// Where content is.
pub(crate) fn blobs() -> StoragePath {
    path(format!("{ROOT}/blobs"))
}

/// The directory of a piece of content.
pub(crate) fn blob_dir(digest: &Digest) -> Option<StoragePath> {
    content(digest, "")
}

/// What is at `rest` in the directory of a piece of content.
fn content(digest: &Digest, rest: &str) -> Option<StoragePath> {
    let text = segments(digest)?;
    let (algorithm, encoded) = text.rsplit_once('/')?;
    let shard = encoded.get(..2)?;
    StoragePath::try_from([ROOT, "/blobs/", algorithm, "/", shard, "/", encoded, rest].concat()).ok()
}

/// The bytes of a piece of content.
pub(crate) fn blob_data(digest: &Digest) -> Option<StoragePath> {
    content(digest, "/data")
}

/// The digest of the content at `name`, a path relative to [`blobs`]; `None` for any other file.
pub(crate) fn parse_blob_data(name: &str) -> Option<Digest> {
    let mut parts = name.strip_suffix("/data")?.split('/');
    let (algorithm, shard, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let complete = parts.next().is_none() && encoded.starts_with(shard);
    complete.then(|| Digest::parse(&format!("{algorithm}:{encoded}")).ok()).flatten()
}

/// The inverse of [`parse_blob_data`].
pub(crate) fn blob_data_name(digest: &Digest) -> Option<String> {
    let data = blob_data(digest)?;
    data.as_str().strip_prefix(blobs().as_str())?.strip_prefix('/').map(str::to_owned)
}

/// The links to the blobs of a repository.
pub(crate) fn layers(name: &RepositoryName) -> StoragePath {
    path(format!("{}/_layers", repository(name)))
}

/// That a blob is in a repository.
pub(crate) fn layer_link(name: &RepositoryName, digest: &Digest) -> Option<StoragePath> {
    within(name, ["/_layers/", &segments(digest)?, "/link"])
}

/// What makes a directory a repository.
pub(crate) fn manifests(name: &RepositoryName) -> StoragePath {
    path(format!("{}/_manifests", repository(name)))
}

/// The manifests of a repository, by algorithm.
pub(crate) fn revisions(name: &RepositoryName, algorithm: Algorithm) -> StoragePath {
    path(format!("{}/_manifests/revisions/{algorithm}", repository(name)))
}

/// The directory of a manifest in a repository.
pub(crate) fn revision_dir(name: &RepositoryName, digest: &Digest) -> Option<StoragePath> {
    within(name, ["/_manifests/revisions/", &segments(digest)?, ""])
}

/// That a manifest is in a repository.
pub(crate) fn revision_link(name: &RepositoryName, digest: &Digest) -> Option<StoragePath> {
    within(name, ["/_manifests/revisions/", &segments(digest)?, "/link"])
}

/// The type of a manifest whose bytes do not say it.
pub(crate) fn revision_media_type(name: &RepositoryName, digest: &Digest) -> Option<StoragePath> {
    revision_dir(name, digest)?.join("mediatype").ok()
}

/// The file that begins the notes of which tags may point at a manifest, with the first of them.
pub(crate) fn revision_first_tag(
    name: &RepositoryName,
    digest: &Digest,
    tag: Option<&Tag>,
) -> Option<StoragePath> {
    let file = tag.map_or_else(|| FIRST_TAG.to_owned(), |tag| format!("{FIRST_TAG}.{tag}"));
    revision_dir(name, digest)?.join(&file).ok()
}

/// The note that a tag may point at a manifest.
pub(crate) fn revision_tag(name: &RepositoryName, digest: &Digest, tag: &Tag) -> Option<StoragePath> {
    revision_dir(name, digest)?.join(&format!("{TAG}.{tag}")).ok()
}

const FIRST_TAG: &str = "tags";
const TAG: &str = "tag";

/// What a file beside the link of a manifest says of its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TagNote {
    /// Every tag since is noted; with the first, if there was one.
    First(Option<Tag>),
    /// One more.
    More(Tag),
}

/// The inverse of [`revision_first_tag`] and [`revision_tag`].
pub(crate) fn parse_tag_note(file: &str) -> Option<TagNote> {
    match file.split_once('.') {
        None => (file == FIRST_TAG).then_some(TagNote::First(None)),
        Some((FIRST_TAG, tag)) => Some(TagNote::First(Some(Tag::parse(tag).ok()?))),
        Some((TAG, tag)) => Some(TagNote::More(Tag::parse(tag).ok()?)),
        Some(_) => None,
    }
}

/// The tags of a repository.
pub(crate) fn tags(name: &RepositoryName) -> StoragePath {
    path(format!("{}/_manifests/tags", repository(name)))
}

/// Everything about a tag.
pub(crate) fn tag_dir(name: &RepositoryName, tag: &Tag) -> StoragePath {
    path(format!("{}/_manifests/tags/{tag}", repository(name)))
}

/// What a tag points at, among the files of the tag.
pub(crate) const TAG_CURRENT: &str = "current/link";

/// What a tag points at.
pub(crate) fn tag_current(name: &RepositoryName, tag: &Tag) -> StoragePath {
    path(format!("{}/_manifests/tags/{tag}/{TAG_CURRENT}", repository(name)))
}

/// That a tag pointed at a manifest at some time.
pub(crate) fn tag_index(name: &RepositoryName, tag: &Tag, digest: &Digest) -> Option<StoragePath> {
    tag_dir(name, tag).join(&tag_index_file(digest)?).ok()
}

/// The same, among the files of the tag.
pub(crate) fn tag_index_file(digest: &Digest) -> Option<String> {
    Some(format!("index/{}/link", segments(digest)?))
}

/// All manifests of a repository.
pub(crate) fn all_revisions(name: &RepositoryName) -> StoragePath {
    path(format!("{}/_manifests/revisions", repository(name)))
}

/// The link of a manifest at its place below [`all_revisions`].
pub(crate) fn revision_name(digest: &Digest) -> Option<String> {
    Some(format!("{}/link", segments(digest)?))
}

/// The inverse of [`revision_name`]; `None` for any other file, and for digests that are not computed here.
pub(crate) fn parse_revision_name(name: &str) -> Option<Digest> {
    let (algorithm, encoded) = name.strip_suffix("/link")?.split_once('/')?;
    let digest = Digest::parse(&format!("{}:{encoded}", Algorithm::from_name(algorithm)?)).ok()?;
    Some(digest)
}

/// The upload sessions of a repository.
pub(crate) fn uploads(name: &RepositoryName) -> StoragePath {
    path(format!("{}/_uploads", repository(name)))
}

/// Everything about an upload session.
pub(crate) fn upload_dir(name: &RepositoryName, id: &UploadId) -> StoragePath {
    path(format!("{}/_uploads/{id}", repository(name)))
}

/// The bytes of an upload session.
pub(crate) fn upload_data(name: &RepositoryName, id: &UploadId) -> StoragePath {
    path(format!("{}/_uploads/{id}/data", repository(name)))
}

/// When an upload session began.
pub(crate) fn upload_started_at(name: &RepositoryName, id: &UploadId) -> StoragePath {
    path(format!("{}/_uploads/{id}/startedat", repository(name)))
}

/// The state of an upload session's digest after `offset` bytes.
pub(crate) fn upload_hash_state(
    name: &RepositoryName,
    id: &UploadId,
    algorithm: Algorithm,
    offset: u64,
) -> StoragePath {
    path(format!("{}/_uploads/{id}/hashstates/{algorithm}/{offset}", repository(name)))
}

/// The index of referrers of a repository.
pub(crate) fn referrers(name: &RepositoryName) -> StoragePath {
    path(format!("{}/_referrers", repository(name)))
}

/// The referrers of one subject.
pub(crate) fn subject_referrers(name: &RepositoryName, subject: &Digest) -> Option<StoragePath> {
    let algorithm = subject_algorithm(subject.algorithm_name());
    referrers(name).join(&holdable(format!("{algorithm}/{}", subject.encoded()))?).ok()
}

/// The directory of an algorithm in the index of referrers, which may be any that a client thinks of: a single one,
/// so that none is where another has a file, and not called as what else is there. No algorithm has `..` in its
/// name or ends in `.`.
fn subject_algorithm(algorithm: &str) -> String {
    if algorithm == SCANNED { format!("{SCANNED}.") } else { algorithm.replace('+', "..") }
}

/// The inverse of `subject_algorithm`.
fn parse_subject_algorithm(dir: &str) -> String {
    dir.replace("..", "+").trim_end_matches('.').to_owned()
}

const SCANNED: &str = "scanned";

/// The descriptor of one referrer of a subject.
pub(crate) fn referrer(name: &RepositoryName, subject: &Digest, digest: &Digest) -> Option<StoragePath> {
    subject_referrers(name, subject)?.join(&referrer_name(digest)).ok()
}

/// The file name of a referrer, in the order of digests.
pub(crate) fn referrer_name(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm_name(), digest.encoded())
}

/// The inverse of [`referrer_name`].
pub(crate) fn parse_referrer_name(name: &str) -> Option<Digest> {
    let (algorithm, encoded) = name.split_once('-')?;
    Digest::parse(&format!("{algorithm}:{encoded}")).ok()
}

/// Which manifests have been looked at for a subject.
pub(crate) fn referrers_scanned(name: &RepositoryName) -> StoragePath {
    path(format!("{}/_referrers/{SCANNED}", repository(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths are compared with literal text: they are a contract with Distribution, not a choice.
    #[test]
    fn paths_are_those_of_distribution() {
        let name = RepositoryName::parse("library/app").unwrap();
        let tag = Tag::parse("v1").unwrap();
        let id = UploadId::parse("0d1f").unwrap();
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest = Digest::parse(&format!("sha256:{hex}")).unwrap();
        let repository = "/docker/registry/v2/repositories/library/app";
        let cases = [
            (blob_data(&digest), format!("/docker/registry/v2/blobs/sha256/e3/{hex}/data")),
            (layer_link(&name, &digest), format!("{repository}/_layers/sha256/{hex}/link")),
            (revision_link(&name, &digest), format!("{repository}/_manifests/revisions/sha256/{hex}/link")),
            (Some(tag_current(&name, &tag)), format!("{repository}/_manifests/tags/v1/current/link")),
            (
                tag_index(&name, &tag, &digest),
                format!("{repository}/_manifests/tags/v1/index/sha256/{hex}/link"),
            ),
            (Some(upload_data(&name, &id)), format!("{repository}/_uploads/0d1f/data")),
            (Some(upload_started_at(&name, &id)), format!("{repository}/_uploads/0d1f/startedat")),
            (
                Some(upload_hash_state(&name, &id, Algorithm::Sha256, 7)),
                format!("{repository}/_uploads/0d1f/hashstates/sha256/7"),
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(path.unwrap().as_str(), expected);
        }
    }

    #[test]
    fn names_of_content_parse_back() {
        for digest in [Algorithm::Sha256.digest(b"x"), Algorithm::Sha512.digest(b"x")] {
            let name = blob_data_name(&digest).unwrap();
            assert_eq!(parse_blob_data(&name), Some(digest.clone()));
            assert_eq!(parse_referrer_name(&referrer_name(&digest)), Some(digest));
        }
        assert_eq!(parse_blob_data("sha256/ab/cd/data"), None);
        assert_eq!(parse_blob_data("sha256/ab/link"), None);
    }

    #[test]
    fn subjects_parse_back_and_none_is_in_the_way_of_another() {
        let name = RepositoryName::parse("a").unwrap();
        for text in ["sha256:ab", "scanned:ab", "scanned+x:ab", "a+b:ab", "a.b:ab", "a-b:ab", "a_b+c.d:ab"] {
            let Ok(subject) =
                Digest::parse(&text.replace("sha256:ab", &format!("sha256:{}", "a".repeat(64))))
            else {
                panic!("{text}");
            };
            let dir = subject_referrers(&name, &subject).unwrap();
            let rest = dir.as_str().strip_prefix(referrers(&name).as_str()).unwrap().trim_start_matches('/');
            let (algorithm, encoded) = rest.split_once('/').unwrap();
            assert_ne!(algorithm, SCANNED);
            assert_eq!(
                Digest::parse(&format!("{}:{encoded}", parse_subject_algorithm(algorithm))).unwrap(),
                subject
            );
        }
    }

    #[test]
    fn notes_of_tags_parse_back() {
        let name = RepositoryName::parse("a").unwrap();
        let digest = Algorithm::Sha256.digest(b"x");
        let dir = format!("{}/", revision_dir(&name, &digest).unwrap());
        for text in ["v1", "tag", "tags", "link", "a.b", "_x"] {
            let tag = Tag::parse(text).unwrap();
            let first = revision_first_tag(&name, &digest, Some(&tag)).unwrap();
            let more = revision_tag(&name, &digest, &tag).unwrap();
            assert_eq!(more.as_str(), format!("{dir}tag.{text}"));
            let file = |path: &StoragePath| path.as_str().strip_prefix(&dir).unwrap().to_owned();
            assert_eq!(parse_tag_note(&file(&first)), Some(TagNote::First(Some(tag.clone()))));
            assert_eq!(parse_tag_note(&file(&more)), Some(TagNote::More(tag)));
        }
        assert_eq!(parse_tag_note("tags"), Some(TagNote::First(None)));
        for other in ["link", "mediatype", "tag", "tags.", "tag.", "tag.-x", "other.v1"] {
            assert_eq!(parse_tag_note(other), None, "{other}");
        }
    }

    #[test]
    fn digests_that_no_store_holds_have_no_path() {
        let name = RepositoryName::parse("a").unwrap();
        let odd = Digest::parse("x+y:ab").unwrap();
        assert_eq!(
            layer_link(&name, &odd).unwrap().as_str(),
            "/docker/registry/v2/repositories/a/_layers/x/y/ab/link"
        );
        let long = Digest::parse(&format!("x:{}", "a".repeat(NAME_MAX + 1))).unwrap();
        assert_eq!((layer_link(&name, &long), subject_referrers(&name, &long)), (None, None));
        let impossible = Digest::parse("x:ab=").unwrap();
        assert_eq!(layer_link(&name, &impossible), None);
        assert_eq!(blob_data(&Digest::parse("x:a").unwrap()), None);
    }
}
