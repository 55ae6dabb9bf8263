//! Frames between the members: one connection to each, made again when it ends, and a listener.
//!
//! ```text
//! first, once:  | 8 "SKUAPEER" | 8 member | 2 length | address for clients |
//!               | 2 length | address for members |
//! then frames:  of the group (`skua_raft::frame_len`), or
//!               | 4 "SKNW" | 5 x 8 versions of the leader's tables |
//! ```
//! A connection carries one direction. What cannot be sent now is dropped: the group repeats it.
//!
//! Who is not known as a member here may be one all the same: a member that was away, or is new,
//! reads in the log who the others are, and gets that log from one that it does not know yet. It is
//! answered where it says that it is, as long as it stays connected.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skua_ha::Versions;
use skua_raft::{FRAME_HEAD, PeerId, frame_len};
use skua_remoting::canonical;
use skua_remoting::tls::Stream;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use super::line::{Line, send_all};
use super::member::Handle;
use crate::security::Tls;

const MAGIC: &[u8; 8] = b"SKUAPEER";
const NEWS: &[u8; 4] = b"SKNW";
const NEWS_LEN: usize = 4 + 5 * 8;
const ADDRESS_MAX: usize = 255;
/// A frame is never longer here: entries of one message are 4 MiB, one record at most more.
const FRAME_LEN_MAX: usize = 64 << 20;
/// Bytes that came and wait for the group.
const IN_MAX: usize = 128 << 20;
/// Different ones that may be connected here.
const GUESTS_MAX: usize = 32;
/// Connections that peers may have open here.
const CONNECTIONS_MAX: usize = 64;
const GREETING: Duration = Duration::from_secs(5);

/// What comes from peers.
pub enum Heard {
    Frame(Incoming),
    /// The peer's connection has ended, and there is no newer one.
    End(PeerId),
}

/// A frame that came.
pub struct Incoming {
    pub from: PeerId,
    pub frame: Vec<u8>,
    budget: Arc<AtomicUsize>,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.budget.fetch_sub(self.frame.len(), Ordering::Relaxed);
    }
}

struct Outgoing {
    address: String,
    line: Arc<Line>,
    task: JoinHandle<()>,
}

/// One that is connected here, a member as far as is known or not.
struct Guest {
    address: String,
    connection: u64,
}

pub struct Net {
    id: PeerId,
    client_address: String,
    peer_address: String,
    /// Members are spoken to by it alone, if replication is.
    tls: Tls,
    runtime: tokio::runtime::Handle,
    peers: Mutex<BTreeMap<PeerId, Outgoing>>,
    /// Members, and where they are, as the group said last.
    members: Mutex<BTreeMap<PeerId, String>>,
    guests: Mutex<BTreeMap<PeerId, Guest>>,
    connections: AtomicU64,
    /// Where clients reach the members, as they said.
    clients: Mutex<BTreeMap<PeerId, String>>,
    /// Told when one has said so, and of the versions of a leader's tables.
    pub news: watch::Sender<Option<(PeerId, Versions)>>,
    held: Arc<AtomicUsize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    pub fn new(id: PeerId, client_address: String, peer_address: String, tls: Tls) -> Arc<Self> {
        Arc::new(Self {
            id,
            client_address,
            peer_address,
            tls,
            runtime: tokio::runtime::Handle::current(),
            peers: Mutex::default(),
            members: Mutex::default(),
            guests: Mutex::default(),
            connections: AtomicU64::new(0),
            clients: Mutex::default(),
            news: watch::Sender::new(None),
            held: Arc::default(),
        })
    }

    pub fn client_address(&self, of: PeerId) -> Option<String> {
        lock(&self.clients).get(&of).cloned()
    }

    /// Where the members are; connections to others end, save to guests.
    pub fn set_peers(self: &Arc<Self>, peers: &BTreeMap<PeerId, String>) {
        {
            let mut members = lock(&self.members);
            if *members != *peers {
                members.clone_from(peers);
            }
        }
        self.connect_all();
    }

    fn connect_all(self: &Arc<Self>) {
        let mut wanted = lock(&self.members).clone();
        for (id, guest) in &*lock(&self.guests) {
            wanted.entry(*id).or_insert_with(|| guest.address.clone());
        }
        // An old list may have another member where this one is now.
        wanted.retain(|id, address| *id != self.id && *address != self.peer_address);
        let mut known = lock(&self.peers);
        known.retain(|id, peer| {
            let stays = wanted.get(id) == Some(&peer.address);
            if !stays {
                peer.task.abort();
            }
            stays
        });
        for (id, address) in wanted {
            known.entry(id).or_insert_with(|| {
                let line = Arc::<Line>::default();
                let (greeting, tls) = (self.greeting(), self.tls.clone());
                let sending = send_all(id, address.clone(), tls, greeting, line.clone());
                let task = self.runtime.spawn(sending);
                Outgoing { address, line, task }
            });
        }
    }

