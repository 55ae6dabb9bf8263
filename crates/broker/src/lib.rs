//! The broker's rules: request handlers, and the state they work on.
//!
//! No socket, no runtime, no thread, no clock: [`Broker`] is a
//! [`Service`](skua_protocol::service::Service) that a shell gives requests, the store's arrivals
//! and the time to. Start at [`request`] for what is served, at [`broker`] for what is kept.

pub mod broker;
pub mod client;
mod cold_data;
mod consumer_offsets;
mod delay;
mod figures;
mod files;
mod filter;
mod filters;
mod group_table;
mod later;
mod limits;
mod lite;
mod long_poll;
pub mod names;
mod pop;
mod queue_locks;
mod reached;
mod registration;
mod replication;
pub mod request;
mod retention;
mod role;
pub mod sql92;
mod static_topics;
mod stats;
mod swap_map;
mod tables;
#[cfg(test)]
mod test_broker;
#[cfg(test)]
mod test_group;
#[cfg(test)]
mod test_peer;
mod topic_table;
mod transaction;
mod users;
mod waiting;

pub use broker::{Broker, BrokerOptions, CallFailed, Outside};
pub use consumer_offsets::LocalCommit;
pub use delay::parse_levels as parse_delay_levels;
pub use figures::{Figures, Lag};
pub use registration::Registration;
pub use replication::{SlaveView, copied_at};
pub use retention::retention_rules;
pub use role::{Changed, LeadError, MASTER_ID, NoteError, Role};
pub use topic_table::batch_topics;
pub use users::{ChangeError, UsersError, inner_credentials};

use skua_protocol::Millis;

/// The earlier of two deadlines that may not be there.
pub(crate) fn earlier(a: Option<Millis>, b: Option<Millis>) -> Option<Millis> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
