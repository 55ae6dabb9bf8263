//! Every request a broker serves, and those it does not: one match without a wildcard.

mod ack;
mod agreed;
#[cfg(test)]
mod allocations;
mod assignment;
mod auth;
mod clean;
mod client;
mod config;
pub mod error;
mod forward;
mod group;
mod ha;
mod lite;
mod lock;
mod maintenance;
mod notification;
mod offset;
mod pop;
mod pull;
mod query;
mod recall;
mod reply;
mod runtime;
mod send;
mod send_back;
mod static_topic;
mod stats;
mod timer;
mod to_client;
mod topic;
mod transaction;

use std::sync::Arc;

use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, RequestCode};

use crate::broker::Broker;
use error::RequestError;

pub(crate) use pull::ParkedPull;
pub(crate) use send::queue_id;

/// A handler's answer, or why there is none.
pub type Answer = Result<Command, RequestError>;

/// What every handler is told of its request.
pub(crate) struct Call<'a> {
    pub broker: &'a Arc<Broker>,
    pub peer: &'a Arc<dyn Peer>,
    pub now: Millis,
}

pub(crate) fn serve(call: &Call<'_>, request: Command) -> Outcome {
    let number = request.code;
    match RequestCode::from_i32(number) {
        Some(code) => {
            let Call { broker, peer, now } = *call;
            let most = broker.settings().broker.max_requests_per_second_of_connection;
            match broker.limits.request(peer.id(), code, most, now) {
                Ok(()) if forward::is_masters(code) => serve_as_master(call, code, request),
                // One-way commits promise nothing: they are handed on to the leader later.
                Ok(())
                    if broker.store.has_gate()
                        && agreed::is_of_tables(code)
                        && !request.is_one_way() =>
                {
                    serve_as_master(call, code, request)
                }
                Ok(()) if agreed::is_progress(code) && broker.store.has_gate() => {
                    agreed::serve(call, code, request)
                }
                Ok(()) => static_topic::serve(call, code, request),
                Err(exceeded) => reply(Err(exceeded.into())),
            }
        }
        None => reply(Err(RequestError::NotSupported(number))),
    }
}

/// A request that only a master can serve. While it is being served the broker stays one.
fn serve_as_master(call: &Call<'_>, code: RequestCode, request: Command) -> Outcome {
    let broker = call.broker;
    let leads = || match broker.store.has_gate() {
        true if agreed::is_of_tables(code) => broker.leads_tables(),
        true => !broker.is_master_of_before(),
        false => true,
    };
    match broker.role.enter() {
        Some(passing) if request.is_one_way() || leads() => {
            match agreed::serve(call, code, request) {
                Outcome::Blocking(work) => {
                    let kept = passing.keep(&broker.role);
                    Outcome::Blocking(Box::new(move || {
                        let _kept = kept;
                        work()
                    }))
                }
                outcome => outcome,
            }
        }
        _ if broker.sends_on() => forward::serve(call, code, request),
        _ => static_topic::serve(call, code, request),
    }
}

fn reply(answer: Answer) -> Outcome {
    Outcome::Reply(answer.unwrap_or_else(|error| error.answer()))
}

/// Runs a handler that may wait for the disk.
fn blocking(handler: impl FnOnce() -> Answer + Send + 'static) -> Outcome {
    Outcome::Blocking(Box::new(move || reply(handler())))
}

