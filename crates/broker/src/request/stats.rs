//! Statistics and state: 28, 202, 208.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use skua_protocol::body::{
    ConsumeOffset, ConsumeStats, KvTable, MessageQueue, TopicOffset, TopicStats,
};
use skua_protocol::request::{GetConsumeStats, GetTopicStatsInfo};
use skua_protocol::{Command, Millis, QueueOffset, json};

use super::Answer;
use super::error::RequestError;
use super::offset::{max_of, min_of};
use crate::broker::Broker;

/// The offsets of a topic's queues.
pub fn topic(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: GetTopicStatsInfo = request.header()?;
    let Some(topic) = broker.topics.get(&header.topic) else {
        return Err(RequestError::NoTopic(header.topic.to_string()));
    };
    let config = &topic.config;
    let broker_name = broker.name().to_owned();
    let mut stats =
        TopicStats { topic_put_tps: topic.puts.per_second(now), ..TopicStats::default() };
    for queue_id in 0..config.write_queue_nums.max(config.read_queue_nums) {
        let max_offset = max_of(broker, &config.topic_name, queue_id);
        let offset = TopicOffset {
            last_update_timestamp: store_time(broker, &config.topic_name, queue_id, max_offset - 1),
            max_offset,
            min_offset: min_of(broker, &config.topic_name, queue_id),
        };
        let queue = MessageQueue {
            broker_name: broker_name.clone(),
            queue_id,
            topic: config.topic_name.clone(),
        };
        stats.offset_table.insert(queue, offset);
    }
    Ok(Command::success().with_body(stats.to_json()))
}

/// When a message of a queue was stored, 0 if it is not there.
fn store_time(broker: &Broker, topic: &str, queue: i32, offset: i64) -> i64 {
    let (Some(queue), Ok(offset)) = (broker.queue(topic, queue), u64::try_from(offset)) else {
        return 0;
    };
    broker.store.store_time(topic, queue, QueueOffset(offset)).map_or(0, |time| time.0)
}

/// How far a group has come: in the topics named, or in all of which it has committed anything.
/// Java: topics that a connected group does not subscribe to are left out, unless listed.
pub fn consume(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: GetConsumeStats = request.header()?;
    let group = &*header.consumer_group;
    let listed: BTreeSet<String> = header
        .topic_list
        .as_deref()
        .unwrap_or_default()
        .split(';')
        .filter(|topic| !topic.is_empty())
        .map(str::to_owned)
        .collect();
    let topics = if listed.is_empty() {
        let mut topics = match header.topic.as_deref() {
            Some(topic) if !topic.trim().is_empty() => [topic.to_owned()].into(),
            _ => broker.offsets.topics_of(group),
        };
        if let Some(connected) = broker.consumers.get(group)
            && !connected.subscriptions.is_empty()
        {
            topics.retain(|topic| connected.subscriptions.contains_key(topic.as_str()));
        }
        topics
    } else {
        listed
    };
    let broker_name = broker.name().to_owned();
    let mut stats = ConsumeStats::default();
    for topic in topics.iter().filter_map(|topic| broker.topics.get(topic)) {
        let name = &topic.config.topic_name;
        stats.consume_tps += broker.offsets.delivery_rate(group, name, now);
        for queue_id in 0..topic.config.read_queue_nums {
            let consumer_offset =
                broker.offsets.committed(group, name, queue_id).unwrap_or(-1).max(0);
            let pulled = broker.offsets.pulled(group, name, queue_id).unwrap_or(-1);
            let offset = ConsumeOffset {
                broker_offset: max_of(broker, name, queue_id),
                consumer_offset,
                last_timestamp: store_time(broker, name, queue_id, consumer_offset - 1),
                pull_offset: pulled.max(consumer_offset),
            };
            let queue =
                MessageQueue { broker_name: broker_name.clone(), queue_id, topic: name.clone() };
            stats.offset_table.insert(queue, offset);
        }
    }
    Ok(Command::success().with_body(stats.to_json()))
}

