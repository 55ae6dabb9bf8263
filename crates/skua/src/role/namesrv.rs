//! A name server in this process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use skua_config::Settings;
use skua_namesrv::{Namesrv, NamesrvOptions, Outbound};
use skua_protocol::Command;
use skua_remoting::{Client, ClientOptions, Listener, Server};
use tokio::task::JoinHandle;

use super::due::SLEEP_MAX;
use super::watch::WatchedNameServer;
use super::{server_options, stop_servers};
use crate::clock;
use crate::files::Disk;
use crate::http::Watched;
use crate::security::Tls;

pub struct NameServer {
    server: Server,
    due: JoinHandle<()>,
    /// Takes renewed certificates over.
    following: JoinHandle<()>,
}

impl NameServer {
    pub fn start(settings: Settings, tls: &Tls) -> anyhow::Result<Self> {
        let (bind, options) = server_options(&settings.server, tls);
        let following = tls.follow();
        let listener =
            Listener::bind(&settings.server.bind_address, settings.server.listen_port, &bind)?;
        let to_brokers = ClientOptions { tls: tls.client.clone(), ..ClientOptions::default() };
        let namesrv = Arc::new(Namesrv::new(NamesrvOptions {
            settings,
            files: Arc::new(Disk),
            outbound: Arc::new(ToBrokers(Client::new(to_brokers))),
            now: clock::now(),
        })?);
        let server = Server::start(listener, namesrv.clone(), options)
            .context("cannot start the name server's listener")?;
        let due = tokio::spawn(async move {
            let mut levels = namesrv.settings().server.log_level.clone();
            loop {
                // Changed by a request; what SIGHUP or RUST_LOG set stays until then.
                let settings = namesrv.settings();
                if settings.server.log_level != levels {
                    levels.clone_from(&settings.server.log_level);
                    crate::logging::set_levels(&levels);
                }
                let next = namesrv.run_due(clock::now()).map_or(SLEEP_MAX, clock::until);
                tokio::time::sleep(next.min(SLEEP_MAX)).await;
            }
        });
        Ok(Self { server, due, following })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// What the HTTP port tells of it.
    pub fn watched(&self) -> Arc<dyn Watched> {
        Arc::new(WatchedNameServer { ports: vec![("namesrv", self.server.metrics().clone())] })
    }

    pub async fn stop(self) {
        self.due.abort();
        self.following.abort();
        stop_servers(vec![self.server]).await;
    }
}

/// One-way notices to brokers; a broker that cannot be reached is not waited for.
struct ToBrokers(Client);

impl Outbound for ToBrokers {
    fn one_way(&self, addr: &str, request: Command) {
        let (client, addr) = (self.0.clone(), addr.to_owned());
        tokio::spawn(async move {
            if let Err(error) = client.one_way(&addr, request).await {
                tracing::debug!(%error, "notice to a broker not sent");
            }
        });
    }
}
