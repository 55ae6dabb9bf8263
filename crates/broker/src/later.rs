//! Messages that are not to be delivered at once: by a delay level or by the timer (Java:
//! `HookUtils.handleScheduleMessage`).

use skua_config::Settings;
use skua_protocol::properties::{
    REAL_QID, REAL_TOPIC, TIMER_DEL_UNIQKEY, TIMER_DELAY_MS, TIMER_DELAY_SEC, TIMER_DELIVER_MS,
    TIMER_OUT_MS,
};
use skua_protocol::{Millis, properties::Properties};

use crate::broker::Broker;
use crate::names::{SCHEDULE_TOPIC, TIMER_TOPIC};
use crate::request::error::RequestError;

/// Where a message waits instead of going to its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    pub topic: &'static str,
    pub queue: i32,
    /// What is to be added to its properties.
    pub added: Vec<(&'static str, String)>,
    /// The slot of a timer message.
    pub out: Option<i64>,
}

/// By the delay level that the message asks for, which is more than 0.
pub(crate) fn by_level(broker: &Broker, level: i32, topic: &str, queue: i32) -> Waits {
    Waits {
        topic: SCHEDULE_TOPIC,
        queue: broker.delay.level(level) - 1,
        added: vec![(REAL_TOPIC, topic.to_owned()), (REAL_QID, queue.to_string())],
        out: None,
    }
}

/// By the timer, if the properties ask for it; `None`: they do not, or the time has come already.
pub(crate) fn by_timer(
    broker: &Broker,
    settings: &Settings,
    given: Properties<'_>,
    topic: &str,
    queue: i32,
    now: Millis,
) -> Result<Option<Waits>, RequestError> {
    let asked =
        [(TIMER_DELAY_SEC, 1000, now.0), (TIMER_DELAY_MS, 1, now.0), (TIMER_DELIVER_MS, 1, 0)];
    let asked =
        asked.into_iter().find_map(|(name, unit_ms, from)| Some((given.get(name)?, unit_ms, from)));
    let Some((value, unit_ms, from)) = asked else { return Ok(None) };
    // A message of the timer that comes back.
    if topic == TIMER_TOPIC || given.get(TIMER_OUT_MS).is_some() {
        return Ok(None);
    }
    if !settings.store.timer_wheel_enable || !broker.store.has_timer() {
        return Err(RequestError::TimerDisabled);
    }
    let max_ms = i64::from(settings.store.timer_max_delay_sec).saturating_mul(1000);
    let illegal = || RequestError::TimerIllegal { max_ms };
    let value: i64 = value.parse().map_err(|_| illegal())?;
    let due = from.saturating_add(value.saturating_mul(unit_ms));
    if due <= now.0 {
        // Nothing can be deleted any more.
        let deletes = given.get(TIMER_DEL_UNIQKEY).is_some();
        return if deletes { Err(illegal()) } else { Ok(None) };
    }
    if due - now.0 > max_ms {
        return Err(illegal());
    }
    let precision = broker.store.timer_precision_ms();
    // The slot that is over when the message is due.
    let out = (due - 1).div_euclid(precision) * precision;
    check_flow(broker, settings.store.timer_congest_num_each_slot, out)?;
    Ok(Some(Waits {
        topic: TIMER_TOPIC,
        queue: 0,
        added: vec![
            (TIMER_OUT_MS, out.to_string()),
            (REAL_TOPIC, topic.to_owned()),
            (REAL_QID, queue.to_string()),
        ],
        out: Some(out),
    }))
}

/// From `limit` waiting messages in a slot on some are refused, from twice as many on all.
fn check_flow(broker: &Broker, limit: i32, out: i64) -> Result<(), RequestError> {
    if limit == i32::MAX {
        return Ok(());
    }
    let limit = i64::from(limit);
    let waiting = i64::from(broker.store.timer_waiting_at(out)?);
    if waiting <= limit {
        return Ok(());
    }
    // Java refuses with a growing chance; any even spread does.
    let per_mille = 1000 * (waiting - limit) / limit.max(1);
    if waiting >= 2 * limit || i64::from(broker.any_queue(1000)) < per_mille {
        return Err(RequestError::TimerFlow { limit, waiting });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
