//! The suite of the HTTP API: what a client of the distribution specification may rely on, request by
//! request.
//!
//! A case takes a [`Client`] of an empty registry and panics if an answer is not what it should be. What
//! holds for every answer the client checks itself (see [`Reply`]). The service is asked directly,
//! without a socket.

pub mod base;
pub mod blobs;
pub mod bodies;
mod cases;
pub mod catalog;
mod client;
mod content;
pub mod delete_disabled;
pub mod faulty;
pub mod hostile;
pub mod manifests;
pub mod mounts;
pub mod ranges;
pub mod read_only;
pub mod referrers;
mod reply;
pub mod sessions;
pub mod tags;
pub mod uploads;
pub mod writers;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower_service::Service;

pub use client::{AUTHORITY, Ask, Body, Client, Held, held};
pub use reply::Reply;

/// Expands to a module with one test per case of the HTTP suite.
///
/// `make` is an expression with a future of `(service, guard)`: a service over an empty registry in which
/// everything may be done by everybody, with the default validation of manifests; and something to be
/// kept until the case is over. The service takes a [`Request<Body>`](Body). It may be set up to hand out
/// relative or absolute URLs; a path before `/v2` has to be added to requests that lack it.
///
/// ```ignore
/// registry_conformance::wire_tests!(memory, async {
///     let registry = Registry::builder(MemoryDriver::new()).build().await.unwrap();
///     (registry.service(HttpOptions::default()), ())
/// });
/// ```
#[macro_export]
macro_rules! wire_tests {
    ($(#[$attribute:meta])* $name:ident, $make:expr) => {
        $crate::__wire_cases! { __tests {$(#[$attribute])* $name, $make, $crate::wire::check} }
    };
}

/// Expands to a module with tests of a service that is read-only.
///
/// `make` is an expression with a future of `((service, read_only), guard)`: two services over one empty
/// registry, of which the second is read-only.
#[macro_export]
macro_rules! wire_read_only_tests {
    ($(#[$attribute:meta])* $name:ident, $make:expr) => {
        $crate::__wire_read_only_cases! {
            __tests {$(#[$attribute])* $name, $make, $crate::wire::check_read_only}
        }
    };
}

/// Expands to a module with tests of a service over a registry in which deletes are switched off.
///
/// `make` is an expression with a future of `(service, guard)`.
#[macro_export]
macro_rules! wire_delete_disabled_tests {
    ($(#[$attribute:meta])* $name:ident, $make:expr) => {
        $crate::__wire_delete_disabled_cases! {
            __tests {$(#[$attribute])* $name, $make, $crate::wire::check}
        }
    };
}

/// Runs a case.
///
/// # Panics
/// If an answer is not what it should be.
pub async fn check<S, B, C, F>(service: S, case: C)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: BodyExt<Data = Bytes> + Send + 'static,
    B::Error: fmt::Debug,
    C: FnOnce(Client) -> F,
    F: Future<Output = ()>,
{
    case(Client::new(service)).await;
}

/// Runs a case of a service that is read-only, with one that is not to fill the registry.
///
/// # Panics
/// If an answer is not what it should be.
pub async fn check_read_only<S, B, C, F>((writable, read_only): (S, S), case: C)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: BodyExt<Data = Bytes> + Send + 'static,
    B::Error: fmt::Debug,
    C: FnOnce(Client, Client) -> F,
    F: Future<Output = ()>,
{
    case(Client::new(writable), Client::new(read_only)).await;
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_listed() {
        let sources = [
            include_str!("wire/base.rs"),
            include_str!("wire/uploads.rs"),
            include_str!("wire/sessions.rs"),
            include_str!("wire/writers.rs"),
            include_str!("wire/mounts.rs"),
            include_str!("wire/blobs.rs"),
            include_str!("wire/ranges.rs"),
            include_str!("wire/manifests.rs"),
            include_str!("wire/faulty.rs"),
            include_str!("wire/tags.rs"),
            include_str!("wire/catalog.rs"),
            include_str!("wire/referrers.rs"),
            include_str!("wire/bodies.rs"),
            include_str!("wire/hostile.rs"),
            include_str!("wire/read_only.rs"),
            include_str!("wire/delete_disabled.rs"),
        ];
        let listed = crate::__wire_cases!(__names {})
            .into_iter()
            .chain(crate::__wire_read_only_cases!(__names {}))
            .chain(crate::__wire_delete_disabled_cases!(__names {}));
        for ((file, listed), source) in listed.zip(sources) {
            crate::suite::tests::assert_listed(file, source, listed);
        }
    }
}
