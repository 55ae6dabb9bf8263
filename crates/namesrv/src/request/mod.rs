//! From a request to the file that serves it.

mod broker;
mod config;
mod error;
mod kv;
mod route;
mod topic;

use std::sync::Arc;

use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, RequestCode};

use crate::Namesrv;
use crate::route::UnitTopics;
pub(crate) use error::RequestError;

type Answer = Result<Command, RequestError>;

/// Serves one request. The match has no wildcard: what the name server does not serve stands in
/// the list at its end.
pub(crate) fn serve(
    namesrv: Arc<Namesrv>,
    peer: &Arc<dyn Peer>,
    request: Command,
    now: Millis,
) -> Outcome {
    let Some(code) = RequestCode::from_i32(request.code) else {
        return reply(Err(RequestError::NotSupported(request.code)));
    };
    use RequestCode::*;
    match code {
        GetRouteInfoByTopic => reply(route::query(&namesrv, &request, now)),
        GetBrokerClusterInfo => reply(route::cluster_info(&namesrv)),

        RegisterBroker => broker::register(namesrv, peer.clone(), request, now),
        UnregisterBroker => reply(broker::unregister(&namesrv, &request)),
        QueryDataVersion => reply(broker::query_data_version(&namesrv, &request, now)),
        BrokerHeartbeat => reply(broker::heartbeat(&namesrv, &request, now)),
        GetBrokerMemberGroup => reply(broker::member_group(&namesrv, &request)),

        GetAllTopicListFromNameServer => reply(topic::all(&namesrv)),
        GetTopicsByCluster => reply(topic::by_cluster(&namesrv, &request)),
        GetSystemTopicListFromNs => reply(topic::system(&namesrv)),
        GetUnitTopicList => reply(topic::unit(&namesrv, UnitTopics::Unit)),
        GetHasUnitSubTopicList => reply(topic::unit(&namesrv, UnitTopics::HasUnitSub)),
        GetHasUnitSubUnunitTopicList => {
            reply(topic::unit(&namesrv, UnitTopics::HasUnitSubButIsNoUnit))
        }
        RegisterTopicInNamesrv => reply(topic::register(&namesrv, &request)),
        DeleteTopicInNamesrv => reply(topic::delete(&namesrv, &request)),
        WipeWritePermOfBroker => reply(topic::wipe_write_perm(&namesrv, &request)),
        AddWritePermOfBroker => reply(topic::add_write_perm(&namesrv, &request)),

        GetKvConfig => reply(kv::get(&namesrv, &request)),
        GetKvListByNamespace => reply(kv::list(&namesrv, &request)),
        PutKvConfig => on_disk(move || kv::put(&namesrv, &request)),
        DeleteKvConfig => on_disk(move || kv::delete(&namesrv, &request)),

        GetNamesrvConfig => reply(config::get(&namesrv)),
        UpdateNamesrvConfig => on_disk(move || config::update(&namesrv, &request)),

        SendMessage
        | PullMessage
        | QueryMessage
        | QueryBrokerOffset
        | QueryConsumerOffset
        | UpdateConsumerOffset
        | UpdateAndCreateTopic
        | UpdateAndCreateTopicList
        | GetAllTopicConfig
        | GetTopicConfigList
        | GetTopicNameList
        | UpdateBrokerConfig
        | GetBrokerConfig
        | TriggerDeleteFiles
        | GetBrokerRuntimeInfo
        | SearchOffsetByTimestamp
        | GetMaxOffset
        | GetMinOffset
        | GetEarliestMsgStoreTime
        | ViewMessageById
        | HeartBeat
        | UnregisterClient
        | ConsumerSendMsgBack
        | EndTransaction
        | GetConsumerListByGroup
        | CheckTransactionState
        | NotifyConsumerIdsChanged
        | LockBatchMq
        | UnlockBatchMq
        | GetAllConsumerOffset
        | GetAllDelayOffset
        | CheckClientConfig
        | GetClientConfig
        | GetTimerCheckPoint
        | GetTimerMetrics
        | UpdateAndCreateSubscriptionGroup
        | GetAllSubscriptionGroupConfig
        | GetTopicStatsInfo
        | GetConsumerConnectionList
        | GetProducerConnectionList
        | DeleteSubscriptionGroup
        | GetConsumeStats
        | SuspendConsumer
        | ResumeConsumer
        | ResetConsumerOffsetInConsumer
        | ResetConsumerOffsetInBroker
        | AdjustConsumerThreadPool
        | WhoConsumeTheMessage
        | DeleteTopicInBroker
        | ResetConsumerClientOffset
        | GetConsumerStatusFromClient
        | InvokeBrokerToResetOffset
        | InvokeBrokerToGetConsumerStatus
        | UpdateAndCreateSubscriptionGroupList
        | QueryTopicConsumeByWho
        | RegisterFilterServer
        | RegisterMessageFilterClass
        | QueryConsumeTimeSpan
        | GetSystemTopicListFromBroker
        | CleanExpiredConsumeQueue
        | GetConsumerRunningInfo
        | QueryCorrectionOffset
        | ConsumeMessageDirectly
        | SendMessageV2
        | CloneGroupOffset
        | ViewBrokerStatsData
        | CleanUnusedTopic
        | GetBrokerConsumeStats
        | SendBatchMessage
        | QueryConsumeQueue
        | ResumeCheckHalfMessage
        | SendReplyMessage
        | SendReplyMessageV2
        | PushReplyMessageToClient
        | GetAllProducerInfo
        | DeleteExpiredCommitLog
        | QueryTopicsByConsumer
        | QuerySubscriptionByConsumer
        | GetTopicConfig
        | GetSubscriptionGroupConfig
        | UpdateAndGetGroupForbidden
        | CheckRocksDbCqWriteProgress
        | ExportRocksDbConfigToJson
        | LitePullMessage
        | RecallMessage
        | QueryAssignment
        | SetMessageRequestMode
        | GetAllMessageRequestMode
        | UpdateAndCreateStaticTopic
        | AddBroker
        | RemoveBroker
        | NotifyMinBrokerIdChange
        | ExchangeBrokerHaInfo
        | GetBrokerHaStatus
        | ResetMasterFlushOffset
        | HandOver
        | RaftControl
        | GetAllHeld
        | TakeOver
        | ControllerAlterSyncStateSet
        | ControllerElectMaster
        | ControllerRegisterBroker
        | ControllerGetReplicaInfo
        | ControllerGetMetadataInfo
        | ControllerGetSyncStateData
        | GetBrokerEpochCache
        | NotifyBrokerRoleChanged
        | UpdateControllerConfig
        | GetControllerConfig
        | CleanBrokerData
        | ControllerGetNextBrokerId
        | ControllerApplyBrokerId
        | BrokerCloseChannelRequest
        | CheckNotActiveBrokerRequest
        | GetBrokerLiveInfoRequest
        | GetSyncStateDataRequest
        | RaftBrokerHeartBeatEventRequest
        | UpdateColdDataFlowCtrConfig
        | RemoveColdDataFlowCtrConfig
        | GetColdDataFlowCtrInfo
        | SetCommitLogReadMode
        | AuthCreateUser
        | AuthUpdateUser
        | AuthDeleteUser
        | AuthGetUser
        | AuthListUser
        | AuthCreateAcl
        | AuthUpdateAcl
        | AuthDeleteAcl
        | AuthGetAcl
        | AuthListAcl
        | SwitchTimerEngine
        | PopMessage
        | AckMessage
        | PeekMessage
        | ChangeMessageInvisibleTime
        | Notification
        | PollingInfo
        | PopRollback
        | PopLiteMessage
        | LiteSubscriptionCtl
        | AckLiteMessage
        | NotifyUnsubscribeLite
        | GetBrokerLiteInfo
        | GetParentTopicInfo
        | GetLiteTopicInfo
        | GetLiteClientInfo
        | GetLiteGroupInfo
        | TriggerLiteDispatch
        | BatchAckMessage => reply(Err(RequestError::NotSupported(request.code))),
    }
}

fn reply(answer: Answer) -> Outcome {
    Outcome::Reply(answer.unwrap_or_else(|error| {
        tracing::debug!(%error, "request refused");
        error.answer()
    }))
}

/// For requests that write a file.
fn on_disk(work: impl FnOnce() -> Answer + Send + 'static) -> Outcome {
    Outcome::Blocking(Box::new(move || reply(work())))
}
