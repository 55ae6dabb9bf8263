use skua_protocol::body::TopicConfig;
use skua_protocol::record::RecordError;

use super::*;

#[test]
fn errors_become_the_codes_that_clients_act_on() {
    use RequestError as E;
    let text = || "x".to_owned();
    let table = [
        (E::NotSupported(9999), 3, " request type 9999 not supported"),
        (E::Append(AppendError::Record(RecordError::TopicTooLong(9))), 13, "topic of 9 bytes"),
        (E::Append(AppendError::Closed), 14, "service not available now."),
        (E::Slave, 2, "[REJECTREQUEST]system busy, start flow control for a while"),
        (
            E::TooManyParked { parked: 7, limit: 7 },
            2,
            "[OVERLOAD]system busy, start flow control for a while: 7 pulls wait, at most 7 may",
        ),
        (E::NoTopicToSend(text()), 17, "topic[x] not exist, apply first please!\nSee https://"),
        (E::NoTopicToPull(text()), 17, "topic[x] not exist, apply first please! \nSee https://"),
        (E::GroupNotConnected, 24, "the consumer's group info not exist\nSee https://"),
        (E::OldSubscription, 25, "the consumer's subscription not latest"),
        (E::NoGroupToCommit(text()), 26, "Group x not exist!"),
        (E::BadSubscription, 23, "parse the consumer's subscription failed"),
        (E::ClosedTopic(text()), 16, "Sending message to topic[x] is forbidden."),
        (E::BlankTopic, 29, "The specified topic is blank."),
        (E::OffsetUnknown, 22, "Not found, do not set to zero"),
        (E::ConsumerOffline(text()), 206, "the consumer group[x] not online"),
    ];
    for (error, code, begins) in table {
        assert_eq!(error.code() as i32, code, "{error:?}");
        assert!(error.remark().starts_with(begins), "{}", error.remark());
        let answer = error.answer();
        assert_eq!(answer.code, code);
        assert_eq!(answer.remark.as_deref(), Some(error.remark().as_str()));
    }
}

#[test]
fn topics_are_printed_as_java_prints_them() {
    let topic = Topic {
        config: TopicConfig {
            attributes: [("message.type".to_owned(), "DELAY".to_owned())].into(),
            ..TopicConfig::new("T", 4, 6)
        },
        stats: Default::default(),
    };
    assert_eq!(
        topic_text(&topic),
        "TopicConfig [topicName=T, readQueueNums=4, writeQueueNums=4, perm=RW-, \
         topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, \
         attributes={message.type=DELAY}]"
    );
}
