//! `mqadmin`: finds the command, reads its options, runs it, and turns its end into an exit
//! status: 0 done, 1 failed, 2 wrong usage. Failures are one line on the error output.
//!
//! The commands themselves stand in [`crate::commands`].

pub mod context;
pub mod help;
pub mod options;

use std::io::Write;
use std::process::ExitCode;

pub use context::{Context, Report};
use options::{Entry, Syntax};

use crate::client::{CALL_TIMEOUT, Cluster, split_addresses};
use crate::commands::COMMANDS;
use crate::failure::Failure;

/// One of mqadmin's commands.
pub struct SubCommand {
    pub name: &'static str,
    pub about: &'static str,
    pub options: &'static [Entry],
    pub run: Run,
}

/// What a command does; it prints through the context.
pub type Run = for<'a> fn(&'a Context<'a>) -> Running<'a>;
pub type Running<'a> =
    std::pin::Pin<Box<dyn std::future::Future<Output = Result<(), Failure>> + 'a>>;

/// Where mqadmin reads its surroundings from and writes to; tests give their own.
pub struct Surroundings<'a> {
    /// Value of `NAMESRV_ADDR`.
    pub name_servers: Option<String>,
    pub out: &'a mut dyn Write,
    pub err: &'a mut dyn Write,
}

/// Runs one command of this process: `args` without the program's name.
pub fn main(args: Vec<String>) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let mut err = std::io::stderr().lock();
    let status = run(
        &args,
        Surroundings {
            name_servers: std::env::var("NAMESRV_ADDR").ok(),
            out: &mut out,
            err: &mut err,
        },
    );
    ExitCode::from(status)
}

/// As [`main`], with everything given; returns the exit status.
pub fn run(args: &[String], surroundings: Surroundings<'_>) -> u8 {
    let Surroundings { name_servers, out, err } = surroundings;
    // Nothing can be said any more when even these outputs fail, so their results are dropped.
    let name = match args {
        [] => {
            let _ = out.write_all(list().as_bytes());
            return 0;
        }
        [help] if help == "-h" || help == "--help" || help == "help" => {
            let _ = out.write_all(list().as_bytes());
            return 0;
        }
        [help, name, ..] if help == "help" => {
            return match find(name) {
                Some(command) => {
                    let text = help::usage(command.name, &Syntax::new(command.options));
                    let _ = out.write_all(text.as_bytes());
                    0
                }
                None => unknown(name, err),
            };
        }
        [name, ..] => name,
    };
    let Some(command) = find(name) else { return unknown(name, err) };
    let syntax = Syntax::new(command.options);
    let given = match syntax.parse(&args[1..]) {
        Ok(given) => given,
        Err(wrong) => {
            let _ = out.write_all(help::usage(command.name, &syntax).as_bytes());
            let _ = writeln!(err, "{wrong}");
            return 2;
        }
    };
    if given.has("h") {
        let _ = out.write_all(help::usage(command.name, &syntax).as_bytes());
        return 0;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            let _ = writeln!(err, "mqadmin {}: {cause}", command.name);
            return 1;
        }
    };
    let list = given.get("n").map(str::to_owned).or(name_servers).unwrap_or_default();
    let result = runtime.block_on(async {
        let cluster = Cluster::new(split_addresses(&list), CALL_TIMEOUT);
        let context = Context::new(given, cluster, out, err);
        (command.run)(&context).await.and_then(|()| context.finish())
    });
    match result {
        Ok(()) => 0,
        Err(failure) => {
            let _ = out.flush();
            let _ = writeln!(err, "mqadmin {}: {failure}", command.name);
            failure.exit_status()
        }
    }
}

fn find(name: &str) -> Option<&'static SubCommand> {
    COMMANDS.iter().copied().find(|command| command.name.eq_ignore_ascii_case(name))
}

fn unknown(name: &str, err: &mut dyn Write) -> u8 {
    let _ = writeln!(err, "The sub command {name} not exist.");
    2
}

/// The list of commands, as printed when none is named.
fn list() -> String {
    let mut text = String::from("The most commonly used mqadmin commands are:\n");
    for command in COMMANDS {
        text.push_str(&format!("   {:<35} {}\n", command.name, command.about));
    }
    text.push_str("\nSee 'mqadmin help <command>' for more information on a specific command.\n");
    text
}
