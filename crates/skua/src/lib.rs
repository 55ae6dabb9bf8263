//! The binary, as a library so that its HTTP doors can be tried by themselves: which program it is,
//! its configuration, its roles.

/// What a server says on its standard output. That nobody reads it any more ends no server.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod cli;
mod clock;
mod environment;
mod files;
pub mod http;
mod logging;
mod playground;
mod role;
mod security;
mod server;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{BenchOf, Cli, ClusterOf, Program, Raft, RaftOf};

/// Runs what the command line of this process says.
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(cli::arguments(std::env::args_os()));
    // The programs that call a cluster from outside.
    let calls = matches!(
        cli.program,
        Program::Mqadmin { .. }
            | Program::Produce(_)
            | Program::Consume(_)
            | Program::Doctor(_)
            | Program::Cluster(_)
            | Program::Raft(Raft { what: RaftOf::Group(_) })
    );
    if calls {
        match security::tool_options() {
            Ok(options) => skua_admin::client::connect_with(options),
            Err(error) => {
                eprintln!("skua: {error:#}");
                return ExitCode::FAILURE;
            }
        }
    }
    let outcome = match cli.program {
        Program::Standalone(args) => server::standalone(args),
        Program::Playground(args) => server::playground(args),
        Program::Namesrv(args) => server::namesrv(args),
        Program::Broker(args) => server::broker(args),
        Program::Console(args) => server::console(args),
        Program::Mqadmin { args } => return skua_admin::mqadmin::main(args),
        Program::Produce(args) => return skua_admin::produce::run(&args),
        Program::Consume(args) => return skua_admin::consume::run(&args),
        Program::Raft(raft) => match raft.what {
            RaftOf::Group(what) => return skua_admin::raft::run(&what),
            RaftOf::Restore(args) => server::restore_group(&args),
        },
        Program::Cluster(cluster) => {
            let ClusterOf::Switch(args) = cluster.what;
            return skua_admin::switch::run(&args);
        }
        Program::Bench(bench) => {
            return match bench.what {
                BenchOf::Server(what) => skua_admin::bench::run(&skua_admin::bench::Args { what }),
                BenchOf::Store(args) => skua_storetool::bench::run(&args),
            };
        }
        Program::Doctor(args) => return skua_admin::doctor::run(&args),
        Program::Completion { shell } => {
            skua_admin::say(&cli::completion(shell));
            return ExitCode::SUCCESS;
        }
        Program::Store(args) => {
            return skua_storetool::run(&args, &|place| {
                server::store_options(place).map_err(|error| format!("{error:#}"))
            });
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("skua: {error:#}");
            ExitCode::FAILURE
        }
    }
}
