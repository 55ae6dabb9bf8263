//! From tokens to a tree, by descent through the grammar's levels.
//!
//! ```text
//! or         = and { OR and }
//! and        = equality { AND equality }
//! equality   = comparison { "=" comparison | "<>" comparison | IS [NOT] NULL }
//! comparison = unary { (">" | ">=" | "<" | "<=") unary
//!                    | [NOT] (CONTAINS | STARTSWITH | ENDSWITH) text
//!                    | [NOT] BETWEEN unary AND unary
//!                    | [NOT] IN "(" text { "," text } ")" }
//! unary      = "+" unary | "-" unary | NOT unary | primary
//! primary    = text | number | TRUE | FALSE | NULL | name | "(" or ")"
//! ```
//!
//! What Java finds wrong with operands while it builds its tree is found wrong here; the checks
//! look at how an operand is written, not at what it comes to.

use std::collections::HashMap;

use super::error::{Reason, SyntaxError};
use super::lexer::{Keyword, Lexer, Token, cut};
use super::number;
use super::tree::{Between, Expression, In, Order, Place, Search};
use super::{EXPRESSION_LEN_MAX, NESTING_MAX, TERMS_MAX};

/// Names of properties in order, each with its slot.
pub(super) type Slots = Box<[(Box<str>, usize)]>;

pub(super) fn parse(text: &str) -> Result<(Expression, Slots), SyntaxError> {
    if text.len() > EXPRESSION_LEN_MAX {
        let reason = Reason::TooLong { len: text.len(), max: EXPRESSION_LEN_MAX };
        return Err(SyntaxError { line: 1, column: 1, reason });
    }
    let mut lexer = Lexer::new(text);
    let (token, at) = lexer.next()?;
    let mut parser = Parser { lexer, token, at, slots: HashMap::new(), level: 0, terms: 0 };
    let root = parser.or()?;
    let root = parser.boolean(root)?.expression;
    let mut slots: Vec<(Box<str>, usize)> =
        parser.slots.into_iter().map(|(name, slot)| (name.into(), slot)).collect();
    slots.sort_unstable();
    Ok((root, slots.into()))
}

/// A part of the tree, where it begins and how deep it is.
struct Node {
    expression: Expression,
    at: usize,
    depth: usize,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token to be looked at, and where it begins.
    token: Token<'a>,
    at: usize,
    slots: HashMap<&'a str, usize>,
    /// Parentheses and signs that are open.
    level: usize,
    terms: usize,
}

type Parsed<T = Node> = Result<T, SyntaxError>;

impl<'a> Parser<'a> {
    fn or(&mut self) -> Parsed {
        self.junction(Keyword::Or, Self::and, Expression::Or)
    }

    fn and(&mut self) -> Parsed {
        self.junction(Keyword::And, Self::equality, Expression::And)
    }

    /// A chain becomes one node, however long.
    fn junction(
        &mut self,
        keyword: Keyword,
        part: fn(&mut Self) -> Parsed,
        make: fn(Vec<Expression>) -> Expression,
    ) -> Parsed {
        let first = part(self)?;
        if !self.is_keyword(keyword) {
            return Ok(first);
        }
        let first = self.boolean(first)?;
        let (at, mut depth, mut parts) = (first.at, first.depth, vec![first.expression]);
        while self.take_keyword(keyword)? {
            let next = part(self)?;
            let next = self.boolean(next)?;
            depth = depth.max(next.depth);
            parts.push(next.expression);
        }
        self.node(at, depth + 1, make(parts))
    }

    fn equality(&mut self) -> Parsed {
        let mut left = self.comparison()?;
        loop {
            let (at, depth) = (left.at, left.depth + 1);
            left = if self.take_symbol("=")? {
                self.equal(left)?
            } else if self.take_symbol("<>")? {
                let equal = self.equal(left)?;
                self.node(at, equal.depth + 1, Expression::Not(Box::new(equal.expression)))?
            } else if self.take_keyword(Keyword::Is)? {
                let is_negated = self.take_keyword(Keyword::Not)?;
                if !self.take_keyword(Keyword::Null)? {
                    let expected = if is_negated { "NULL" } else { "NULL or NOT NULL" };
                    return Err(self.unexpected(expected));
                }
                let is_null = Expression::IsNull(Box::new(left.expression));
                self.node(at, depth, negated_if(is_negated, is_null))?
            } else {
                return Ok(left);
            };
        }
    }

    /// Behind the sign.
    fn equal(&mut self, left: Node) -> Parsed {
        let right = self.comparison()?;
        for side in [&left, &right] {
            if side.expression == Expression::Boolean(None) {
                return Err(self.lexer.error(side.at, Reason::EqualsNull));
            }
        }
        let both_constant = left.expression.is_constant() && right.expression.is_constant();
        if both_constant && left.expression.is_boolean() && !right.expression.is_boolean() {
            let reason =
                Reason::NeverEqual { left: left.expression.kind(), right: right.expression.kind() };
            return Err(self.lexer.error(left.at, reason));
        }
        let (at, depth) = (left.at, left.depth.max(right.depth) + 1);
        let sides = Box::new([left.expression, right.expression]);
        self.node(at, depth, Expression::Equal(sides))
    }

