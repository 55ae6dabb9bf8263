//! What was sent against what was received.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Event;

/// Every message sent was received, each once, and nothing else.
pub fn each_once(sent: &[Event], got: &[Event]) {
    let count = |events: &[Event]| {
        let mut counts = BTreeMap::<Vec<String>, usize>::new();
        for event in events {
            *counts.entry(event.message().map(str::to_owned).to_vec()).or_default() += 1;
        }
        counts
    };
    let (sent, got) = (count(sent), count(got));
    let missing: Vec<_> = sent.keys().filter(|m| !got.contains_key(*m)).take(5).collect();
    let strange: Vec<_> = got.keys().filter(|m| !sent.contains_key(*m)).take(5).collect();
    let twice: Vec<_> = got.iter().filter(|(_, n)| **n > 1).take(5).collect();
    assert!(
        missing.is_empty() && strange.is_empty() && twice.is_empty(),
        "{} sent, {} got; missing {missing:?}, never sent {strange:?}, repeated {twice:?}",
        sent.len(),
        got.len()
    );
}

/// Every message sent was received, some perhaps again, and nothing else.
pub fn same_set(sent: &[Event], got: &[Event]) {
    each_once(sent, &first_deliveries(got));
}

/// Every message sent was received; others may be, too.
pub fn contains_all(sent: &[Event], got: &[Event]) {
    let got: BTreeSet<_> = got.iter().map(Event::message).collect();
    let missing: Vec<_> = sent.iter().filter(|event| !got.contains(&event.message())).collect();
    let few = &missing[..missing.len().min(5)];
    assert!(missing.is_empty(), "{} of {} sent are missing: {few:?}", missing.len(), sent.len());
}

/// Whether every message sent was received. To be waited for where others may be received, too: as
/// many as were sent are then not all that were sent.
#[must_use]
pub fn has_all(sent: &[Event], got: &[Event]) -> bool {
    let have: BTreeSet<_> = got.iter().map(Event::message).collect();
    sent.iter().all(|event| have.contains(&event.message()))
}

