//! Which endpoint a request means: a pure function from method, path and query, and its inverse.

mod build;

use registry_core::{
    Algorithm, Digest, Error, ErrorCode, InvalidText, Reference, RepositoryName, Tag, TextKind, UploadId,
};

use crate::query::{Query, decode};

/// What a request asks for. The numbers are those of the specification's table of endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// end-1: whether this is a registry.
    Base,
    /// The list of repositories.
    Catalog {
        /// Which part of it.
        page: PageQuery,
    },
    /// end-8a, end-8b: the tags of a repository.
    Tags {
        /// The repository.
        name: RepositoryName,
        /// Which part of them.
        page: PageQuery,
    },
    /// end-3: a manifest.
    GetManifest {
        /// The repository.
        name: RepositoryName,
        /// Which manifest.
        reference: Reference,
    },
    /// end-7a, end-7b: push a manifest.
    PutManifest {
        /// The repository.
        name: RepositoryName,
        /// The tag or digest in the path.
        reference: Reference,
        /// The tags in the query.
        tags: Vec<Tag>,
    },
    /// end-9: delete a manifest or a tag.
    DeleteManifest {
        /// The repository.
        name: RepositoryName,
        /// Which manifest or tag.
        reference: Reference,
    },
    /// end-12a, end-12b: the manifests that refer to a manifest.
    Referrers {
        /// The repository.
        name: RepositoryName,
        /// The manifest referred to.
        digest: Digest,
        /// Only those of this type.
        artifact_type: Option<String>,
        /// Which part of them.
        page: PageQuery,
    },
    /// end-2: a blob.
    GetBlob {
        /// The repository.
        name: RepositoryName,
        /// Which blob.
        digest: Digest,
    },
    /// end-10: delete a blob.
    DeleteBlob {
        /// The repository.
        name: RepositoryName,
        /// Which blob.
        digest: Digest,
    },
    /// end-4a, end-4b, end-4c, end-11: begin an upload, upload at once, or mount.
    StartUpload {
        /// The repository.
        name: RepositoryName,
        /// How.
        start: StartQuery,
    },
    /// end-13: how far an upload has come.
    UploadStatus {
        /// The repository.
        name: RepositoryName,
        /// Which session.
        id: UploadId,
        /// The state that we gave out with the URL.
        state: Option<String>,
    },
    /// end-5: upload a chunk.
    PatchUpload {
        /// The repository.
        name: RepositoryName,
        /// Which session.
        id: UploadId,
        /// The state that we gave out with the URL.
        state: Option<String>,
    },
    /// end-6: end an upload.
    FinishUpload {
        /// The repository.
        name: RepositoryName,
        /// Which session.
        id: UploadId,
        /// The state that we gave out with the URL.
        state: Option<String>,
        /// The digest of the blob; missing is an error, but one that leaves the session alone.
        digest: Option<Digest>,
    },
    /// end-14: cancel an upload.
    CancelUpload {
        /// The repository.
        name: RepositoryName,
        /// Which session.
        id: UploadId,
        /// The state that we gave out with the URL.
        state: Option<String>,
    },
}

/// `n` and `last` of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageQuery {
    /// At most this many items.
    pub n: Option<u64>,
    /// Only items after this one.
    pub last: Option<String>,
}

/// How an upload is to begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartQuery {
    /// `mount`: a blob to take from elsewhere.
    pub mount: Option<Digest>,
    /// `from`: where to take it from.
    pub from: Option<RepositoryName>,
    /// `digest`: the body is the whole blob.
    pub digest: Option<Digest>,
    /// `digest-algorithm`: which digest is going to be named.
    pub algorithm: Option<Algorithm>,
}