    fn comparison(&mut self) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let order = match self.token {
                Token::Symbol("<") => Some(Order::Less),
                Token::Symbol("<=") => Some(Order::LessEqual),
                Token::Symbol(">") => Some(Order::Greater),
                Token::Symbol(">=") => Some(Order::GreaterEqual),
                _ => None,
            };
            if let Some(order) = order {
                self.advance()?;
                let right = self.unary()?;
                self.ordered(&left)?;
                self.ordered(&right)?;
                let (at, depth) = (left.at, left.depth.max(right.depth) + 1);
                let sides = Box::new([left.expression, right.expression]);
                left = self.node(at, depth, Expression::Ordered(order, sides))?;
                continue;
            }
            let is_negated = self.take_keyword(Keyword::Not)?;
            let Token::Keyword(keyword) = self.token else {
                return if is_negated { Err(self.no_comparison()) } else { Ok(left) };
            };
            left = match keyword {
                Keyword::Contains => self.search(left, Place::Anywhere, is_negated)?,
                Keyword::StartsWith => self.search(left, Place::Start, is_negated)?,
                Keyword::EndsWith => self.search(left, Place::End, is_negated)?,
                Keyword::Between => self.between(left, is_negated)?,
                Keyword::In => self.list(left, is_negated)?,
                _ if is_negated => return Err(self.no_comparison()),
                _ => return Ok(left),
            };
        }
    }

    fn search(&mut self, left: Node, place: Place, is_negated: bool) -> Parsed {
        self.advance()?;
        let (at, depth) = (left.at, left.depth + 1);
        let search = Search { value: left.expression, place, text: self.text()?, is_negated };
        self.node(at, depth, Expression::Search(Box::new(search)))
    }

    fn between(&mut self, value: Node, is_negated: bool) -> Parsed {
        self.advance()?;
        let low = self.unary()?;
        if !self.take_keyword(Keyword::And)? {
            return Err(self.unexpected("AND and BETWEEN's upper bound"));
        }
        let high = self.unary()?;
        for side in [&value, &low, &high] {
            self.ordered(side)?;
        }
        if !is_negated && is_greater(&low.expression, &high.expression) {
            return Err(self.lexer.error(low.at, Reason::BoundsSwapped));
        }
        let (at, depth) = (value.at, value.depth.max(low.depth).max(high.depth) + 1);
        let (value, low, high) = (value.expression, low.expression, high.expression);
        let between = Between { value, low, high, is_negated };
        self.node(at, depth, Expression::Between(Box::new(between)))
    }

    fn list(&mut self, left: Node, is_negated: bool) -> Parsed {
        self.advance()?;
        if !self.take_symbol("(")? {
            return Err(self.unexpected("( and a list of quoted texts"));
        }
        let mut texts = vec![self.text()?];
        while self.take_symbol(",")? {
            texts.push(self.text()?);
        }
        if !self.take_symbol(")")? {
            return Err(self.unexpected("a comma or the list's end"));
        }
        let Expression::Property(property) = left.expression else {
            let reason = Reason::InWithoutProperty { operand: left.expression.kind() };
            return Err(self.lexer.error(left.at, reason));
        };
        texts.sort_unstable();
        let list = In { property, texts: texts.into(), is_negated };
        self.node(left.at, left.depth + 1, Expression::In(Box::new(list)))
    }

    fn unary(&mut self) -> Parsed {
        let at = self.at;
        if self.take_symbol("+")? {
            self.nested(Self::unary)
        } else if self.take_symbol("-")? {
            let inner = self.nested(Self::unary)?;
            self.node(at, inner.depth + 1, Expression::Negate(Box::new(inner.expression)))
        } else if self.take_keyword(Keyword::Not)? {
            let inner = self.nested(Self::unary)?;
            let inner = self.boolean(inner)?;
            self.node(at, inner.depth + 1, Expression::Not(Box::new(inner.expression)))
        } else {
            self.primary()
        }
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at;
        let expression = match self.token {
            Token::Text(text) => Expression::Text(unquoted(text)),
            Token::Integer(text) => self.integer(text)?,
            Token::Double(text) => self.double(text)?,
            Token::Keyword(Keyword::True) => Expression::Boolean(Some(true)),
            Token::Keyword(Keyword::False) => Expression::Boolean(Some(false)),
            Token::Keyword(Keyword::Null) => Expression::Boolean(None),
            Token::Name(name) => {
                let next = self.slots.len();
                Expression::Property(*self.slots.entry(name).or_insert(next))
            }
            Token::Symbol("(") => {
                self.advance()?;
                let inner = self.nested(Self::or)?;
                if !self.take_symbol(")")? {
                    return Err(self.unexpected("an operator or a closing parenthesis"));
                }
                return Ok(inner);
            }
            _ => return Err(self.unexpected("a property, a constant or a parenthesis")),
        };
        self.advance()?;
        self.node(at, 1, expression)
    }

    fn integer(&self, text: &str) -> Parsed<Expression> {
        let value = number::long(text.trim_end_matches(['l', 'L']))
            .ok_or_else(|| self.lexer.error(self.at, Reason::IntegerTooLarge(cut(text))))?;
        // Java: an L does not make a small number a long.
        Ok(i32::try_from(value).map_or(Expression::Long(value), Expression::Int))
    }

    fn double(&self, text: &str) -> Parsed<Expression> {
        match number::double(text) {
            Some(0.0) => Err(self.lexer.error(self.at, Reason::DoubleTooSmall(cut(text)))),
            Some(value) if value.is_finite() => Ok(Expression::Double(value)),
            _ => Err(self.lexer.error(self.at, Reason::DoubleTooLarge(cut(text)))),
        }
    }

    /// The quoted text that must come now.
    fn text(&mut self) -> Parsed<Box<str>> {
        let Token::Text(text) = self.token else { return Err(self.unexpected("a quoted text")) };
        self.advance()?;
        Ok(unquoted(text))
    }

    /// The node as a condition (Java: `asBooleanExpression`).
    fn boolean(&self, node: Node) -> Parsed {
        match node.expression {
            Expression::Property(property) => {
                Ok(Node { expression: Expression::Truth(property), ..node })
            }
            ref condition if condition.is_boolean() => Ok(node),
            ref other => {
                Err(self.lexer.error(node.at, Reason::NotBoolean { operand: other.kind() }))
            }
        }
    }

    /// Checks an operand of `<` and its like: numbers, properties and signed operands.
    fn ordered(&self, node: &Node) -> Parsed<()> {
        let operand = &node.expression;
        if operand.is_boolean() || operand.is_constant() && !operand.is_number() {
            let reason = Reason::NotOrdered { operand: operand.kind() };
            return Err(self.lexer.error(node.at, reason));
        }
        Ok(())
    }

    /// A level further down, if there may be one.
    fn nested(&mut self, part: fn(&mut Self) -> Parsed) -> Parsed {
        if self.level == NESTING_MAX {
            return Err(self.lexer.error(self.at, Reason::TooDeep { max: NESTING_MAX }));
        }
        self.level += 1;
        let node = part(self);
        self.level -= 1;
        node
    }

    /// Bounds the tree itself, which chains of comparisons deepen without a level of descent.
    fn node(&mut self, at: usize, depth: usize, expression: Expression) -> Parsed {
        self.terms += 1;
        if depth > NESTING_MAX {
            return Err(self.lexer.error(at, Reason::TooDeep { max: NESTING_MAX }));
        }
        if self.terms > TERMS_MAX {
            return Err(self.lexer.error(at, Reason::TooManyTerms { max: TERMS_MAX }));
        }
        Ok(Node { expression, at, depth })
    }

    fn advance(&mut self) -> Parsed<()> {
        (self.token, self.at) = self.lexer.next()?;
        Ok(())
    }

    fn is_keyword(&self, keyword: Keyword) -> bool {
        self.token == Token::Keyword(keyword)
    }

    fn take_keyword(&mut self, keyword: Keyword) -> Parsed<bool> {
        self.take(Token::Keyword(keyword))
    }

    fn take_symbol(&mut self, symbol: &'static str) -> Parsed<bool> {
        self.take(Token::Symbol(symbol))
    }

    fn take(&mut self, token: Token<'_>) -> Parsed<bool> {
        if self.token != token {
            return Ok(false);
        }
        self.advance()?;
        Ok(true)
    }

    fn unexpected(&self, expected: &'static str) -> SyntaxError {
        self.lexer.error(self.at, Reason::Unexpected { found: self.token.shown(), expected })
    }

    fn no_comparison(&self) -> SyntaxError {
        self.unexpected("BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH")
    }
}

fn negated_if(is_negated: bool, expression: Expression) -> Expression {
    if is_negated { Expression::Not(Box::new(expression)) } else { expression }
}

fn unquoted(text: &str) -> Box<str> {
    text.replace("''", "'").into()
}

/// Of numbers as written; what is no plain number is not known to be greater.
fn is_greater(low: &Expression, high: &Expression) -> bool {
    use Expression::{Double, Int, Long};
    let long = |number: &Expression| match *number {
        Int(value) => Some(i64::from(value)),
        Long(value) => Some(value),
        _ => None,
    };
    let double = |number: &Expression| match *number {
        Double(value) => Some(value),
        _ => long(number).map(|value| value as f64),
    };
    match (long(low), long(high), double(low), double(high)) {
        (Some(low), Some(high), ..) => low > high,
        (.., Some(low), Some(high)) => low > high,
        _ => false,
    }
}
