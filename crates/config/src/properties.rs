//! Java's properties syntax (`java.util.Properties.load`), with line numbers kept.

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
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
            Err(_) => bytes.iter().copied().map(char::from).collect(),
        };
        let mut entries = Vec::new();
        let mut lines = Lines { text: &text, number: 0 };
        while let Some((line, number)) = lines.next_logical() {
            let (key, value) = split(&line);
            entries.push(Entry {
                key: unescape(key),
                value: unescape(value).trim().to_owned(),
                line: number,
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

    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }
}

/// `key=value` lines that [`Properties::parse`] and Java read back to the same pairs.
pub fn write<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (key, value) in pairs {
        escape(key, true, &mut out);
        out.push('=');
        escape(value, false, &mut out);
        out.push('\n');
    }
    out
}

struct Lines<'a> {
    text: &'a str,
    number: usize,
}

impl Lines<'_> {
    fn next_natural(&mut self) -> Option<&str> {
        if self.text.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.text.find(['\n', '\r']).unwrap_or(self.text.len());
        let line = &self.text[..end];
        let rest = &self.text[end..];
        self.text = rest.strip_prefix("\r\n").unwrap_or_else(|| rest.get(1..).unwrap_or(""));
        Some(line)
    }

    /// The next line that says something, continued ones joined, and the number of its first.
    fn next_logical(&mut self) -> Option<(String, usize)> {
        let mut line = loop {
            let line = self.next_natural()?.trim_start_matches(is_blank);
            if !line.is_empty() && !line.starts_with(['#', '!']) {
                break line.to_owned();
            }
        };
        let number = self.number;
        while ends_in_odd_backslashes(&line) {
            line.pop();
            match self.next_natural() {
                Some(next) => line.push_str(next.trim_start_matches(is_blank)),
                None => break,
            }
        }
        Some((line, number))
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
