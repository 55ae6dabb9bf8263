//! Where records lie in a commit log's files.

use skua_protocol::record::MAGIC_END_OF_FILE;

/// Size and magic of what fills a file.
const FILLER_LEN: u64 = 8;

/// The log's end while it is made.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub file_size: u64,
    pub at: u64,
}

impl Layout {
    /// Bytes left of the file.
    pub fn room(&self) -> u64 {
        self.file_size - self.at % self.file_size
    }

    /// Where a record of `size` bytes goes, and how much of a file is filled before; `None` if no
    /// file has room for it.
    pub fn next(&mut self, size: u64) -> Option<(u64, u64)> {
        if size + FILLER_LEN > self.file_size {
            return None;
        }
        let room = self.room();
        let filled = if size + FILLER_LEN > room { room } else { 0 };
        let at = self.at + filled;
        self.at = at + size;
        Some((at, filled))
    }
}

/// What fills the last `len` bytes of a file.
pub fn filler(len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    if let Some(head) = bytes.first_chunk_mut::<8>() {
        head[..4].copy_from_slice(&(len as u32).to_be_bytes());
        head[4..].copy_from_slice(&MAGIC_END_OF_FILE.to_be_bytes());
    }
    bytes
}
