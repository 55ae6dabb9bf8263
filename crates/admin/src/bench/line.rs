//! One connection of the benchmark: bytes out, answers in, times by slot.

use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::frames::{self, Answer, AnswerError};

/// Read at once; larger frames make the buffer grow.
const READ_LEN: usize = 256 * 1024;
/// Requests are gathered up to this many bytes before they are handed to the kernel.
pub const WRITE_LEN: usize = 256 * 1024;

pub struct Line {
    pub addr: String,
    stream: TcpStream,
    input: Vec<u8>,
    input_end: usize,
    pub output: Vec<u8>,
    output_start: usize,
    patience: Duration,
    heard: Instant,
    /// Rings now and then to compare `heard` with `patience`; far cheaper than a timer a wait.
    alarm: Pin<Box<Sleep>>,
}

#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("connect to {addr} failed: {cause}")]
    Connect { addr: String, cause: io::Error },
    #[error("connection to {addr} failed: {cause}")]
    Io { addr: String, cause: io::Error },
    #[error("{addr} closed the connection")]
    Closed { addr: String },
    #[error("no answer from {addr} within {} s", .waited.as_secs())]
    Silent { addr: String, waited: Duration },
    #[error("the timer failed: {0}")]
    Timer(io::Error),
    #[error("answer of {addr} cannot be read: {cause}")]
    Unreadable { addr: String, cause: AnswerError },
}

impl Line {
    pub async fn connect(addr: &str, timeout: Duration) -> Result<Self, LineError> {
        let stream = tokio::time::timeout(timeout, TcpStream::connect(addr))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|cause| LineError::Connect { addr: addr.to_owned(), cause })?;
        Ok(Self {
            addr: addr.to_owned(),
            stream,
            input: vec![0; READ_LEN],
            input_end: 0,
            output: Vec::with_capacity(WRITE_LEN),
            output_start: 0,
            patience: timeout,
            heard: Instant::now(),
            alarm: Box::pin(tokio::time::sleep(timeout)),
        })
    }

    fn io(&self, cause: io::Error) -> LineError {
        LineError::Io { addr: self.addr.clone(), cause }
    }

    fn output_left(&self) -> bool {
        self.output_start < self.output.len()
    }

    /// Hands gathered requests to the kernel, as far as it takes them now.
    pub fn flush(&mut self) -> Result<(), LineError> {
        while self.output_left() {
            match self.stream.try_write(&self.output[self.output_start..]) {
                Ok(count) => self.output_start += count,
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(cause) => return Err(self.io(cause)),
            }
        }
        self.output.clear();
        self.output_start = 0;
        Ok(())
    }

    /// Waits for answers (and pushes what is left to write); hands each to `take` with the moment
    /// of its arrival.
    ///
    /// # Errors
    /// [`LineError::Silent`] if nothing comes for the time given to [`Line::connect`].
    pub async fn answers(
        &mut self,
        mut take: impl FnMut(&Answer<'_>, Instant),
    ) -> Result<(), LineError> {
        loop {
            // Tried before waiting: under load the next bytes are often there already.
            match self.stream.try_read(&mut self.input[self.input_end..]) {
                Ok(0) => return Err(LineError::Closed { addr: self.addr.clone() }),
                Ok(count) => {
                    self.input_end += count;
                    let arrived = Instant::now();
                    self.heard = arrived;
                    if self.take_frames(|answer| take(answer, arrived))? > 0 {
                        return Ok(());
                    }
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => self.wait().await?,
                Err(cause) => return Err(self.io(cause)),
            }
        }
    }

    /// Until there is something to read, or room for what is left to write.
    async fn wait(&mut self) -> Result<(), LineError> {
        let interest = if self.output_left() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        loop {
            tokio::select! {
                biased;
                ready = self.stream.ready(interest) => {
                    if ready.map_err(|cause| self.io(cause))?.is_writable() {
                        self.flush()?;
                    }
                    return Ok(());
                }
                () = &mut self.alarm => {
                    let next = self.heard + self.patience;
                    if next <= Instant::now() {
                        return Err(LineError::Silent {
                            addr: self.addr.clone(),
                            waited: self.patience,
                        });
                    }
                    self.alarm.as_mut().reset(next.into());
                }
            }
        }
    }

    fn take_frames(&mut self, mut take: impl FnMut(&Answer<'_>)) -> Result<usize, LineError> {
        let mut start = 0;
        let mut count = 0;
        let addr = &self.addr;
        let unreadable = |cause| LineError::Unreadable { addr: addr.clone(), cause };
        while let Some(answer) =
            frames::next(&self.input[start..self.input_end]).map_err(unreadable)?
        {
            if answer.is_response {
                take(&answer);
                count += 1;
            }
            start += answer.frame.len();
        }
        let whole = frames::frame_len(&self.input[start..self.input_end]).map_err(unreadable)?;
        self.input.copy_within(start..self.input_end, 0);
        self.input_end -= start;
        let room = whole.unwrap_or(0).max(READ_LEN);
        if self.input.len() < room {
            self.input.resize(room, 0);
        }
        Ok(count)
    }
}
