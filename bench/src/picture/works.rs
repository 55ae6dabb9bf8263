//! The picture of all works: how many times better than Java's Skua's figure is.

use std::path::Path;

use plotters::prelude::*;

use super::{FAINT, GOOD, INK, MUTED, Outcome, PAPER, PLAIN, SHORT, centred, right, text};
use crate::figures::Figures;
use crate::servers::Competitor;
use crate::table::by_time;

const WIDTH: i32 = 900;
const BAR: i32 = 22;
const GAP: i32 = 6;
const LABELS: i32 = 410;
const RIGHT: i32 = 80;
const HEAD: i32 = 94;
const FOOT: i32 = 34;
/// Multiples that have a line.
const LINES: [f64; 10] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

pub fn draw(figures: &Figures, file: &Path) -> Outcome {
    let bars: Vec<(String, f64)> = figures
        .works()
        .into_iter()
        .filter_map(|work| better(figures, work))
        .filter(|(_, ratio)| ratio.is_finite() && *ratio > 0.0)
        .collect();
    let floors = || bars.iter().filter_map(|(name, _)| floor(figures, name));
    let ratios = || bars.iter().map(|(_, ratio)| *ratio).chain(floors());
    let (least, most) = (ratios().fold(0.8, f64::min), ratios().fold(2.0, f64::max));
    let below = HEAD + BAR * bars.len() as i32;
    {
        let size = (WIDTH as u32, (below + FOOT) as u32);
        let area = SVGBackend::new(file, size).into_drawing_area();
        area.fill(&PAPER)?;
        area.draw(&Text::new("Skua as a multiple of Java 5.5.0", (16, 12), text(17, INK)))?;
        let legend = "rates; where the rate is given the median time, of memory and starts how much less; | the floor";
        area.draw(&Text::new(legend, (16, 36), text(12, MUTED)))?;
        let machine = &figures.machine;
        area.draw(&Text::new(machine.line(), (16, 53), text(12, MUTED)))?;
        area.draw(&Text::new(machine.versions(), (16, 69), text(12, MUTED)))?;
        let at = |value: f64| {
            let share = (value / least).ln() / (most / least).ln();
            LABELS + (share.clamp(0.0, 1.0) * f64::from(WIDTH - LABELS - RIGHT)) as i32
        };
        for line in LINES.into_iter().filter(|line| (least..=most).contains(line)) {
            let color = if line == 1.0 { MUTED } else { FAINT };
            area.draw(&PathElement::new([(at(line), HEAD - 4), (at(line), below)], color))?;
            let name = if line == 1.0 { "Java".to_owned() } else { format!("{line}×") };
            area.draw(&Text::new(name, (at(line), below + 6), centred(12, MUTED)))?;
        }
        for (nth, (name, ratio)) in bars.iter().enumerate() {
            let top = HEAD + BAR * nth as i32;
            area.draw(&Text::new(name.as_str(), (LABELS - 8, top + 1), right(13, INK)))?;
            let (from, to) = (at(ratio.min(1.0)), at(ratio.max(1.0)));
            let color = if *ratio < 1.0 { SHORT } else { PLAIN };
            area.draw(&Rectangle::new(
                [(from, top - 1), (to, top - 1 + BAR - GAP)],
                color.filled(),
            ))?;
            if let Some(floor) = floor(figures, name).map(at) {
                let tick = [(floor - 1, top - 2), (floor + 1, top + BAR - GAP)];
                area.draw(&Rectangle::new(tick, GOOD.filled()))?;
            }
            area.draw(&Text::new(format!("{ratio:.1}×"), (WIDTH - 16, top + 1), right(13, INK)))?;
        }
        area.present()?;
    }
    super::for_dark_pages(file)
}

/// The floor as a multiple of Java.
fn floor(figures: &Figures, work: &str) -> Option<f64> {
    let rate = |competitor| Some(figures.of(work, competitor)?.median(|run| run.per_second));
    let ratio = rate(Competitor::Floor)? / rate(Competitor::Java)?;
    ratio.is_finite().then_some(ratio)
}

/// A work's name and how many times better Skua does it; none where one of the two is missing.
fn better(figures: &Figures, work: &str) -> Option<(String, f64)> {
    let row = |competitor| figures.of(work, competitor);
    let (java, skua) = (row(Competitor::Java)?, row(Competitor::Skua)?);
    if by_time(work) {
        let p50 = java.median(|run| run.p50_ms) / skua.median(|run| run.p50_ms);
        return Some((format!("{work}, p50"), p50));
    }
    let rate = skua.median(|run| run.per_second) / java.median(|run| run.per_second);
    match (java.value(), skua.value()) {
        (Some(java), Some(skua)) if rate.is_nan() => Some((work.to_owned(), java / skua)),
        _ => Some((work.to_owned(), rate)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::figures::Run;

    #[test]
    fn there_is_a_bar_for_each_work_of_both() {
        let mut figures = Figures::default();
        let run = |per_second, value| Run { per_second, value, p50_ms: 1.0, ..Run::default() };
        for (competitor, factor) in [(Competitor::Java, 1.0), (Competitor::Skua, 8.0)] {
            figures.add(("send", None), competitor, run(100.0 * factor, None));
            figures.add(("memory", Some("MiB")), competitor, run(0.0, Some(800.0 / factor)));
            figures.add(("slower", None), competitor, run(100.0 / factor, None));
        }
        figures.add(("alone", None), Competitor::Skua, run(1.0, None));
        let file = std::env::temp_dir().join(format!("skua-bench-{}.svg", std::process::id()));
        draw(&figures, &file).expect("a picture");
        let text = fs::read_to_string(&file).expect("a file");
        fs::remove_file(&file).expect("a file");
        assert_eq!(text.matches("8.0×").count(), 2, "{text}");
        assert!(text.contains("0.1×") && !text.contains("alone"), "{text}");
    }
}
