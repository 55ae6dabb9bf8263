//! The bodies of the fuzz targets, shared with the tests of the crates.

#[path = "../../crates/acl/tests/hostile/targets.rs"]
pub mod acl;
#[path = "../../crates/skua/tests/hostile/targets.rs"]
pub mod http;
#[path = "../../crates/protocol/tests/hostile/targets.rs"]
pub mod protocol;
#[path = "../../crates/remoting/tests/hostile/targets.rs"]
pub mod tls;
