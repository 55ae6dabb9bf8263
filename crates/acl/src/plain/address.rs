//! White lists of addresses as `plain_acl.yml` writes them (Java: `RemoteAddressStrategyFactory`).
//!
//! ```text
//! *                        everybody           192.168.0.*     192.168.0.1-20    192.168.*.*
//! 192.168.0.1              one                 192.168.0.{1,2,3}                 192.168.1-3.*
//! 192.168.0.1,192.168.0.9  several             2001:db8::{1,2}  2001:db8::1-ff   2001:db8::*
//! ```

use std::net::IpAddr;
use std::ops::RangeInclusive;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    Nobody,
    Everybody,
    Some(Vec<IpAddr>),
    /// The range of each part of the address: 4 bytes, or 8 groups.
    Ranges(Vec<RangeInclusive<u16>>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address, list or range of addresses")]
pub struct AddressError(pub String);

impl Addresses {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let wrong = || AddressError(text.to_owned());
        if text.is_empty() {
            return Ok(Self::Nobody);
        }
        if matches!(text, "*" | "*.*.*.*" | "*:*:*:*:*:*:*:*") {
            return Ok(Self::Everybody);
        }
        let ip = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| wrong());
        if let Some(rest) = text.strip_suffix('}') {
            // Only the last part may be a choice.
            let (head, choice) = rest.split_once('{').ok_or_else(wrong)?;
            if !head.ends_with(['.', ':']) {
                return Err(wrong());
            }
            let all: Result<_, _> =
                choice.split(',').map(|last| ip(&format!("{head}{}", last.trim()))).collect();
            return Ok(Self::Some(all?));
        }
        if text.contains(',') {
            let all: Result<_, _> =
                text.split(',').filter(|part| !part.is_empty()).map(ip).collect();
            return Ok(Self::Some(all?));
        }
        if text.contains(['*', '-']) {
            return ranges(text).map(Self::Ranges).ok_or_else(wrong);
        }
        Ok(Self::Some(vec![ip(text)?]))
    }

    pub fn contain(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Some(all) => all.iter().any(|own| own.to_canonical() == ip),
            Self::Ranges(ranges) => {
                let parts: Vec<u16> = match ip {
                    IpAddr::V4(ip) => ip.octets().into_iter().map(u16::from).collect(),
                    IpAddr::V6(ip) => ip.segments().into(),
                };
                parts.len() == ranges.len()
                    && parts.iter().zip(ranges).all(|(part, range)| range.contains(part))
            }
        }
    }
}

fn ranges(text: &str) -> Option<Vec<RangeInclusive<u16>>> {
    match text.contains(':') {
        false => {
            let parts: Option<Vec<_>> =
                text.split('.').map(|part| range(part.trim(), 10, 255)).collect();
            parts.filter(|parts| parts.len() == 4 && only_then_wild(parts, 255))
        }
        true => {
            let sides: Vec<&str> = text.split("::").collect();
            let side = |text: &str| -> Option<Vec<_>> {
                let parts = text.split(':').filter(|_| !text.is_empty());
                parts.map(|part| range(part.trim(), 16, u16::MAX)).collect()
            };
            let parts = match sides[..] {
                [whole] => side(whole)?,
                [left, right] => {
                    let (mut left, right) = (side(left)?, side(right)?);
                    let missing = 8_usize.checked_sub(left.len() + right.len())?;
                    left.extend(std::iter::repeat_n(0..=0, missing));
                    left.extend(right);
                    left
                }
                _ => return None,
            };
            Some(parts).filter(|parts| parts.len() == 8 && only_then_wild(parts, u16::MAX))
        }
    }
}

/// Behind the first part that is a range, everything is free: `1.2.3-4.*`, never `1.2.3-4.5`.
fn only_then_wild(parts: &[RangeInclusive<u16>], max: u16) -> bool {
    let mut rest = parts.iter().skip_while(|part| part.start() == part.end());
    rest.next();
    rest.all(|part| (*part.start(), *part.end()) == (0, max))
}

fn range(part: &str, radix: u32, max: u16) -> Option<RangeInclusive<u16>> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
        u16::from_str_radix(text, radix).ok().filter(|number| digits && *number <= max)
    };
    match part.split_once('-') {
        _ if part == "*" => Some(0..=max),
        Some((first, last)) => {
            let range = number(first.trim())?..=number(last.trim())?;
            (!range.is_empty()).then_some(range)
        }
        None => number(part).map(|number| number..=number),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn within(list: &str, ip: &str) -> bool {
        let list = Addresses::parse(list).expect("a list");
        list.contain(ip.parse().expect("an address"))
    }

    #[test]
    fn lists_and_ranges_contain_what_they_say() {
        assert!(within("*", "::1") && within("*.*.*.*", "1.2.3.4") && !within("", "1.2.3.4"));
        assert!(within("192.0.2.1", "192.0.2.1") && !within("192.0.2.1", "192.0.2.2"));
        assert!(within("192.0.2.1,192.0.2.3", "192.0.2.3"));
        assert!(within("192.0.2.{1,3}", "192.0.2.3") && !within("192.0.2.{1,3}", "192.0.2.2"));
        assert!(within("192.0.2.*", "192.0.2.0") && within("192.0.*.*", "192.0.9.9"));
        assert!(within("192.0.2.10-20", "192.0.2.20") && !within("192.0.2.10-20", "192.0.2.21"));
        assert!(within("192.0.2-4.*", "192.0.3.9") && !within("192.0.2-4.*", "192.0.5.9"));
        assert!(!within("192.0.2.*", "192.0.20.1") && !within("192.0.2.*", "::1"));
        assert!(within("192.0.2.*", "::ffff:192.0.2.9"));
    }

    #[test]
    fn so_do_those_of_ipv6() {
        assert!(within("2001:db8::1", "2001:db8:0:0::1"));
        assert!(
            within("2001:db8::{1,f}", "2001:db8::f") && !within("2001:db8::{1,f}", "2001:db8::2")
        );
        assert!(within("2001:db8::*", "2001:db8::ffff") && !within("2001:db8::*", "2001:db8::1:1"));
        assert!(within("2001:db8::10-20", "2001:db8::1f"));
        assert!(within("1:2:3:4:5:6:7-9:*", "1:2:3:4:5:6:8:1"));
        assert!(!within("1:2:3:4:5:6:7-9:*", "1:2:3:4:5:6:a:1"));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "1.2.3",
            "1.2.3.256",
            "1.2.3.4-",
            "1.2.3.9-4",
            "1.2.3-4.5",
            "1.*.3.4",
            "1.2.3.{1,a}",
            "{1,2}",
            "1.2.3{1,2}",
            "1::2::*",
            "1:2:*",
            "a",
            "1.2.3.+4-5",
            "2001:db8::-1",
        ] {
            assert!(Addresses::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9a-f.:*{},-]{0,40}") {
            let _ = Addresses::parse(&text);
        }

        #[test]
        fn ranges_agree_with_numbers(ip: u32, first: u8, last: u8) {
            let ip = std::net::Ipv4Addr::from_bits(ip);
            let [a, b, c, d] = ip.octets();
            let list = Addresses::parse(&format!("{a}.{b}.{c}.{first}-{last}"));
            if first > last {
                prop_assert!(list.is_err());
            } else {
                prop_assert_eq!(list.expect("a range").contain(ip.into()), (first..=last).contains(&d));
            }
        }
    }
}
