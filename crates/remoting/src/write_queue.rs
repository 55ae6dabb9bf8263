//! Frames that wait to be written: small ones gathered, large bodies by reference.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use skua_protocol::command::Command;
use skua_protocol::frame;
use tokio::io::AsyncWrite;

/// Bodies from this size on are not copied next to their header but written from where they are.
const BODY_BY_REFERENCE_LEN_MIN: usize = 4096;
/// Large answers, of so many bytes together, that are written before the next request is served.
/// One for each request costs more calls than it gains (`docs/performance.md`).
const LARGE_AHEAD: usize = 2;
const LARGE_AHEAD_LEN: usize = 24 * 1024;
/// Pieces handed to one system call.
const SLICES_MAX: usize = 32;

/// Invariant: `tail` comes after all `pieces`; `len` is the sum of both.
#[derive(Default)]
pub(crate) struct WriteQueue {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    len: usize,
}

impl WriteQueue {
    /// Bytes not written yet.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether whoever reads the answers should not have to wait until all are there.
    pub fn is_worth_writing(&self) -> bool {
        // A large one is two pieces: its head and its body.
        self.pieces.len() >= 2 * LARGE_AHEAD && self.len >= LARGE_AHEAD_LEN
    }

    pub fn push(&mut self, command: &Command) {
        let before = self.tail.len();
        if command.body.len() < BODY_BY_REFERENCE_LEN_MIN {
            frame::encode(command, &mut self.tail);
            self.len += self.tail.len() - before;
            return;
        }
        frame::encode_head(command, &mut self.tail);
        self.len += self.tail.len() - before + command.body.len();
        self.pieces.push_back(self.tail.split().freeze());
        self.pieces.push_back(command.body.clone());
    }

    /// Writes until nothing is left (`Ready`) or the socket takes no more; counts into `written`.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut (impl AsyncWrite + Unpin),
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        while self.len > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for piece in self.pieces.iter().map(|piece| &piece[..]).chain([&self.tail[..]]) {
                if count == SLICES_MAX {
                    break;
                }
                if !piece.is_empty() {
                    slices[count] = IoSlice::new(piece);
                    count += 1;
                }
            }
            let n = match &slices[..count] {
                [one] => ready!(Pin::new(&mut *socket).poll_write(cx, one))?,
                many => ready!(Pin::new(&mut *socket).poll_write_vectored(cx, many))?,
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written += n as u64;
            self.advance(n);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut n: usize) {
        self.len -= n;
        while let Some(first) = self.pieces.front_mut() {
            if n < first.len() {
                first.advance(n);
                return;
            }
            n -= first.len();
            self.pieces.pop_front();
        }
        self.tail.advance(n);
    }

    /// Gives memory back while there is nothing to write.
    pub fn release(&mut self) {
        if self.is_empty() && (self.tail.capacity() > 0 || self.pieces.capacity() > 0) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes `at_once` bytes a call, every other call none.
    struct Narrow {
        at_once: usize,
        block: bool,
        got: Vec<u8>,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.block = !self.block;
            if self.block {
                return Poll::Pending;
            }
            let n = bytes.len().min(self.at_once);
            self.got.extend(&bytes[..n]);
            Poll::Ready(Ok(n))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn frames_of_all_sizes_come_out_in_order_through_a_narrow_socket() {
        let mut queue = WriteQueue::default();
        let mut expected = BytesMut::new();
        for (i, len) in [0, 10, 5000, 3, 4096, 70_000, 1].into_iter().enumerate() {
            let mut command = Command::success().with_body(vec![i as u8; len]);
            command.opaque = i as i32;
            queue.push(&command);
            frame::encode(&command, &mut expected);
        }
        assert_eq!(queue.len(), expected.len());
        let mut socket = Narrow { at_once: 777, block: false, got: Vec::new() };
        let mut written = 0;
        let mut cx = Context::from_waker(Waker::noop());
        while queue.poll_write(&mut cx, &mut socket, &mut written).is_pending() {}
        assert_eq!(socket.got, expected);
        assert_eq!(written, expected.len() as u64);
        assert!(queue.is_empty());
        queue.release();
        assert_eq!(queue.tail.capacity(), 0);
    }
}
