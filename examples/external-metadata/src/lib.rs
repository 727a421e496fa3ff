//! A registry whose manifests, tags and permissions are kept in another system.
//!
//! A cluster API knows *images* and *streams*: a stream is a repository, each of its tags has a history
//! of images. The registry keeps the bytes of blobs and nothing else, acts towards the API as the user
//! who calls, and fetches from an upstream registry what it does not have. All of it is done from
//! outside, with the hooks that every embedder has. `README.md` says which need is met in which file,
//! `tests/rows.rs` has a test for each.
//!
//! The API and the upstream are traits, [`MetadataApi`] and [`Upstream`]; [`fake`] stands in for both.
//!
//! ```text
//! cargo run -p example-external-metadata
//! curl -i -H 'Authorization: Bearer alice-token' http://127.0.0.1:5000/v2/_catalog
//! curl -X POST -H 'Authorization: Bearer root-token' http://127.0.0.1:5000/admin/prune
//! ```

mod access;
mod admin;
mod api;
mod app;
mod blobs;
mod cache;
mod catalog;
mod errors;
pub mod fake;
mod manifests;
mod prune;
mod quota;
mod repository;
mod tags;
mod upstream;
mod visibility;

pub use access::ApiClient;
pub use admin::answer;
pub use api::{ApiError, Image, MetadataApi, Stream, TagEvent, User, Verb};
pub use app::{App, Hooks};
pub use cache::DigestCache;
pub use errors::{FROZEN, QUOTA};
pub use prune::Pruned;
pub use upstream::Upstream;
