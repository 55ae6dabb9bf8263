//! Where and how figures came about: the machine, the day, the versions, the run's settings.

use std::fs;
use std::process::Command;
use std::thread;

use serde::{Deserialize, Serialize};
use skua_interop::skua;

use crate::Args;

/// Of the Java servers that `interop/java/fetch` brings.
pub const JAVA_ROCKETMQ: &str = "5.5.0";

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub system: String,
    /// The day the run began, UTC.
    pub date: String,
    pub skua: String,
    /// The Java machine that ran the Java servers; empty without them.
    pub java: String,
    pub rounds: u32,
    pub seconds: u32,
    pub warm_up: u32,
}

impl Machine {
    pub fn here(args: &Args) -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = after(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut java = Command::new("java");
        java.arg("-version");
        Self {
            processor: after(&cpus, "model name").unwrap_or("unknown processor").to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            // What the kernel keeps for itself is not in it.
            memory_gib: (kib.unwrap_or(0.0) / f64::from(1024 * 1024)).ceil() as u64,
            system: format!("Linux {}", kernel.trim()),
            date: jiff::Timestamp::now().strftime("%-d %B %Y").to_string(),
            skua: first_line(skua().arg("--version")),
            java: if args.without_java { String::new() } else { first_line(&mut java) },
            rounds: args.rounds,
            seconds: args.seconds,
            warm_up: args.warm_up,
        }
    }

    /// What differs between this run and an earlier one so that their figures do not belong
    /// together. More rounds may be added on a later day.
    pub fn differs(&self, earlier: &Self) -> Option<String> {
        let pairs = [
            ("processor", &self.processor, &earlier.processor),
            ("system", &self.system, &earlier.system),
            ("skua", &self.skua, &earlier.skua),
            ("java", &self.java, &earlier.java),
            ("--seconds", &self.seconds.to_string(), &earlier.seconds.to_string()),
            ("--warm-up", &self.warm_up.to_string(), &earlier.warm_up.to_string()),
        ];
        let other = pairs.into_iter().find(|(_, now, before)| now != before)?;
        let (what, now, before) = other;
        Some(format!("{what}: `{before}` then, `{now}` now"))
    }

    /// In one line for people.
    pub fn line(&self) -> String {
        let Self { processor, cores, memory_gib, system, date, .. } = self;
        format!("{processor}, {cores} cores, {memory_gib} GiB, {system}; {date}")
    }

    pub fn versions(&self) -> String {
        let Self { skua, java, rounds, seconds, .. } = self;
        let java = match java.as_str() {
            "" => String::new(),
            machine => format!(", RocketMQ {JAVA_ROCKETMQ} on {machine}"),
        };
        let plural = if *rounds == 1 { "" } else { "s" };
        format!("{skua}{java}; {rounds} round{plural} of {seconds} s")
    }
}

fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim())
}

/// Of what a command prints on either output.
fn first_line(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return String::new() };
    let both = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&both);
    text.lines().next().unwrap_or_default().replace('"', "")
}
