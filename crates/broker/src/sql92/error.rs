//! Why an expression cannot be compiled, or not be evaluated over a message.

/// Where an expression is wrong, and why. Line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at line {line}, column {column}: {reason}")]
pub struct SyntaxError {
    pub line: usize,
    pub column: usize,
    pub reason: Reason,
}

impl SyntaxError {
    /// The error at a byte of the text.
    pub(super) fn at(text: &str, offset: usize, reason: Reason) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            reason,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the expression has {len} bytes, at most {max} are served")]
    TooLong { len: usize, max: usize },
    #[error("the expression nests more than {max} levels deep")]
    TooDeep { max: usize },
    #[error("the expression has more than {max} operators and operands")]
    TooManyTerms { max: usize },
    #[error("character {0:?} begins no token")]
    UnknownCharacter(char),
    #[error("the quoted text has no end")]
    OpenText,
    #[error("the comment has no end")]
    OpenComment,
    #[error("found {found}, expected {expected}")]
    Unexpected { found: String, expected: &'static str },
    #[error("{0} is beyond a 64-bit integer")]
    IntegerTooLarge(String),
    #[error("{0} is beyond a double")]
    DoubleTooLarge(String),
    /// Java: 0.0 is refused as well.
    #[error("{0} is less than the least positive double")]
    DoubleTooSmall(String),
    #[error("{operand} is neither true nor false")]
    NotBoolean { operand: &'static str },
    #[error("{operand} has no order to compare by")]
    NotOrdered { operand: &'static str },
    #[error("NULL equals nothing; IS NULL asks for it")]
    EqualsNull,
    #[error("{left} cannot equal {right}")]
    NeverEqual { left: &'static str, right: &'static str },
    #[error("IN asks for a property on its left, found {operand}")]
    InWithoutProperty { operand: &'static str },
    #[error("BETWEEN's lower bound is greater than its upper bound")]
    BoundsSwapped,
}

/// A comparison that Java answers with an exception; the message does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError<'a> {
    #[error("{0:?} is compared with a number and is none of its kind")]
    NotNumber(&'a str),
    /// Java: only with the boolean on the right is the text read as one.
    #[error("a boolean is compared with the text {0:?}")]
    BooleanBeforeText(&'a str),
}
