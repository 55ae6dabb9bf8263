//! Flow control (`haFlowControlEnable`, `maxHaTransferByteInSecond`): so many bytes in a second and no
//! more, whatever the clock does, and no slower than that.

use skua_ha::{MasterAct, MasterLink, MasterRules, Span};
use skua_protocol::Millis;

const LIMIT: u64 = 10_000;
const LOG: Span = Span { min: 0, end: 100_001 };
const START: Millis = Millis(1_700_000_000_000);

fn link() -> MasterLink {
    let rules = MasterRules {
        batch: 700,
        heartbeat_ms: 500,
        housekeeping_ms: 1 << 40,
        bytes_per_second: Some(LIMIT),
        group: 1,
        file_size: 1 << 20,
    };
    let mut link = MasterLink::new(rules, 0, START);
    link.received(&1_i64.to_be_bytes(), LOG, START);
    link
}

/// Bytes that are sent now, and when there may be more.
fn sent(link: &mut MasterLink, now: Millis) -> (u64, Millis) {
    let mut bytes = 0;
    loop {
        match link.act(LOG, now) {
            MasterAct::Transfer { len, .. } => bytes += len as u64,
            MasterAct::Write(_) => {}
            MasterAct::Wait(until) => return (bytes, until),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_second_has_so_many_bytes_and_all_of_them() {
    let (mut link, mut now) = (link(), START);
    let mut seconds = Vec::new();
    while link.sent() < LOG.end {
        let (bytes, until) = sent(&mut link, now);
        assert!(until > now, "it does not spin");
        if bytes > 0 {
            seconds.push((now, bytes));
        }
        now = until;
    }
    assert!(seconds.iter().all(|(_, bytes)| *bytes <= LIMIT), "{seconds:?}");
    assert!(seconds.windows(2).all(|two| two[1].0.since(two[0].0) >= 1000), "{seconds:?}");
    assert!(seconds.len() == 10 && now.since(START) <= 10_500, "no slower: {seconds:?}");
}

#[test]
fn a_clock_that_is_set_stops_nothing() {
    for by in [-86_400_000, 86_400_000] {
        let mut link = link();
        assert_eq!(sent(&mut link, START).0, LIMIT);
        assert_eq!(sent(&mut link, START.plus(10)).0, 0);
        let now = START.plus(by);
        // It begins a second of its own.
        let (bytes, until) = sent(&mut link, now);
        assert!(bytes <= LIMIT && until.since(now) <= 1000);
        assert_eq!(sent(&mut link, now.plus(1000)).0, LIMIT);
    }
}
