//! What each route needs, and how a refusal is rendered.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response};
use registry_core::access::{Access, Action, Resource};
use registry_core::{AccessController, AuthError, AuthRequest, Challenge, Error, ErrorCode, Grant};
use serde_json::{Value, json};

use crate::body::Body;
use crate::error::{chain, error_response};
use crate::route::Route;

/// What a route cannot do without, and what would help it.
///
/// GET and HEAD pull; POST, PUT and PATCH pull and push; DELETE deletes, except that cancelling an
/// upload is part of pushing. Pulling from the source of a mount is optional: without it the mount is
/// passed over and an upload begins, as the specification wants.
pub fn accesses(route: &Route) -> (Vec<Access>, Vec<Access>) {
    let mut optional = Vec::new();
    let required = match route {
        Route::Base => Vec::new(),
        Route::Catalog { .. } => vec![Access { resource: Resource::Catalog, action: Action::All }],
        Route::Tags { name, .. } => vec![Access::repository(name, Action::List)],
        Route::GetManifest { name, .. }
        | Route::Referrers { name, .. }
        | Route::GetBlob { name, .. }
        | Route::UploadStatus { name, .. } => vec![Access::repository(name, Action::Pull)],
        Route::DeleteManifest { name, .. } | Route::DeleteBlob { name, .. } => {
            vec![Access::repository(name, Action::Delete)]
        }
        Route::StartUpload { name, start } => {
            if start.mount.is_some() {
                optional.push(match &start.from {
                    Some(from) => Access::repository(from, Action::Pull),
                    None => Access { resource: Resource::AnyBlob, action: Action::Pull },
                });
            }
            vec![Access::repository(name, Action::Pull), Access::repository(name, Action::Push)]
        }
        Route::PutManifest { name, .. }
        | Route::PatchUpload { name, .. }
        | Route::FinishUpload { name, .. }
        | Route::CancelUpload { name, .. } => {
            vec![Access::repository(name, Action::Pull), Access::repository(name, Action::Push)]
        }
    };
    (required, optional)
}

/// Asks a controller, and renders its refusal. For routes of an embedder's own too.
///
/// # Errors
/// The response to send: 401 with challenges, 403, or 500 or 503 if the controller failed.
pub async fn authorize(
    controller: &dyn AccessController,
    request: &AuthRequest<'_>,
) -> Result<Grant, Response<Body>> {
    controller.authorize(request).await.map_err(|error| refusal(error, request.required, request.optional))
}

/// The response to a refusal.
pub(crate) fn refusal(error: AuthError, required: &[Access], optional: &[Access]) -> Response<Body> {
    match error.into_inner() {
        AuthError::Unauthorized { reason, challenges } => {
            tracing::debug!(%reason, "not authorized");
            let code = ErrorCode::UNAUTHORIZED;
            let detail = Some(asked_for(required, optional));
            let mut response = error_response(&Error::coded_with(code, code.message(), detail, None));
            for challenge in &challenges {
                response.headers_mut().append(WWW_AUTHENTICATE, challenge_header(challenge));
            }
            response
        }
        AuthError::Denied { reason } => error_response(&Error::Denied { reason }),
        AuthError::Hidden { repository, .. } => error_response(&Error::NameUnknown { repository }),
        AuthError::Other(error) => error_response(&error),
        AuthError::Failed { retry, source } => {
            let code = if retry { ErrorCode::UNAVAILABLE } else { ErrorCode::UNKNOWN };
            tracing::error!(error = chain(source.as_ref()), "access controller failed");
            error_response(&Error::coded_with(code, code.message(), None, Some(source)))
        }
        _ => error_response(&Error::coded(ErrorCode::UNKNOWN)),
    }
}

/// What would be granted with credentials, as Distribution says it: the source of a mount is among it, and `null` is
/// nothing.
fn asked_for(required: &[Access], optional: &[Access]) -> Value {
    let sources = optional.iter().filter(|access| matches!(access.resource, Resource::Repository(_)));
    let asked: Vec<Value> = required
        .iter()
        .chain(sources)
        .map(|access| {
            json!({
                "Type": access.resource.kind(),
                "Class": "",
                "Name": access.resource.name(),
                "Action": access.action.as_str(),
            })
        })
        .collect();
    if asked.is_empty() { Value::Null } else { Value::Array(asked) }
}

