//! Topics that a broker has from its first start.

use skua_protocol::body::{PERM_INHERIT, PERM_READ, PERM_WRITE, TopicConfig};

use crate::names;

const BENCHMARK_QUEUES: i32 = 1024;
const SCHEDULE_QUEUES: i32 = 18;
const READ_WRITE: i32 = PERM_READ | PERM_WRITE;

/// What the configuration says about the system's topics.
#[derive(Clone, Copy, Debug)]
pub struct SystemTopicOptions<'a> {
    pub cluster: &'a str,
    pub broker_name: &'a str,
    pub auto_create_topics: bool,
    /// Queues of the topic that automatically created ones inherit from.
    pub default_queues: i32,
    pub cluster_topic: bool,
    pub broker_topic: bool,
    pub trace_topic: Option<&'a str>,
    pub revive_queues: i32,
    pub timer_wheel: bool,
    /// Topics of light queues are there without being made (`enableLmq`).
    pub light_queues: bool,
}

impl SystemTopicOptions<'_> {
    pub fn topics(&self) -> Vec<TopicConfig> {
        let inherited = |enabled: bool| PERM_INHERIT | if enabled { READ_WRITE } else { 0 };
        let mut topics = vec![
            TopicConfig::new(names::SELF_TEST_TOPIC, 1, READ_WRITE),
            TopicConfig::new(names::BENCHMARK_TOPIC, BENCHMARK_QUEUES, READ_WRITE),
            TopicConfig {
                topic_name: self.cluster.to_owned(),
                perm: inherited(self.cluster_topic),
                ..TopicConfig::default()
            },
            TopicConfig::new(self.broker_name, 1, inherited(self.broker_topic)),
            TopicConfig::new(names::OFFSET_MOVED_TOPIC, 1, READ_WRITE),
            TopicConfig::new(names::SCHEDULE_TOPIC, SCHEDULE_QUEUES, READ_WRITE),
            TopicConfig::new(names::reply_topic(self.cluster), 1, READ_WRITE),
            TopicConfig::new(names::revive_topic(self.cluster), self.revive_queues, READ_WRITE),
            TopicConfig::new(names::sync_broker_member_topic(self.broker_name), 1, PERM_INHERIT),
            TopicConfig::new(names::HALF_TOPIC, 1, READ_WRITE),
            TopicConfig::new(names::OP_HALF_TOPIC, 1, READ_WRITE),
            TopicConfig::new(names::ROCKSDB_HALF_TOPIC, 1, READ_WRITE),
            TopicConfig::new(names::ROCKSDB_OP_HALF_TOPIC, 1, READ_WRITE),
        ];
        if self.auto_create_topics {
            topics.push(TopicConfig::new(
                names::AUTO_CREATE_TOPIC,
                self.default_queues,
                PERM_INHERIT | READ_WRITE,
            ));
        }
        if let Some(trace_topic) = self.trace_topic {
            topics.push(TopicConfig::new(trace_topic, 1, READ_WRITE));
        }
        if self.timer_wheel {
            topics.push(TopicConfig::new(names::TIMER_TOPIC, 1, READ_WRITE));
        }
        topics
    }
}