/// For a failed test: what is missing, and which queue offsets came to whom in what order.
#[must_use]
pub fn who_got_what(sent: &[Event], got: &[Event]) -> String {
    let have: BTreeSet<_> = got.iter().map(Event::message).collect();
    let missing = sent.iter().filter(|event| !have.contains(&event.message()));
    let missing: Vec<_> = missing.map(|event| event.get("body")).collect();
    let mut offsets = BTreeMap::<_, Vec<_>>::new();
    for event in got {
        let at = (event.number("queue"), event.get("by"));
        offsets.entry(at).or_default().push(event.number("offset"));
    }
    let lines =
        offsets.iter().map(|((queue, by), seen)| format!("queue {queue} at {by}: {seen:?}"));
    format!("missing {missing:?}\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// The events without repetitions of a message.
pub fn first_deliveries(got: &[Event]) -> Vec<Event> {
    let mut seen = BTreeSet::new();
    got.iter().filter(|e| seen.insert(e.message())).cloned().collect()
}

/// Within each queue the queue offsets only grow.
pub fn in_order(got: &[Event]) {
    let mut last = BTreeMap::new();
    for event in got {
        let (queue, offset) = (event.number("queue"), event.number("offset"));
        if let Some(before) = last.insert(queue, offset) {
            assert!(before < offset, "queue {queue}: {offset} came after {before}");
        }
    }
}

/// What one producer sent one after the other to a queue stands there in that order.
pub fn in_order_of_sends(sent: &[Event]) {
    let mut last = BTreeMap::new();
    for event in sent {
        let (queue, offset) = ((event.get("by"), event.number("queue")), event.number("offset"));
        if let Some(before) = last.insert(queue, offset) {
            assert!(before < offset, "{queue:?}: {offset} was given after {before}: {event:?}");
        }
    }
}

/// What was sent to a queue after another send was answered stands behind that other, whoever sent
/// them; as told with the times of a flood.
pub fn in_order_of_answers(sent: &[Event]) {
    let mut queues = BTreeMap::<_, Vec<_>>::new();
    for event in sent {
        queues.entry((event.get("broker"), event.number("queue"))).or_default().push(event);
    }
    for (queue, mut begun) in queues {
        let mut ended = begun.clone();
        begun.sort_by_key(|event| event.number("begun"));
        ended.sort_by_key(|event| event.number("ended"));
        let mut ended = ended.into_iter().peekable();
        let mut last = -1;
        for event in begun {
            let begun = event.number("begun") - CLOCKS_APART;
            while let Some(before) = ended.next_if(|other| other.number("ended") < begun) {
                last = last.max(before.number("offset"));
            }
            let offset = event.number("offset");
            assert!(last < offset, "{queue:?}: {offset} was given after {last}: {event:?}");
        }
    }
}

/// Microseconds that clocks of two processes may differ by.
const CLOCKS_APART: i64 = 1000;

/// Within each queue the queue offsets are 0, 1, 2 … up to the last, in this order.
pub fn dense(got: &[Event]) {
    let mut next = BTreeMap::new();
    for event in got {
        let expected: &mut i64 = next.entry(event.number("queue")).or_default();
        assert_eq!(event.number("offset"), *expected, "queue {}", event.get("queue"));
        *expected += 1;
    }
}

/// Every acknowledged message stands at the queue and offset that its answer named.
pub fn at_their_offsets(sent: &[Event], got: &[Event]) {
    let place = |e: &Event| (e.number("queue"), e.number("offset"));
    let stored: BTreeMap<_, _> = got.iter().map(|e| (place(e), e)).collect();
    for event in sent {
        let at = place(event);
        let found = stored.get(&at).unwrap_or_else(|| panic!("nothing at {at:?}: {event:?}"));
        assert_eq!(found.message(), event.message(), "at {at:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    /// Events of one queue: each a queue offset and a body.
    fn events(of: &[(i64, &str)]) -> Vec<Event> {
        of.iter()
            .map(|(offset, body)| {
                Event::parse(&format!("got queue=0 offset={offset} body={body} size=1 crc=1 tag=A"))
            })
            .collect()
    }

    fn fails(check: impl FnOnce() + std::panic::UnwindSafe) -> bool {
        catch_unwind(check).is_err()
    }

    #[test]
    fn a_missing_a_strange_and_a_repeated_message_are_told() {
        let sent = events(&[(0, "a"), (1, "b")]);
        each_once(&sent, &events(&[(1, "b"), (0, "a")]));
        same_set(&sent, &events(&[(1, "b"), (0, "a"), (1, "b")]));
        assert!(fails(|| each_once(&sent, &events(&[(0, "a")]))));
        assert!(fails(|| each_once(&sent, &events(&[(0, "a"), (1, "b"), (2, "c")]))));
        assert!(fails(|| each_once(&sent, &events(&[(0, "a"), (1, "b"), (1, "b")]))));
    }

    #[test]
    fn an_offset_that_went_back_after_an_answer_is_told() {
        let sends = |of: [(i64, i64, i64); 2]| {
            of.map(|(offset, begun, ended)| {
                let times = format!("begun={begun}000 ended={ended}000");
                Event::parse(&format!("sent broker=b queue=0 offset={offset} {times}"))
            })
        };
        in_order_of_answers(&sends([(0, 1, 2), (1, 4, 5)]));
        in_order_of_answers(&sends([(1, 1, 6), (0, 4, 9)]));
        assert!(fails(|| in_order_of_answers(&sends([(1, 1, 2), (0, 4, 5)]))));
    }

    #[test]
    fn order_gaps_and_wrong_places_are_told() {
        in_order(&events(&[(0, "a"), (2, "c")]));
        assert!(fails(|| in_order(&events(&[(2, "c"), (0, "a")]))));
        dense(&events(&[(0, "a"), (1, "b")]));
        assert!(fails(|| dense(&events(&[(0, "a"), (2, "c")]))));
        let sent = events(&[(1, "b")]);
        at_their_offsets(&sent, &events(&[(0, "a"), (1, "b")]));
        assert!(fails(|| at_their_offsets(&sent, &events(&[(0, "b"), (1, "a")]))));
        assert!(fails(|| at_their_offsets(&sent, &events(&[(0, "b")]))));
    }
}
