use std::sync::Arc;

use super::*;
use crate::files::Files;
use crate::files::tests::MemoryFiles;

const NOW: Millis = Millis(1_700_000_000_000);

fn pop<'a>(offsets: &'a [i64], attempt_id: Option<&'a str>) -> OrderedPop<'a> {
    OrderedPop { attempt_id, pop_time: NOW, invisible_time: 1000, offsets }
}

#[test]
fn javas_file_is_read_and_written() {
    let files = Arc::new(MemoryFiles::default());
    let text = br#"{"table":{"T@g":{3:{"a":"one","cm":1,"i":1000,"l":1700000000000,"o":[5,1],"oc":{6:2},"popTime":1700000000000}}}}"#;
    files.write(FILE, text).expect("in memory");
    let open = || Orders::open(ConfigFile::new(files.clone(), FILE)).expect("whole");
    let orders = open();
    assert!(orders.blocks("T", "g", 3, None, 0, NOW.plus(999)));
    assert!(!orders.blocks("T", "g", 3, Some("one"), 0, NOW));
    assert!(!orders.blocks("T", "g", 3, None, 0, NOW.plus(1000)));
    assert_eq!(orders.ack("T", "g", 3, 6, NOW.0), Acked::Commit(7));
    orders.save().expect("in memory");
    let orders = open();
    assert!(!orders.blocks("T", "g", 3, None, 0, NOW));
    // Delivered twice before, and once more now.
    let counts = orders.popped("T", "g", 3, &pop(&[6], None), NOW);
    assert_eq!(counts, Counts { each: vec![(6, 3)], least: 3 });
}

#[test]
fn acknowledgements_count_for_their_own_pop() {
    let orders =
        Orders::open(ConfigFile::new(Arc::new(MemoryFiles::default()), FILE)).expect("nothing");
    assert_eq!(orders.ack("T", "g", 0, 4, 1), Acked::Commit(5), "nothing is known of the queue");
    orders.popped("T", "g", 0, &pop(&[4, 5, 7], None), NOW);
    assert_eq!(orders.ack("T", "g", 0, 4, 1), Acked::Stale);
    assert_eq!(orders.ack("T", "g", 0, 6, NOW.0), Acked::Unknown);
    assert_eq!(orders.ack("T", "g", 0, 5, NOW.0), Acked::Commit(4));
    assert_eq!(orders.ack("T", "g", 0, 4, NOW.0), Acked::Commit(7));
    assert_eq!(orders.ack("T", "g", 0, 7, NOW.0), Acked::Commit(8));
    assert!(!orders.blocks("T", "g", 0, None, 0, NOW));
}

#[test]
fn queues_are_announced_when_they_may_be_free() {
    let orders =
        Orders::open(ConfigFile::new(Arc::new(MemoryFiles::default()), FILE)).expect("nothing");
    orders.popped("T", "g", 0, &pop(&[4], None), NOW);
    assert_eq!(orders.run_due(NOW), (vec![], Some(NOW.plus(1000))));
    orders.change("T", "g", 0, 4, NOW.0, NOW.plus(5000));
    let (free, next) = orders.run_due(NOW.plus(1000));
    assert_eq!((free.len(), next), (1, Some(NOW.plus(5000))));
    assert!(orders.blocks("T", "g", 0, None, 0, NOW.plus(4999)));
    assert_eq!(orders.run_due(NOW.plus(5000)).0.len(), 1);
}
