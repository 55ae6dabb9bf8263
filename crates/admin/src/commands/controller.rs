//! The controller: who leads it, its configuration, elections of masters.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use skua_protocol::Command;
use skua_protocol::body::ElectMasterBody;
use skua_protocol::request::{
    CleanBrokerData, ControllerElectMaster, ControllerElectMasterResponse,
    ControllerGetMetadataInfo, ControllerGetMetadataInfoResponse, GetControllerConfig, Request,
    UpdateControllerConfig,
};

use super::properties;
use crate::client::{Answer, split_addresses};
use crate::failure::{Failure, Role};
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{UsageError, flag, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::time;

pub const GET_CONTROLLER_META_DATA: SubCommand = SubCommand {
    name: "getControllerMetaData",
    about: "Get controller cluster's metadata.",
    example: "-a 192.168.0.1:9878",
    answer: &["controllerLeaderAddress", "controllerLeaderId", "group", "isLeader", "peers"],
    options: &[required("a", "controllerAddress", "the address of controller")],
    run: |context| Box::pin(get_metadata(context)),
};

pub const GET_CONTROLLER_CONFIG: SubCommand = SubCommand {
    name: "getControllerConfig",
    about: "Get controller config.",
    example: "-a 192.168.0.1:9878",
    answer: &["addr", "properties.*"],
    options: &[required(
        "a",
        "controllerAddress",
        "Controller address list, eg: 192.168.0.1:9878;192.168.0.2:9878",
    )],
    run: |context| Box::pin(get_config(context)),
};

pub const UPDATE_CONTROLLER_CONFIG: SubCommand = SubCommand {
    name: "updateControllerConfig",
    about: "Update controller config.",
    example: "-a 192.168.0.1:9878 -k scanNotActiveBrokerInterval -v 5000",
    answer: &["done", "key", "value"],
    options: &[
        required(
            "a",
            "controllerAddress",
            "Controller address list, eg: 192.168.0.1:9878;192.168.0.2:9878",
        ),
        required("k", "key", "config key"),
        required("v", "value", "config value"),
    ],
    run: |context| Box::pin(update_config(context)),
};

pub const ELECT_MASTER: SubCommand = SubCommand {
    name: "electMaster",
    about: "Re-elect the specified broker as master.",
    example: "-a 192.168.0.1:9878 -b 2 -bn broker-a -c DefaultCluster",
    answer: &[
        "brokerName",
        "brokers.*",
        "clusterName",
        "masterAddress",
        "masterEpoch",
        "syncStateSetEpoch",
    ],
    options: &[
        required("a", "controllerAddress", "The address of controller"),
        required("b", "brokerId", "The id of the broker which requires to become master"),
        required(
            "bn",
            "brokerName",
            "The broker name of the replicas that require to be manipulated",
        ),
        required("c", "clusterName", "the clusterName of broker"),
    ],
    run: |context| Box::pin(elect_master(context)),
};

pub const CLEAN_BROKER_METADATA: SubCommand = SubCommand {
    name: "cleanBrokerMetadata",
    about: "Clean metadata of broker on controller.",
    example: "-a 192.168.0.1:9878 -b 2 -bn broker-a -c DefaultCluster",
    answer: &["done", "brokerName"],
    options: &[
        required("a", "controllerAddress", "The address of controller"),
        value(
            "b",
            "brokerControllerIdsToClean",
            "The brokerController id list which requires to clean metadata. eg: 1;2;3, means that clean broker-1, broker-2 and broker-3",
        ),
        required(
            "bn",
            "brokerName",
            "The broker name of the replicas that require to be manipulated",
        ),
        value("c", "clusterName", "The clusterName of broker"),
        flag("l", "cleanLivingBroker", "Whether clean up living brokers,default value is false"),
    ],
    run: |context| Box::pin(clean_metadata(context)),
};

/// A request to one controller that must succeed.
pub async fn controller<H: Request>(
    context: &Context<'_>,
    addr: &str,
    header: &H,
    body: Vec<u8>,
) -> Result<Answer, Failure> {
    let request = Command::request(header).with_body(body);
    context.cluster.call(addr, request).await?.accepted(Role::Controller)
}

/// What the first controller of `-a` that can be reached tells of the group.
async fn metadata(context: &Context<'_>) -> Result<ControllerGetMetadataInfoResponse, Failure> {
    let mut failed = None;
    for addr in split_addresses(context.required("a")?) {
        match controller(context, &addr, &ControllerGetMetadataInfo {}, Vec::new()).await {
            Ok(answer) => return answer.header(),
            Err(failure @ Failure::Call { .. }) => failed = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(failed.unwrap_or_else(|| Failure::other("no controller address given")))
}

/// Address of the controller that may change things.
pub async fn leader(context: &Context<'_>) -> Result<String, Failure> {
    let metadata = metadata(context).await?;
    match metadata.controller_leader_address.as_deref() {
        Some(addr) if !addr.is_empty() => Ok(addr.to_owned()),
        _ => Err(Failure::other("the controllers have no leader")),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Metadata(ControllerGetMetadataInfoResponse);

impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |field: Option<&str>| field.unwrap_or("null").to_owned();
        writeln!(f, "\n#ControllerGroup\t{}", text(self.0.group.as_deref()))?;
        writeln!(f, "#ControllerLeaderId\t{}", text(self.0.controller_leader_id.as_deref()))?;
        let addr = text(self.0.controller_leader_address.as_deref());
        writeln!(f, "#ControllerLeaderAddress\t{addr}")?;
        split_addresses(self.0.peers.as_deref().unwrap_or_default())
            .iter()
            .try_for_each(|peer| writeln!(f, "#Peer:\t{peer}"))
    }
}

async fn get_metadata(context: &Context<'_>) -> Result<(), Failure> {
    context.print(&Metadata(metadata(context).await?))
}

#[derive(Serialize)]
struct Config {
    addr: String,
    properties: BTreeMap<String, String>,
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "============{}============", self.addr)?;
        self.properties.iter().try_for_each(|(key, value)| writeln!(f, "{key:<50}=  {value}"))
    }
}

async fn get_config(context: &Context<'_>) -> Result<(), Failure> {
    for addr in split_addresses(context.required("a")?) {
        let answer = controller(context, &addr, &GetControllerConfig {}, Vec::new()).await?;
        let properties = properties::parse(answer.text()?);
        context.print(&Config { addr, properties })?;
    }
    Ok(())
}

async fn update_config(context: &Context<'_>) -> Result<(), Failure> {
    let (key, value) = (context.required("k")?, context.required("v")?);
    let body = properties::line(key, value);
    let servers = split_addresses(context.required("a")?);
    for addr in &servers {
        controller(context, addr, &UpdateControllerConfig {}, body.clone().into_bytes()).await?;
    }
    let servers = servers.join(", ");
    let sentence = format!("update controller config success![{servers}]\n{key} : {value}");
    context.print(&Done::new(sentence).with("key", key).with("value", value))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elected {
    cluster_name: String,
    broker_name: String,
    master_address: Option<String>,
    master_epoch: Option<i32>,
    sync_state_set_epoch: Option<i32>,
    brokers: BTreeMap<i64, String>,
}

impl fmt::Display for Elected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            |field: Option<i32>| field.map_or_else(|| "null".to_owned(), |it| it.to_string());
        writeln!(f, "\n#ClusterName\t{}", self.cluster_name)?;
        writeln!(f, "#BrokerName\t{}", self.broker_name)?;
        writeln!(f, "#BrokerMasterAddr\t{}", self.master_address.as_deref().unwrap_or("null"))?;
        writeln!(f, "#MasterEpoch\t{}", number(self.master_epoch))?;
        writeln!(f, "#SyncStateSetEpoch\t{}", number(self.sync_state_set_epoch))?;
        self.brokers.iter().try_for_each(|(id, addr)| writeln!(f, "\t#Broker\t{id}\t{addr}"))
    }
}

