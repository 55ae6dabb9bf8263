//! The name servers' key-value configuration, and the order configuration kept in it.

use std::fmt;

use serde::Serialize;
use skua_protocol::code::ResponseCode;
use skua_protocol::request::{DeleteKvConfig, GetKvConfig, GetKvConfigResponse, PutKvConfig};

use crate::client::Cluster;
use crate::failure::Failure;
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{required, value};
use crate::mqadmin::{Context, SubCommand};

/// Namespace in which ordered topics name their queues (Java: `NamesrvUtil`).
pub const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

pub const UPDATE_KV_CONFIG: SubCommand = SubCommand {
    name: "updateKvConfig",
    about: "Create or update KV config.",
    example: "-s NAMESPACE -k key -v value",
    answer: &["done"],
    options: &[
        required("s", "namespace", "set the namespace"),
        required("k", "key", "set the key name"),
        required("v", "value", "set the key value"),
    ],
    run: |context| Box::pin(update(context)),
};

pub const DELETE_KV_CONFIG: SubCommand = SubCommand {
    name: "deleteKvConfig",
    about: "Delete KV config.",
    example: "-s NAMESPACE -k key",
    answer: &["done"],
    options: &[
        required("s", "namespace", "set the namespace"),
        required("k", "key", "set the key name"),
    ],
    run: |context| Box::pin(delete(context)),
};

pub const UPDATE_ORDER_CONF: SubCommand = SubCommand {
    name: "updateOrderConf",
    about: "Create or update or delete order conf.",
    example: "-t TopicTest -m get",
    answer: &["done", "topic", "orderConf"],
    options: &[
        required("t", "topic", "topic name"),
        value("v", "orderConf", "set order conf [eg. brokerName1:num;brokerName2:num]"),
        required("m", "method", "option type [eg. put|get|delete"),
    ],
    run: |context| Box::pin(order_conf(context)),
};

/// The value of a key, from the first name server that can be reached.
pub async fn get(cluster: &Cluster, namespace: &str, key: &str) -> Result<Option<String>, Failure> {
    let header = GetKvConfig { namespace: namespace.into(), key: key.into() };
    match cluster.namesrv(&header).await {
        Ok(answer) => {
            let GetKvConfigResponse { value } = answer.header()?;
            Ok(value.map(|value| value.to_string()))
        }
        Err(refused) if refused.is_code(ResponseCode::QueryNotFound) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Sets a key at every name server.
pub async fn put(
    cluster: &Cluster,
    namespace: &str,
    key: &str,
    value: &str,
) -> Result<(), Failure> {
    let header = PutKvConfig { namespace: namespace.into(), key: key.into(), value: value.into() };
    cluster.every_namesrv(&header).await.map(drop)
}

async fn remove(cluster: &Cluster, namespace: &str, key: &str) -> Result<(), Failure> {
    let header = DeleteKvConfig { namespace: namespace.into(), key: key.into() };
    cluster.every_namesrv(&header).await.map(drop)
}

async fn update(context: &Context<'_>) -> Result<(), Failure> {
    let (namespace, key) = (context.required("s")?, context.required("k")?);
    put(&context.cluster, namespace, key, context.required("v")?).await?;
    context.print(&Done::new("create or update kv config to namespace success."))
}

async fn delete(context: &Context<'_>) -> Result<(), Failure> {
    remove(&context.cluster, context.required("s")?, context.required("k")?).await?;
    context.print(&Done::new("delete kv config from namespace success."))
}

/// Java writes these sentences without a line's end; ours ends it, which no script minds.
async fn order_conf(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    match context.required("m")? {
        "get" => {
            let header = GetKvConfig { namespace: ORDER_TOPIC_CONFIG.into(), key: topic.into() };
            let answer: GetKvConfigResponse = context.cluster.namesrv(&header).await?.header()?;
            let conf = answer.value.map(|value| value.to_string()).unwrap_or_default();
            context.print(&OrderConf { topic: topic.to_owned(), order_conf: conf })
        }
        "put" => {
            let conf = context.required("v")?;
            put(&context.cluster, ORDER_TOPIC_CONFIG, topic, conf).await?;
            let sentence = format!("update orderConf success. topic=[{topic}], orderConf=[{conf}]");
            context.print(&Done::new(sentence).with("topic", topic).with("orderConf", conf))
        }
        "delete" => {
            remove(&context.cluster, ORDER_TOPIC_CONFIG, topic).await?;
            let sentence = format!("delete orderConf success. topic=[{topic}]");
            context.print(&Done::new(sentence).with("topic", topic))
        }
        other => Err(Failure::BadValue {
            option: "m",
            given: other.to_owned(),
            accepted: "put, get or delete",
        }),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderConf {
    topic: String,
    order_conf: String,
}

impl fmt::Display for OrderConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, order_conf } = self;
        writeln!(f, "get orderConf success. topic=[{topic}], orderConf=[{order_conf}] ")
    }
}
