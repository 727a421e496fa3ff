//! Suites that every driver, namespace and stack runs.
//!
//! The contracts of [`registry_core`]'s traits are written down in their documentation; here they are
//! written down as code. An implementation proves itself with one line per suite in its tests:
//!
//! | Suite | Line | What `make` gives |
//! |---|---|---|
//! | storage driver | [`driver_tests!`](crate::driver_tests) | `(Arc<dyn StorageDriver>, guard)` |
//! | namespace | [`namespace_tests!`](crate::namespace_tests) | `(Arc<dyn Namespace>, guard)` |
//! | access controller | [`access_tests!`](crate::access_tests) | `(access::Subject, guard)` |
//! | HTTP API | [`wire_tests!`](crate::wire_tests) | `(service, guard)` |
//! | a failing store | [`fault_tests!`](crate::fault_tests) | a driver, and a namespace over it |
//!
//! `make` is an expression with a future in it. It is evaluated once per case, inside a runtime, and
//! gives something empty to test and a guard that lives as long as the case: a temporary directory, or
//! `()`.
//!
//! ```ignore
//! registry_conformance::driver_tests!(memory, async {
//!     (Arc::new(MemoryDriver::new()) as Arc<dyn StorageDriver>, ())
//! });
//! ```
//!
//! Each case becomes a test with a name that says what is guaranteed, `memory::rename_replaces` for
//! one. Cases are public functions too, so that a wrapper can be checked with only some of them.
//! Whoever finds a violation that no case catches adds the case here, and every implementation has it.

#![allow(clippy::unwrap_used, reason = "a case reports a violation by panicking")]

pub mod access;
pub mod calls;
pub mod content;
pub mod data;
pub mod driver;
#[cfg(feature = "emulators")]
pub mod emulator;
pub mod faults;
pub mod namespace;
mod suite;
pub mod wire;

#[doc(hidden)]
pub use suite::run;
