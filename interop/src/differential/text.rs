//! Words, quotes and variables of the corpus.

use super::corpus::Pairs;

/// Blank-separated words; quotes may stand anywhere in a word and keep blanks together.
pub fn words(line: &str, at: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quoted = false;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().push(escape(&mut rest, at)),
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    assert!(!quoted, "{at}: a quote without end");
    words.extend(word);
    words
}

pub fn unescape(text: &str, at: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        // JSON has escapes of its own: only what the corpus knows is taken.
        match c {
            '\\' if rest.as_str().starts_with(['n', 'x']) => out.push(escape(&mut rest, at)),
            c => out.push(c),
        }
    }
    out
}

fn escape(rest: &mut std::str::Chars<'_>, at: &str) -> char {
    match rest.next() {
        Some('n') => '\n',
        Some('t') => '\t',
        Some('x') => {
            let digits: String = rest.take(2).collect();
            u8::from_str_radix(&digits, 16)
                .unwrap_or_else(|e| panic!("{at}: \\x{digits}: {e}"))
                .into()
        }
        Some(c @ ('"' | '\\')) => c,
        other => panic!("{at}: unknown escape {other:?}"),
    }
}

/// `name=value`, or `name@=a:1,b:2` for message properties.
pub fn pair(word: &str, at: &str) -> (String, String) {
    let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("{at}: no `=` in `{word}`"));
    match name.strip_suffix('@') {
        None => (name.to_owned(), value.to_owned()),
        Some(name) => {
            let encoded =
                properties(value).iter().map(|(k, v)| format!("{k}\x01{v}\x02")).collect();
            (name.to_owned(), encoded)
        }
    }
}

pub fn properties(text: &str) -> Pairs {
    let items = text.split(',').filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (name, value) = item.split_once(':').unwrap_or((item, ""));
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Puts `value(name)` in place of each `${name}`.
pub fn substitute(text: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').expect("`${` has its `}`");
        out += before;
        out += &value(name);
        rest = after;
    }
    out + rest
}
