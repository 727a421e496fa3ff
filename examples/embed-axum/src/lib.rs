//! A registry inside a program that is built with axum.
//!
//! Shown here:
//!
//! - where the registry goes in a router: three routes under `/v2`, which hand it the whole path;
//! - a route of the program's own, `/admin/repositories/{name}`, that asks the registry's access
//!   controller and answers in the registry's error envelope;
//! - a tower layer in front of everything that counts requests and tells the registry who calls.
//!
//! ```text
//! ADMIN_TOKEN=secret cargo run -p example-embed-axum
//! curl http://127.0.0.1:5000/v2/_catalog
//! curl -X DELETE -H 'Authorization: Bearer secret' http://127.0.0.1:5000/admin/repositories/demo
//! ```

mod access;
mod count;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::routing::{delete, get};
use http::{Response, StatusCode};
use registry::Registry;
use registry::core::access::{Access, Action, Resource};
use registry::core::{AuthRequest, Error, RepositoryName};
use registry::http::{Body, HttpOptions, authorize, error_response};

pub use access::AdminToken;
pub use count::{Count, CountRequests};

/// All routes of the program.
pub fn app(registry: Registry, count: Count) -> Router {
    let v2 = registry.service(HttpOptions::default());
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/admin/repositories/{*name}", delete(remove_repository))
        .with_state(registry)
        // `route_service` leaves the path as it is; `nest_service` would take `/v2` off.
        .route_service("/v2", v2.clone())
        .route_service("/v2/", v2.clone())
        .route_service("/v2/{*rest}", v2)
        .layer(CountRequests::new(count))
}

/// What an administrator does to repositories, in the words of an access controller.
pub fn administration() -> Access {
    Access {
        resource: Resource::Custom { kind: "admin".to_owned(), name: "repositories".to_owned() },
        action: Action::Delete,
    }
}

/// `DELETE /admin/repositories/{name}`: a repository with everything in it.
async fn remove_repository(
    State(registry): State<Registry>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let asked = [administration()];
    let asked = AuthRequest::new(&parts, &asked, &[]);
    if let Err(refusal) = authorize(registry.access_controller().as_ref(), &asked).await {
        return refusal;
    }
    match remove(&registry, &name).await {
        Ok(()) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Err(error) => error_response(&error),
    }
}

async fn remove(registry: &Registry, name: &str) -> Result<(), Error> {
    let name = RepositoryName::parse(name)?;
    let remover = registry.namespace().remover();
    remover.ok_or_else(|| Error::unsupported("removing repositories"))?.remove(&name).await
}
