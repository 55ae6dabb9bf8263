//! Topic and group names: prefixes, which names are legal, which topics belong to the system
//! (Java: `TopicValidator`, `MixAll`).

use std::collections::BTreeSet;

pub const RETRY_PREFIX: &str = "%RETRY%";
pub const DLQ_PREFIX: &str = "%DLQ%";
pub const LMQ_PREFIX: &str = "%LMQ%";
pub const SYSTEM_TOPIC_PREFIX: &str = "rmq_sys_";
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// Topic whose configuration topics created by their first send inherit.
pub const AUTO_CREATE_TOPIC: &str = "TBW102";
/// Holds delayed messages, one queue a delay level.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
pub const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
pub const OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
pub const ROCKSDB_HALF_TOPIC: &str = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC";
pub const ROCKSDB_OP_HALF_TOPIC: &str = "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC";
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
pub const CHECK_MAX_TIME_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
pub const OFFSET_MOVED_TOPIC: &str = "OFFSET_MOVED_EVENT";
pub const CHECKPOINT_TOPIC: &str = "CHECKPOINT_TOPIC";
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// Holds the changes of tables that a group of brokers agrees on.
pub const TABLES_TOPIC: &str = "rmq_sys_GROUP_TABLES";
const SYNC_BROKER_MEMBER_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";
const REVIVE_PREFIX: &str = "rmq_sys_REVIVE_LOG_";
const REPLY_SUFFIX: &str = "_REPLY_TOPIC";

pub const TRANSACTION_GROUP: &str = "CID_RMQ_SYS_TRANS";

/// Groups every broker has from its first start.
pub const SYSTEM_GROUPS: [&str; 8] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    TRANSACTION_GROUP,
];

const TOPIC_LEN_MAX: usize = 127;
/// Retry and dead letter topics are named after groups, with a prefix.
const PREFIXED_TOPIC_LEN_MAX: usize = 255;
const GROUP_LEN_MAX: usize = 120;

pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

pub fn dlq_topic(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

pub fn reply_topic(cluster: &str) -> String {
    format!("{cluster}{REPLY_SUFFIX}")
}

pub fn revive_topic(cluster: &str) -> String {
    format!("{REVIVE_PREFIX}{cluster}")
}

pub fn sync_broker_member_topic(broker_name: &str) -> String {
    format!("{SYNC_BROKER_MEMBER_PREFIX}{broker_name}")
}

/// Topics that only the broker itself writes.
pub fn is_closed_to_senders(topic: &str) -> bool {
    [
        SCHEDULE_TOPIC,
        HALF_TOPIC,
        OP_HALF_TOPIC,
        CHECK_MAX_TIME_TOPIC,
        SELF_TEST_TOPIC,
        OFFSET_MOVED_TOPIC,
        ROCKSDB_HALF_TOPIC,
        ROCKSDB_OP_HALF_TOPIC,
        TIMER_TOPIC,
        TABLES_TOPIC,
    ]
    .contains(&topic)
}

/// Why a name is refused; the text is Java's, clients show it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("The specified {0} is blank.")]
    Blank(Kind),
    #[error(
        "The specified {0}: {1}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
    )]
    IllegalCharacters(Kind, String),
    #[error("The specified {0}: {1}, is longer than {0} max length: {2}")]
    TooLong(Kind, String, usize),
    #[error(
        "The specified topic is DLQ or Retry topic: {0}, and it's longer than topic max length: {1}"
    )]
    PrefixedTooLong(String, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Topic,
    Group,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Topic => "topic",
            Self::Group => "group",
        })
    }
}

fn check_characters(kind: Kind, name: &str) -> Result<(), NameError> {
    if name.chars().all(char::is_whitespace) {
        return Err(NameError::Blank(kind));
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'%' | b'|' | b'_' | b'-');
    if !name.bytes().all(legal) {
        return Err(NameError::IllegalCharacters(kind, shown(name)));
    }
    Ok(())
}

