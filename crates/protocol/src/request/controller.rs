//! Controller: 1001 to 1006, 1008 to 1013.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `AlterSyncStateSetRequestHeader`; body and answer's body are
    /// [`crate::body::SyncStateSet`].
    request ControllerAlterSyncStateSet => ControllerAlterSyncStateSetResponse {
        broker_name: Option<ByteString>,
        master_broker_id: Option<i64>,
        master_epoch: Option<i32>,
        invoke_time: Option<i64>,
    }

    response ControllerAlterSyncStateSetResponse {
        new_sync_state_set_epoch: Option<i32>,
    }

    /// Java: `ElectMasterRequestHeader`; the answer's body is
    /// [`crate::body::ElectMasterBody`].
    request ControllerElectMaster => ControllerElectMasterResponse {
        cluster_name: ByteString,
        broker_name: ByteString,
        broker_id: i64,
        /// Whether this broker is to be it, or may be.
        designate_elect: bool,
        invoke_time: Option<i64>,
    }

    response ControllerElectMasterResponse {
        master_broker_id: Option<i64>,
        master_address: Option<ByteString>,
        master_epoch: Option<i32>,
        sync_state_set_epoch: Option<i32>,
    }

    /// Java: `RegisterBrokerToControllerRequestHeader`; the answer's body is
    /// [`crate::body::SyncStateSet`].
    request ControllerRegisterBroker => ControllerRegisterBrokerResponse {
        cluster_name: Option<ByteString>,
        broker_name: Option<ByteString>,
        broker_id: Option<i64>,
        broker_address: Option<ByteString>,
        invoke_time: Option<i64>,
    }

    response ControllerRegisterBrokerResponse {
        cluster_name: Option<ByteString>,
        broker_name: Option<ByteString>,
        master_broker_id: Option<i64>,
        master_address: Option<ByteString>,
        master_epoch: Option<i32>,
        sync_state_set_epoch: Option<i32>,
    }

    /// Java: `GetReplicaInfoRequestHeader`; the answer's body is
    /// [`crate::body::SyncStateSet`].
    request ControllerGetReplicaInfo => ControllerGetReplicaInfoResponse {
        broker_name: Option<ByteString>,
    }

    response ControllerGetReplicaInfoResponse {
        master_broker_id: Option<i64>,
        master_address: Option<ByteString>,
        master_epoch: Option<i32>,
    }

    request ControllerGetMetadataInfo => ControllerGetMetadataInfoResponse {}

    /// Java: `GetMetaDataResponseHeader`.
    response ControllerGetMetadataInfoResponse {
        group: Option<ByteString>,
        controller_leader_id: Option<ByteString>,
        controller_leader_address: Option<ByteString>,
        is_leader: Option<bool>,
        /// `id:address;id:address`
        peers: Option<ByteString>,
    }

    /// The body is an array of broker names, the answer's
    /// [`crate::body::BrokerReplicasInfo`].
    request ControllerGetSyncStateData => () {}

    /// Java: `NotifyBrokerRoleChangedRequestHeader`, from controller to broker; the body is
    /// [`crate::body::SyncStateSet`].
    request NotifyBrokerRoleChanged => () {
        master_address: Option<ByteString>,
        master_epoch: Option<i32>,
        sync_state_set_epoch: Option<i32>,
        master_broker_id: Option<i64>,
    }

    /// The body is properties text.
    request UpdateControllerConfig => () {}

    /// The answer's body is properties text.
    request GetControllerConfig => () {}

    /// Java: `CleanControllerBrokerDataRequestHeader`.
    request CleanBrokerData => () {
        cluster_name: Option<ByteString>,
        broker_name: ByteString,
        /// Ids joined by `;`.
        broker_controller_ids_to_clean: Option<ByteString>,
        is_clean_living_broker: Option<bool>,
        invoke_time: Option<i64>,
    }

    /// Java: `GetNextBrokerIdRequestHeader`.
    request ControllerGetNextBrokerId => ControllerGetNextBrokerIdResponse {
        cluster_name: Option<ByteString>,
        broker_name: Option<ByteString>,
    }

    response ControllerGetNextBrokerIdResponse {
        cluster_name: Option<ByteString>,
        broker_name: Option<ByteString>,
        next_broker_id: Option<i64>,
    }

    /// Java: `ApplyBrokerIdRequestHeader`.
    request ControllerApplyBrokerId => ControllerApplyBrokerIdResponse {
        cluster_name: Option<ByteString>,
        broker_name: Option<ByteString>,
        applied_broker_id: Option<i64>,
        register_check_code: Option<ByteString>,
    }

    response ControllerApplyBrokerIdResponse {
        cluster_name: Option<ByteString>,
        broker_name: Option<ByteString>,
    }
}
