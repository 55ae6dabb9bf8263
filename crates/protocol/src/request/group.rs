//! Subscription groups: 200, 201, 207, 225, 345, 352, 353.

use bytestring::ByteString;

use super::headers;

headers! {
    /// The body is [`crate::body::SubscriptionGroupConfig`].
    request UpdateAndCreateSubscriptionGroup => () {}

    /// The body is [`crate::body::SubscriptionGroupConfigList`].
    request UpdateAndCreateSubscriptionGroupList => () {}

    /// Java: `GetSubscriptionGroupConfigRequestHeader`; the answer's body is
    /// [`crate::body::SubscriptionGroupConfig`].
    request GetSubscriptionGroupConfig => () {
        group: ByteString,
    }

    /// Java: `GetAllSubscriptionGroupRequestHeader`; clients before 5.5 send no fields and want
    /// all. The answer's body is [`crate::body::SubscriptionGroupTable`].
    request GetAllSubscriptionGroupConfig => GetAllSubscriptionGroupConfigResponse {
        group_seq: Option<i32>,
        data_version: Option<ByteString>,
        max_group_num: Option<i32>,
    }

    response GetAllSubscriptionGroupConfigResponse {
        total_group_num: Option<i32>,
    }

    /// Java: `DeleteSubscriptionGroupRequestHeader`.
    request DeleteSubscriptionGroup => () {
        group_name: ByteString,
        clean_offset: Option<bool>,
    }

    /// Java: `UpdateGroupForbiddenRequestHeader`; the answer's body is
    /// [`crate::body::GroupForbidden`].
    request UpdateAndGetGroupForbidden => () {
        group: ByteString,
        topic: ByteString,
        readable: Option<bool>,
    }

    /// Java: `QuerySubscriptionByConsumerRequestHeader`; the answer's body is
    /// [`crate::body::GroupSubscription`].
    request QuerySubscriptionByConsumer => () {
        group: ByteString,
        topic: Option<ByteString>,
    }
}
