//! What a command gets: its options, the cluster, and where its answer goes.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io::Write;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::options::Given;
use crate::client::rehearsal::Rehearsal;
use crate::client::{Cluster, route};
use crate::failure::Failure;

/// An answer: its text is what Java's tool prints (line end included), its fields are the JSON.
pub trait Report: Display + Serialize {}
impl<T: Display + Serialize> Report for T {}

pub struct Context<'a> {
    pub cluster: Cluster,
    given: Given,
    json: bool,
    out: RefCell<&'a mut dyn Write>,
    err: RefCell<&'a mut dyn Write>,
    /// How many parts of the work failed without ending it.
    failed: Cell<usize>,
}

impl<'a> Context<'a> {
    pub fn new(
        given: Given,
        json: bool,
        cluster: Cluster,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
    ) -> Self {
        Self {
            cluster,
            given,
            json,
            out: RefCell::new(out),
            err: RefCell::new(err),
            failed: Cell::new(0),
        }
    }

    /// Writes an answer: as text, or with `--json` as one line of JSON.
    pub fn print(&self, report: &impl Report) -> Result<(), Failure> {
        // In a dry run nothing was done, so no success must be told.
        if self.cluster.rehearsal().is_some_and(|rehearsal| !rehearsal.is_empty()) {
            return Ok(());
        }
        self.write(report)
    }

    /// After a dry run: the requests that were held back.
    pub(super) fn tell_held_back(&self) -> Result<(), Failure> {
        let held = self.cluster.rehearsal().map(Rehearsal::take).unwrap_or_default();
        held.iter().try_for_each(|request| self.write(request))
    }

    fn write(&self, report: &impl Report) -> Result<(), Failure> {
        let mut out = self.out.borrow_mut();
        let written = if self.json {
            let text = serde_json::to_string(report)
                .map_err(|cause| Failure::other(format!("cannot write JSON: {cause}")))?;
            writeln!(out, "{text}")
        } else {
            write!(out, "{report}")
        };
        written.and_then(|()| out.flush()).map_err(Failure::Output)
    }

    /// Tells of a part that failed while the rest goes on; the exit status will be 1.
    pub fn complain(&self, failure: &Failure) {
        self.failed.set(self.failed.get() + 1);
        // There is nowhere else to complain to.
        let _ = writeln!(self.err.borrow_mut(), "mqadmin: {failure}");
    }

    pub(super) fn finish(&self) -> Result<(), Failure> {
        match self.failed.get() {
            0 => Ok(()),
            1 => Err(Failure::other("one part failed, see above")),
            parts => Err(Failure::other(format!("{parts} parts failed, see above"))),
        }
    }

    /// Whether answers are JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    pub fn has(&self, key: &str) -> bool {
        self.given.has(key)
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.given.get(key)
    }

    /// The value of an option that the syntax requires.
    pub fn required(&self, key: &'static str) -> Result<&str, Failure> {
        self.get(key).ok_or(Failure::Usage(super::options::UsageError::MissingValue(key)))
    }

    /// The value of a numeric option.
    pub fn number<T: FromStr>(&self, key: &'static str) -> Result<Option<T>, Failure> {
        self.get(key)
            .map(|text| {
                text.parse().map_err(|_| Failure::BadValue {
                    option: key,
                    given: text.to_owned(),
                    accepted: "a whole number in range",
                })
            })
            .transpose()
    }

    /// Waits the seconds that option `key` tells between two rounds; false if it is not given.
    pub async fn again(&self, key: &'static str) -> Result<bool, Failure> {
        let Some(seconds) = self.number::<u64>(key)? else { return Ok(false) };
        tokio::time::sleep(std::time::Duration::from_secs(seconds.max(1))).await;
        Ok(true)
    }

    /// `true` or `false`; Java takes every other word for false, which hides mistakes.
    pub fn truth(&self, key: &'static str) -> Result<Option<bool>, Failure> {
        self.get(key)
            .map(|text| match text.to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(Failure::BadValue {
                    option: key,
                    given: text.to_owned(),
                    accepted: "true or false",
                }),
            })
            .transpose()
    }

    /// The contents of the JSON file that an option names.
    pub fn json_file<T: DeserializeOwned>(&self, key: &'static str) -> Result<T, Failure> {
        let path = self.required(key)?;
        let text =
            std::fs::read(path).map_err(|cause| Failure::File { path: path.to_owned(), cause })?;
        skua_protocol::json::from_slice(&text)
            .map_err(|cause| Failure::other(format!("{path}: {cause}")))
    }

    /// The masters meant by `-b` (an address) or `-c` (a cluster).
    pub async fn masters(&self) -> Result<Vec<String>, Failure> {
        match self.get("b") {
            Some(addr) => Ok(vec![addr.to_owned()]),
            None => route::masters_of(&self.cluster.info().await?, self.required("c")?),
        }
    }

    /// The brokers meant by `-b` (an address) or `-c` (a cluster, slaves included).
    pub async fn members(&self) -> Result<Vec<String>, Failure> {
        match self.get("b") {
            Some(addr) => Ok(vec![addr.to_owned()]),
            None => route::members_of(&self.cluster.info().await?, self.required("c")?),
        }
    }
}

/// A sentence about what was done, with the names in it.
#[derive(Debug, Serialize)]
pub struct Done {
    #[serde(rename = "done")]
    pub sentence: String,
    #[serde(flatten)]
    pub facts: serde_json::Map<String, serde_json::Value>,
}

impl Done {
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), facts: serde_json::Map::new() }
    }

    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

impl Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.sentence)
    }
}
