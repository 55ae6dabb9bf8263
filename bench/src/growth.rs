//! Whether a message costs more where there is more of something: topics, queues, groups,
//! connections, stored bytes. Skua alone, the same sends at each point.

use std::fs;
use std::io;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Serialize;
use skua_interop::Kind;

use crate::Args;
use crate::figures::{Figures, Run};
use crate::generator::Sends;
use crate::memory;
use crate::picture;
use crate::runs::Held;
use crate::servers::Group;
use crate::work::Setup;

const IN_FLIGHT: u32 = 256;
const COUNTS: &[u32] = &[1, 10, 100, 1000, 10_000];
/// Each is written down with all others when it is made.
const GROUPS: &[u32] = &[1, 10, 100, 1000];
/// Groups that one client is of.
const GROUPS_OF_ONE: u32 = 100;
/// MiB of what is stored.
const SIZES: &[u32] = &[20, 200, 2000, 20_000];
/// What is stored comes in such batches.
const FILL_BATCH: u32 = 64;
const STORED: u64 = 1024 + 150;
const TOPIC: &str = "growth";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Of {
    Topics,
    Queues,
    Groups,
    Connections,
    Store,
}

impl Of {
    const ALL: [Self; 5] =
        [Self::Topics, Self::Queues, Self::Groups, Self::Connections, Self::Store];

    fn name(self) -> &'static str {
        match self {
            Self::Topics => "topics",
            Self::Queues => "queues of the topic",
            Self::Groups => "consumer groups of the topic",
            Self::Connections => "idle connections",
            Self::Store => "MiB stored",
        }
    }

    fn points(self) -> &'static [u32] {
        match self {
            Self::Store => SIZES,
            Self::Groups => GROUPS,
            _ => COUNTS,
        }
    }

    const fn color(self) -> RGBColor {
        match self {
            Self::Topics => RGBColor(38, 103, 160),
            Self::Queues => RGBColor(190, 80, 40),
            Self::Groups => RGBColor(60, 140, 70),
            Self::Connections => RGBColor(130, 80, 160),
            Self::Store => RGBColor(120, 120, 40),
        }
    }
}

/// What sends cost where there are so many.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    of: Of,
    at: u32,
    per_second: f64,
    cpu_micros: f64,
}

/// Measures all, and writes `growth.md`, `growth.json` and `growth.svg`.
pub fn run(args: &Args) -> io::Result<()> {
    let mut points = Vec::new();
    for of in Of::ALL.into_iter().filter(|of| args.wants(of.name())) {
        let group = Group::start(Kind::Skua, Setup::Fresh, &mut Figures::default());
        let mut stored = 0;
        for at in of.points() {
            let mut runs: Vec<Run> = (0..args.rounds)
                .map(|_| {
                    let more = u64::from(*at) * 1024 * 1024;
                    if of == Of::Store && more > stored {
                        store(&group, more - stored);
                        stored = more;
                    }
                    memory::touch(&args.ground(), args.touch)?;
                    Ok(measure(&group, of, *at, args))
                })
                .collect::<io::Result<_>>()?;
            runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
            let run = &runs[runs.len() / 2];
            let cpu_micros = run.cpu_per_million.unwrap_or(0.0);
            eprintln!("{at} {}: {:.0}/s, {cpu_micros:.2} µs", of.name(), run.per_second);
            points.push(Point { of, at: *at, per_second: run.per_second, cpu_micros });
        }
    }
    fs::create_dir_all(&args.out)?;
    let text = markdown(&points);
    print!("{text}");
    fs::write(args.out.join("growth.md"), text)?;
    fs::write(args.out.join("growth.json"), serde_json::to_string_pretty(&points)?)?;
    draw(&points, &args.out.join("growth.svg")).map_err(io::Error::other)
}

fn store(group: &Group, bytes: u64) {
    let count = (bytes / STORED).max(1).to_string();
    let sends = Sends { batch: FILL_BATCH, ..Sends::plain(16) };
    group.produce("stored", sends, &["--count", &count, "--warm-up", "0"]);
}

fn measure(group: &Group, of: Of, at: u32, args: &Args) -> Run {
    let broker = &group.brokers[0].addr;
    let mut sends = Sends::plain(IN_FLIGHT);
    let mut topic = TOPIC.to_owned();
    // Held while the sends go on.
    let mut _held = None;
    match of {
        // One queue each, so that no other number grows with theirs more than it must.
        Of::Topics => {
            sends.topics = at;
            sends.queues = 1;
        }
        Of::Queues => {
            sends.queues = at;
            topic = format!("{TOPIC}-{at}");
        }
        Of::Groups => {
            _held = Some(Held::connections(broker, at.div_ceil(GROUPS_OF_ONE), at, TOPIC));
        }
        Of::Connections => _held = Some(Held::connections(broker, at, 0, TOPIC)),
        Of::Store => {}
    }
    // Every queue has had a message before: its files are there.
    let first = (at * 8).clamp(1000, 100_000).to_string();
    group.produce(&topic, sends, &["--count", &first, "--warm-up", "0"]);
    group.send(&topic, sends, args)
}

