//! What `skua` does as a client: mqadmin's commands, `produce`, `consume` and `bench`.
//!
//! [`mqadmin`] finds and runs the commands of [`commands`]; [`client`] is the RocketMQ client that
//! all of them stand on. Everything works against a Java name server and broker too.

pub mod bench;
mod body;
pub mod client;
mod commands;
pub mod completion;
pub mod console;
pub mod consume;
pub mod doctor;
pub mod failure;
pub mod mqadmin;
pub mod produce;
pub mod raft;
mod static_topic;
pub mod switch;
mod text;
mod time;

use std::future::Future;
use std::process::ExitCode;

use failure::Failure;

/// Runs `work` to its end on this thread.
fn block_on<T, E: From<Failure>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Failure::other(format!("cannot wait for the network: {cause}")))?
        .block_on(work)
}

/// One line on the error output.
fn fail(what: &str, cause: &str, status: u8) -> ExitCode {
    eprintln!("skua {what}: {cause}");
    ExitCode::from(status)
}
