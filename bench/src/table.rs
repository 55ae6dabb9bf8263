//! The table as Markdown.

use std::fmt::Write;

use crate::figures::{Figures, Row, Run};
use crate::servers::Competitor;

/// Share of a core from which on the generator is told of.
const BUSY: f64 = 0.9;

pub fn markdown(figures: &Figures) -> String {
    let mut text = String::from(
        "| work | floor | Java 5.5.0 | Skua | Skua : Java | Skua : floor |\n|---|---|---|---|---|---|\n",
    );
    for work in figures.works() {
        let row = |competitor| figures.of(work, competitor);
        let cell = |competitor| row(competitor).map_or_else(|| "–".to_owned(), describe);
        let ratio = |other| match (row(Competitor::Skua), row(other)) {
            (Some(skua), Some(other)) => compare(work, skua, other),
            _ => "–".to_owned(),
        };
        line(
            &mut text,
            &[
                work.to_owned(),
                cell(Competitor::Floor),
                cell(Competitor::Java),
                cell(Competitor::Skua),
                ratio(Competitor::Java),
                ratio(Competitor::Floor),
            ],
        );
    }
    let mut names: Vec<&str> = Vec::new();
    for once in &figures.once {
        if !names.contains(&once.name.as_str()) {
            names.push(&once.name);
        }
    }
    for name in names {
        let value = |competitor| {
            figures.once.iter().find(|once| once.name == name && once.competitor == competitor)
        };
        let cell = |competitor| {
            value(competitor).map_or_else(
                || "–".to_owned(),
                |once| format!("{} {}", number(once.value), once.unit),
            )
        };
        let ratio = |other| match (value(Competitor::Skua), value(other)) {
            (Some(skua), Some(other)) => format!("{:.2}", skua.value / other.value),
            _ => "–".to_owned(),
        };
        line(
            &mut text,
            &[
                name.to_owned(),
                cell(Competitor::Floor),
                cell(Competitor::Java),
                cell(Competitor::Skua),
                ratio(Competitor::Java),
                ratio(Competitor::Floor),
            ],
        );
    }
    text
}

/// What the generator took itself beside each server, and how much more it does against the floor:
/// whether it is a bottleneck.
pub fn generator(figures: &Figures) -> String {
    let mut text = String::from(
        "\n| share of a core that the generator took | floor | Java 5.5.0 | Skua | rate at the floor : at Skua |\n|---|---|---|---|---|\n",
    );
    for work in figures.works() {
        let row = |competitor| figures.of(work, competitor);
        let busy = |competitor| {
            let share = row(competitor)?.median(|run| run.generator_busy.unwrap_or(0.0));
            (share > 0.0).then_some(share)
        };
        let Some(beside_skua) = busy(Competitor::Skua) else { continue };
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", share * 100.0))
        };
        let rate = |competitor| Some(row(competitor)?.median(|run| run.per_second));
        // A floor without a generator is not its measure.
        let headroom =
            match (busy(Competitor::Floor), rate(Competitor::Floor), rate(Competitor::Skua)) {
                (Some(_), Some(floor), Some(skua)) => format!("{:.1}", floor / skua),
                _ => "–".to_owned(),
            };
        let cells = [
            work.to_owned(),
            percent(busy(Competitor::Floor)),
            percent(busy(Competitor::Java)),
            percent(Some(beside_skua)),
            headroom,
        ];
        line(&mut text, &cells);
    }
    text
}

fn line(text: &mut String, cells: &[String]) {
    writeln!(text, "| {} |", cells.join(" | ")).expect("into a string");
}

/// Rates are compared where they are free, times where the rate is given.
fn compare(work: &str, skua: &Row, other: &Row) -> String {
    let rate = skua.median(|run| run.per_second) / other.median(|run| run.per_second);
    if let (Some(value), Some(of_other), Some(unit)) = (skua.value(), other.value(), skua.unit) {
        let ratio = format!("{unit} {:.2}", value / of_other);
        return if rate.is_nan() { ratio } else { format!("{rate:.2}, {ratio}") };
    }
    if work.starts_with("end to end") {
        let p50 = skua.median(|run| run.p50_ms) / other.median(|run| run.p50_ms);
        let p999 = skua.median(|run| run.p999_ms) / other.median(|run| run.p999_ms);
        return format!("p50 {p50:.2}, p99.9 {p999:.2}");
    }
    format!("{rate:.2}")
}

