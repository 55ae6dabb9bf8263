//! What a master knows of its slaves, and who waits for them.
//!
//! Each connection keeps its own row up to date; a waiting send is answered by the row that
//! completes its copies. Waiting is a plain future, without a runtime.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use skua_protocol::Millis;

/// Hosts whose progress is remembered over a reconnect.
const HOSTS_MAX: usize = 64;

/// Copies beside the master's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Copies {
    AtLeast(usize),
    /// Every slave that is in sync, and at least so many.
    EverySynced(usize),
}

/// How far one slave is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// It holds everything before; `None`: nothing that could be relied on.
    pub acked: Option<u64>,
    /// What it says, believed or not: worth waiting for, but not an answer.
    pub reported: Option<u64>,
    pub sent: u64,
    /// Where the transfer began; `None` before it has.
    pub requested: Option<u64>,
    pub broker_id: Option<i64>,
    pub lag_ms: i64,
    /// Bytes of log sent in the second before.
    pub bytes_per_second: u64,
}

/// A slave as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    pub addr: SocketAddr,
    pub since: Millis,
    pub progress: Progress,
    pub in_sync: bool,
}

#[derive(Debug)]
struct Row {
    addr: SocketAddr,
    since: Millis,
    progress: Progress,
    /// What it had reported when a later connection with its broker id began to report.
    succeeded_at: Option<u64>,
    is_twin: bool,
}

impl Row {
    fn new(addr: SocketAddr, since: Millis) -> Self {
        let progress = Progress::default();
        Self { addr, since, progress, succeeded_at: None, is_twin: false }
    }
}

/// Two slaves at work with one broker id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twins {
    pub broker_id: i64,
    pub one: SocketAddr,
    pub other: SocketAddr,
}

#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<u64, Row>,
    next_row: u64,
    waiting: BTreeMap<Copies, BTreeMap<(u64, u64), Waker>>,
    next_waiter: u64,
    /// By host, up to where it was sent the log.
    hosts: BTreeMap<IpAddr, u64>,
    /// Why a slave was turned away because its log is another.
    diverged: BTreeMap<IpAddr, String>,
}

/// All slaves of a master.
#[derive(Debug)]
pub struct Replicas {
    /// Bytes that a slave may lag behind and count as in sync (`haMaxGapNotInSync`).
    gap_max: u64,
    table: Mutex<Table>,
}

