//! Java's properties syntax (`java.util.Properties.load`), with line numbers kept.

use std::collections::BTreeMap;
use std::ops::Range;

/// One `key=value` of a file; the value has no blanks around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: String,
    /// Line in the file, from 1; 0 for what came from elsewhere.
    pub line: usize,
}

impl Entry {
    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn value(&self) -> &str {
        &self.value
    }
}

/// A configuration file as it was said.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    /// Where it came from, for messages.
    pub source: String,
    entries: Vec<Entry>,
}

impl Properties {
    /// Reads UTF-8, or ISO-8859-1 if it is not that. Every byte string is some properties file;
    /// a `\u` that four hexadecimal digits do not follow stands for itself.
    pub fn parse(bytes: &[u8], source: &str) -> Self {
        let text = decode(bytes);
        let mut entries = Vec::new();
        let mut lines = Lines::of(&text);
        while let Some(line) = lines.next_logical() {
            let (key, value) = split(&line.text);
            entries.push(Entry {
                key: unescape(key),
                value: unescape(value).trim().to_owned(),
                line: line.number,
            });
        }
        Self { source: source.to_owned(), entries }
    }

    /// Entries in the file's order; of two with the same key the last one counts.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub fn push(&mut self, key: &str, value: &str) {
        self.entries.push(Entry { key: key.to_owned(), value: value.to_owned(), line: 0 });
    }

    /// Where an entry stands, for messages.
    pub fn place(&self, entry: &Entry) -> String {
        format!("{}:{}", self.source, entry.line)
    }

    /// The value of the last entry with this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }
}

/// `key=value` lines that [`Properties::parse`] and Java read back to the same pairs.
pub fn write<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (key, value) in pairs {
        write_pair(key, value, &mut out);
        out.push('\n');
    }
    out
}

fn write_pair(key: &str, value: &str, out: &mut String) {
    escape(key, true, out);
    out.push('=');
    escape(value, false, out);
}

/// A file with some keys changed: each in the line where it counts, new ones at the end; comments,
/// order and all other lines stay as they are. The answer is UTF-8, whatever the file was.
pub fn edit<'a>(file: &[u8], changes: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let text = decode(file);
    let mut last_lines = BTreeMap::new();
    let mut dangling = false;
    let mut lines = Lines::of(&text);
    while let Some(line) = lines.next_logical() {
        dangling = line.dangling;
        last_lines.insert(unescape(split(&line.text).0), line.span);
    }
    let (mut replaced, mut added) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in changes {
        if let Some(span) = last_lines.get(key) {
            replaced.insert(span.start, (span.end, key, value));
        } else {
            added.insert(key, value);
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, (end, key, value)) in replaced {
        out.push_str(&text[at..start]);
        write_pair(key, value, &mut out);
        at = end;
    }
    out.push_str(&text[at..]);
    if !added.is_empty() && !out.is_empty() && !out.ends_with(['\n', '\r']) {
        out.push('\n');
    }
    if dangling && !added.is_empty() {
        // Else the first new line would continue it.
        out.push('\n');
    }
    for (key, value) in added {
        write_pair(key, value, &mut out);
        out.push('\n');
    }
    out
}

/// UTF-8, or ISO-8859-1 if it is not that.
fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// A line that says something, continued ones joined.
struct Line {
    text: String,
    /// Of its first line in the file, from 1.
    number: usize,
    /// Where it stands in the text, without the end of its last line.
    span: Range<usize>,
    /// It asks to be continued, but the file ends.
    dangling: bool,
}

struct Lines<'a> {
    text: &'a str,
    at: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, at: 0, number: 0 }
    }

    fn next_natural(&mut self) -> Option<(&'a str, Range<usize>)> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        self.number += 1;
        let len = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let span = self.at..self.at + len;
        let end = if rest[len..].starts_with("\r\n") { 2 } else { 1 };
        self.at = (span.end + end).min(self.text.len());
        Some((&rest[..len], span))
    }

    fn next_logical(&mut self) -> Option<Line> {
        let (first, mut span) = loop {
            let (line, span) = self.next_natural()?;
            let line = line.trim_start_matches(is_blank);
            if !line.is_empty() && !line.starts_with(['#', '!']) {
                break (line, span);
            }
        };
        let (mut text, number) = (first.to_owned(), self.number);
        let mut dangling = false;
        while ends_in_odd_backslashes(&text) {
            text.pop();
            let Some((next, next_span)) = self.next_natural() else {
                dangling = true;
                break;
            };
            text.push_str(next.trim_start_matches(is_blank));
            span.end = next_span.end;
        }
        Some(Line { text, number, span, dangling })
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn ends_in_odd_backslashes(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The key ends at the first unescaped `=`, `:` or blank; blanks around the separator go.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .find(|c: char| {
            if escaped {
                escaped = false;
                return false;
            }
            escaped = c == '\\';
            c == '=' || c == ':' || is_blank(c)
        })
        .unwrap_or(line.len());
    let rest = line[end..].trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], value.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let push = |c: char, units: &mut Vec<u16>| {
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    };
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(c, &mut units);
            continue;
        }
        match chars.next() {
            Some('t') => push('\t', &mut units),
            Some('n') => push('\n', &mut units),
            Some('r') => push('\r', &mut units),
            Some('f') => push('\u{c}', &mut units),
            Some('u') => {
                let digits =
                    chars.as_str().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
                    Some(unit) => {
                        units.push(unit);
                        chars = chars.as_str()[4..].chars();
                    }
                    None => push('u', &mut units),
                }
            }
            Some(other) => push(other, &mut units),
            None => {}
        }
    }
    String::from_utf16_lossy(&units)
}

fn escape(text: &str, is_key: bool, out: &mut String) {
    for (index, c) in text.char_indices() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{c}' => out.push_str("\\f"),
            ' ' if is_key || index == 0 => out.push_str("\\ "),
            '=' | ':' if is_key => {
                out.push('\\');
                out.push(c);
            }
            '#' | '!' if is_key && index == 0 => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
}
