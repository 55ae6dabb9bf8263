//! Directed cases.

mod cluster;

use cluster::Cluster;
use skua_protocol::Millis;
use skua_raft::{Change, PeerId};
use skua_store::disk::Crash;

fn elected(cluster: &mut Cluster) -> u64 {
    elected_within(cluster, 20_000)
}

fn elected_within(cluster: &mut Cluster, ms: i64) -> u64 {
    cluster.run_until(ms, "a leader", |cluster| cluster.leader().is_some());
    cluster.leader().expect("just seen")
}

#[test]
fn one_two_and_three_members_elect_and_agree() {
    for members in 1..=3 {
        for sync in [false, true] {
            let mut cluster = Cluster::new(members, members, sync);
            cluster.start_all();
            let leader = elected(&mut cluster);
            for _ in 0..100 {
                assert!(cluster.send(leader));
                cluster.run(10);
            }
            cluster.run_until(5000, "all are answered", |cluster| cluster.awaited() == 0);
            assert_eq!(cluster.truth.acknowledged(), 100);
            let all: Vec<u64> = (1..=members).collect();
            cluster.heal_and_check(&all);
        }
    }
}

#[test]
fn when_the_leader_dies_another_goes_on_with_everything() {
    for crash in [Crash::Process, Crash::Power] {
        let mut cluster = Cluster::new(11, 3, true);
        cluster.start_all();
        for _ in 0..5 {
            let leader = elected(&mut cluster);
            cluster.run(1000);
            for _ in 0..20 {
                cluster.send(leader);
                cluster.run(10);
            }
            cluster.nodes.get_mut(&leader).expect("there").up_at = cluster.now + 400;
            cluster.crash(leader, crash);
            let at = cluster.now;
            elected(&mut cluster);
            assert!(cluster.now - at < 1500, "elected after {} ms", cluster.now - at);
        }
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// The kernel closes the connections of a process that dies: nobody waits for the timeout.
#[test]
fn a_leader_whose_process_dies_is_followed_at_once() {
    let mut cluster = Cluster::new(12, 3, false);
    cluster.start_all();
    for _ in 0..5 {
        let leader = elected(&mut cluster);
        cluster.run(2000);
        assert_eq!(cluster.leader(), Some(leader));
        cluster.nodes.get_mut(&leader).expect("there").up_at = cluster.now + 1000;
        cluster.crash(leader, Crash::Process);
        let at = cluster.now;
        elected(&mut cluster);
        let took = cluster.now - at;
        assert!(took < 250, "elected after {took} ms, the least timeout is 300");
    }
    cluster.heal_and_check(&[1, 2, 3]);
}

#[test]
fn a_connection_that_flaps_deposes_no_leader_that_others_hear() {
    for seed in 0..10 {
        let mut cluster = Cluster::new(600 + seed, 3, seed % 2 == 0);
        cluster.start_all();
        let leader = elected(&mut cluster);
        cluster.run(1000);
        let term = |cluster: &Cluster| {
            cluster.nodes[&leader].life.as_ref().map(|life| life.group.status().term)
        };
        let before = term(&cluster);
        let flaps = (1..=3).find(|id| *id != leader).expect("there are three");
        for nth in 0..100 {
            cluster.end_connection(leader, flaps);
            // Now and then it does not come back for a while.
            if nth % 10 == 0 {
                cluster.cut.insert((leader, flaps));
                cluster.run(700);
                cluster.cut.clear();
            }
            cluster.run(90);
            assert!(cluster.send(leader), "it leads still");
        }
        assert_eq!((cluster.leader(), term(&cluster)), (Some(leader), before), "seed {seed}");
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// What RocketMQ's users lost with two masters (#6468) and a master that came back: a frozen
/// leader goes on as if nothing had happened, and must not be believed.
#[test]
fn what_a_frozen_leader_took_is_neither_acknowledged_nor_seen() {
    for sync in [false, true] {
        let mut cluster = Cluster::new(21, 3, sync);
        cluster.start_all();
        let old = elected(&mut cluster);
        cluster.run(500);
        // Nobody hears it any more; clients do.
        let others: Vec<u64> = (1..=3).filter(|id| *id != old).collect();
        for other in &others {
            cluster.cut.extend([(old, *other), (*other, old)]);
        }
        for _ in 0..10 {
            assert!(cluster.send(old), "it does not know yet");
        }
        cluster.nodes.get_mut(&old).expect("there").paused_until = cluster.now + 3000;
        let new = others[0];
        cluster.run_until(2500, "another leader", |cluster| {
            cluster.leader().is_some_and(|leader| leader != old)
        });
        let new = cluster.leader().unwrap_or(new);
        for _ in 0..10 {
            assert!(cluster.send(new));
            cluster.run(20);
        }
        cluster.cut.clear();
        cluster.run(3000);
        assert_eq!(cluster.truth.acknowledged(), 10, "those of the new leader");
        assert_eq!(cluster.awaited(), 0, "the others were told that nobody knows");
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// A question costs no entry, and a round of frames answers all that wait.
#[test]
fn who_asks_whether_a_member_leads_still_writes_nothing() {
    for (members, sync) in [(1, false), (3, false), (3, true)] {
        let mut cluster = Cluster::new(700 + members, members, sync);
        cluster.start_all();
        let leader = elected(&mut cluster);
        cluster.run(1000);
        let entries = |cluster: &Cluster| {
            let life = cluster.nodes[&leader].life.as_ref().expect("it lives");
            (life.group.status().last, life.store.appended())
        };
        let before = entries(&cluster);
        cluster.seen = Some(Vec::new());
        for _ in 0..100 {
            assert!(cluster.ask(leader));
        }
        cluster.run_until(100, "all are answered", |cluster| cluster.open_questions() == 0);
        assert_eq!((cluster.led, entries(&cluster)), (100, before));
        let frames = cluster.seen.take().map_or(0, |seen| seen.len());
        assert!(frames < 40, "{frames} frames");
    }
}

/// A leader that others have left behind is not believed, nor one that was frozen meanwhile.
#[test]
fn a_leader_that_is_cut_off_or_frozen_answers_no_question() {
    for freezes in [false, true] {
        let mut cluster = Cluster::new(710, 3, false);
        cluster.start_all();
        let old = elected(&mut cluster);
        cluster.run(500);
        // Lost frames are repeated.
        let others: Vec<u64> = (1..=3).filter(|id| *id != old).collect();
        let cut: Vec<_> = others.iter().flat_map(|id| [(old, *id), (*id, old)]).collect();
        cluster.cut.extend(cut.clone());
        assert!(cluster.ask(old));
        cluster.run(100);
        assert_eq!((cluster.open_questions(), cluster.led), (1, 0));
        cluster.cut.clear();
        cluster.run(150);
        assert_eq!((cluster.open_questions(), cluster.led), (0, 1));

        cluster.cut.extend(cut);
        if freezes {
            cluster.nodes.get_mut(&old).expect("there").paused_until = cluster.now + 2500;
        }
        assert!(freezes || cluster.ask(old), "it does not know yet");
        cluster.run_until(2400, "another leader", |cluster| {
            cluster.leader().is_some_and(|leader| leader != old)
        });
        cluster.cut.clear();
        if freezes {
            // It wakes, and hears a client before it hears the others.
            cluster.nodes.get_mut(&old).expect("there").paused_until = 0;
            assert!(cluster.ask(old), "it does not know yet");
        }
        cluster.run(1000);
        assert_eq!((cluster.open_questions(), cluster.led), (0, 1), "freezes: {freezes}");
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// A lagging copy became master (#6316, #7689): here it cannot, whoever asks first.
#[test]
fn a_member_that_lags_is_not_elected() {
    let mut cluster = Cluster::new(31, 3, true);
    cluster.start_all();
    let leader = elected(&mut cluster);
    let behind = if leader == 1 { 2 } else { 1 };
    for other in (1..=3).filter(|id| *id != behind) {
        cluster.cut.extend([(behind, other), (other, behind)]);
    }
    for _ in 0..30 {
        assert!(cluster.send(leader));
        cluster.run(10);
    }
    cluster.run(200);
    assert_eq!(cluster.truth.acknowledged(), 30);
    cluster.cut.clear();
    // The leader goes for good; the one behind has waited for long and asks at once.
    cluster.nodes.get_mut(&leader).expect("there").is_wanted = false;
    cluster.crash(leader, Crash::Power);
    let new = elected(&mut cluster);
    assert_ne!(new, behind, "or it is so only after it has everything");
    let all: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
    cluster.heal_and_check(&all);
}

/// The power fails for all at once (#9717): with synchronous flushing nothing is missing.
#[test]
fn everything_acknowledged_outlives_a_power_cut_of_all() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(100 + seed, 3, true);
        cluster.start_all();
        let leader = elected(&mut cluster);
        for _ in 0..40 {
            cluster.send(leader);
            cluster.run(5);
        }
        assert!(cluster.truth.acknowledged() > 0);
        for id in 1..=3 {
            cluster.crash(id, Crash::Power);
        }
        cluster.heal_and_check(&[1, 2, 3]);
    }
}

/// With asynchronous flushing a member may forget what it acknowledged. It must not help to elect
/// somebody who does not have it (#6662).
#[test]
fn a_member_that_forgot_its_tail_does_not_vote_it_away() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(200 + seed, 3, false);
        cluster.start_all();
        let leader = elected(&mut cluster);
        let (forgets, behind) = match leader {
            1 => (2, 3),
            2 => (1, 3),
            _ => (1, 2),
        };
        cluster.run(200);
        // One follower hears nothing, so that two have what is acknowledged.
        for other in [leader, forgets] {
            cluster.cut.extend([(behind, other), (other, behind)]);
        }
        for _ in 0..30 {
            cluster.send(leader);
            cluster.run(5);
        }
        cluster.run(100);
        let before = cluster.truth.acknowledged();
        assert!(before >= 29);
        // One of the two loses its memory, the other is away for a while: the remaining two are
        // enough for an election, and do not have the messages.
        cluster.cut.clear();
        cluster.crash(forgets, Crash::Power);
        cluster.nodes.get_mut(&leader).expect("there").up_at = cluster.now + 4000;
        cluster.crash(leader, Crash::Process);
        cluster.run(3500);
        cluster.heal_and_check(&[1, 2, 3]);
        assert!(cluster.truth.acknowledged() > before);
    }
}

/// An entry without bytes ends where the one before it does: that the log is durable up to there
/// says nothing of it.
#[test]
fn an_election_right_behind_a_checkpoint_outlives_two_crashes() {
    // What a power cut takes is by chance.
    (0..20).for_each(|seed| elect_and_crash_twice(2 * seed + 1));
}

fn elect_and_crash_twice(seed: u64) {
    let mut cluster = Cluster::new(seed, 3, false);
    cluster.start_all();
    let first = elected(&mut cluster);
    // The entry of the election is the last in its file of the index: nothing else syncs that.
    let last = |cluster: &Cluster| {
        cluster.nodes[&first].life.as_ref().map_or(0, |life| life.group.status().last)
    };
    while last(&cluster) % 16 != 15 {
        cluster.send(first);
        cluster.run(10);
    }
    cluster.run(500);
    for node in cluster.nodes.values_mut() {
        while node.life.as_ref().is_some_and(|life| life.store.dispatch() > 0) {}
        node.work(cluster.now, 17);
    }
    cluster.nodes.get_mut(&first).expect("there").up_at = cluster.now + 400;
    cluster.crash(first, Crash::Process);
    cluster.run_until(5000, "another leader", |cluster| {
        cluster.leader().is_some_and(|leader| leader != first)
    });
    let second = cluster.leader().expect("just seen");
    for _ in 0..5 {
        cluster.send(second);
        cluster.run(10);
    }
    cluster.crash(second, Crash::Process);
    cluster.run(50);
    let leader = elected(&mut cluster);
    // So that something behind is agreed on, too, and the checkpoint says so.
    cluster.send(leader);
    cluster.run(200);
    let node = cluster.nodes.get_mut(&second).expect("there");
    while node.life.as_ref().is_some_and(|life| life.store.dispatch() > 0) {}
    node.work(cluster.now, 17);
    cluster.crash(second, Crash::Power);
    cluster.run(500);
    cluster.heal_and_check(&[1, 2, 3]);
}

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

#[test]
fn bytes_that_are_no_frames_of_the_group_change_nothing() {
    let mut cluster = Cluster::new(51, 3, true);
    cluster.seen = Some(Vec::new());
    cluster.start_all();
    let leader = elected(&mut cluster);
    for _ in 0..50 {
        cluster.send(leader);
        cluster.run(20);
    }
    let seen = cluster.seen.take().expect("just set");
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
        let mut cluster = Cluster::new(seed, 3, true);
        cluster.seen = Some(Vec::new());
        cluster.start_all();
        let leader = elected(&mut cluster);
        for _ in 0..50 {
            cluster.send(leader);
            cluster.run(20);
        }
        let seen = cluster.seen.take().expect("just set");
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
