//! Answers to request messages: 324, 325. The reply goes to the client that asked, by 326, and is
//! also stored in the cluster's reply topic.

use skua_config::Settings;
use skua_protocol::message_id::offset_id;
use skua_protocol::properties::{self, Properties, PropertiesEditor};
use skua_protocol::record::NewRecord;
use skua_protocol::request::{PushReplyMessageToClient, SendHeader, SendMessageResponse};
use skua_protocol::service::Outcome;
use skua_protocol::{Command, Millis, ResponseCode};

use super::send::{Send, Stop, queue_id, trace_text};
use crate::broker::Moved;
use crate::topic_table::Topic;

/// How long a client may take to accept a reply.
const PUSH_TIMEOUT_MS: u64 = 10_000;

impl Send<'_> {
    /// Stores the reply if that is wanted, hands it to who asked, and tells what came of it.
    pub(super) fn reply(
        &self,
        settings: &Settings,
        header: &SendHeader<'_>,
        topic: &Topic,
        queue: i32,
    ) -> Result<Outcome, Stop> {
        let broker = self.broker;
        let given = Properties::new(header.properties.unwrap_or_default());
        let mut marked = PropertiesEditor::from(given);
        marked.set(properties::MSG_REGION, broker.region());
        marked.set(properties::TRACE_ON, trace_text(settings));
        let marked = marked.encode();
        let given = Properties::new(&marked);
        let body = &self.request.body;
        self.check_size(settings, body.len(), given.encoded().len())?;
        // Zeros: Java's clients cannot read an answer without.
        let mut response = SendMessageResponse {
            msg_id: "0".into(),
            queue_id: queue,
            queue_offset: 0,
            msg_region: Some(broker.region().into()),
            trace_on: Some(settings.broker.trace_on),
            ..SendMessageResponse::default()
        };
        if settings.broker.store_reply_message_enable {
            let record = NewRecord {
                topic: header.topic,
                queue_id: queue_id(queue),
                flag: header.flag,
                sys_flag: 0,
                born_timestamp: Millis(header.born_timestamp),
                born_host: self.from,
                store_host: broker.store_host(),
                reconsume_times: header.reconsume_times.unwrap_or(0),
                prepared_transaction_offset: 0,
                body,
                properties: given.encoded(),
            };
            match broker.store.append(&record, self.now) {
                Ok(receipt) => {
                    let bytes = u64::from(receipt.size);
                    broker.count_put(topic, Moved { queue, messages: 1, bytes }, self.now);
                    response.msg_id =
                        offset_id(broker.store_host(), receipt.physical_offset).into();
                    response.queue_offset = receipt.queue_offset.0 as i64;
                }
                // The copy is for whoever looks into matters later: the reply goes out without.
                Err(error) => tracing::warn!(%error, "a reply is not stored"),
            }
        }
        let failed = |response: &SendMessageResponse, remark: String| {
            Command::error(ResponseCode::SystemError, remark).with_header(response)
        };
        let Some(client_id) = given.get(properties::REPLY_TO_CLIENT) else {
            let remark = "reply message properties[REPLY_TO_CLIENT] is null";
            return Ok(Outcome::Reply(failed(&response, remark.to_owned())));
        };
        let Some(client) = broker.producers.client(client_id) else {
            let remark = format!("push reply message fail, channel of <{client_id}> not found.");
            return Ok(Outcome::Reply(failed(&response, remark)));
        };
        let push = Command::request(&self.push(header, given)).with_body(body.clone());
        let answered = client.peer.call(push, PUSH_TIMEOUT_MS);
        let remark = format!("push reply message to {client_id}fail.");
        Ok(Outcome::Later(Box::pin(async move {
            match answered.await {
                Ok(answer) if answer.code == ResponseCode::Success as i32 => {
                    Command::success().with_header(&response)
                }
                Ok(answer) => {
                    tracing::warn!(code = answer.code, remark = ?answer.remark, "reply not accepted");
                    failed(&response, remark)
                }
                Err(error) => {
                    tracing::warn!(%error, "reply not delivered");
                    failed(&response, remark)
                }
            }
        })))
    }

    fn push(&self, header: &SendHeader<'_>, given: Properties<'_>) -> PushReplyMessageToClient {
        let mut properties = PropertiesEditor::from(given);
        properties.set(properties::PUSH_REPLY_TIME, self.now.0.to_string());
        PushReplyMessageToClient {
            producer_group: header.producer_group.into(),
            topic: header.topic.into(),
            default_topic: header.default_topic.into(),
            default_topic_queue_nums: header.default_topic_queue_nums,
            queue_id: header.queue_id,
            sys_flag: header.sys_flag,
            born_timestamp: header.born_timestamp,
            flag: header.flag,
            properties: Some(properties.encode().into()),
            reconsume_times: header.reconsume_times,
            unit_mode: header.unit_mode,
            born_host: self.from.to_string().into(),
            store_host: self.broker.store_host().to_string().into(),
            store_timestamp: self.now.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use skua_protocol::request::SendReplyMessage;

    use super::*;
    use crate::test_broker::{TestBroker, ready};

    const TOPIC: &str = "DefaultCluster_REPLY_TOPIC";

    fn request(test: &TestBroker, properties: &str) -> Command {
        let header = SendReplyMessage(test.message(TOPIC, 0, properties));
        Command::request(&header).with_body("reply")
    }

    #[test]
    fn a_reply_that_reaches_nobody_is_kept_and_refused_with_javas_texts() {
        let test = TestBroker::new();
        test.beat(&test.peer.clone(), "G", Vec::new());
        let refused = test.call(request(&test, "CORRELATION_ID\u{1}1\u{2}"));
        assert_eq!(refused.code, ResponseCode::SystemError as i32);
        let texts = "reply message properties[REPLY_TO_CLIENT] is null";
        assert_eq!(refused.remark.as_deref(), Some(texts));
        let refused = test.call(request(&test, "REPLY_TO_CLIENT\u{1}gone\u{2}"));
        let texts = "push reply message fail, channel of <gone> not found.";
        assert_eq!(refused.remark.as_deref(), Some(texts));
        // The test's client answers nothing.
        let answer =
            match test.start(&test.peer, request(&test, "REPLY_TO_CLIENT\u{1}client-1\u{2}")) {
                Ok(answer) => answer,
                Err(waiting) => ready(waiting),
            };
        assert_eq!(answer.remark.as_deref(), Some("push reply message to client-1fail."));
        test.dispatch();
        assert_eq!(test.stored(TOPIC, 0).len(), 3);
    }
}
