//! The preamble with which a TCP proxy names the client it speaks for.
//!
//! Source: "The PROXY protocol", versions 1 & 2 (HAProxy's `proxy-protocol.txt`). Any client may
//! send one, as with the Java server. No preamble can be the start of a frame: both signatures
//! would be lengths far over the frame limit.
//!
//! ```text
//! v1   "PROXY " ("TCP4" | "TCP6") " " source " " destination " " port " " port CR LF
//!      "PROXY UNKNOWN" anything CR LF                              at most 107 bytes
//! v2   | 12 signature | 1 version, command | 1 family, transport | 2 length | addresses, TLVs |
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const V1_PREFIX: &[u8] = b"PROXY ";
const V1_LEN_MAX: usize = 107;
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD_LEN: usize = V2_SIGNATURE.len() + 4;
/// Longest preamble: a v2 header with all the TLVs that its length can tell.
pub const PREAMBLE_LEN_MAX: usize = V2_HEAD_LEN + u16::MAX as usize;
const V2_ADDRESSES_V4_LEN: usize = 4 + 4 + 2 + 2;
const V2_ADDRESSES_V6_LEN: usize = 16 + 16 + 2 + 2;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preamble {
    /// Not a preamble: these bytes belong to the first frame.
    Absent,
    /// Could still become one.
    Incomplete,
    /// The first `len` bytes; `source` is absent for health checks and foreign address families,
    /// then the socket's own address counts.
    Present { len: usize, source: Option<SocketAddr> },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreambleError {
    #[error("PROXY v1 line of more than {V1_LEN_MAX} bytes")]
    LineTooLong,
    #[error("PROXY v1 line `{0}` is malformed")]
    Line(String),
    #[error("PROXY v2 header with version {0}, only 2 is known")]
    Version(u8),
    #[error("PROXY v2 header with unknown command {0}")]
    Command(u8),
    #[error("PROXY v2 header of {len} bytes is too short for its addresses of {need}")]
    Addresses { len: usize, need: usize },
}

/// Looks at the first bytes of a connection; takes nothing.
pub fn parse(bytes: &[u8]) -> Result<Preamble, PreambleError> {
    match bytes.first() {
        None => Ok(Preamble::Incomplete),
        Some(b'P') => parse_v1(bytes),
        Some(b'\r') => parse_v2(bytes),
        Some(_) => Ok(Preamble::Absent),
    }
}

/// Whether `bytes` begins with `prefix`; `None` if it is too short to say.
fn begins_with(bytes: &[u8], prefix: &[u8]) -> Option<bool> {
    let len = bytes.len().min(prefix.len());
    match bytes[..len] == prefix[..len] {
        false => Some(false),
        true if len < prefix.len() => None,
        true => Some(true),
    }
}

fn parse_v1(bytes: &[u8]) -> Result<Preamble, PreambleError> {
    match begins_with(bytes, V1_PREFIX) {
        None => return Ok(Preamble::Incomplete),
        Some(false) => return Ok(Preamble::Absent),
        Some(true) => {}
    }
    let head = &bytes[..bytes.len().min(V1_LEN_MAX)];
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        return match head.len() == V1_LEN_MAX {
            true => Err(PreambleError::LineTooLong),
            false => Ok(Preamble::Incomplete),
        };
    };
    let line = &head[V1_PREFIX.len()..end];
    let source = match line.starts_with(b"UNKNOWN") {
        true => None,
        false => Some(
            std::str::from_utf8(line)
                .ok()
                .and_then(v1_source)
                .ok_or_else(|| PreambleError::Line(line.escape_ascii().to_string()))?,
        ),
    };
    Ok(Preamble::Present { len: end + 2, source })
}

fn v1_source(line: &str) -> Option<SocketAddr> {
    let mut words = line.split(' ');
    let family = words.next()?;
    let source: IpAddr = words.next()?.parse().ok()?;
    let destination: IpAddr = words.next()?.parse().ok()?;
    let port: u16 = words.next()?.parse().ok()?;
    let _destination_port: u16 = words.next()?.parse().ok()?;
    let fits = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    (fits && words.next().is_none()).then(|| SocketAddr::new(source, port))
}

fn parse_v2(bytes: &[u8]) -> Result<Preamble, PreambleError> {
    match begins_with(bytes, V2_SIGNATURE) {
        None => return Ok(Preamble::Incomplete),
        Some(false) => return Ok(Preamble::Absent),
        Some(true) => {}
    }
    let Some(head) = bytes.get(V2_SIGNATURE.len()..V2_HEAD_LEN) else {
        return Ok(Preamble::Incomplete);
    };
    let (version, command) = (head[0] >> 4, head[0] & 0xF);
    let family = head[1] >> 4;
    let rest_len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if version != 2 {
        return Err(PreambleError::Version(version));
    }
    if command > 1 {
        return Err(PreambleError::Command(command));
    }
    let need = match (command, family) {
        (1, 1) => V2_ADDRESSES_V4_LEN,
        (1, 2) => V2_ADDRESSES_V6_LEN,
        _ => 0,
    };
    if rest_len < need {
        return Err(PreambleError::Addresses { len: rest_len, need });
    }
    let len = V2_HEAD_LEN + rest_len;
    let Some(rest) = bytes.get(V2_HEAD_LEN..len) else {
        return Ok(Preamble::Incomplete);
    };
    Ok(Preamble::Present { len, source: v2_source(need, rest) })
}

