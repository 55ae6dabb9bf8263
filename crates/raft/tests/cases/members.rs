//! Members that come, go, are filled and lag; groups that begin.

use skua_raft::{Change, PeerId};
use skua_store::disk::Crash;

use crate::cluster::{self, Cluster};
use crate::{elected, elected_within};

#[test]
fn a_new_member_is_filled_while_sends_go_on_and_takes_over() {
    for sync in [false, true] {
        let mut cluster = Cluster::new(41, 3, sync);
        cluster.expires = true;
        cluster.start_all();
        let leader = elected(&mut cluster);
        for _ in 0..700 {
            cluster.send(leader);
            cluster.run(5);
        }
        let min = cluster.nodes[&leader].life.as_ref().map(|life| life.store.min_physical_offset());
        assert!(min.is_some_and(|min| min.0 > 0), "the log's head has expired");
        change(&mut cluster, Change::AddLearner(cluster::peer(4)));
        cluster.add(4);
        let caught_up = |cluster: &Cluster| {
            let status = cluster.nodes[&leader].life.as_ref().map(|life| life.group.status());
            let peer = status.and_then(|status| status.peers.into_iter().find(|p| p.id.0 == 4));
            peer.is_some_and(|peer| peer.matched.is_some_and(|at| at > 0) && peer.lag < Some(4000))
        };
        for _ in 0..2000 {
            assert!(cluster.send(leader), "sends go on");
            cluster.run(10);
            if caught_up(&cluster) {
                break;
            }
        }
        assert!(caught_up(&cluster), "{}", cluster.describe());
        change(&mut cluster, Change::Promote(PeerId(4)));
        cluster.run(500);
        let life = cluster.nodes.get_mut(&leader).and_then(|node| node.life.as_mut());
        life.expect("it lives").group.transfer(PeerId(4)).expect("begins");
        let before = cluster.unknown;
        cluster.run_until(3000, "the new one leads", |cluster| cluster.leader() == Some(4));
        assert_eq!(cluster.unknown, before, "a transfer leaves no send without an answer");
        let gone = if leader == 1 { 2 } else { 1 };
        change_at(&mut cluster, 4, Change::Remove(PeerId(gone)));
        cluster.run(500);
        let all: Vec<u64> = (1..=4).filter(|id| *id != gone).collect();
        assert_eq!(cluster.members(), all);
        cluster.heal_and_check(&all);
    }
}

fn change(cluster: &mut Cluster, change: Change) {
    let leader = cluster.leader().expect("somebody leads");
    change_at(cluster, leader, change);
}

fn change_at(cluster: &mut Cluster, id: u64, change: Change) {
    let life = cluster.nodes.get_mut(&id).and_then(|node| node.life.as_mut());
    life.expect("it lives").group.propose_change(&change).expect("begins");
    cluster.run(500);
}

