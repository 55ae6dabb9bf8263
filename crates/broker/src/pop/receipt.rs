//! What a popped message is acknowledged by (Java: `ExtraInfoUtil`): texts in the answer to a pop
//! from which the client makes a receipt for each message.

use crate::names::RETRY_PREFIX;

/// Revive queue id in receipts of ordered pops, which have no check point.
pub const ORDERED: i32 = 999;

/// Whether a receipt is that of an ordered pop.
pub fn is_of_ordered(receipt: &str) -> bool {
    receipt.split(' ').nth(3).is_some_and(|revive| revive.parse() == Ok(ORDERED))
}

/// Retry topic in the first form: `%RETRY%group_topic`.
pub fn retry_topic_v1(topic: &str, group: &str) -> String {
    format!("{RETRY_PREFIX}{group}_{topic}")
}

/// Retry topic in the second form: `%RETRY%group+topic`, in which the two can be told apart.
pub fn retry_topic_v2(topic: &str, group: &str) -> String {
    format!("{RETRY_PREFIX}{group}+{topic}")
}

/// The topic that a message was first popped from.
pub fn normal_topic<'a>(topic: &'a str, group: &str) -> &'a str {
    let of_group = topic.strip_prefix(RETRY_PREFIX).and_then(|rest| rest.strip_prefix(group));
    of_group.and_then(|rest| rest.strip_prefix(['+', '_'])).unwrap_or(topic)
}

/// How answers name the kind of a topic.
fn kind(topic: &str) -> char {
    match topic.strip_prefix(RETRY_PREFIX) {
        None => '0',
        Some(rest) if rest.contains('+') => '2',
        Some(_) => '1',
    }
}

/// The topic that an item of a batch of acknowledgements means; `None`: no known kind.
pub fn real_topic(topic: &str, group: &str, kind: &str) -> Option<String> {
    match kind {
        "0" => Some(topic.to_owned()),
        "1" => Some(retry_topic_v1(topic, group)),
        "2" => Some(retry_topic_v2(topic, group)),
        _ => None,
    }
}

/// A message's receipt, as far as the broker needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// First offset of the check point.
    pub start_offset: i64,
    pub pop_time: i64,
    pub invisible_time: i64,
    pub revive_queue: i32,
    pub broker_name: String,
}

/// Why a receipt cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error("the receipt has {0} parts of at least 6")]
    Parts(usize),
    #[error("the receipt's {part} `{value}` is not a number")]
    Number { part: &'static str, value: String },
}

impl Receipt {
    /// Reads `start popTime invisibleTime reviveQueue kind broker queue offset`; the last two are
    /// not there in receipts of old clients.
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [start, pop_time, invisible, revive, _kind, broker, ..] = parts[..] else {
            return Err(ReceiptError::Parts(parts.len()));
        };
        let number = |part, value: &str| {
            let error = || ReceiptError::Number { part, value: crate::names::shown(value) };
            value.parse::<i64>().map_err(|_| error())
        };
        Ok(Self {
            start_offset: number("start offset", start)?,
            pop_time: number("pop time", pop_time)?,
            invisible_time: number("invisible time", invisible)?,
            revive_queue: revive.parse().map_err(|_| ReceiptError::Number {
                part: "revive queue",
                value: crate::names::shown(revive),
            })?,
            broker_name: broker.to_owned(),
        })
    }

    pub fn is_ordered(&self) -> bool {
        self.revive_queue == ORDERED
    }

    /// The receipt's text for one message.
    pub fn text(&self, topic: &str, queue: i32, offset: i64) -> String {
        let Self { start_offset, pop_time, invisible_time, revive_queue, broker_name } = self;
        format!(
            "{start_offset} {pop_time} {invisible_time} {revive_queue} {} {broker_name} {queue} \
             {offset}",
            kind(topic)
        )
    }
}

fn separate(text: &mut String) {
    if !text.is_empty() {
        text.push(';');
    }
}

/// The three texts of an answer to a pop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    pub start_offsets: String,
    pub message_offsets: String,
    pub order_counts: String,
}

impl Texts {
    /// Adds the messages of one queue.
    pub fn add(&mut self, topic: &str, queue: i32, start: i64, offsets: &[i64]) {
        use std::fmt::Write as _;
        let kind = kind(topic);
        separate(&mut self.start_offsets);
        let _ = write!(self.start_offsets, "{kind} {queue} {start}");
        separate(&mut self.message_offsets);
        let _ = write!(self.message_offsets, "{kind} {queue} ");
        for (at, offset) in offsets.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(self.message_offsets, "{comma}{offset}");
        }
    }

    /// How often messages of an ordered queue were delivered before: those delivered at all, and
    /// the least of the queue for old clients.
    pub fn add_counts(&mut self, topic: &str, queue: i32, counts: &[(i64, i32)], least: i32) {
        use std::fmt::Write as _;
        let kind = kind(topic);
        for (offset, count) in counts {
            separate(&mut self.order_counts);
            let _ = write!(self.order_counts, "{kind} qo{queue}%{offset} {count}");
        }
        separate(&mut self.order_counts);
        let _ = write!(self.order_counts, "{kind} {queue} {least}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_as_clients_write_it() {
        let receipt = Receipt::parse("0 1795465237721 60000 3 0 broker-a 2 5").expect("whole");
        assert_eq!(receipt.revive_queue, 3);
        assert_eq!(receipt.text("T", 2, 5), "0 1795465237721 60000 3 0 broker-a 2 5");
        assert_eq!(Receipt::parse("1 2 3"), Err(ReceiptError::Parts(3)));
        assert!(matches!(Receipt::parse("0 x 1 2 0 b"), Err(ReceiptError::Number { .. })));
    }

    #[test]
    fn retry_topics_tell_what_they_retry() {
        assert_eq!(normal_topic(&retry_topic_v1("T", "G_1"), "G_1"), "T");
        assert_eq!(normal_topic(&retry_topic_v2("T", "G"), "G"), "T");
        assert_eq!(normal_topic("T", "G"), "T");
        let mut texts = Texts::default();
        texts.add("T", 1, 4, &[4, 6]);
        texts.add(&retry_topic_v2("T", "G"), 0, 0, &[0]);
        assert_eq!(texts.start_offsets, "0 1 4;2 0 0");
        assert_eq!(texts.message_offsets, "0 1 4,6;2 0 0");
        texts.add_counts("T", 1, &[(4, 2)], 0);
        assert_eq!(texts.order_counts, "0 qo1%4 2;0 1 0");
    }
}
