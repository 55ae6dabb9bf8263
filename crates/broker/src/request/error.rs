//! The one place where errors become response codes and remarks.
//!
//! Remarks are Java's: clients show them, some match on them, mqadmin prints them.

use std::net::SocketAddr;

use skua_acl::BookError;
use skua_protocol::header::DecodeFieldsError;
use skua_protocol::json::JsonError;
use skua_protocol::record::RecordError;
use skua_protocol::service::PeerError;
use skua_protocol::{Command, Millis, ResponseCode};
use skua_store::{AppendError, DiskError, ReadError};

use crate::files::SaveError;
use crate::group_table::GroupError;
use crate::limits::Exceeded;
use crate::lite::board::SubscribeError;
use crate::names::NameError;
use crate::pop::receipt::ReceiptError;
use crate::static_topics::MappingError;
use crate::topic_table::{Topic, UpdateError};
use crate::transaction::WorkError;
use crate::users::ChangeError;

/// Ends remarks about things that the documentation of RocketMQ explains.
const SEE_FAQ: &str =
    "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
/// Begins the remark of every refusal for want of room; clients back off on its code.
pub const FLOW_CONTROL: &str = "start flow control for a while";

/// Who forbids a pull, as the answer's `forbiddenType` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForbiddenBy {
    Broker = 1,
    Group = 2,
    Topic = 3,
    Broadcasting = 4,
    Subscription = 5,
}

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error(transparent)]
    Header(#[from] DecodeFieldsError),
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error(" request type {0} not supported")]
    NotSupported(i32),
    #[error("missing `{0}` in the body")]
    MissingMember(&'static str),
    #[error("{0} are not supported")]
    FeatureNotSupported(&'static str),

    #[error(transparent)]
    Name(#[from] NameError),
    #[error("The topic[{0}] is conflict with system topic.")]
    SystemTopic(String),
    #[error("MIXED message type is not supported.")]
    MixedType,
    #[error("{name} cannot be {value}, accepted: {accepted}")]
    Parameter { name: &'static str, value: String, accepted: &'static str },

    #[error("broker unable to service, until {0} ms")]
    NotYet(Millis),
    #[error("the broker[{ip}] sending message is forbidden")]
    BrokerNotWritable { ip: String },
    #[error("Sending message to topic[{0}] is forbidden.")]
    ClosedTopic(String),
    #[error("the topic[{0}] sending message is forbidden")]
    TopicNotWritable(String),
    #[error("topic[{0}] not exist, apply first please!{see}", see = SEE_FAQ)]
    NoTopicToSend(String),
    #[error("request queueId[{queue}] is illegal, {topic} Producer: {peer}")]
    SendQueue { queue: i32, topic: String, peer: SocketAddr },
    #[error("the broker[{ip}] sending transaction message is forbidden")]
    TransactionsRejected { ip: String },
    #[error("{0}")]
    Transaction(&'static str),
    #[error("the broker is a slave: transactions end at their master")]
    TransactionOnSlave,
    #[error(
        "the transaction is older than {limit_ms} ms, the limit of its \
         CHECK_IMMUNITY_TIME_IN_SECONDS: its producer is going to be asked"
    )]
    TransactionTooLate { limit_ms: i64 },
    #[error(transparent)]
    TransactionWork(WorkError),
    #[error("message body is empty")]
    EmptyBody,
    #[error("message topic length too long {0}")]
    BatchTopicLength(usize),
    #[error("batch request does not support retry group {0}")]
    BatchToRetry(String),
    #[error("the message is illegal: a batch cannot be delayed")]
    DelayedBatch,
    #[error("the message is illegal: a batch cannot be part of a transaction")]
    HalfBatch,
    #[error("batch is malformed: {0}")]
    Batch(RecordError),
    #[error("Required message key is missing")]
    KeyMissing,
    #[error("property {name}: `{value}` is not a number")]
    BadProperty { name: &'static str, value: String },
    #[error("message is marked as an inner batch, but topic {0} has no batch queues")]
    InnerBatch(String),
    #[error("a record of a topic with batch queues holds at most 32767 messages, not {0}")]
    InnerBatchLength(usize),
    /// The real lengths stand behind Java's text.
    #[error(
        "the message is illegal, maybe msg body or properties length not matched. msg body length \
         limit {limit}B, msg properties length limit 32KB. body {body}B, properties {properties}B"
    )]
    MessageSize { limit: usize, body: usize, properties: usize },
    #[error(
        "timer message illegal, the delay time should not be bigger than the max delay {max_ms}ms; \
         or if set del msg, the delay time should be bigger than the current time"
    )]
    TimerIllegal { max_ms: i64 },
    #[error(
        "timer message is under flow control, max num limit is {} or the current value is greater \
         than {limit} and less than {}, trigger random flow control. It is {waiting} \
         (timerCongestNumEachSlot={limit})", limit * 2, limit * 2
    )]
    TimerFlow { limit: i64, waiting: i64 },
    #[error("accurate timer message is not enabled, timerWheelEnable is false")]
    TimerDisabled,
    #[error("{0}")]
    TimerEngine(&'static str),

    #[error("recall failed, operation is forbidden")]
    RecallForbidden,
    #[error("recall failed, broker service not available")]
    RecallOnSlave,
    #[error("recall failed, broker service not available")]
    RecallUnavailable,
    #[error("recall failed, the topic[{0}] not exist")]
    RecallNoTopic(String),
    #[error("recall handle is invalid")]
    RecallHandle,
    #[error("recall failed, topic not match")]
    RecallOtherTopic,
    #[error("recall failed, broker service not available")]
    RecallOtherBroker,
    #[error("recall failed, timestamp invalid")]
    RecallTime,
    #[error("recall failed, execute error")]
    RecallFailed,
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Java's clients connect anew, or elsewhere.
    #[error("please go away")]
    GoAway,
    #[error("[REJECTREQUEST]system busy, {flow}: the broker is a slave", flow = FLOW_CONTROL)]
    Slave,

    /// Java's text for what it answers then.
    #[error(
        "in-sync replicas not enough: the group did not agree in time, or has another leader; \
         the message may be kept or not"
    )]
    NotAgreed,
    #[error("{0}")]
    Raft(String),
    #[error("the role stays where it is: {0}")]
    NotHandedOver(String),
    #[error("the role is not taken over: {0}")]
    NotTakenOver(String),
    #[error("sent on to the master {master}, which gives no answer: {cause}")]
    SentOn { master: String, cause: String },
    /// Java's text for what its own Raft log says in such a case.
    #[error(
        "service not available now. It may be caused by one of the following reasons: the \
         broker's disk is full, messages are put to the slave, message store has been shut \
         down, etc. Cause: the broker is not the master of its group at present"
    )]
    NoMaster,

    /// Java's text; the numbers stand behind it.
    #[error("in-sync replicas not enough: {there} copies, minInSyncReplicas={least}")]
    TooFewCopies { there: i32, least: i32 },

    #[error("subscription group not exist, {0} {see}", see = SEE_FAQ)]
    NoGroupToSend(String),
    #[error("look message by offset failed, {0}")]
    NoMessageAt(i64),
    #[error("can not find message by the offset, {0}")]
    NoMessageToView(i64),

    #[error("the broker[{ip}] pulling message is forbidden")]
    BrokerNotReadable { ip: String },
    #[error("the broker[{ip}] for lite pull consumer is forbidden")]
    LitePullForbidden { ip: String },
    #[error("subscription group [{0}] does not exist, {see}", see = SEE_FAQ)]
    NoGroupToPull(String),
    #[error("subscription group no permission, {0}")]
    GroupNotReadable(String),
    #[error("topic[{0}] not exist, apply first please! {see}", see = SEE_FAQ)]
    NoTopicToPull(String),
    #[error("the topic[{0}] pulling message is forbidden")]
    TopicNotReadable(String),
    #[error(
        "queueId[{queue}] is illegal, topic:[{topic}] topicConfig.readQueueNums:[{queues}] \
         consumer:[/{peer}]"
    )]
    PullQueue { queue: i32, topic: String, queues: i32, peer: SocketAddr },
    #[error("the consumer's group info not exist{see}", see = SEE_FAQ)]
    GroupNotConnected,
    #[error(
        "the consumer's group info not exist, or the pull consumer is rejected by server.{see}",
        see = SEE_FAQ
    )]
    PullConsumerRejected,
    #[error("the consumer group[{0}] can not consume by broadcast way")]
    BroadcastForbidden(String),
    #[error("the consumer group[{group}] is forbidden for topic[{topic}]")]
    SubscriptionForbidden { group: String, topic: String },
    #[error("the consumer's subscription not exist{see}", see = SEE_FAQ)]
    NoSubscription,
    #[error("the consumer's subscription not latest")]
    OldSubscription,
    #[error("parse the consumer's subscription failed")]
    BadSubscription,
    #[error("The broker does not support consumer to filter message by {0}")]
    FilterType(String),
    #[error("the filter expression is wrong: {0}")]
    FilterSyntax(String),
    #[error("The broker's consumer filter data is not exist!Your expression may be wrong!")]
    NoFilter,
    #[error("the consumer's consumer filter data not latest")]
    OldFilter,
    #[error(
        "[OVERLOAD]system busy, {flow}: {parked} pulls wait, at most {limit} may",
        flow = FLOW_CONTROL
    )]
    TooManyParked { parked: usize, limit: usize },
    /// A limit of Skua's own.
    #[error("[OVERLOAD]system busy, {flow}: {0}", flow = FLOW_CONTROL)]
    Limited(#[from] Exceeded),
    /// As [`Limited`](Self::Limited), where clients have a short way to wait.
    #[error("[OVERLOAD]system busy, {flow}: {0}", flow = FLOW_CONTROL)]
    LimitedPull(Exceeded),
    #[error("{topic}-{queue} does not exit in request process of current broker {broker}")]
    NotLeader { topic: String, queue: i32, broker: String },
    #[error("the offsets of logical queue {0} are not decided yet")]
    UndecidedQueue(i32),
    #[error("the time of a logical queue's first message cannot be told")]
    NoMappedTime,
    #[error("broker {broker}, which has this part of the logical queue, does not answer: {cause}")]
    Forward { broker: String, cause: String },
    #[error("This consumer group is reading cold data. It has been flow control")]
    ColdData,

    #[error("the broker[{ip}] {what} message is forbidden")]
    PopForbidden { ip: String, what: &'static str },
    #[error("the broker[{ip}] pop message is timeout too much")]
    PopTooLate { ip: String },
    #[error("the broker[{ip}] pop message's num is greater than 32")]
    PopTooMany { ip: String },
    #[error("the broker[{ip}] pop message is forbidden because timerWheelEnable is false")]
    PopWithoutTimer { ip: String },
    #[error(
        "[OVERLOAD]system busy, {flow}: {pending} check points are pending, at most {limit} may",
        flow = FLOW_CONTROL
    )]
    TooManyCheckPoints { pending: usize, limit: usize },
    #[error("the topic[{0}] peeking message is forbidden")]
    TopicNotPeekable(String),
    #[error(
        "queueId[{queue}] is illegal, topic:[{topic}] topicConfig.readQueueNums:[{queues}] \
         consumer:[/{peer}]"
    )]
    AckQueue { queue: i32, topic: String, queues: i32, peer: SocketAddr },
    #[error("offset is illegal, key:{topic}@{queue}, commit:{offset}, store:{min}~{max}")]
    AckOffset { topic: String, queue: i32, offset: i64, min: i64, max: i64 },
    #[error("offset is illegal, key:{key}, old:{old}, commit:{offset}, next:-1, /{peer}")]
    AckOrder { key: String, old: i64, offset: i64, peer: SocketAddr },
    #[error(transparent)]
    Receipt(#[from] ReceiptError),

    #[error("{0}")]
    LiteRequest(&'static str),
    #[error("Consumer group is not allowed to consume.")]
    LiteGroupForbidden,
    #[error(transparent)]
    LiteSubscribe(#[from] SubscribeError),
    #[error("the broker[{ip}] pop message's num is greater than 32")]
    LitePopTooMany { ip: String },
    #[error("topic [{0}] not exist, apply first please! {SEE_FAQ}")]
    NoTopicToPop(String),
    #[error("subscription group [{0}] not exist, {SEE_FAQ}")]
    NoGroupToPop(String),
    #[error("the topic [{0}] message type not match")]
    NotParentToPop(String),
    #[error("subscription bind topic not match, {0}")]
    LiteBoundElsewhere(String),
    #[error("group type or bind topic not match.")]
    LiteAckBinding,
    #[error("ack queue illegal.")]
    LiteAckQueue,
    #[error("ack offset illegal. The offset is {offset}, the lite topic's last is {max}")]
    LiteAckOffset { offset: i64, max: i64 },
    #[error("ack offset illegal. Offset {offset} was not popped")]
    LiteAckUnknown { offset: i64 },
    #[error("Topic [{0}] not exist.")]
    NoParentTopic(String),
    #[error("Topic [{0}] type not match.")]
    NotParentTopic(String),
    #[error("Group [{0}] not exist.")]
    NoLiteGroup(String),
    #[error("Group [{0}] is not a LITE group.")]
    NotLiteGroup(String),
    #[error("Subscription [{group}]-[{topic}] not match.")]
    LiteBinding { group: String, topic: String },
    #[error("[maxCount] field invalid")]
    LiteMaxCount,
    #[error("topK must be greater than 0")]
    LiteTopK,
    #[error("the receipt's revive queue {0} does not exist")]
    ReviveQueue(i32),
    #[error("retry `{0}` of an acknowledgement is not 0, 1 or 2")]
    RetryKind(String),

    #[error("The username is blank")]
    BlankUser,
    #[error(transparent)]
    Users(BookError),
    #[error("users and rules would take {len} bytes, which is too many")]
    UsersTooLong { len: usize },
    #[error("`{0}` is not a set of offsets")]
    BitSet(String),
    #[error("retry topic is not allowed to set mode")]
    RetryTopicMode,
    #[error("subscription group does not exist")]
    NoGroupForMode,

    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Disk(#[from] DiskError),

    #[error("Group {0} not exist!")]
    NoGroupToCommit(String),
    #[error("Topic {0} not exist!")]
    NoTopicToCommit(String),
    #[error("queueId[{queue}] is illegal, topic:[{topic}]")]
    CommitQueue { queue: i32, topic: String },
    #[error("Not found, do not set to zero, maybe this group boot first")]
    OffsetUnknown,
    #[error("Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")]
    OffsetUnknownNotZero,
    #[error("no consumer for this group, {0}")]
    NoConsumer(String),
    #[error("the consumer group[{0}] not online")]
    ConsumerOffline(String),
    #[error("the producer group[{0}] not exist")]
    NoProducer(String),
    #[error("The Consumer <{group}> <{client}> not online")]
    ClientOffline { group: String, client: String },
    #[error(
        "The Consumer <{client}> Version <{version}> too low to finish, please upgrade it to \
         V3_1_8_SNAPSHOT"
    )]
    ClientTooOld { client: String, version: i32 },
    #[error("consumer <{group}> <{client}> Timeout: {cause}")]
    ClientTimeout { group: String, client: String, cause: PeerError },
    #[error("invoke consumer <{group}> <{client}> Exception: {cause}")]
    ClientCall { group: String, client: String, cause: PeerError },
    #[error("[reset-offset] reset offset failed, no topic in this broker. topic={0}")]
    NoTopicToReset(String),
    #[error(
        "Consumer not online, so can not reset offset, Group: {group} Topic: {topic} \
         Timestamp: {timestamp}"
    )]
    NobodyToReset { group: String, topic: String, timestamp: i64 },

    #[error("No topic in this broker. topic: {0}")]
    NoTopicConfig(String),
    #[error("topic[{0}] not exist")]
    NoTopic(String),
    #[error("The specified topic is blank.")]
    BlankTopic,
    #[error("No group in this broker: {0}")]
    NoGroupConfig(String),
    #[error(transparent)]
    UpdateTopic(#[from] UpdateError),
    #[error(transparent)]
    UpdateGroup(#[from] GroupError),
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error("Can not update config in black list.")]
    ForbiddenKey,
    /// What is not worth a variant: it happens in one place and its text says all.
    #[error("{0}")]
    Other(String),
}

