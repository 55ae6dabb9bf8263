//! The broker's counters and state: 28.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use skua_protocol::body::KvTable;
use skua_protocol::record::Record;
use skua_protocol::{Command, Millis, json};
use skua_store::Store;

use super::Answer;
use crate::broker::Broker;

/// The broker's counters and state under RocketMQ's names. There are no thread pools behind the
/// names that speak of them: their queues are empty.
pub fn info(broker: &Broker, now: Millis) -> Answer {
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
    counters.note_day(now);
    let stored = counters.put.total();
    put("putMessageTimesTotal", stored.to_string());
    let latency = &counters.put_latency;
    put("putMessageDistributeTime", latency.distribution());
    put("putMessageEntireTimeMax", latency.max_ms().to_string());
    put("putLatency99", format!("{:.2}", latency.within(0.99)));
    put("putLatency999", format!("{:.2}", latency.within(0.999)));
    put("getMessageEntireTimeMax", counters.get_latency.max_ms().to_string());
    put("putMessageFailedTimes", counters.put_failed.load(Ordering::Relaxed).to_string());
    let bytes = counters.put_bytes.load(Ordering::Relaxed);
    put("putMessageSizeTotal", bytes.to_string());
    put("putMessageAverageSize", (bytes as f64 / stored.max(1) as f64).to_string());
    for (name, total, days) in [
        ("msgPut", counters.user_puts.value(), &counters.put_days),
        ("msgGet", counters.user_gets.value(), &counters.got_days),
    ] {
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
    let timer = broker.store.timer_state(now)?.unwrap_or_default();
    put("timerReadBehind", (timer.behind_ms / 1000).to_string());
    put("timerOffsetBehind", timer.behind_messages.to_string());
    put("timerCongestNum", timer.waiting.to_string());
    put("timerEnqueueTps", format!("{:.1}", timer.enqueued_per_second as f64));
    put("timerDequeueTps", format!("{:.1}", timer.dequeued_per_second as f64));
    put("remainTransientStoreBufferNumbs", i32::MAX.to_string());
    put("dispatchMaxBuffer", "0".to_owned());
    put("pageCacheLockTimeMills", "0".to_owned());

    for (level, next, max) in broker.delay.progress(&broker.store) {
        put(&format!("scheduleMessageOffset_{level}"), format!("{next},{max}"));
    }
    store_info(&broker.store, &mut put);
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

/// What the store tells of itself. Reads the disk.
fn store_info(store: &Store, put: &mut dyn FnMut(&str, String)) {
    let (min, appended) = (store.min_physical_offset(), store.appended());
    // Java: -1 until there is a file.
    let shown = if appended.0 == 0 { "-1".to_owned() } else { min.0.to_string() };
    put("commitLogMinOffset", shown);
    put("commitLogMaxOffset", appended.0.to_string());
    let behind = appended.0.saturating_sub(store.dispatched().0);
    put("dispatchBehindBytes", behind.to_string());
    let unflushed = appended.0.saturating_sub(store.flushed_offset().0);
    put("remainHowManyDataToFlush", readable_bytes(unflushed));
    let first = store.record_at(min, None).ok().flatten();
    let earliest = first
        .as_deref()
        .and_then(|bytes| Record::parse(bytes).ok())
        .map_or(-1, |record| record.store_timestamp().0);
    put("earliestMessageTimeStamp", earliest.to_string());
    if let Ok(space) = store.space() {
        let used = f64::from(space.used_percent()) / 100.0;
        put("commitLogDiskRatio", format!("{used:.2}"));
        let dir = store.commit_log_dir().display();
        put(&format!("commitLogDiskRatio_{dir}"), format!("{used:.2}"));
        put("consumeQueueDiskRatio", format!("{used:.2}"));
        let (total, free) = (readable_bytes(space.total), readable_bytes(space.free));
        put("commitLogDirCapacity", format!("Total : {total}, Free : {free}."));
    }
}

/// As Java prints sizes: `523 B`, `238.2 GiB`.
fn readable_bytes(bytes: u64) -> String {
    const UNIT: f64 = 1024.0;
    if bytes < UNIT as u64 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / UNIT;
    let mut units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if size < UNIT {
            break;
        }
        size /= UNIT;
        unit = larger;
    }
    format!("{size:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_printed_as_java_does() {
        assert_eq!(readable_bytes(523), "523 B");
        assert_eq!(readable_bytes(1536), "1.5 KiB");
        assert_eq!(readable_bytes(252 << 30), "252.0 GiB");
        let text = "[ 0 days, 0 hours, 2 minutes, 54 seconds ]";
        assert_eq!(running_time(174_999), text);
    }
}
