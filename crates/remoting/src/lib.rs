//! Connections: the listener with its bounds, the outbound client, the PROXY preamble.
//!
//! Both directions run the same engine, `connection`: one task per connection that reads, decodes,
//! calls a [`Service`](skua_protocol::service::Service), and writes answers in whatever order they
//! come. Knows frames and limits, but no request code except to refuse one.
//!
//! Start at [`Server::start`] for what a role listens with and at [`Client`] for what it calls
//! others with; [`Limits`] names every bound and says what happens there.

mod blocking;
mod client;
mod connection;
mod dial;
mod limits;
mod link;
mod listener;
mod metrics;
pub mod proxy_protocol;
mod read_buffer;
mod shared;
pub mod tls;
mod under_way;
mod write_queue;

pub use client::{CallError, Client, ClientOptions, Hook};
pub use dial::{DialError, dial};
pub use limits::{Limits, PROGRESS_BYTES};
pub use link::canonical;
pub use listener::{BindError, BindOptions, Listener, Server, ServerOptions, StopReport};
pub use metrics::Metrics;

/// Which header encoding answers use; every client reads both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerCodec {
    /// What a Java server started with its defaults does, even for a binary request.
    #[default]
    Json,
    Binary,
    SameAsRequest,
}
