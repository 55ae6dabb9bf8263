//! What the machine says about itself: names, addresses, folders. The only place that asks.

use std::net::{IpAddr, Ipv4Addr};

/// An address to advertise, and in words why it was chosen.
pub struct Advertised {
    pub ip: IpAddr,
    pub reason: String,
}

/// The address other machines most likely reach this one at. As RocketMQ: IPv4 before IPv6,
/// public before private, loopback only when there is nothing else; beyond it, container bridges
/// come last, since no client outside can reach them.
pub fn advertised_ip() -> Advertised {
    let mut best: Option<(u8, IpAddr, String)> = None;
    for interface in if_addrs::get_if_addrs().unwrap_or_default() {
        let ip = interface.ip();
        if let Some(rank) = rank(ip, &interface.name)
            && best.as_ref().is_none_or(|(held, ..)| rank < *held)
        {
            best = Some((rank, ip, interface.name));
        }
    }
    match best {
        Some((_, ip, name)) => Advertised { ip, reason: format!("address of {name}") },
        None => Advertised {
            ip: Ipv4Addr::LOCALHOST.into(),
            reason: "no other interface is up: only this machine can connect".into(),
        },
    }
}

/// Lower is better; `None` for addresses that nobody else can use.
fn rank(ip: IpAddr, interface: &str) -> Option<u8> {
    let bridge = ["docker", "br-", "virbr", "veth", "cni", "flannel", "cali"]
        .iter()
        .any(|prefix| interface.starts_with(prefix));
    let base = match ip {
        _ if ip.is_loopback() || ip.is_unspecified() => return None,
        IpAddr::V4(v4) if v4.is_link_local() => 6,
        IpAddr::V4(v4) if v4.is_private() => 1,
        IpAddr::V4(_) => 0,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => return None,
        IpAddr::V6(v6) if v6.is_unique_local() => 3,
        IpAddr::V6(_) => 2,
    };
    Some(base + if bridge { 10 } else { 0 })
}

/// The host's name, RocketMQ's default for `brokerName`.
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "DEFAULT_BROKER".into() } else { name }
}

/// The home folder, under which RocketMQ's default paths lie.
pub fn home() -> String {
    std::env::var("HOME").ok().filter(|home| !home.is_empty()).unwrap_or_else(|| "/".into())
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_wins_over_a_private_one_and_a_bridge_comes_last() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let ranks = [
            rank(ip("8.8.8.8"), "eth1"),
            rank(ip("192.168.1.4"), "eth0"),
            rank(ip("2001:db8::1"), "eth0"),
            rank(ip("fd00::1"), "eth0"),
            rank(ip("169.254.3.3"), "eth0"),
            rank(ip("172.17.0.1"), "docker0"),
        ];
        assert!(ranks.windows(2).all(|pair| pair[0].unwrap() < pair[1].unwrap()), "{ranks:?}");
        assert_eq!(rank(ip("127.0.0.1"), "lo"), None);
        assert_eq!(rank(ip("fe80::1"), "eth0"), None);
    }
}
