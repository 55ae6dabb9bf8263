//! A small RocketMQ client: name servers tried in turn, every call with a time limit, every
//! failure with its cause and address.
//!
//! [`Cluster`] makes the calls; [`producer`] and [`consumer`] stand on it.

pub mod consumer;
pub mod producer;
pub mod rehearsal;
pub mod route;
pub mod unique_id;

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use skua_protocol::body::{ClusterInfo, RouteData};
use skua_protocol::code::ResponseCode;
use skua_protocol::record::Message;
use skua_protocol::request::{GetBrokerClusterInfo, GetRouteInfoByTopic, Request};
use skua_protocol::{Command, RequestCode, json};
use skua_remoting::{Client, ClientOptions};

use crate::failure::{Failure, Role};

use rehearsal::Rehearsal;

/// Longest wait for one answer, as Java's mqadmin waits.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks for a route that is about to appear.
pub const ROUTE_RETRY: Duration = Duration::from_millis(100);

static OPTIONS: OnceLock<ClientOptions> = OnceLock::new();

/// How all clusters of this process are called: who it is, and whether by TLS. Counts once, before
/// the first call.
pub fn connect_with(options: ClientOptions) {
    // Said twice, the first counts.
    let _ = OPTIONS.set(options);
}

/// A cluster as seen from outside: its name servers, and connections made when needed.
pub struct Cluster {
    client: Client,
    name_servers: Vec<String>,
    timeout: Duration,
    rehearsal: Option<Rehearsal>,
}

/// An answer and who gave it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub addr: String,
    pub request: RequestCode,
    pub command: Command,
}

impl Answer {
    /// The body as JSON, Java's bare keys included.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        json::from_slice(&self.command.body).map_err(|cause| self.unreadable(cause.to_string()))
    }

    /// The body as text.
    pub fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.command.body).map_err(|cause| self.unreadable(cause.to_string()))
    }

    /// The body as stored messages.
    pub fn messages(&self) -> Result<Vec<Message>, Failure> {
        Message::decode_all(&self.command.body).map_err(|cause| self.unreadable(cause.to_string()))
    }

    pub fn header<T: skua_protocol::header::FromFields>(&self) -> Result<T, Failure> {
        self.command.header().map_err(|cause| self.unreadable(cause.to_string()))
    }

    fn unreadable(&self, cause: String) -> Failure {
        Failure::Unreadable { addr: self.addr.clone(), request: self.request.name(), cause }
    }

    /// The answer itself if it says success, else the server's refusal.
    pub fn accepted(self, role: Role) -> Result<Self, Failure> {
        if self.command.code == ResponseCode::Success as i32 {
            Ok(self)
        } else {
            Err(self.refusal(role))
        }
    }

    pub fn refusal(&self, role: Role) -> Failure {
        Failure::Refused {
            code: self.command.code,
            remark: self.command.remark.as_deref().unwrap_or_default().to_owned(),
            role,
            addr: self.addr.clone(),
        }
    }
}

/// Splits `a:1;b:2`; blanks and empty parts are dropped.
pub fn split_addresses(list: &str) -> Vec<String> {
    list.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

impl Cluster {
    /// `name_servers` as for `-n`; may be empty when only brokers given by address are called.
    pub fn new(name_servers: Vec<String>, timeout: Duration) -> Self {
        let client = Client::new(OPTIONS.get().cloned().unwrap_or_default());
        Self { client, name_servers, timeout, rehearsal: None }
    }

    /// As [`Cluster::new`], called in another way than the process's own.
    pub fn with(options: ClientOptions, name_servers: Vec<String>, timeout: Duration) -> Self {
        Self { client: Client::new(options), name_servers, timeout, rehearsal: None }
    }

    /// From now on requests that change something are only written down.
    pub fn rehearse(&mut self) {
        self.rehearsal = Some(Rehearsal::default());
    }

    pub fn rehearsal(&self) -> Option<&Rehearsal> {
        self.rehearsal.as_ref()
    }

    /// Longest wait for one answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    pub fn name_servers(&self) -> Result<&[String], Failure> {
        if self.name_servers.is_empty() {
            return Err(Failure::NoNameServer);
        }
        Ok(&self.name_servers)
    }

    /// Sends `request` to `addr` and gives back whatever is answered, refusals too.
    pub async fn call(&self, addr: &str, request: Command) -> Result<Answer, Failure> {
        self.call_within(addr, request, self.timeout).await
    }

    pub async fn call_within(
        &self,
        addr: &str,
        request: Command,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let code = RequestCode::from_i32(request.code).unwrap_or(RequestCode::GetBrokerClusterInfo);
        if self.rehearsal.as_ref().is_some_and(|rehearsal| rehearsal.holds_back(addr, &request)) {
            let command = Command::success();
            return Ok(Answer { addr: addr.to_owned(), request: code, command });
        }
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let command = self
            .client
            .call(addr, request, timeout_ms)
            .await
            .map_err(|cause| Failure::Call { addr: addr.to_owned(), cause: cause.to_string() })?;
        Ok(Answer { addr: addr.to_owned(), request: code, command })
    }

    /// A request to a broker that must succeed.
    pub async fn broker<H: Request>(&self, addr: &str, header: &H) -> Result<Answer, Failure> {
        self.broker_with(addr, header, Bytes::new()).await
    }

    pub async fn broker_with<H: Request>(
        &self,
        addr: &str,
        header: &H,
        body: impl Into<Bytes>,
    ) -> Result<Answer, Failure> {
        let request = Command::request(header).with_body(body);
        self.call(addr, request).await?.accepted(Role::Broker)
    }

    /// A request to one name server that must succeed.
    pub async fn namesrv_at<H: Request>(
        &self,
        addr: &str,
        header: &H,
        body: impl Into<Bytes>,
    ) -> Result<Answer, Failure> {
        let request = Command::request(header).with_body(body);
        self.call(addr, request).await?.accepted(Role::NameServer)
    }

    /// A request to the first name server that can be reached; its refusal is final.
    pub async fn namesrv<H: Request>(&self, header: &H) -> Result<Answer, Failure> {
        let mut failed = None;
        for addr in self.name_servers()? {
            match self.namesrv_at(addr, header, Bytes::new()).await {
                Err(cause @ Failure::Call { .. }) => failed = Some(cause),
                done => return done,
            }
        }
        Err(failed.unwrap_or(Failure::NoNameServer))
    }

    /// A request to every name server; stops at the first that fails.
    pub async fn every_namesrv<H: Request>(&self, header: &H) -> Result<Vec<Answer>, Failure> {
        let mut answers = Vec::new();
        for addr in self.name_servers()? {
            answers.push(self.namesrv_at(addr, header, Bytes::new()).await?);
        }
        Ok(answers)
    }

    pub async fn route(&self, topic: &str) -> Result<RouteData, Failure> {
        let header =
            GetRouteInfoByTopic { topic: topic.into(), accept_standard_json_only: Some(true) };
        self.namesrv(&header).await?.json()
    }

    pub async fn info(&self) -> Result<ClusterInfo, Failure> {
        self.namesrv(&GetBrokerClusterInfo {}).await?.json()
    }
}

/// Runs every future of `work` at the same time; the answers keep their order.
pub async fn all<F: Future>(work: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(work).await
}
