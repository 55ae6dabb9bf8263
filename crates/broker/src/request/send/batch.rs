//! Batches (320): as records of their own, or as one record in topics with batch queues.

use skua_config::Settings;
use skua_protocol::Millis;
use skua_protocol::body::TopicFilterType;
use skua_protocol::message_id::offset_id;
use skua_protocol::properties::{self, Properties, PropertiesEditor};
use skua_protocol::record::{
    BatchItem, BatchItems, FLAG_INNER_BATCH, FLAG_MULTI_TAGS, FLAG_NEED_UNWRAP, NewRecord,
};
use skua_protocol::request::{SendAnswer, SendHeader};
use skua_protocol::service::Outcome;

use super::{Send, Stop, queue_id, trace_text, waits};
use crate::broker::Moved;
use crate::names::RETRY_PREFIX;
use crate::request::error::RequestError;
use crate::topic_table::Topic;

/// What the queue's entry can count.
const INNER_MESSAGES_MAX: usize = i16::MAX as usize;

impl Send<'_> {
    /// Several messages in one body, stored one after the other without another in between.
    pub(super) fn send_batch(
        &self,
        settings: &Settings,
        header: &SendHeader<'_>,
        topic: &Topic,
        queue: i32,
    ) -> Result<Outcome, Stop> {
        if header.topic.len() > i8::MAX as usize {
            return Err(RequestError::BatchTopicLength(header.topic.len()).into());
        }
        if header.topic.starts_with(RETRY_PREFIX) {
            return Err(RequestError::BatchToRetry(header.topic.to_string()).into());
        }
        self.check_size(settings, self.request.body.len(), 0)?;
        let given = Properties::new(header.properties.unwrap_or_default());
        if given.get(properties::DELAY).and_then(|level| level.parse().ok()).unwrap_or(0) > 0 {
            return Err(RequestError::DelayedBatch.into());
        }
        let timed =
            [properties::TIMER_DELAY_SEC, properties::TIMER_DELAY_MS, properties::TIMER_DELIVER_MS];
        if timed.into_iter().any(|name| given.get(name).is_some()) {
            return Err(RequestError::DelayedBatch.into());
        }
        if given.get(properties::TRAN_MSG).is_some_and(|half| half.eq_ignore_ascii_case("true")) {
            return Err(RequestError::HalfBatch.into());
        }
        let mut sys_flag = header.sys_flag;
        if topic.config.topic_filter_type == TopicFilterType::MultiTag {
            sys_flag |= FLAG_MULTI_TAGS;
        }
        if topic.config.has_batch_queues()
            && let Some(unique_id) = given.get(properties::UNIQ_KEY)
        {
            let sys_flag = sys_flag | FLAG_INNER_BATCH | FLAG_NEED_UNWRAP;
            return self.send_inner_batch(settings, header, topic, (queue, sys_flag), unique_id);
        }
        let mut records = Vec::new();
        for item in BatchItems::new(&self.request.body) {
            let BatchItem { flag, body, properties } = item.map_err(RequestError::Batch)?;
            records.push(NewRecord {
                topic: header.topic,
                queue_id: queue_id(queue),
                flag,
                sys_flag,
                born_timestamp: Millis(header.born_timestamp),
                born_host: self.from,
                store_host: self.broker.store_host(),
                reconsume_times: header.reconsume_times.unwrap_or(0),
                prepared_transaction_offset: 0,
                body,
                properties: properties.encoded(),
            });
        }
        self.limit(settings, &topic.config.topic_name, records.len())?;
        let store = &self.broker.store;
        let receipts = match self.on_connection {
            true => store.append_batch_only(&records, self.now)?,
            false => store.append_batch(&records, self.now)?,
        };
        let (Some(first), Some(last)) = (receipts.first(), receipts.last()) else {
            return Err(RequestError::EmptyBody.into());
        };
        let bytes = receipts.iter().map(|receipt| u64::from(receipt.size)).sum();
        let put = Moved { queue, messages: receipts.len() as u64, bytes };
        self.count(topic, &topic.config.topic_name, put);

        let host = self.broker.store_host();
        let mut ids = String::new();
        for receipt in &receipts {
            if !ids.is_empty() {
                ids.push(',');
            }
            ids.push_str(&offset_id(host, receipt.physical_offset));
        }
        let answer = SendAnswer {
            msg_id: &ids,
            queue_id: queue,
            queue_offset: first.queue_offset.0 as i64,
            transaction_id: given.get(properties::UNIQ_KEY),
            ..self.answer(settings)
        };
        Ok(self.finish(settings, &answer, last.end, waits(given.get(properties::WAIT))))
    }

    /// Several messages that stay one record, which the client takes apart.
    fn send_inner_batch(
        &self,
        settings: &Settings,
        header: &SendHeader<'_>,
        topic: &Topic,
        (queue, sys_flag): (i32, i32),
        unique_id: &str,
    ) -> Result<Outcome, Stop> {
        let mut messages = 0;
        for item in BatchItems::new(&self.request.body) {
            item.map_err(RequestError::Batch)?;
            messages += 1;
        }
        if messages > INNER_MESSAGES_MAX {
            return Err(RequestError::InnerBatchLength(messages).into());
        }
        let given = header.properties.unwrap_or_default();
        let mut editor = PropertiesEditor::from(Properties::new(given));
        editor.set(properties::MSG_REGION, self.broker.region());
        editor.set(properties::TRACE_ON, trace_text(settings));
        editor.set(properties::CLUSTER, &settings.broker.broker_cluster_name);
        editor.set(properties::INNER_NUM, messages.to_string());
        let properties = editor.encode();
        self.check_size(settings, self.request.body.len(), properties.len())?;
        let record = NewRecord {
            topic: header.topic,
            queue_id: queue_id(queue),
            flag: header.flag,
            sys_flag,
            born_timestamp: Millis(header.born_timestamp),
            born_host: self.from,
            store_host: self.broker.store_host(),
            reconsume_times: header.reconsume_times.unwrap_or(0),
            prepared_transaction_offset: 0,
            body: &self.request.body,
            properties: properties.as_bytes(),
        };
        self.limit(settings, &topic.config.topic_name, messages)?;
        let store = &self.broker.store;
        let receipt = match self.on_connection {
            true => store.append_only(&record, self.now)?,
            false => store.append(&record, self.now)?,
        };
        let bytes = u64::from(receipt.size);
        let put = Moved { queue, messages: messages as u64, bytes };
        self.count(topic, &topic.config.topic_name, put);
        let answer = SendAnswer {
            msg_id: &offset_id(self.broker.store_host(), receipt.physical_offset),
            queue_id: queue,
            queue_offset: receipt.queue_offset.0 as i64,
            transaction_id: Some(unique_id),
            batch_uniq_id: Some(unique_id),
            ..self.answer(settings)
        };
        let wait = Properties::new(given).get(properties::WAIT);
        Ok(self.finish(settings, &answer, receipt.end, waits(wait)))
    }
}
