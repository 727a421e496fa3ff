//! From a route to the path and query that mean it.

use super::{PageQuery, Route, StartQuery};
use crate::query::encode;

impl Route {
    /// The path, beginning with `/v2`, and the query if there is one. The inverse of [`Route::parse`].
    pub fn build(&self) -> String {
        match self {
            Self::Base => "/v2/".to_owned(),
            Self::Catalog { page } => with_query("/v2/_catalog".to_owned(), page_pairs(page)),
            Self::Tags { name, page } => with_query(format!("/v2/{name}/tags/list"), page_pairs(page)),
            Self::GetManifest { name, reference } | Self::DeleteManifest { name, reference } => {
                format!("/v2/{name}/manifests/{reference}")
            }
            Self::PutManifest { name, reference, tags } => with_query(
                format!("/v2/{name}/manifests/{reference}"),
                tags.iter().map(|tag| ("tag", tag.to_string())).collect(),
            ),
            Self::Referrers { name, digest, artifact_type, page } => {
                let mut pairs: Vec<_> =
                    artifact_type.iter().map(|value| ("artifactType", value.clone())).collect();
                pairs.extend(page_pairs(page));
                with_query(format!("/v2/{name}/referrers/{digest}"), pairs)
            }
            Self::GetBlob { name, digest } | Self::DeleteBlob { name, digest } => {
                format!("/v2/{name}/blobs/{digest}")
            }
            Self::StartUpload { name, start } => {
                with_query(format!("/v2/{name}/blobs/uploads/"), start_pairs(start))
            }
            Self::UploadStatus { name, id, state }
            | Self::PatchUpload { name, id, state }
            | Self::CancelUpload { name, id, state } => {
                let pairs = state.iter().map(|state| ("_state", state.clone())).collect();
                with_query(format!("/v2/{name}/blobs/uploads/{id}"), pairs)
            }
            Self::FinishUpload { name, id, state, digest } => {
                let mut pairs: Vec<_> = state.iter().map(|state| ("_state", state.clone())).collect();
                pairs.extend(digest.iter().map(|digest| ("digest", digest.to_string())));
                with_query(format!("/v2/{name}/blobs/uploads/{id}"), pairs)
            }
        }
    }
}

type Pairs = Vec<(&'static str, String)>;

fn page_pairs(page: &PageQuery) -> Pairs {
    let mut pairs: Pairs = page.last.iter().map(|last| ("last", last.clone())).collect();
    pairs.extend(page.n.map(|n| ("n", n.to_string())));
    pairs
}

fn start_pairs(start: &StartQuery) -> Pairs {
    let mut pairs: Pairs = start.mount.iter().map(|digest| ("mount", digest.to_string())).collect();
    pairs.extend(start.from.iter().map(|name| ("from", name.to_string())));
    pairs.extend(start.digest.iter().map(|digest| ("digest", digest.to_string())));
    pairs.extend(start.algorithm.map(|algorithm| ("digest-algorithm", algorithm.to_string())));
    pairs
}

fn with_query(mut path: String, pairs: Pairs) -> String {
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(&format!("{name}={}", encode(&value)));
    }
    path
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proptest::prelude::*;
    use registry_core::{Algorithm, Digest, Reference, RepositoryName, Tag, UploadId};

    use super::*;

    fn name() -> impl Strategy<Value = RepositoryName> {
        "[a-z0-9]{1,8}(/(tags|list|blobs|uploads|manifests|[a-z0-9]{1,4})){0,3}"
            .prop_map(|text| RepositoryName::parse(&text).unwrap())
    }

    fn digest() -> impl Strategy<Value = Digest> {
        (any::<bool>(), any::<Vec<u8>>()).prop_map(|(long, content)| {
            if long { Algorithm::Sha512 } else { Algorithm::Sha256 }.digest(&content)
        })
    }

    fn tag() -> impl Strategy<Value = Tag> {
        "[A-Za-z0-9_][A-Za-z0-9._-]{0,20}".prop_map(|text| Tag::parse(&text).unwrap())
    }

    fn reference() -> impl Strategy<Value = Reference> {
        prop_oneof![tag().prop_map(Reference::Tag), digest().prop_map(Reference::Digest)]
    }

    fn page() -> impl Strategy<Value = PageQuery> {
        (any::<Option<u64>>(), proptest::option::of("[ -~é]{0,12}"))
            .prop_map(|(n, last)| PageQuery { n, last })
    }

    fn route() -> impl Strategy<Value = (Method, Route)> {
        let id = || "[A-Za-z0-9_-]{1,20}".prop_map(|text| UploadId::parse(&text).unwrap());
        let state = || proptest::option::of("[A-Za-z0-9=_-]{1,20}");
        let option = proptest::option::of::<proptest::strategy::BoxedStrategy<Digest>>;
        prop_oneof![
            page().prop_map(|page| (Method::GET, Route::Catalog { page })),
            (name(), page()).prop_map(|(name, page)| (Method::GET, Route::Tags { name, page })),
            (name(), reference())
                .prop_map(|(name, reference)| (Method::GET, Route::GetManifest { name, reference })),
            (name(), reference(), proptest::collection::vec(tag(), 0..3)).prop_map(
                |(name, reference, tags)| (Method::PUT, Route::PutManifest { name, reference, tags })
            ),
            (name(), digest(), proptest::option::of("[a-z/.+]{1,20}"), page()).prop_map(
                |(name, digest, artifact_type, page)| {
                    (Method::GET, Route::Referrers { name, digest, artifact_type, page })
                }
            ),
            (name(), digest())
                .prop_map(|(name, digest)| (Method::DELETE, Route::DeleteBlob { name, digest })),
            (name(), option(digest().boxed()), proptest::option::of(name()), option(digest().boxed()))
                .prop_map(|(name, mount, from, digest)| {
                    let algorithm = mount.as_ref().and_then(Digest::algorithm);
                    (
                        Method::POST,
                        Route::StartUpload { name, start: StartQuery { mount, from, digest, algorithm } },
                    )
                }),
            (name(), id(), state())
                .prop_map(|(name, id, state)| (Method::PATCH, Route::PatchUpload { name, id, state })),
            (name(), id(), state(), option(digest().boxed())).prop_map(|(name, id, state, digest)| {
                (Method::PUT, Route::FinishUpload { name, id, state, digest })
            }),
        ]
    }

    proptest! {
        #[test]
        fn building_and_parsing_are_inverses((method, route) in route()) {
            let uri = route.build();
            let (path, query) = uri.split_once('?').map_or((uri.as_str(), None), |(p, q)| (p, Some(q)));
            prop_assert_eq!(Route::parse(&method, path, query, false).unwrap(), route);
        }

        #[test]
        fn parsing_arbitrary_text_never_panics(path in any::<String>(), query in any::<String>()) {
            for method in [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
                let _ = Route::parse(&method, &path, Some(&query), false);
                let _ = Route::parse(&method, &format!("/v2/{path}"), Some(&query), false);
            }
        }
    }
}
