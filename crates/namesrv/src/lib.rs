//! The name server: tells clients which broker serves which topic.
//!
//! Pure rules behind one lock: requests come in by [`Service::serve`], time by [`Namesrv::run_due`],
//! files and outgoing requests go out through [`Files`] and [`Outbound`]. It opens no socket, asks
//! no clock and starts nothing. Start at `request/mod.rs` for what it serves and at `route.rs` for
//! what it knows; name servers know nothing of each other.
//!
//! [`Service::serve`]: skua_protocol::service::Service::serve

mod files;
mod kv;
mod namesrv;
mod outbound;
mod registering;
mod request;
mod route;

pub use files::Files;
pub use namesrv::{Namesrv, NamesrvOptions, OpenError};
pub use outbound::Outbound;