/// `need` tells the family; addresses come source first, then destination, then both ports.
fn v2_source(need: usize, rest: &[u8]) -> Option<SocketAddr> {
    let ip_len = match need {
        V2_ADDRESSES_V4_LEN => 4,
        V2_ADDRESSES_V6_LEN => 16,
        _ => return None,
    };
    let ip = match ip_len {
        4 => IpAddr::V4(Ipv4Addr::from(*rest.first_chunk::<4>()?)),
        _ => IpAddr::V6(Ipv6Addr::from(*rest.first_chunk::<16>()?)),
    };
    let port = rest.get(2 * ip_len..)?.first_chunk::<2>()?;
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend((rest.len() as u16).to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn present(bytes: &[u8], source: Option<&str>) {
        let source = source.map(|s| s.parse().expect("a literal address"));
        assert_eq!(parse(bytes), Ok(Preamble::Present { len: bytes.len(), source }));
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Ok(Preamble::Incomplete), "cut at {cut}");
        }
        let mut more = bytes.to_vec();
        more.extend(b"\0\0\0\x10frame");
        assert_eq!(parse(&more), Ok(Preamble::Present { len: bytes.len(), source }));
    }

    #[test]
    fn v1_lines_name_the_source() {
        present(b"PROXY TCP4 192.0.2.1 192.0.2.2 5678 9876\r\n", Some("192.0.2.1:5678"));
        present(b"PROXY TCP6 2001:db8::1 ::1 5678 9876\r\n", Some("[2001:db8::1]:5678"));
        present(b"PROXY UNKNOWN\r\n", None);
        present(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None);
    }

    #[test]
    fn v2_headers_name_the_source_and_their_tlvs_are_skipped() {
        let v4 = [&[192, 0, 2, 1, 192, 0, 2, 2][..], &[0x16, 0x2E, 0x26, 0x94]].concat();
        present(&v2(1, 0x11, &v4), Some("192.0.2.1:5678"));
        let tlv = [&v4[..], &[0xEA, 0, 3, 1, b'v', b'p']].concat();
        present(&v2(1, 0x11, &tlv), Some("192.0.2.1:5678"));
        let mut v6 = [0u8; V2_ADDRESSES_V6_LEN];
        v6[15] = 1;
        v6[33] = 80;
        present(&v2(1, 0x21, &v6), Some("[::1]:80"));
    }

    #[test]
    fn v2_health_checks_and_foreign_families_keep_the_socket_address() {
        present(&v2(0, 0x00, &[]), None);
        present(&v2(0, 0x11, &[1; V2_ADDRESSES_V4_LEN]), None);
        present(&v2(1, 0x31, &[0; 216]), None);
        present(&v2(1, 0xF1, &[7; 9]), None);
    }

    #[test]
    fn malformed_preambles_are_named() {
        assert_eq!(
            parse(b"PROXY TCP4 ::1 ::1 1 2\r\n"),
            Err(PreambleError::Line("TCP4 ::1 ::1 1 2".into()))
        );
        assert_eq!(
            parse(&[b"PROXY ".as_slice(), &[b'x'; 200]].concat()),
            Err(PreambleError::LineTooLong)
        );
        assert_eq!(parse(&v2(2, 0x11, &[0; 12])), Err(PreambleError::Command(2)));
        assert_eq!(
            parse(&v2(1, 0x21, &[0; 12])),
            Err(PreambleError::Addresses { len: 12, need: V2_ADDRESSES_V6_LEN })
        );
        let mut version_1 = v2(1, 0x11, &[0; 12]);
        version_1[12] = 0x11;
        assert_eq!(parse(&version_1), Err(PreambleError::Version(1)));
    }

    #[test]
    fn frames_and_near_misses_are_not_preambles() {
        assert_eq!(parse(b"\0\0\0\x40"), Ok(Preamble::Absent));
        assert_eq!(parse(b"POST / HTTP/1.1\r\n"), Ok(Preamble::Absent));
        assert_eq!(parse(b"\r\n\r\nx"), Ok(Preamble::Absent));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            start in prop_oneof![Just(&b""[..]), Just(V1_PREFIX), Just(V2_SIGNATURE)],
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [start, &rest].concat();
            if let Ok(Preamble::Present { len, .. }) = parse(&bytes) {
                prop_assert!(len <= bytes.len());
            }
        }

        #[test]
        fn every_split_agrees_with_the_whole(rest in "(TCP[46]|UNKNOWN)( [0-9a-f.:]{1,9}){0,4}\r\n") {
            let bytes = [V1_PREFIX, rest.as_bytes()].concat();
            let whole = parse(&bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..cut]), Ok(Preamble::Incomplete));
            }
            prop_assert_ne!(whole, Ok(Preamble::Incomplete));
        }
    }
}
