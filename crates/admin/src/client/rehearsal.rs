//! A dry run: requests that only look are sent, those that change something are written down.

use std::cell::RefCell;

use serde::Serialize;
use serde_json::{Map, Value};
use skua_protocol::{Command, RequestCode};

/// Requests that were held back, in their order.
#[derive(Debug, Default)]
pub struct Rehearsal(RefCell<Vec<HeldBack>>);

/// One request that a real run would send. Bodies are not kept: they may hold passwords.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldBack {
    pub would_send: &'static str,
    pub to: String,
    pub fields: Map<String, Value>,
    pub body_bytes: usize,
}

impl std::fmt::Display for HeldBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "would send {} to {}", self.would_send, self.to)?;
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let text = value.as_str().unwrap_or_default();
            write!(f, "{}{name}={text}", if index == 0 { ": " } else { ", " })?;
        }
        if self.body_bytes > 0 {
            write!(f, " and a body of {} bytes", self.body_bytes)?;
        }
        writeln!(f)
    }
}

impl Rehearsal {
    /// Keeps `request` back unless it only looks; says whether it did.
    pub fn holds_back(&self, addr: &str, request: &Command) -> bool {
        let Some(code) = RequestCode::from_i32(request.code) else { return false };
        if only_looks(code) {
            return false;
        }
        let fields = request
            .fields
            .iter()
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect();
        let held = HeldBack {
            would_send: code.name(),
            to: addr.to_owned(),
            fields,
            body_bytes: request.body.len(),
        };
        self.0.borrow_mut().push(held);
        true
    }

    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub fn take(&self) -> Vec<HeldBack> {
        self.0.take()
    }
}

/// Requests after which every server is as it was. A code that is not named here is taken to
/// change something: a dry run may tell too much, but must not do anything.
fn only_looks(code: RequestCode) -> bool {
    use RequestCode::*;
    matches!(
        code,
        PullMessage
            | QueryMessage
            | QueryConsumerOffset
            | GetAllTopicConfig
            | GetBrokerConfig
            | GetBrokerRuntimeInfo
            | SearchOffsetByTimestamp
            | GetMaxOffset
            | GetMinOffset
            | GetEarliestMsgStoreTime
            | ViewMessageById
            | GetConsumerListByGroup
            | GetAllConsumerOffset
            | GetAllDelayOffset
            | GetTimerCheckPoint
            | GetTimerMetrics
            | GetKvConfig
            | GetRouteInfoByTopic
            | GetBrokerClusterInfo
            | GetAllSubscriptionGroupConfig
            | GetTopicStatsInfo
            | GetConsumerConnectionList
            | GetProducerConnectionList
            | GetAllTopicListFromNameServer
            | GetConsumeStats
            | GetKvListByNamespace
            | GetConsumerStatusFromClient
            | InvokeBrokerToGetConsumerStatus
            | GetTopicsByCluster
            | QueryTopicConsumeByWho
            | QueryConsumeTimeSpan
            | GetSystemTopicListFromNs
            | GetSystemTopicListFromBroker
            | GetConsumerRunningInfo
            | QueryCorrectionOffset
            | GetUnitTopicList
            | GetHasUnitSubTopicList
            | GetHasUnitSubUnunitTopicList
            | ViewBrokerStatsData
            | GetBrokerConsumeStats
            | GetNamesrvConfig
            | QueryConsumeQueue
            | GetAllProducerInfo
            | QueryTopicsByConsumer
            | QuerySubscriptionByConsumer
            | GetTopicConfig
            | GetSubscriptionGroupConfig
            | GetBrokerMemberGroup
            | GetBrokerHaStatus
            | ControllerGetReplicaInfo
            | ControllerGetMetadataInfo
            | ControllerGetSyncStateData
            | GetBrokerEpochCache
            | GetControllerConfig
            | GetColdDataFlowCtrInfo
            | AuthGetUser
            | AuthListUser
            | AuthGetAcl
            | AuthListAcl
            | GetBrokerLiteInfo
            | GetParentTopicInfo
            | GetLiteTopicInfo
            | GetLiteClientInfo
            | GetLiteGroupInfo
    )
}

#[cfg(test)]
mod tests {
    use skua_protocol::request::{DeleteTopicInBroker, GetBrokerRuntimeInfo};

    use super::*;

    #[test]
    fn a_deletion_is_held_back_and_a_look_is_not() {
        let rehearsal = Rehearsal::default();
        let look = Command::request(&GetBrokerRuntimeInfo {});
        assert!(!rehearsal.holds_back("a:1", &look) && rehearsal.is_empty());
        let deletion = Command::request(&DeleteTopicInBroker { topic: "T".into() });
        assert!(rehearsal.holds_back("a:1", &deletion));
        let told: Vec<String> = rehearsal.take().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["would send DELETE_TOPIC_IN_BROKER to a:1: topic=T\n"]);
    }
}
