//! What happened on the connections of one server or client, as plain counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters only grow; gauges (named `…_now`) go up and down.
#[derive(Debug, Default)]
pub struct Metrics {
    pub connections_now: AtomicU64,
    pub connections_accepted: AtomicU64,
    /// Closed at once because `Limits::connections_max` was reached.
    pub connections_refused: AtomicU64,
    /// Connections that are not read now because one of their bounds is reached.
    pub connections_paused_now: AtomicU64,
    /// How often a connection came to be paused.
    pub pauses: AtomicU64,
    pub requests: AtomicU64,
    pub requests_in_flight_now: AtomicU64,
    pub one_way_requests: AtomicU64,
    /// Answers to requests of the other side.
    pub answers: AtomicU64,
    /// Answers of the other side that nobody waited for any more.
    pub late_answers: AtomicU64,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    /// Bytes held in answer queues and for half-read long frames.
    pub buffered_bytes_now: AtomicU64,
    /// Requests whose handler panicked.
    pub panics: AtomicU64,
    /// Requests answered SYSTEM_BUSY because too many blocking jobs were waiting.
    pub overloads: AtomicU64,
    /// Requests answered GO_AWAY while stopping.
    pub go_aways: AtomicU64,
    /// Connections closed for what they sent.
    pub bad_input: AtomicU64,
    pub idle_closes: AtomicU64,
    /// TLS handshakes done with clients.
    pub tls_handshakes: AtomicU64,
    /// Connections closed because of TLS, or for want of it.
    pub tls_failures: AtomicU64,
}

impl Metrics {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        if n != 0 {
            counter.fetch_add(n, Relaxed);
        }
    }

    /// Moves a gauge from one connection's `before` to its `after`.
    pub(crate) fn shift(gauge: &AtomicU64, before: u64, after: u64) {
        if after > before {
            gauge.fetch_add(after - before, Relaxed);
        } else if before > after {
            gauge.fetch_sub(before - after, Relaxed);
        }
    }
}
