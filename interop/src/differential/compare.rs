//! Answers against answers, and the list of expected differences.

use std::fmt;
use std::fs;

use serde_json::Value;

use super::normal::rinse;
use super::{Answers, HeaderCodec};

/// What Java leaves as the remark of answers to which nothing was said.
const UNSET: &str = "not set any response code";

/// Words by which the text of a Java exception is known.
const EXCEPTION: [&str; 4] = ["Exception", "java.", "Error", "Cannot invoke"];

/// One place where the answers are not the same.
#[derive(Debug)]
pub struct Difference {
    /// `family/scene/step:path`
    pub place: String,
    java: Option<Value>,
    skua: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |v: &Option<Value>| match v {
            None => "(absent)".to_owned(),
            Some(value) => {
                let text = value.to_string();
                match text.char_indices().nth(400) {
                    Some((at, _)) => format!("{}…", &text[..at]),
                    None => text,
                }
            }
        };
        writeln!(f, "{}", self.place)?;
        writeln!(f, "    Java: {}", show(&self.java))?;
        write!(f, "    Skua: {}", show(&self.skua))
    }
}

/// Where `skua` differs from `java`.
pub fn compare(family: &str, java: &Answers, skua: &Answers) -> Vec<Difference> {
    let mut differences = Vec::new();
    let steps: std::collections::BTreeSet<_> = java.keys().chain(skua.keys()).collect();
    for step in steps {
        let [java, skua] = [java, skua].map(|answers| answers.get(step).map(rinse));
        let (java, skua) = (java.as_ref(), skua.as_ref());
        if !(java.is_some_and(is_exception) && skua.is_some_and(is_refusal)) {
            values(&format!("{family}/{step}:"), java, skua, &mut differences);
        }
    }
    differences
}

/// Java fell over: it answers the text of an exception, in the code of any failure.
fn is_exception(answer: &Value) -> bool {
    let remark = answer["remark"].as_str().unwrap_or_default();
    answer["code"] == 1 && EXCEPTION.iter().any(|word| remark.contains(word))
}

/// An error that says why: what Skua owes where Java falls over.
fn is_refusal(answer: &Value) -> bool {
    answer["code"] != 0 && answer["remark"].as_str().is_some_and(|remark| !remark.is_empty())
}

fn values(place: &str, java: Option<&Value>, skua: Option<&Value>, out: &mut Vec<Difference>) {
    let below = |name: &str| match place.ends_with(':') {
        true => format!("{place}{name}"),
        false => format!("{place}.{name}"),
    };
    match (java, skua) {
        (Some(Value::Object(j)), Some(Value::Object(s))) => {
            let names: std::collections::BTreeSet<_> = j.keys().chain(s.keys()).collect();
            for name in names {
                values(&below(name), j.get(name), s.get(name), out);
            }
        }
        (Some(Value::Array(j)), Some(Value::Array(s))) if j.len() == s.len() => {
            for (at, (j, s)) in j.iter().zip(s).enumerate() {
                values(&below(&at.to_string()), Some(j), Some(s), out);
            }
        }
        _ if java == skua => {}
        _ if place.ends_with(":remark") && same_remark(java, skua) => {}
        _ => out.push(Difference {
            place: place.to_owned(),
            java: java.cloned(),
            skua: skua.cloned(),
        }),
    }
}

/// Java's text may be followed by more, its "not set" need not be said, nor an exception's text.
fn same_remark(java: Option<&Value>, skua: Option<&Value>) -> bool {
    let said = |v: Option<&Value>| v.and_then(Value::as_str).unwrap_or_default().to_owned();
    let (java, skua) = (said(java), said(skua));
    match java.as_str() {
        "" | UNSET => skua.is_empty(),
        java if EXCEPTION.iter().any(|word| java.contains(word)) => !skua.is_empty(),
        java => skua.starts_with(java.trim_end()),
    }
}

/// A line of `differences.txt`: `PATTERN reason…`, where `*` in the pattern stands for anything.
#[derive(Debug)]
pub struct Expected {
    pub pattern: String,
    pub reason: String,
}

/// In front of a pattern: only where headers are binary.
const BINARY: &str = "binary:";

impl Expected {
    pub fn load() -> Vec<Self> {
        let path = super::folder().join("differences.txt");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
        lines
            .map(|line| {
                let (pattern, reason) = line.split_once(' ').unwrap_or((line, ""));
                let reason = reason.trim().to_owned();
                assert!(
                    ["missing: ", "docs: ", "run: "].iter().any(|kind| reason.starts_with(kind)),
                    "differences.txt: {pattern}: the reason begins with missing:, docs: or run:"
                );
                Self { pattern: pattern.to_owned(), reason }
            })
            .collect()
    }

    /// Such a difference may be there or not.
    pub fn is_of_the_run(&self) -> bool {
        self.reason.starts_with("run: ")
    }

    pub fn family(&self) -> &str {
        let place = self.pattern.strip_prefix(BINARY).unwrap_or(&self.pattern);
        place.split('/').next().expect("a split gives at least one part")
    }

    pub fn covers(&self, codec: HeaderCodec, difference: &Difference) -> bool {
        match self.pattern.strip_prefix(BINARY) {
            Some(place) => codec == HeaderCodec::Binary && matches(place, &difference.place),
            None => matches(&self.pattern, &difference.place),
        }
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && matches(rest, &text[at..]))
        }),
    }
}
