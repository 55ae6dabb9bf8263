//! Typed headers of the recorded requests and answers.

use std::collections::BTreeSet;

use skua_protocol::RequestCode;
use skua_protocol::header::{DecodeFieldsError, Fields, FromFields, ToFields};
use skua_protocol::request::*;

use super::exchange::exchanges;

/// One request code's header types, behind functions.
struct Headers {
    code: RequestCode,
    request: fn(&Fields) -> Result<Fields, DecodeFieldsError>,
    response: fn(&Fields) -> Result<Fields, DecodeFieldsError>,
}

/// Reads a typed header and writes it again.
fn through<H: FromFields + ToFields>(fields: &Fields) -> Result<Fields, DecodeFieldsError> {
    H::from_fields(fields).map(|header| header.to_fields())
}

fn headers_of<R: Request>() -> Headers {
    Headers { code: R::CODE, request: through::<R>, response: through::<R::Response> }
}

macro_rules! table {
    ($($name:ident,)+) => {
        vec![$(headers_of::<$name>(),)+]
    };
}

fn all_headers() -> Vec<Headers> {
    table! {
        AckMessage, AddBroker, AddWritePermOfBroker, AuthCreateAcl, AuthCreateUser,
        AuthDeleteAcl, AuthDeleteUser, AuthGetAcl, AuthGetUser, AuthListAcl, AuthListUser,
        AuthUpdateAcl, AuthUpdateUser, BatchAckMessage, BrokerHeartbeat,
        ChangeMessageInvisibleTime, CheckClientConfig, CheckRocksDbCqWriteProgress,
        CheckTransactionState, CleanBrokerData, CleanExpiredConsumeQueue, CleanUnusedTopic,
        CloneGroupOffset, ConsumeMessageDirectly, ConsumerSendMsgBack,
        ControllerAlterSyncStateSet, ControllerApplyBrokerId, ControllerElectMaster,
        ControllerGetMetadataInfo, ControllerGetNextBrokerId, ControllerGetReplicaInfo,
        ControllerGetSyncStateData, ControllerRegisterBroker, DeleteExpiredCommitLog,
        DeleteKvConfig, DeleteSubscriptionGroup, DeleteTopicInBroker, DeleteTopicInNamesrv,
        EndTransaction, ExchangeBrokerHaInfo, ExportRocksDbConfigToJson, GetAllConsumerOffset,
        GetAllDelayOffset, GetAllHeld, GetAllMessageRequestMode, GetAllProducerInfo,
        GetAllSubscriptionGroupConfig, GetAllTopicConfig, GetAllTopicListFromNameServer,
        GetBrokerClusterInfo, GetBrokerConfig, GetBrokerConsumeStats, GetBrokerEpochCache,
        GetBrokerHaStatus, GetBrokerLiteInfo, GetBrokerMemberGroup, GetBrokerRuntimeInfo,
        GetColdDataFlowCtrInfo, GetConsumeStats, GetConsumerConnectionList,
        GetConsumerListByGroup, GetConsumerRunningInfo, GetConsumerStatusFromClient,
        GetControllerConfig, GetEarliestMsgStoreTime, GetHasUnitSubTopicList,
        GetHasUnitSubUnunitTopicList, GetKvConfig, GetKvListByNamespace, GetLiteClientInfo,
        GetLiteGroupInfo, GetLiteTopicInfo, GetMaxOffset, GetMinOffset, GetNamesrvConfig,
        GetParentTopicInfo, GetProducerConnectionList, GetRouteInfoByTopic,
        GetSubscriptionGroupConfig, GetSystemTopicListFromBroker, GetSystemTopicListFromNs,
        GetTimerCheckPoint, GetTimerMetrics, GetTopicConfig, GetTopicStatsInfo,
        GetTopicsByCluster, GetUnitTopicList, HandOver, HeartBeat, InvokeBrokerToGetConsumerStatus,
        InvokeBrokerToResetOffset, LitePullMessage, LiteSubscriptionCtl, LockBatchMq,
        Notification, NotifyBrokerRoleChanged, NotifyConsumerIdsChanged, NotifyMinBrokerIdChange,
        NotifyUnsubscribeLite, PeekMessage, PollingInfo, PopLiteMessage, PopMessage, PopRollback,
        PullMessage, PushReplyMessageToClient, PutKvConfig, QueryAssignment, QueryConsumeQueue,
        QueryConsumeTimeSpan, QueryConsumerOffset, QueryCorrectionOffset, QueryDataVersion,
        QueryMessage, QuerySubscriptionByConsumer, RaftControl, QueryTopicConsumeByWho, QueryTopicsByConsumer,
        RecallMessage, RegisterBroker, RegisterTopicInNamesrv, RemoveBroker,
        RemoveColdDataFlowCtrConfig, ResetConsumerClientOffset, ResetMasterFlushOffset,
        ResumeCheckHalfMessage, SearchOffsetByTimestamp, SendBatchMessage, SendMessage,
        SendMessageV2, SendReplyMessage, SendReplyMessageV2, SetCommitLogReadMode,
        SetMessageRequestMode, SwitchTimerEngine, TakeOver, TriggerLiteDispatch, UnlockBatchMq,
        UnregisterBroker, UnregisterClient, UpdateAndCreateStaticTopic,
        UpdateAndCreateSubscriptionGroup, UpdateAndCreateSubscriptionGroupList,
        UpdateAndCreateTopic, UpdateAndCreateTopicList, UpdateAndGetGroupForbidden,
        UpdateBrokerConfig, UpdateColdDataFlowCtrConfig, UpdateConsumerOffset,
        UpdateControllerConfig, UpdateNamesrvConfig, ViewBrokerStatsData, ViewMessageById,
        WipeWritePermOfBroker,
    }
}

