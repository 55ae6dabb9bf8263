//! A log of which only a part is agreed on: who sees what, and what is taken back.

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use common::{NOW, message, messages, small_options};
use skua_protocol::{PhysicalOffset, QueueId};
use skua_store::disk::{Crash, SimDisk};
use skua_store::{AppendError, Store, StoreOptions};

fn open(disk: &SimDisk, confirmed: u64) -> Store {
    let options = StoreOptions { confirmed: Some(confirmed), ..small_options() };
    Store::open(options, Arc::new(disk.clone()), NOW).expect("opens")
}

fn dispatch(store: &Store) {
    while store.dispatch() > 0 {}
}

fn bodies(store: &Store) -> Vec<String> {
    let all = messages(store, "TopicA", 0);
    all.into_iter().map(|m| String::from_utf8(m.body.to_vec()).expect("text")).collect()
}

#[test]
fn readers_see_what_is_confirmed_and_waiters_hear() {
    let disk = SimDisk::new(1);
    let store = open(&disk, 0);
    let refused = store.append(&message("TopicA", 0, b"early"), NOW);
    assert!(matches!(refused, Err(AppendError::Copy)));
    let (epoch, begin) = store.open_appends().expect("nothing is behind");
    let one = store.append(&message("TopicA", 0, b"one"), NOW).expect("stored");
    let two = store.append(&message("TopicA", 0, b"two"), NOW).expect("stored");
    assert_eq!((one.epoch, one.physical_offset), (epoch, begin));
    dispatch(&store);
    assert!(bodies(&store).is_empty());
    assert!(store.record_at(one.physical_offset, None).expect("reads").is_none());

    let mut context = Context::from_waker(Waker::noop());
    let mut first = pin!(store.confirmed_when(one.end, epoch));
    let mut second = pin!(store.confirmed_when(two.end, epoch));
    assert!(first.as_mut().poll(&mut context).is_pending());
    store.confirm(one.end);
    assert_eq!(first.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    assert!(second.as_mut().poll(&mut context).is_pending());
    dispatch(&store);
    assert_eq!(bodies(&store), ["one"]);

    store.close_appends();
    assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Err(_))));
    let mut late = pin!(store.confirmed_when(one.end, epoch));
    assert_eq!(late.as_mut().poll(&mut context), Poll::Ready(Ok(())), "it was, in its time");
    assert!(store.open_appends().is_none(), "two is not confirmed");
    store.truncate_to(one.end).expect("truncates");
    let (next, begin) = store.open_appends().expect("everything is confirmed");
    let other = store.append(&message("TopicA", 0, b"other"), NOW).expect("stored");
    assert_eq!((other.physical_offset, other.queue_offset.0), (one.end, 1));
    assert_eq!(begin, one.end);
    store.confirm(other.end);
    dispatch(&store);
    assert_eq!(bodies(&store), ["one", "other"]);
    // Waiting for what was taken back never succeeds by what came in its place.
    let mut second = pin!(store.confirmed_when(two.end, epoch));
    assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Err(_))));
    assert!(epoch < next);
}

