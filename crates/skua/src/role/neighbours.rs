//! The other brokers of the cluster, found by name at the name servers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skua_protocol::body::BrokerMemberGroupResponse;
use skua_protocol::request::GetBrokerMemberGroup;
use skua_protocol::{Command, json};
use skua_remoting::Client;

/// How long a broker's address is believed without asking again.
const BELIEVED: Duration = Duration::from_secs(30);
/// Brokers whose addresses are kept; past it all are asked for anew.
const KEPT_MAX: usize = 1024;

pub struct Neighbours {
    client: Client,
    namesrvs: Vec<String>,
    cluster: String,
    addrs: Mutex<HashMap<String, (String, Instant)>>,
}

impl Neighbours {
    pub fn new(client: Client, namesrvs: Vec<String>, cluster: String) -> Arc<Self> {
        Arc::new(Self { client, namesrvs, cluster, addrs: Mutex::default() })
    }

    /// A broker's answer, or why there is none.
    pub async fn call(
        &self,
        name: &str,
        request: Command,
        timeout_ms: u64,
    ) -> Result<Command, String> {
        let addr = self.find(name, timeout_ms).await?;
        let answer = self.client.call(&addr, request, timeout_ms).await;
        answer.map_err(|error| {
            self.addrs().remove(name);
            error.to_string()
        })
    }

    fn addrs(&self) -> std::sync::MutexGuard<'_, HashMap<String, (String, Instant)>> {
        self.addrs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(&self, name: &str, timeout_ms: u64) -> Result<String, String> {
        let believed = self.addrs().get(name).cloned();
        if let Some((addr, _)) = believed.filter(|(_, since)| since.elapsed() < BELIEVED) {
            return Ok(addr);
        }
        let asked = GetBrokerMemberGroup {
            cluster_name: self.cluster.as_str().into(),
            broker_name: name.into(),
        };
        let mut why = "there is no name server".to_owned();
        for namesrv in &self.namesrvs {
            let told = self.client.request_with_body(namesrv, &asked, "", timeout_ms).await;
            let body = match told {
                Ok(((), body)) => body,
                Err(error) => {
                    why = error.to_string();
                    continue;
                }
            };
            let group = json::from_slice::<BrokerMemberGroupResponse>(&body).unwrap_or_default();
            // The master, or whoever stands in for it.
            if let Some(addr) = group.broker_member_group.broker_addrs.into_values().next() {
                let mut addrs = self.addrs();
                if addrs.len() >= KEPT_MAX {
                    addrs.clear();
                }
                addrs.insert(name.to_owned(), (addr.clone(), Instant::now()));
                return Ok(addr);
            }
            why = format!("name server {namesrv} does not know it");
        }
        Err(why)
    }
}
