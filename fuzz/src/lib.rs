//! The bodies of the fuzz targets, shared with the tests of the crates.

#[path = "../../crates/protocol/tests/hostile/targets.rs"]
pub mod protocol;
