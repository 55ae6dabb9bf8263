//! The floor for reading: bytes over the loopback from one thread to another.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const CHUNK: usize = 256 * 1024;

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
