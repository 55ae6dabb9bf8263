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
use std::io::{ErrorKind, Write};
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

/// The answer of a command. Whoever reads it may have had enough, `head` for one: then the process
/// ends, and that is no failure.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(cause) if cause.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(cause) => {
            eprintln!("skua: cannot write the answer: {cause}");
            std::process::exit(1);
        }
    }
}

/// One line on the error output.
fn fail(what: &str, cause: &str, status: u8) -> ExitCode {
    eprintln!("skua {what}: {cause}");
    ExitCode::from(status)
}
