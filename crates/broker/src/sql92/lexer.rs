//! Tokens of an expression. The longest token wins, keywords are known in any case; bytes that
//! begin none are an error only when they are reached.

use super::error::{Reason, SyntaxError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    End,
    Keyword(Keyword),
    /// `0`, or digits that do not begin with it; maybe with an `L` behind.
    Integer(&'a str),
    Double(&'a str),
    /// What stands between the quotes, inner quotes still doubled.
    Text(&'a str),
    Name(&'a str),
    Symbol(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Not,
    And,
    Or,
    Between,
    In,
    True,
    False,
    Null,
    Is,
    Contains,
    StartsWith,
    EndsWith,
}

const KEYWORDS: [(&str, Keyword); 12] = [
    ("NOT", Keyword::Not),
    ("AND", Keyword::And),
    ("OR", Keyword::Or),
    ("BETWEEN", Keyword::Between),
    ("IN", Keyword::In),
    ("TRUE", Keyword::True),
    ("FALSE", Keyword::False),
    ("NULL", Keyword::Null),
    ("IS", Keyword::Is),
    ("CONTAINS", Keyword::Contains),
    ("STARTSWITH", Keyword::StartsWith),
    ("ENDSWITH", Keyword::EndsWith),
];

/// Longer ones first.
const SYMBOLS: [&str; 11] = ["<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "+", "-"];

/// Characters of a token that an error message shows.
const SHOWN_MAX: usize = 40;

impl Token<'_> {
    /// As error messages name it.
    pub(super) fn shown(self) -> String {
        let text = match self {
            Self::End => return "the end".to_owned(),
            Self::Text(text) => return format!("'{}'", cut(text)),
            Self::Keyword(keyword) => {
                KEYWORDS.iter().find(|(_, k)| *k == keyword).map_or("", |(name, _)| name)
            }
            Self::Integer(text) | Self::Double(text) | Self::Name(text) => text,
            Self::Symbol(text) => text,
        };
        format!("`{}`", cut(text))
    }
}

/// The first characters of what may be long.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn error(&self, offset: usize, reason: Reason) -> SyntaxError {
        SyntaxError::at(self.text, offset, reason)
    }

    /// The next token and the byte where it begins.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, usize), SyntaxError> {
        self.skip_blanks()?;
        let (start, rest) = (self.at, &self.text[self.at..]);
        let Some(&first) = rest.as_bytes().first() else { return Ok((Token::End, start)) };
        let (token, len) = match first {
            b'\'' => self.quoted(rest)?,
            b'0'..=b'9' | b'.' => self.number(rest)?,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => word(rest),
            _ => {
                let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
                let symbol = symbol.ok_or_else(|| self.unknown(rest))?;
                (Token::Symbol(symbol), symbol.len())
            }
        };
        self.at += len;
        Ok((token, start))
    }

    fn unknown(&self, rest: &str) -> SyntaxError {
        let reason = if rest.starts_with("/*") {
            Reason::OpenComment
        } else {
            Reason::UnknownCharacter(rest.chars().next().unwrap_or_default())
        };
        self.error(self.at, reason)
    }

    /// White space and comments. A line comment needs its line end to be one; without it the two
    /// dashes are signs.
    fn skip_blanks(&mut self) -> Result<(), SyntaxError> {
        loop {
            let rest = &self.text[self.at..];
            let len = match rest.as_bytes() {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0c, ..] => Some(1),
                [b'-', b'-', ..] => rest.find(['\n', '\r']).map(|end| end + 1),
                [b'/', b'*', ..] => {
                    let end = rest[2..].find("*/").map(|end| end + 4);
                    Some(end.ok_or_else(|| self.unknown(rest))?)
                }
                _ => None,
            };
            match len {
                Some(len) => self.at += len,
                None => return Ok(()),
            }
        }
    }

    /// A doubled quote goes on if there is an end further on; else it was an end and a beginning.
    fn quoted(&self, rest: &'a str) -> Result<(Token<'a>, usize), SyntaxError> {
        let bytes = rest.as_bytes();
        let (mut at, mut end) = (1, None);
        while let Some(quote) = rest[at..].find('\'') {
            at += quote + 1;
            end = Some(at);
            if bytes.get(at) != Some(&b'\'') {
                break;
            }
            at += 1;
        }
        let end = end.ok_or_else(|| self.error(self.at, Reason::OpenText))?;
        Ok((Token::Text(&rest[1..end - 1]), end))
    }

    fn number(&self, rest: &'a str) -> Result<(Token<'a>, usize), SyntaxError> {
        let bytes = rest.as_bytes();
        let whole = digits(bytes, 0);
        let fraction = (bytes.get(whole) == Some(&b'.')).then(|| digits(bytes, whole + 1));
        let mantissa = whole + fraction.map_or(0, |digits| digits + 1);
        if whole == 0 && fraction == Some(0) {
            return Err(self.unknown(rest));
        }
        let end = mantissa + exponent(bytes, mantissa);
        if end > whole {
            return Ok((Token::Double(&rest[..end]), end));
        }
        let len = match bytes {
            [b'0', ..] => 1,
            _ if matches!(bytes.get(whole), Some(b'l' | b'L')) => whole + 1,
            _ => whole,
        };
        Ok((Token::Integer(&rest[..len]), len))
    }
}

fn digits(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Length of an exponent there, 0 if there is none.
fn exponent(bytes: &[u8], from: usize) -> usize {
    if !matches!(bytes.get(from), Some(b'e' | b'E')) {
        return 0;
    }
    let sign = usize::from(matches!(bytes.get(from + 1), Some(b'+' | b'-')));
    match digits(bytes, from + 1 + sign) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

fn word(rest: &str) -> (Token<'_>, usize) {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    let len = rest.bytes().take_while(|byte| is_part(byte)).count();
    let name = &rest[..len];
    let keyword = KEYWORDS.iter().find(|(keyword, _)| keyword.eq_ignore_ascii_case(name));
    (keyword.map_or(Token::Name(name), |(_, keyword)| Token::Keyword(*keyword)), len)
}
