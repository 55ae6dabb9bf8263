//! Harness for the tests under `tests/`: starts servers (Skua, or the Java name server and broker)
//! and drives official clients against them.
//!
//! The servers are separate processes, known by their ports; of Skua only the codecs of its protocol
//! are linked in, for the differential test. With `SKUA_INTEROP_SERVER=java` the same tests run against the Java server, which is the judge of the
//! tests themselves.
//!
//! - [`Scene`]: a folder for one test, shown and kept when the test fails.
//! - [`Cluster`], [`Namesrv`], [`Broker`]: the servers; each is killed by pid when dropped.
//! - [`Driver`]: an official client in its own process, steered by lines (`java/driver`, `go`).
//! - [`Relay`]: a link that can be stalled, cut and made longer.
//! - [`Net`], [`Node`]: a network namespace for each server.
//! - [`Admin`]: the unmodified mqadmin, many commands in one JVM.
//! - [`golden`]: command lines for both mqadmins, and what their output has in common.
//! - [`check`]: what was sent against what was received.
//! - [`differential`]: one corpus of requests to both servers, answers compared.

mod admin;
pub mod check;
pub mod differential;
mod driver;
mod event;
mod files;
pub mod golden;
mod net;
mod ports;
mod process;
mod relay;
mod scene;
mod server;
mod volume;
mod wait;
pub mod wire;

pub use admin::{Admin, Told};
pub use driver::{Client, Driver, Encoding};
pub use event::Event;
pub use files::quickstart_classpath;
pub use net::{Net, Node, Place};
pub use ports::free as free_port;
pub use process::Process;
pub use relay::Relay;
pub use scene::Scene;
pub use server::{
    Broker, Cluster, Kind, Namesrv, Tuning, java_store_bench, log_files, mqadmin, mqadmin_writing,
    skua,
};
pub use volume::Volume;
pub use wait::wait_until;
