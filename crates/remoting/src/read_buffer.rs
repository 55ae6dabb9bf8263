//! What has been read of a connection and not decoded yet, at little cost while it is idle.
//!
//! Reads go into a buffer of the worker thread and are copied out at their exact size, so that an
//! idle connection holds nothing and a parked request pins only the bytes it came with. Only a frame
//! longer than that buffer is read in place, into room that grows with what has really come.

use std::cell::RefCell;
use std::io;
use std::ops::RangeInclusive;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use skua_protocol::frame;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::proxy_protocol;

/// Frames up to this length are read by way of the buffer of the thread.
const SCRATCH_LEN: usize = 128 * 1024;
/// One read brings at most so much, unless a longer frame has begun: what a client that never stops
/// sending is given before others have their turn.
const READ_LEN: usize = 64 * 1024;
/// So many requests at once, of one client that waits for all its answers, are answered by halves:
/// with more there is enough to do on both sides, with fewer a call to write costs too much.
const FEW: RangeInclusive<usize> = 8..=32;
const _: () = assert!(SCRATCH_LEN > proxy_protocol::PREAMBLE_LEN_MAX);

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_LEN].into());
}

#[derive(Default)]
pub(crate) struct ReadBuffer {
    pub bytes: BytesMut,
    /// Whoever takes frames off `bytes` says so here: their memory is one block with the rest.
    pub shared: bool,
}

impl ReadBuffer {
    /// Heap bytes held for the unfinished frame beyond what every connection may have.
    pub fn held(&self) -> usize {
        match self.bytes.capacity() {
            capacity if capacity > SCRATCH_LEN => capacity,
            _ => 0,
        }
    }

    /// Bytes of room to add before the next read when a frame of `frame_len` is expected.
    pub fn growth(&self, frame_len: usize) -> usize {
        if frame_len <= SCRATCH_LEN || self.bytes.capacity() > self.bytes.len() {
            return 0;
        }
        let missing = frame_len.saturating_sub(self.bytes.len());
        missing.min(self.bytes.len().max(SCRATCH_LEN))
    }

    /// Reads once. `frame_len` is the length that the frame at the front announced, 0 if unknown.
    /// `Ready(0)` is the end of the stream.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut (impl AsyncRead + Unpin),
        frame_len: usize,
    ) -> Poll<io::Result<usize>> {
        if frame_len > SCRATCH_LEN {
            self.bytes.reserve(self.growth(frame_len));
            return pin!(socket.read_buf(&mut self.bytes)).poll(cx);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let start = self.bytes.len();
            let end = frame_len.max(start + READ_LEN).min(SCRATCH_LEN);
            let mut target = ReadBuf::new(&mut scratch[start..end]);
            ready!(Pin::new(socket).poll_read(cx, &mut target))?;
            let n = target.filled().len();
            if n > 0 {
                scratch[..start].copy_from_slice(&self.bytes);
                self.bytes = BytesMut::from(&scratch[..start + n]);
                self.shared = false;
            }
            Poll::Ready(Ok(n))
        })
    }

    /// Half the frames that are there if they are few; 0 otherwise.
    pub fn half_of_few(&self) -> usize {
        // Counting no further than needed makes a short loop that LLVM 22 unrolls and then does not
        // come to an end with (constraint elimination).
        let count = frame::count(&self.bytes);
        if FEW.contains(&count) { count / 2 } else { 0 }
    }

    /// Lets go of the block that decoded frames share with what is left over.
    pub fn release(&mut self) {
        if self.shared {
            self.bytes = BytesMut::from(&self.bytes[..]);
            self.shared = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_of_few_whole_frames() {
        let frame = [0, 0, 0, 5, 1, 2, 3, 4, 5];
        for (frames, half) in [(0, 0), (7, 0), (8, 4), (15, 7), (32, 16), (33, 0), (4000, 0)] {
            let bytes = frame.repeat(frames);
            let with_rest = |rest: &[u8]| ReadBuffer {
                bytes: BytesMut::from(&[&bytes[..], rest].concat()[..]),
                ..Default::default()
            };
            for rest in [&[][..], &frame[..3], &frame[..8], &[0xff; 9]] {
                assert_eq!(with_rest(rest).half_of_few(), half, "{frames} and {rest:?}");
            }
        }
    }
}
