//! Request lines: what a path means, and that the URL built of a route means the same.
//!
//! The input is `<method> <path>[?<query>]`.

#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use registry::core::{Digest, Reference, RepositoryName, Tag, UploadId};
use registry::http::{Route, RouteError, accesses};
use registry_fuzz::grammar;

fuzz_target!(|data: &[u8]| {
    let Some((method, target)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once(' ')) else {
        return;
    };
    let Ok(method) = method.parse::<Method>() else { return };
    let (path, query) = split(target);
    let parsed = Route::parse(&method, path, query, false);
    read_only(&method, target, &parsed);
    match parsed {
        Ok(route) => accepted(&method, path, &route),
        Err(RouteError::Invalid(error)) => {
            assert!(error.code().status().is_client_error(), "{error}");
            assert!(error.to_string().len() <= 2048, "a refusal shows too much of what came");
        }
        Err(RouteError::Method(allow) | RouteError::Options(allow)) => {
            assert!(!allow.is_empty());
            let allowed = allow.split(", ").any(|name| name == method.as_str());
            assert!(!allowed, "{method} is allowed and refused");
        }
        Err(_) => {}
    }
});

fn split(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

fn accepted(method: &Method, path: &str, route: &Route) {
    let url = route.build();
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~:+=%?&".contains(&byte);
    assert!(url.bytes().all(clean), "{url}");
    let (built, query) = split(&url);
    let again = Route::parse(method, built, query, false).expect("a URL that we built");
    assert_eq!(again, *route);
    assert_eq!(again.build(), url);
    // What was built has no escapes in its path, and no segment that a proxy could resolve.
    assert!(!built.contains('%') && built.split('/').all(|part| !matches!(part, "." | "..")), "{built}");
    // Decoding happens once: a path that still has an escape after it leads nowhere.
    assert!(!path.to_ascii_lowercase().contains("%25"), "{path} has meant {route:?}");
    parts(route);
    let (required, optional) = accesses(route);
    assert_eq!(required.is_empty(), *route == Route::Base, "{route:?} is open to everybody");
    assert!(optional.len() <= 1);
}

/// Every part of a route is what its grammar says, whatever it was spelled like in the path.
fn parts(route: &Route) {
    let (mut digests, mut tags): (Vec<&Digest>, Vec<&Tag>) = (Vec::new(), Vec::new());
    let mut id: Option<&UploadId> = None;
    let mut from: Option<&RepositoryName> = None;
    match route {
        Route::GetManifest { reference, .. }
        | Route::PutManifest { reference, .. }
        | Route::DeleteManifest { reference, .. } => match reference {
            Reference::Tag(tag) => tags.push(tag),
            Reference::Digest(digest) => digests.push(digest),
        },
        Route::Referrers { digest, .. }
        | Route::GetBlob { digest, .. }
        | Route::DeleteBlob { digest, .. } => {
            digests.push(digest);
        }
        Route::StartUpload { start, .. } => {
            digests.extend(start.mount.iter().chain(&start.digest));
            from = start.from.as_ref();
        }
        Route::FinishUpload { id: session, digest, .. } => {
            digests.extend(digest);
            id = Some(session);
        }
        Route::UploadStatus { id: session, .. }
        | Route::PatchUpload { id: session, .. }
        | Route::CancelUpload { id: session, .. } => id = Some(session),
        _ => {}
    }
    if let Route::PutManifest { tags: more, .. } = route {
        tags.extend(more);
    }
    assert!(route.repository().into_iter().chain(from).all(|name| grammar::is_name(name.as_str())));
    assert!(digests.iter().all(|digest| grammar::is_digest(digest.as_str())));
    assert!(tags.iter().all(|tag| grammar::TAG.accepts(tag.as_str())));
    assert!(id.is_none_or(|id| grammar::UPLOAD_ID.accepts(id.as_str())));
}

/// In read-only mode a request means what it means otherwise, or is refused for its method.
fn read_only(method: &Method, target: &str, otherwise: &Result<Route, RouteError>) {
    let (path, query) = split(target);
    match (Route::parse(method, path, query, true), otherwise) {
        (Ok(route), Ok(otherwise)) => {
            assert_eq!(route, *otherwise);
            assert!(
                matches!(*method, Method::GET | Method::HEAD) || route == Route::Base,
                "{method} {route:?}"
            );
        }
        (Ok(route), Err(error)) => panic!("only read-only: {route:?}, otherwise {error:?}"),
        (Err(RouteError::Method(allow) | RouteError::Options(allow)), _) => assert_eq!(allow, "GET, HEAD"),
        (Err(error), Ok(route)) => panic!("{route:?} is refused for {error:?}"),
        (Err(_), Err(_)) => {}
    }
}
