//! Bodies of the recorded requests and answers.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use skua_protocol::RequestCode::{self, *};
use skua_protocol::body::*;
use skua_protocol::json;
use skua_protocol::properties::{Properties, UNIQ_KEY};
use skua_protocol::record::{BatchItems, Message, Record};

use super::exchange::exchanges;

/// Reads a body into its type and writes it again.
type Through = fn(&[u8]) -> Vec<u8>;

fn through<T: DeserializeOwned + Serialize>(body: &[u8]) -> Vec<u8> {
    json::to_vec(&json::from_slice::<T>(body).unwrap())
}

macro_rules! by_hand {
    ($type:ty) => {
        |body| json::from_slice::<$type>(body).unwrap().to_json()
    };
}

fn request_body(code: RequestCode) -> Option<Through> {
    Some(match code {
        HeartBeat => through::<HeartbeatData>,
        CheckClientConfig => through::<CheckClient>,
        LockBatchMq | UnlockBatchMq => through::<LockBatch>,
        UpdateAndCreateSubscriptionGroup => through::<SubscriptionGroupConfig>,
        RegisterBroker => through::<RegisterBrokerBody>,
        QueryDataVersion => through::<DataVersion>,
        QueryAssignment => through::<QueryAssignmentBody>,
        SetMessageRequestMode => through::<MessageRequestModeConfig>,
        _ => return None,
    })
}

fn response_body(code: RequestCode) -> Option<Through> {
    Some(match code {
        GetRouteInfoByTopic => through::<RouteData>,
        GetBrokerClusterInfo => through::<ClusterInfo>,
        GetBrokerMemberGroup => through::<BrokerMemberGroupResponse>,
        GetConsumerListByGroup => through::<ConsumerListResponse>,
        LockBatchMq => through::<LockBatchResponse>,
        GetTopicConfig => through::<TopicConfig>,
        GetAllTopicConfig => through::<TopicConfigSerializeWrapper>,
        GetSubscriptionGroupConfig => through::<SubscriptionGroupConfig>,
        GetTopicStatsInfo => by_hand!(TopicStats),
        GetConsumeStats => by_hand!(ConsumeStats),
        GetBrokerConsumeStats => by_hand!(BrokerConsumeStats),
        InvokeBrokerToResetOffset => by_hand!(ResetOffsets),
        InvokeBrokerToGetConsumerStatus | GetConsumerStatusFromClient => by_hand!(ConsumerStatus),
        GetConsumerConnectionList => through::<ConsumerConnection>,
        GetProducerConnectionList => through::<ProducerConnection>,
        GetAllProducerInfo => through::<ProducerTable>,
        GetAllTopicListFromNameServer
        | GetSystemTopicListFromNs
        | GetSystemTopicListFromBroker
        | GetTopicsByCluster
        | QueryTopicsByConsumer => through::<TopicList>,
        QueryTopicConsumeByWho => through::<GroupList>,
        QuerySubscriptionByConsumer => through::<GroupSubscription>,
        UpdateAndGetGroupForbidden => through::<GroupForbidden>,
        GetBrokerRuntimeInfo | GetKvListByNamespace | RegisterBroker => through::<KvTable>,
        QueryConsumeTimeSpan => through::<ConsumeTimeSpans>,
        QueryConsumeQueue => through::<ConsumeQueueEntries>,
        GetBrokerHaStatus => through::<HaRuntimeInfo>,
        ViewBrokerStatsData => through::<BrokerStats>,
        QueryAssignment => through::<Assignments>,
        GetAllMessageRequestMode => through::<MessageRequestModes>,
        GetAllConsumerOffset => through::<ConsumerOffsets>,
        GetAllDelayOffset => through::<DelayOffsets>,
        GetTimerMetrics => through::<TimerMetrics>,
        QueryCorrectionOffset => through::<CorrectionOffsets>,
        QueryDataVersion => through::<DataVersion>,
        ConsumeMessageDirectly => through::<ConsumeDirectlyResult>,
        _ => return None,
    })
}

/// Sets have no order.
fn without_order(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(without_order).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, without_order(value))).collect()
        }
        other => other,
    }
}

#[track_caller]
fn assert_kept(name: &str, body: &[u8], through: Through) {
    let read = |text: &[u8]| without_order(json::from_slice::<Value>(text).unwrap());
    let mut written = read(&through(body));
    if name.starts_with("v49_heartbeat") {
        // What 4.9 does not have yet.
        let members = written.as_object_mut().unwrap();
        assert_eq!(members.remove("heartbeatFingerprint"), Some(0.into()));
        assert_eq!(members.remove("withoutSub"), Some(false.into()));
    }
    assert_eq!(written, read(body), "{name}");
}