impl From<ChangeError> for RequestError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Book(error) => Self::Users(error),
            ChangeError::Save(error) => Self::Save(error),
            ChangeError::TooLong { len } => Self::UsersTooLong { len },
        }
    }
}

impl From<BookError> for RequestError {
    fn from(error: BookError) -> Self {
        Self::Users(error)
    }
}

impl From<WorkError> for RequestError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Append(error) => Self::Append(error),
            WorkError::Read(error) => Self::Read(error),
            WorkError::Save(error) => Self::Save(error),
            other => Self::TransactionWork(other),
        }
    }
}

impl RequestError {
    pub fn code(&self) -> ResponseCode {
        use RequestError as E;
        match self {
            E::NotSupported(_) | E::FeatureNotSupported(_) => ResponseCode::RequestCodeNotSupported,
            E::Name(_)
            | E::SystemTopic(_)
            | E::MixedType
            | E::Parameter { .. }
            | E::SendQueue { .. }
            | E::PullQueue { .. }
            | E::CommitQueue { .. }
            | E::PopTooMany { .. }
            | E::BlankTopic
            | E::TimerEngine(_)
            | E::BlankUser
            | E::UpdateGroup(GroupError::Name(_)) => ResponseCode::InvalidParameter,
            E::Users(error) => users_code(error),
            E::LiteRequest(_)
            | E::LiteGroupForbidden
            | E::LiteSubscribe(SubscribeError::Wildcard) => ResponseCode::IllegalOperation,
            E::LiteSubscribe(SubscribeError::TooMany(_)) => {
                ResponseCode::LiteSubscriptionQuotaExceeded
            }
            E::LitePopTooMany { .. }
            | E::NotParentToPop(_)
            | E::LiteBoundElsewhere(_)
            | E::LiteAckBinding
            | E::LiteAckQueue
            | E::NotParentTopic(_)
            | E::NotLiteGroup(_)
            | E::LiteBinding { .. } => ResponseCode::InvalidParameter,
            E::NoTopicToPop(_) | E::NoParentTopic(_) => ResponseCode::TopicNotExist,
            E::NoLiteGroup(_) | E::NoGroupToPop(_) => ResponseCode::SubscriptionGroupNotExist,
            E::LiteAckOffset { .. } => ResponseCode::NoMessage,
            E::LiteAckUnknown { .. } => ResponseCode::MessageIllegal,
            E::LiteMaxCount | E::LiteTopK => ResponseCode::SystemError,
            E::BrokerNotWritable { .. }
            | E::ClosedTopic(_)
            | E::TopicNotWritable(_)
            | E::TransactionsRejected { .. }
            | E::BrokerNotReadable { .. }
            | E::LitePullForbidden { .. }
            | E::GroupNotReadable(_)
            | E::TopicNotReadable(_)
            | E::BroadcastForbidden(_)
            | E::SubscriptionForbidden { .. }
            | E::PopForbidden { .. }
            | E::TopicNotPeekable(_)
            | E::RetryTopicMode
            | E::RecallForbidden
            | E::ForbiddenKey => ResponseCode::NoPermission,
            E::NoTopicToSend(_)
            | E::NoTopicToPull(_)
            | E::NoTopicToCommit(_)
            | E::NoTopicConfig(_)
            | E::RecallNoTopic(_)
            | E::NoTopic(_)
            | E::NoTopicToReset(_) => ResponseCode::TopicNotExist,
            E::NoGroupToSend(_)
            | E::NoGroupToPull(_)
            | E::NoGroupToCommit(_)
            | E::NoGroupForMode
            | E::NoGroupConfig(_) => ResponseCode::SubscriptionGroupNotExist,
            E::EmptyBody
            | E::BatchTopicLength(_)
            | E::BatchToRetry(_)
            | E::DelayedBatch
            | E::HalfBatch
            | E::Batch(_)
            | E::KeyMissing
            | E::BadProperty { .. }
            | E::InnerBatch(_)
            | E::InnerBatchLength(_)
            | E::AckQueue { .. }
            | E::AckOrder { .. }
            | E::TimerIllegal { .. }
            | E::MessageSize { .. } => ResponseCode::MessageIllegal,
            E::AckOffset { .. } => ResponseCode::NoMessage,
            E::PopTooLate { .. } => ResponseCode::PollingTimeout,
            E::RecallOnSlave => ResponseCode::SlaveNotAvailable,
            E::RecallUnavailable | E::NoMaster => ResponseCode::ServiceNotAvailable,
            E::RecallHandle | E::RecallOtherTopic | E::RecallOtherBroker | E::RecallTime => {
                ResponseCode::IllegalOperation
            }
            E::Append(error) => append_code(error),
            E::Slave
            | E::TooManyParked { .. }
            | E::TooManyCheckPoints { .. }
            | E::ColdData
            | E::Limited(_) => ResponseCode::SystemBusy,
            E::LimitedPull(_) => ResponseCode::FlowControl,
            E::NotLeader { .. } => ResponseCode::NotLeaderForQueue,
            E::GroupNotConnected | E::NoSubscription | E::PullConsumerRejected => {
                ResponseCode::SubscriptionNotExist
            }
            E::OldSubscription => ResponseCode::SubscriptionNotLatest,
            E::BadSubscription | E::FilterSyntax(_) => ResponseCode::SubscriptionParseFailed,
            E::NoFilter => ResponseCode::FilterDataNotExist,
            E::OldFilter => ResponseCode::FilterDataNotLatest,
            E::OffsetUnknown | E::OffsetUnknownNotZero => ResponseCode::QueryNotFound,
            E::ConsumerOffline(_) | E::NobodyToReset { .. } => ResponseCode::ConsumerNotOnline,
            E::ClientTimeout { .. } => ResponseCode::ConsumeMsgTimeout,
            E::TransactionOnSlave => ResponseCode::SlaveNotAvailable,
            E::TransactionTooLate { .. } => ResponseCode::IllegalOperation,
            E::GoAway => ResponseCode::GoAway,
            E::Header(_)
            | E::MissingMember(_)
            | E::TimerFlow { .. }
            | E::TimerDisabled
            | E::RecallFailed
            | E::Json(_)
            | E::NotYet(_)
            | E::NoMessageAt(_)
            | E::NoMessageToView(_)
            | E::FilterType(_)
            | E::PopWithoutTimer { .. }
            | E::Receipt(_)
            | E::ReviveQueue(_)
            | E::RetryKind(_)
            | E::BitSet(_)
            | E::Read(_)
            | E::Disk(_)
            | E::NoConsumer(_)
            | E::NoProducer(_)
            | E::ClientOffline { .. }
            | E::UndecidedQueue(_)
            | E::NoMappedTime
            | E::Forward { .. }
            | E::SentOn { .. }
            | E::NotAgreed
            | E::Raft(_)
            | E::NotHandedOver(_)
            | E::NotTakenOver(_)
            | E::ClientTooOld { .. }
            | E::ClientCall { .. }
            | E::UpdateTopic(_)
            | E::UpdateGroup(_)
            | E::Save(_)
            | E::Mapping(_)
            | E::TooFewCopies { .. }
            | E::Transaction(_)
            | E::TransactionWork(_)
            | E::UsersTooLong { .. }
            | E::Other(_) => ResponseCode::SystemError,
        }
    }

