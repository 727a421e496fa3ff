//! Stores in the process of a test, each on a port of its own and over the real protocol.
//!
//! | Store | | Checked signatures |
//! |---|---|---|
//! | [`S3Emulator`] | Amazon S3 | version 4, in headers and in presigned URLs |
//! | [`GcsEmulator`] | Google Cloud Storage, XML API | version 4 in presigned URLs; no tokens |
//! | [`AzureEmulator`] | Azure's Blob service | shared key; no tokens, no URLs |
//!
//! Each keeps a log of its requests ([`Emulator::requests`]), and lets go wrong what a [`FaultPlan`] says
//! ([`Emulator::inject`]).
//!
//! # What it does that a file system of objects does not
//!
//! The protocol is read and written by the crate `s3s`. Its companion `s3s-fs` 0.14.1, objects in a directory, was
//! the store behind it at first. It has `If-None-Match: *` and `If-Match` on PutObject and
//! CompleteMultipartUpload, UploadPartCopy with a range, ListObjectsV2 with `start-after`, a delimiter and
//! `max-keys`, EntityTooSmall for a part below 5 MiB, and the overriding of response headers. But as of that
//! version:
//!
//! - the name of a side file is the key in base64, so that a key above some 160 bytes is answered with 500, and the
//!   key of a tag's index is longer;
//! - HEAD of a "directory" is 200, GET and DELETE of one are 500, and `a` and `a/b` cannot both be there;
//! - an unknown upload is AccessDenied in place of NoSuchUpload, ListParts knows no unknown upload, gives parts in
//!   no order and without tags, and ListMultipartUploads is 501;
//! - CompleteMultipartUpload does not look at the tags of parts, wants the numbers without a gap, and forgets the
//!   upload before it refuses a small part;
//! - storage classes other than two are refused; copies have no limit; every listing walks the whole bucket.
//!
//! So the store is one of ours ([`Options`] has its limits): atomic, in byte order, with the answers that the S3
//! reference gives for these. Tags are opaque and new with each write.

mod azure;
mod bucket;
mod data;
mod faults;
mod gcs;
mod log;
mod options;
mod s3;
mod server;
mod store;

pub use azure::{ACCOUNT, ACCOUNT_KEY, AzureEmulator};
pub use bucket::Pending;
pub use faults::{Effect, Fault, FaultPlan, SEED_VARIABLE};
pub use gcs::GcsEmulator;
pub use log::{Kind, Request};
pub use options::Options;
pub use s3::{ACCESS_KEY, S3Emulator, SECRET_KEY};
pub use store::Emulator;

/// The bucket, or container, that an emulator has.
pub const BUCKET: &str = "test";
