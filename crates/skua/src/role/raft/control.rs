//! What operators ask of a group: how it stands, another leader, other members.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use skua_broker::Broker;
use skua_protocol::body::{RaftMember, RaftStatus};
use skua_protocol::request::RaftControl;
use skua_raft::{Change, Peer, PeerId, Role, Status};
use tokio::time::sleep;

use super::member::Handle;
use super::peers;
use crate::clock;

const LOOK: Duration = Duration::from_millis(5);
/// How long a successor may take.
const TRANSFER: Duration = Duration::from_secs(5);
/// How long requests that began before may take.
const IDLE: Duration = Duration::from_secs(1);
/// Clients look up routes every 30 s unless told otherwise; who has brought nothing for so long
/// has another route, or is not sending.
const SEE_OFF: Duration = Duration::from_secs(35);
const SEE_OFF_LOOK: Duration = Duration::from_millis(100);
const QUIET_MS: i64 = 1500;
/// How often a preferred leader is looked for.
const PREFER: Duration = Duration::from_secs(3);
/// Milliseconds since a member was heard, and bytes that it lags behind, if it is to lead.
const HEARD_MS: u64 = 3000;
const NEAR: u64 = 1 << 20;
/// How long a new member may take to catch up before it votes.
const CATCH_UP: Duration = Duration::from_secs(600);

pub struct Control {
    broker: Weak<Broker>,
    handle: Handle,
    preferred: Vec<PeerId>,
    busy: tokio::sync::Mutex<()>,
}

fn name(id: PeerId) -> String {
    format!("n{}", id.0.saturating_sub(1))
}

impl Control {
    pub fn new(broker: &Arc<Broker>, handle: Handle, preferred: Vec<PeerId>) -> Self {
        Self {
            broker: Arc::downgrade(broker),
            handle,
            preferred,
            busy: tokio::sync::Mutex::default(),
        }
    }

    pub fn status(&self) -> Status {
        self.handle.status()
    }

    pub async fn obey(&self, asked: RaftControl) -> Result<Vec<u8>, String> {
        let id = || match asked.id {
            Some(id) if (0..1000).contains(&id) => Ok(PeerId(id as u64 + 1)),
            other => Err(format!("member {other:?}: a number from 0 to 999 is wanted")),
        };
        match &*asked.action {
            "status" => {}
            "transfer" => self.transfer(id()?).await?,
            "add" => {
                let address = asked.address.as_deref().unwrap_or_default();
                self.add(Peer { id: id()?, address: address.to_owned() }).await?;
            }
            "remove" => {
                let _busy = self.busy.lock().await;
                self.handle.change(Change::Remove(id()?)).await?;
                self.wait_member(id()?, |member| member.is_none()).await?;
            }
            other => return Err(format!("`{other}` is none of status, transfer, add, remove")),
        }
        serde_json::to_vec(&show(&self.status())).map_err(|error| error.to_string())
    }

    /// Another member leads from now on; requests wait meanwhile.
    async fn transfer(&self, to: PeerId) -> Result<(), String> {
        let _busy = self.busy.lock().await;
        let broker = self.broker.upgrade().ok_or("it is stopping")?;
        let status = self.status();
        if !broker.is_master() {
            let leader = status.leader.map_or("nobody".to_owned(), name);
            return Err(format!("this member does not lead; {leader} does"));
        }
        if to == status.id {
            return Ok(());
        }
        if !status.peers.iter().any(|peer| peer.id == to && peer.votes) {
            return Err(format!("{} is no voting member", name(to)));
        }
        broker.stop_taking();
        let began = Instant::now();
        while !broker.is_idle() && began.elapsed() < IDLE {
            sleep(LOOK).await;
        }
        let closing = broker.clone();
        let closed = tokio::task::spawn_blocking(move || closing.close_log(clock::now())).await;
        let done = match closed {
            Ok(_) => self.handle.transfer(to).await,
            Err(error) => Err(error.to_string()),
        };
        let done = match done {
            Ok(()) => self.wait_transferred(to).await,
            failed => failed,
        };
        if done.is_err() && matches!(self.status().role, Role::Leader { .. }) {
            broker.take_again(clock::now());
        }
        done
    }