fn describe(row: &Row) -> String {
    let rate = |run: &Run| run.per_second;
    let (least, most) = row.range(rate);
    let mut text = String::new();
    if most > 0.0 {
        write!(text, "{}/s", number(row.median(rate))).expect("into a string");
        if row.runs.len() > 1 {
            write!(text, " ({}–{})", number(least), number(most)).expect("into a string");
        }
    }
    if let Some(value) = row.value() {
        let comma = if text.is_empty() { "" } else { ", " };
        write!(text, "{comma}{} {}", number(value), row.unit.unwrap_or_default())
            .expect("into a string");
    }
    let ms = |of: fn(&Run) -> f64| row.median(of);
    if ms(|run| run.p50_ms) > 0.0 {
        write!(
            text,
            ", p50 {:.3}, p99 {:.2}, p99.9 {:.2}, p99.99 {:.2} ms",
            ms(|run| run.p50_ms),
            ms(|run| run.p99_ms),
            ms(|run| run.p999_ms),
            ms(|run| run.p9999_ms)
        )
        .expect("into a string");
    }
    if row.runs.iter().all(|run| run.cpu_per_million.is_some()) {
        let cpu = row.median(|run| run.cpu_per_million.unwrap_or(0.0));
        write!(text, ", {cpu:.1} CPU s a million").expect("into a string");
    }
    // Then the rate is the generator's as much as the server's.
    let busy = row.median(|run| run.generator_busy.unwrap_or(0.0));
    if busy > BUSY {
        write!(text, ", generator {:.0} % busy", busy * 100.0).expect("into a string");
    }
    let refused: u64 = row.runs.iter().map(|run| run.refused).sum();
    if refused > 0 {
        write!(text, ", {refused} refused").expect("into a string");
    }
    text
}

/// One run, for the log.
pub fn brief(run: &Run, unit: Option<&str>) -> String {
    match run.value {
        Some(value) if run.per_second == 0.0 => {
            format!("{} {}", number(value), unit.unwrap_or_default())
        }
        Some(value) => {
            format!("{}/s, {} {}", number(run.per_second), number(value), unit.unwrap_or_default())
        }
        None => format!("{}/s", number(run.per_second)),
    }
}

/// With thousands set apart.
fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_set_in_threes() {
        assert_eq!(number(1_234_567.2), "1,234,567");
        assert_eq!(number(999.0), "999");
        assert_eq!(number(1.25), "1.2");
    }

    #[test]
    fn a_row_has_medians_ranges_and_ratios() {
        let mut figures = Figures::default();
        let run = |per_second| Run {
            per_second,
            p50_ms: 1.0,
            cpu_per_million: Some(4.0),
            generator_busy: Some(0.25),
            ..Run::default()
        };
        for rate in [300.0, 100.0, 200.0] {
            figures.add(("send", None), Competitor::Skua, run(rate));
        }
        figures.add(("send", None), Competitor::Java, run(50.0));
        let text = markdown(&figures);
        assert!(text.contains("| 200/s (100–300), p50 1.000"), "{text}");
        assert!(text.contains("| 4.00 | – |"), "{text}");
        figures.add(("send", None), Competitor::Floor, run(400.0));
        let own = generator(&figures);
        assert!(own.contains("| send | 25 % | 25 % | 25 % | 2.0 |"), "{own}");
        for (competitor, ms) in [(Competitor::Java, 50.0), (Competitor::Skua, 5.0)] {
            let started = Run { value: Some(ms), ..Run::default() };
            figures.add(("start", Some("ms")), competitor, started);
        }
        let text = markdown(&figures);
        assert!(text.contains("| 50.0 ms | 5.0 ms | ms 0.10 | – |"), "{text}");
    }
}
