//! `mqadmin`: finds the command, reads its options, runs it, and turns its end into an exit
//! status: 0 done, 1 failed, 2 wrong usage. Failures are one line on the error output.
//!
//! The commands themselves stand in [`crate::commands`].

pub mod context;
pub mod defaults;
pub mod docs;
pub mod help;
pub mod options;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

pub use context::{Context, Report};
use defaults::Defaults;
use options::{Entry, Syntax};

use crate::client::{CALL_TIMEOUT, Cluster, split_addresses};
use crate::commands::COMMANDS;
use crate::failure::Failure;

/// One of mqadmin's commands.
pub struct SubCommand {
    pub name: &'static str,
    pub about: &'static str,
    /// Arguments with which it does something; the help shows them.
    pub example: &'static str,
    /// The fields of its JSON: `a.b`, `list[].c`, `*` for a name that is data.
    pub answer: &'static [&'static str],
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
    /// The file of defaults, if there is one.
    pub defaults: Option<PathBuf>,
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
            name_servers: std::env::var("NAMESRV_ADDR").ok().filter(|addrs| !addrs.is_empty()),
            defaults: defaults::place(),
            out: &mut out,
            err: &mut err,
        },
    );
    ExitCode::from(status)
}

/// As [`main`], with everything given; returns the exit status.
pub fn run(args: &[String], surroundings: Surroundings<'_>) -> u8 {
    let Surroundings { name_servers, defaults, out, err } = surroundings;
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
                    let _ = out.write_all(help::full(command).as_bytes());
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
        let _ = out.write_all(help::full(command).as_bytes());
        return 0;
    }
    let settings = match settings(&given, name_servers, defaults) {
        Ok(settings) => settings,
        Err(failure) => {
            let _ = writeln!(err, "mqadmin {}: {failure}", command.name);
            return failure.exit_status();
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            let _ = writeln!(err, "mqadmin {}: {cause}", command.name);
            return 1;
        }
    };
    let result = runtime.block_on(async {
        let mut cluster = Cluster::new(split_addresses(&settings.name_servers), settings.timeout);
        if given.has("dry-run") {
            cluster.rehearse();
        }
        let context = Context::new(given, settings.json, cluster, out, err);
        let done = (command.run)(&context).await.and_then(|()| context.finish());
        let rehearsed = context.cluster.rehearsal().is_some_and(|rehearsal| !rehearsal.is_empty());
        context.tell_held_back()?;
        match done {
            // What was held back had no answer to read.
            Err(Failure::Unreadable { .. }) if rehearsed => Ok(()),
            done => done,
        }
    });
    match result {
        Ok(()) => 0,
        // Whoever reads the output has had enough, `head` for one.
        Err(Failure::Output(cause)) if cause.kind() == std::io::ErrorKind::BrokenPipe => 0,
        Err(failure) => {
            let _ = out.flush();
            let _ = writeln!(err, "mqadmin {}: {failure}", command.name);
            failure.exit_status()
        }
    }
}

/// The answer of one command as JSON values, from a cluster that is given; nothing is printed.
pub fn answer(args: &[&str], cluster: Cluster) -> Result<Vec<serde_json::Value>, Failure> {
    let [name, args @ ..] = args else { return Ok(Vec::new()) };
    let command = find(name).ok_or_else(|| Failure::other(format!("no command {name}")))?;
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let given = Syntax::new(command.options).parse(&args)?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    crate::block_on(async {
        let context = Context::new(given, true, cluster, &mut out, &mut err);
        (command.run)(&context).await.and_then(|()| context.finish())
    })
    .map_err(|failure| match String::from_utf8_lossy(&err).lines().next() {
        // What a part complained of says more than that it did.
        Some(first) if matches!(failure, Failure::Other(_)) => Failure::other(first),
        _ => failure,
    })?;
    String::from_utf8_lossy(&out)
        .lines()
        .map(|line| {
            serde_json::from_str(line)
                .map_err(|cause| Failure::other(format!("{name} answered no JSON: {cause}")))
        })
        .collect()
}

/// What holds for one run.
struct Settings {
    name_servers: String,
    timeout: Duration,
    json: bool,
}

/// The command line wins over `NAMESRV_ADDR`, and that over the file of defaults.
fn settings(
    given: &options::Given,
    name_servers: Option<String>,
    file: Option<PathBuf>,
) -> Result<Settings, Failure> {
    let defaults = match file {
        Some(path) => Defaults::read(&path)?,
        None => Defaults::default(),
    };
    let timeout = match given.get("timeout") {
        Some(text) => defaults::seconds(text).ok_or_else(|| Failure::BadValue {
            option: "-timeout",
            given: text.to_owned(),
            accepted: "a number of seconds above 0 and up to 3600",
        })?,
        None => defaults.timeout.unwrap_or(CALL_TIMEOUT),
    };
    let list = given.get("n").map(str::to_owned);
    Ok(Settings {
        name_servers: list.or(name_servers).or(defaults.name_servers).unwrap_or_default(),
        timeout,
        json: given.has("json") || defaults.json,
    })
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
