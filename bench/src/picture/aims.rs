//! The picture of the aims: the figures of the floor, Java and Skua side by side, what is to be
//! reached, and how far Skua is.

use std::path::Path;

use plotters::prelude::*;

use super::{FAINT, GOOD, INK, MUTED, Outcome, PAPER, SHORT, centred, right, text};
use crate::aims::outcomes;
use crate::figures::Figures;
use crate::table::most_busy;

const WIDTH: i32 = 980;
const ROW: i32 = 22;
const BAR: i32 = 12;
const HEAD: i32 = 116;
const FOOT: i32 = 20;
/// Right edges of the columns of figures.
const FLOOR: i32 = 396;
const JAVA: i32 = 486;
const SKUA: i32 = 578;
/// Left edges of what follows.
const AIM: i32 = 594;
const WAY: i32 = 726;
const WAY_LEN: i32 = 126;
const VERDICT: i32 = WAY + WAY_LEN + 10;
/// How much of the way is drawn at most; the aim stands at 1.
const FULL: f64 = 1.5;

pub fn draw(figures: &Figures, file: &Path) -> Outcome {
    let outcomes = outcomes(figures);
    let met = outcomes.iter().filter(|outcome| outcome.met).count();
    let below = HEAD + ROW * outcomes.len() as i32;
    let size = (WIDTH as u32, (below + FOOT) as u32);
    {
        let area = SVGBackend::new(file, size).into_drawing_area();
        area.fill(&PAPER)?;
        let title = format!(
            "Skua beside Java RocketMQ and the machine's floor: {met} of {} aims met",
            outcomes.len()
        );
        area.draw(&Text::new(title, (16, 14), text(17, INK)))?;
        let machine = &figures.machine;
        area.draw(&Text::new(machine.line(), (16, 38), text(12, MUTED)))?;
        let generator = most_busy(figures).map_or_else(String::new, |(share, work)| {
            format!("; generator at most {:.0} % of a core ({work})", share * 100.0)
        });
        let versions = format!("{}{generator}", machine.versions());
        area.draw(&Text::new(versions, (16, 55), text(12, MUTED)))?;

        let names = HEAD - 24;
        let columns = [(FLOOR, "floor"), (JAVA, "Java"), (SKUA, "Skua")];
        for (at, name) in columns {
            area.draw(&Text::new(name, (at, names), right(12, MUTED)))?;
        }
        area.draw(&Text::new("aim", (AIM, names), text(12, MUTED)))?;
        let aim_at = WAY + (f64::from(WAY_LEN) / FULL) as i32;
        area.draw(&Text::new("aim", (aim_at, names), centred(12, MUTED)))?;
        area.draw(&Text::new("reached", (VERDICT, names), text(12, MUTED)))?;
        let rule = |y: i32| PathElement::new([(16, y), (WIDTH - 16, y)], FAINT);
        area.draw(&rule(HEAD - 6))?;

        for (nth, outcome) in outcomes.iter().enumerate() {
            let top = HEAD + ROW * nth as i32;
            let same = nth > 0 && outcomes[nth - 1].work == outcome.work;
            // Said once of each work.
            let title = if same { format!("… {}", outcome.measure) } else { outcome.title() };
            area.draw(&Text::new(title, (16, top), text(13, INK)))?;
            let values = [(FLOOR, outcome.floor, MUTED), (JAVA, outcome.java, MUTED)];
            for (at, value, color) in values {
                area.draw(&Text::new(outcome.figure(value), (at, top), right(12, color)))?;
            }
            area.draw(&Text::new(outcome.figure(Some(outcome.skua)), (SKUA, top), right(12, INK)))?;
            area.draw(&Text::new(outcome.brief.as_str(), (AIM, top), text(12, MUTED)))?;
            let color = if outcome.met { GOOD } else { SHORT };
            let share = outcome.way.clamp(0.0, FULL) / FULL;
            let to = WAY + ((f64::from(WAY_LEN) * share) as i32).max(2);
            let bar = [(WAY, top - 1), (to, top - 1 + BAR)];
            area.draw(&Rectangle::new([bar[0], (WAY + WAY_LEN, bar[1].1)], FAINT.filled()))?;
            area.draw(&Rectangle::new(bar, color.filled()))?;
            area.draw(&Text::new(outcome.verdict(), (VERDICT, top), text(12, color)))?;
        }
        let line = [(aim_at, HEAD - 4), (aim_at, below - 6)];
        area.draw(&PathElement::new(line, INK))?;
        area.present()?;
    }
    super::for_dark_pages(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::figures::Run;
    use crate::servers::Competitor;

    #[test]
    fn each_aim_has_its_verdict_and_dark_colours() {
        let mut figures = Figures::default();
        let run = |per_second| Run { per_second, ..Run::default() };
        let work = "send 1 KiB, 16 in flight";
        figures.add((work, None), Competitor::Java, run(100.0));
        figures.add((work, None), Competitor::Skua, run(620.0));
        let file = std::env::temp_dir().join(format!("skua-aims-{}.svg", std::process::id()));
        draw(&figures, &file).expect("a picture");
        let drawn = fs::read_to_string(&file).expect("a file");
        fs::remove_file(&file).expect("a file");
        assert!(drawn.contains("1 of 1 aims met") && drawn.contains("met: 6.2 of 5"), "{drawn}");
        assert!(drawn.contains("620/s") && drawn.contains("≥ 5 × Java"), "{drawn}");
        assert!(drawn.contains("[fill=\"#1A7F37\"]{fill:#3fb950}"), "{drawn}");
        assert!(drawn.contains("fill=\"#1A7F37\" stroke"), "{drawn}");
    }
}