    pub fn remark(&self) -> String {
        match self {
            Self::Append(error) => append_remark(error),
            other => other.to_string(),
        }
    }

    /// Who forbids, where a pull is refused for want of permission.
    pub fn forbidden_by(&self) -> Option<ForbiddenBy> {
        match self {
            Self::BrokerNotReadable { .. } | Self::LitePullForbidden { .. } => {
                Some(ForbiddenBy::Broker)
            }
            Self::GroupNotReadable(_) => Some(ForbiddenBy::Group),
            Self::TopicNotReadable(_) => Some(ForbiddenBy::Topic),
            Self::BroadcastForbidden(_) => Some(ForbiddenBy::Broadcasting),
            Self::SubscriptionForbidden { .. } => Some(ForbiddenBy::Subscription),
            _ => None,
        }
    }

    pub fn answer(&self) -> Command {
        let code = self.code();
        tracing::debug!(%code, error = %self, "request refused");
        Command::error(code, self.remark())
    }
}

/// Java: what its managers refuse is a want of permission, what its handlers refuse a failure.
fn users_code(error: &BookError) -> ResponseCode {
    match error {
        BookError::CreateSuper
        | BookError::MakeSuper
        | BookError::UnknownSubject(_)
        | BookError::NoAcl
        | BookError::Full { .. } => ResponseCode::SystemError,
        _ => ResponseCode::NoPermission,
    }
}

