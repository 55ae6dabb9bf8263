//! What was measured.

use serde::Serialize;

use crate::servers::Competitor;

/// One run of one work by one server.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
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
    /// Share of a core that the generator took: near 1 it limits the rate as much as the server.
    pub generator_busy: Option<f64>,
    /// What the work is about where that is no rate; the work tells the unit.
    pub value: Option<f64>,
}

/// Something measured once for a server.
#[derive(Clone, Debug, Serialize)]
pub struct Once {
    pub name: String,
    pub competitor: Competitor,
    pub value: f64,
    pub unit: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub work: &'static str,
    pub competitor: Competitor,
    /// Of the runs' `value`, where they have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    pub runs: Vec<Run>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    pub rows: Vec<Row>,
    pub once: Vec<Once>,
}

impl Figures {
    pub fn add(
        &mut self,
        (work, unit): (&'static str, Option<&'static str>),
        competitor: Competitor,
        run: Run,
    ) {
        let same = |row: &&mut Row| row.work == work && row.competitor == competitor;
        match self.rows.iter_mut().find(same) {
            Some(row) => row.runs.push(run),
            None => self.rows.push(Row { work, competitor, unit, runs: vec![run] }),
        }
    }

    pub fn add_once(&mut self, name: &str, competitor: Competitor, value: f64, unit: &'static str) {
        self.once.push(Once { name: name.to_owned(), competitor, value, unit });
    }

    pub fn of(&self, work: &str, competitor: Competitor) -> Option<&Row> {
        self.rows.iter().find(|row| row.work == work && row.competitor == competitor)
    }

    /// The works in the order they were first done.
    pub fn works(&self) -> Vec<&'static str> {
        let mut works = Vec::new();
        for row in &self.rows {
            if !works.contains(&row.work) {
                works.push(row.work);
            }
        }
        works
    }
}

impl Row {
    pub fn median(&self, of: impl Fn(&Run) -> f64) -> f64 {
        let sorted = self.sorted(of);
        sorted[sorted.len() / 2]
    }

    /// Least and most.
    pub fn range(&self, of: impl Fn(&Run) -> f64) -> (f64, f64) {
        let sorted = self.sorted(of);
        (sorted[0], sorted[sorted.len() - 1])
    }

    /// The median of what the work is about where that is no rate.
    pub fn value(&self) -> Option<f64> {
        let has = self.runs.iter().all(|run| run.value.is_some());
        has.then(|| self.median(|run| run.value.unwrap_or(0.0)))
    }

    fn sorted(&self, of: impl Fn(&Run) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}
