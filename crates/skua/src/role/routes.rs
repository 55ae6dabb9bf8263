//! Routes of topics as the name servers have them, kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skua_protocol::body::RouteData;
use skua_protocol::request::GetRouteInfoByTopic;
use skua_protocol::{Command, ResponseCode, json};
use skua_remoting::Client;

/// Time for one name server's answer.
const CALL_MS: u64 = 3_000;
/// How old a route may be. New queues are assigned that much later.
const KEPT: Duration = Duration::from_secs(5);
/// Most topics whose routes are kept.
const TOPICS_MAX: usize = 10_000;

type Kept = HashMap<String, (Instant, Option<Arc<RouteData>>)>;

pub struct Routes {
    client: Client,
    addrs: Vec<String>,
    kept: Mutex<Kept>,
}

impl Routes {
    pub fn new(client: Client, addrs: Vec<String>) -> Arc<Self> {
        Arc::new(Self { client, addrs, kept: Mutex::default() })
    }

    /// The topic's route; `None` if no name server knows it or can be reached.
    pub async fn of(&self, topic: &str) -> Option<Arc<RouteData>> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, route)) = kept().get(topic)
            && at.elapsed() < KEPT
        {
            return route.clone();
        }
        let route = self.ask(topic).await.map(Arc::new);
        let mut kept = kept();
        if kept.len() >= TOPICS_MAX {
            kept.clear();
        }
        kept.insert(topic.to_owned(), (Instant::now(), route.clone()));
        route
    }

    async fn ask(&self, topic: &str) -> Option<RouteData> {
        let header = GetRouteInfoByTopic { topic: topic.into(), ..GetRouteInfoByTopic::default() };
        for addr in &self.addrs {
            match self.client.call(addr, Command::request(&header), CALL_MS).await {
                Ok(answer) if answer.code == ResponseCode::Success as i32 => {
                    return json::from_slice(&answer.body).ok();
                }
                Ok(answer) => tracing::debug!(topic, code = answer.code, "no route"),
                Err(error) => tracing::warn!(topic, %error, "a name server gives no route"),
            }
        }
        None
    }
}
