//! The driver suite, proved against a driver that is nothing but a map.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use memory::MapDriver;
use registry_core::StorageDriver;

mod memory;

registry_conformance::driver_tests!(map, async {
    (Arc::new(MapDriver::default()) as Arc<dyn StorageDriver>, ())
});