/// A challenge as the value of `WWW-Authenticate` (RFC 9110, section 11.6.1): all parameters quoted.
pub fn challenge_header(challenge: &Challenge) -> HeaderValue {
    let params: Vec<String> = challenge
        .params
        .iter()
        .map(|(name, value)| {
            let value: String = value.chars().filter(|c| !c.is_control()).collect();
            format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
        })
        .collect();
    let text = format!("{} {}", challenge.scheme, params.join(","));
    HeaderValue::from_bytes(text.trim_end().as_bytes()).unwrap_or(HeaderValue::from_static("Basic"))
}

#[cfg(test)]
mod tests {
    use registry_core::RepositoryName;

    use super::*;

    #[test]
    fn each_route_asks_for_what_it_does() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let cases = [
            ("GET", "/v2/".to_owned(), "", ""),
            ("GET", "/v2/_catalog".to_owned(), "registry:catalog:*", ""),
            ("HEAD", "/v2/a/tags/list".to_owned(), "repository:a:pull", ""),
            ("GET", "/v2/a/manifests/x".to_owned(), "repository:a:pull", ""),
            ("PUT", "/v2/a/manifests/x".to_owned(), "repository:a:pull repository:a:push", ""),
            ("DELETE", "/v2/a/manifests/x".to_owned(), "repository:a:delete", ""),
            ("GET", format!("/v2/a/referrers/{digest}"), "repository:a:pull", ""),
            ("GET", format!("/v2/a/blobs/{digest}"), "repository:a:pull", ""),
            ("DELETE", format!("/v2/a/blobs/{digest}"), "repository:a:delete", ""),
            ("POST", "/v2/a/blobs/uploads/".to_owned(), "repository:a:pull repository:a:push", ""),
            (
                "POST",
                format!("/v2/a/blobs/uploads/?mount={digest}&from=b"),
                "repository:a:pull repository:a:push",
                "repository:b:pull",
            ),
            (
                "POST",
                format!("/v2/a/blobs/uploads/?mount={digest}"),
                "repository:a:pull repository:a:push",
                "registry:blobs:pull",
            ),
            ("GET", "/v2/a/blobs/uploads/x".to_owned(), "repository:a:pull", ""),
            ("PATCH", "/v2/a/blobs/uploads/x".to_owned(), "repository:a:pull repository:a:push", ""),
            ("PUT", "/v2/a/blobs/uploads/x".to_owned(), "repository:a:pull repository:a:push", ""),
            ("DELETE", "/v2/a/blobs/uploads/x".to_owned(), "repository:a:pull repository:a:push", ""),
        ];
        let text =
            |accesses: Vec<Access>| accesses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        for (method, uri, expected_required, expected_optional) in cases {
            let (path, query) = uri.split_once('?').map_or((uri.as_str(), None), |(p, q)| (p, Some(q)));
            let route = Route::parse(&method.parse().unwrap(), path, query, false).unwrap();
            let (required, optional) = accesses(&route);
            assert_eq!(text(required), expected_required, "{method} {uri}");
            assert_eq!(text(optional), expected_optional, "{method} {uri}");
        }
    }

    #[test]
    fn challenges_are_quoted_and_cannot_break_out() {
        let challenge = Challenge {
            scheme: "Bearer".into(),
            params: vec![("realm".into(), "a\"b\\c\r\nX: y".to_owned()), ("service".into(), "s".to_owned())],
        };
        assert_eq!(challenge_header(&challenge), r#"Bearer realm="a\"b\\cX: y",service="s""#);
    }

    #[test]
    fn a_refusal_says_what_was_asked_for_as_distribution_does() {
        let one = |name: &str, action: &str| json!({ "Type": "repository", "Class": "", "Name": name, "Action": action });
        let (name, from) = (RepositoryName::parse("a/b").unwrap(), RepositoryName::parse("c").unwrap());
        let pull = Access::repository(&name, Action::Pull);
        let source = Access::repository(&from, Action::Pull);
        let anywhere = Access { resource: Resource::AnyBlob, action: Action::Pull };
        assert_eq!(asked_for(&[], &[]), Value::Null);
        assert_eq!(
            asked_for(std::slice::from_ref(&pull), &[source]),
            json!([one("a/b", "pull"), one("c", "pull")])
        );
        assert_eq!(asked_for(&[pull], &[anywhere]), json!([one("a/b", "pull")]));
        let tags = Access::repository(&name, Action::List);
        assert_eq!(asked_for(&[tags], &[]), json!([one("a/b", "pull")]));
    }
}
