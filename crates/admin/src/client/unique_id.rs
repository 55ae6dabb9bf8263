//! Unique message ids as Java's clients make them, with clock, address and counter.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use skua_protocol::Millis;
use skua_protocol::message_id::UniqueIdSource;

use crate::time;

#[derive(Debug)]
pub struct UniqueIds {
    source: UniqueIdSource,
    month_start: Millis,
    counter: AtomicU16,
}

impl UniqueIds {
    pub fn new(now: Millis) -> Self {
        let source = UniqueIdSource {
            ip: own_address().into(),
            process_id: std::process::id() as u16,
            // Keeps reused process ids apart.
            salt: now.0 as u32,
        };
        Self { source, month_start: time::month_start(now), counter: AtomicU16::new(0) }
    }

    pub fn next(&self, now: Millis) -> String {
        let since = now.since(self.month_start) as u32;
        self.source.id(since, self.counter.fetch_add(1, Relaxed)).into()
    }
}

/// The address from which this machine speaks to others.
pub fn own_address() -> Ipv4Addr {
    // Connecting a datagram socket only picks a route; nothing is sent to this test network.
    let found = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect(("192.0.2.1", 9)).and_then(|()| socket.local_addr()));
    match found.map(|addr| addr.ip()) {
        Ok(IpAddr::V4(ip)) => ip,
        _ => Ipv4Addr::LOCALHOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_have_javas_form() {
        let now = crate::time::now();
        let ids = UniqueIds::new(now);
        let (first, second) = (ids.next(now), ids.next(now));
        assert_ne!(first, second);
        assert_eq!(first.len(), 32);
        assert!(first.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let millis = i64::from_str_radix(&first[20..28], 16).expect("hex");
        assert_eq!(crate::time::month_start(now).plus(millis), now);
    }
}