fn append_code(error: &AppendError) -> ResponseCode {
    match error {
        AppendError::Failed(_)
        | AppendError::NoSpace(_)
        | AppendError::DiskFull(_)
        | AppendError::Copy
        | AppendError::Closed => ResponseCode::ServiceNotAvailable,
        AppendError::TooLarge { .. } | AppendError::Record(_) | AppendError::Zeros(_) => {
            ResponseCode::MessageIllegal
        }
        AppendError::Queue(_) => ResponseCode::SystemError,
    }
}

/// Java's text where clients know it, and the real cause behind it.
fn append_remark(error: &AppendError) -> String {
    match append_code(error) {
        ResponseCode::ServiceNotAvailable => format!(
            "service not available now. It may be caused by one of the following reasons: the \
             broker's disk is full, messages are put to the slave, message store has been shut \
             down, etc. Cause: {error}"
        ),
        _ => error.to_string(),
    }
}

/// A topic's configuration as Java prints it in remarks.
pub fn topic_text(topic: &Topic) -> String {
    let config = &topic.config;
    let flag = |bit: i32, letter: char| if config.perm & bit != 0 { letter } else { '-' };
    let perm: String = [flag(4, 'R'), flag(2, 'W'), flag(1, 'X')].iter().collect();
    let attributes: Vec<String> =
        config.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(
        "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={perm}, \
         topicFilterType={}, topicSysFlag={}, order={}, attributes={{{}}}]",
        config.topic_name,
        config.read_queue_nums,
        config.write_queue_nums,
        config.topic_filter_type,
        config.topic_sys_flag,
        config.order,
        attributes.join(", ")
    )
}

#[cfg(test)]
mod tests;
