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

/// Values of properties by slot.
type Values<'v, 'a> = &'v [Option<&'a str>];
type Evaluated<'a, T> = Result<Option<T>, EvaluateError<'a>>;

impl Expression {
    /// The result of a condition; what is no condition is unknown.
    pub(super) fn truth<'a>(&'a self, values: Values<'_, 'a>) -> Evaluated<'a, bool> {
        match self {
            Self::Boolean(value) => Ok(*value),
            Self::Truth(property) => Ok(values[*property].map(|_| false)),
            Self::Not(inner) => Ok(inner.truth(values)?.map(|truth| !truth)),
            Self::And(parts) => junction(parts.iter().map(|part| part.truth(values)), false),
            Self::Or(parts) => junction(parts.iter().map(|part| part.truth(values)), true),
            Self::IsNull(inner) => Ok(Some(inner.value(values)?.is_none())),
            Self::Equal(sides) => {
                let [left, right] = &**sides;
                equal(left.value(values)?, right.value(values)?)
            }
            Self::Ordered(order, sides) => {
                let [left, right] = &**sides;
                order.truth(left.value(values)?, right, values)
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

    fn value<'a>(&'a self, values: Values<'_, 'a>) -> Evaluated<'a, Value<'a>> {
        Ok(match self {
            Self::Property(property) => values[*property].map(Value::Text),
            Self::Text(text) => Some(Value::Text(text)),
            Self::Int(value) => Some(Value::Int(*value)),
            Self::Long(value) => Some(Value::Long(*value)),
            Self::Double(value) => Some(Value::Double(*value)),
            Self::Negate(inner) => inner.value(values)?.and_then(Value::negated),
            condition => condition.truth(values)?.map(Value::Boolean),
        })
    }
}

/// AND, which `false` decides, or OR, which `true` decides. What stands behind the part that
/// decides is not evaluated.
fn junction<'a>(
    parts: impl Iterator<Item = Evaluated<'a, bool>>,
    decides: bool,
) -> Evaluated<'a, bool> {
    let mut result = Some(!decides);
    for part in parts {
        match part? {
            Some(truth) if truth == decides => return Ok(Some(decides)),
            Some(_) => {}
            None => result = None,
        }
    }
    Ok(result)
}

/// Java: unknown only if the left side alone is; the right side alone is unequal.
fn equal<'a>(left: Option<Value<'a>>, right: Option<Value<'a>>) -> Evaluated<'a, bool> {
    Ok(match (left, right) {
        (None, None) => Some(true),
        (None, Some(_)) => None,
        (Some(_), None) => Some(false),
        (Some(left), Some(right)) => Some(left.compare(right)?.is_eq()),
    })
}

impl Order {
    /// The right side is only looked at if the left one is known.
    fn truth<'a>(
        self,
        left: Option<Value<'a>>,
        right: &'a Expression,
        values: Values<'_, 'a>,
    ) -> Evaluated<'a, bool> {
        let Some(left) = left else { return Ok(None) };
        let Some(right) = right.value(values)? else { return Ok(None) };
        let ordering = match (left, right) {
            // Two properties: texts have no order of their own.
            (Value::Text(left), Value::Text(right)) => {
                read(left, number::double)?.total_cmp(&read(right, number::double)?)
            }
            _ => left.compare(right)?,
        };
        Ok(Some(match self {
            Self::Less => ordering.is_lt(),
            Self::LessEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterEqual => ordering.is_ge(),
        }))
    }
}

impl Between {
    fn truth<'a>(&'a self, values: Values<'_, 'a>) -> Evaluated<'a, bool> {
        let value = self.value.value(values)?;
        let bounds = if self.is_negated {
            [(Order::Less, &self.low), (Order::Greater, &self.high)]
        } else {
            [(Order::GreaterEqual, &self.low), (Order::LessEqual, &self.high)]
        };
        let parts = bounds.into_iter().map(|(order, bound)| order.truth(value, bound, values));
        junction(parts, self.is_negated)
    }
}

impl In {
    fn truth(&self, values: Values<'_, '_>) -> Option<bool> {
        let value = values[self.property]?;
        let is_in = self.texts.binary_search_by(|text| (**text).cmp(value)).is_ok();
        Some(is_in != self.is_negated)
    }
}

impl Search {
    fn truth<'a>(&'a self, values: Values<'_, 'a>) -> Evaluated<'a, bool> {
        if self.text.is_empty() {
            return Ok(Some(false));
        }
        let Some(Value::Text(value)) = self.value.value(values)? else { return Ok(Some(false)) };
        let is_found = match self.place {
            Place::Anywhere => value.contains(&*self.text),
            Place::Start => value.starts_with(&*self.text),
            Place::End => value.ends_with(&*self.text),
        };
        Ok(Some(is_found != self.is_negated))
    }
}

impl<'a> Value<'a> {
    /// Java: what cannot be compared is less. Doubles are in a total order, NaN the greatest and
    /// -0.0 before 0.0.
    fn compare(self, right: Self) -> Result<Ordering, EvaluateError<'a>> {
        use Value::{Boolean, Double, Int, Long, Text};
        Ok(match (self, right) {
            (Text(left), Text(right)) => left.cmp(right),
            (Text(left), Boolean(right)) => left.eq_ignore_ascii_case("true").cmp(&right),
            (Text(left), Int(right)) => read(left, number::int)?.cmp(&right),
            (Text(left), Long(right)) => read(left, number::long)?.cmp(&right),
            (Text(left), Double(right)) => read(left, number::double)?.total_cmp(&right),

            (Boolean(left), Boolean(right)) => left.cmp(&right),
            (Boolean(_), Text(right)) => return Err(EvaluateError::BooleanBeforeText(right)),
            (Boolean(_), Int(_) | Long(_) | Double(_)) => Ordering::Less,
            (Int(_) | Long(_) | Double(_), Boolean(_)) => Ordering::Less,

            (Int(left), Text(right)) => left.cmp(&read(right, number::int)?),
            (Int(left), Int(right)) => left.cmp(&right),
            (Int(left), Long(right)) => i64::from(left).cmp(&right),
            (Int(left), Double(right)) => f64::from(left).total_cmp(&right),

            (Long(left), Text(right)) => left.cmp(&read(right, number::long)?),
            (Long(left), Int(right)) => left.cmp(&i64::from(right)),
            (Long(left), Long(right)) => left.cmp(&right),
            (Long(left), Double(right)) => (left as f64).total_cmp(&right),

            (Double(left), Text(right)) => left.total_cmp(&read(right, number::double)?),
            (Double(left), Int(right)) => left.total_cmp(&f64::from(right)),
            (Double(left), Long(right)) => left.total_cmp(&(right as f64)),
            (Double(left), Double(right)) => left.total_cmp(&right),
        })
    }

    fn negated(self) -> Option<Self> {
        match self {
            Self::Int(value) => Some(Self::Int(value.wrapping_neg())),
            Self::Long(value) => Some(Self::Long(value.wrapping_neg())),
            Self::Double(value) => Some(Self::Double(-value)),
            Self::Text(_) | Self::Boolean(_) => None,
        }
    }
}

fn read<T>(text: &str, number: fn(&str) -> Option<T>) -> Result<T, EvaluateError<'_>> {
    number(text).ok_or(EvaluateError::NotNumber(text))
}
