//! Memory that a figure's run can have without waiting for the host of a virtual machine.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const CHUNK: usize = 1 << 20;

/// Fills so many MiB of the page cache and gives them free again.
///
/// A virtual machine that hands free memory back to its host gets it again page by page, which
/// costs ten times and more what writing a page does: 0.4 GB a second in place of 5. A machine
/// that has been up for a while has its memory. The kernel takes what was given free last first.
pub fn touch(folder: &Path, mib: u64) -> io::Result<()> {
    let path = folder.join(format!("skua-bench-touched-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let chunk = vec![0; CHUNK];
    (0..mib).try_for_each(|_| file.write_all(&chunk))?;
    fs::remove_file(path)
}
