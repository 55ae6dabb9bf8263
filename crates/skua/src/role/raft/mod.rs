//! A broker as member of a group that elects its master (RocketMQ's DLedger keys): transport,
//! threads, and the broker's role as the group decides it. The core is `skua_raft`.

mod control;
mod line;
mod member;
mod net;
pub mod peers;
mod roles;
mod shared;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use skua_broker::Broker;
use skua_config::Settings;
use skua_raft::{Group, GroupOptions, Role};
use skua_remoting::{BindOptions, Client, Listener};
use skua_store::{RealDisk, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::registration::Asks;
use crate::clock;
use crate::security::Tls;
pub use control::Control;
use member::{Handle, Member};
use net::Net;

pub struct Raft {
    handle: Handle,
    control: Arc<Control>,
    tasks: Vec<JoinHandle<()>>,
    thread: thread::JoinHandle<()>,
}

impl Raft {
    /// Takes part in the group from now on. The store was opened for it and has no threads yet.
    pub async fn start(
        options: GroupOptions,
        broker: &Arc<Broker>,
        store: &Arc<Store>,
        asks: &Arc<Asks>,
        settings: &Settings,
        client: Client,
        tls: Tls,
    ) -> anyhow::Result<Self> {
        if let Some(warning) = peers::too_few(options.peers.len()) {
            tracing::warn!(members = options.peers.len(), "{warning}; use three or five");
        }
        let preferred = peers::preferred(settings)?;
        let (host, port) = (&settings.server.bind_address, peers::own_port(&options)?);
        let listener = Listener::bind(host, port, &BindOptions::default())
            .context("dLegerPeers")?
            .into_socket();
        let address = broker.registration().header.broker_addr.to_string();
        let own = options.peers.iter().find(|peer| peer.id == options.id);
        let own = own.context("a member of its own group")?.address.clone();
        let net = Net::new(options.id, address, own, tls);
        let tick = Duration::from_millis(options.tick_ms);
        let known = options.peers.iter().map(|peer| (peer.id, peer.address.clone())).collect();
        let (id, disk) = (options.id, Arc::new(RealDisk));
        let opened = store.clone();
        let group =
            tokio::task::spawn_blocking(move || Group::open(options, disk, opened, clock::now()));
        let group = group.await?.context("the group's files")?;
        net.set_peers(&known);
        let roles = watch::Sender::new(Role::Candidate);
        let changes = roles.subscribe();
        let member = Member::new(group, store.clone(), net.clone(), roles, tick)?;
        let handle = member.handle();
        let grown = handle.clone();
        store.on_round(Box::new(move || grown.grew()));
        broker.send_on_to_master();
        let mut tasks = vec![tokio::spawn(net.clone().listen(listener, handle.clone()))];
        tasks.extend(roles::follow_group(id, broker, asks, &net, changes, client));
        let control = Arc::new(Control::new(broker, handle.clone(), preferred));
        tasks.push(tokio::spawn(control.clone().prefer()));
        let thread = thread::Builder::new().name("raft".into()).spawn(move || member.run())?;
        Ok(Self { handle, control, tasks, thread })
    }

    pub fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Gives the leadership away, if this member has it and another can take it, and sends on what
    /// clients bring with old routes until they have the new one.
    pub async fn leave(&self) {
        self.control.leave().await;
        self.control.see_off().await;
    }

    /// Ends in order, before the store is closed.
    pub fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
        self.handle.stop();
        if self.thread.join().is_err() {
            tracing::error!("the group's thread had panicked");
        }
    }
}
