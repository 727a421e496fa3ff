//! Need: own admin routes with own permissions.
//!
//! Two routes beside the registry's. They ask the same access controller, about resources of their own,
//! and refuse in the same envelope.
//!
//! | Route | Needs |
//! |---|---|
//! | `GET /admin/history/<stream>:<tag>` | `history:<stream>:pull` |
//! | `POST /admin/prune` | `storage:prune:delete` |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use registry::Registry;
use registry::core::access::{Access, Action, Resource};
use registry::core::{
    AuthRequest, BoxError, Error, ErrorCode, Reference, RepositoryName, RequestContext, Result, Tag,
};
use registry::http::{Body, RegistryService, authorize, error_response, request_context};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::access::HISTORY;
use crate::app::App;
use crate::repository::Scope;

/// How old something is before it is pruned.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Answers a request: one for `/admin/` here, any other with the registry's API.
pub async fn answer<B>(
    app: &Arc<App>,
    registry: &Registry,
    v2: RegistryService,
    request: Request<B>,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let Some(route) = request.uri().path().strip_prefix("/admin/").map(str::to_owned) else {
        let Ok(response) = v2.oneshot(request).await;
        return response;
    };
    let (parts, _) = request.into_parts();
    match (parts.method.clone(), route.split_once('/')) {
        (Method::GET, Some(("history", rest))) => history(app, registry, &parts, rest).await,
        (Method::POST, None) if route == "prune" => prune(app, registry, &parts).await,
        _ => error_response(&Error::coded(ErrorCode::PATH_UNKNOWN)),
    }
}

/// Asks for something of our own, and makes the context that the registry makes for its own routes.
async fn context(
    registry: &Registry,
    parts: &Parts,
    kind: &str,
    name: &str,
    action: Action,
) -> Result<RequestContext, Response<Body>> {
    let resource = Resource::Custom { kind: kind.to_owned(), name: name.to_owned() };
    let required = [Access { resource, action }];
    let controller = registry.access_controller().as_ref();
    let grant = authorize(controller, &AuthRequest::new(parts, &required, &[])).await?;
    Ok(request_context("admin", parts, grant).0)
}

fn rendered(result: Result<Value>) -> Response<Body> {
    let text = match result {
        Ok(value) => value.to_string(),
        Err(error) => return error_response(&error),
    };
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

async fn history(app: &Arc<App>, registry: &Registry, parts: &Parts, rest: &str) -> Response<Body> {
    let (stream, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
    match context(registry, parts, HISTORY, stream, Action::Pull).await {
        Ok(cx) => rendered(events(app, &cx, stream, tag).await),
        Err(refusal) => refusal,
    }
}

async fn events(app: &Arc<App>, cx: &RequestContext, stream: &str, tag: &str) -> Result<Value> {
    let (name, tag) = (RepositoryName::parse(stream)?, Tag::parse(tag)?);
    let scope = Scope::new(app, cx, &name);
    let stream = scope.find().await?.ok_or(Error::NameUnknown { repository: name })?;
    let events = stream.tags.get(&tag).ok_or_else(|| scope.manifest_unknown(Reference::Tag(tag.clone())))?;
    Ok(events.iter().map(|event| json!({ "image": event.image, "by": event.by })).collect())
}

async fn prune(app: &App, registry: &Registry, parts: &Parts) -> Response<Body> {
    match context(registry, parts, "storage", "prune", Action::Delete).await {
        Ok(_) => rendered(app.prune(AGE).await.map(|p| json!({ "blobs": p.blobs, "uploads": p.uploads }))),
        Err(refusal) => refusal,
    }
}
