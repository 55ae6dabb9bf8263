//! The tables as Markdown.

use std::fmt::Write;

use crate::aims::{self, precise};
use crate::figures::{Figures, Row, Run};
use crate::servers::Competitor;

/// Share of a core from which on the generator limits the rate as much as the server does.
const BUSY: f64 = 0.9;
/// Share of what was sent from which on consumers kept up: the two are not counted over quite the
/// same seconds.
const KEPT_UP: f64 = 0.97;

pub fn markdown(figures: &Figures) -> String {
    let machine = &figures.machine;
    let mut text = format!("{}\n\n{}\n\n", machine.line(), machine.versions());
    aims_table(figures, &mut text);
    rates(figures, &mut text);
    times(figures, &mut text);
    costs(figures, &mut text);
    if !figures.failed.is_empty() {
        say(&mut text, "\n## Came to no end\n");
    }
    for failed in &figures.failed {
        let by = failed.competitor.map_or_else(String::new, |by| format!(" ({})", by.name()));
        say(&mut text, &format!("- {}{by}", failed.what));
    }
    text
}

fn aims_table(figures: &Figures, text: &mut String) {
    let outcomes = aims::outcomes(figures);
    if outcomes.is_empty() {
        return;
    }
    let met = outcomes.iter().filter(|outcome| outcome.met).count();
    say(text, &format!("## Aims: {met} of {} met\n", outcomes.len()));
    head(text, &["work", "floor", "Java 5.5.0", "Skua", "aim", "outcome"]);
    for outcome in &outcomes {
        let cells = [
            outcome.title(),
            outcome.figure(outcome.floor),
            outcome.figure(outcome.java),
            outcome.figure(Some(outcome.skua)),
            outcome.aim.clone(),
            outcome.verdict(),
        ];
        line(text, &cells);
    }
}

/// What is done in a second, or what a work is about in place of that, and whether the generator
/// could have done more: what it took itself, and how much more it does against the floor.
fn rates(figures: &Figures, text: &mut String) {
    say(text, "\n## Figures\n");
    head(
        text,
        &[
            "work",
            "floor",
            "Java 5.5.0",
            "Skua",
            "Skua : Java",
            "Skua : floor",
            "generator's share of a core: floor, Java, Skua",
        ],
    );
    let mut limiting: Vec<&str> = Vec::new();
    for work in figures.works() {
        let row = |competitor| figures.of(work, competitor);
        let cell = |competitor| row(competitor).map_or_else(none, figure);
        let ratio = |other| match (row(Competitor::Skua), row(other)) {
            (Some(skua), Some(other)) => compare(work, skua, other),
            _ => none(),
        };
        let busy = Competitor::ALL.map(|of| row(of).and_then(generator));
        // Beside the floor it is to be busy: there it shows what it can do.
        if busy[1..].iter().flatten().any(|share| *share > BUSY) {
            limiting.push(work);
        }
        let cells = [
            work.to_owned(),
            cell(Competitor::Floor),
            cell(Competitor::Java),
            cell(Competitor::Skua),
            ratio(Competitor::Java),
            ratio(Competitor::Floor),
            busy.map(|share| share.map_or_else(none, percent)).join(", "),
        ];
        line(text, &cells);
    }
    let mut names: Vec<&str> = Vec::new();
    for once in &figures.once {
        if !names.contains(&once.name.as_str()) {
            names.push(&once.name);
        }
    }
    for name in names {
        let value = |competitor| figures.once_of(name, competitor);
        let cell = |competitor| {
            value(competitor)
                .map_or_else(none, |once| format!("{} {}", number(once.value), once.unit))
        };
        let ratio = match (value(Competitor::Skua), value(Competitor::Java)) {
            (Some(skua), Some(java)) => format!("{:.3}", skua.value / java.value),
            _ => none(),
        };
        let cells = [
            name.to_owned(),
            none(),
            cell(Competitor::Java),
            cell(Competitor::Skua),
            ratio,
            none(),
            none(),
        ];
        line(text, &cells);
    }
    say(text, &format!("\n{}", bottleneck(&limiting)));
}

