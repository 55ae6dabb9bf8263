//! Attributes of topics and groups: what `+name=value,-name` asks for, and what it makes of the
//! attributes there are (Java: `AttributeParser`, `AttributeUtil`, `TopicAttributes`,
//! `SubscriptionGroupAttributes`).

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
    Number(i64, i64),
    Text,
}

/// One attribute that is known.
pub struct Attribute {
    name: &'static str,
    changeable: bool,
    values: Values,
}

pub const OF_TOPICS: [Attribute; 5] = [
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
            MESSAGE_TYPE_LITE,
            "PRIORITY",
        ]),
    },
    Attribute { name: "reserve.time", changeable: true, values: Values::Number(-1, i64::MAX) },
    Attribute {
        name: LITE_EXPIRATION,
        changeable: true,
        values: Values::Number(-1, LITE_EXPIRATION_MAX_MINUTES),
    },
];

const BOOLEAN: Values = Values::OneOf(&["true", "false"]);

pub const OF_GROUPS: [Attribute; 8] = [
    Attribute { name: "priority.factor", changeable: true, values: Values::Number(0, 100) },
    Attribute { name: LITE_BIND_TOPIC, changeable: true, values: Values::Text },
    Attribute {
        name: LITE_SUB_MODEL,
        changeable: true,
        values: Values::OneOf(&["Shared", LITE_SUB_EXCLUSIVE]),
    },
    Attribute { name: LITE_RESET_EXCLUSIVE, changeable: true, values: BOOLEAN },
    Attribute { name: LITE_RESET_UNSUBSCRIBE, changeable: true, values: BOOLEAN },
    Attribute {
        name: "lite.sub.client.quota",
        changeable: true,
        values: Values::Number(-1, i64::MAX),
    },
    Attribute { name: LITE_EVENTS_MAX, changeable: true, values: Values::Number(10, i64::MAX) },
    Attribute { name: LITE_WILDCARD, changeable: true, values: Values::Text },
];

/// Minutes that a lite topic of the topic lives after its last message.
pub const LITE_EXPIRATION: &str = "lite.topic.expiration";
const LITE_EXPIRATION_MAX_MINUTES: i64 = 30 * 24 * 60;
/// The topic whose lite topics a group consumes.
pub const LITE_BIND_TOPIC: &str = "lite.bind.topic";
pub const LITE_SUB_MODEL: &str = "lite.sub.model";
pub const LITE_SUB_EXCLUSIVE: &str = "Exclusive";
pub const LITE_RESET_EXCLUSIVE: &str = "lite.sub.reset.offset.exclusive";
pub const LITE_RESET_UNSUBSCRIBE: &str = "lite.sub.reset.offset.unsubscribe";
pub const LITE_EVENTS_MAX: &str = "lite.sub.client.max.event.cnt";
/// Its clients get the messages of all lite topics.
pub const LITE_WILDCARD: &str = "lite.sub.wildcard";

pub const MESSAGE_TYPE: &str = "message.type";
pub const MESSAGE_TYPE_MIXED: &str = "MIXED";
pub const MESSAGE_TYPE_LITE: &str = "LITE";

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

/// What becomes of `current` (nothing: it is new) by what is `asked`, with signs.
pub fn alter(
    known: &[Attribute],
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
        let known = known
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
        Values::Number(min, max)
            if value.parse().is_ok_and(|number| (min..=max).contains(&number)) =>
        {
            return Ok(());
        }
        Values::Number(min, i64::MAX) => format!("a number from {min}"),
        Values::Number(min, max) => format!("a number from {min} to {max}"),
        Values::Text => return Ok(()),
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
        let made = alter(&OF_TOPICS, None, &asked).expect("known");
        assert_eq!(made, attributes(&[("message.type", "DELAY"), ("queue.type", "SimpleCQ")]));
        let asked = parse("-message.type").expect("well-formed");
        let made = alter(&OF_TOPICS, Some(&made), &asked).expect("there");
        assert_eq!(made, attributes(&[("queue.type", "SimpleCQ")]));
    }

    #[test]
    fn what_java_refuses_is_refused() {
        assert!(matches!(parse("a=b"), Err(AttributeError::NotAnAddition(_))));
        assert!(matches!(parse("a"), Err(AttributeError::NotADeletion(_))));
        assert!(matches!(parse("+a=b,+a=c"), Err(AttributeError::Duplicate(_))));
        let current = attributes(&[("queue.type", "SimpleCQ")]);
        let alter = |current, text| alter(&OF_TOPICS, current, &parse(text).expect("well-formed"));
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