/// Why a request is for no route.
#[derive(Debug)]
#[non_exhaustive]
pub enum RouteError {
    /// No endpoint has this path.
    NotFound,
    /// The endpoint does not have this method. The methods that it has, for `Allow`.
    Method(&'static str),
    /// `OPTIONS`. The methods that the endpoint has, for `Allow`.
    Options(&'static str),
    /// A part of the path or query breaks its grammar.
    Invalid(Error),
}

impl From<InvalidText> for RouteError {
    fn from(text: InvalidText) -> Self {
        Self::Invalid(text.into())
    }
}

/// What a path leads to, whatever the method.
enum Endpoint {
    Base,
    Catalog,
    Tags(RepositoryName),
    Manifest(RepositoryName, String),
    Referrers(RepositoryName, String),
    Blob(RepositoryName, String),
    Uploads(RepositoryName),
    Upload(RepositoryName, String),
}

impl Endpoint {
    /// Finds the endpoint from the right end of the path, where its fixed words are: the name before
    /// them may contain any of the same words.
    fn parse(path: &str) -> Result<Self, RouteError> {
        let Some(path) = path.strip_prefix("/v2") else { return Err(RouteError::NotFound) };
        let Some(path) = path.strip_prefix('/') else {
            return if path.is_empty() { Ok(Self::Base) } else { Err(RouteError::NotFound) };
        };
        let path = decode(path);
        let path = path.strip_suffix('/').unwrap_or(&path);
        match path {
            "" => return Ok(Self::Base),
            "_catalog" => return Ok(Self::Catalog),
            _ => {}
        }
        let mut parts = path.rsplitn(3, '/');
        let (last, word, rest) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
        let (Some(last), Some(word)) = (last, word) else { return Err(RouteError::NotFound) };
        let name = || RepositoryName::parse(rest);
        match (word, last) {
            ("tags", "list") => Ok(Self::Tags(name()?)),
            ("manifests", reference) => Ok(Self::Manifest(name()?, reference.to_owned())),
            ("referrers", digest) => Ok(Self::Referrers(name()?, digest.to_owned())),
            ("blobs", "uploads") => Ok(Self::Uploads(name()?)),
            ("blobs", digest) => Ok(Self::Blob(name()?, digest.to_owned())),
            ("uploads", id) => match rest.strip_suffix("/blobs") {
                Some(name) => Ok(Self::Upload(RepositoryName::parse(name)?, id.to_owned())),
                None => Err(RouteError::NotFound),
            },
            _ => Err(RouteError::NotFound),
        }
    }

    /// The methods that the endpoint has.
    fn allow(&self, read_only: bool) -> &'static str {
        match self {
            Self::Base | Self::Catalog | Self::Tags(_) | Self::Referrers(..) => "GET, HEAD",
            _ if read_only => "GET, HEAD",
            Self::Manifest(..) => "DELETE, GET, HEAD, PUT",
            Self::Blob(..) => "DELETE, GET, HEAD",
            Self::Uploads(_) => "GET, HEAD, POST",
            Self::Upload(..) => "DELETE, GET, HEAD, PATCH, PUT",
        }
    }
}

impl Route {
    /// The route of a request. `path` is as it came, percent-encoded, and begins with `/v2`; any prefix
    /// has been taken off. A trailing slash makes no difference.
    ///
    /// # Errors
    /// [`RouteError`]. The path comes first, then the method, then what the method takes.
    pub fn parse(
        method: &http::Method,
        path: &str,
        query: Option<&str>,
        read_only: bool,
    ) -> Result<Self, RouteError> {
        let endpoint = Endpoint::parse(path)?;
        let allow = endpoint.allow(read_only);
        if method == http::Method::OPTIONS {
            return Err(RouteError::Options(allow));
        }
        // Distribution answers any method here, and some clients probe with odd ones.
        let is_base = matches!(endpoint, Endpoint::Base);
        if !is_base && !allow.split(", ").any(|allowed| allowed == method.as_str()) {
            return Err(RouteError::Method(allow));
        }
        let query = Query::new(query);
        let state = || query.get("_state").map(std::borrow::Cow::into_owned);
        Ok(match (endpoint, method.as_str()) {
            (Endpoint::Base, _) => Self::Base,
            (Endpoint::Catalog, _) => Self::Catalog { page: PageQuery::parse(query)? },
            (Endpoint::Tags(name), _) => Self::Tags { name, page: PageQuery::parse(query)? },
            (Endpoint::Manifest(name, reference), method) => {
                let reference = match Reference::parse(&reference) {
                    Err(text) if text.kind() == TextKind::Tag && is_read(method) => {
                        // No manifest is called that, and end-3 knows no other failure than 404.
                        let detail = Some(text.to_string().into());
                        let code = ErrorCode::MANIFEST_UNKNOWN;
                        return Err(RouteError::Invalid(Error::coded_with(
                            code,
                            code.message(),
                            detail,
                            None,
                        )));
                    }
                    parsed => parsed?,
                };
                match method {
                    "PUT" => {
                        let tags = query.all("tag").map(|tag| Tag::parse(&tag)).collect::<Result<_, _>>()?;
                        Self::PutManifest { name, reference, tags }
                    }
                    "DELETE" => Self::DeleteManifest { name, reference },
                    _ => Self::GetManifest { name, reference },
                }
            }
            (Endpoint::Referrers(name, digest), _) => Self::Referrers {
                name,
                digest: Digest::parse(&digest)?,
                artifact_type: query
                    .get("artifactType")
                    .filter(|artifact_type| !artifact_type.is_empty())
                    .map(std::borrow::Cow::into_owned),
                page: PageQuery::parse(query)?,
            },
            (Endpoint::Blob(name, digest), method) => {
                let digest = Digest::parse(&digest)?;
                if method == "DELETE" {
                    Self::DeleteBlob { name, digest }
                } else {
                    Self::GetBlob { name, digest }
                }
            }
            // No session is called nothing.
            (Endpoint::Uploads(_), "GET" | "HEAD") => {
                return Err(RouteError::Invalid(Error::coded(ErrorCode::BLOB_UPLOAD_UNKNOWN)));
            }
            (Endpoint::Uploads(name), _) => Self::StartUpload { name, start: StartQuery::parse(query)? },
            (Endpoint::Upload(name, id), method) => {
                let id = UploadId::parse(&id)?;
                match method {
                    "PATCH" => Self::PatchUpload { name, id, state: state() },
                    "PUT" => {
                        let digest = query.get("digest").filter(|digest| !digest.is_empty());
                        let digest = digest.map(|digest| Digest::parse(&digest)).transpose()?;
                        Self::FinishUpload { name, id, state: state(), digest }
                    }
                    "DELETE" => Self::CancelUpload { name, id, state: state() },
                    _ => Self::UploadStatus { name, id, state: state() },
                }
            }
        })
    }

