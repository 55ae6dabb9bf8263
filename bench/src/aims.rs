//! What Skua is to reach, as ratios to the floor and to Java on the same work or as plain figures,
//! and whether it does.

use serde::Serialize;

use crate::figures::{Figures, Row};
use crate::servers::Competitor::{self, Floor, Java, Skua};
use crate::table::number;
use crate::work::{Setup, WORKS};

/// Names of what is measured at a start, once.
pub const IDLE_MEMORY: &str = "memory without files, idle";
pub const FIRST: &str = "start to first acknowledgement, empty";
/// The most of all works of one broker: no row of the table.
const LOADED_MEMORY: &str = "memory without files, under load";
/// "As with one topic": what single runs differ by is not held against it.
const AS_GOOD: f64 = 0.9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Rate,
    P50,
    P999,
    Cpu,
    /// The row's own figure.
    Value,
    /// What was measured once.
    Once,
    LoadedMemory,
}

#[derive(Clone, Copy, Debug)]
enum Need {
    /// At least so many times another's.
    Least(f64, Competitor),
    /// At least this share of Skua's own rate in another work, which has a short name too.
    LeastOf(f64, &'static str, &'static str),
    /// At most so many times another's.
    Most(f64, Competitor),
    /// At most this.
    Within(f64),
}

struct Aim {
    work: &'static str,
    measure: Measure,
    need: Need,
}

const fn aim(work: &'static str, measure: Measure, need: Need) -> Aim {
    Aim { work, measure, need }
}

const ONE_TOPIC: &str = "send 1 KiB, 256 in flight";

const AIMS: &[Aim] = {
    use Measure::{Cpu, LoadedMemory, Once, P50, P999, Rate, Value};
    use Need::{Least, LeastOf, Most, Within};
    &[
        aim("send 1 KiB, 1 in flight", Rate, Least(0.8, Floor)),
        aim("send 1 KiB, 1 in flight", P999, Most(2.0, Floor)),
        aim("send 1 KiB, 16 in flight", Rate, Least(5.0, Java)),
        aim("send 1 KiB, 16 in flight", Cpu, Most(0.1, Java)),
        aim(ONE_TOPIC, Rate, Least(6.0, Java)),
        aim(ONE_TOPIC, Rate, Least(0.5, Floor)),
        aim(ONE_TOPIC, Cpu, Within(3.0)),
        aim("send 100 B, 256 in flight", Rate, Least(6.0, Java)),
        aim("send 4 KiB, 256 in flight", Rate, Least(5.0, Java)),
        aim("send batches of 32 × 100 B, 16 in flight", Rate, Least(4.0, Java)),
        aim(
            "send 1 KiB to 64 topics, 256 in flight",
            Rate,
            LeastOf(AS_GOOD, ONE_TOPIC, "one topic"),
        ),
        aim("synchronous flush, 16 in flight", Rate, Least(5.0, Java)),
        aim("synchronous flush, 256 in flight", Rate, LeastOf(0.8, ONE_TOPIC, "asynchronous")),
        aim("catch up 1 KiB, 8 pulls", Rate, Least(0.7, Floor)),
        aim("catch up 1 KiB, 8 pulls", Cpu, Most(0.25, Java)),
        aim("catch up 100 B, 8 pulls", Rate, Least(0.7, Floor)),
        aim("catch up 100 B, 8 pulls", Cpu, Most(0.25, Java)),
        aim("end to end at 1,000/s", P50, Within(0.15)),
        aim("end to end at 1,000/s", P999, Within(1.0)),
        aim("end to end at 1,000/s", Cpu, Most(0.1, Java)),
        aim("end to end at 10,000/s", P50, Within(0.2)),
        aim("end to end at 10,000/s", P999, Within(2.0)),
        aim(IDLE_MEMORY, Once, Within(15.0)),
        aim(LOADED_MEMORY, LoadedMemory, Within(60.0)),
        aim("each of 10,000 idle connections", Value, Within(4.0)),
        aim(FIRST, Once, Within(50.0)),
        aim("first acknowledgement after kill -9, 2 GiB", Value, Within(200.0)),
        aim(
            "double write, 64 in flight",
            Rate,
            LeastOf(0.9, "asynchronous slave, 64 in flight", "asynchronous"),
        ),
        aim("Raft, 64 in flight", Rate, LeastOf(0.9, "double write, 64 in flight", "double write")),
    ]
};

/// How far an aim is reached.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub work: &'static str,
    pub measure: &'static str,
    pub unit: &'static str,
    pub floor: Option<f64>,
    pub java: Option<f64>,
    pub skua: f64,
    /// What is to be reached, in words and in few.
    pub aim: String,
    pub brief: String,
    /// The ratio, or the figure, that was reached, and that which is to be.
    pub reached: f64,
    pub needed: f64,
    /// Else at most.
    pub at_least: bool,
    pub met: bool,
    /// How much of the way: 1 and more where the aim is met.
    pub way: f64,
}

/// Of all aims for which there are figures.
pub fn outcomes(figures: &Figures) -> Vec<Outcome> {
    AIMS.iter().filter_map(|aim| aim.outcome(figures)).collect()
}

