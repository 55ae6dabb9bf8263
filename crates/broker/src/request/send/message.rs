//! What a message's properties ask of the broker.

use skua_protocol::properties::{self, Properties, PropertiesEditor};

use super::waits;
use crate::names;
use crate::request::error::RequestError;

/// A message's properties, and what they ask for.
pub(super) struct Message<'a> {
    pub properties: Vec<u8>,
    pub unique_id: Option<&'a str>,
    pub delay_level: i32,
    pub waits: bool,
    pub half: bool,
    pub timer: bool,
    pub inner_num: bool,
    pub has_keys: bool,
    /// The lite topic that it is for.
    pub lite_topic: Option<&'a str>,
}

/// Properties of half messages that only the broker may set.
const HALF_PARTS: [&str; 5] = [
    properties::TRANSACTION_ID,
    properties::TRANSACTION_CHECK_TIMES,
    properties::TRAN_PREPARED_QUEUE_OFFSET,
    properties::REAL_TOPIC,
    properties::REAL_QID,
];

/// Room for what the broker appends to a message's properties.
const APPENDED_LEN: usize = 128;

impl<'a> Message<'a> {
    pub fn read(given: &'a str, dead_letter: bool) -> Result<Self, RequestError> {
        let mut message = Self {
            properties: Vec::with_capacity(given.len() + APPENDED_LEN),
            unique_id: None,
            delay_level: 0,
            waits: true,
            half: false,
            timer: false,
            inner_num: false,
            has_keys: false,
            lite_topic: None,
        };
        let mut reserved = false;
        for (name, value) in Properties::new(given).iter() {
            match name {
                properties::UNIQ_KEY => message.unique_id = Some(value),
                properties::KEYS => message.has_keys = !value.trim().is_empty(),
                properties::WAIT => message.waits = waits(Some(value)),
                properties::TRAN_MSG => message.half = value.eq_ignore_ascii_case("true"),
                properties::INNER_NUM => message.inner_num = true,
                properties::LITE_TOPIC => message.lite_topic = Some(value),
                properties::DELAY => {
                    message.delay_level = value.parse().map_err(|_| RequestError::BadProperty {
                        name: "DELAY",
                        value: names::shown(value),
                    })?;
                }
                properties::TIMER_DELAY_SEC
                | properties::TIMER_DELAY_MS
                | properties::TIMER_DELIVER_MS => message.timer = true,
                properties::POP_CK
                | properties::TRANSACTION_ID
                | properties::TRANSACTION_CHECK_TIMES
                | properties::TRAN_PREPARED_QUEUE_OFFSET
                | properties::MSG_REGION
                | properties::TRACE_ON
                | properties::CLUSTER
                | properties::REAL_TOPIC
                | properties::REAL_QID => reserved = true,
                _ => {}
            }
        }
        let delayed_by_timer = message.timer && message.delay_level > 0;
        if reserved || dead_letter || delayed_by_timer {
            message.rewrite(given, dead_letter);
        } else {
            message.properties.extend_from_slice(given.as_bytes());
        }
        Ok(message)
    }

    /// Leaves out what only the broker may set, and what a delay level overrides.
    fn rewrite(&mut self, given: &str, dead_letter: bool) {
        let mut editor = PropertiesEditor::from(Properties::new(given));
        for name in
            [properties::POP_CK, properties::MSG_REGION, properties::TRACE_ON, properties::CLUSTER]
        {
            editor.remove(name);
        }
        if self.half {
            for name in HALF_PARTS {
                editor.remove(name);
            }
        }
        if dead_letter {
            // Java: marks that no delay is to follow.
            editor.set(properties::DELAY, "-1");
            self.delay_level = -1;
        }
        if self.delay_level > 0 {
            for name in [
                properties::TIMER_DELAY_SEC,
                properties::TIMER_DELAY_MS,
                properties::TIMER_DELIVER_MS,
                properties::REAL_TOPIC,
                properties::REAL_QID,
            ] {
                editor.remove(name);
            }
        }
        self.properties.extend_from_slice(editor.encode().as_bytes());
    }

    pub fn set(&mut self, name: &str, value: &str) {
        let text = String::from_utf8_lossy(&self.properties).into_owned();
        let mut editor = PropertiesEditor::from(Properties::new(&text));
        editor.set(name, value);
        self.properties = editor.encode().into_bytes();
    }

    pub fn append(&mut self, name: &str, value: &str) {
        properties::append(&mut self.properties, name, value);
    }
}
