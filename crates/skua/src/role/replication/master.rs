//! The master's sockets: one task a slave.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use skua_broker::Role;
use skua_ha::{MasterAct, MasterLink, MasterRules, Progress, Span, Trouble, Twins, checksum};
use skua_protocol::{Millis, PhysicalOffset};
use skua_remoting::canonical;
use skua_remoting::tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Shared, write_or_flush};
use crate::clock;

/// Connections at a time: more than slaves anyone has.
const SLAVES_MAX: usize = 64;
/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Of them from one host: a stranger does not keep slaves out.
const OF_HOST_MAX: usize = 16;
/// Bytes written at a time.
const PENDING_MAX: usize = 256 << 10;
/// How often a slave is told that tables changed.
const VERSIONS_MS: i64 = 200;

pub(super) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    // Ends them all when this task is ended.
    let mut links = JoinSet::new();
    let mut hosts: HashMap<IpAddr, Arc<()>> = HashMap::new();
    loop {
        while links.try_join_next().is_some() {}
        hosts.retain(|_, host| Arc::strong_count(host) > 1);
        let changed = shared.broker.role_changed();
        let role = shared.broker.role();
        if matches!(role, Role::Slave(_)) {
            links.abort_all();
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, addr)| (stream, canonical(addr))),
            () = changed => continue,
        };
        match accepted {
            // Who looks for the master is not here.
            Ok(_) if role != Role::Master => {}
            Ok((_, addr)) if links.len() >= SLAVES_MAX => {
                tracing::warn!(%addr, limit = SLAVES_MAX, "too many replication connections");
            }
            Ok((stream, addr)) => {
                let host = hosts.entry(addr.ip()).or_default().clone();
                if Arc::strong_count(&host) > OF_HOST_MAX + 1 {
                    let limit = OF_HOST_MAX;
                    tracing::warn!(%addr, limit, "too many replication connections of one host");
                    continue;
                }
                let link = serve(shared.clone(), stream, addr);
                links.spawn(async move {
                    link.await;
                    drop(host);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a replication connection was not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn rules(shared: &Shared) -> MasterRules {
    let settings = shared.broker.current_settings();
    let store = &settings.store;
    let flow = store.ha_flow_control_enable.then_some(store.max_ha_transfer_byte_in_second);
    MasterRules {
        batch: u64::try_from(store.ha_transfer_batch_size).unwrap_or(32 << 10),
        heartbeat_ms: i64::from(store.ha_send_heartbeat_interval),
        housekeeping_ms: i64::from(store.ha_housekeeping_interval),
        bytes_per_second: flow.and_then(|bytes| u64::try_from(bytes).ok()),
        group: shared.group,
        file_size: shared.store.commit_log_file_size(),
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream, addr: SocketAddr) {
    let _ = stream.set_nodelay(true);
    let stream = match shared.tls.replication.is_some() {
        true => match timeout(HANDSHAKE, shared.tls.server.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::warn!(%addr, %error, "a replication connection is refused");
                return;
            }
            Err(_) => {
                tracing::warn!(%addr, "a replication connection is refused: no TLS handshake");
                return;
            }
        },
        false => Stream::plain(stream),
    };
    let trouble = match run(&shared, stream, addr).await {
        Ok(trouble) => trouble,
        Err(error) => {
            tracing::info!(%addr, %error, "a slave's connection ended");
            return;
        }
    };
    if trouble.is_divergence() {
        // Once, not at each of its attempts.
        if shared.replicas.note_diverged(addr.ip(), &trouble.to_string()) {
            tracing::error!(%addr, %trouble, "a slave is turned away; it counts for nothing");
        }
    } else {
        tracing::warn!(%addr, %trouble, "a replication connection is closed");
    }
}

/// Runs until the connection ends or has to.
async fn run(shared: &Shared, stream: Stream, addr: SocketAddr) -> std::io::Result<Trouble> {
    let trusted = shared.replicas.trusted(addr.ip());
    let replica = shared.replicas.connected(addr, clock::now());
    let mut link = MasterLink::new(rules(shared), trusted, clock::now());
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut input, mut pending) = (vec![0; 16 << 10], BytesMut::new());
    let mut unflushed = false;
    let mut rate = Rate::default();
    let mut told = Millis(0);
    let mut was_told = false;
    loop {
        let grown = shared.grown.notify.notified();
        tokio::pin!(grown);
        grown.as_mut().enable();
        let _asleep = Asleep::new(shared);
        let mut wait = None;
        while wait.is_none() && pending.len() < PENDING_MAX {
            let now = clock::now();
            match link.act(span(shared), now) {
                MasterAct::Write(bytes) => pending.extend_from_slice(&bytes),
                MasterAct::Transfer { header, offset, len } => {
                    let bytes = log_bytes(shared, offset, len).await?;
                    pending.extend_from_slice(&header);
                    pending.extend_from_slice(&bytes);
                    rate.add(len as u64, now);
                }
                MasterAct::Tail { from, to } => {
                    let len = (to - from) as usize;
                    link.tail(log_bytes(shared, from, len).await.ok().map(|tail| checksum(&tail)));
                }
                MasterAct::Wait(until) => wait = Some(until),
                MasterAct::Close(trouble, farewell) => {
                    if let Some(farewell) = farewell {
                        writer.write_all(&farewell).await?;
                        writer.flush().await?;
                    }
                    return Ok(trouble);
                }
            }
        }
        let now = clock::now();
        let twins = replica.update(Progress {
            acked: link.acked(),
            reported: link.reported(),
            sent: link.sent(),
            requested: link.requested(),
            broker_id: link.broker_id(),
            lag_ms: link.lag_ms(now),
            bytes_per_second: rate.last(now),
        });
        if let Some(Twins { broker_id, one, other }) = twins {
            tracing::error!(
                broker_id,
                %one,
                %other,
                "two slaves have one broker id; they count as one: give one of them another"
            );
        }
        if link.requested().is_some() && !was_told {
            was_told = true;
            tracing::info!(%addr, from = link.sent(), broker_id = link.broker_id(), "a slave follows");
        }
        let mut until = wait.unwrap_or_else(|| now.plus(1000));
        if link.broker_id().is_some() {
            if now >= told.plus(VERSIONS_MS) || now < told {
                told = now;
                link.versions(shared.broker.table_versions());
            }
            until = until.min(told.plus(VERSIONS_MS));
        }
        let writes = !pending.is_empty();
        tokio::select! {
            read = reader.read(&mut input) => match read? {
                0 => return Err(std::io::ErrorKind::ConnectionReset.into()),
                len => link.received(&input[..len], span(shared), clock::now()),
            },
            written = write_or_flush(&mut writer, &mut pending), if writes || unflushed => {
                written?;
                unflushed = writes;
            }
            () = &mut grown, if wait.is_some() => {}
            () = sleep(clock::until(until)), if wait.is_some() => {}
        }
    }
}

/// This task may be woken by appends.
struct Asleep<'a>(&'a Shared);

impl<'a> Asleep<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.grown.asleep.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.0.grown.asleep.fetch_sub(1, Ordering::SeqCst);
    }
}