    fn greeting(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.id.0.to_be_bytes());
        for address in [&self.client_address, &self.peer_address] {
            let address = &address.as_bytes()[..address.len().min(ADDRESS_MAX)];
            bytes.extend((address.len() as u16).to_be_bytes());
            bytes.extend(address);
        }
        bytes
    }

    /// Sends, or drops it.
    pub fn send(&self, to: PeerId, frame: Vec<u8>) {
        if let Some(peer) = lock(&self.peers).get(&to) {
            peer.line.send(frame);
        }
    }

    /// Tells everybody the versions of this leader's tables.
    pub fn tell_versions(&self, versions: &Versions) {
        let Versions { topics, groups, offsets, delays, others } = *versions;
        let mut frame = NEWS.to_vec();
        for number in [topics, groups, offsets, delays, others] {
            frame.extend(number.to_be_bytes());
        }
        let ids: Vec<PeerId> = lock(&self.peers).keys().copied().collect();
        for id in ids {
            self.send(id, frame.clone());
        }
    }

    /// Takes connections until the task ends; `member` hears what comes.
    pub async fn listen(self: Arc<Self>, listener: TcpListener, member: Handle) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, addr)) if connections.len() < CONNECTIONS_MAX => {
                    let addr = canonical(addr);
                    let (net, member) = (self.clone(), member.clone());
                    connections.spawn(async move {
                        if let Err(error) = net.receive_all(stream, &member).await {
                            // One line for each of those that say what no member would.
                            match error.kind() {
                                io::ErrorKind::Other | io::ErrorKind::InvalidData => {
                                    tracing::warn!(%addr, %error, "connection to the peer port refused");
                                }
                                _ => tracing::debug!(%addr, %error, "a member's connection ended"),
                            }
                        }
                    });
                }
                Ok((_, addr)) => tracing::warn!(%addr, "too many connections of members"),
                Err(error) => {
                    tracing::warn!(%error, "a member's connection was not accepted");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn receive_all(self: &Arc<Self>, stream: TcpStream, member: &Handle) -> io::Result<()> {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        let received = self.receive(stream, connection, member).await;
        let left = {
            let mut guests = lock(&self.guests);
            let of = |guest: &Guest| guest.connection == connection;
            let left = guests.iter().find(|(_, guest)| of(guest)).map(|(id, _)| *id);
            guests.retain(|_, guest| !of(guest));
            left
        };
        if let Some(from) = left {
            member.hear(Heard::End(from));
            self.connect_all();
        }
        received
    }

    async fn receive(
        self: &Arc<Self>,
        stream: TcpStream,
        connection: u64,
        member: &Handle,
    ) -> io::Result<()> {
        let stream = match self.tls.replication.is_some() {
            true => timeout(GREETING, self.tls.server.accept(stream)).await??,
            false => Stream::plain(stream),
        };
        let mut stream = BufReader::with_capacity(256 << 10, stream);
        let from = timeout(GREETING, self.greeted(&mut stream, connection)).await??;
        let mut head = [0; FRAME_HEAD];
        loop {
            stream.read_exact(&mut head[..4]).await?;
            if &head[..4] == NEWS {
                let mut numbers = [0; NEWS_LEN - 4];
                stream.read_exact(&mut numbers).await?;
                self.news.send_replace(Some((from, versions(&numbers))));
                continue;
            }
            stream.read_exact(&mut head[4..]).await?;
            let len = frame_len(&head).map_err(io::Error::other)?;
            if len > FRAME_LEN_MAX {
                return Err(io::Error::other(format!("a frame of {len} bytes")));
            }
            let mut frame = Vec::with_capacity(len.min(1 << 20));
            frame.extend_from_slice(&head);
            let read =
                (&mut stream).take((len - FRAME_HEAD) as u64).read_to_end(&mut frame).await?;
            if read < len - FRAME_HEAD {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.held.fetch_add(len, Ordering::Relaxed) + len > IN_MAX {
                // The group is behind: this is as good as lost on the way.
                self.held.fetch_sub(len, Ordering::Relaxed);
                continue;
            }
            member.hear(Heard::Frame(Incoming { from, frame, budget: self.held.clone() }));
            if member.is_dispatch_due() {
                // Who waits for an answer goes first.
                yield_now().await;
                member.dispatch();
            }
        }
    }

    async fn greeted(
        self: &Arc<Self>,
        stream: &mut BufReader<Stream>,
        connection: u64,
    ) -> io::Result<PeerId> {
        let mut magic = [0; 8];
        stream.read_exact(&mut magic).await?;
        if &magic != MAGIC {
            return Err(io::Error::other("it is no member of a Skua group"));
        }
        let from = PeerId(stream.read_u64().await?);
        let client_address = read_address(stream).await?;
        let address = read_address(stream).await?;
        if from == self.id || from.0 == 0 {
            return Err(io::Error::other(format!("member {} is no other", from.0)));
        }
        {
            let mut guests = lock(&self.guests);
            if guests.len() >= GUESTS_MAX && !guests.contains_key(&from) {
                return Err(io::Error::other("too many are connected"));
            }
            guests.insert(from, Guest { address, connection });
        }
        self.connect_all();
        lock(&self.clients).insert(from, client_address);
        self.news.send_modify(|_| {});
        Ok(from)
    }
}

async fn read_address(stream: &mut BufReader<Stream>) -> io::Result<String> {
    let len = usize::from(stream.read_u16().await?);
    if len > ADDRESS_MAX {
        return Err(io::Error::other(format!("an address of {len} bytes")));
    }
    let mut address = vec![0; len];
    stream.read_exact(&mut address).await?;
    String::from_utf8(address).map_err(io::Error::other)
}

fn versions(bytes: &[u8; NEWS_LEN - 4]) -> Versions {
    let (words, _) = bytes.as_chunks::<8>();
    let word = |nth: usize| u64::from_be_bytes(words[nth]);
    Versions {
        topics: word(0),
        groups: word(1),
        offsets: word(2),
        delays: word(3),
        others: word(4),
    }
}