/// Numbers that Java has no handler for, and those inside its controller's log.
const WITHOUT_HEADER: &[RequestCode] = &[
    RequestCode::QueryBrokerOffset,
    RequestCode::GetTopicConfigList,
    RequestCode::GetTopicNameList,
    RequestCode::TriggerDeleteFiles,
    RequestCode::GetClientConfig,
    RequestCode::SuspendConsumer,
    RequestCode::ResumeConsumer,
    RequestCode::ResetConsumerOffsetInConsumer,
    RequestCode::ResetConsumerOffsetInBroker,
    RequestCode::AdjustConsumerThreadPool,
    RequestCode::WhoConsumeTheMessage,
    RequestCode::RegisterFilterServer,
    RequestCode::RegisterMessageFilterClass,
    RequestCode::BrokerCloseChannelRequest,
    RequestCode::CheckNotActiveBrokerRequest,
    RequestCode::GetBrokerLiveInfoRequest,
    RequestCode::GetSyncStateDataRequest,
    RequestCode::RaftBrokerHeartBeatEventRequest,
    RequestCode::AckLiteMessage,
];

#[test]
fn every_request_code_with_a_handler_has_exactly_one_header_type() {
    let mut codes: Vec<_> = all_headers().iter().map(|headers| headers.code).collect();
    codes.extend(WITHOUT_HEADER);
    codes.sort();
    assert_eq!(
        codes,
        RequestCode::ALL.iter().copied().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
}

/// Fields that any header may carry and none declares.
const COMMON: &[&str] = &["bname", "ns", "nsd", "lo", "oway", "ReqT"];

#[track_caller]
fn assert_kept(name: &str, before: &Fields, after: &Fields) {
    for (field, value) in after.iter() {
        assert_eq!(before.get(field), Some(value), "{name}: `{field}`");
    }
    for (field, value) in before.iter().filter(|(field, _)| !COMMON.contains(field)) {
        assert_eq!(after.get(field), Some(value), "{name}: `{field}` is not declared");
    }
}

#[test]
fn every_recorded_header_fits_its_type_and_loses_nothing() {
    let table = all_headers();
    let mut codes = BTreeSet::new();
    for (request, answer) in exchanges() {
        let command = request.command();
        let Some(headers) = table.iter().find(|headers| headers.code as i32 == command.code) else {
            assert!(request.name.starts_with("p_unknown_code"), "{}", request.name);
            continue;
        };
        codes.insert(command.code);
        let after = (headers.request)(&command.fields)
            .unwrap_or_else(|error| panic!("{}: {error}", request.name));
        assert_kept(&request.name, &command.fields, &after);

        let Some(answer) = answer else { continue };
        let command = answer.command();
        // Error answers leave out what success has.
        if command.code == 0 {
            let after = (headers.response)(&command.fields)
                .unwrap_or_else(|error| panic!("{}: {error}", answer.name));
            assert_kept(&answer.name, &command.fields, &after);
        }
    }
    assert!(codes.len() > 60, "only {} request codes", codes.len());
}

#[test]
fn pull_answers_have_their_header_whatever_their_code() {
    let mut seen = BTreeSet::new();
    for (request, answer) in exchanges() {
        let Some(answer) = answer.map(|answer| answer.command()) else { continue };
        if request.command().code == 11 && matches!(answer.code, 0 | 19 | 20 | 21) {
            let header: PullMessageResponse = answer.header().unwrap();
            assert!(header.next_begin_offset >= 0);
            seen.insert(answer.code);
        }
    }
    assert_eq!(seen, [0, 19, 20, 21].into());
}

#[test]
fn old_and_new_send_headers_mean_the_same() {
    let sends = exchanges().into_iter().filter(|(request, _)| request.command().code == 310);
    let mut count = 0;
    for (request, _) in sends {
        let v2: SendMessageV2 = request.command().header().unwrap();
        let v1 = SendMessage::from(v2.clone());
        let read = SendMessage::from_fields(&v1.to_fields()).unwrap();
        assert_eq!(read, v1);
        assert_eq!(SendMessageV2 { broker_name: v2.broker_name.clone(), ..v1.into() }, v2);
        count += 1;
    }
    assert!(count > 10);
}
