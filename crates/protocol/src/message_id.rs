//! Message ids: where a message lies, and the id its producer gave it (Java: `MessageDecoder`,
//! `MessageClientIDSetter`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytestring::ByteString;

use crate::units::PhysicalOffset;

/// Most bytes of an id: those of an IPv6 address and twelve more.
const BYTES_MAX: usize = 28;

/// A message id: every answer to a send has one, so it needs no memory of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MessageId {
    /// Upper-case hex digits.
    digits: [u8; 2 * BYTES_MAX],
    len: u8,
}

impl MessageId {
    fn new(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut digits = [0; 2 * BYTES_MAX];
        for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(bytes) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        Self { digits, len: 2 * bytes.len() as u8 }
    }
}

impl std::ops::Deref for MessageId {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.digits[..usize::from(self.len)]).expect("digits are ASCII")
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        (*id).to_owned()
    }
}

impl From<MessageId> for ByteString {
    fn from(id: MessageId) -> Self {
        (&*id).into()
    }
}

/// Why text is not an offset message id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageIdError {
    #[error("message id of {0} characters has neither 32 nor 56")]
    Length(usize),
    #[error("message id `{0}` is not hexadecimal")]
    NotHex(String),
}

/// Upper-case hex of IP, 4-byte port and physical offset: 32 characters, 56 for IPv6. Clients
/// dial the address in it, so it must be the advertised one.
pub fn offset_id(store_host: SocketAddr, offset: PhysicalOffset) -> MessageId {
    let mut bytes = [0u8; BYTES_MAX];
    let ip_len = put_ip(&mut bytes, store_host.ip());
    bytes[ip_len..ip_len + 4].copy_from_slice(&u32::from(store_host.port()).to_be_bytes());
    bytes[ip_len + 4..ip_len + 12].copy_from_slice(&offset.0.to_be_bytes());
    MessageId::new(&bytes[..ip_len + 12])
}

/// Undoes [`offset_id`].
pub fn parse_offset_id(id: &str) -> Result<(SocketAddr, PhysicalOffset), MessageIdError> {
    if id.len() != 32 && id.len() != 56 {
        return Err(MessageIdError::Length(id.len()));
    }
    let mut bytes = [0u8; BYTES_MAX];
    for (byte, pair) in bytes.iter_mut().zip(id.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).map(|digit| digit as u8);
        match (digit(0), digit(1)) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => return Err(MessageIdError::NotHex(id.to_owned())),
        }
    }
    let (ip, rest): (IpAddr, &[u8]) = if id.len() == 32 {
        let (ip, rest) = bytes.split_first_chunk::<4>().expect("there are 28 bytes");
        ((*ip).into(), rest)
    } else {
        let (ip, rest) = bytes.split_first_chunk::<16>().expect("there are 28 bytes");
        ((*ip).into(), rest)
    };
    // Four bytes hold a port that needs two.
    let port = u16::from_be_bytes([rest[2], rest[3]]);
    let offset = rest[4..12].try_into().expect("the range has eight bytes");
    Ok((SocketAddr::new(ip, port), PhysicalOffset(u64::from_be_bytes(offset))))
}

/// What tells one producing process from another in unique ids.
#[derive(Clone, Copy, Debug)]
pub struct UniqueIdSource {
    pub ip: IpAddr,
    pub process_id: u16,
    /// Java takes the hash of its class loader; any number that is constant in the process does.
    pub salt: u32,
}

impl UniqueIdSource {
    /// Hex of IP, process, salt, time and counter: 32 characters, 56 for IPv6. `since_month_start`
    /// is in milliseconds of local time (Java: mqadmin finds the day by it); `counter` is to
    /// differ within a millisecond.
    pub fn id(&self, since_month_start: u32, counter: u16) -> MessageId {
        let mut bytes = [0u8; BYTES_MAX];
        let ip_len = put_ip(&mut bytes, self.ip);
        bytes[ip_len..ip_len + 2].copy_from_slice(&self.process_id.to_be_bytes());
        bytes[ip_len + 2..ip_len + 6].copy_from_slice(&self.salt.to_be_bytes());
        bytes[ip_len + 6..ip_len + 10].copy_from_slice(&since_month_start.to_be_bytes());
        bytes[ip_len + 10..ip_len + 12].copy_from_slice(&counter.to_be_bytes());
        MessageId::new(&bytes[..ip_len + 12])
    }
}

fn put_ip(bytes: &mut [u8; BYTES_MAX], ip: IpAddr) -> usize {
    match ip {
        IpAddr::V4(ip) => {
            bytes[..4].copy_from_slice(&ip.octets());
            4
        }
        IpAddr::V6(ip) => {
            bytes[..16].copy_from_slice(&ip.octets());
            16
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_ids_are_javas_and_read_back() {
        let id = "7F0000010000326F0000000000000113";
        let host = "127.0.0.1:12911".parse().unwrap();
        assert_eq!(&*offset_id(host, PhysicalOffset(0x113)), id);
        assert_eq!(parse_offset_id(id), Ok((host, PhysicalOffset(0x113))));
        let host = "[2001:db8::1]:10911".parse().unwrap();
        let id = offset_id(host, PhysicalOffset(u64::MAX));
        assert_eq!(id.len(), 56);
        assert_eq!(parse_offset_id(&id), Ok((host, PhysicalOffset(u64::MAX))));
    }

    #[test]
    fn what_is_no_offset_id_is_refused() {
        assert_eq!(parse_offset_id("7F"), Err(MessageIdError::Length(2)));
        let id = "é".repeat(16);
        assert_eq!(parse_offset_id(&id), Err(MessageIdError::NotHex(id)));
    }

    #[test]
    fn unique_ids_have_javas_length() {
        let source =
            UniqueIdSource { ip: "10.0.0.1".parse().unwrap(), process_id: 0x24c, salt: 0x830946 };
        assert_eq!(&*source.id(0x5a924c7, 1), "0A000001024C0083094605A924C70001");
        let source = UniqueIdSource { ip: "::1".parse().unwrap(), ..source };
        assert_eq!(source.id(0, 0).len(), 56);
    }
}
