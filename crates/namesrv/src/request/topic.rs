//! Topic lists (206, 224, 304, 311–313), single topics (216, 217), write permission (205, 327).

use skua_protocol::body::{RouteData, TopicList};
use skua_protocol::request::{
    AddWritePermOfBroker, AddWritePermOfBrokerResponse, DeleteTopicInNamesrv, GetTopicsByCluster,
    RegisterTopicInNamesrv, WipeWritePermOfBroker, WipeWritePermOfBrokerResponse,
};
use skua_protocol::{Command, json};

use super::Answer;
use super::error::RequestError;
use crate::Namesrv;
use crate::route::{UnitTopics, WritePerm};

pub fn all(namesrv: &Namesrv) -> Answer {
    if !namesrv.settings().namesrv.enable_all_topic_list {
        return Err(RequestError::ListDisabled);
    }
    let names = namesrv.state().routes.all_topics();
    list(names.sorted())
}

pub fn by_cluster(namesrv: &Namesrv, request: &Command) -> Answer {
    require_lists(namesrv)?;
    let GetTopicsByCluster { cluster } = request.header()?;
    let names = namesrv.state().routes.topics_by_cluster(&cluster);
    list(names.sorted())
}

pub fn system(namesrv: &Namesrv) -> Answer {
    let topics = namesrv.state().routes.system_topics();
    list(topics)
}

pub fn unit(namesrv: &Namesrv, which: UnitTopics) -> Answer {
    require_lists(namesrv)?;
    let names = namesrv.state().routes.unit_topics(which);
    list(names.sorted())
}

fn require_lists(namesrv: &Namesrv) -> Result<(), RequestError> {
    if namesrv.settings().namesrv.enable_topic_list {
        Ok(())
    } else {
        Err(RequestError::ListDisabled)
    }
}

fn list(topics: TopicList) -> Answer {
    Ok(Command::success().with_body(json::to_vec(&topics)))
}

/// Java answers success even if the topic names a broker that nobody knows and nothing happens.
pub fn register(namesrv: &Namesrv, request: &Command) -> Answer {
    let RegisterTopicInNamesrv { topic, .. } = request.header()?;
    if request.body.is_empty() {
        return Ok(Command::success());
    }
    let route: RouteData = json::from_slice(&request.body)
        .map_err(|error| RequestError::Body { what: "TopicRouteData", error })?;
    let registered = namesrv.state().routes.register_topic(&topic, &route.queue_datas);
    if let Err(error) = registered {
        tracing::warn!(%error, "topic not registered");
    }
    Ok(Command::success())
}

pub fn delete(namesrv: &Namesrv, request: &Command) -> Answer {
    let DeleteTopicInNamesrv { topic, cluster_name } = request.header()?;
    let cluster = cluster_name.as_deref().filter(|cluster| !cluster.is_empty());
    namesrv.state().routes.delete_topic(&topic, cluster);
    tracing::info!(%topic, ?cluster, "topic deleted");
    Ok(Command::success())
}

pub fn wipe_write_perm(namesrv: &Namesrv, request: &Command) -> Answer {
    let WipeWritePermOfBroker { broker_name } = request.header()?;
    let count = namesrv.state().routes.set_write_perm(&broker_name, WritePerm::Wipe);
    tracing::info!(%broker_name, count, "write permission wiped");
    Ok(Command::success()
        .with_header(&WipeWritePermOfBrokerResponse { wipe_topic_count: saturate(count) }))
}

pub fn add_write_perm(namesrv: &Namesrv, request: &Command) -> Answer {
    let AddWritePermOfBroker { broker_name } = request.header()?;
    let count = namesrv.state().routes.set_write_perm(&broker_name, WritePerm::Add);
    tracing::info!(%broker_name, count, "write permission added");
    Ok(Command::success()
        .with_header(&AddWritePermOfBrokerResponse { add_topic_count: saturate(count) }))
}

fn saturate(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
