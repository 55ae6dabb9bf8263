//! Configuration as properties text, in requests and in what is printed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// The configuration of one server.
#[derive(Serialize)]
pub struct Properties {
    #[serde(skip)]
    pub title: String,
    pub addr: String,
    pub properties: BTreeMap<String, String>,
}

impl fmt::Display for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "============{}============", self.title)?;
        for (key, value) in &self.properties {
            writeln!(f, "{key:<50}=  {value}")?;
        }
        writeln!(f)
    }
}

/// Reads the text that servers answer: a `key=value` a line, escaped as Java's properties are.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (unescape(key.trim()), unescape(value.trim_start())))
        .collect()
}

/// One entry as a server reads it.
pub fn line(key: &str, value: &str) -> String {
    format!("{key}={}\n", value.replace('\\', "\\\\").replace('\n', "\\n"))
}

fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('u') => {
                let digits: String = letters.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                out.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_text_is_read() {
        let read = parse("#c\nb=1\na = x=y\nc=C\\:\\\\d\\u0041\n");
        let list: Vec<_> = read.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(list, ["a=x=y", "b=1", "c=C:\\dA"]);
    }

    #[test]
    fn a_written_line_is_read_back() {
        assert_eq!(parse(&line("k", "a\\b\nc"))["k"], "a\\b\nc");
    }
}
