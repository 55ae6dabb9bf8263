//! Messages that are in several queues: beside their own, in those that a property names.
//!
//! `INNER_MULTI_DISPATCH` lists queues, `INNER_MULTI_QUEUE_OFFSET` the queue offsets there, which
//! the store gives (Java: `LmqDispatch`, `MultiDispatchUtils`). Names that begin with `%LMQ%` are
//! light queues: topics of one queue that nobody makes.

use skua_protocol::QueueId;
use skua_protocol::properties::{INNER_MULTI_DISPATCH, INNER_MULTI_QUEUE_OFFSET};
use skua_protocol::record::{NewRecord, Record};

use crate::dispatch::SCHEDULE_TOPIC;

/// Topics of light queues begin so.
const LMQ_PREFIX: &str = "%LMQ%";
/// The one queue of such a topic.
pub(crate) const LMQ_QUEUE_ID: QueueId = QueueId(0);
const SEPARATOR: char = ',';

/// Whether the topic is a light queue.
pub fn is_lmq(topic: &str) -> bool {
    topic.starts_with(LMQ_PREFIX)
}

/// What of it is switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MultiDispatch {
    /// Light queues are known (`enableLmq`).
    pub lmq: bool,
    /// Messages are dispatched to the queues that they name (`enableMultiDispatch`).
    pub dispatch: bool,
}

impl MultiDispatch {
    /// Whether the record gets offsets in light queues.
    pub(crate) fn gives_offsets(self, record: &NewRecord<'_>) -> bool {
        self.lmq
            && allows(record.topic)
            && skua_protocol::properties::Properties::new(record.properties)
                .get(INNER_MULTI_DISPATCH)
                .is_some_and(|names| !names.trim().is_empty())
    }

    /// The further queues of a record, and its queue offsets there.
    pub(crate) fn places<'a>(self, record: &Record<'a>) -> Vec<(&'a str, QueueId, u64)> {
        if !self.dispatch || !allows(record.topic()) {
            return Vec::new();
        }
        let properties = record.properties();
        let get = |name| properties.get(name).filter(|value: &&str| !value.trim().is_empty());
        let (Some(queues), Some(offsets)) =
            (get(INNER_MULTI_DISPATCH), get(INNER_MULTI_QUEUE_OFFSET))
        else {
            return Vec::new();
        };
        // With an empty offset at the end Java dispatches to none of the queues.
        if names(queues).count() != offsets.split(SEPARATOR).count() {
            return Vec::new();
        }
        let own = u32::try_from(record.queue_id()).map_or(LMQ_QUEUE_ID, QueueId);
        names(queues)
            .zip(offsets.split(SEPARATOR))
            .filter_map(|(name, offset)| {
                let queue_id = if self.lmq && is_lmq(name) { LMQ_QUEUE_ID } else { own };
                Some((name, queue_id, offset.parse().ok()?))
            })
            .collect()
    }
}

/// What a property lists. Java leaves out what is empty at the end.
pub(crate) fn names(list: &str) -> impl Iterator<Item = &str> {
    list.trim_end_matches(SEPARATOR).split(SEPARATOR)
}

/// Java: `MixAll.topicAllowsLMQ`.
fn allows(topic: &str) -> bool {
    !topic.starts_with("%RETRY%") && !topic.starts_with("rmq_sys_") && topic != SCHEDULE_TOPIC
}
