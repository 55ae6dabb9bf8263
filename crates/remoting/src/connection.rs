//! One connection: bytes in, requests to the service, answers out in whatever order they come.
//!
//! One task owns the socket and everything of the connection but its [`Link`]. Each time it wakes it
//! goes round: take what others want sent, drive the requests under way, serve the frames that are
//! there, write all answers at once (large ones as they come), read. A bound that is reached leaves
//! out the steps that would add to it, so a client that does not read its answers is not read
//! either.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use skua_protocol::command::{Command, FLAG_RESPONSE, HeaderCodec};
use skua_protocol::frame::{self, FRAME_LEN_MAX};
use skua_protocol::service::{ConnectionId, Outcome, Peer};
use skua_protocol::{Millis, ResponseCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::blocking::Overloaded;
use crate::limits::PROGRESS_BYTES;
use crate::link::Link;
use crate::proxy_protocol::{self, Preamble};
use crate::read_buffer::ReadBuffer;
use crate::shared::{Registration, Shared, Stage, wall_clock};
use crate::tls::{self, Mode, Stream};
use crate::under_way::{BlockingJob, Finished, Ticket, UnderWay, Work, panic_text};
use crate::write_queue::WriteQueue;
use crate::{AnswerCodec, Limits, Metrics};

mod end;

use end::End;

/// Rounds, and so reads, of one wake-up before other connections get their turn.
const ROUNDS_PER_POLL: usize = 2;
/// Calls are timed out with this grain, so that many of them cost few scans of their table.
const CALL_EXPIRY_GRAIN: Duration = Duration::from_millis(5);
/// After the last answer before a stop, the client gets so long to close first: closing with its
/// bytes unread would reset the connection and might take that answer away.
const LINGER: Duration = Duration::from_millis(500);
/// Java: ordinal of `MQVersion.Version.V5_3_1`; newer clients understand GO_AWAY.
const VERSION_V5_3_1: i32 = 475;

/// Fields are dropped in this order: the socket is closed and handlers' futures are gone before the
/// registration tells the service and whoever waits for the stop.
struct Connection {
    socket: Stream,
    read: ReadBuffer,
    write: WriteQueue,
    under_way: FuturesUnordered<UnderWay>,
    /// Jobs above `Limits::blocking_per_connection_max`.
    blocking_waiting: VecDeque<(Ticket, BlockingJob)>,
    blocking_started: usize,
    bytes_in_flight: usize,
    /// Whether it is open what the first bytes are.
    opening: bool,
    preamble_expected: bool,
    /// Until when a TLS handshake has to be done.
    handshake_due: Option<Instant>,
    /// Whether the socket keeps bytes that it has taken.
    unflushed: bool,
    last_progress: Instant,
    /// Bytes of the unfinished frame read since `last_progress`.
    dripped: usize,
    calls_due: Option<Instant>,
    paused: bool,
    over_total: bool,
    served_in_round: bool,
    tally: Tally,
    peer: Arc<dyn Peer>,
    registration: Registration,
}

/// What became of the frames in the read buffer.
enum Buffered {
    /// Only an unfinished one is left, if any.
    Served,
    /// A bound was reached first.
    Left,
}

/// Counts of one wake-up, added to the shared metrics at its end.
#[derive(Default)]
struct Tally {
    requests: u64,
    one_way: u64,
    answers: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// What this connection last put into the gauges.
    buffered_shown: u64,
    in_flight_shown: u64,
}

/// Starts the task of a connection and returns the handle to it.
pub(crate) fn spawn(
    shared: &Arc<Shared>,
    socket: Stream,
    remote_addr: SocketAddr,
) -> io::Result<Arc<Link>> {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    let id = ConnectionId(NEXT_ID.fetch_add(1, Relaxed));
    let link = Arc::new(Link::new(id, remote_addr, socket.local_addr()?, &shared.limits));
    let connection = Connection {
        socket,
        read: ReadBuffer::default(),
        write: WriteQueue::default(),
        under_way: FuturesUnordered::new(),
        blocking_waiting: VecDeque::new(),
        blocking_started: 0,
        bytes_in_flight: 0,
        opening: shared.is_server,
        preamble_expected: shared.is_server,
        handshake_due: None,
        unflushed: false,
        last_progress: Instant::now(),
        dripped: 0,
        calls_due: None,
        paused: false,
        over_total: false,
        served_in_round: false,
        tally: Tally::default(),
        peer: Arc::clone(&link) as Arc<dyn Peer>,
        registration: Registration::new(shared, &link),
    };
    tokio::spawn(run(connection));
    Ok(link)
}

#[expect(clippy::manual_async_fn, reason = "it would keep room for the connection twice")]
fn run(mut connection: Connection) -> impl Future<Output = ()> {
    async move {
        let end = {
            let idle_at = connection.last_progress + connection.idle_max();
            let mut timer = pin!(sleep_until(idle_at));
            poll_fn(|cx| connection.poll(cx, timer.as_mut())).await
        };
        connection.finish(&end);
        if matches!(end, End::Stopped) {
            // Failure means that the client is gone, which is what is waited for.
            let _ = timeout(LINGER, linger(&mut connection.socket)).await;
        }
    }
}

async fn linger(socket: &mut Stream) -> io::Result<()> {
    socket.shutdown().await?;
    poll_fn(|cx| {
        let mut rest = [0; 1024];
        loop {
            let mut rest = ReadBuf::new(&mut rest);
            ready!(Pin::new(&mut *socket).poll_read(cx, &mut rest))?;
            if rest.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    })
    .await
}

impl Connection {
    fn poll(&mut self, cx: &mut Context<'_>, timer: Pin<&mut Sleep>) -> Poll<End> {
        let now = Instant::now();
        self.link().register(cx.waker());
        let mut end = match self.go_rounds(cx, now) {
            Ok(true) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(false) => Poll::Pending,
            Err(end) => Poll::Ready(end),
        };
        self.account();
        if end.is_pending() {
            end = self.poll_timer(cx, timer);
        }
        end
    }

    /// Whether there is more to do at once.
    fn go_rounds(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, End> {
        let wall_now = wall_clock();
        let total_max = self.limits().buffered_bytes_total_max as u64;
        self.over_total = self.metrics().buffered_bytes_now.load(Relaxed) > total_max;
        for _ in 0..ROUNDS_PER_POLL {
            let close_asked = self.send_outgoing();
            let stage = self.shared().stage();
            let before = self.tally.bytes_out;
            let served = match close_asked || stage == Stage::Closing {
                true => Err(End::Closed),
                false => self.serve_buffered(cx, wall_now, now, stage),
            };
            // After serving, since a future has to be polled once before it can wake anybody.
            self.drive_under_way(cx);
            let held_back = self.answers_full() || matches!(served, Ok(Buffered::Left));
            let wrote = self.write.poll_write(cx, &mut self.socket, &mut self.tally.bytes_out);
            if std::mem::take(&mut self.served_in_round) {
                self.shared().service.round_ended();
            }
            if self.tally.bytes_out > before {
                self.last_progress = now;
            }
            served?;
            self.unflushed = match wrote {
                Poll::Ready(Ok(())) => self.poll_flush(cx)?,
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => false,
            };
            if held_back && !self.answers_full() && !self.requests_full() {
                continue;
            }
            self.set_paused(self.answers_full() || self.requests_full());
            if self.paused {
                return Ok(false);
            }
            match self.poll_read(cx)? {
                Poll::Ready(()) => {}
                Poll::Pending => {
                    let idle = self.requests_in_flight() == 0
                        && self.write.is_empty()
                        && !self.unflushed
                        && !self.link().has_calls();
                    if stage == Stage::Draining && idle {
                        return Err(End::Stopped);
                    }
                    self.read.release();
                    self.write.release();
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Queues what others want sent; true if one of them wants the connection closed.
    fn send_outgoing(&mut self) -> bool {
        let outgoing = self.link().take_outgoing(!self.answers_full());
        for request in &outgoing.requests {
            self.write.push(request);
        }
        self.calls_due = outgoing.calls_due;
        outgoing.close_asked
    }

    fn drive_under_way(&mut self, cx: &mut Context<'_>) {
        while !self.answers_full() {
            self.start_blocking();
            let Poll::Ready(Some(finished)) = self.under_way.poll_next_unpin(cx) else { return };
            let Finished { ticket, was_blocking, outcome } = finished;
            self.blocking_started -= usize::from(was_blocking);
            self.bytes_in_flight -= ticket.bytes;
            self.settle(ticket, outcome);
        }
    }

    fn serve_buffered(
        &mut self,
        cx: &mut Context<'_>,
        wall_now: Millis,
        now: Instant,
        stage: Stage,
    ) -> Result<Buffered, End> {
        if self.opening && !self.open(now)? {
            self.count_drip(now);
            return Ok(Buffered::Served);
        }
        let half = self.read.half_of_few();
        let mut served = 0;
        // As many answers as may wait are written ahead in one go, then others have their turn.
        let ahead_max = self.tally.bytes_out + self.limits().answer_bytes_queued_max as u64;
        while !self.answers_full() && !self.requests_full() && self.tally.bytes_out < ahead_max {
            let before = self.read.bytes.len();
            let Some(command) = frame::decode(&mut self.read.bytes)? else {
                self.count_drip(now);
                return Ok(Buffered::Served);
            };
            self.read.shared = true;
            self.last_progress = now;
            self.dripped = 0;
            let bytes = before - self.read.bytes.len();
            if command.is_response() {
                let late = !self.link().answer(command);
                Metrics::add(&self.metrics().late_answers, late.into());
            } else {
                self.serve(command, bytes, wall_now, stage);
                served += 1;
                if served == half || self.write.is_worth_writing() {
                    self.write_ahead(cx)?;
                }
            }
        }
        Ok(Buffered::Left)
    }

    /// Writes what the socket takes while there are more frames to serve: the client, on another
    /// processor, has something to do meanwhile.
    fn write_ahead(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.write.poll_write(cx, &mut self.socket, &mut self.tally.bytes_out) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn count_drip(&mut self, now: Instant) {
        if self.dripped >= PROGRESS_BYTES {
            self.dripped = 0;
            self.last_progress = now;
        }
    }

    /// Whether it is known what the first bytes are: a preamble, a TLS handshake, a frame.
    fn open(&mut self, now: Instant) -> Result<bool, End> {
        if self.preamble_expected && !self.take_preamble()? {
            return Ok(false);
        }
        let Some(first) = self.read.bytes.first() else { return Ok(false) };
        let is_tls = *first == tls::HANDSHAKE;
        let mode = self.shared().tls.as_ref().map_or(Mode::Disabled, |tls| tls.mode());
        match (is_tls, mode) {
            (true, Mode::Disabled) => return Err(End::TlsRefused),
            (false, Mode::Enforcing) => return Err(End::PlainRefused),
            (false, _) => {}
            (true, _) => {
                if let Some(tls) = &self.shared().tls {
                    let config = tls.config()?;
                    let limit = self.limits().tls_handshakes_max;
                    if self.shared().handshakes.fetch_add(1, Relaxed) >= limit {
                        self.shared().handshakes.fetch_sub(1, Relaxed);
                        return Err(End::Handshakes(limit));
                    }
                    let before = std::mem::take(&mut self.read).bytes.freeze();
                    self.socket.start_tls(before, config);
                    let time = Duration::from_millis(self.limits().tls_handshake_ms_max);
                    self.handshake_due = Some(now + time);
                }
            }
        }
        self.opening = false;
        Ok(true)
    }

    /// Whether the socket still keeps bytes that it has taken: TLS does.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Ready(flushed) => flushed.map(|()| false),
            Poll::Pending => Ok(true),
        }
    }

    /// Whether the start of the first frame is known.
    fn take_preamble(&mut self) -> Result<bool, End> {
        match proxy_protocol::parse(&self.read.bytes)? {
            Preamble::Incomplete => return Ok(false),
            Preamble::Absent => {}
            Preamble::Present { len, source } => {
                self.read.bytes.advance(len);
                if let Some(source) = source {
                    self.link().set_proxied_addr(source);
                }
            }
        }
        self.preamble_expected = false;
        Ok(true)
    }

    fn serve(&mut self, request: Command, bytes: usize, wall_now: Millis, stage: Stage) {
        let ticket = Ticket {
            code: request.code,
            opaque: request.opaque,
            codec: request.codec,
            one_way: request.is_one_way(),
            bytes,
        };
        self.served_in_round = true;
        self.tally.requests += 1;
        self.tally.one_way += u64::from(ticket.one_way);
        // A one-way request is still served: its sender would not learn that it has to go.
        if stage != Stage::Running && !ticket.one_way && request.version > VERSION_V5_3_1 {
            Metrics::add(&self.metrics().go_aways, 1);
            return self.answer(&ticket, Command::error(ResponseCode::GoAway, "please go away"));
        }
        let service = Arc::clone(&self.shared().service);
        let peer = &self.peer;
        let outcome = catch_unwind(AssertUnwindSafe(|| service.serve(peer, request, wall_now)));
        self.settle(ticket, outcome.map_err(|panic| panic_text(&*panic)));
    }

    fn settle(&mut self, ticket: Ticket, outcome: Result<Outcome, String>) {
        match outcome {
            Ok(Outcome::Reply(answer)) => self.answer(&ticket, answer),
            Ok(Outcome::Later(future)) => self.put_under_way(ticket, Work::Later(future)),
            Ok(Outcome::Blocking(job)) => {
                self.bytes_in_flight += ticket.bytes;
                self.blocking_waiting.push_back((ticket, job));
                self.start_blocking();
            }
            Err(panic) => {
                Metrics::add(&self.metrics().panics, 1);
                tracing::error!(
                    client = %self.peer.remote_addr(), code = ticket.code, panic, "handler panicked"
                );
                let remark = format!("request {} failed inside the server: {panic}", ticket.code);
                self.answer(&ticket, Command::error(ResponseCode::SystemError, remark));
            }
        }
    }

    fn put_under_way(&mut self, ticket: Ticket, work: Work) {
        self.bytes_in_flight += ticket.bytes;
        self.under_way.push(UnderWay { ticket: Some(ticket), work });
    }

    fn start_blocking(&mut self) {
        while self.blocking_started < self.limits().blocking_per_connection_max
            && !self.answers_full()
            && let Some((ticket, job)) = self.blocking_waiting.pop_front()
        {
            self.bytes_in_flight -= ticket.bytes;
            let (done, result) = oneshot::channel();
            let job = Box::new(move || {
                let outcome = catch_unwind(AssertUnwindSafe(job));
                // Nobody listens if the connection has ended meanwhile.
                let _ = done.send(outcome.map_err(|panic| panic_text(&*panic)));
            });
            match self.shared().blocking.submit(job) {
                Ok(()) => {
                    self.blocking_started += 1;
                    self.put_under_way(ticket, Work::Blocking(result));
                }
                Err(Overloaded { waiting, limit }) => {
                    Metrics::add(&self.metrics().overloads, 1);
                    let remark = format!(
                        "[OVERLOAD]system busy, start flow control for a while, \
                         requests waiting for the disk: {waiting}, limit: {limit}"
                    );
                    self.answer(&ticket, Command::error(ResponseCode::SystemBusy, remark));
                }
            }
        }
    }

    fn answer(&mut self, ticket: &Ticket, mut answer: Command) {
        if ticket.one_way {
            return;
        }
        answer.opaque = ticket.opaque;
        answer.flag |= FLAG_RESPONSE;
        answer.codec = match self.shared().answer_codec {
            AnswerCodec::Json => HeaderCodec::Json,
            AnswerCodec::Binary => HeaderCodec::Binary,
            AnswerCodec::SameAsRequest => ticket.codec,
        };
        self.tally.answers += 1;
        self.write.push(&answer);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        let frame_len = self.frame_len();
        let growth = self.read.growth(frame_len);
        if growth > 0 {
            let limit = self.limits().buffered_bytes_total_max;
            let held = self.metrics().buffered_bytes_now.load(Relaxed);
            if held + growth as u64 > limit as u64 {
                return Err(End::BufferLimit { frame_len, limit, held });
            }
        }
        let read = self.read.poll_fill(cx, &mut self.socket, frame_len);
        if self.handshake_due.is_some() {
            if let Poll::Ready(Err(error)) = read {
                return Err(End::Handshake(error));
            }
            if !self.socket.is_accepting() {
                self.handshake_due = None;
                self.shared().handshakes.fetch_sub(1, Relaxed);
                self.last_progress = Instant::now();
                Metrics::add(&self.metrics().tls_handshakes, 1);
            }
        }
        let Poll::Ready(n) = read? else {
            return Ok(Poll::Pending);
        };
        if n == 0 {
            return Err(match self.read.bytes.len() {
                0 => End::PeerClosed,
                some => End::InsideFrame(some),
            });
        }
        self.tally.bytes_in += n as u64;
        self.dripped += n;
        Ok(Poll::Ready(()))
    }

    /// Length of the frame at the front of the read buffer as it announced it; 0 if unknown.
    /// Called after decoding, which has refused lengths that cannot be.
    fn frame_len(&self) -> usize {
        match self.read.bytes.first_chunk::<4>() {
            Some(length) if !self.opening => {
                FRAME_LEN_MAX.min(4 + u32::from_be_bytes(*length) as usize)
            }
            _ => 0,
        }
    }

    fn requests_in_flight(&self) -> usize {
        self.under_way.len() + self.blocking_waiting.len()
    }

    fn requests_full(&self) -> bool {
        self.requests_in_flight() >= self.limits().requests_in_flight_max
            || self.bytes_in_flight >= self.limits().request_bytes_in_flight_max
    }

    fn answers_full(&self) -> bool {
        self.write.len() >= self.limits().answer_bytes_queued_max
            || self.over_total && !self.write.is_empty()
    }

    fn set_paused(&mut self, paused: bool) {
        if paused == self.paused {
            return;
        }
        self.paused = paused;
        Metrics::shift(&self.metrics().connections_paused_now, (!paused).into(), paused.into());
        Metrics::add(&self.metrics().pauses, paused.into());
    }

    /// Brings the shared metrics up to date.
    fn account(&mut self) {
        let tally = std::mem::take(&mut self.tally);
        let buffered = (self.write.len() + self.read.held()) as u64;
        let in_flight = self.requests_in_flight() as u64;
        let metrics = self.metrics();
        Metrics::add(&metrics.requests, tally.requests);
        Metrics::add(&metrics.one_way_requests, tally.one_way);
        Metrics::add(&metrics.answers, tally.answers);
        Metrics::add(&metrics.bytes_in, tally.bytes_in);
        Metrics::add(&metrics.bytes_out, tally.bytes_out);
        Metrics::shift(&metrics.buffered_bytes_now, tally.buffered_shown, buffered);
        Metrics::shift(&metrics.requests_in_flight_now, tally.in_flight_shown, in_flight);
        self.tally.buffered_shown = buffered;
        self.tally.in_flight_shown = in_flight;
    }

    /// Ready when the connection has been idle, or its handshake under way, for too long.
    fn poll_timer(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<End> {
        let due = [self.calls_due, self.handshake_due].into_iter().flatten().min();
        if let Some(due) = due.filter(|due| *due < timer.deadline()) {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let mut idle_at = self.last_progress + self.idle_max();
            if now >= idle_at {
                return Poll::Ready(End::Idle(self.limits().idle_ms_max));
            }
            if let Some(due) = self.handshake_due {
                if now >= due {
                    return Poll::Ready(End::HandshakeTime(self.limits().tls_handshake_ms_max));
                }
                idle_at = idle_at.min(due);
            }
            let calls_due =
                self.link().expire_calls(now).map(|due| due.max(now + CALL_EXPIRY_GRAIN));
            timer.as_mut().reset(calls_due.map_or(idle_at, |due| due.min(idle_at)));
        }
        Poll::Pending
    }

    fn shared(&self) -> &Shared {
        &self.registration.shared
    }

    fn link(&self) -> &Link {
        &self.registration.link
    }

    fn limits(&self) -> &Limits {
        &self.shared().limits
    }

    fn metrics(&self) -> &Metrics {
        &self.shared().metrics
    }

    fn idle_max(&self) -> Duration {
        Duration::from_millis(self.limits().idle_ms_max)
    }
}
