//! Every bound on connections, and what happens at it.

/// Bounds of one [`Server`](crate::Server) or [`Client`](crate::Client).
///
/// Except where noted, a connection at its bound is not read until it is below again: its client
/// feels TCP back pressure and nothing is lost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections of a server; one more is accepted and closed at once.
    pub connections_max: usize,
    /// Requests of one connection that are not answered yet. A consumer parks one long poll per
    /// queue, all on one connection, and its heartbeats must still get through: hence so many. A
    /// parked request costs about 1 KiB.
    pub requests_in_flight_max: usize,
    /// Frame bytes of those requests; room for a few frames of the longest kind.
    pub request_bytes_in_flight_max: usize,
    /// Bytes of answers queued on one connection because its client does not read them. Four
    /// answers of the usual 256 KiB to a pull; more would not make a connection faster. One answer
    /// may overshoot it. Requests under way are not driven on either while it is reached.
    pub answer_bytes_queued_max: usize,
    /// Bytes of requests that this side wants to send on one connection; over it, `notify` returns
    /// false and `call` fails with `PeerError::Full`.
    pub outgoing_bytes_queued_max: usize,
    /// Calls to the other side of one connection that wait for an answer; over it, `call` fails.
    pub calls_max: usize,
    /// Bytes of queued answers and of half-read long frames over all connections. Above it a
    /// connection with any answer queued is not read, and one that needs more room for a long frame
    /// is closed.
    pub buffered_bytes_total_max: usize,
    /// Milliseconds without progress after which a connection is closed, as Netty's
    /// `IdleStateHandler(ALL_IDLE)` does (Java: `serverChannelMaxIdleTimeSeconds`). Progress is a
    /// whole frame, [`PROGRESS_BYTES`](crate::PROGRESS_BYTES) of a long one, or any bytes written.
    pub idle_ms_max: u64,
    /// Milliseconds that a client has for its TLS handshake before the connection is closed.
    pub tls_handshake_ms_max: u64,
    /// TLS handshakes of a server under way, each of which may hold 64 KiB; one more closes its
    /// connection.
    pub tls_handshakes_max: usize,
    /// Threads for work that may wait for the disk.
    pub blocking_threads_max: usize,
    /// How many of one connection's blocking jobs run or wait at the pool at a time.
    pub blocking_per_connection_max: usize,
    /// Blocking jobs that wait for a thread; over it requests are answered SYSTEM_BUSY.
    pub blocking_waiting_max: usize,
}

/// So much of an unfinished frame counts as progress: a slow line may take its time with a long
/// message, but a client that drips bytes to hold a connection open is idle.
pub const PROGRESS_BYTES: usize = 4096;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 65_536,
            requests_in_flight_max: 16_384,
            request_bytes_in_flight_max: 64 << 20,
            answer_bytes_queued_max: 1 << 20,
            outgoing_bytes_queued_max: 32 << 20,
            calls_max: 65_536,
            buffered_bytes_total_max: 512 << 20,
            idle_ms_max: 120_000,
            tls_handshake_ms_max: 10_000,
            tls_handshakes_max: 4_096,
            blocking_threads_max: 16,
            blocking_per_connection_max: 8,
            blocking_waiting_max: 4_096,
        }
    }
}
