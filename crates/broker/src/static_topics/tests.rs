use super::*;
use crate::files::tests::MemoryFiles;

fn item(generation: i32, bname: &str, logic_offset: i64, end_offset: i64) -> Item {
    Item { generation, bname: bname.into(), logic_offset, end_offset, ..Item::default() }
}

fn mapping(epoch: i64, items: Vec<Item>) -> Mapping {
    Mapping {
        bname: "b1".into(),
        epoch,
        hosted_queues: [(0, items)].into(),
        topic: "S".into(),
        total_queues: 1,
        scope: Some("__global__".into()),
        ..Mapping::default()
    }
}

fn open(files: &Arc<MemoryFiles>) -> StaticTopics {
    StaticTopics::open("b1", ConfigFile::new(files.clone(), FILE), Millis(0)).expect("readable")
}

#[test]
fn an_offset_lies_in_the_item_that_began_last_before_it() {
    let items = [item(0, "b1", 0, 10), item(1, "b2", 10, 5), item(2, "b1", -1, -1)];
    let of = |offset| item_of(&items, offset).map(|item| item.generation);
    assert_eq!(
        [of(-5), of(0), of(9), of(10), of(99)],
        [Some(0), Some(0), Some(0), Some(1), Some(1)]
    );
    assert_eq!(next_item(&items, 0).map(|item| item.generation), Some(1));
    assert!(next_item(&items, 1).is_none(), "its place is not decided");
    assert_eq!(items[1].logical(3), 13);
    assert_eq!(items[1].physical(13), 3);
    assert_eq!((items[1].logical_within(99), items[2].logical_within(3)), (15, -1));
}

#[test]
fn mappings_may_grow_and_not_change() {
    let table = open(&Arc::default());
    let put = |mapping: Mapping, force| {
        table.check("S", &mapping, force).map(|()| table.set(mapping, Millis(1)).expect("memory"))
    };
    put(mapping(5, vec![item(0, "b1", 0, -1)]), false).expect("new");
    let refused = |mapping| put(mapping, false).expect_err("refused").to_string();
    let text = refused(mapping(4, vec![item(0, "b1", 0, -1)]));
    assert_eq!(text, "Can't accept data with small epoch 4 < 5");
    let text = refused(mapping(5, vec![item(0, "b1", 0, 10), item(1, "b2", 20, -1)]));
    assert_eq!(text, "The new leader is different but epoch equal");
    let text = refused(mapping(6, vec![item(0, "b2", 0, -1)]));
    assert_eq!(text, "The item of gen 0 differs from the one that is known");
    let text = refused(mapping(6, vec![item(0, "b1", 0, 30), item(1, "b2", 20, -1)]));
    assert_eq!(text, "The max logic offset does not increase monotonically");
    let text = refused(Mapping { bname: "b9".into(), ..mapping(6, vec![]) });
    assert_eq!(text, "The mapping is of broker b9, this is b1");
    put(mapping(6, vec![item(0, "b1", 0, 10), item(1, "b2", 20, -1)]), false).expect("grown");
    assert!(table.get("S").expect("there").led_here(0).is_none());
    put(mapping(1, vec![item(7, "b1", 0, -1)]), true).expect("forced");
    assert_eq!(table.get("S").expect("there").info().curr_id_map, [(0, 0)].into());
}

#[test]
fn the_file_is_javas() {
    let files = Arc::new(MemoryFiles::default());
    let java = r#"{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":7},
        "topicQueueMappingInfoMap":{"S":{"bname":"b1","currIdMap":{},"dirty":false,"epoch":9,
        "hostedQueues":{0:[{"bname":"b1","endOffset":-1,"gen":3,"logicOffset":5,"queueId":2,
        "startOffset":0,"timeOfEnd":-1,"timeOfStart":-1}]},"scope":"__global__","topic":"S",
        "totalQueues":4}}}"#;
    ConfigFile::new(files.clone(), FILE).save(|| java.into()).expect("memory");
    let table = open(&files);
    assert_eq!(table.version().timestamp, 7);
    assert_eq!(table.get("S").expect("there").hosted_queues[&0][0].generation, 3);
    table.set(mapping(10, vec![item(0, "b1", 0, -1)]), Millis(8)).expect("memory");
    let again = open(&files);
    assert_eq!(again.all(), table.all());
    again.remove("S", Millis(9)).expect("memory");
    assert!(open(&files).get("S").is_none());
}
