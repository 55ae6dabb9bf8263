//! The way to one member. Whoever sends writes to the socket itself; a task connects, and writes what
//! the socket did not take at once.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skua_raft::PeerId;
use skua_remoting::{DialError, dial};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::security::Tls;

/// Bytes, and frames, that wait.
const BYTES_MAX: usize = 64 << 20;
const FRAMES_MAX: usize = 4096;
const CONNECT: Duration = Duration::from_secs(2);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A peer that takes nothing for so long is connected to anew.
const STUCK: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Line {
    out: Mutex<Out>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Out {
    /// Connected and greeted, and without TLS: it may be written to directly.
    socket: Option<Arc<TcpStream>>,
    waiting: VecDeque<Vec<u8>>,
    /// Of all that wait.
    bytes: usize,
    /// Bytes of the first that are written.
    written: usize,
}

impl Out {
    /// Writes what the socket takes; true if nothing waits any more.
    fn write_now(&mut self, socket: &TcpStream) -> io::Result<bool> {
        while let Some(frame) = self.waiting.front() {
            match socket.try_write(&frame[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => self.written += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.written == frame.len() {
                self.pop();
            }
        }
        Ok(true)
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let frame = self.waiting.pop_front()?;
        self.bytes -= frame.len();
        self.written = 0;
        Some(frame)
    }
}

impl Line {
    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends, or drops it if too much waits.
    pub fn send(&self, frame: Vec<u8>) {
        let mut out = self.out();
        if out.bytes + frame.len() > BYTES_MAX || out.waiting.len() >= FRAMES_MAX {
            return;
        }
        let is_first = out.waiting.is_empty();
        out.bytes += frame.len();
        out.waiting.push_back(frame);
        let is_done = match out.socket.clone().filter(|_| is_first) {
            // The task meets the same error, and connects anew.
            Some(socket) => out.write_now(&socket).unwrap_or(false),
            None => false,
        };
        drop(out);
        if !is_done {
            self.wake.notify_one();
        }
    }

    /// What waits is out of date by the time of the next connection.
    fn clear(&self) {
        *self.out() = Out::default();
    }
}

/// Keeps a connection to the member; ends never.
pub async fn send_all(to: PeerId, address: String, tls: Tls, greeting: Vec<u8>, line: Arc<Line>) {
    let mut pause = PAUSE_MIN;
    let mut was_there = None;
    loop {
        let error = match dial(&address, CONNECT).await {
            Ok(stream) => {
                let began = Instant::now();
                let mut greeted = || {
                    if was_there.replace(true) != Some(true) {
                        tracing::info!(member = to.0 - 1, address, "connected to a member");
                    }
                };
                let ended = match &tls.replication {
                    Some(tls) => match timeout(CONNECT, tls.connect(stream, &address)).await {
                        Ok(Ok(stream)) => {
                            greeted();
                            send_by_turns(stream, &greeting, &line).await
                        }
                        Ok(Err(error)) => error,
                        Err(_) => io::ErrorKind::TimedOut.into(),
                    },
                    None => {
                        greeted();
                        send_directly(stream, &greeting, &line).await
                    }
                };
                // One that is turned away at once is not asked again at once.
                if began.elapsed() > PAUSE_MAX {
                    pause = PAUSE_MIN;
                }
                ended
            }
            Err(DialError::Lookup(error) | DialError::Connect(error)) => error,
            Err(DialError::Late) => io::ErrorKind::TimedOut.into(),
        };
        if was_there.replace(false) != Some(false) {
            tracing::warn!(member = to.0 - 1, address, %error, "no connection to a member");
        }
        line.clear();
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Lets others write to the socket until it ends, and writes what they could not.
async fn send_directly(mut socket: TcpStream, greeting: &[u8], line: &Line) -> io::Error {
    if let Err(error) = stuck(socket.write_all(greeting)).await {
        return error;
    }
    let socket = Arc::new(socket);
    line.out().socket = Some(socket.clone());
    let rest = async {
        loop {
            let is_done = line.out().write_now(&socket)?;
            match is_done {
                true => line.wake.notified().await,
                false => stuck(socket.writable()).await?,
            }
        }
    };
    // Nothing ever comes this way but the end.
    let end = async {
        loop {
            socket.readable().await?;
            match socket.try_read(&mut [0; 1]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
                Ok(_) => return Err(io::ErrorKind::ConnectionReset.into()),
            }
        }
    };
    first_error(rest, end).await
}

/// Writes everything itself: with TLS, bytes cannot be left half taken.
async fn send_by_turns(
    stream: skua_remoting::tls::Stream,
    greeting: &[u8],
    line: &Line,
) -> io::Error {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let rest = async {
        stuck(write(&mut writer, greeting)).await?;
        loop {
            let frame = line.out().pop();
            match frame {
                Some(frame) => stuck(write(&mut writer, &frame)).await?,
                None => line.wake.notified().await,
            }
        }
    };
    let end = async {
        let mut nothing = [0; 1];
        let _ = reader.read(&mut nothing).await?;
        Err(io::ErrorKind::ConnectionReset.into())
    };
    first_error(rest, end).await
}

async fn first_error(
    one: impl Future<Output = io::Result<Infallible>>,
    other: impl Future<Output = io::Result<Infallible>>,
) -> io::Error {
    let Err(error) = tokio::select! {
        ended = one => ended,
        ended = other => ended,
    };
    error
}

async fn stuck<T>(io: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(STUCK, io).await?
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes).await?;
    // TLS keeps what it has taken until then.
    writer.flush().await
}