#[test]
fn a_truncated_log_is_the_same_log_after_any_crash() {
    for crash in [Crash::Process, Crash::Power] {
        for kept in [1, 7, 30] {
            let disk = SimDisk::new(kept);
            let store = open(&disk, 0);
            store.open_appends().expect("nothing is behind");
            let mut ends = Vec::new();
            for n in 0..60 {
                let body = format!("{n}:{}", "x".repeat(n * 13 % 300));
                let stored = store.append(&message("TopicA", 0, body.as_bytes()), NOW);
                ends.push(stored.expect("stored").end);
                if n % 9 == 0 {
                    store.flush_now().expect("flushes");
                    store.files_due(NOW);
                }
            }
            let end = ends[kept as usize - 1];
            store.confirm(end);
            dispatch(&store);
            store.flush_due(skua_protocol::Millis(NOW.0 + 100_000));
            store.close_appends();
            store.truncate_to(end).expect("truncates");
            assert_eq!(store.appended(), end);
            assert!(store.flushed_offset() <= end);
            drop(store);
            disk.reboot(crash);
            let store = open(&disk, end.0);
            assert_eq!(store.appended(), end);
            assert_eq!(bodies(&store).len() as u64, kept);
            store.open_appends().expect("nothing is behind");
            let next = store.append(&message("TopicA", 0, b"new"), NOW).expect("stored");
            assert_eq!(
                (next.physical_offset.max(end), next.queue_offset.0),
                (next.physical_offset, kept)
            );
            store.confirm(next.end);
            dispatch(&store);
            assert_eq!(bodies(&store).last().map(String::as_str), Some("new"));
        }
    }
}

#[test]
fn a_start_dispatches_no_further_than_it_is_told() {
    let disk = SimDisk::new(5);
    let store = open(&disk, 0);
    store.open_appends().expect("nothing is behind");
    let ends: Vec<_> = (0..40)
        .map(|n| {
            store.append(&message("TopicA", 0, format!("{n}").as_bytes()), NOW).expect("stored").end
        })
        .collect();
    store.confirm(ends[29]);
    dispatch(&store);
    drop(store);
    disk.reboot(Crash::Process);
    // It forgot a part of what it knew to be agreed on.
    let store = open(&disk, ends[9].0);
    assert_eq!(store.appended(), ends[39]);
    assert_eq!((store.confirmed(), store.dispatched()), (ends[9], ends[9]));
    assert_eq!(bodies(&store).len(), 10);
    store.confirm(ends[34]);
    dispatch(&store);
    assert_eq!(bodies(&store).len(), 35);
    store.truncate_to(ends[34]).expect("truncates");
    store.open_appends().expect("nothing is behind");
    let next = store.append(&message("TopicA", 0, b"new"), NOW).expect("stored");
    assert_eq!(next.queue_offset.0, 35);
    // Without a place told, all of it counts.
    drop(store);
    disk.reboot(Crash::Process);
    let store = open(&disk, u64::MAX);
    assert_eq!(store.confirmed(), next.end);
    assert_eq!(store.max_offset("TopicA", QueueId(0)).map(|max| max.0), Some(36));
    assert_eq!(store.confirmed(), PhysicalOffset(store.appended().0));
}

#[test]
fn whether_a_broker_leads_still_is_answered_within_its_epoch_alone() {
    let disk = SimDisk::new(3);
    let store = open(&disk, 0);
    let told = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&told);
    store.on_round(Box::new(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }));
    let (epoch, _) = store.open_appends().expect("nothing is behind");
    let mut context = Context::from_waker(Waker::noop());
    let mut first = pin!(store.leads_still(epoch));
    assert_eq!(told.load(std::sync::atomic::Ordering::SeqCst), 1, "nobody else would tell");
    let asked = store.lead_questions();
    let mut second = pin!(store.leads_still(epoch));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(second.as_mut().poll(&mut context).is_pending());
    store.answer_lead_questions(asked);
    assert!(second.as_mut().poll(&mut context).is_pending(), "asked later");

    store.close_appends();
    assert_eq!(first.as_mut().poll(&mut context), Poll::Ready(Ok(())), "it led when it was asked");
    assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Err(_))));
    store.answer_lead_questions(store.lead_questions());
    let (next, _) = store.open_appends().expect("nothing is behind");
    let mut old = pin!(store.leads_still(epoch));
    let mut new = pin!(store.leads_still(next));
    assert!(new.as_mut().poll(&mut context).is_pending());
    store.answer_lead_questions(store.lead_questions());
    assert_eq!(new.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    // Another may have led in between.
    assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Err(_))));
    assert!(matches!(old.as_mut().poll(&mut context), Poll::Ready(Err(_))));
}
