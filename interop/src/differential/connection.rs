//! A raw connection: frames out, frames in, nothing hidden.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use skua_protocol::{Command, frame};

/// More than any answer takes on a busy machine, long polls included.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// A request of the server comes at once or at a check of Java's that is seconds apart.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

pub enum Heard {
    Frame(Box<Command>),
    Nothing,
    Closed,
}

pub struct Connection {
    stream: TcpStream,
    frames: Receiver<Command>,
    answers: VecDeque<Command>,
    requests: VecDeque<Command>,
}

impl Connection {
    pub fn open(addr: &str) -> Self {
        let stream = TcpStream::connect(addr).unwrap_or_else(|e| panic!("{addr}: {e}"));
        stream.set_nodelay(true).expect("a TCP socket");
        let mut reader = stream.try_clone().expect("a second handle of the socket");
        let (tell, frames) = channel();
        // Ends with the connection, which `Drop` shuts down.
        thread::spawn(move || {
            let mut buffer = BytesMut::new();
            let mut chunk = vec![0; 1 << 16];
            while let Ok(n @ 1..) = reader.read(&mut chunk) {
                buffer.extend_from_slice(&chunk[..n]);
                while let Some(command) = frame::decode(&mut buffer).expect("a frame of a server") {
                    if tell.send(command).is_err() {
                        return;
                    }
                }
            }
        });
        Self { stream, frames, answers: VecDeque::new(), requests: VecDeque::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // An error means closed, which waiting for the answer tells.
        let _ = self.stream.write_all(bytes);
    }

    pub fn answer(&mut self, opaque: i32) -> Heard {
        self.wait(ANSWER_LIMIT, move |c| c.is_response() && c.opaque == opaque)
    }

    pub fn request(&mut self, code: i32) -> Heard {
        self.wait(REQUEST_LIMIT, move |c| !c.is_response() && c.code == code)
    }

    fn wait(&mut self, limit: Duration, wanted: impl Fn(&Command) -> bool) -> Heard {
        let deadline = Instant::now() + limit;
        loop {
            for queue in [&mut self.answers, &mut self.requests] {
                if let Some(at) = queue.iter().position(&wanted) {
                    return Heard::Frame(Box::new(queue.remove(at).expect("found above")));
                }
            }
            match self.frames.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(command) if command.is_response() => self.answers.push_back(command),
                Ok(command) => self.requests.push_back(command),
                Err(RecvTimeoutError::Timeout) => return Heard::Nothing,
                Err(RecvTimeoutError::Disconnected) => return Heard::Closed,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}
