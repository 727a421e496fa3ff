//! The registry's HTTP API as a tower `Service`, without a server in it.
//!
//! [`RegistryService`] answers every endpoint of the OCI distribution specification over any
//! [`Namespace`](registry_core::Namespace), behind any [`AccessController`](registry_core::AccessController).
//! It takes requests with any body and never fails: whatever goes wrong is a response.
//!
//! It does its own routing, since the name of a repository spans path segments in the middle of a path.
//! Mount it where it sees the full path, and leave body limits, timeouts, tracing and compression to the
//! layers around it.
//!
//! | file | what is there |
//! |---|---|
//! | `route.rs` | which endpoint a request means: method, path and query to [`Route`] and back |
//! | `access.rs` | what each route needs; challenges |
//! | `audit.rs` | what is recorded of a request for an [`AuditSink`](registry_core::AuditSink) |
//! | `service.rs` | parse, authorize, dispatch, render |
//! | `handlers/` | one file for each slice of the API |
//! | `error.rs` | the only writer of the error envelope |
//! | `range.rs`, `conditional.rs`, `multipart.rs` | RFC 9110 for blobs |
//! | `redirects.rs` | who is sent to the store for the bytes of a blob |
//! | `location.rs`, `state.rs` | URLs that are handed out, and the state of uploads in them |
//! | `request_log.rs` | request ids, the fields of a request in the log, the line that ends it |
//! | `page.rs` | `n`, `last` and `Link` |
//!
//! For routes of an embedder's own, [`authorize`], [`request_context`] and [`error_response`] give the same
//! checks, the same context and the same envelope.

mod access;
mod audit;
mod body;
mod conditional;
mod error;
mod handlers;
mod headers;
mod location;
mod multipart;
mod options;
mod page;
mod query;
mod range;
mod redirects;
mod request_log;
mod route;
mod service;
mod state;

pub use access::{accesses, authorize, challenge_header};
pub use body::Body;
pub use error::{error_response, wire_response};
pub use location::Locations;
pub use options::HttpOptions;
pub use range::{ContentRange, RangeHeader};
pub use redirects::RedirectPolicy;
pub use request_log::{REQUEST_ID, RequestLog, loggable_target, request_id, span as request_span};
pub use route::{Route, RouteError};
pub use service::{RegistryService, request_context};
