//! What is wrong with a cluster, from facts alone: no socket, no clock.
//!
//! Each rule is a function from [`Facts`] to findings, in the file of its subject. A finding has a
//! stable code, says what is wrong of what, and what to do.

mod config;
mod groups;
mod names;
mod reach;
mod replication;
mod storage;

use std::fmt;

use serde::Serialize;

use super::facts::Facts;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Messages are refused or lost, or will be soon.
    Critical,
    /// Something does not do what it is there for.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Critical => "CRITICAL",
            Self::Warning => "WARNING",
            Self::Note => "NOTE",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub level: Level,
    pub code: &'static str,
    /// Of which server, topic, group or file.
    pub of: String,
    pub what: String,
    pub advice: String,
}

/// Bounds that the command line can change.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub lag_messages: i64,
    pub clock_ms: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { lag_messages: 10_000, clock_ms: 3_000 }
    }
}

/// Everything that is wrong, the worst first.
pub fn examine(facts: &Facts, bounds: &Bounds) -> Vec<Finding> {
    let mut findings = Vec::new();
    names::examine(facts, &mut findings);
    reach::examine(facts, bounds, &mut findings);
    replication::examine(facts, &mut findings);
    storage::examine(facts, &mut findings);
    groups::examine(facts, bounds, &mut findings);
    config::examine(facts, &mut findings);
    findings.sort();
    findings.dedup();
    findings
}

/// Collects findings of one level after another.
trait Tell {
    fn tell(
        &mut self,
        level: Level,
        code: &'static str,
        of: impl fmt::Display,
        what: impl Into<String>,
        advice: impl Into<String>,
    );
}

impl Tell for Vec<Finding> {
    fn tell(
        &mut self,
        level: Level,
        code: &'static str,
        of: impl fmt::Display,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let (what, advice) = (what.into(), advice.into());
        self.push(Finding { level, code, of: of.to_string(), what, advice });
    }
}

/// `3 h 20 min`, for people.
fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).max(0.0);
    if minutes < 1.0 {
        return format!("{seconds:.0} s");
    }
    let minutes = minutes as u64;
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {hours} h"),
    }
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / (1024.0 * 1024.0))
}

#[cfg(test)]
mod tests;