pub fn check_topic(topic: &str) -> Result<(), NameError> {
    check_characters(Kind::Topic, topic)?;
    if topic.starts_with(RETRY_PREFIX) || topic.starts_with(DLQ_PREFIX) {
        if topic.len() > PREFIXED_TOPIC_LEN_MAX {
            return Err(NameError::PrefixedTooLong(shown(topic), PREFIXED_TOPIC_LEN_MAX));
        }
    } else if topic.len() > TOPIC_LEN_MAX {
        return Err(NameError::TooLong(Kind::Topic, shown(topic), TOPIC_LEN_MAX));
    }
    Ok(())
}

pub fn check_group(group: &str) -> Result<(), NameError> {
    check_characters(Kind::Group, group)?;
    if group.len() > GROUP_LEN_MAX {
        return Err(NameError::TooLong(Kind::Group, shown(group), GROUP_LEN_MAX));
    }
    Ok(())
}

/// Keeps a hostile name from filling logs and remarks.
pub fn shown(name: &str) -> String {
    const SHOWN_MAX: usize = 300;
    match name.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// The topics that belong to the system on this broker; users may neither change nor delete them.
#[derive(Clone, Debug)]
pub struct SystemTopics(BTreeSet<String>);

impl SystemTopics {
    /// `trace_topic` is the configured name of the trace topic if the broker keeps one.
    pub fn new(cluster: &str, broker_name: &str, trace_topic: Option<&str>) -> Self {
        let fixed = [
            AUTO_CREATE_TOPIC,
            SCHEDULE_TOPIC,
            BENCHMARK_TOPIC,
            HALF_TOPIC,
            OP_HALF_TOPIC,
            ROCKSDB_HALF_TOPIC,
            ROCKSDB_OP_HALF_TOPIC,
            TRACE_TOPIC,
            CHECK_MAX_TIME_TOPIC,
            SELF_TEST_TOPIC,
            OFFSET_MOVED_TOPIC,
            CHECKPOINT_TOPIC,
            TIMER_TOPIC,
            cluster,
            broker_name,
        ];
        let made =
            [reply_topic(cluster), revive_topic(cluster), sync_broker_member_topic(broker_name)];
        let mut all: BTreeSet<String> = fixed.into_iter().map(str::to_owned).collect();
        all.extend(made);
        all.extend(trace_topic.map(str::to_owned));
        Self(all)
    }

    pub fn contains(&self, topic: &str) -> bool {
        topic.starts_with(SYSTEM_TOPIC_PREFIX) || self.0.contains(topic)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Groups of the system itself may be created even where users' groups are not.
pub fn is_system_group(group: &str) -> bool {
    group.starts_with(SYSTEM_GROUP_PREFIX)
        || SYSTEM_GROUPS.contains(&group)
        || ["DEFAULT_CONSUMER", "SCHEDULE_CONSUMER", "__MONITOR_CONSUMER"].contains(&group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn illegal_names_are_refused_with_javas_texts() {
        assert_eq!(
            check_topic("bad name!").unwrap_err().to_string(),
            "The specified topic: bad name!, contains illegal characters, allowing only \
             ^[%|a-zA-Z0-9_-]+$"
        );
        assert_eq!(check_topic(" ").unwrap_err().to_string(), "The specified topic is blank.");
        assert_eq!(check_group("").unwrap_err().to_string(), "The specified group is blank.");
        let long = "g".repeat(121);
        assert_eq!(
            check_group(&long).unwrap_err().to_string(),
            format!("The specified group: {long}, is longer than group max length: 120")
        );
    }

    #[test]
    fn retry_topics_may_be_longer_than_others() {
        assert!(check_topic(&"t".repeat(127)).is_ok());
        assert!(check_topic(&"t".repeat(128)).is_err());
        assert!(check_topic(&retry_topic(&"g".repeat(248))).is_ok());
        assert!(check_topic(&retry_topic(&"g".repeat(249))).is_err());
    }

    #[test]
    fn system_topics_are_known_by_name_and_by_prefix() {
        let system = SystemTopics::new("DefaultCluster", "broker-a", None);
        for topic in ["TBW102", "broker-a", "DefaultCluster_REPLY_TOPIC", "rmq_sys_anything"] {
            assert!(system.contains(topic), "{topic}");
        }
        assert!(!system.contains("Orders"));
    }
}
