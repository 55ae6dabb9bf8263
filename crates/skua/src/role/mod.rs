//! Roles put together: cores, their sockets, threads and timers.

mod access;
pub mod address;
pub mod broker;
mod due;
mod fast_port;
mod guarded;
pub mod namesrv;
mod neighbours;
mod raft;
mod refill;
pub mod registration;
mod replication;
mod routes;
pub mod store_options;
mod switch;
mod watch;

use std::time::Duration;

pub use raft::peers::group_options;
use skua_remoting::{BindOptions, Limits, Server, ServerOptions};

use crate::security::Tls;

/// How long a stopping role waits for requests under way.
pub const DRAIN: Duration = Duration::from_secs(5);

/// Ends servers together, each with its requests under way answered; logs what had to be cut off.
pub async fn stop_servers(servers: Vec<Server>) {
    let stopping: Vec<_> =
        servers.into_iter().map(|server| tokio::spawn(server.stop(DRAIN))).collect();
    for stopped in stopping {
        if let Ok(report) = stopped.await
            && report.cut_off > 0
        {
            tracing::warn!(connections = report.cut_off, "cut off with requests under way");
        }
    }
}

/// Socket and connection settings from the configuration.
pub fn server_options(
    config: &skua_config::ServerConfig,
    tls: &Tls,
) -> (BindOptions, ServerOptions) {
    let bind = BindOptions {
        backlog: config.server_socket_backlog,
        send_buffer_size: config.server_socket_snd_buf_size as usize,
        receive_buffer_size: config.server_socket_rcv_buf_size as usize,
    };
    let limits = Limits {
        idle_ms_max: u64::from(config.server_channel_max_idle_time_seconds) * 1000,
        ..Limits::default()
    };
    let tls = Some(tls.server.clone());
    (bind, ServerOptions { limits, tls, ..ServerOptions::default() })
}