/// The broker's counters and state under RocketMQ's names. There are no thread pools behind the
/// names that speak of them: their queues are empty.
pub fn runtime_info(broker: &Broker, now: Millis) -> Answer {
    let mut table = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        table.insert(name.to_owned(), value);
    };
    let counters = &broker.counters;
    let rates = |rates: [f64; 3]| rates.map(|rate| format!("{rate:.2}")).join(" ");

    put("brokerVersionDesc", VERSION_TEXT.to_owned());
    put("brokerActive", "true".to_owned());
    put("bootTimestamp", broker.started().0.to_string());
    put("runtime", running_time(now.since(broker.started())));
    let starts = broker.settings().broker.start_accept_send_request_time_stamp;
    put("startAcceptSendRequestTimeStamp", starts.to_string());

    put("putTps", rates(counters.put.rates(now)));
    put("getFoundTps", rates(counters.get_found.rates(now)));
    put("getMissTps", rates(counters.get_missed.rates(now)));
    let found = counters.get_found.rates(now);
    let missed = counters.get_missed.rates(now);
    put("getTotalTps", rates([0, 1, 2].map(|at| found[at] + missed[at])));
    put("getTransferredTps", rates(counters.got.rates(now)));
    let stored = counters.put.total();
    put("putMessageTimesTotal", stored.to_string());
    put("putMessageFailedTimes", counters.put_failed.load(Ordering::Relaxed).to_string());
    let bytes = counters.put_bytes.load(Ordering::Relaxed);
    put("putMessageSizeTotal", bytes.to_string());
    put("putMessageAverageSize", (bytes as f64 / stored.max(1) as f64).to_string());
    for (name, total, days) in [
        ("msgPut", stored, &counters.put_days),
        ("msgGet", counters.got.total(), &counters.got_days),
    ] {
        days.note(total, now);
        let (yesterday, today) = days.mornings();
        put(&format!("{name}TotalYesterdayMorning"), yesterday.to_string());
        put(&format!("{name}TotalTodayMorning"), today.to_string());
        put(&format!("{name}TotalTodayNow"), total.to_string());
    }

    for pool in ["send", "pull", "litePull", "query", "ack"] {
        put(&format!("{pool}ThreadPoolQueueSize"), "0".to_owned());
        put(&format!("{pool}ThreadPoolQueueCapacity"), NO_POOL.to_owned());
        put(&format!("{pool}ThreadPoolQueueHeadWaitTimeMills"), "0".to_owned());
    }
    put("EndTransactionQueueSize", "0".to_owned());
    put("EndTransactionThreadPoolQueueCapacity", NO_POOL.to_owned());
    put("timerReadBehind", "0".to_owned());
    put("timerOffsetBehind", "0".to_owned());
    put("timerCongestNum", "0".to_owned());
    put("timerEnqueueTps", "0.0".to_owned());
    put("timerDequeueTps", "0.0".to_owned());
    put("remainTransientStoreBufferNumbs", i32::MAX.to_string());
    put("dispatchMaxBuffer", "0".to_owned());
    put("pageCacheLockTimeMills", "0".to_owned());

    for (level, next, max) in broker.delay.progress(&broker.store) {
        put(&format!("scheduleMessageOffset_{level}"), format!("{next},{max}"));
    }
    Ok(Command::success().with_body(json::to_vec(&KvTable { table })))
}

/// How RocketMQ names the version that Skua announces.
const VERSION_TEXT: &str = "V5_5_0";
/// Capacity shown for the queues of thread pools that are not there.
const NO_POOL: &str = "0";

/// As Java prints it: `[ 0 days, 0 hours, 2 minutes, 54 seconds ]`.
fn running_time(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    format!(
        "[ {days} days, {} hours, {} minutes, {} seconds ]",
        hours % 24,
        minutes % 60,
        seconds % 60
    )
}