fn dispatch(call: &Call<'_>, code: RequestCode, request: Command) -> Outcome {
    use RequestCode as C;
    let Call { broker, peer, now } = *call;
    match code {
        C::SendMessage
        | C::SendMessageV2
        | C::SendBatchMessage
        | C::SendReplyMessage
        | C::SendReplyMessageV2 => {
            send::send(broker, peer, code, request, now)
        }
        C::PullMessage | C::LitePullMessage => pull::pull(broker, peer, code, &request, now),
        C::PopMessage => pop::pop(broker, peer, &request, now),
        C::AckMessage => ack::ack(broker, peer, &request, now),
        C::BatchAckMessage => ack::batch_ack(broker, peer, &request, now),
        C::ChangeMessageInvisibleTime => ack::change_invisible_time(broker, peer, &request, now),
        C::Notification => notification::notification(broker, peer, &request, now),
        C::PollingInfo => {
            let (broker, peer) = (broker.clone(), peer.clone());
            blocking(move || notification::polling_info(&broker, &peer, &request, now))
        }
        C::PeekMessage => {
            let (broker, peer) = (broker.clone(), peer.clone());
            blocking(move || notification::peek(&broker, &peer, &request, now))
        }
        // Java: moves what RocksDB keeps of pops into the log, where ours is always.
        C::PopRollback => reply(Ok(Command::success())),
        C::QueryAssignment => assignment::query(broker, &request),
        C::SetMessageRequestMode => {
            let broker = broker.clone();
            blocking(move || assignment::set_mode(&broker, &request, now))
        }
        C::GetAllMessageRequestMode => reply(assignment::all_modes(broker)),
        C::ConsumerSendMsgBack => {
            let broker = broker.clone();
            blocking(move || send_back::send_back(&broker, &request, now))
        }

        C::RecallMessage => recall::recall(broker, peer, &request, now),
        C::GetTimerCheckPoint => {
            let store = broker.store.clone();
            blocking(move || timer::check_point(&store, now))
        }
        C::GetTimerMetrics => reply(timer::metrics(&broker.store)),
        C::SwitchTimerEngine => reply(timer::switch_engine(&broker.store, &request)),
        C::EndTransaction => transaction::end(broker, &request, now),
        C::ResumeCheckHalfMessage => {
            let broker = broker.clone();
            blocking(move || transaction::resume_check(&broker, &request, now))
        }

        C::HeartBeat => client::heartbeat(broker, peer, &request, now),
        C::UnregisterClient => reply(client::unregister(broker, peer, &request, now)),
        C::CheckClientConfig => reply(client::check_config(broker, &request)),
        C::GetConsumerListByGroup => reply(client::list(&broker.consumers, &request)),
        C::GetConsumerConnectionList => reply(client::consumers(&broker.consumers, &request)),
        C::GetProducerConnectionList => reply(client::producers(&broker.producers, &request)),
        C::GetAllProducerInfo => reply(client::all_producers(&broker.producers)),

        C::QueryConsumerOffset => offset::query(broker, &request),
        C::UpdateConsumerOffset => reply(offset::update(broker, &request, now)),
        C::GetMaxOffset => {
            let broker = broker.clone();
            blocking(move || offset::max(&broker, &request))
        }
        C::GetMinOffset => {
            let broker = broker.clone();
            blocking(move || offset::min(&broker, &request))
        }
        C::SearchOffsetByTimestamp => {
            let broker = broker.clone();
            blocking(move || offset::by_time(&broker, &request))
        }
        C::GetEarliestMsgStoreTime => {
            let broker = broker.clone();
            blocking(move || offset::earliest_time(&broker, &request))
        }
        C::GetAllConsumerOffset => reply(offset::all(&broker.offsets)),
        C::GetAllDelayOffset => reply(offset::all_delay(&broker.delay)),
        C::InvokeBrokerToResetOffset => {
            let broker = broker.clone();
            blocking(move || {
                if broker.settings().broker.use_server_side_reset_offset {
                    offset::reset(&broker, &request, now)
                } else {
                    to_client::reset_offsets(&broker, request.language, &request)
                }
            })
        }
        C::InvokeBrokerToGetConsumerStatus => to_client::status(broker, &request),
        C::GetConsumerRunningInfo => to_client::running_info(broker, request),
        C::ConsumeMessageDirectly => {
            let broker = broker.clone();
            Outcome::Blocking(Box::new(move || to_client::consume_directly(&broker, request)))
        }
        C::CloneGroupOffset => reply(offset::clone_group(broker, &request, now)),
        C::QueryCorrectionOffset => {
            let broker = broker.clone();
            blocking(move || offset::correction(&broker, &request))
        }

        C::PopLiteMessage => lite::pop(broker, peer, &request, now),
        C::LiteSubscriptionCtl => {
            let (broker, peer) = (broker.clone(), peer.clone());
            blocking(move || lite::subscribe(&broker, &peer, &request, now))
        }
        C::GetBrokerLiteInfo => {
            let broker = broker.clone();
            blocking(move || lite::broker_info(&broker))
        }
        C::GetParentTopicInfo => {
            let broker = broker.clone();
            blocking(move || lite::parent_info(&broker, &request))
        }
        C::GetLiteTopicInfo => {
            let broker = broker.clone();
            blocking(move || lite::topic_info(&broker, &request))
        }
        C::GetLiteClientInfo => {
            let broker = broker.clone();
            blocking(move || lite::client_info(&broker, &request))
        }
        C::GetLiteGroupInfo => {
            let broker = broker.clone();
            blocking(move || lite::group_info(&broker, &request))
        }
        C::TriggerLiteDispatch => {
            let broker = broker.clone();
            blocking(move || lite::trigger_dispatch(&broker, &request, now))
        }

        C::LockBatchMq => reply(lock::take(broker, &request, now)),
        C::UnlockBatchMq => reply(lock::give_back(broker, &request, now)),

        C::UpdateAndCreateTopic => topic::update(broker, request, now),
        C::UpdateAndCreateTopicList => topic::update_list(broker, request, now),
        C::UpdateAndCreateStaticTopic => {
            let broker = broker.clone();
            Outcome::Blocking(Box::new(move || static_topic::update(&broker, &request, now)))
        }
        C::DeleteTopicInBroker => {
            let broker = broker.clone();
            blocking(move || topic::delete(&broker, &request, now))
        }
        C::GetTopicConfig => reply(topic::get(broker, &request)),
        C::GetAllTopicConfig => reply(topic::get_all(broker, &request)),
        C::GetSystemTopicListFromBroker => reply(topic::system_list(&broker.system_topics)),
        C::QueryTopicConsumeByWho => {
            reply(topic::consumed_by(&broker.consumers, &broker.offsets, &request))
        }
        C::QueryTopicsByConsumer => {
            reply(topic::of_consumer(&broker.offsets, broker.address(), &request))
        }

        C::UpdateAndCreateSubscriptionGroup => {
            let broker = broker.clone();
            blocking(move || group::update(&broker.groups, &request, now))
        }
        C::UpdateAndCreateSubscriptionGroupList => {
            let broker = broker.clone();
            blocking(move || group::update_list(&broker.groups, &request, now))
        }
        C::DeleteSubscriptionGroup => {
            let broker = broker.clone();
            blocking(move || group::delete(&broker, &request, now))
        }
        C::GetSubscriptionGroupConfig => {
            let broker = broker.clone();
            blocking(move || group::get(&broker, &request, now))
        }
        C::GetAllSubscriptionGroupConfig => {
            reply(group::get_all(&broker.groups, &request, &broker.settings()))
        }
        C::UpdateAndGetGroupForbidden => {
            let broker = broker.clone();
            blocking(move || group::forbidden(&broker.groups, &request, now))
        }
        C::QuerySubscriptionByConsumer => {
            reply(group::subscription(broker, &request, now))
        }

        C::UpdateBrokerConfig => {
            let broker = broker.clone();
            blocking(move || config::update(&broker, &request, now))
        }
        C::GetBrokerConfig => reply(config::get(broker)),

        C::ExchangeBrokerHaInfo => reply(ha::exchange(broker, &request)),
        C::GetBrokerHaStatus => ha::status(broker, now),
        C::ResetMasterFlushOffset => {
            let broker = broker.clone();
            blocking(move || ha::reset_flushed(&broker, &request))
        }

        C::GetAllHeld => reply(ha::all_held(broker)),
        C::RaftControl => ha::raft_control(broker, &request),
        C::HandOver => ha::hand_over(broker, &request),
        C::TakeOver => ha::take_over(broker, &request),

        C::DeleteExpiredCommitLog => {
            let store = broker.store.clone();
            blocking(move || clean::expired_commit_log(&store))
        }
        C::CleanExpiredConsumeQueue => {
            let store = broker.store.clone();
            blocking(move || clean::expired_consume_queues(&store))
        }
        C::CleanUnusedTopic => {
            let broker = broker.clone();
            blocking(move || clean::unused_topics(&broker))
        }

        C::UpdateColdDataFlowCtrConfig => reply(maintenance::set_cold_data(broker, &request)),
        C::RemoveColdDataFlowCtrConfig => reply(maintenance::unset_cold_data(broker, &request)),
        C::GetColdDataFlowCtrInfo => reply(maintenance::cold_data(broker)),
        C::SetCommitLogReadMode => {
            let broker = broker.clone();
            blocking(move || maintenance::set_read_mode(&broker, &request, now))
        }
        C::CheckRocksDbCqWriteProgress => reply(maintenance::check_rocksdb(&request)),
        C::ExportRocksDbConfigToJson => reply(maintenance::export_rocksdb(&request)),
        C::NotifyMinBrokerIdChange => reply(maintenance::min_broker_id(broker, &request)),

        C::GetBrokerRuntimeInfo => {
            let broker = broker.clone();
            blocking(move || runtime::info(&broker, now))
        }
        C::GetTopicStatsInfo => {
            let broker = broker.clone();
            blocking(move || stats::topic(&broker, &request))
        }
        C::GetConsumeStats => {
            let broker = broker.clone();
            blocking(move || stats::consume(&broker, &request, now))
        }
        C::GetBrokerConsumeStats => {
            let broker = broker.clone();
            blocking(move || stats::consume_all(&broker, &request))
        }
        C::QueryConsumeTimeSpan => {
            let broker = broker.clone();
            blocking(move || stats::time_span(&broker, &request, now))
        }
        C::ViewBrokerStatsData => reply(stats::view(broker, &request)),
        C::QueryConsumeQueue => {
            let broker = broker.clone();
            blocking(move || query::consume_queue(&broker, &request, now))
        }
        C::QueryMessage => {
            let broker = broker.clone();
            blocking(move || query::by_key(&broker, &request, now))
        }
        C::ViewMessageById => {
            let store = broker.store.clone();
            blocking(move || query::view(&store, &request))
        }

        C::AuthCreateUser
        | C::AuthUpdateUser
        | C::AuthDeleteUser
        | C::AuthCreateAcl
        | C::AuthUpdateAcl
        | C::AuthDeleteAcl => {
            let broker = broker.clone();
            blocking(move || match code {
                C::AuthCreateUser => auth::create_user(&broker.users, &request),
                C::AuthUpdateUser => auth::update_user(&broker.users, &request),
                C::AuthDeleteUser => auth::delete_user(&broker.users, &request),
                C::AuthCreateAcl => auth::create_acl(&broker.users, &request),
                C::AuthUpdateAcl => auth::update_acl(&broker.users, &request),
                _ => auth::delete_acl(&broker.users, &request),
            })
        }
        C::AuthGetUser => reply(auth::get_user(&broker.users, &request)),
        C::AuthListUser => reply(auth::list_users(&broker.users, &request)),
        C::AuthGetAcl => reply(auth::get_acl(&broker.users, &request)),
        C::AuthListAcl => reply(auth::list_acls(&broker.users, &request)),

        // Java answers these on a name server or controller, not on a broker.
        C::PutKvConfig
        | C::GetKvConfig
        | C::DeleteKvConfig
        | C::RegisterBroker
        | C::UnregisterBroker
        | C::GetRouteInfoByTopic
        | C::GetBrokerClusterInfo
        | C::WipeWritePermOfBroker
        | C::AddWritePermOfBroker
        | C::GetAllTopicListFromNameServer
        | C::DeleteTopicInNamesrv
        | C::RegisterTopicInNamesrv
        | C::GetKvListByNamespace
        | C::GetTopicsByCluster
        | C::GetSystemTopicListFromNs
        | C::GetUnitTopicList
        | C::GetHasUnitSubTopicList
        | C::GetHasUnitSubUnunitTopicList
        | C::UpdateNamesrvConfig
        | C::GetNamesrvConfig
        | C::QueryDataVersion
        | C::GetBrokerMemberGroup
        | C::BrokerHeartbeat
        | C::ControllerAlterSyncStateSet
        | C::ControllerElectMaster
        | C::ControllerRegisterBroker
        | C::ControllerGetReplicaInfo
        | C::ControllerGetMetadataInfo
        | C::ControllerGetSyncStateData
        | C::UpdateControllerConfig
        | C::GetControllerConfig
        | C::CleanBrokerData
        | C::ControllerGetNextBrokerId
        | C::ControllerApplyBrokerId
        | C::BrokerCloseChannelRequest
        | C::CheckNotActiveBrokerRequest
        | C::GetBrokerLiveInfoRequest
        | C::GetSyncStateDataRequest
        | C::RaftBrokerHeartBeatEventRequest
        | C::AddBroker
        | C::RemoveBroker
        // From a broker to a client.
        | C::CheckTransactionState
        | C::NotifyConsumerIdsChanged
        | C::ResetConsumerClientOffset
        | C::GetConsumerStatusFromClient
        | C::PushReplyMessageToClient
        | C::NotifyUnsubscribeLite
        // Numbers without a handler in Java.
        | C::QueryBrokerOffset
        | C::GetTopicConfigList
        | C::GetTopicNameList
        | C::TriggerDeleteFiles
        | C::GetClientConfig
        | C::SuspendConsumer
        | C::ResumeConsumer
        | C::ResetConsumerOffsetInConsumer
        | C::ResetConsumerOffsetInBroker
        | C::AdjustConsumerThreadPool
        | C::WhoConsumeTheMessage
        | C::RegisterFilterServer
        | C::RegisterMessageFilterClass
        | C::AckLiteMessage
        // Served by Java, not by this broker.
        | C::GetBrokerEpochCache
        | C::NotifyBrokerRoleChanged => reply(Err(RequestError::NotSupported(code as i32))),
    }
}