async fn elect_master(context: &Context<'_>) -> Result<(), Failure> {
    let (cluster, broker) = (context.required("c")?, context.required("bn")?);
    let header = ControllerElectMaster {
        cluster_name: cluster.into(),
        broker_name: broker.into(),
        broker_id: context.number("b")?.unwrap_or_default(),
        designate_elect: true,
        invoke_time: Some(time::now().0),
    };
    let answer = controller(context, &leader(context).await?, &header, Vec::new()).await?;
    let elected: ControllerElectMasterResponse = answer.header()?;
    let body: ElectMasterBody =
        if answer.command.body.is_empty() { ElectMasterBody::default() } else { answer.json()? };
    let group = body.broker_member_group.unwrap_or_default();
    context.print(&Elected {
        cluster_name: cluster.to_owned(),
        broker_name: broker.to_owned(),
        master_address: elected.master_address.map(|addr| addr.to_string()),
        master_epoch: elected.master_epoch,
        sync_state_set_epoch: elected.sync_state_set_epoch,
        brokers: group.broker_addrs.into_iter().collect(),
    })
}

async fn clean_metadata(context: &Context<'_>) -> Result<(), Failure> {
    let broker = context.required("bn")?;
    let ids = context.get("b");
    if let Some(ids) = ids
        && !ids.split(';').all(|id| id.trim().parse::<i64>().is_ok())
    {
        return Err(Failure::BadValue {
            option: "b",
            given: ids.to_owned(),
            accepted: "a list of broker ids such as 1;2;3",
        });
    }
    let living = context.has("l");
    if !living && context.get("c").is_none() {
        return Err(UsageError::MissingRequired(vec!["c".to_owned()]).into());
    }
    let header = CleanBrokerData {
        cluster_name: context.get("c").map(Into::into),
        broker_name: broker.into(),
        broker_controller_ids_to_clean: ids.map(Into::into),
        is_clean_living_broker: Some(living),
        invoke_time: Some(time::now().0),
    };
    controller(context, &leader(context).await?, &header, Vec::new()).await?;
    // Java: a blank before the line's end.
    let sentence = format!("clear broker {broker} metadata from controller success! ");
    context.print(&Done::new(sentence).with("brokerName", broker))
}