/// The most of a core that the generator took beside one of the two servers, and with which work.
pub fn most_busy(figures: &Figures) -> Option<(f64, &str)> {
    let rows = figures.rows.iter().filter(|row| row.competitor != Competitor::Floor);
    rows.filter_map(|row| Some((generator(row)?, row.work.as_str())))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
}

fn bottleneck(limiting: &[&str]) -> String {
    let most = format!("{:.0} %", BUSY * 100.0);
    match limiting {
        [] => format!("The generator took less than {most} of a core beside every server."),
        works => format!(
            "The generator took more than {most} of a core, so that the rate is its own as much as the server's: {}.",
            works.join("; ")
        ),
    }
}

fn times(figures: &Figures, text: &mut String) {
    let timed = |row: &Row| row.median(|run| run.p50_ms) > 0.0;
    let cell = |row: &Row| {
        let at = |of: fn(&Run) -> f64| precise(row.median(of));
        [at(|run| run.p50_ms), at(|run| run.p99_ms), at(|run| run.p999_ms), at(|run| run.p9999_ms)]
            .join(" / ")
    };
    let title = "\n## Times in milliseconds: p50 / p99 / p99.9 / p99.99\n";
    of_each(figures, text, title, |row| timed(row).then(|| cell(row)));
}

fn costs(figures: &Figures, text: &mut String) {
    let cell = |row: &Row| {
        let mut parts = Vec::new();
        if let Some(cpu) = row.median_of(|run| run.cpu_per_million) {
            parts.push(format!("{} s a million", precise(cpu)));
        }
        if let Some(cpu) = row.median_of(|run| run.cpu_seconds) {
            parts.push(format!("{} s", precise(cpu)));
        }
        let memory =
            (row.median_of(|run| run.resident_mib), row.median_of(|run| run.anonymous_mib));
        if let (Some(all), Some(own)) = memory {
            parts.push(format!("{} MiB ({})", number(all), number(own)));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    };
    let title = "\n## CPU seconds of the servers, and their resident memory after the work (without files)\n";
    of_each(figures, text, title, cell);
}

/// A table of the works for which one of the servers has something to tell.
fn of_each(
    figures: &Figures,
    text: &mut String,
    title: &str,
    tell: impl Fn(&Row) -> Option<String>,
) {
    say(text, title);
    head(text, &["work", "floor", "Java 5.5.0", "Skua"]);
    for work in figures.works() {
        let cells = Competitor::ALL.map(|competitor| figures.of(work, competitor).and_then(&tell));
        if cells.iter().any(Option::is_some) {
            let mut all = vec![work.to_owned()];
            all.extend(cells.map(|cell| cell.unwrap_or_else(none)));
            line(text, &all);
        }
    }
}

/// Share of a core that the generator took, where there was one.
fn generator(row: &Row) -> Option<f64> {
    row.median_of(|run| run.generator_busy)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn none() -> String {
    "–".to_owned()
}

fn say(text: &mut String, what: &str) {
    writeln!(text, "{what}").expect("into a string");
}

fn head(text: &mut String, names: &[&str]) {
    say(text, &format!("| {} |", names.join(" | ")));
    say(text, &format!("|{}", "---|".repeat(names.len())));
}

fn line(text: &mut String, cells: &[String]) {
    say(text, &format!("| {} |", cells.join(" | ")));
}

/// Whether the times of a work are what it is about: its rate is given.
pub fn by_time(work: &str) -> bool {
    work.starts_with("end to end") || work.ends_with("at 10,000/s")
}

/// Rates are compared where they are free, times where the rate is given.
fn compare(work: &str, skua: &Row, other: &Row) -> String {
    let rate = skua.median(|run| run.per_second) / other.median(|run| run.per_second);
    if let (Some(value), Some(of_other), Some(unit)) = (skua.value(), other.value(), &skua.unit) {
        let ratio = format!("{unit} {:.2}", value / of_other);
        return if rate.is_nan() { ratio } else { format!("{rate:.2}, {ratio}") };
    }
    if by_time(work) {
        let p50 = skua.median(|run| run.p50_ms) / other.median(|run| run.p50_ms);
        let p999 = skua.median(|run| run.p999_ms) / other.median(|run| run.p999_ms);
        return format!("p50 {p50:.2}, p99.9 {p999:.2}");
    }
    format!("{rate:.2}")
}

fn figure(row: &Row) -> String {
    let rate = |run: &Run| run.per_second;
    let (least, most) = row.range(rate);
    let mut parts = Vec::new();
    if most > 0.0 {
        let mut text = format!("{}/s", number(row.median(rate)));
        if row.runs.len() > 1 {
            write!(text, " ({}–{})", number(least), number(most)).expect("into a string");
        }
        parts.push(text);
    }
    if let Some(value) = row.value() {
        let unit = row.unit.as_deref().unwrap_or_default();
        let mut text = format!("{} {unit}", number(value));
        let (least, most) = row.range(|run| run.value.unwrap_or(0.0));
        if row.runs.len() > 1 {
            write!(text, " ({}–{})", number(least), number(most)).expect("into a string");
        }
        parts.push(text);
    }
    if let Some(share) = row.median_of(|run| run.kept_up) {
        parts.push(match share {
            kept if kept > KEPT_UP => "kept up".to_owned(),
            share => format!("{} of what was sent", percent(share)),
        });
    }
    let refused: u64 = row.runs.iter().map(|run| run.refused).sum();
    if refused > 0 {
        parts.push(format!("{refused} refused"));
    }
    parts.join(", ")
}

/// One run, for the log.
pub fn brief(run: &Run, unit: Option<&str>) -> String {
    let mut text = match run.value {
        Some(value) if run.per_second == 0.0 => {
            format!("{} {}", number(value), unit.unwrap_or_default())
        }
        Some(value) => {
            format!("{}/s, {} {}", number(run.per_second), number(value), unit.unwrap_or_default())
        }
        None => format!("{}/s", number(run.per_second)),
    };
    if let Some(busy) = run.generator_busy {
        write!(text, ", generator {}", percent(busy)).expect("into a string");
    }
    text
}

/// With thousands set apart.
pub fn number(value: f64) -> String {
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
        assert_eq!([precise(0.0426), precise(6.0), precise(12_345.6)], ["0.043", "6", "12,346"]);
    }

    #[test]
    fn a_row_has_medians_ranges_and_ratios() {
        let mut figures = Figures::default();
        let run = |per_second| Run {
            per_second,
            p50_ms: 1.0,
            cpu_per_million: Some(4.0),
            generator_busy: Some(0.25),
            resident_mib: Some(54.0),
            anonymous_mib: Some(11.0),
            ..Run::default()
        };
        for rate in [300.0, 100.0, 200.0] {
            figures.add(("send", None), Competitor::Skua, run(rate));
        }
        figures.add(("send", None), Competitor::Java, run(50.0));
        let text = markdown(&figures);
        assert!(text.contains("| 200/s (100–300) | 4.00 | – | –, 25 %, 25 % |"), "{text}");
        assert!(text.contains("| send | – | 1 / 0 / 0 / 0 |"), "{text}");
        assert!(text.contains("| 4 s a million, 54.0 MiB (11.0) |"), "{text}");
        assert!(text.contains("less than 90 % of a core beside every server"), "{text}");
        figures.add(("send", None), Competitor::Floor, Run { generator_busy: None, ..run(400.0) });
        for (competitor, ms) in [(Competitor::Java, 50.0), (Competitor::Skua, 5.0)] {
            let started = Run { value: Some(ms), generator_busy: Some(0.99), ..Run::default() };
            figures.add(("start", Some("ms")), competitor, started);
        }
        let text = markdown(&figures);
        assert!(text.contains("| 50.0 ms | 5.0 ms | ms 0.10 | – |"), "{text}");
        assert!(text.contains("as the server's: start."), "{text}");
    }
}
