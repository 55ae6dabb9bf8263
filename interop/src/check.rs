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
