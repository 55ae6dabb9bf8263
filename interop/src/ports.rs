use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below Linux's range for outgoing connections, so that no client's socket takes one meanwhile.
const FIRST: u16 = 12_000;
const COUNT: u16 = 19_000;
/// A broker takes its port, the fast port two below and the HA port one above.
const STEP: u16 = 4;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that is free, as are the two below and the one above. Each call gives another.
pub fn free() -> u16 {
    // Test binaries may run side by side: each starts elsewhere.
    let start = (std::process::id() as u16).wrapping_mul(97) % (COUNT / STEP);
    for _ in 0..COUNT / STEP {
        let n = start + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (n % (COUNT / STEP)) * STEP + 2;
        if (port - 2..=port + 1).all(|p| TcpListener::bind((Ipv4Addr::UNSPECIFIED, p)).is_ok()) {
            return port;
        }
    }
    panic!("no free ports between {FIRST} and {}", FIRST + COUNT);
}