    async fn wait_transferred(&self, to: PeerId) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let status = self.status();
            match status.role {
                Role::Leader { .. } if status.transferring.is_none() => {
                    return Err(format!("{} did not take the leadership over", name(to)));
                }
                Role::Follower { leader: Some(leader) } if leader == to => return Ok(()),
                _ if began.elapsed() > TRANSFER => {
                    return Err(format!("{} does not show itself as leader", name(to)));
                }
                _ => sleep(LOOK).await,
            }
        }
    }

    async fn add(&self, peer: Peer) -> Result<(), String> {
        let _busy = self.busy.lock().await;
        let id = peer.id;
        let learns = self.status().peers.iter().any(|known| known.id == id && !known.votes);
        if !learns {
            self.handle.change(Change::AddLearner(peer)).await?;
        }
        // It votes when it has caught up, not before: it would weaken the group.
        let began = Instant::now();
        loop {
            match self.handle.change(Change::Promote(id)).await {
                Ok(()) => break,
                Err(cause) if began.elapsed() > CATCH_UP => return Err(cause),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
        self.wait_member(id, |member| member == Some(true)).await
    }

    /// Waits until the member votes as `wanted` says; `None`: it is none.
    async fn wait_member(
        &self,
        id: PeerId,
        wanted: impl Fn(Option<bool>) -> bool,
    ) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let status = self.status();
            let member = status.peers.iter().find(|peer| peer.id == id).map(|peer| peer.votes);
            if wanted(member) {
                return Ok(());
            }
            if began.elapsed() > TRANSFER {
                return Err("the change is proposed and not agreed on yet".to_owned());
            }
            sleep(LOOK).await;
        }
    }

    /// Who could lead now: it votes, is heard and is near.
    fn successor(status: &Status) -> Option<PeerId> {
        let others = status.peers.iter().filter(|peer| peer.id != status.id && peer.votes);
        let near = others.filter(|peer| {
            peer.heard_ms.is_some_and(|ms| ms < HEARD_MS) && peer.lag.is_some_and(|lag| lag < NEAR)
        });
        near.min_by_key(|peer| peer.lag).map(|peer| peer.id)
    }

    /// Gives the leadership to somebody, if this member has it.
    pub async fn leave(&self) {
        let status = self.status();
        if let (Role::Leader { .. }, Some(to)) = (status.role, Self::successor(&status)) {
            match self.transfer(to).await {
                // Whoever sends has the time to come.
                Ok(()) => sleep(Duration::from_millis(QUIET_MS as u64)).await,
                Err(cause) => tracing::warn!(cause, "the leadership was not given away"),
            }
        }
    }

    /// Before it ends: sends on what clients bring that do not know yet who leads, until they do.
    pub async fn see_off(&self) {
        let Some(broker) = self.broker.upgrade() else { return };
        let began = Instant::now();
        loop {
            let follows = matches!(self.status().role, Role::Follower { leader: Some(_) });
            let quiet_ms = clock::now().0.saturating_sub(broker.sent_on_at().0);
            if !follows || quiet_ms >= QUIET_MS || began.elapsed() >= SEE_OFF {
                return;
            }
            sleep(SEE_OFF_LOOK).await;
        }
    }

    /// Lets a preferred member lead when it can.
    pub async fn prefer(self: Arc<Self>) {
        if self.preferred.is_empty() {
            return;
        }
        loop {
            sleep(PREFER).await;
            let status = self.status();
            if !matches!(status.role, Role::Leader { .. }) {
                continue;
            }
            let better = self.preferred.iter().take_while(|id| **id != status.id);
            let can = |id: &&PeerId| {
                status.peers.iter().any(|peer| {
                    peer.id == **id
                        && peer.votes
                        && peer.heard_ms.is_some_and(|ms| ms < HEARD_MS)
                        && peer.lag.is_some_and(|lag| lag < NEAR)
                })
            };
            if let Some(to) = better.copied().collect::<Vec<_>>().iter().find(can)
                && let Err(cause) = self.transfer(*to).await
            {
                tracing::info!(to = name(*to), cause, "the preferred member does not lead yet");
            }
        }
    }
}

fn show(status: &Status) -> RaftStatus {
    let voters = status.peers.iter().filter(|peer| peer.votes).count();
    let members = status.peers.iter().map(|peer| RaftMember {
        id: name(peer.id),
        address: peer.address.clone(),
        votes: peer.votes,
        is_leader: status.leader == Some(peer.id),
        heard_millis: peer.heard_ms,
        lag_bytes: peer.lag,
        is_copied_to: peer.copies,
        trouble: status
            .troubles
            .iter()
            .find(|(id, _)| *id == peer.id)
            .map(|(_, trouble)| trouble.clone()),
    });
    RaftStatus {
        group: status.group.clone(),
        id: name(status.id),
        role: match status.role {
            Role::Leader { .. } => "leader",
            Role::Follower { .. } => "follower",
            Role::Candidate => "candidate",
        }
        .to_owned(),
        term: status.term,
        leader: status.leader.map(name),
        first_entry: status.first,
        last_entry: status.last,
        committed_entry: status.committed,
        confirmed_offset: status.confirmed.0,
        begun: status.begun,
        suspect: status.suspect,
        waits_for_space: status.stalled,
        removed_says: status.put_out.map(name),
        warning: peers::too_few(voters).map(str::to_owned),
        members: members.collect(),
    }
}
