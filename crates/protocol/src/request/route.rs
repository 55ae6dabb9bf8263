//! Routes and clusters: 105, 106, 901.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `GetRouteInfoRequestHeader`; the answer's body is [`crate::body::RouteData`].
    request GetRouteInfoByTopic => () {
        topic: ByteString,
        accept_standard_json_only: Option<bool>,
    }

    /// The answer's body is [`crate::body::ClusterInfo`].
    request GetBrokerClusterInfo => () {}

    /// Java: `GetBrokerMemberGroupRequestHeader`; the answer's body is
    /// [`crate::body::BrokerMemberGroupResponse`].
    request GetBrokerMemberGroup => () {
        cluster_name: ByteString,
        broker_name: ByteString,
    }
}
