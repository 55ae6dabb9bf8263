//! What the machine says about itself: names, addresses, folders. The only place that asks.

use std::net::{IpAddr, Ipv4Addr};

/// Addresses that were not chosen, as far as they are told.
const OTHERS_TOLD_MAX: usize = 3;

/// An address to advertise, and in words why it was chosen.
pub struct Advertised {
    pub ip: IpAddr,
    pub reason: String,
    /// Found on this machine, not told by an argument.
    pub is_found: bool,
}

/// An address of a network card.
struct Card {
    name: String,
    ip: IpAddr,
    is_up: bool,
    is_point_to_point: bool,
}

pub fn advertised_ip() -> Advertised {
    let mut listed = if_addrs::get_if_addrs().unwrap_or_default();
    listed.sort_by_key(|interface| interface.index);
    let cards = listed.into_iter().map(|interface| Card {
        ip: interface.ip(),
        is_up: interface.is_oper_up(),
        is_point_to_point: interface.is_p2p(),
        name: interface.name,
    });
    choose(&cards.collect::<Vec<_>>())
}

/// The address other machines most likely reach this one at, of cards in the machine's order. As
/// RocketMQ: IPv4 before IPv6, public before private, loopback only when there is nothing else; of
/// several public ones the last, of several private ones the first, since a JVM lists them from the
/// last to the first. Beyond it, addresses of containers' bridges, of tunnels and those that a
/// machine gave itself come last, since no client outside can reach them.
fn choose(cards: &[Card]) -> Advertised {
    let ranked = cards.iter().enumerate();
    let mut ranked: Vec<_> =
        ranked.filter_map(|(at, card)| Some((rank(card)?, at as i64, card))).collect();
    ranked.sort_by_key(|(rank, at, _)| (*rank, if *rank == PUBLIC { -at } else { *at }));
    let (ip, reason) = match &ranked[..] {
        [] => {
            let why = "no other interface is up: only this machine can connect";
            (Ipv4Addr::LOCALHOST.into(), why.to_owned())
        }
        [(.., only)] => (only.ip, format!("address of {}", only.name)),
        [(rank, _, chosen), others @ ..] => {
            let told = others.iter().take(OTHERS_TOLD_MAX);
            let mut told: Vec<_> =
                told.map(|(.., card)| format!("{} ({})", card.ip, card.name)).collect();
            if others.len() > told.len() {
                told.push(format!("{} more", others.len() - told.len()));
            }
            let kind = match *rank {
                PUBLIC => "public address",
                PRIVATE => "private address",
                _ => "address",
            };
            let (name, told) = (&chosen.name, told.join(", "));
            (chosen.ip, format!("{kind} of {name} rather than {told}"))
        }
    };
    Advertised { ip, reason, is_found: true }
}

const PUBLIC: u8 = 0;
const PRIVATE: u8 = 1;

/// Lower is better; `None` for addresses that nobody else can use.
fn rank(card: &Card) -> Option<u8> {
    let bridge = ["docker", "br-", "virbr", "veth", "cni", "flannel", "cali"]
        .iter()
        .any(|prefix| card.name.starts_with(prefix));
    let base = match card.ip {
        _ if !card.is_up => return None,
        ip if ip.is_loopback() || ip.is_unspecified() => return None,
        IpAddr::V4(v4) if v4.is_link_local() => 6,
        IpAddr::V4(v4) if v4.is_private() => PRIVATE,
        IpAddr::V4(_) => PUBLIC,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => return None,
        IpAddr::V6(v6) if v6.is_unique_local() => 3,
        IpAddr::V6(_) => 2,
    };
    Some(base + if bridge || card.is_point_to_point { 10 } else { 0 })
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

    fn card(name: &str, ip: &str) -> Card {
        let (name, ip) = (name.into(), ip.parse().expect("an address"));
        Card { name, ip, is_up: true, is_point_to_point: false }
    }

    fn chosen(cards: &[Card]) -> (String, String) {
        let advertised = choose(cards);
        (advertised.ip.to_string(), advertised.reason)
    }

    #[test]
    fn a_public_address_wins_over_a_private_one_and_a_bridge_comes_last() {
        let mut cards = vec![
            card("docker0", "172.17.0.1"),
            Card { is_point_to_point: true, ..card("tun0", "100.64.0.9") },
            card("eth0", "169.254.3.3"),
            card("eth0", "fd00::1"),
            card("eth0", "2001:db8::1"),
            card("eth0", "192.168.1.4"),
            card("eth1", "8.8.8.8"),
        ];
        cards.extend([card("lo", "127.0.0.1"), card("eth0", "fe80::1")]);
        cards.push(Card { is_up: false, ..card("eth2", "9.9.9.9") });
        let mut order = Vec::new();
        while let Some(at) = cards.iter().position(|card| card.ip == choose(&cards).ip)
            && !cards[at].ip.is_loopback()
        {
            order.push(cards.remove(at).ip.to_string());
        }
        assert_eq!(
            order,
            [
                "8.8.8.8",
                "192.168.1.4",
                "2001:db8::1",
                "fd00::1",
                "169.254.3.3",
                "100.64.0.9",
                "172.17.0.1"
            ]
        );
    }

    #[test]
    fn of_several_public_ones_it_is_the_last_and_of_private_ones_the_first() {
        let public = [card("eth0", "8.8.8.8"), card("eth1", "9.9.9.9")];
        let reason = "public address of eth1 rather than 8.8.8.8 (eth0)";
        assert_eq!(chosen(&public), ("9.9.9.9".into(), reason.into()));
        let private: Vec<_> =
            (1..=6).map(|n| card(&format!("eth{n}"), &format!("10.{n}.0.5"))).collect();
        let reason = "private address of eth1 rather than 10.2.0.5 (eth2), 10.3.0.5 (eth3), \
                      10.4.0.5 (eth4), 2 more";
        assert_eq!(chosen(&private), ("10.1.0.5".into(), reason.into()));
        assert_eq!(chosen(&private[..1]).1, "address of eth1");
        assert_eq!(chosen(&[]).0, "127.0.0.1");
    }
}
