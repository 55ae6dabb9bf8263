//! The floor: for reading bytes over the loopback from one thread to another, for synchronous
//! flush a bare write and `fdatasync`, over and over.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

const CHUNK: usize = 256 * 1024;
/// Of the file that is written over and over: its blocks are there, as those of a log are.
const FILE_LEN: u64 = 256 * 1024 * 1024;

/// Bytes a second that go over the loopback in chunks of the size of large answers.
pub fn loopback_copy(measured: Duration) -> io::Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    let writer = thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let bytes = vec![7; CHUNK];
        // Ends by the reader's going.
        while stream.write_all(&bytes).is_ok() {}
        Ok(())
    });
    let mut stream = TcpStream::connect(addr)?;
    let mut bytes = vec![0; CHUNK];
    let mut total = 0_u64;
    let started = Instant::now();
    while started.elapsed() < measured {
        total += stream.read(&mut bytes)? as u64;
    }
    let rate = total as f64 / started.elapsed().as_secs_f64();
    drop(stream);
    writer.join().map_err(|_| io::Error::other("the writer panicked"))??;
    Ok(rate)
}

/// How often in a second so many bytes can be written and synchronised.
pub fn write_and_sync(folder: &Path, bytes: usize, measured: Duration) -> io::Result<f64> {
    let path = folder.join("floor");
    let file = File::create(&path)?;
    fallocate(&file, FallocateFlags::empty(), 0, FILE_LEN)?;
    file.sync_all()?;
    let bytes = vec![7; bytes];
    let (mut at, mut count) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < measured {
        file.write_all_at(&bytes, at)?;
        file.sync_data()?;
        count += 1;
        at += bytes.len() as u64;
        if at + bytes.len() as u64 > FILE_LEN {
            at = 0;
        }
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(rate)
}
