//! Pictures: which aims are met, and every work as a multiple of Java's.

mod aims;
mod works;

use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::TextStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use aims::draw as draw_aims;
pub use works::draw as draw_works;

pub type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

pub const PAPER: RGBColor = WHITE;
pub const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
pub const MUTED: RGBColor = RGBColor(0x59, 0x63, 0x6e);
pub const FAINT: RGBColor = RGBColor(0xd8, 0xde, 0xe4);
pub const GOOD: RGBColor = RGBColor(0x1a, 0x7f, 0x37);
pub const SHORT: RGBColor = RGBColor(0xbc, 0x4c, 0x00);
pub const PLAIN: RGBColor = RGBColor(0x26, 0x67, 0xa0);

/// What stands for each colour where the reader's pages are dark.
const DARK: [(RGBColor, &str); 7] = [
    (PAPER, "#0d1117"),
    (INK, "#e6edf3"),
    (MUTED, "#9198a1"),
    (FAINT, "#30363d"),
    (GOOD, "#3fb950"),
    (SHORT, "#f0883e"),
    (PLAIN, "#58a6ff"),
];

pub fn text(size: i32, color: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&color)
}

pub fn right(size: i32, color: RGBColor) -> TextStyle<'static> {
    text(size, color).pos(Pos::new(HPos::Right, VPos::Top))
}

pub fn centred(size: i32, color: RGBColor) -> TextStyle<'static> {
    text(size, color).pos(Pos::new(HPos::Center, VPos::Top))
}

/// Gives a drawn file its dark colours. They stand in a style sheet, which a picture within a page
/// follows too; whoever does not know it shows the light ones on their own ground.
pub fn for_dark_pages(file: &Path) -> Outcome {
    let drawn = fs::read_to_string(file)?;
    let of = |(RGBColor(red, green, blue), dark): (RGBColor, &str)| {
        let light = format!("#{red:02X}{green:02X}{blue:02X}");
        format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
    };
    let rules = DARK.map(of).concat();
    let style = format!("<style>@media (prefers-color-scheme:dark){{{rules}}}</style>");
    let head = drawn.find("<svg").and_then(|at| Some(at + drawn[at..].find('>')? + 1));
    let head = head.ok_or("no picture was drawn")?;
    fs::write(file, format!("{}\n{style}{}", &drawn[..head], &drawn[head..]))?;
    Ok(())
}
