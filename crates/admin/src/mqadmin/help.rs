//! The usage text as commons-cli's `HelpFormatter` lays it out, 110 columns wide.

use super::SubCommand;
use super::options::{OWN, Opt, Syntax};

const WIDTH: usize = 110;
const LEFT_PAD: usize = 1;
const DESCRIPTION_PAD: usize = 3;

/// What `-h` prints: Java's usage text, the options that are Skua's own, and an example.
pub fn full(command: &SubCommand) -> String {
    let mut text = usage(command.name, &Syntax::new(command.options));
    text.push_str("beyond RocketMQ's:\n");
    let widest = OWN.iter().map(|opt| names(opt).len()).max().unwrap_or(0);
    for opt in &OWN {
        let line = format!("{:widest$}{:DESCRIPTION_PAD$}{}", names(opt), "", opt.help);
        wrap(&line, widest + DESCRIPTION_PAD, &mut text);
    }
    text.push_str(format!("example: mqadmin {} {}", command.name, command.example).trim_end());
    text.push('\n');
    text
}

/// `usage: …` and one line for each option.
pub fn usage(command: &str, syntax: &Syntax) -> String {
    let options = syntax.documented();
    let mut line = format!("usage: mqadmin {command} ");
    let mut groups: Vec<*const Opt> = Vec::new();
    let count = options.len();
    for (index, (opt, group, required)) in options.iter().enumerate() {
        match group {
            None => line.push_str(&bracketed(&form(opt), *required)),
            // A group is written where its first member stands; the others leave only a blank.
            Some(members) if !groups.contains(&members.as_ptr()) => {
                groups.push(members.as_ptr());
                let mut members: Vec<&Opt> = members.iter().collect();
                members.sort_by_key(|opt| opt.key().to_lowercase());
                let forms: Vec<String> = members.into_iter().map(form).collect();
                line.push_str(&bracketed(&forms.join(" | "), *required));
            }
            Some(_) => {}
        }
        if index + 1 < count {
            line.push(' ');
        }
    }
    let mut text = String::new();
    wrap(&line, "usage: ".len(), &mut text);

    let names: Vec<String> = options.iter().map(|(opt, _, _)| names(opt)).collect();
    let widest = names.iter().map(String::len).max().unwrap_or(0);
    for ((opt, _, _), name) in options.iter().zip(&names) {
        let line = format!("{name:widest$}{:DESCRIPTION_PAD$}{}", "", opt.help);
        wrap(&line, widest + DESCRIPTION_PAD, &mut text);
    }
    text
}

fn bracketed(text: &str, required: bool) -> String {
    if required { text.to_owned() } else { format!("[{text}]") }
}

fn form(opt: &Opt) -> String {
    let name =
        if opt.short.is_empty() { format!("--{}", opt.long) } else { format!("-{}", opt.short) };
    if opt.takes_value { format!("{name} <arg>") } else { name }
}

fn names(opt: &Opt) -> String {
    let mut text = " ".repeat(LEFT_PAD);
    match opt.short {
        "" => text.push_str(&format!("   --{}", opt.long)),
        short => text.push_str(&format!("-{short},--{}", opt.long)),
    }
    if opt.takes_value {
        text.push_str(" <arg>");
    }
    text
}

/// Breaks `line` at blanks so that no piece is longer than [`WIDTH`]; continued lines are indented.
fn wrap(line: &str, indent: usize, out: &mut String) {
    let mut rest = line.trim_end().to_owned();
    let mut first = true;
    loop {
        let width = rest.chars().count();
        let break_at = if width <= WIDTH {
            None
        } else {
            let skip = if first { 0 } else { indent };
            let limit = rest.char_indices().nth(WIDTH).map_or(rest.len(), |(at, _)| at);
            let end = (limit + 1).min(rest.len());
            let head = rest.get(..end).unwrap_or(&rest);
            head.rfind(' ').filter(|&at| at > skip).or(Some(limit))
        };
        let Some(at) = break_at else {
            out.push_str(&rest);
            out.push('\n');
            return;
        };
        out.push_str(rest[..at].trim_end());
        out.push('\n');
        rest = format!("{:indent$}{}", "", rest[at..].trim_start());
        first = false;
    }
}