impl Replicas {
    pub fn new(gap_max: u64) -> Arc<Self> {
        Arc::new(Self { gap_max, table: Mutex::default() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slave has connected.
    pub fn connected(self: &Arc<Self>, addr: SocketAddr, now: Millis) -> Replica {
        let mut table = self.table();
        let row = table.next_row;
        table.next_row += 1;
        table.rows.insert(row, Row::new(addr, now));
        Replica { replicas: Arc::clone(self), row, host: addr.ip() }
    }

    /// Up to where the host was sent the log by earlier connections.
    pub fn trusted(&self, host: IpAddr) -> u64 {
        self.table().hosts.get(&host).copied().unwrap_or(0)
    }

    /// Slaves in sync with a log that ends at `end`.
    pub fn in_sync(&self, end: u64) -> usize {
        let table = self.table();
        table.reported().filter(|reported| self.is_near(*reported, end)).count()
    }

    fn is_near(&self, offset: u64, end: u64) -> bool {
        end.saturating_sub(offset) <= self.gap_max
    }

    /// Up to where so many slaves hold the log.
    pub fn held_by(&self, copies: usize) -> u64 {
        self.table().held(Copies::AtLeast(copies), self.gap_max)
    }

    /// Ready when `copies` slaves hold everything before `end`.
    pub fn wait(self: &Arc<Self>, end: u64, copies: Copies) -> Acked {
        Acked { replicas: Arc::clone(self), end, copies, number: None }
    }

    pub fn views(&self, end: u64) -> Vec<ReplicaView> {
        let table = self.table();
        let view = |row: &Row| ReplicaView {
            addr: row.addr,
            since: row.since,
            progress: row.progress,
            in_sync: row.progress.reported.is_some_and(|reported| self.is_near(reported, end)),
        };
        table.rows.values().filter(|row| row.progress.requested.is_some()).map(view).collect()
    }

    /// Hosts turned away because their log is another, and why.
    pub fn diverged(&self) -> Vec<(IpAddr, String)> {
        self.table().diverged.iter().map(|(host, why)| (*host, why.clone())).collect()
    }

    /// Notes why a host was turned away; true if that is news, and not only other numbers.
    pub fn note_diverged(&self, host: IpAddr, why: &str) -> bool {
        let mut table = self.table();
        if table.diverged.len() >= HOSTS_MAX && !table.diverged.contains_key(&host) {
            table.diverged.pop_first();
        }
        let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        let before = table.diverged.insert(host, why.to_owned());
        before.is_none_or(|before| words(&before) != words(why))
    }
}

impl Table {
    /// What each slave holds.
    fn holders(&self) -> impl Iterator<Item = u64> {
        self.each(|progress| progress.acked)
    }

    /// What each slave says that it holds.
    fn reported(&self) -> impl Iterator<Item = u64> {
        self.each(|progress| progress.reported)
    }

    /// Two connections of one broker id are one slave.
    fn each(&self, offset: fn(&Progress) -> Option<u64>) -> impl Iterator<Item = u64> {
        let mut known = BTreeMap::<i64, u64>::new();
        let mut unknown = Vec::new();
        for row in self.rows.values() {
            let Some(offset) = offset(&row.progress) else { continue };
            match row.progress.broker_id {
                // The later connection: the earlier may be another process that is gone.
                Some(id) => drop(known.insert(id, offset)),
                None => unknown.push(offset),
            }
        }
        known.into_values().chain(unknown)
    }

    /// Whether this row's slave goes on reporting although a later connection of its broker id
    /// does, too. One that has merely connected anew is silent on its earlier connection.
    fn twins(&mut self, number: u64) -> Option<Twins> {
        let row = self.rows.get(&number)?;
        let (id, one) = (row.progress.broker_id?, row.addr);
        let is_later =
            |(later, row): &(&u64, &Row)| **later > number && row.progress.broker_id == Some(id);
        let other = self.rows.iter().find(is_later).map(|(_, row)| row.addr)?;
        let row = self.rows.get_mut(&number)?;
        let reported = row.progress.reported?;
        let at = *row.succeeded_at.get_or_insert(reported);
        if reported == at || row.is_twin {
            return None;
        }
        row.is_twin = true;
        Some(Twins { broker_id: id, one, other })
    }

    /// Up to where the copies are there.
    fn held(&self, copies: Copies, gap_max: u64) -> u64 {
        let mut held: Vec<u64> = self.holders().collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        let nth = |count: usize| match count.checked_sub(1) {
            None => u64::MAX,
            Some(nth) => held.get(nth).copied().unwrap_or(0),
        };
        match copies {
            Copies::AtLeast(count) => nth(count),
            Copies::EverySynced(least) => {
                let furthest = self.reported().max().unwrap_or(0);
                let synced = self.reported().filter(|offset| furthest - *offset <= gap_max).count();
                nth(synced.max(least))
            }
        }
    }

    fn is_waiting(&self, copies: Copies, end: u64, number: u64) -> bool {
        self.waiting.get(&copies).is_some_and(|waiting| waiting.contains_key(&(end, number)))
    }

    /// Takes those who need wait no longer.
    fn served(&mut self, gap_max: u64) -> Vec<Waker> {
        let mut served = Vec::new();
        let kinds: Vec<Copies> = self.waiting.keys().copied().collect();
        for copies in kinds {
            let held = self.held(copies, gap_max);
            let Some(waiting) = self.waiting.get_mut(&copies) else { continue };
            let later = waiting.split_off(&(held.saturating_add(1), 0));
            served.extend(std::mem::replace(waiting, later).into_values());
            if waiting.is_empty() {
                self.waiting.remove(&copies);
            }
        }
        served
    }
}

/// One connection's row; gone when dropped.
#[derive(Debug)]
pub struct Replica {
    replicas: Arc<Replicas>,
    row: u64,
    host: IpAddr,
}

impl Replica {
    /// Tells once if there is another slave with this one's broker id.
    pub fn update(&self, progress: Progress) -> Option<Twins> {
        let gap_max = self.replicas.gap_max;
        let (served, twins) = {
            let mut table = self.replicas.table();
            let row = table.rows.get_mut(&self.row)?;
            let before = std::mem::replace(&mut row.progress, progress).acked;
            if progress.requested.is_some() {
                table.diverged.remove(&self.host);
            }
            let twins = table.twins(self.row);
            if before == progress.acked {
                return twins;
            }
            (table.served(gap_max), twins)
        };
        served.into_iter().for_each(Waker::wake);
        twins
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let gap_max = self.replicas.gap_max;
        let served = {
            let mut table = self.replicas.table();
            if let Some(row) = table.rows.remove(&self.row)
                && row.progress.acked.is_some()
            {
                if table.hosts.len() >= HOSTS_MAX && !table.hosts.contains_key(&self.host) {
                    table.hosts.pop_first();
                }
                // It took what was sent where its log ended, so what came after fits, too.
                let held = table.hosts.entry(self.host).or_default();
                *held = row.progress.sent.max(*held);
            }
            table.served(gap_max)
        };
        served.into_iter().for_each(Waker::wake);
    }
}

/// See [`Replicas::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Acked {
    replicas: Arc<Replicas>,
    end: u64,
    copies: Copies,
    number: Option<u64>,
}

impl Future for Acked {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let replicas = Arc::clone(&this.replicas);
        let mut table = replicas.table();
        if table.held(this.copies, replicas.gap_max) >= this.end {
            return Poll::Ready(());
        }
        // Taken off by whoever completed the copies, though a slave may have left since.
        if let Some(number) = this.number
            && !table.is_waiting(this.copies, this.end, number)
        {
            return Poll::Ready(());
        }
        let number = match this.number {
            Some(number) => number,
            None => {
                let number = table.next_waiter;
                table.next_waiter += 1;
                this.number = Some(number);
                number
            }
        };
        let waiting = table.waiting.entry(this.copies).or_default();
        waiting.insert((this.end, number), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Acked {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let mut table = self.replicas.table();
            if let Some(waiting) = table.waiting.get_mut(&self.copies) {
                waiting.remove(&(self.end, number));
                if waiting.is_empty() {
                    table.waiting.remove(&self.copies);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(acked: &mut Acked) -> Poll<()> {
        Pin::new(acked).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn host(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 4000).into()
    }

    fn holds(acked: u64, broker_id: Option<i64>) -> Progress {
        let reported = Some(acked);
        Progress {
            acked: Some(acked),
            reported,
            requested: Some(0),
            broker_id,
            ..Progress::default()
        }
    }

    #[test]
    fn a_send_is_answered_by_the_slave_that_completes_its_copies() {
        let replicas = Replicas::new(1000);
        let (mut one, mut two) =
            (replicas.wait(100, Copies::AtLeast(1)), replicas.wait(100, Copies::AtLeast(2)));
        assert!(poll(&mut one).is_pending() && poll(&mut two).is_pending());
        let a = replicas.connected(host(1), Millis(0));
        a.update(holds(99, None));
        assert!(poll(&mut one).is_pending());
        a.update(holds(100, None));
        assert!(poll(&mut one).is_ready() && poll(&mut two).is_pending());
        let b = replicas.connected(host(2), Millis(0));
        b.update(Progress { requested: Some(0), sent: 500, ..Progress::default() });
        assert!(poll(&mut two).is_pending(), "what was only sent does not count");
        b.update(holds(200, None));
        assert!(poll(&mut two).is_ready());
    }

    #[test]
    fn who_was_answered_by_a_slave_that_left_since_is_answered() {
        let replicas = Replicas::new(1000);
        let mut one = replicas.wait(100, Copies::AtLeast(1));
        assert!(poll(&mut one).is_pending());
        let slave = replicas.connected(host(1), Millis(0));
        slave.update(holds(100, None));
        drop(slave);
        assert!(poll(&mut one).is_ready());
        assert!(poll(&mut replicas.wait(100, Copies::AtLeast(1))).is_pending());
    }

    #[test]
    fn two_connections_with_one_broker_id_are_one_slave() {
        let replicas = Replicas::new(1000);
        let rows = [1, 2].map(|last| replicas.connected(host(last), Millis(0)));
        rows.iter().for_each(|row| assert_eq!(row.update(holds(100, Some(1))), None));
        assert_eq!(replicas.in_sync(100), 1);
        assert!(poll(&mut replicas.wait(100, Copies::AtLeast(2))).is_pending());
    }

    #[test]
    fn a_second_slave_with_a_broker_id_is_told_once_and_a_new_connection_of_one_is_not() {
        let replicas = Replicas::new(1000);
        let (one, other) = (host(1), host(2));
        let first = replicas.connected(one, Millis(0));
        assert_eq!(first.update(holds(100, Some(1))), None);
        let second = replicas.connected(other, Millis(1));
        assert_eq!(second.update(holds(100, Some(1))), None);
        assert_eq!(first.update(holds(100, Some(1))), None, "the earlier connection ends");
        assert_eq!(second.update(holds(150, Some(1))), None);
        assert_eq!(first.update(holds(120, Some(1))), Some(Twins { broker_id: 1, one, other }));
        assert_eq!(first.update(holds(150, Some(1))), None, "said once");
    }

    #[test]
    fn every_synced_slave_is_waited_for_until_it_is_gone() {
        let replicas = Replicas::new(50);
        let rows = [1, 2].map(|last| replicas.connected(host(last), Millis(0)));
        rows[0].update(holds(100, None));
        rows[1].update(holds(90, None));
        let mut all = replicas.wait(100, Copies::EverySynced(1));
        assert!(poll(&mut all).is_pending());
        let [_kept, gone] = rows;
        drop(gone);
        assert!(poll(&mut all).is_ready());
    }
}
