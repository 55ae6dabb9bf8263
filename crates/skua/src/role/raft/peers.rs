//! From configuration keys to a group's options.

use anyhow::{Context, bail, ensure};
use skua_config::{FlushDiskType, Settings};
use skua_raft::{GroupOptions, Peer, PeerId};

/// Ticks without a leader until an election, where the machine or the disk is slow.
const SLOW_ELECTION_TICKS: usize = 20;

/// The number behind the letter of `n0`, plus one: 0 is the master's broker id.
fn id_of(text: &str) -> anyhow::Result<PeerId> {
    let mut letters = text.chars();
    let letter = letters.next().is_some_and(|first| first.is_ascii_alphabetic());
    let number: Option<u64> = letters.as_str().parse().ok();
    match number {
        Some(number) if letter && number < 1000 => Ok(PeerId(number + 1)),
        _ => bail!("`{text}` is not a letter and a number, as n0"),
    }
}

/// `n0-host:port;n1-host:port`.
fn peers_of(text: &str) -> anyhow::Result<Vec<Peer>> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let peers = parts.map(|part| {
        let (id, address) =
            part.split_once('-').with_context(|| format!("`{part}` is not id-host:port"))?;
        let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        ensure!(matches!(port, Some(Ok(1..))), "`{address}` is not host:port");
        Ok(Peer { id: id_of(id)?, address: address.to_owned() })
    });
    peers.collect()
}

/// What the group is told; `None` if there is none. Refuses what cannot be a group.
pub fn group_options(settings: &Settings) -> anyhow::Result<Option<GroupOptions>> {
    let store = &settings.store;
    if !store.enable_dleger_commit_log {
        return Ok(None);
    }
    let wanted = |key: &str, value: &Option<String>| {
        let given = value.clone().filter(|value| !value.is_empty());
        given.with_context(|| format!("enableDLegerCommitLog=true needs {key}"))
    };
    let id = wanted("dLegerSelfId", &store.dleger_self_id)?;
    let id = id_of(&id).context("dLegerSelfId")?;
    let peers = peers_of(&wanted("dLegerPeers", &store.dleger_peers)?).context("dLegerPeers")?;
    let group = store.dleger_group.clone().filter(|group| !group.is_empty());
    let group = group.unwrap_or_else(|| settings.broker.broker_name.clone());
    let named = |peer: PeerId| format!("n{}", peer.0 - 1);
    for (nth, peer) in peers.iter().enumerate() {
        for other in &peers[..nth] {
            ensure!(other.id != peer.id, "dLegerPeers: two members are {}", named(peer.id));
            ensure!(
                other.address != peer.address,
                "dLegerPeers: two members are at {}",
                peer.address
            );
        }
    }
    let known: Vec<String> = peers.iter().map(|peer| named(peer.id)).collect();
    ensure!(
        peers.iter().any(|peer| peer.id == id),
        "dLegerSelfId={} is not among the members of dLegerPeers: {}",
        named(id),
        known.join(", ")
    );
    let mut options = GroupOptions::new(&store.store_path_root_dir, &group, id, peers);
    options.sync = store.flush_disk_type == FlushDiskType::SyncFlush;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if options.sync || cores < 4 {
        options.election_ticks = SLOW_ELECTION_TICKS;
    }
    options.boot = boot_id();
    options.seed = u64::from(std::process::id()) << 32 ^ crate::clock::now().0 as u64;
    Ok(Some(options))
}

/// What a group of so few cannot do, if it is too small for what it is for.
pub fn too_few(voters: usize) -> Option<&'static str> {
    match voters {
        0 | 1 => Some("a group of one has no replica: a lost disk is a lost log"),
        2 => Some("a group of two survives no failure: both are needed to agree"),
        _ => None,
    }
}

/// Members that are to lead if they can, by preference.
pub fn preferred(settings: &Settings) -> anyhow::Result<Vec<PeerId>> {
    let text = settings.store.preferred_leader_id.clone().unwrap_or_default();
    let ids = text.split([';', ',']).map(str::trim).filter(|id| !id.is_empty());
    ids.map(id_of).collect::<anyhow::Result<_>>().context("preferredLeaderId")
}

/// Another one after each start of the machine.
fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let mut boot = [0; 16];
    for (byte, pair) in boot.iter_mut().zip(digits.chunks(2)) {
        *byte = std::str::from_utf8(pair)
            .ok()
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .unwrap_or(0);
    }
    boot
}

/// The port of this member's own entry, where it listens.
pub fn own_port(options: &GroupOptions) -> anyhow::Result<u16> {
    let own = options.peers.iter().find(|peer| peer.id == options.id);
    let own = own.context("a member of its own group")?;
    let (_, port) = own.address.rsplit_once(':').context("host:port")?;
    port.parse().context("a port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_as_rocketmq_writes_them() {
        let peers = peers_of("n0-10.0.0.1:40911; n1-broker-b:40911;n2-[::1]:40911").expect("well");
        let found: Vec<_> = peers.iter().map(|peer| (peer.id.0, &*peer.address)).collect();
        assert_eq!(found, [(1, "10.0.0.1:40911"), (2, "broker-b:40911"), (3, "[::1]:40911")]);
        for bad in ["n0", "n-a:1", "0-a:1", "n0-a", "n0-a:0", "n0-a:x"] {
            assert!(peers_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_member_listens_where_its_own_entry_says_that_it_is() {
        let peers = peers_of("n0-10.0.0.1:40911;n1-broker-b:40912;n2-[::1]:40913").expect("well");
        for (id, port) in [(1, 40911), (2, 40912), (3, 40913)] {
            let options = GroupOptions::new("/store", "g", PeerId(id), peers.clone());
            assert_eq!(own_port(&options).expect("a port"), port);
        }
    }
}
