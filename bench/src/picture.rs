//! The picture: for each work how many times better than Java's Skua's figure is.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::figures::Figures;
use crate::servers::Competitor;

const WIDTH: i32 = 860;
const BAR: i32 = 22;
const GAP: i32 = 6;
const LABELS: i32 = 400;
const RIGHT: i32 = 70;
const HEAD: i32 = 52;
const FOOT: i32 = 30;
/// Multiples that have a line.
const LINES: [f64; 10] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
const BETTER: RGBColor = RGBColor(38, 103, 160);
const WORSE: RGBColor = RGBColor(190, 80, 40);
const FAINT: RGBColor = RGBColor(222, 222, 222);

pub fn draw(figures: &Figures, file: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let bars: Vec<(String, f64)> = figures
        .works()
        .into_iter()
        .filter_map(|work| better(figures, work))
        .filter(|(_, ratio)| ratio.is_finite() && *ratio > 0.0)
        .collect();
    let ratios = || bars.iter().map(|(_, ratio)| *ratio);
    let (least, most) = (ratios().fold(0.8, f64::min), ratios().fold(2.0, f64::max));
    let below = HEAD + BAR * bars.len() as i32;
    let area = SVGBackend::new(file, (WIDTH as u32, (below + FOOT) as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32| ("sans-serif", size).into_font().color(&BLACK);
    area.draw(&Text::new("Skua as a multiple of Java 5.5.0", (12, 8), text(16)))?;
    let legend = "rates; of end to end the median time, of memory and starts how much less";
    area.draw(&Text::new(legend, (12, 30), text(12)))?;
    let at = |value: f64| {
        let share = (value / least).ln() / (most / least).ln();
        LABELS + (share * f64::from(WIDTH - LABELS - RIGHT)) as i32
    };
    for line in LINES.into_iter().filter(|line| (least..=most).contains(line)) {
        let color = if line == 1.0 { &RED } else { &FAINT };
        area.draw(&PathElement::new([(at(line), HEAD - 4), (at(line), below)], color))?;
        let name = if line == 1.0 { "Java".to_owned() } else { format!("{line}×") };
        let middle = text(12).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(name, (at(line), below + 6), middle))?;
    }
    for (nth, (name, ratio)) in bars.iter().enumerate() {
        let top = HEAD + BAR * nth as i32;
        let right = text(13).pos(Pos::new(HPos::Right, VPos::Top));
        area.draw(&Text::new(name.as_str(), (LABELS - 8, top + 1), right))?;
        let (from, to) = (at(ratio.min(1.0)), at(ratio.max(1.0)));
        let color = if *ratio < 1.0 { WORSE } else { BETTER };
        area.draw(&Rectangle::new([(from, top), (to, top + BAR - GAP)], color.filled()))?;
        area.draw(&Text::new(format!("{ratio:.1}×"), (to + 6, top + 1), text(13)))?;
    }
    area.present()?;
    Ok(())
}

/// A work's name and how many times better Skua does it; none where one of the two is missing.
fn better(figures: &Figures, work: &str) -> Option<(String, f64)> {
    let row = |competitor| figures.of(work, competitor);
    let (java, skua) = (row(Competitor::Java)?, row(Competitor::Skua)?);
    if work.starts_with("end to end") {
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
