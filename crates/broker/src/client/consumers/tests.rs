use skua_protocol::command::Language;

use super::*;
use crate::test_peer::TestPeer;

const NOW: Millis = Millis(1_000);

fn member(peer: &Arc<TestPeer>, client_id: &str, now: Millis) -> Member {
    Member::new(peer.clone(), client_id, Language::JAVA, 513, now)
}

fn subscription(topic: &str, version: i64) -> SubscriptionData {
    SubscriptionData { sub_version: version, topic: topic.to_owned(), ..Default::default() }
}

fn beat<'a>(group: &'a str, subscriptions: &'a [SubscriptionData]) -> ConsumerBeat<'a> {
    ConsumerBeat {
        group,
        consume_type: ConsumeType::Passively,
        message_model: MessageModel::Clustering,
        consume_from_where: ConsumeFromWhere::LastOffset,
        subscriptions: Some(subscriptions),
        fingerprint: 0,
        notify: true,
    }
}

fn notices(peer: &TestPeer) -> Vec<String> {
    let told = peer.take_notified();
    told.iter()
        .map(|request| request.fields.get("consumerGroup").unwrap_or("").to_owned())
        .collect()
}

#[test]
fn joining_and_leaving_is_told_to_everyone_in_the_group() {
    let consumers = Consumers::new(120_000);
    let (one, two) = (TestPeer::new(1), TestPeer::new(2));
    let subscriptions = [subscription("T", 1)];
    consumers.beat(member(&one, "c1", NOW), &beat("g", &subscriptions), NOW);
    assert_eq!(notices(&one), ["g"]);
    consumers.beat(member(&two, "c2", NOW), &beat("g", &subscriptions), NOW);
    assert_eq!((notices(&one), notices(&two)), (vec!["g".into()], vec!["g".into()]));
    consumers.beat(member(&two, "c2", NOW), &beat("g", &subscriptions), NOW);
    assert_eq!(notices(&one), [""; 0], "nothing changed");
    consumers.closed(two.id(), |_| true);
    assert_eq!(notices(&one), ["g"]);
    assert_eq!(notices(&two), [""; 0]);
    consumers.unregister("g", one.id(), true);
    assert!(consumers.get("g").is_none());
}

#[test]
fn broadcasting_and_muted_groups_are_not_told() {
    let consumers = Consumers::new(120_000);
    let peer = TestPeer::new(1);
    let model = MessageModel::Broadcasting;
    consumers.beat(
        member(&peer, "c", NOW),
        &ConsumerBeat { message_model: model, ..beat("b", &[subscription("T", 1)]) },
        NOW,
    );
    consumers.beat(
        member(&peer, "c", NOW),
        &ConsumerBeat { notify: false, ..beat("m", &[subscription("T", 1)]) },
        NOW,
    );
    assert_eq!(notices(&peer), [""; 0]);
}

#[test]
fn a_changed_topic_set_is_a_change_and_a_newer_expression_is_taken_over() {
    let consumers = Consumers::new(120_000);
    let peer = TestPeer::new(1);
    consumers.beat(member(&peer, "c", NOW), &beat("g", &[subscription("T", 5)]), NOW);
    notices(&peer);
    let newer = SubscriptionData { sub_string: "TagA".into(), ..subscription("T", 6) };
    consumers.beat(member(&peer, "c", NOW), &beat("g", &[newer]), NOW);
    assert_eq!(notices(&peer), [""; 0]);
    let sub_string =
        || consumers.subscription("g", "T").expect("subscribed").data.sub_string.clone();
    assert_eq!(sub_string(), "TagA");
    let older = SubscriptionData { sub_string: "TagB".into(), ..subscription("T", 4) };
    consumers.beat(member(&peer, "c", NOW), &beat("g", &[older]), NOW);
    assert_eq!(sub_string(), "TagA");
    consumers.beat(member(&peer, "c", NOW), &beat("g", &[subscription("U", 7)]), NOW);
    assert_eq!(notices(&peer), ["g"]);
    assert!(consumers.subscription("g", "T").is_none());
}

#[test]
fn a_short_heartbeat_keeps_subscriptions_and_compares_fingerprints() {
    let consumers = Consumers::new(120_000);
    let peer = TestPeer::new(1);
    let subscriptions = [subscription("T", 1)];
    let long = ConsumerBeat { fingerprint: 7, ..beat("g", &subscriptions) };
    assert!(!consumers.beat(member(&peer, "c", NOW), &long, NOW), "the first is no change");
    let short = ConsumerBeat { fingerprint: 7, subscriptions: None, ..beat("g", &[]) };
    assert!(!consumers.beat(member(&peer, "c", NOW), &short, NOW));
    assert!(consumers.subscription("g", "T").is_some());
    let other = ConsumerBeat { fingerprint: 8, ..beat("g", &subscriptions) };
    assert!(consumers.beat(member(&peer, "c", NOW), &other, NOW));
}

#[test]
fn a_silent_client_is_removed_after_two_minutes_and_its_connection_closed() {
    let consumers = Consumers::new(120_000);
    let (silent, alive) = (TestPeer::new(1), TestPeer::new(2));
    let subscriptions = [subscription("T", 1)];
    consumers.beat(member(&silent, "c1", NOW), &beat("g", &subscriptions), NOW);
    consumers.beat(member(&alive, "c2", NOW), &beat("g", &subscriptions), NOW);
    let later = NOW.plus(60_000);
    consumers.beat(member(&alive, "c2", later), &beat("g", &subscriptions), later);
    notices(&alive);
    assert!(consumers.run_due(NOW.plus(120_000), |_| true).is_some());
    assert_eq!(consumers.get("g").expect("alive").members.len(), 2);
    consumers.run_due(NOW.plus(130_001), |_| true);
    assert_eq!(consumers.get("g").expect("alive").members.len(), 1);
    assert!(silent.is_closed() && !alive.is_closed());
    assert_eq!(notices(&alive), ["g"]);
    assert_eq!(consumers.run_due(NOW.plus(400_000), |_| true), None, "nobody is left");
}
