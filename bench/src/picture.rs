//! The picture: for each work with a rate, how many times Java's Skua's is.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::figures::Figures;
use crate::servers::Competitor;

const WIDTH: u32 = 860;
const BAR: u32 = 26;
const LABELS: i32 = 330;
const RIGHT: i32 = 70;

pub fn draw(figures: &Figures, file: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let ratio = |work: &str| {
        let rate = |competitor| Some(figures.of(work, competitor)?.median(|run| run.per_second));
        Some(rate(Competitor::Skua)? / rate(Competitor::Java)?)
    };
    let bars: Vec<(&str, f64)> = figures
        .works()
        .into_iter()
        .filter(|work| !work.starts_with("end to end"))
        .filter_map(|work| Some((work, ratio(work)?)))
        .collect();
    let most = bars.iter().map(|(_, ratio)| *ratio).fold(1.0, f64::max);
    let height = BAR * (bars.len() as u32 + 2);
    let area = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32| ("sans-serif", size).into_font().color(&BLACK);
    area.draw(&Text::new(
        "Messages a second: Skua as a multiple of Java 5.5.0",
        (12, 8),
        text(15),
    ))?;
    let scale = f64::from(WIDTH as i32 - LABELS - RIGHT) / most;
    let end = |value: f64| LABELS + (value * scale) as i32;
    for (at, (work, ratio)) in bars.iter().enumerate() {
        let top = (BAR * (at as u32 + 1)) as i32 + 8;
        let right = text(13).pos(Pos::new(HPos::Right, VPos::Top));
        area.draw(&Text::new(*work, (LABELS - 8, top + 3), right))?;
        let bar = [(LABELS, top), (end(*ratio), top + BAR as i32 - 8)];
        area.draw(&Rectangle::new(bar, RGBColor(38, 103, 160).filled()))?;
        area.draw(&Text::new(format!("{ratio:.1}×"), (end(*ratio) + 6, top + 3), text(13)))?;
    }
    let foot = BAR as i32 * (bars.len() as i32 + 1) + 8;
    area.draw(&PathElement::new([(end(1.0), BAR as i32), (end(1.0), foot)], RED))?;
    area.draw(&Text::new("Java", (end(1.0) - 12, foot), text(12)))?;
    area.present()?;
    Ok(())
}