impl Aim {
    fn outcome(&self, figures: &Figures) -> Option<Outcome> {
        let of = |competitor| self.measure.of(figures, self.work, competitor);
        let (floor, java, skua) = (of(Floor), of(Java), of(Skua)?);
        let unit = self.unit();
        let (compared, needed, at_least) = match self.need {
            Need::Least(times, other) => (of(other)?, times, true),
            Need::LeastOf(share, work, _) => (self.measure.of(figures, work, Skua)?, share, true),
            Need::Most(times, other) => (of(other)?, times, false),
            Need::Within(most) => (1.0, most, false),
        };
        let (limit, sign) = if at_least { ("at least", '≥') } else { ("at most", '≤') };
        let (whose, short) = match self.need {
            Need::Least(_, other) | Need::Most(_, other) => {
                (format!("× {}", other.name()), format!("× {}", other.name()))
            }
            Need::LeastOf(_, work, short) => (format!("× {work}"), format!("× {short}")),
            Need::Within(_) => (unit.to_owned(), unit.trim_end_matches(" a million").to_owned()),
        };
        let aim = format!("{limit} {needed} {whose}");
        let brief = format!("{sign} {needed} {short}");
        let reached = skua / compared;
        let way = if at_least { reached / needed } else { needed / reached };
        // Nothing at all is within every limit.
        let way = if way.is_finite() { way } else { 1.0 };
        Some(Outcome {
            work: self.work,
            measure: self.measure.name(),
            unit,
            floor,
            java,
            skua,
            aim,
            brief,
            reached,
            needed,
            at_least,
            met: way >= 1.0,
            way,
        })
    }

    fn unit(&self) -> &'static str {
        match self.measure {
            Measure::Rate => "/s",
            Measure::P50 | Measure::P999 => "ms",
            Measure::Cpu => "CPU s a million",
            Measure::LoadedMemory => "MiB",
            Measure::Once => {
                if self.work == FIRST {
                    "ms"
                } else {
                    "MiB"
                }
            }
            Measure::Value => WORKS
                .iter()
                .find(|work| work.name == self.work)
                .and_then(|work| work.unit)
                .unwrap_or(""),
        }
    }
}

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::P50 => "p50",
            Self::P999 => "p99.9",
            Self::Cpu => "CPU",
            Self::Value | Self::Once | Self::LoadedMemory => "",
        }
    }

    fn of(self, figures: &Figures, work: &str, competitor: Competitor) -> Option<f64> {
        let row = figures.of(work, competitor);
        let above_zero = |value: f64| (value > 0.0).then_some(value);
        match self {
            Self::Rate => above_zero(row?.median(|run| run.per_second)),
            Self::P50 => above_zero(row?.median(|run| run.p50_ms)),
            Self::P999 => above_zero(row?.median(|run| run.p999_ms)),
            Self::Cpu => row?.median_of(|run| run.cpu_per_million),
            Self::Value => row?.value(),
            Self::Once => figures.once_of(work, competitor).map(|once| once.value),
            Self::LoadedMemory => loaded(figures, competitor),
        }
    }
}

/// The most that the servers of one broker held after any work.
fn loaded(figures: &Figures, competitor: Competitor) -> Option<f64> {
    let plain = |row: &&Row| {
        let of = |work: &&crate::work::Work| work.name == row.work && work.setup == Setup::Plain;
        row.competitor == competitor && competitor != Floor && WORKS.iter().any(|work| of(&work))
    };
    let rows = figures.rows.iter().filter(plain);
    rows.filter_map(|row| row.median_of(|run| run.anonymous_mib)).max_by(f64::total_cmp)
}

impl Outcome {
    /// `met: 6.2 of 6`, `3.8 of 6`, `met: 0.14 of ≤ 0.15`.
    pub fn verdict(&self) -> String {
        let met = if self.met { "met: " } else { "" };
        let most = if self.at_least { "" } else { "≤ " };
        format!("{met}{} of {most}{}", precise(self.reached), precise(self.needed))
    }

    pub fn title(&self) -> String {
        match self.measure {
            "" => self.work.to_owned(),
            measure => format!("{}: {measure}", self.work),
        }
    }

    pub fn figure(&self, value: Option<f64>) -> String {
        value.map_or_else(
            || "–".to_owned(),
            |value| match self.unit {
                "/s" => format!("{}/s", number(value)),
                "CPU s a million" => format!("{} CPU s", precise(value)),
                unit => format!("{} {unit}", precise(value)),
            },
        )
    }
}

/// Three digits that count.
pub fn precise(value: f64) -> String {
    let digits = match value.abs() {
        small if small < 0.1 => 3,
        small if small < 10.0 => 2,
        small if small < 100.0 => 1,
        _ => return number(value),
    };
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Run;

    #[test]
    fn every_aim_is_of_something_that_is_measured() {
        for aim in AIMS {
            let measured = match aim.measure {
                Measure::Once => [IDLE_MEMORY, FIRST].contains(&aim.work),
                Measure::LoadedMemory => aim.work == LOADED_MEMORY,
                _ => WORKS.iter().any(|work| work.name == aim.work),
            };
            assert!(measured, "{}", aim.work);
            if let Need::LeastOf(_, other, _) = aim.need {
                assert!(WORKS.iter().any(|work| work.name == other), "{other}");
            }
        }
    }

    #[test]
    fn an_aim_is_met_or_says_how_far_it_is() {
        let mut figures = Figures::default();
        let run =
            |per_second, cpu| Run { per_second, cpu_per_million: Some(cpu), ..Run::default() };
        figures.add((ONE_TOPIC, None), Java, run(100.0, 30.0));
        assert!(outcomes(&figures).is_empty());
        figures.add((ONE_TOPIC, None), Skua, run(380.0, 2.5));
        let found = outcomes(&figures);
        let verdicts: Vec<String> = found.iter().map(Outcome::verdict).collect();
        assert_eq!(verdicts, ["3.8 of 6", "met: 2.5 of ≤ 3"]);
        assert_eq!([found[0].met, found[1].met], [false, true]);
        figures.add((ONE_TOPIC, None), Floor, run(700.0, 1.0));
        assert_eq!(outcomes(&figures)[1].verdict(), "met: 0.54 of 0.5");
    }
}
