//! What was measured, and the file in which it is kept.

use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::aims::{self, Outcome};
use crate::machine::Machine;
use crate::servers::Competitor;

/// One run of one work by one server.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Run {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub p9999_ms: f64,
    /// Messages that were answered with an error.
    pub refused: u64,
    /// CPU seconds of the servers for a million messages; absent where it was not taken.
    pub cpu_per_million: Option<f64>,
    /// CPU seconds of the servers where what they do is not counted in messages.
    pub cpu_seconds: Option<f64>,
    /// Memory of the servers at the run's end: all of it, and that which is not pages of files.
    pub resident_mib: Option<f64>,
    pub anonymous_mib: Option<f64>,
    /// Share of a core that the generator took, of several processes the busiest: near 1 it limits
    /// the rate as much as the server.
    pub generator_busy: Option<f64>,
    /// Where consumers follow: the share of what was sent that they had within the same time.
    pub kept_up: Option<f64>,
    /// What the work is about where that is no rate; the work tells the unit.
    pub value: Option<f64>,
    /// Seconds that the run took with all that belongs to it.
    pub took_seconds: f64,
}

/// Something measured once for a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Once {
    pub name: String,
    pub competitor: Competitor,
    pub value: f64,
    pub unit: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub work: String,
    pub competitor: Competitor,
    /// Of the runs' `value`, where they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    pub runs: Vec<Run>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    pub machine: Machine,
    pub rows: Vec<Row>,
    pub once: Vec<Once>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
}

/// Something that came to no end: a work by a server, or the start of a setup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failed {
    pub what: String,
    pub competitor: Option<Competitor>,
}

/// As it is written: what follows from the figures stands beside them.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    figures: &'a Figures,
    aims: Vec<Outcome>,
}

impl Figures {
    pub fn read(file: &Path) -> io::Result<Self> {
        let named = |cause: String| io::Error::other(format!("{}: {cause}", file.display()));
        let text = fs::read(file).map_err(|cause| named(cause.to_string()))?;
        serde_json::from_slice(&text).map_err(|cause| named(cause.to_string()))
    }

    /// Whole or not at all: the program may be ended at any moment.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let written = Written { figures: self, aims: aims::outcomes(self) };
        let beside = file.with_extension("json.new");
        fs::write(&beside, serde_json::to_string_pretty(&written)?)?;
        fs::rename(beside, file)
    }

    pub fn add(&mut self, (work, unit): (&str, Option<&str>), competitor: Competitor, run: Run) {
        let same = |row: &&mut Row| row.work == work && row.competitor == competitor;
        match self.rows.iter_mut().find(same) {
            Some(row) => row.runs.push(run),
            None => self.rows.push(Row {
                work: work.to_owned(),
                competitor,
                unit: unit.map(str::to_owned),
                runs: vec![run],
            }),
        }
    }

    /// In place of what an earlier start gave.
    pub fn set_once(&mut self, name: &str, competitor: Competitor, value: f64, unit: &str) {
        self.once.retain(|once| once.name != name || once.competitor != competitor);
        let (name, unit) = (name.to_owned(), unit.to_owned());
        self.once.push(Once { name, competitor, value, unit });
    }

    pub fn fail(&mut self, what: &str, competitor: Option<Competitor>) {
        self.failed.push(Failed { what: what.to_owned(), competitor });
    }

    pub fn has_failed(&self, what: &str, competitor: Competitor) -> bool {
        self.failed
            .iter()
            .any(|failed| failed.what == what && failed.competitor == Some(competitor))
    }

    pub fn of(&self, work: &str, competitor: Competitor) -> Option<&Row> {
        self.rows.iter().find(|row| row.work == work && row.competitor == competitor)
    }

    pub fn once_of(&self, name: &str, competitor: Competitor) -> Option<&Once> {
        self.once.iter().find(|once| once.name == name && once.competitor == competitor)
    }

    /// How often a work was done.
    pub fn runs(&self, work: &str, competitor: Competitor) -> usize {
        self.of(work, competitor).map_or(0, |row| row.runs.len())
    }

    /// The works in the order they were first done.
    pub fn works(&self) -> Vec<&str> {
        let mut works: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !works.contains(&row.work.as_str()) {
                works.push(&row.work);
            }
        }
        works
    }
}

impl Row {
    pub fn median(&self, of: impl Fn(&Run) -> f64) -> f64 {
        let sorted = self.sorted(of);
        let upper = sorted.len() / 2;
        let lower = (sorted.len() - 1) / 2;
        f64::midpoint(sorted[lower], sorted[upper])
    }

    /// Least and most.
    pub fn range(&self, of: impl Fn(&Run) -> f64) -> (f64, f64) {
        let sorted = self.sorted(of);
        (sorted[0], sorted[sorted.len() - 1])
    }

    /// The median of what all runs have, if they do.
    pub fn median_of(&self, of: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
        let has = self.runs.iter().all(|run| of(run).is_some());
        has.then(|| self.median(|run| of(run).unwrap_or(0.0)))
    }

    /// The median of what the work is about where that is no rate.
    pub fn value(&self) -> Option<f64> {
        self.median_of(|run| run.value)
    }

    fn sorted(&self, of: impl Fn(&Run) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut figures = Figures::default();
        let work = "send 1 KiB, 16 in flight";
        for (competitor, per_second) in [(Competitor::Java, 10.0), (Competitor::Skua, 60.0)] {
            let run = Run { per_second, generator_busy: Some(0.5), ..Run::default() };
            figures.add((work, None), competitor, run);
        }
        figures.set_once("first", Competitor::Skua, 12.0, "ms");
        figures.fail("another", Some(Competitor::Java));
        let file = std::env::temp_dir().join(format!("skua-bench-{}.json", std::process::id()));
        figures.write(&file).expect("a file");
        let text = fs::read_to_string(&file).expect("a file");
        let read = Figures::read(&file).expect("figures");
        fs::remove_file(&file).expect("a file");
        assert!(text.contains("\"met\": true") && text.contains("\"way\": 1.2"), "{text}");
        assert_eq!(read.runs(work, Competitor::Skua), 1);
        assert_eq!(
            read.of(work, Competitor::Skua).and_then(|row| row.median_of(|r| r.generator_busy)),
            Some(0.5)
        );
        assert!(read.has_failed("another", Competitor::Java));
        assert!(read.once_of("first", Competitor::Skua).is_some());
    }
}
