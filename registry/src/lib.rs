//! A container registry to put into a program of your own.
//!
//! This crate knows all the others and puts them together: a storage driver, middleware at three hooks,
//! an access controller, and the HTTP API as a tower `Service`. It has no server, reads no configuration
//! file and starts no background work.
//!
//! ```
//! use registry::prelude::*;
//!
//! # async fn example() -> Result<(), BuildError> {
//! let registry = Registry::builder(MemoryDriver::new())
//!     .repository_middleware(ImmutableTags::matching("release-*"))
//!     .build()
//!     .await?;
//! // Mount it where it sees the full path, under any server that takes a tower service.
//! let service: RegistryService = registry.service(HttpOptions::default());
//! # let _ = service;
//! # Ok(())
//! # }
//! ```
//!
//! # The stack
//!
//! ```text
//! driver ─▶ storage middleware ─▶ StorageNamespace ─▶ registry middleware ─▶ repository chain ─▶ HTTP
//!                                                                            │
//!                               events ─▶ repository middleware ─▶ reference check (outermost)
//! ```
//!
//! Lists apply in the order in which they were added, each around the one before.

mod builder;
pub mod prelude;
#[cfg(feature = "auth-issuer")]
mod token_endpoint;

pub use builder::{Registry, RegistryBuilder};
#[cfg(feature = "auth-issuer")]
pub use token_endpoint::TokenEndpoint;

pub use registry_auth as auth;
pub use registry_core as core;
pub use registry_http as http;
pub use registry_metrics as metrics;
pub use registry_middleware as middleware;
pub use registry_storage as storage;
