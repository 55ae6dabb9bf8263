//! How a connection ends, and what is said of it.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use skua_protocol::frame::FrameError;

use super::{Connection, Tally};
use crate::Metrics;
use crate::proxy_protocol::PreambleError;
use crate::tls;

/// Why a connection ended. The text goes to the log and into the errors of calls under way.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("closed by the other side")]
    PeerClosed,
    #[error("closed by the other side inside a frame, {0} bytes of it read")]
    InsideFrame(usize),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no progress for {0} ms")]
    Idle(u64),
    #[error("bad frame: {0}")]
    Frame(#[from] FrameError),
    #[error("bad preamble: {0}")]
    Preamble(#[from] PreambleError),
    #[error("a TLS handshake, which this port does not serve")]
    TlsRefused,
    #[error("no TLS handshake, and only TLS is served")]
    PlainRefused,
    #[error("TLS cannot be served: {0}")]
    TlsUnready(#[from] tls::TlsError),
    #[error("{0}")]
    Handshake(io::Error),
    #[error("no TLS handshake within {0} ms")]
    HandshakeTime(u64),
    #[error("{0} TLS handshakes are under way, the most there may be")]
    Handshakes(usize),
    #[error(
        "a frame of {frame_len} bytes finds the limit of {limit} buffered bytes reached ({held} held)"
    )]
    BufferLimit { frame_len: usize, limit: usize, held: u64 },
    #[error("closed by this side")]
    Closed,
    #[error("this side is stopping")]
    Stopped,
}

impl Connection {
    /// Leaves the gauges and writes the one line a connection may cause.
    pub(super) fn finish(&mut self, end: &End) {
        self.set_paused(false);
        if self.handshake_due.take().is_some() {
            self.shared().handshakes.fetch_sub(1, Relaxed);
        }
        let metrics = self.metrics();
        let client = self.peer.remote_addr();
        match end {
            End::TlsUnready(error) => {
                tracing::error!(%client, %error, "a client wants TLS, which cannot be served");
            }
            End::TlsRefused | End::PlainRefused | End::Handshake(_) | End::HandshakeTime(_) => {
                Metrics::add(&metrics.tls_failures, 1);
                Metrics::add(&metrics.bad_input, 1);
                tracing::warn!(%client, cause = %end, "connection closed");
            }
            End::Frame(_) | End::Preamble(_) | End::BufferLimit { .. } => {
                Metrics::add(&metrics.bad_input, 1);
                tracing::warn!(%client, cause = %end, "connection closed");
            }
            End::Idle(_) => {
                Metrics::add(&metrics.idle_closes, 1);
                tracing::debug!(%client, cause = %end, "connection closed");
            }
            _ => tracing::debug!(%client, cause = %end, "connection closed"),
        }
        Metrics::shift(&metrics.buffered_bytes_now, self.tally.buffered_shown, 0);
        Metrics::shift(&metrics.requests_in_flight_now, self.tally.in_flight_shown, 0);
        self.tally = Tally::default();
        self.link().end(end.to_string().into());
    }
}
