use std::sync::Arc;

use skua_seeds::Random;

use super::*;
use crate::files::SaveError;
use crate::files::tests::MemoryFiles;

fn file_with(content: &[u8]) -> ConfigFile {
    let file = ConfigFile::new(Arc::new(MemoryFiles::default()), FILE);
    let saved: Result<(), SaveError> = file.save(|| content.to_vec());
    saved.expect("memory");
    file
}

fn offsets() -> ConsumerOffsets {
    ConsumerOffsets::new(2, Millis(7))
}

#[test]
fn a_commit_is_read_back_and_may_go_back() {
    let table = offsets();
    assert_eq!(table.committed("g", "t", 0), None);
    table.commit("g", "t", 0, 5, Millis(8));
    table.commit("g", "t", 0, 3, Millis(8));
    assert_eq!(table.committed("g", "t", 0), Some(3));
    assert_eq!(table.committed("g", "t", 1), None);
    assert_eq!(table.committed("h", "t", 0), None);
}

#[test]
fn a_reset_mark_stands_until_a_pull_takes_it() {
    let table = offsets();
    table.commit("g", "t", 0, 5, Millis(8));
    table.reset("g", "t", 0, 1);
    assert!(table.is_reset("g", "t", 0));
    assert_eq!(table.committed("g", "t", 0), Some(1));
    assert_eq!(table.take_reset("g", "t", 0), Some(1));
    assert_eq!(table.take_reset("g", "t", 0), None);
    assert_eq!(table.committed("g", "t", 0), Some(1));
}

#[test]
fn the_file_reads_back_and_javas_bare_keys_read_too() {
    let table = offsets();
    table.commit("g", "t", 0, 5, Millis(8));
    table.commit("g", "t", 3, 6, Millis(9));
    table.note_pull("g", "t", Pulled { queue: 0, next: 9 });
    let copy = offsets();
    copy.load(&file_with(&table.encode())).expect("own file");
    assert_eq!(copy.committed("g", "t", 3), Some(6));
    assert_eq!(*lock(&copy.version), DataVersion { counter: 1, state_version: 0, timestamp: 9 });
    let java = br#"{
	"dataVersion":{"counter":0,"stateVersion":0,"timestamp":1795465088933},
	"groupTopicMap":{"CG":["TopicA"]},
	"offsetTable":{"TopicA@CG":{
			0:3,
			1:4
		}}
}"#;
    copy.load(&file_with(java)).expect("Java's file");
    assert_eq!(copy.committed("CG", "TopicA", 1), Some(4));
}

#[test]
fn a_broken_file_is_an_error_and_changes_nothing() {
    let table = offsets();
    assert!(table.load(&file_with(b"{\"offsetTable\":")).is_err());
    assert_eq!(table.committed_pairs(), []);
}

#[test]
fn topics_and_groups_are_found_by_each_other_and_forgotten() {
    let table = offsets();
    table.commit("g", "t", 0, 1, Millis(0));
    table.commit("g", "u", 0, 1, Millis(0));
    table.commit("h", "t", 0, 1, Millis(0));
    table.note_pull("only-pulled", "t", Pulled { queue: 0, next: 1 });
    assert_eq!(table.topics_of("g"), ["t".to_owned(), "u".to_owned()].into());
    assert_eq!(table.groups_of("t"), ["g".to_owned(), "h".to_owned()].into());
    table.remove_topic("t");
    assert_eq!(table.topics_of("g"), ["u".to_owned()].into());
    table.remove_group("g");
    assert_eq!(table.committed_pairs(), []);
}

#[test]
fn an_unchanged_table_is_not_written_again() {
    let table = offsets();
    assert!(table.encode_if_changed().is_none());
    table.commit("g", "t", 0, 1, Millis(0));
    assert!(table.encode_if_changed().is_some());
    assert!(table.encode_if_changed().is_none());
}

/// How many seeds are tried; `SEED=n` tries one, `SEEDS=n` that many.
const SEEDS: u64 = 10_000;

/// What a table must know: by group, topic and queue.
type Known = BTreeMap<(u64, u64, i32), i64>;

fn committed(table: &ConsumerOffsets) -> Known {
    let mut known = Known::new();
    for group in 0..3 {
        for topic in 0..3 {
            let queues = table.committed_queues(&format!("g{group}"), &format!("t{topic}"));
            known.extend(queues.into_iter().map(|(queue, offset)| ((group, topic, queue), offset)));
        }
    }
    known
}

/// Commits, resets, deletions, writes and restarts in any order: what was committed is known,
/// what was written is known after a restart, and a reset is taken exactly once.
fn play(seed: u64) {
    let mut chance = Random(seed);
    let files = std::sync::Arc::new(crate::files::tests::MemoryFiles::default());
    let file = ConfigFile::new(files, FILE);
    let mut table = ConsumerOffsets::new(1, Millis(0));
    let (mut known, mut written) = (Known::new(), Known::new());
    let mut resets = BTreeMap::new();
    for step in 0..48 {
        let (group, topic) = (chance.below(3), chance.below(3));
        let (queue, offset) = (chance.below(4) as i32, chance.below(1_000) as i64);
        let (g, t) = (format!("g{group}"), format!("t{topic}"));
        let key = (group, topic, queue);
        match chance.below(16) {
            0..=7 | 14 => {
                table.commit(&g, &t, queue, offset, Millis(step));
                known.insert(key, offset);
            }
            8 => {
                table.reset(&g, &t, queue, offset);
                known.insert(key, offset);
                resets.insert(key, offset);
            }
            9 => assert_eq!(table.take_reset(&g, &t, queue), resets.remove(&key)),
            10 => table.note_pull(&g, &t, Pulled { queue, next: offset }),
            11 => {
                table.remove_topic(&t);
                known.retain(|(_, of, _), _| *of != topic);
                resets.retain(|(_, of, _), _| *of != topic);
            }
            12 => {
                let to = chance.below(3);
                table.clone_group(&g, &format!("g{to}"), &t);
                let cloned: Vec<_> = known
                    .iter()
                    .filter(|((of, at, _), _)| (*of, *at) == (group, topic))
                    .map(|((_, _, queue), offset)| ((to, topic, *queue), *offset))
                    .collect();
                known.extend(cloned);
            }
            13 => {
                if let Some(content) = table.encode_if_changed() {
                    file.save(|| content).expect("memory");
                }
                written.clone_from(&known);
            }
            _ => {
                table = ConsumerOffsets::new(1, Millis(0));
                table.load(&file).expect("its own file");
                known.clone_from(&written);
                resets.clear();
            }
        }
        if step % 8 != 7 {
            continue;
        }
        assert_eq!(committed(&table), known, "after step {step}");
        for (key, offset) in &resets {
            let (g, t) = (format!("g{}", key.0), format!("t{}", key.1));
            assert!(table.is_reset(&g, &t, key.2), "reset to {offset} forgotten at step {step}");
        }
    }
}

#[test]
fn offsets_are_kept_under_every_seed() {
    skua_seeds::each(SEEDS, play);
}
