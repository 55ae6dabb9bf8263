//! Where a run's requests go: the topic's queues, the topic made first if it is missing.

use bytestring::ByteString;
use futures_util::{StreamExt, TryStreamExt, stream};
use skua_protocol::body::{PERM_READ, PERM_WRITE, RouteData, TopicConfig, TopicConfigList};
use skua_protocol::code::ResponseCode;
use skua_protocol::json;
use skua_protocol::request::{UpdateAndCreateTopic, UpdateAndCreateTopicList};

use crate::client::route::{self, Queue};
use crate::client::{self, Cluster};
use crate::failure::Failure;

/// Routes asked for side by side.
const AT_ONCE: usize = 64;
/// Topics made by one request.
const IN_A_LIST: usize = 1000;

#[derive(Clone, Debug)]
pub struct Target {
    pub topic: String,
    pub queues: Vec<Queue>,
    /// The different addresses of `queues`.
    pub brokers: Vec<String>,
}

impl Target {
    /// Queues of `topic` that pass `choose`. `broker` names one by address, for use without name
    /// servers; the topic is then made there with `queues` queues.
    pub async fn find(
        cluster: &Cluster,
        topic: &str,
        broker: Option<&str>,
        queues: i32,
        choose: fn(&RouteData) -> Vec<Queue>,
    ) -> Result<Self, Failure> {
        let topics = [topic.to_owned()];
        let mut found = Self::find_all(cluster, &topics, broker, queues, choose).await?;
        found.pop().ok_or_else(|| Failure::other("no topic"))
    }

    /// As [`Target::find`], of many topics; those that are missing are made in few requests.
    pub async fn find_all(
        cluster: &Cluster,
        topics: &[String],
        broker: Option<&str>,
        queues: i32,
        choose: fn(&RouteData) -> Vec<Queue>,
    ) -> Result<Vec<Self>, Failure> {
        if let Some(addr) = broker {
            create_all(cluster, addr, topics, queues).await?;
            let queue = |id| Queue { broker_name: String::new(), id, addr: addr.to_owned() };
            let target = |topic: &String| Self::of(topic, (0..queues).map(queue).collect());
            return Ok(topics.iter().map(target).collect());
        }
        let asked = stream::iter(topics).map(|topic| async move {
            match cluster.route(topic).await {
                Err(refused) if refused.is_code(ResponseCode::TopicNotExist) => Ok(None),
                found => found.map(Some),
            }
        });
        let routes: Vec<Option<RouteData>> = asked.buffered(AT_ONCE).try_collect().await?;
        let is_missing =
            |(topic, route): (&String, &Option<RouteData>)| route.is_none().then(|| topic.clone());
        let missing: Vec<String> = topics.iter().zip(&routes).filter_map(is_missing).collect();
        if !missing.is_empty() {
            let info = cluster.info().await?;
            for addr in info.broker_addr_table.values().filter_map(route::master_addr) {
                create_all(cluster, addr, &missing, queues).await?;
            }
        }
        let targets = stream::iter(topics.iter().zip(routes)).map(|(topic, route)| async move {
            let route = match route {
                Some(route) => route,
                None => wait_for_route(cluster, topic).await?,
            };
            let target = Self::of(topic, choose(&route));
            if target.queues.is_empty() {
                return Err(Failure::other(format!("topic {topic} has no queue to use")));
            }
            Ok(target)
        });
        targets.buffered(AT_ONCE).try_collect().await
    }

    fn of(topic: &str, queues: Vec<Queue>) -> Self {
        let mut brokers: Vec<String> = queues.iter().map(|queue| queue.addr.clone()).collect();
        brokers.sort();
        brokers.dedup();
        Self { topic: topic.to_owned(), queues, brokers }
    }
}

async fn create(cluster: &Cluster, addr: &str, topic: &str, queues: i32) -> Result<(), Failure> {
    let header = UpdateAndCreateTopic {
        topic: topic.into(),
        default_topic: ByteString::from_static("TBW102"),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: PERM_READ | PERM_WRITE,
        topic_filter_type: ByteString::from_static("SINGLE_TAG"),
        topic_sys_flag: Some(0),
        ..Default::default()
    };
    cluster.broker(addr, &header).await.map(drop)
}

/// Several go in lists: one by one, a broker that writes down all its topics each time would take
/// minutes for thousands.
async fn create_all(
    cluster: &Cluster,
    addr: &str,
    topics: &[String],
    queues: i32,
) -> Result<(), Failure> {
    if let [topic] = topics {
        return create(cluster, addr, topic, queues).await;
    }
    for topics in topics.chunks(IN_A_LIST) {
        let config = |topic: &String| TopicConfig {
            topic_name: topic.clone(),
            read_queue_nums: queues,
            write_queue_nums: queues,
            perm: PERM_READ | PERM_WRITE,
            ..TopicConfig::default()
        };
        let list = TopicConfigList { topic_config_list: topics.iter().map(config).collect() };
        let body = json::to_vec(&list);
        cluster.broker_with(addr, &UpdateAndCreateTopicList {}, body).await?;
    }
    Ok(())
}

/// The brokers tell the name servers of a new topic by themselves; this waits until they have.
async fn wait_for_route(cluster: &Cluster, topic: &str) -> Result<RouteData, Failure> {
    let mut tries = 0;
    loop {
        match cluster.route(topic).await {
            Err(refused) if refused.is_code(ResponseCode::TopicNotExist) && tries < 100 => {
                tries += 1;
                tokio::time::sleep(client::ROUTE_RETRY).await;
            }
            done => return done,
        }
    }
}
