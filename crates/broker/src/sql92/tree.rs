//! What an expression is once parsed.

/// A node. Names of properties are slots of the filter's table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Property(usize),
    Text(Box<str>),
    Int(i32),
    Long(i64),
    Double(f64),
    /// TRUE, FALSE, and NULL as `None`.
    Boolean(Option<bool>),
    /// Of what is no number: unknown.
    Negate(Box<Expression>),
    /// A property where a boolean is wanted: unknown without the property, else false, since
    /// properties are texts.
    Truth(usize),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    IsNull(Box<Expression>),
    Equal(Box<[Expression; 2]>),
    Ordered(Order, Box<[Expression; 2]>),
    Between(Box<Between>),
    In(Box<In>),
    Search(Box<Search>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// `value >= low AND value <= high`; negated, `value < low OR value > high`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Between {
    pub value: Expression,
    pub low: Expression,
    pub high: Expression,
    pub is_negated: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct In {
    pub property: usize,
    /// Sorted.
    pub texts: Box<[Box<str>]>,
    pub is_negated: bool,
}

/// A text looked for in a value. Never unknown: a missing value, one that is no text and an empty
/// text to look for are false, negated as well.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Search {
    pub value: Expression,
    pub place: Place,
    pub text: Box<str>,
    pub is_negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    Start,
    End,
}

impl Expression {
    /// Gives true, false or unknown, by its form (Java: `BooleanExpression`).
    pub(super) fn is_boolean(&self) -> bool {
        match self {
            Self::Property(_)
            | Self::Text(_)
            | Self::Int(_)
            | Self::Long(_)
            | Self::Double(_)
            | Self::Negate(_) => false,
            Self::Boolean(_)
            | Self::Truth(_)
            | Self::Not(_)
            | Self::And(_)
            | Self::Or(_)
            | Self::IsNull(_)
            | Self::Equal(_)
            | Self::Ordered(..)
            | Self::Between(_)
            | Self::In(_)
            | Self::Search(_) => true,
        }
    }

    /// A constant as written (Java: `ConstantExpression`); with a sign before it is none.
    pub(super) fn is_constant(&self) -> bool {
        self.is_number() || matches!(self, Self::Text(_) | Self::Boolean(_))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Long(_) | Self::Double(_))
    }

    /// As error messages name it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Property(_) => "a property",
            Self::Text(_) => "a text",
            Self::Int(_) | Self::Long(_) | Self::Double(_) => "a number",
            Self::Negate(_) => "a negated value",
            Self::Boolean(Some(_)) => "TRUE or FALSE",
            Self::Boolean(None) => "NULL",
            _ => "a condition",
        }
    }
}
