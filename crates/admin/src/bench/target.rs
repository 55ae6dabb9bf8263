//! Where a run's requests go: the topic's queues, the topic made first if it is missing.

use bytestring::ByteString;
use skua_protocol::body::{PERM_READ, PERM_WRITE, RouteData};
use skua_protocol::code::ResponseCode;
use skua_protocol::request::UpdateAndCreateTopic;

use crate::client::route::{self, Queue};
use crate::client::{self, Cluster};
use crate::failure::Failure;

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
        if let Some(addr) = broker {
            create(cluster, addr, topic, queues).await?;
            let queue = |id| Queue { broker_name: String::new(), id, addr: addr.to_owned() };
            return Ok(Self::of(topic, (0..queues).map(queue).collect()));
        }
        let route = match cluster.route(topic).await {
            Err(refused) if refused.is_code(ResponseCode::TopicNotExist) => {
                let info = cluster.info().await?;
                let masters = info.broker_addr_table.values().filter_map(route::master_addr);
                for addr in masters {
                    create(cluster, addr, topic, queues).await?;
                }
                wait_for_route(cluster, topic).await?
            }
            found => found?,
        };
        let target = Self::of(topic, choose(&route));
        if target.queues.is_empty() {
            return Err(Failure::other(format!("topic {topic} has no queue to use")));
        }
        Ok(target)
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