#[test]
fn every_recorded_json_body_fits_its_type_and_loses_nothing() {
    let mut checked = BTreeSet::new();
    for (request, answer) in exchanges() {
        let command = request.command();
        let Some(code) = RequestCode::from_i32(command.code) else { continue };
        if let Some(through) = request_body(code).filter(|_| !command.body.is_empty()) {
            assert_kept(&request.name, &command.body, through);
            checked.insert((code, "request"));
        } else if command.body.first() == Some(&b'{') {
            panic!("{}: nobody reads this body", request.name);
        }
        let Some(answer) = answer else { continue };
        let command = answer.command();
        if let Some(through) = response_body(code).filter(|_| !command.body.is_empty()) {
            assert_kept(&answer.name, &command.body, through);
            checked.insert((code, "answer"));
        } else if command.body.first() == Some(&b'{') {
            // Two whose content is for display only.
            assert!(
                matches!(code, GetBrokerLiteInfo | GetColdDataFlowCtrInfo),
                "{}: nobody reads this body",
                answer.name
            );
        }
    }
    assert!(checked.len() > 40, "only {} bodies", checked.len());
}

#[test]
fn maps_keyed_by_queue_are_written_byte_for_byte_as_java_writes_them() {
    let by_name = |name| exchanges().into_iter().find(|(request, _)| request.name == name);
    let (_, answer) = by_name("reset_offset_json_req").unwrap();
    let body = answer.unwrap().command().body;
    let written = String::from_utf8(json::from_slice::<ResetOffsets>(&body).unwrap().to_json());
    // Java's order is that of a hash table, here the reverse of ours.
    let entry = |queue| {
        format!("{{\"brokerName\":\"broker-a\",\"queueId\":{queue},\"topic\":\"WireTJ\"}}:0")
    };
    let with = |order: [i32; 4]| format!("{{\"offsetTable\":{{{}}}}}", order.map(entry).join(","));
    assert_eq!(with([3, 2, 1, 0]).as_bytes(), &body[..]);
    assert_eq!(written.unwrap(), with([0, 1, 2, 3]));
}

#[test]
fn every_recorded_record_reads_and_has_its_crc() {
    let mut count = 0;
    for (request, answer) in exchanges() {
        let code = request.command().code;
        let mut bodies = Vec::new();
        if code == CheckTransactionState as i32 || code == ConsumeMessageDirectly as i32 {
            bodies.push(request.command().body);
        }
        let holds_messages = [PullMessage, QueryMessage, ViewMessageById, PopMessage];
        if let Some(answer) = answer.filter(|_| holds_messages.iter().any(|&c| c as i32 == code)) {
            bodies.push(answer.command().body);
        }
        for body in bodies {
            let messages = Message::decode_all(&body).unwrap();
            let mut at = 0;
            for message in &messages {
                let record = Record::parse_with(&body[at..], true).unwrap();
                at += record.size();
                assert_eq!(message.physical_offset, record.physical_offset());
                assert_eq!(record.topic(), &*message.topic);
                assert!(message.plain_body(1 << 20).is_ok());
                count += 1;
            }
            assert_eq!(at, body.len(), "{}", request.name);
        }
    }
    assert!(count > 10, "only {count} records");
}

#[test]
fn a_pulled_message_has_the_values_the_sender_gave_it() {
    let (_, answer) =
        exchanges().into_iter().find(|(r, _)| r.name == "pull_found_json_req").unwrap();
    let body: Bytes = answer.unwrap().command().body;
    let messages = Message::decode_all(&body).unwrap();
    assert_eq!(messages.len(), 3);
    let [first, second, third] = &messages[..] else { unreachable!("there are three") };
    assert_eq!((&*first.topic, first.queue_id, first.queue_offset), ("WireTJ", 2, 0));
    assert_eq!(first.physical_offset, 0x113);
    assert_eq!(first.offset_id(), "7F0000010000326F0000000000000113");
    assert_eq!(first.store_host, "127.0.0.1:12911".parse().unwrap());
    assert_eq!(first.tags(), Some("TagA"));
    assert_eq!(first.keys(), Some("k2"));
    assert_eq!(&first.body[..], b"b1");
    assert_eq!((second.tags(), &second.body[..]), (Some("TagB"), &b"b2"[..]));
    assert_eq!(third.sys_flag, 769);
    let plain = third.plain_body(1 << 20).unwrap();
    assert!(plain.len() > 4096, "{}", plain.len());
    assert!(third.plain_body(4096).is_err());
}

#[test]
fn recorded_batches_come_apart_into_their_messages() {
    let mut batches = 0;
    for (request, answer) in exchanges() {
        let command = request.command();
        if command.code != SendBatchMessage as i32 {
            continue;
        }
        let items: Vec<_> = BatchItems::new(&command.body).map(Result::unwrap).collect();
        let header: skua_protocol::request::SendMessageResponse =
            answer.unwrap().command().header().unwrap();
        assert_eq!(items.len(), header.msg_id.split(',').count(), "{}", request.name);
        for item in &items {
            assert!(!item.body.is_empty());
            assert!(item.properties.get(UNIQ_KEY).is_some());
            assert_eq!(item.properties, Properties::new(item.properties.encoded()));
        }
        batches += 1;
    }
    assert_eq!(batches, 3);
}
