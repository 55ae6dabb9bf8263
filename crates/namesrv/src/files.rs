//! The name server's way to its two files, `kvConfig.json` and its stored properties.

use std::io;

/// Named files, implemented by the binary over a file system and by tests in memory.
pub trait Files: Send + Sync + 'static {
    /// The whole file; `None` if there is none.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;
    /// Replaces the file at once, making its folder if need be: after a crash the old or the new
    /// content is there, and after a return the new.
    fn write(&self, path: &str, content: &[u8]) -> io::Result<()>;
}
