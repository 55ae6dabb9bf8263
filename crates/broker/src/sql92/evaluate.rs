//! Evaluation over the values of properties, in Java's three-valued logic.
//!
//! Properties are texts. Compared with a number they are read as a number of the constant's kind:
//! `"2.5"` is no int, and neither is `"3000000000"`. What cannot be read fails the whole
//! expression, unless AND or OR knew their result before they came to it.

use std::cmp::Ordering;

use super::error::EvaluateError;
use super::number;
use super::tree::{Between, Expression, In, Order, Place, Search};

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Text(&'a str),
    Int(i32),
    Long(i64),
    Double(f64),
    Boolean(bool),
}

/// A property's value by its slot.
type Values<'v, 'a> = &'v [Option<&'a str>];
type Evaluated<'a, T> = Result<Option<T>, EvaluateError<'a>>;

impl Expression {
    /// The result of a condition; other expressions are unknown.
    pub(super) fn truth<'a>(&self, values: Values<'_, 'a>) -> Evaluated<'a, bool> {
        match self {
            Self::Boolean(value) => Ok(*value),
            Self::Truth(property) => Ok(values[*property].map(|_| false)),
            Self::Not(inner) => Ok(inner.truth(values)?.map(|truth| !truth)),
            Self::And(parts) => junction(parts, values, false),
            Self::Or(parts) => junction(parts, values, true),
            Self::IsNull(inner) => Ok(Some(inner.reduce(values)?.is_none())),
            Self::Equal(sides) => equal(sides, values),
            Self::Ordered(order, sides) => {
                let [left, right] = &**sides;
                ordered(*order, left.reduce(values)?, right, values)
            }
            Self::Between(between) => between.truth(values),
            Self::In(list) => Ok(list.truth(values)),
            Self::Search(search) => search.truth(values),
            Self::Property(_)
            | Self::Text(_)
            | Self::Int(_)
            | Self::Long(_)
            | Self::Double(_)
            | Self::Negate(_) => Ok(None),
        }
    }

    fn reduce<'a, 's: 'a>(&'s self, values: Values<'_, 'a>) -> Evaluated<'a, Value<'a>> {
        Ok(match self {
            Self::Property(property) => values[*property].map(Value::Text),
            Self::Text(text) => Some(Value::Text(text)),
            Self::Int(value) => Some(Value::Int(*value)),
            Self::Long(value) => Some(Value::Long(*value)),
            Self::Double(value) => Some(Value::Double(*value)),
            Self::Negate(inner) => inner.reduce(values)?.and_then(negated),
            _ => self.truth(values)?.map(Value::Boolean),
        })
    }
}
