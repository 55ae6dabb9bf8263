//! SQL92 filters: expressions over message properties, as Java 5.5 reads and evaluates them.
//!
//! [`CompiledFilter`] is made once per subscription and asked per message. The way there: [`lexer`]
//! cuts the text into tokens, [`parser`] makes them a tree and refuses what Java refuses,
//! [`evaluate`] walks the tree over the values that [`number`] reads out of properties.
//! [`consumer_filters`] keeps the filters of consumer groups and their file, [`bloom`] the bit
//! positions that stand for a group in a consume queue's bit maps.
//!
//! The grammar is Java's `SelectorParser.jj`. It does not ask for the end of the text: what comes
//! after a whole expression is not looked at, beyond one token.

pub mod bloom;
pub mod consumer_filters;
mod error;
mod evaluate;
mod lexer;
mod number;
mod parser;
#[cfg(test)]
mod tests;
mod tree;

pub use error::{EvaluateError, Reason, SyntaxError};

use skua_protocol::properties::Properties;

use tree::Expression;

/// Longest expression in bytes. Java knows no bound but the frame's.
pub const EXPRESSION_LEN_MAX: usize = 256 << 10;
/// Operators and operands of an expression, the texts of an IN list not counted.
pub const TERMS_MAX: usize = 16 << 10;
/// How deep parentheses and operators may nest; chains of AND and of OR are one level. Java goes on
/// until its stack overflows, which it answers as a syntax error too.
pub const NESTING_MAX: usize = 100;
/// Distinct properties whose values are held without allocating.
const PROPERTIES_INLINE: usize = 8;

/// An expression ready to be asked about messages.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledFilter {
    expression: Box<str>,
    /// Names of the properties it looks at, sorted, each with its slot.
    slots: Box<[(Box<str>, usize)]>,
    root: Expression,
}

impl CompiledFilter {
    pub fn compile(expression: &str) -> Result<Self, SyntaxError> {
        let (root, slots) = parser::parse(expression)?;
        Ok(Self { expression: expression.into(), slots, root })
    }

    /// The text it was compiled from.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Whether the message is wanted; unknown and failed comparisons mean no.
    pub fn matches(&self, properties: Properties<'_>) -> bool {
        self.evaluate(properties) == Ok(Some(true))
    }

    /// The three-valued result; `None` is SQL's unknown. Where Java throws, the whole expression
    /// fails, also inside an OR whose other side is true.
    pub fn evaluate<'a>(
        &'a self,
        properties: Properties<'a>,
    ) -> Result<Option<bool>, EvaluateError<'a>> {
        if self.slots.len() <= PROPERTIES_INLINE {
            let mut values = [None; PROPERTIES_INLINE];
            self.fill(&mut values, properties);
            self.root.truth(&values)
        } else {
            let mut values = vec![None; self.slots.len()];
            self.fill(&mut values, properties);
            self.root.truth(&values)
        }
    }

    /// One pass over the properties, however often the expression names one.
    fn fill<'a>(&self, values: &mut [Option<&'a str>], properties: Properties<'a>) {
        for (name, value) in properties.iter() {
            if let Ok(at) = self.slots.binary_search_by(|(slot, _)| (**slot).cmp(name)) {
                values[self.slots[at].1] = Some(value);
            }
        }
    }
}
