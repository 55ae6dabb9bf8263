//! Attributes of topics: what `+name=value,-name` asks for, and what it makes of the attributes a
//! topic has (Java: `AttributeParser`, `AttributeUtil`, `TopicAttributes`).

use std::collections::BTreeMap;

use skua_protocol::body::{
    CLEANUP_POLICY, CLEANUP_POLICY_COMPACTION, QUEUE_TYPE, QUEUE_TYPE_BATCH,
};

pub type Attributes = BTreeMap<String, String>;

/// Why attributes cannot be changed so; the texts are Java's, mqadmin prints them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    #[error("add/alter attribute format is wrong: {0}")]
    NotAnAddition(String),
    #[error("delete attribute format is wrong: {0}")]
    NotADeletion(String),
    #[error("key duplication: {0}")]
    Duplicate(String),
    #[error("alter duplication key. key: {0}")]
    AlterDuplicate(String),
    #[error("kv string format wrong.")]
    BadName,
    #[error("only add attribute is supported while creating topic. key: {0}")]
    OnlyAdditions(String),
    #[error("attempt to delete a nonexistent key: {0}")]
    NotThere(String),
    #[error("wrong format key: {0}")]
    NoSign(String),
    #[error("unsupported key: {0}")]
    Unknown(String),
    #[error("attempt to update an unchangeable attribute. key: {0}")]
    Fixed(String),
    #[error("value is not in set: {value} of {name}, accepted: {accepted}")]
    Value { name: String, value: String, accepted: String },
}

enum Values {
    OneOf(&'static [&'static str]),
    NumberFrom(i64),
}

struct Attribute {
    name: &'static str,
    changeable: bool,
    values: Values,
}

const KNOWN: [Attribute; 4] = [
    Attribute {
        name: QUEUE_TYPE,
        changeable: false,
        values: Values::OneOf(&[QUEUE_TYPE_BATCH, "SimpleCQ"]),
    },
    Attribute {
        name: CLEANUP_POLICY,
        changeable: false,
        values: Values::OneOf(&["DELETE", CLEANUP_POLICY_COMPACTION]),
    },
    Attribute {
        name: MESSAGE_TYPE,
        changeable: true,
        values: Values::OneOf(&[
            "UNSPECIFIED",
            "NORMAL",
            "FIFO",
            "DELAY",
            "TRANSACTION",
            "MIXED",
            "LITE",
            "PRIORITY",
        ]),
    },
    Attribute { name: "reserve.time", changeable: true, values: Values::NumberFrom(-1) },
];

pub const MESSAGE_TYPE: &str = "message.type";
pub const MESSAGE_TYPE_MIXED: &str = "MIXED";

/// Reads `+name=value,-name` into a map whose names keep their signs.
pub fn parse(text: &str) -> Result<Attributes, AttributeError> {
    let mut asked = Attributes::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => {
                if !name.contains('+') {
                    return Err(AttributeError::NotAnAddition(name.to_owned()));
                }
                (name, value)
            }
            None => {
                if !part.contains('-') {
                    return Err(AttributeError::NotADeletion(part.to_owned()));
                }
                (part, "")
            }
        };
        if asked.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(AttributeError::Duplicate(name.to_owned()));
        }
    }
    Ok(asked)
}

/// What becomes of `current` (nothing: the topic is new) by what is `asked`, with signs.
pub fn alter(
    current: Option<&Attributes>,
    asked: &Attributes,
) -> Result<Attributes, AttributeError> {
    let mut result = current.cloned().unwrap_or_default();
    let mut seen = Vec::new();
    for (signed, value) in asked {
        // The sign is one byte; a name that begins with anything longer has none.
        let name = signed.get(1..).unwrap_or_default();
        if name.is_empty() || name.contains(['+', '-']) {
            return Err(AttributeError::BadName);
        }
        if seen.contains(&name) {
            return Err(AttributeError::AlterDuplicate(name.to_owned()));
        }
        seen.push(name);
        let adds = signed.starts_with('+');
        if current.is_none() && !adds {
            return Err(AttributeError::OnlyAdditions(name.to_owned()));
        }
        if !adds && !signed.starts_with('-') {
            return Err(AttributeError::NoSign(name.to_owned()));
        }
        if !adds && !result.contains_key(name) {
            return Err(AttributeError::NotThere(name.to_owned()));
        }
        let known = KNOWN
            .iter()
            .find(|known| known.name == name)
            .ok_or_else(|| AttributeError::Unknown(name.to_owned()))?;
        if current.is_some() && !known.changeable {
            return Err(AttributeError::Fixed(name.to_owned()));
        }
        if adds {
            check_value(known, value)?;
            result.insert(name.to_owned(), value.clone());
        } else {
            result.remove(name);
        }
    }
    Ok(result)
}

fn check_value(known: &Attribute, value: &str) -> Result<(), AttributeError> {
    let accepted = match known.values {
        Values::OneOf(values) if values.contains(&value) => return Ok(()),
        Values::OneOf(values) => values.join(", "),
        Values::NumberFrom(min) if value.parse().is_ok_and(|number: i64| number >= min) => {
            return Ok(());
        }
        Values::NumberFrom(min) => format!("a number from {min}"),
    };
    Err(AttributeError::Value { name: known.name.to_owned(), value: value.to_owned(), accepted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn attributes_are_added_changed_and_deleted() {
        let asked = parse("+message.type=DELAY,+queue.type=SimpleCQ").expect("well-formed");
        let made = alter(None, &asked).expect("known");
        assert_eq!(made, attributes(&[("message.type", "DELAY"), ("queue.type", "SimpleCQ")]));
        let made =
            alter(Some(&made), &parse("-message.type").expect("well-formed")).expect("there");
        assert_eq!(made, attributes(&[("queue.type", "SimpleCQ")]));
    }

    #[test]
    fn what_java_refuses_is_refused() {
        assert!(matches!(parse("a=b"), Err(AttributeError::NotAnAddition(_))));
        assert!(matches!(parse("a"), Err(AttributeError::NotADeletion(_))));
        assert!(matches!(parse("+a=b,+a=c"), Err(AttributeError::Duplicate(_))));
        let current = attributes(&[("queue.type", "SimpleCQ")]);
        let alter = |current, text| alter(current, &parse(text).expect("well-formed"));
        assert!(matches!(alter(None, "-message.type"), Err(AttributeError::OnlyAdditions(_))));
        assert!(matches!(alter(None, "+x=y"), Err(AttributeError::Unknown(_))));
        assert!(matches!(alter(None, "+message.type=X"), Err(AttributeError::Value { .. })));
        assert!(matches!(
            alter(Some(&current), "+queue.type=BatchCQ"),
            Err(AttributeError::Fixed(_))
        ));
        assert!(matches!(alter(Some(&current), "-message.type"), Err(AttributeError::NotThere(_))));
    }
}
