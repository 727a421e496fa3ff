//! Middleware: what a registry does besides storing, put around it from outside.
//!
//! Wrappers for the three hooks of `registry-core`, and the means to apply and to name them. Nothing in
//! this crate stores anything, checks credentials or speaks HTTP.
//!
//! | Hook | Here | What it does |
//! |---|---|---|
//! | storage | [`InterceptStorage`] | shows an [`Interceptor`] every call |
//! | | [`Redirect`](storage::Redirect) | sends clients to a copy of the store |
//! | | [`Rewrite`](storage::Rewrite) | changes the URLs that the driver gives |
//! | | `CloudFront` (feature `cloudfront`) | sends clients to CloudFront by signed URLs |
//! | registry | [`InterceptNamespace`] | the same |
//! | | [`ReadOnly`] | refuses every write |
//! | | [`Select`] | shows only some of the repositories |
//! | | [`Visible`] | leaves out of lists what the caller may not learn of |
//! | | [`MiddlewareNamespace`] | applies the repository hook to each repository |
//! | repository | [`InterceptRepository`] | shows an [`Interceptor`] every call |
//! | | [`ReadOnly`] | refuses every write |
//! | | [`ImmutableTags`] | keeps tags from moving |
//! | | [`ManifestClasses`] | takes images, or plugins, or both |
//! | | [`EventListener`] | tells an [`EventSink`](registry_core::EventSink) what happens |
//! | | [`ReferenceCheck`] | refuses manifests that refer to what is not there |
//!
//! # Order
//!
//! Lists apply in order, each around the one before, so the last is outermost. A repository is usually
//! built up as: storage, [`EventListener`], the configured list, [`ReferenceCheck`]. The reference check
//! is outermost because only there all content is seen that middleware makes visible.
//!
//! # Policies fail closed
//!
//! The traits have no default methods and wrappers forward each one by hand, so a trait that grows a
//! method stops every wrapper from compiling rather than letting calls pass it by.
//!
//! ```
//! use std::sync::Arc;
//! use registry_core::{Namespace, RepositoryMiddleware};
//! use registry_middleware::{ImmutableTags, MiddlewareNamespace, ReferenceCheck};
//!
//! fn guarded(inner: Arc<dyn Namespace>) -> MiddlewareNamespace {
//!     let chain: [Arc<dyn RepositoryMiddleware>; 2] =
//!         [Arc::new(ImmutableTags::matching("release-*")), Arc::new(ReferenceCheck::default())];
//!     MiddlewareNamespace::new(inner, chain)
//! }
//! ```

mod catalog;
mod chain;
pub mod events;
pub mod intercept;
mod registry;
mod repository;
pub mod storage;
#[cfg(test)]
mod testing;

pub use catalog::Middlewares;
pub use chain::MiddlewareNamespace;
pub use events::{BoundedQueue, EventListener};
pub use intercept::{
    Call, InterceptNamespace, InterceptRepository, InterceptStorage, Interceptor, Operation, Outcome,
    PassThrough, Target,
};
pub use registry::{ReadOnly, Select, Visible};
pub use repository::{
    ImmutableTags, ManifestClasses, ManifestValidation, Platform, Platforms, ReferenceCheck,
};
