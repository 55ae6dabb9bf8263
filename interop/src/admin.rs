//! The unmodified Java mqadmin, and Skua's: the same command line to either.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::files;
use crate::process;
use crate::server::skua;

/// What a command printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub out: String,
    pub err: String,
    /// Exit status; Java's mqadmin tells no failure by it.
    pub status: i32,
    pub took: Duration,
}

/// Who runs the commands.
pub enum Admin {
    /// One JVM for all of them (`java/admin/Admin.java`).
    Java {
        child: Child,
        to: Option<ChildStdin>,
        from: BufReader<ChildStdout>,
    },
    /// A JVM for each, as operators run it.
    JavaEach,
    Skua,
}

impl Admin {
    pub fn java() -> Self {
        files::cache();
        let mut command: Command = process::command(files::java_server());
        command.arg("mqadmins").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().expect("a script of this folder");
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().expect("piped above"));
        Self::Java { child, to, from }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Java { .. } | Self::JavaEach => "Java",
            Self::Skua => "Skua",
        }
    }

    /// Runs one command. For Java neither help nor wrong usage, which end the JVM.
    pub fn run(&mut self, arguments: &[&str]) -> Told {
        match self {
            Self::Java { to, from, .. } => {
                let to = to.as_mut().expect("open until dropped");
                writeln!(to, "{}", arguments.join("\t")).expect("the JVM reads");
                let mut line = String::new();
                from.read_line(&mut line).expect("the JVM answers");
                let mut parts = line.trim_end().split(" =");
                let mut part = || parts.next().unwrap_or_else(|| panic!("{arguments:?}: {line}"));
                let ms = part().parse().expect("milliseconds");
                let text = |base64: &str| {
                    let bytes = STANDARD.decode(base64).expect("base 64");
                    String::from_utf8_lossy(&bytes).into_owned()
                };
                let took = Duration::from_millis(ms);
                Told { out: text(part()), err: text(part()), status: 0, took }
            }
            Self::JavaEach | Self::Skua => {
                let mut command = match self {
                    Self::Skua => skua(),
                    _ => process::command(files::java_server()),
                };
                let begun = Instant::now();
                let ran = command.arg("mqadmin").args(arguments).output().expect("it runs");
                Told {
                    out: String::from_utf8_lossy(&ran.stdout).into_owned(),
                    err: String::from_utf8_lossy(&ran.stderr).into_owned(),
                    status: ran.status.code().unwrap_or(-1),
                    took: begun.elapsed(),
                }
            }
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        if let Self::Java { child, to, .. } = self {
            // The end of its input is its end.
            drop(to.take());
            let _ = child.wait();
        }
    }
}
