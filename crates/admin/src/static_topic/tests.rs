use super::*;

fn targets(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// How many queues each broker leads.
fn led(plan: &Plan) -> BTreeMap<String, usize> {
    let queues = queues(&plan.broker_config_map).expect("whole");
    let mut led = BTreeMap::new();
    for items in queues.values() {
        *led.entry(leader(items).to_owned()).or_default() += 1;
    }
    led
}

fn made(total: i32, brokers: &[&str]) -> Plan {
    Plan::grow("S", Parts::new(), total, &targets(brokers), 5_000).expect("a plan")
}

#[test]
fn queues_are_spread_evenly_and_new_ones_come_beside_old_ones() {
    let plan = made(7, &["a", "b", "c"]);
    assert_eq!(plan.epoch, 5_000);
    let mut counts: Vec<usize> = led(&plan).into_values().collect();
    counts.sort();
    assert_eq!(counts, [2, 2, 3]);
    let grown =
        Plan::grow("S", plan.broker_config_map.clone(), 12, &targets(&["a", "b", "c", "d"]), 5_001)
            .expect("a plan");
    assert_eq!(grown.epoch, 6_000, "above what was seen");
    assert_eq!(led(&grown).into_values().collect::<Vec<_>>(), [3, 3, 3, 3]);
    for (broker, part) in &plan.broker_config_map {
        let (old, new) = (part, &grown.broker_config_map[broker]);
        let (old, new) = (old.mapping_detail.as_ref(), new.mapping_detail.as_ref());
        for (queue, items) in &old.expect("static").hosted_queues {
            assert_eq!(new.expect("static").hosted_queues.get(queue), Some(items));
        }
    }
}

#[test]
fn queues_move_to_their_targets_and_begin_behind_what_was_there() {
    let plan = made(6, &["a", "b"]);
    let mut moved = Plan::remap("S", plan.broker_config_map.clone(), &targets(&["b", "c"]), 9_000)
        .expect("a plan");
    assert_eq!(led(&moved), [("b".to_owned(), 3), ("c".to_owned(), 3)].into());
    assert_eq!(moved.broker_to_map_in, targets(&["c"]));
    assert_eq!(moved.broker_to_map_out, targets(&["a"]), "what b leads stays there");
    moved.decide("a", |old| Some(i64::from(old.queue_id) * 5_000)).expect("offsets");
    let of = |plan: &Plan, broker: &str| {
        let mapping = plan.broker_config_map[broker].mapping_detail.clone().expect("static");
        let starts = mapping.hosted_queues.into_values().filter(|items| items.len() > 1);
        let mut starts: Vec<_> = starts.map(|items| items[1].logic_offset).collect();
        starts.sort();
        starts
    };
    assert_eq!(of(&moved, "c"), [10_000, 20_000, 20_000]);
    assert_eq!(of(&moved, "a"), of(&moved, "c"));
    moved.check("S").expect("can be sent");

    // The same plan from its file, after a run that was interrupted.
    let mut again =
        Plan::remap("S", plan.broker_config_map, &targets(&["b", "c"]), 9_000).expect("a plan");
    again.resume(&moved.broker_config_map);
    assert_eq!(of(&again, "c"), [10_000, 20_000, 20_000]);

    let back = Plan::remap("S", moved.broker_config_map, &targets(&["a"]), 9_000).expect("a plan");
    assert_eq!(led(&back), [("a".to_owned(), 6)].into());
    assert_eq!(back.epoch, 10_000);
}

#[test]
fn what_does_not_fit_together_is_no_plan() {
    let parts = made(4, &["a", "b"]).broker_config_map;
    let grow = |parts: &Parts, total, brokers: &[&str]| {
        Plan::grow("S", parts.clone(), total, &targets(brokers), 1).expect_err("refused")
    };
    assert_eq!(grow(&parts, 4, &["a", "b"]), PlanError::Equal);
    assert_eq!(grow(&parts, 3, &["a", "b"]), PlanError::Fewer(3, 4));
    assert_eq!(grow(&parts, 8, &["a"]), PlanError::NotTargeted("b".into()));
    assert_eq!(grow(&Parts::new(), 0, &["a"]), PlanError::Equal);

    let with = |change: &dyn Fn(&mut Part)| {
        let mut parts = parts.clone();
        change(parts.get_mut("b").expect("there"));
        grow(&parts, 8, &["a", "b"])
    };
    let mapping = |part: &mut Part, change: &dyn Fn(&mut TopicQueueMappingDetail)| {
        change(part.mapping_detail.as_mut().expect("static"));
    };
    assert_eq!(with(&|part| part.mapping_detail = None), PlanError::NotStatic("b".into()));
    assert_eq!(with(&|part| mapping(part, &|m| m.dirty = true)), PlanError::Dirty("b".into()));
    assert!(matches!(
        with(&|part| mapping(part, &|m| m.epoch = 7)),
        PlanError::Epoch { new: 7, .. }
    ));
    assert!(matches!(
        with(&|part| mapping(part, &|m| m.total_queues = 9)),
        PlanError::Total { new: 9, .. }
    ));
    assert!(matches!(with(&|part| mapping(part, &|m| m.scope = None)), PlanError::Scope { .. }));
    assert_eq!(with(&|part| mapping(part, &|m| m.hosted_queues.clear())), PlanError::Missing(4, 2));
    let overflow = with(&|part| part.config.write_queue_nums = 1);
    assert_eq!(overflow, PlanError::NoPhysicalQueue("b-1".into()));
    let shared = with(&|part| {
        mapping(part, &|m| {
            m.hosted_queues.values_mut().for_each(|items| items[0].queue_id = 0);
        });
    });
    assert!(matches!(shared, PlanError::Shared(_, _, place) if place == "b-0"));
    assert_eq!(
        Plan::remap("S", parts.clone(), &targets(&[]), 1).expect_err("nowhere to go"),
        PlanError::Elsewhere("a".into())
    );
}

#[test]
fn the_files_of_javas_tool_are_read() {
    let file = r#"{"brokerConfigMap":{"a":{"attributes":{},"mappingDetail":{"bname":"a","currIdMap":{},"dirty":false,"epoch":1700000000000,"hostedQueues":{0:[{"bname":"a","endOffset":-1,"gen":0,"logicOffset":0,"queueId":0,"startOffset":0,"timeOfEnd":-1,"timeOfStart":-1}]},"scope":"__global__","topic":"S","totalQueues":1},"order":false,"perm":6,"readQueueNums":1,"topicFilterType":"SINGLE_TAG","topicName":"S","topicSysFlag":0,"writeQueueNums":1}},"brokerToMapIn":[],"brokerToMapOut":[],"epoch":1700000000000,"topic":"S","type":"CREATE_OR_UPDATE"}"#;
    let plan: Plan = skua_protocol::json::from_slice(file.as_bytes()).expect("a plan");
    assert_eq!(plan.epoch, 1_700_000_000_000);
    assert_eq!((plan.kind, plan.broker_config_map.len()), (Kind::CreateOrUpdate, 1));
    plan.check("S").expect("whole");
    let again: Plan =
        skua_protocol::json::from_slice(&skua_protocol::json::to_vec(&plan)).expect("its own");
    assert_eq!(again, plan);
}
