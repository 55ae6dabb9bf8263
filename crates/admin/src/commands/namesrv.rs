//! The name servers themselves: their configuration, and write permission of brokers.

use std::fmt;

use serde::Serialize;
use skua_protocol::request::{
    AddWritePermOfBroker, AddWritePermOfBrokerResponse, GetNamesrvConfig, Request,
    UpdateNamesrvConfig, WipeWritePermOfBroker, WipeWritePermOfBrokerResponse,
};

use super::properties::{self, Properties};
use crate::failure::Failure;
use crate::mqadmin::context::Done;
use crate::mqadmin::options::required;
use crate::mqadmin::{Context, SubCommand};

pub const WIPE_WRITE_PERM: SubCommand = SubCommand {
    name: "wipeWritePerm",
    about: "Wipe write perm of broker in all name server you defined in the -n param.",
    example: "-b broker-a",
    answer: &["brokerName", "namesrvAddr", "topics", "what"],
    options: &[required("b", "brokerName", "broker name")],
    run: |context| {
        Box::pin(async move {
            let header = WipeWritePermOfBroker { broker_name: context.required("b")?.into() };
            change_perm(context, "wipe", &header, |answer: WipeWritePermOfBrokerResponse| {
                answer.wipe_topic_count
            })
            .await
        })
    },
};

pub const ADD_WRITE_PERM: SubCommand = SubCommand {
    name: "addWritePerm",
    about: "Add write perm of broker in all name server you defined in the -n param.",
    example: "-b broker-a",
    answer: &["brokerName", "namesrvAddr", "topics", "what"],
    options: &[required("b", "brokerName", "broker name")],
    run: |context| {
        Box::pin(async move {
            let header = AddWritePermOfBroker { broker_name: context.required("b")?.into() };
            change_perm(context, "add", &header, |answer: AddWritePermOfBrokerResponse| {
                answer.add_topic_count
            })
            .await
        })
    },
};

pub const GET_NAMESRV_CONFIG: SubCommand = SubCommand {
    name: "getNamesrvConfig",
    about: "Get configs of name server.",
    example: "",
    answer: &["addr", "properties.*"],
    options: &[],
    run: |context| Box::pin(get_config(context)),
};

pub const UPDATE_NAMESRV_CONFIG: SubCommand = SubCommand {
    name: "updateNamesrvConfig",
    about: "Update configs of name server.",
    example: "-k orderMessageEnable -v true",
    answer: &["done", "key", "value"],
    options: &[required("k", "key", "config key"), required("v", "value", "config value")],
    run: |context| Box::pin(update_config(context)),
};

/// What one name server did.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PermChange {
    what: &'static str,
    broker_name: String,
    namesrv_addr: String,
    topics: Option<i32>,
}

impl fmt::Display for PermChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, broker_name, namesrv_addr, topics } = self;
        write!(f, "{what} write perm of broker[{broker_name}] in name server[{namesrv_addr}] ")?;
        match topics {
            Some(topics) => writeln!(f, "OK, {topics}"),
            None => writeln!(f, "Failed"),
        }
    }
}

async fn change_perm<H: Request>(
    context: &Context<'_>,
    what: &'static str,
    header: &H,
    count: impl Fn(H::Response) -> i32,
) -> Result<(), Failure> {
    let broker_name = context.required("b")?;
    for addr in context.cluster.name_servers()? {
        let answer = context.cluster.namesrv_at(addr, header, Vec::new()).await;
        let topics = answer.and_then(|answer| answer.header::<H::Response>());
        if let Err(failure) = &topics {
            context.complain(failure);
        }
        context.print(&PermChange {
            what,
            broker_name: broker_name.to_owned(),
            namesrv_addr: addr.clone(),
            topics: topics.ok().map(&count),
        })?;
    }
    Ok(())
}

async fn get_config(context: &Context<'_>) -> Result<(), Failure> {
    for addr in context.cluster.name_servers()? {
        let answer = context.cluster.namesrv_at(addr, &GetNamesrvConfig {}, Vec::new()).await?;
        let properties = properties::parse(answer.text()?);
        context.print(&Properties { title: addr.clone(), addr: addr.clone(), properties })?;
    }
    Ok(())
}

async fn update_config(context: &Context<'_>) -> Result<(), Failure> {
    let (key, value) = (context.required("k")?, context.required("v")?);
    let body = properties::line(key, value);
    let servers = context.cluster.name_servers()?;
    for addr in servers {
        context.cluster.namesrv_at(addr, &UpdateNamesrvConfig {}, body.clone()).await?;
    }
    let servers = servers.join(", ");
    let sentence = format!("update name server config success![{servers}]\n{key} : {value}");
    context.print(&Done::new(sentence).with("key", key).with("value", value))
}
