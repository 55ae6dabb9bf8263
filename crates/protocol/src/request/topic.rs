//! Topics and their lists: 17, 18, 21, 206, 215 to 217, 224, 300, 304, 305, 311 to 313, 343, 351, 513.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `CreateTopicRequestHeader`.
    request UpdateAndCreateTopic => () {
        topic: ByteString,
        #[serde(default)]
        default_topic: ByteString,
        read_queue_nums: i32,
        write_queue_nums: i32,
        perm: i32,
        topic_filter_type: ByteString,
        topic_sys_flag: Option<i32>,
        #[serde(default)]
        order: bool,
        /// `+name=value,-name`.
        attributes: Option<ByteString>,
        force: Option<bool>,
    }

    /// The body is [`crate::body::TopicConfigList`].
    request UpdateAndCreateTopicList => () {}

    /// As [`UpdateAndCreateTopic`]; the body is a `TopicQueueMappingDetail`.
    request UpdateAndCreateStaticTopic => () {
        topic: ByteString,
        default_topic: ByteString,
        read_queue_nums: i32,
        write_queue_nums: i32,
        perm: i32,
        topic_filter_type: ByteString,
        topic_sys_flag: Option<i32>,
        order: bool,
        attributes: Option<ByteString>,
        force: Option<bool>,
    }

    /// Java: `GetAllTopicConfigRequestHeader`; clients before 5.5 send no fields and want all.
    /// The answer's body is [`crate::body::TopicConfigSerializeWrapper`].
    request GetAllTopicConfig => GetAllTopicConfigResponse {
        topic_seq: Option<i32>,
        data_version: Option<ByteString>,
        max_topic_num: Option<i32>,
    }

    response GetAllTopicConfigResponse {
        total_topic_num: Option<i32>,
    }

    /// Java: `GetTopicConfigRequestHeader`; the answer's body is
    /// [`crate::body::TopicConfig`].
    request GetTopicConfig => () {
        topic: ByteString,
    }

    /// Java: `DeleteTopicRequestHeader`.
    request DeleteTopicInBroker => () {
        topic: ByteString,
    }

    /// Java: `DeleteTopicFromNamesrvRequestHeader`.
    request DeleteTopicInNamesrv => () {
        topic: ByteString,
        cluster_name: Option<ByteString>,
    }

    /// Java: `RegisterTopicRequestHeader`; the body is [`crate::body::RouteData`].
    request RegisterTopicInNamesrv => () {
        topic: ByteString,
    }

    /// The answer's body is [`crate::body::TopicList`], as of all requests for lists below.
    request GetAllTopicListFromNameServer => () {}

    /// Java: `GetTopicsByClusterRequestHeader`.
    request GetTopicsByCluster => () {
        cluster: ByteString,
    }

    request GetSystemTopicListFromNs => () {}

    request GetSystemTopicListFromBroker => () {}

    request GetUnitTopicList => () {}

    request GetHasUnitSubTopicList => () {}

    request GetHasUnitSubUnunitTopicList => () {}

    /// Java: `QueryTopicsByConsumerRequestHeader`.
    request QueryTopicsByConsumer => () {
        group: ByteString,
    }

    /// Java: `QueryTopicConsumeByWhoRequestHeader`; the answer's body is
    /// [`crate::body::GroupList`].
    request QueryTopicConsumeByWho => () {
        topic: ByteString,
    }
}