    /// The repository that the route is about.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Base | Self::Catalog { .. } => None,
            Self::Tags { name, .. }
            | Self::GetManifest { name, .. }
            | Self::PutManifest { name, .. }
            | Self::DeleteManifest { name, .. }
            | Self::Referrers { name, .. }
            | Self::GetBlob { name, .. }
            | Self::DeleteBlob { name, .. }
            | Self::StartUpload { name, .. }
            | Self::UploadStatus { name, .. }
            | Self::PatchUpload { name, .. }
            | Self::FinishUpload { name, .. }
            | Self::CancelUpload { name, .. } => Some(name),
        }
    }
}

fn is_read(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

impl PageQuery {
    fn parse(query: Query<'_>) -> Result<Self, RouteError> {
        // An empty limit is none, as in Distribution.
        let n =
            match query.get("n").filter(|n| !n.is_empty()) {
                None => None,
                Some(text) => Some(text.parse::<u64>().map_err(|_| {
                    InvalidText::new(TextKind::PageLimit, &text, "it is a whole number from 0")
                })?),
            };
        Ok(Self { n, last: query.get("last").map(std::borrow::Cow::into_owned) })
    }
}

impl StartQuery {
    fn parse(query: Query<'_>) -> Result<Self, RouteError> {
        let get = |name: &str| query.get(name).filter(|value| !value.is_empty());
        let algorithm = match get("digest-algorithm") {
            None => None,
            Some(name) => Some(Algorithm::from_name(&name).ok_or_else(|| {
                InvalidText::new(
                    TextKind::Digest,
                    &name,
                    "the algorithm is not supported, sha256 and sha512 are",
                )
            })?),
        };
        Ok(Self {
            mount: get("mount").map(|digest| Digest::parse(&digest)).transpose()?,
            from: get("from").map(|name| RepositoryName::parse(&name)).transpose()?,
            digest: get("digest").map(|digest| Digest::parse(&digest)).transpose()?,
            algorithm,
        })
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn parse(method: Method, uri: &str) -> Result<Route, RouteError> {
        let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
        Route::parse(&method, path, query, false)
    }

    #[test]
    fn names_are_found_from_the_right() {
        let name = |uri: &str| parse(Method::GET, uri).unwrap().repository().unwrap().to_string();
        assert_eq!(name("/v2/tags/list/tags/list"), "tags/list");
        assert_eq!(name("/v2/a/manifests/b/manifests/latest"), "a/manifests/b");
        assert_eq!(name("/v2/blobs/uploads/blobs/uploads/x"), "blobs/uploads");
        assert_eq!(name("/v2/a%2Fb/tags/list"), "a/b");
        assert_eq!(name("/v2/a/tags/list/"), "a");
    }

    #[test]
    fn every_grammar_violation_has_its_code() {
        let hex = "a".repeat(64);
        let cases = [
            (Method::GET, "/v2/Upper/tags/list".to_owned(), "NAME_INVALID"),
            (Method::GET, "/v2//tags/list".to_owned(), "NAME_INVALID"),
            (Method::GET, "/v2/a/../b/tags/list".to_owned(), "NAME_INVALID"),
            (Method::GET, "/v2/a/%2e%2e/tags/list".to_owned(), "NAME_INVALID"),
            (Method::GET, "/v2/a%00/tags/list".to_owned(), "NAME_INVALID"),
            (Method::GET, "/v2/a%ff/tags/list".to_owned(), "NAME_INVALID"),
            (Method::GET, format!("/v2/{}/tags/list", "a".repeat(256)), "NAME_INVALID"),
            (Method::GET, "/v2/a/manifests/.hidden".to_owned(), "MANIFEST_UNKNOWN"),
            (Method::PUT, "/v2/a/manifests/.hidden".to_owned(), "TAG_INVALID"),
            (Method::DELETE, "/v2/a/manifests/.hidden".to_owned(), "TAG_INVALID"),
            (Method::GET, "/v2/a/manifests/sha256:abc".to_owned(), "DIGEST_INVALID"),
            (Method::PUT, format!("/v2/a/manifests/sha256:{hex}?tag=-x"), "TAG_INVALID"),
            (Method::GET, "/v2/a/blobs/latest".to_owned(), "DIGEST_INVALID"),
            (Method::GET, "/v2/a/referrers/latest".to_owned(), "DIGEST_INVALID"),
            (Method::GET, "/v2/a/tags/list?n=-1".to_owned(), "PAGINATION_NUMBER_INVALID"),
            (Method::GET, "/v2/_catalog?n=x".to_owned(), "PAGINATION_NUMBER_INVALID"),
            (Method::POST, "/v2/a/blobs/uploads/?mount=x".to_owned(), "DIGEST_INVALID"),
            (Method::POST, "/v2/a/blobs/uploads/?digest-algorithm=md5".to_owned(), "DIGEST_INVALID"),
            (Method::POST, format!("/v2/a/blobs/uploads/?mount=sha256:{hex}&from=B"), "NAME_INVALID"),
            (Method::PATCH, "/v2/a/blobs/uploads/..".to_owned(), "BLOB_UPLOAD_UNKNOWN"),
            (Method::PUT, "/v2/a/blobs/uploads/x?digest=y".to_owned(), "DIGEST_INVALID"),
        ];
        for (method, uri, expected) in cases {
            match parse(method, &uri) {
                Err(RouteError::Invalid(error)) => assert_eq!(error.code().id(), expected, "{uri}"),
                other => panic!("{uri}: {other:?}"),
            }
        }
    }

    #[test]
    fn unknown_paths_and_methods_are_told_apart() {
        for uri in ["/", "/v1/", "/v2x", "/v2/a", "/v2/a/b/c", "/v2/a/uploads/x"] {
            assert!(matches!(parse(Method::GET, uri), Err(RouteError::NotFound)), "{uri}");
        }
        assert!(matches!(parse(Method::POST, "/v2/a/tags/list"), Err(RouteError::Method("GET, HEAD"))));
        assert!(matches!(
            parse(Method::OPTIONS, "/v2/a/manifests/x"),
            Err(RouteError::Options("DELETE, GET, HEAD, PUT"))
        ));
        assert!(matches!(
            Route::parse(&Method::PUT, "/v2/a/manifests/x", None, true),
            Err(RouteError::Method("GET, HEAD"))
        ));
        assert!(matches!(parse(Method::PUT, "/v2/"), Ok(Route::Base)));
    }
}