fn markdown(points: &[Point]) -> String {
    let mut text =
        String::from("| of | at | sends a second | CPU µs a message |\n|---|---|---|---|\n");
    for Point { of, at, per_second, cpu_micros } in points {
        text.push_str(&format!("| {} | {at} | {per_second:.0} | {cpu_micros:.2} |\n", of.name()));
    }
    text
}

const WIDTH: i32 = 860;
const HEIGHT: i32 = 460;
const LEFT: i32 = 60;
const RIGHT: i32 = 250;
const HEAD: i32 = 50;
const FOOT: i32 = 50;
/// Decades shown, as multiples of the first point.
const MOST: f64 = 10_000.0;

/// For each kind CPU time a message, as a multiple of its first point's.
fn draw(points: &[Point], file: &Path) -> picture::Outcome {
    let area = SVGBackend::new(file, (WIDTH as u32, HEIGHT as u32)).into_drawing_area();
    area.fill(&picture::PAPER)?;
    let text = |size: i32| picture::text(size, picture::INK);
    let lines: Vec<(Of, Vec<(f64, f64)>)> = Of::ALL
        .into_iter()
        .filter_map(|of| {
            let mut own = points.iter().filter(|point| point.of == of).peekable();
            let first = (*own.peek()?).clone();
            let ratio = |point: &Point| {
                (f64::from(point.at) / f64::from(first.at), point.cpu_micros / first.cpu_micros)
            };
            Some((of, own.map(ratio).collect()))
        })
        .collect();
    let most = lines.iter().flat_map(|(_, line)| line).map(|(_, y)| *y).fold(2.0, f64::max);
    let x =
        |value: f64| LEFT + (value.log10() / MOST.log10() * f64::from(WIDTH - LEFT - RIGHT)) as i32;
    let y = |value: f64| HEIGHT - FOOT - (value / most * f64::from(HEIGHT - HEAD - FOOT)) as i32;
    let title =
        "Server's CPU time a message where there is more of something, 1 = where there is least";
    area.draw(&Text::new(title, (12, 12), text(15)))?;
    let faint = picture::FAINT;
    for power in 0..=4 {
        let value = 10_f64.powi(power);
        area.draw(&PathElement::new([(x(value), HEAD), (x(value), y(0.0))], faint))?;
        let middle = text(12).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(format!("{value}×"), (x(value), y(0.0) + 8), middle))?;
    }
    for whole in 0..=most as i32 {
        let value = f64::from(whole);
        area.draw(&PathElement::new([(LEFT, y(value)), (x(MOST), y(value))], faint))?;
        let right = text(12).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(whole.to_string(), (LEFT - 8, y(value)), right))?;
    }
    for (nth, (of, line)) in lines.iter().enumerate() {
        let style = of.color().stroke_width(2);
        let path: Vec<(i32, i32)> = line.iter().map(|(at, cost)| (x(*at), y(*cost))).collect();
        area.draw(&PathElement::new(path, style))?;
        let row = HEAD + 10 + 22 * nth as i32;
        let left = x(MOST) + 20;
        area.draw(&PathElement::new([(left, row + 7), (left + 24, row + 7)], style))?;
        let range = of.points();
        let name = format!("{} ({}–{})", of.name(), range[0], range[range.len() - 1]);
        area.draw(&Text::new(name, (left + 30, row), text(12)))?;
    }
    area.present()?;
    drop(area);
    picture::for_dark_pages(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_line() {
        let point = |of: Of, at| Point { of, at, per_second: 1.0, cpu_micros: 3.0 };
        let points: Vec<Point> = Of::ALL
            .into_iter()
            .flat_map(|of| of.points().iter().map(move |at| point(of, *at)))
            .collect();
        let file = std::env::temp_dir().join(format!("skua-growth-{}.svg", std::process::id()));
        draw(&points, &file).expect("a picture");
        let drawn = fs::read_to_string(&file).expect("a file");
        fs::remove_file(&file).expect("a file");
        for of in Of::ALL {
            assert!(drawn.contains(of.name()), "{drawn}");
        }
        assert_eq!(markdown(&points).lines().count(), 2 + points.len());
    }
}
