//! Bytes of strangers between members.

use skua_protocol::Millis;
use skua_raft::PeerId;

use crate::cluster::Cluster;
use crate::elected;

/// Where a frame's body begins, and its checksum is.
const BODY_AT: usize = 56;
const CRC_AT: usize = 52;

fn seal(frame: &mut [u8]) {
    let checked = [&frame[..CRC_AT], &frame[BODY_AT..]].concat();
    frame[CRC_AT..BODY_AT].copy_from_slice(&crc32fast::hash(&checked).to_be_bytes());
}

fn receive(cluster: &mut Cluster, from: u64, to: u64, frame: &[u8]) {
    let now = cluster.now;
    let node = cluster.nodes.get_mut(&to).expect("a member");
    node.run(|life| life.group.receive(PeerId(from), frame, Millis(now)));
    assert!(node.died().is_none());
}

/// A cluster of three that has seen the frames of fifty sends, and its leader.
fn recorded(seed: u64) -> (Cluster, u64) {
    let mut cluster = Cluster::new(seed, 3, true);
    cluster.seen = Some(Vec::new());
    cluster.start_all();
    let leader = elected(&mut cluster);
    for _ in 0..50 {
        cluster.send(leader);
        cluster.run(20);
    }
    (cluster, leader)
}

#[test]
fn bytes_that_are_no_frames_of_the_group_change_nothing() {
    let (mut cluster, leader) = recorded(51);
    let seen = cluster.seen.take().expect("recorded");
    let term = |cluster: &Cluster| {
        cluster.nodes[&leader].life.as_ref().map(|life| life.group.status().term)
    };
    let before = term(&cluster);
    for nth in 0..3000 {
        let (from, to, mut frame) = seen[cluster.random.below(seen.len() as u64) as usize].clone();
        let at = cluster.random.below(frame.len() as u64) as usize;
        match nth % 4 {
            0 => frame.truncate(at),
            1 => frame[at] ^= 1 << (nth % 8),
            2 => frame.extend_from_slice(&[7; 9]),
            // Of another group.
            _ => {
                frame[8] ^= 1;
                seal(&mut frame);
            }
        }
        receive(&mut cluster, from, to, &frame);
        if nth % 100 == 0 {
            cluster.send(leader);
            cluster.run(20);
        }
    }
    assert_eq!((cluster.leader(), term(&cluster)), (Some(leader), before));
    cluster.heal_and_check(&[1, 2, 3]);
}

#[test]
fn forged_frames_panic_nowhere() {
    for seed in 60..64 {
        let (mut cluster, _) = recorded(seed);
        let seen = cluster.seen.take().expect("recorded");
        for nth in 0..1500 {
            let nth_seen = cluster.random.below(seen.len() as u64) as usize;
            let (from, to, mut frame) = seen[nth_seen].clone();
            let body = (frame.len() - BODY_AT) as u64;
            if body == 0 || cluster.nodes[&to].life.is_none() {
                continue;
            }
            for _ in 0..1 + nth % 3 {
                let at = BODY_AT + cluster.random.below(body.min(120)) as usize;
                frame[at] = cluster.random.below(256) as u8;
            }
            seal(&mut frame);
            receive(&mut cluster, from, to, &frame);
        }
    }
}
