//! Timer messages that are taken back: 370 (Java: `RecallMessageProcessor`).

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use skua_config::Settings;
use skua_protocol::body::PERM_WRITE;
use skua_protocol::properties::{self, Properties, append};
use skua_protocol::record::NewRecord;
use skua_protocol::request::{RecallMessage, RecallMessageResponse};
use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, ResponseCode};

use super::error::RequestError;
use super::send::queue_id;
use crate::broker::{Broker, Moved};
use crate::later;
use crate::names::RETRY_PREFIX;

const HANDLE_VERSION: &str = "v1";
const TAG: &str = "_RECALL_TAG_";

/// Java's URL encoder pads, its decoder takes both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What names a waiting message (Java: `RecallMessageHandle`): `v1 topic broker time id` in
/// base 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle<'a> {
    pub topic: &'a str,
    pub broker: &'a str,
    /// A moment in the message's slot, in milliseconds.
    pub time: &'a str,
    pub unique_id: &'a str,
}

impl Handle<'_> {
    pub fn encode(&self) -> String {
        let Self { topic, broker, time, unique_id } = self;
        BASE64.encode(format!("{HANDLE_VERSION} {topic} {broker} {time} {unique_id}"))
    }
}

/// The handle in the answer to a send; `None` for retries.
pub fn handle(broker: &Broker, topic: &str, out: i64, unique_id: &str) -> Option<String> {
    // Java: one more, since rounding takes one off.
    let time = out.saturating_add(1).to_string();
    let handle = Handle { topic, broker: broker.name(), time: &time, unique_id };
    (!topic.starts_with(RETRY_PREFIX)).then(|| handle.encode())
}

fn decode(text: &str) -> Option<String> {
    let text = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
    text.starts_with(HANDLE_VERSION).then_some(text)
}

fn parse(text: &str) -> Option<Handle<'_>> {
    let mut parts = text.split(' ');
    if parts.next() != Some(HANDLE_VERSION) {
        return None;
    }
    let mut part = || parts.next();
    let handle = Handle { topic: part()?, broker: part()?, time: part()?, unique_id: part()? };
    (!handle.unique_id.is_empty()).then_some(handle)
}

pub fn recall(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    request: &Command,
    now: Millis,
) -> Outcome {
    match store(broker, peer, request, now) {
        Ok(outcome) => outcome,
        Err(error) => {
            let mut answer = error.answer();
            answer.fields.push(properties::MSG_REGION, broker.region());
            Outcome::Reply(answer)
        }
    }
}

fn check(broker: &Broker, settings: &Settings, now: Millis) -> Result<(), RequestError> {
    if !settings.broker.recall_message_enable {
        return Err(RequestError::RecallForbidden);
    }
    if broker.is_slave() {
        return Err(RequestError::RecallOnSlave);
    }
    let may_write = settings.broker.broker_permission & PERM_WRITE != 0;
    if now.0 < settings.broker.start_accept_send_request_time_stamp
        || !(may_write || settings.broker.allow_recall_when_broker_not_writeable)
        || broker.store.failure().is_some()
    {
        return Err(RequestError::RecallUnavailable);
    }
    Ok(())
}

/// Stores a request to delete in the slot of the message that it is about.
fn store(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    request: &Command,
    now: Millis,
) -> Result<Outcome, RequestError> {
    let header: RecallMessage = request.header()?;
    let settings = broker.settings();
    check(broker, &settings, now)?;
    if broker.topics.get(&header.topic).is_none() {
        return Err(RequestError::RecallNoTopic(header.topic.to_string()));
    }
    let text = decode(&header.recall_handle).ok_or(RequestError::RecallHandle)?;
    let handle = parse(&text).ok_or(RequestError::RecallHandle)?;
    if handle.topic != &*header.topic {
        return Err(RequestError::RecallOtherTopic);
    }
    if handle.broker != broker.name() {
        return Err(RequestError::RecallOtherBroker);
    }
    let left = handle.time.parse::<i64>().unwrap_or(-1).saturating_sub(now.0);
    if left <= 0 || left >= i64::from(settings.store.timer_max_delay_sec).saturating_mul(1000) {
        return Err(RequestError::RecallTime);
    }

    let key = if settings.store.append_topic_for_timer_delete_key {
        format!("{}+{}", handle.topic, handle.unique_id)
    } else {
        handle.unique_id.to_owned()
    };
    let born = now.0.to_string();
    let mut encoded = Vec::new();
    for (name, value) in [
        (properties::TAGS, TAG),
        (properties::TIMER_DEL_UNIQKEY, &*key),
        (properties::UNIQ_KEY, handle.unique_id),
        (properties::TIMER_DELIVER_MS, handle.time),
        (properties::BORN_TIMESTAMP, &born),
        (properties::PGROUP, header.producer_group.as_deref().unwrap_or_default()),
    ] {
        append(&mut encoded, name, value);
    }
    let given = Properties::new(&encoded);
    let waits = later::by_timer(broker, &settings, given, handle.topic, 0, now);
    let waits = waits.ok().flatten().ok_or(RequestError::RecallFailed)?;
    for (name, value) in &waits.added {
        append(&mut encoded, name, value);
    }
    let record = NewRecord {
        topic: waits.topic,
        queue_id: queue_id(waits.queue),
        flag: 0,
        sys_flag: 0,
        born_timestamp: now,
        born_host: peer.remote_addr(),
        store_host: broker.store_host(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"0",
        properties: &encoded,
    };
    let receipt = broker.store.append(&record, now).map_err(|cause| {
        tracing::warn!(%cause, "a request to recall was not stored");
        RequestError::RecallFailed
    })?;
    if let Some(topic) = broker.topics.get(waits.topic) {
        let bytes = u64::from(receipt.size);
        broker.count_put(&topic, Moved { queue: waits.queue, messages: 1, bytes }, now);
    }
    let answer = RecallMessageResponse { msg_id: handle.unique_id.into() };
    let mut answer = Command::success().with_header(&answer);
    answer.fields.push(properties::MSG_REGION, broker.region());
    Ok(match broker.when_safe(&settings, answer, receipt.end, now) {
        // Java: late is stored all the same.
        Outcome::Reply(answer) => Outcome::Reply(succeeded(answer)),
        Outcome::Later(answer) => Outcome::Later(Box::pin(async { succeeded(answer.await) })),
        other => other,
    })
}

fn succeeded(answer: Command) -> Command {
    Command { code: ResponseCode::Success as i32, ..answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_as_java_makes_it() {
        // `RecallMessageHandle.HandleV1.buildHandle("topic", "broker-0", "1707111111111", "01C3")`
        let java = "djEgdG9waWMgYnJva2VyLTAgMTcwNzExMTExMTExMSAwMUMz";
        let handle =
            Handle { topic: "topic", broker: "broker-0", time: "1707111111111", unique_id: "01C3" };
        assert_eq!(handle.encode(), java);
        let text = decode(java).expect("base 64");
        assert_eq!(parse(&text), Some(handle));
    }

    #[test]
    fn what_is_no_handle_is_refused() {
        for bad in ["", "v1 a b", "v2 topic broker 1 id", "v1 topic broker 1 "] {
            let encoded = BASE64.encode(bad);
            assert_eq!(decode(&encoded).as_deref().and_then(parse), None, "{bad}");
        }
        assert_eq!(decode("%%%"), None);
    }
}
