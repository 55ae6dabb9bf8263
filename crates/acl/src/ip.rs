//! Addresses that a rule holds for: one, or all under a prefix.

use std::fmt;
use std::net::IpAddr;

/// `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    ip: IpAddr,
    prefix: u8,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("The source ip is empty.")]
    Empty,
    #[error("The source ip is invalid.")]
    Invalid,
}

impl Network {
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        if text.trim().is_empty() {
            return Err(NetworkError::Empty);
        }
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| NetworkError::Invalid)?;
        let widest = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| NetworkError::Invalid)?,
            None => widest,
        };
        if prefix > widest {
            return Err(NetworkError::Invalid);
        }
        Ok(Self { ip, prefix, text: text.to_owned() })
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let differ = own.to_bits() ^ ip.to_bits();
                differ.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let differ = own.to_bits() ^ ip.to_bits();
                differ.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// As it was given.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_only() {
        let within = |network: &str, ip: &str| {
            let network = Network::parse(network).expect("a network");
            network.contains(ip.parse().expect("an address"))
        };
        assert!(within("192.0.2.1", "192.0.2.1") && !within("192.0.2.1", "192.0.2.2"));
        assert!(within("192.0.2.0/24", "192.0.2.255") && !within("192.0.2.0/24", "192.0.3.0"));
        assert!(within("192.0.2.77/24", "192.0.2.1"), "host bits do not count");
        assert!(within("0.0.0.0/0", "8.8.8.8") && !within("0.0.0.0/0", "::1"));
        assert!(within("2001:db8::/32", "2001:db8:1::1"));
        assert!(!within("2001:db8::/32", "2001:db9::1"));
        assert!(within("::/0", "::1") && within("::1", "0:0:0:0:0:0:0:1"));
        assert!(within("192.0.2.0/24", "::ffff:192.0.2.9"), "a mapped address is the IPv4 one");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["192.0.2", "192.0.2.1/33", "::/129", "a", "192.0.2.1/", "1.2.3.4/-1", "*"] {
            assert_eq!(Network::parse(text), Err(NetworkError::Invalid), "{text}");
        }
        assert_eq!(Network::parse("  "), Err(NetworkError::Empty));
    }
}
