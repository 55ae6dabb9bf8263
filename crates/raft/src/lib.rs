//! A group of brokers that elects its master and loses nothing it has acknowledged: the library
//! `raft` decides, the commit log itself is the Raft log.
//!
//! A core: no socket, no thread, no clock. [`Group`] is one member as a value. Its owner calls it, on
//! one thread at a time, and does what its effects say:
//!
//! ```text
//! let LogHint { confirmed, void_from } = skua_raft::log_hint(disk.clone(), &options)?;
//! let store = StoreOptions { confirmed: Some(confirmed), void_from, .. };
//! let store = Arc::new(Store::open(store, ..)?);
//! let mut group = Group::open(options, disk, store, now)?;
//! store.on_round(tell the owner);                // then: group.log_grew()
//! loop {
//!     every `tick_ms`: group.tick(now)?;  a frame came: group.receive(from, &frame, now)?;
//!     the store grew: group.log_grew()?;  a sync is done: group.synced(number)?;
//!     the connection of a peer's frames ended: group.lost(peer);
//!     for effect in group.effects() {
//!         Effect::Send { to, frame }  => to that peer's connection, or dropped if that is full
//!         Effect::Sync { number }     => on another thread `group.syncer().sync()`, then
//!                                        `synced(number)` here; numbers in order, the last
//!                                        stands for all before it
//!         Effect::Read { number, at, len } => on another thread `group.reader().read(at, len)`, then
//!                                        `read_done(number)` here
//!         Effect::Role(role)          => the broker's role, at once: registration and services
//!         Effect::Committed(offset)   => `store.dispatch_here()`, when the other effects are done
//!     }
//! }
//! ```
//!
//! - **Sends.** Connections append as ever (`Store::append_only`); the store refuses with
//!   `AppendError::Copy` while this member does not lead. A send is safe when
//!   `store.confirmed_when(receipt.end, receipt.epoch)` is ready; its error `Unconfirmed` means
//!   that the leadership was lost first, and nobody can say whether the message is kept.
//! - **What is told beside the log**, as how far a consumer is: `store.leads_still(epoch)` is ready
//!   when a majority has said, after it was asked, that it knows no later leader. That writes
//!   nothing, and one round of frames answers all who ask meanwhile.
//! - **Readers** see the log up to the confirmed mark only, since dispatch stops there.
//! - **Errors** of a call are final: the process must end, naming the cause. A panic of the
//!   library ends it by itself (`abort_on_panic`).
//! - **Frames** are self-contained; on a stream [`frame_len`] of the first [`FRAME_HEAD`] bytes
//!   says how long one is. Loss, delay, reordering and doubling of frames do no harm; frames of a
//!   peer's earlier life are dropped. The peer port is for a trusted network.
//!
//! Next: `group.rs` for the calls, `group/ready.rs` for what is done in which order, `group/open.rs`
//! for what a start does, `group/lead.rs` for proposing, `group/copy.rs` for filling a new member,
//! `index.rs`, `state.rs` and `changes.rs` for the files under `raft/`.

mod changes;
mod cold;
mod cut;
mod dirty;
mod error;
mod frame;
mod group;
mod index;
mod log;
mod logger;
mod members;
mod options;
mod restore;
mod slot;
mod state;
mod status;
mod wire;

pub use cold::Reader;
pub use dirty::Syncer;
pub use error::{ChangeError, FrameError, GroupError, OpenError};
pub use frame::{FRAME_HEAD, FRAME_MAX, frame_len, frame_sender, is_append_or_heartbeat};
pub use group::{Effect, Group, LogHint, Role, log_hint};
pub use members::Change;
pub use options::{ADDRESS_MAX, GroupOptions, PEERS_MAX, Peer, PeerId};
pub use restore::{Sole, make_sole};
pub use status::{PeerStatus, Status};
