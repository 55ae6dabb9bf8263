//! Commit log and consume queues in RocketMQ's files, behind one seam to the disk.
//!
//! [`Store`] is the door: append, read, wait for durability, find by offset or time. It spawns no
//! thread; the process runs [`Store::run_dispatch`], [`Store::run_flush`] and [`Store::run_files`]
//! on plain threads of its own. Next: `commit_log.rs` for how a message gets in, `dispatch.rs` for
//! how it gets into its queue, `recovery.rs` for what a start does, `disk/` for the seam.

mod append;
mod checkpoint;
mod commit_log;
mod compaction;
mod config_files;
mod consume_queue;
mod damage;
pub mod disk;
mod dispatch;
mod error;
mod flush;
mod gate;
mod handles;
mod index;
pub mod inspect;
mod multi_dispatch;
mod options;
mod read;
mod recovery;
mod replica;
mod retention;
mod signal;
mod store;
mod time;
mod timer;
mod torn;
mod walk;

pub use append::Receipt;
pub use config_files::ConfigFiles;
pub use consume_queue::Entry;
pub use disk::{Disk, DiskError, RealDisk, WriteBy};
pub use dispatch::{Arrival, BitMap, SCHEDULE_TOPIC};
pub use error::{
    AppendError, Damage, Failure, FlushError, OpenError, ReadError, ReplicateError, Unconfirmed,
};
pub use flush::Flushed;
pub use gate::{Confirmed, EndedQueue, Epoch, LeadsStill};
pub use index::{Found, KeyKind, KeyQuery};
pub use multi_dispatch::{MultiDispatch, is_lmq};
pub use options::{FileSize, FlushRules, IndexOptions, OnDamage, StoreOptions, TransferRules};
pub use read::{KeepBits, KeepMore, KeepRecord, Read, ReadLimits, ReadStatus};
pub use recovery::Recovered;
pub use replica::{OnCheckpoint, OnRound};
pub use retention::{DiskFull, DiskUse, NeededFrom, RetentionRules};
pub use store::{IMPORT_MARK, OnArrival, OnTimerDelivery, Store};
pub use time::Boundary;
pub use timer::{TIMER_TOPIC, TimerCheckpoint, TimerOptions, TimerState, copy_timer};
