//! The emulated stores themselves: what a driver's tests rely on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod azure;
mod faults;
mod gcs;
mod s3;
