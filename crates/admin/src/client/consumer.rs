//! Reading queues without joining a group: offsets are kept here and never committed.

use std::time::Duration;

use bytestring::ByteString;
use skua_protocol::code::ResponseCode;
use skua_protocol::record::Message;
use skua_protocol::request::{
    GetMaxOffset, GetMaxOffsetResponse, GetMinOffset, GetMinOffsetResponse, PULL_SUBSCRIPTION,
    PULL_SUSPEND, PullMessage, PullMessageResponse, SearchOffsetByTimestamp,
    SearchOffsetByTimestampResponse,
};
use skua_protocol::{Command, Millis};

use super::route::Queue;
use super::{Answer, Cluster};
use crate::failure::{Failure, Role};

/// Group named in pulls; it exists at every broker.
pub const TOOLS_GROUP: &str = "TOOLS_CONSUMER";
/// Messages asked for at once; brokers give 32 by default.
const PULL_COUNT: i32 = 32;

/// Where reading starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Beginning,
    End,
    Offset(i64),
    /// The first message stored at this moment or later.
    Time(Millis),
}

/// What one pull brought.
#[derive(Debug)]
pub struct Pulled {
    pub status: PullStatus,
    pub next_offset: i64,
    pub min_offset: i64,
    pub max_offset: i64,
    pub messages: Vec<Message>,
}

/// Java: `PullStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullStatus {
    Found,
    NoNewMessage,
    NoMatchedMessage,
    OffsetIllegal,
}

impl PullStatus {
    /// Java's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoNewMessage => "NO_NEW_MSG",
            Self::NoMatchedMessage => "NO_MATCHED_MSG",
            Self::OffsetIllegal => "OFFSET_ILLEGAL",
        }
    }

    fn of(code: i32) -> Option<Self> {
        Some(match ResponseCode::from_i32(code)? {
            ResponseCode::Success => Self::Found,
            ResponseCode::PullNotFound => Self::NoNewMessage,
            ResponseCode::PullRetryImmediately => Self::NoMatchedMessage,
            ResponseCode::PullOffsetMoved => Self::OffsetIllegal,
            _ => return None,
        })
    }
}

/// Reads one topic.
pub struct Consumer<'a> {
    cluster: &'a Cluster,
    topic: String,
    group: String,
    /// A tag expression such as `a || b`, or `*`.
    subscription: String,
}

impl<'a> Consumer<'a> {
    pub fn new(cluster: &'a Cluster, topic: &str, subscription: &str) -> Self {
        Self {
            cluster,
            topic: topic.to_owned(),
            group: TOOLS_GROUP.to_owned(),
            subscription: subscription.to_owned(),
        }
    }

    /// Pulls in the name of another group, whose permissions then count.
    pub fn in_group(mut self, group: Option<&str>) -> Self {
        if let Some(group) = group {
            group.clone_into(&mut self.group);
        }
        self
    }

    pub async fn min_offset(&self, queue: &Queue) -> Result<i64, Failure> {
        let header = GetMinOffset { topic: self.topic.as_str().into(), queue_id: queue.id };
        let answer = self.cluster.broker(&queue.addr, &header).await?;
        Ok(answer.header::<GetMinOffsetResponse>()?.offset)
    }

    pub async fn max_offset(&self, queue: &Queue) -> Result<i64, Failure> {
        let header = GetMaxOffset {
            topic: self.topic.as_str().into(),
            queue_id: queue.id,
            committed: Some(true),
        };
        let answer = self.cluster.broker(&queue.addr, &header).await?;
        Ok(answer.header::<GetMaxOffsetResponse>()?.offset)
    }

    pub async fn offset_at(&self, queue: &Queue, time: Millis) -> Result<i64, Failure> {
        let header = SearchOffsetByTimestamp {
            topic: self.topic.as_str().into(),
            queue_id: queue.id,
            timestamp: time.0,
            ..Default::default()
        };
        let answer = self.cluster.broker(&queue.addr, &header).await?;
        Ok(answer.header::<SearchOffsetByTimestampResponse>()?.offset)
    }

    pub async fn start(&self, queue: &Queue, from: From) -> Result<i64, Failure> {
        match from {
            From::Beginning => self.min_offset(queue).await,
            From::End => self.max_offset(queue).await,
            From::Offset(offset) => Ok(offset),
            From::Time(time) => self.offset_at(queue, time).await,
        }
    }

    /// One pull of at most `count` messages; with `hold` the broker may wait that long for a
    /// message to come.
    pub async fn pull(
        &self,
        queue: &Queue,
        offset: i64,
        count: i32,
        hold: Option<Duration>,
    ) -> Result<Pulled, Failure> {
        let hold_ms = hold.map_or(0, |hold| i64::try_from(hold.as_millis()).unwrap_or(i64::MAX));
        let suspend = if hold.is_some() { PULL_SUSPEND } else { 0 };
        let header = PullMessage {
            consumer_group: self.group.as_str().into(),
            topic: self.topic.as_str().into(),
            queue_id: queue.id,
            queue_offset: offset,
            max_msg_nums: count.min(PULL_COUNT),
            sys_flag: PULL_SUBSCRIPTION | suspend,
            commit_offset: 0,
            suspend_timeout_millis: hold_ms,
            sub_version: 0,
            subscription: Some(self.subscription.as_str().into()),
            expression_type: Some(ByteString::from_static("TAG")),
            ..Default::default()
        };
        let timeout = self.cluster.timeout() + hold.unwrap_or_default();
        let answer =
            self.cluster.call_within(&queue.addr, Command::request(&header), timeout).await?;
        let Some(status) = PullStatus::of(answer.command.code) else {
            return Err(answer.refusal(Role::Broker));
        };
        self.pulled(&answer, status)
    }

    /// As many as brokers give at once.
    pub async fn pull_some(
        &self,
        queue: &Queue,
        offset: i64,
        hold: Option<Duration>,
    ) -> Result<Pulled, Failure> {
        self.pull(queue, offset, PULL_COUNT, hold).await
    }

    fn pulled(&self, answer: &Answer, status: PullStatus) -> Result<Pulled, Failure> {
        let header: PullMessageResponse = answer.header()?;
        let mut messages = match status {
            PullStatus::Found => answer.messages()?,
            _ => Vec::new(),
        };
        // The broker compares only the hashes of tags.
        let tags: Vec<&str> = self.subscription.split("||").map(str::trim).collect();
        if !tags.iter().any(|tag| *tag == "*" || tag.is_empty()) {
            messages
                .retain(|message| message.property("TAGS").is_some_and(|tag| tags.contains(&tag)));
        }
        Ok(Pulled {
            status,
            next_offset: header.next_begin_offset,
            min_offset: header.min_offset,
            max_offset: header.max_offset,
            messages,
        })
    }
}