fn span(shared: &Shared) -> Span {
    Span { min: shared.store.min_physical_offset().0, end: shared.store.appended().0 }
}

async fn log_bytes(shared: &Shared, offset: u64, len: usize) -> std::io::Result<Bytes> {
    let offset = PhysicalOffset(offset);
    match shared.store.log_bytes_now(offset, len) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => {
            let store = shared.store.clone();
            let read = tokio::task::spawn_blocking(move || store.log_bytes(offset, len));
            read.await.map_err(std::io::Error::other)?.map_err(std::io::Error::other)
        }
        Err(error) => Err(std::io::Error::other(error)),
    }
}

/// Bytes in the second before this one.
#[derive(Default)]
pub(super) struct Rate {
    second: i64,
    bytes: u64,
    before: u64,
}

impl Rate {
    pub fn add(&mut self, bytes: u64, now: Millis) {
        self.turn(now);
        self.bytes += bytes;
    }

    pub fn last(&mut self, now: Millis) -> u64 {
        self.turn(now);
        self.before
    }

    fn turn(&mut self, now: Millis) {
        let second = now.0 / 1000;
        if second != self.second {
            self.before = if second == self.second + 1 { self.bytes } else { 0 };
            (self.second, self.bytes) = (second, 0);
        }
    }
}