#[test]
fn a_brokers_directory_becomes_the_groups() {
    for sync in [false, true] {
        let mut cluster = Cluster::new(51, 3, sync);
        cluster.move_in(2);
        let before = cluster.truth.acknowledged();
        assert!(before > 0);
        cluster.start_all();
        assert_eq!(elected(&mut cluster), 2, "nobody else has anything");
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// Nobody begins a group that another one hears of and does not agree with, and each says which
/// member's list is another, until that is mended.
#[test]
fn members_whose_lists_differ_begin_no_group() {
    let mut moved: Vec<_> = (1..=3).map(cluster::peer).collect();
    moved[0].address = "elsewhere:40911".to_owned();
    // One disagrees with two, or each with each.
    for differ in [1, 2] {
        let mut cluster = Cluster::new(620 + differ, 3, true);
        cluster.lists.insert(3, moved.clone());
        if differ == 2 {
            cluster.lists.insert(2, vec![cluster::peer(2), cluster::peer(3), cluster::peer(4)]);
        }
        cluster.start_all();
        // Longer than a group waits for those that are not there.
        cluster.run(150_000);
        let status = |cluster: &Cluster, id: u64| {
            cluster.nodes[&id].life.as_ref().expect("it lives").group.status()
        };
        for (id, of) in [(1, 3), (2, 3), (3, 1), (3, 2)] {
            let status = status(&cluster, id);
            assert!(!status.begun && status.last == 0, "n{id}: {status:?}");
            let named = |(peer, what): &(PeerId, String)| {
                *peer == PeerId(of) && what.contains("another list")
            };
            assert!(status.troubles.iter().any(named), "n{id} of n{of}: {status:?}");
        }
        assert_eq!(cluster.leader(), None);
        assert!(!cluster.send(1) && !cluster.send(3));
        // An operator gives these the first one's list; that one runs on.
        cluster.lists.clear();
        for id in 2..=3 {
            cluster.nodes.get_mut(&id).expect("there").up_at = cluster.now + 50;
            cluster.crash(id, Crash::Process);
        }
        cluster.run(100);
        cluster.heal_and_check(&[1, 2, 3]);
        cluster.run(2000);
        for id in 1..=3 {
            let status = status(&cluster, id);
            assert!(status.troubles.is_empty(), "n{id}: {status:?}");
        }
    }
}

/// One whose list lacks another does not greet that: after a while the majority begins, and it
/// takes the members from them.
#[test]
fn one_whose_list_is_too_short_is_taken_in_by_a_majority_that_agrees() {
    let mut cluster = Cluster::new(625, 3, true);
    cluster.lists.insert(3, vec![cluster::peer(2), cluster::peer(3)]);
    cluster.start_all();
    cluster.run(100_000);
    assert_eq!(cluster.leader(), None, "it is waited for first");
    elected_within(&mut cluster, 60_000);
    assert_eq!(cluster.members(), [1, 2, 3]);
    cluster.heal_and_check(&[1, 2, 3]);
    cluster.run(2000);
    for id in 1..=3 {
        let life = cluster.nodes[&id].life.as_ref().expect("it lives");
        let status = life.group.status();
        assert!(status.troubles.is_empty(), "n{id}: {status:?}");
    }
}

/// Once a group has begun its log says who is a member, whatever a list says after a restart.
#[test]
fn a_list_that_is_changed_later_changes_no_member() {
    let mut cluster = Cluster::new(630, 3, true);
    cluster.start_all();
    elected(&mut cluster);
    cluster.run(500);
    let others = vec![cluster::peer(1), cluster::peer(3), cluster::peer(4)];
    cluster.lists.insert(3, others);
    cluster.nodes.get_mut(&3).expect("there").up_at = cluster.now + 50;
    cluster.crash(3, Crash::Process);
    cluster.run(3000);
    assert_eq!(cluster.members(), [1, 2, 3]);
    cluster.heal_and_check(&[1, 2, 3]);
    let life = cluster.nodes[&3].life.as_ref().expect("it lives");
    let known: Vec<u64> = life.group.status().peers.iter().map(|peer| peer.id.0).collect();
    assert_eq!(known, [1, 2, 3]);
}

#[test]
fn two_logs_that_began_differently_do_not_mix() {
    let mut cluster = Cluster::new(61, 3, true);
    cluster.move_in(1);
    // The others begin without it, since it is away for long.
    cluster.nodes.get_mut(&1).expect("there").is_wanted = false;
    cluster.nodes.get_mut(&1).expect("there").up_at = i64::MAX;
    cluster.truth = cluster::Truth::default();
    cluster.start(2);
    cluster.start(3);
    cluster.run_until(200_000, "two of three begin", |cluster| cluster.leader().is_some());
    let leader = cluster.leader().expect("just seen");
    for _ in 0..5 {
        assert!(cluster.send(leader));
        cluster.run(20);
    }
    let end = |cluster: &Cluster| cluster.nodes[&1].life.as_ref().map(|life| life.store.appended());
    cluster.start(1);
    let before = end(&cluster);
    cluster.run(5000);
    assert_eq!(end(&cluster), before, "nothing of it is touched");
    let life = cluster.nodes[&1].life.as_ref().expect("it lives");
    let troubles = life.group.status().troubles;
    assert!(troubles.iter().any(|(_, what)| what.contains("began elsewhere")), "{troubles:?}");
}

#[test]
fn one_that_is_left_becomes_the_group_and_grows_again() {
    let mut cluster = Cluster::new(71, 3, true);
    cluster.start_all();
    let leader = elected(&mut cluster);
    for _ in 0..40 {
        cluster.send(leader);
        cluster.run(10);
    }
    cluster.run_until(5000, "all are answered", |cluster| cluster.awaited() == 0);
    cluster.run(500);
    for id in 1..=3 {
        let node = cluster.nodes.get_mut(&id).expect("there");
        (node.is_wanted, node.up_at) = (id == 1, i64::MAX);
        cluster.crash(id, Crash::Power);
    }
    let disk: std::sync::Arc<dyn skua_store::Disk> =
        std::sync::Arc::new(cluster.nodes[&1].disk.clone());
    let sole = skua_raft::make_sole(&cluster.options(1), &disk).expect("is the group now");
    assert!(sole.last >= sole.known && sole.last > 0);
    cluster.start(1);
    assert_eq!(elected(&mut cluster), 1);
    for _ in 0..10 {
        assert!(cluster.send(1));
        cluster.run(10);
    }
    // One of the others as it was is not heard; with an empty directory it is a new member.
    cluster.start(2);
    cluster.run(3000);
    let heard = cluster.nodes[&2].life.as_ref().expect("it lives").group.status();
    assert!(heard.troubles.iter().any(|(_, what)| what.contains("began elsewhere")), "{heard:?}");
    for id in [2, 3] {
        cluster.nodes.get_mut(&id).expect("there").wipe();
        cluster.truth.forget(id);
        change(&mut cluster, Change::AddLearner(cluster::peer(id)));
        cluster.start(id);
        cluster.run(3000);
        change(&mut cluster, Change::Promote(PeerId(id)));
    }
    cluster.heal_and_check(&[1, 2, 3]);
    assert!(cluster.truth.acknowledged() > 50);
}

#[test]
fn a_member_that_was_removed_while_it_was_away_learns_it_and_stands_for_no_election() {
    let mut cluster = Cluster::new(31, 3, true);
    cluster.start_all();
    let leader = elected(&mut cluster);
    assert!(cluster.send(leader));
    cluster.run(2000);
    let gone = (1..=3).find(|id| *id != leader).expect("there are three");
    cluster.crash(gone, Crash::Process);
    if let Some(node) = cluster.nodes.get_mut(&gone) {
        node.up_at = i64::MAX;
    }
    change_at(&mut cluster, leader, Change::Remove(PeerId(gone)));
    cluster.run_until(5000, "it is removed", |cluster| cluster.members().len() == 2);
    if let Some(node) = cluster.nodes.get_mut(&gone) {
        node.up_at = 0;
    }
    let told = |cluster: &Cluster| {
        let life = cluster.nodes[&gone].life.as_ref();
        life.and_then(|life| life.group.status().put_out).is_some()
    };
    cluster.run_until(20_000, "it is told", told);
    let term = |cluster: &Cluster, id: u64| {
        cluster.nodes[&id].life.as_ref().map(|life| life.group.status().term)
    };
    let before = (term(&cluster, leader), term(&cluster, gone));
    cluster.run(20_000);
    assert_eq!((term(&cluster, leader), term(&cluster, gone)), before);
    // Counted in again, it forgets it.
    change_at(&mut cluster, leader, Change::AddLearner(cluster::peer(gone)));
    cluster.run_until(20_000, "it is taken back", |cluster| !told(cluster));
    change_at(&mut cluster, leader, Change::Promote(PeerId(gone)));
    cluster.run(3000);
    cluster.heal_and_check(&[1, 2, 3]);
}

#[test]
fn a_follower_far_behind_is_sent_what_is_on_the_disk_alone() {
    let mut cluster = Cluster::new(42, 3, true);
    cluster.start_all();
    let leader = elected(&mut cluster);
    let behind = (1..=3).find(|id| *id != leader).expect("there are three");
    cluster.crash(behind, Crash::Process);
    if let Some(node) = cluster.nodes.get_mut(&behind) {
        node.up_at = i64::MAX;
    }
    for _ in 0..600 {
        cluster.send(leader);
        cluster.run(10);
    }
    // A follower that keeps up is sent what is in memory, but for a round at the end of a window.
    let before = cluster.cold_reads;
    assert!(before <= 2, "{before} reads");
    if let Some(node) = cluster.nodes.get_mut(&behind) {
        node.up_at = 0;
    }
    cluster.run(20_000);
    assert!(cluster.cold_reads > before + 5, "{} reads", cluster.cold_reads);
    cluster.heal_and_check(&[1, 2, 3]);
}
