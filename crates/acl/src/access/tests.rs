use skua_protocol::header::Fields;

use super::*;

fn wants(code: RequestCode, fields: &[(&'static str, &'static str)], body: &str) -> Vec<String> {
    let fields = fields.iter().copied().collect::<Fields>();
    let request = Command::raw_request(code, fields).with_body(body.to_owned());
    let wanted = accesses(&request, "C").expect("readable");
    let show = |access: &Access| {
        let actions: Vec<_> = access.actions.iter().map(|action| action.name()).collect();
        format!("{} {}", access.resource(), actions.join(","))
    };
    wanted.iter().map(show).collect()
}

#[test]
fn sends_need_the_topic_and_sends_to_retry_topics_the_group() {
    use RequestCode::{SendBatchMessage, SendMessage, SendMessageV2};
    assert_eq!(wants(SendMessage, &[("topic", "t")], ""), ["Topic:t Pub"]);
    for code in [SendMessageV2, SendBatchMessage] {
        assert_eq!(wants(code, &[("b", "t"), ("a", "p")], ""), ["Topic:t Pub"]);
        // The group of the topic, whatever the sender calls itself.
        assert_eq!(wants(code, &[("a", "mine"), ("b", "%RETRY%g")], ""), ["Group:g Sub"]);
        assert_eq!(wants(code, &[("topic", "mine")], ""), ["Topic:null Pub"]);
    }
}

#[test]
fn reads_need_topic_and_group() {
    use RequestCode::{LitePullMessage, PopMessage, PullMessage, QueryConsumerOffset};
    let fields = [("consumerGroup", "g"), ("topic", "t")];
    for code in [PullMessage, LitePullMessage] {
        assert_eq!(wants(code, &fields, ""), ["Topic:t Sub", "Group:g Sub"]);
        let own = [("consumerGroup", "g"), ("topic", "%RETRY%g")];
        assert_eq!(wants(code, &own, ""), ["Group:g Sub"]);
        let others = [("consumerGroup", "g"), ("topic", "%RETRY%h")];
        assert_eq!(wants(code, &others, ""), ["Group:h Sub", "Group:g Sub"]);
    }
    assert_eq!(wants(PopMessage, &fields, ""), ["Group:g Sub", "Topic:t Sub"]);
    assert_eq!(wants(QueryConsumerOffset, &fields, ""), ["Topic:t Sub,Get", "Group:g Sub,Get"]);
}

#[test]
fn acknowledgements_of_popped_retries_need_their_group_alone() {
    let ack =
        |topic| wants(RequestCode::AckMessage, &[("consumerGroup", "g"), ("topic", topic)], "");
    assert_eq!(ack("t"), ["Group:g Sub", "Topic:t Sub"]);
    assert_eq!(ack("%RETRY%g_t"), ["Group:g Sub"]);
    assert_eq!(ack("%RETRY%g+t"), ["Group:g Sub"]);
    assert_eq!(ack("%RETRY%h_t"), ["Group:g Sub", "Group:h_t Sub"]);
}

#[test]
fn what_stands_in_bodies_is_looked_at() {
    let heartbeat = r#"{"clientID":"c","consumerDataSet":[{"groupName":"g","subscriptionDataSet":
        [{"topic":"t"},{"topic":"%RETRY%g"}]}],"producerDataSet":[{"groupName":"p"}]}"#;
    assert_eq!(wants(RequestCode::HeartBeat, &[], heartbeat), ["Group:g Sub", "Topic:t Sub"]);
    let lock = r#"{"consumerGroup":"g","mqSet":[{"topic":"t","brokerName":"b","queueId":0},
        {"topic":"t","brokerName":"b","queueId":1}]}"#;
    assert_eq!(wants(RequestCode::LockBatchMq, &[], lock), ["Group:g Sub", "Topic:t Sub"]);
    let acks = r#"{"acks":[{"c":"g","t":"t"},{"consumerGroup":"h","topic":"t"}]}"#;
    assert_eq!(
        wants(RequestCode::BatchAckMessage, &[], acks),
        ["Group:g Sub", "Topic:t Sub", "Group:h Sub"]
    );
    let group = r#"{"groupName":"g"}"#;
    let code = RequestCode::UpdateAndCreateSubscriptionGroup;
    assert_eq!(wants(code, &[], group), ["Group:g Create,Update"]);
    for code in [RequestCode::HeartBeat, RequestCode::LockBatchMq, code] {
        let request = Command::raw_request(code, Fields::new()).with_body(&b"{"[..]);
        assert_eq!(accesses(&request, "C"), Err(Unreadable));
    }
}

#[test]
fn the_broker_itself_is_its_cluster() {
    assert_eq!(wants(RequestCode::UpdateBrokerConfig, &[], ""), ["Cluster:C Update"]);
    assert_eq!(wants(RequestCode::AuthListUser, &[], ""), ["Cluster:C Get"]);
    assert!(wants(RequestCode::GetBrokerConfig, &[], "").is_empty());
}

#[test]
fn several_names_in_one_field_are_several_wishes() {
    let fields = [("filterGroups", "a,b"), ("compareGroup", "c"), ("topic", "t")];
    assert_eq!(
        wants(RequestCode::QueryCorrectionOffset, &fields, ""),
        ["Group:a Get", "Group:b Get", "Group:c Get", "Topic:t Get"]
    );
}
