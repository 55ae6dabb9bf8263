//! A master, a slave, and what lies between them.

mod java;

use std::collections::VecDeque;
use std::sync::Arc;

use java::{JavaMaster, JavaSlave};
use skua_ha::{
    Copies, MasterAct, MasterLink, MasterRules, Progress, RefillRule, Replica, Replicas, SlaveAct,
    SlaveLink, SlaveRules, Span, Trouble, checksum,
};
use skua_protocol::record::{MAGIC_END_OF_FILE, NewRecord, Peek, next, stamp};
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};
use skua_seeds::Random;

pub const FILE: u64 = 2048;
const GROUP: u64 = 77;
/// Refusals until a world that settles is believed to stay as it is.
const REFUSALS: u32 = 20;
/// Clocks are as far apart as half of this, either way.
const DAYS: i64 = 4 * 86_400_000;

#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub java_master: bool,
    pub java_slave: bool,
}

/// A log from `min` on.
#[derive(Clone, Default)]
pub struct Log {
    pub min: u64,
    pub bytes: Vec<u8>,
}

impl Log {
    pub fn span(&self) -> Span {
        Span { min: self.min, end: self.end() }
    }

    pub fn end(&self) -> u64 {
        self.min + self.bytes.len() as u64
    }

    pub fn read(&self, from: u64, to: u64) -> &[u8] {
        &self.bytes[(from - self.min) as usize..(to - self.min) as usize]
    }

    fn expire(&mut self) {
        if self.end() >= self.min + 2 * FILE {
            self.bytes.drain(..FILE as usize);
            self.min += FILE;
        }
    }

    /// The end of the last whole record at or before `limit`, as recovery finds it.
    fn whole_until(&self, limit: u64) -> u64 {
        let mut at = self.min;
        while let Ok(Peek::Message { size } | Peek::EndOfFile { size }) =
            next(self.read(at, limit.max(at)))
        {
            at += size as u64;
        }
        at
    }

    fn cut(&mut self, end: u64) {
        self.bytes.truncate((end - self.min) as usize);
    }

    fn append_record(&mut self, random: &mut Random, now: Millis) {
        let body = vec![random.below(256) as u8; 1 + random.below(300) as usize];
        let host = ([127, 0, 0, 1], 10_911).into();
        let record = NewRecord {
            topic: "T",
            queue_id: QueueId(0),
            flag: 0,
            sys_flag: 0,
            born_timestamp: now,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &body,
            properties: b"",
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes).expect("a small message");
        let room = FILE - self.end() % FILE;
        if bytes.len() as u64 + 8 > room {
            self.bytes.extend((room as u32).to_be_bytes());
            self.bytes.extend(MAGIC_END_OF_FILE.to_be_bytes());
            self.bytes.extend(vec![0; room as usize - 8]);
        }
        stamp(&mut bytes, QueueOffset(0), PhysicalOffset(self.end()), now);
        self.bytes.extend(bytes);
    }
}

/// Bytes on their way.
#[derive(Default)]
struct Pipe(VecDeque<u8>);

impl Pipe {
    fn take(&mut self, random: &mut Random) -> Vec<u8> {
        let most = if random.one_in(3) { 1 + random.below(20) } else { u64::MAX };
        let len = self.0.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        self.0.drain(..len).collect()
    }
}

enum MasterEnd {
    Skua(Box<MasterLink>, Replica),
    Java(JavaMaster),
}

enum SlaveEnd {
    Skua(Box<SlaveLink>),
    Java(JavaSlave),
}

struct Connection {
    master: MasterEnd,
    slave: SlaveEnd,
    up: Pipe,
    down: Pipe,
}

pub struct World {
    kind: Kind,
    /// Truncation of the master's log is among what happens.
    diverges: bool,
    now: Millis,
    /// What the slave's clock shows beyond the master's.
    apart_ms: i64,
    master: Log,
    slave: Log,
    /// The slave's log up to here is on its disk.
    flushed: u64,
    /// The slave answers for the disk.
    sync_flush: bool,
    replicas: Arc<Replicas>,
    connection: Option<Connection>,
    /// The slave was told that its log is another, or too far behind.
    refused: Option<Trouble>,
    knock_ms: i64,
    /// What the slave may do by itself about that.
    refill: RefillRule,
}

impl World {
    pub fn new(kind: Kind, diverges: bool, random: &mut Random) -> Self {
        let mut world = Self {
            kind,
            diverges,
            now: Millis(1_700_000_000_000),
            apart_ms: if random.one_in(2) {
                0
            } else {
                random.below(DAYS as u64) as i64 - DAYS / 2
            },
            master: Log::default(),
            slave: Log::default(),
            flushed: 0,
            sync_flush: random.one_in(2),
            replicas: Replicas::new(4000),
            connection: None,
            refused: None,
            knock_ms: 300,
            refill: RefillRule::Never,
        };
        for _ in 0..random.below(30) {
            world.master.append_record(random, world.now);
        }
        while random.one_in(2) {
            world.master.expire();
        }
        world.refill = match random.below(3) {
            0 => RefillRule::Never,
            1 => RefillRule::Behind,
            _ => RefillRule::Diverged,
        };
        world
    }

    pub fn step(&mut self, random: &mut Random) {
        match random.below(20) {
            0..4 => self.master.append_record(random, self.now),
            4..10 => self.exchange(random),
            10..13 => self.now = self.now.plus(random.below(3000) as i64),
            13 => self.flushed = self.slave.end(),
            14 => self.connection = None,
            15 => self.restart_slave(random),
            16 if random.one_in(4) => {
                // The master's process is gone and back: nothing of its log is lost by that.
                self.connection = None;
                self.replicas = Replicas::new(4000);
            }
            17 if random.one_in(4) => self.master.expire(),
            19 if random.one_in(8) => self.set_a_clock(random),
            18 if self.diverges && random.one_in(4) => self.truncate_master(random),
            _ if self.connection.is_none() => self.connect(),
            _ => self.exchange(random),
        }
    }

    fn slave_now(&self) -> Millis {
        self.now.plus(self.apart_ms)
    }

    /// Someone sets the clock of one of them, forth or back.
    fn set_a_clock(&mut self, random: &mut Random) {
        let by = random.below(DAYS as u64) as i64 - DAYS / 2;
        if random.one_in(2) {
            self.apart_ms = by;
        } else {
            // The slave's stays as it is.
            self.now = self.now.plus(by);
            self.apart_ms -= by;
        }
    }

    fn connect(&mut self) {
        if self.sync_flush {
            self.flushed = self.slave.end();
        }
        let rules = SlaveRules {
            heartbeat_ms: 5000,
            housekeeping_ms: 20_000,
            knock_ms: self.knock_ms,
            group: GROUP,
            broker_id: 1,
            file_size: FILE,
            check_crc: true,
            record_max: FILE as usize,
        };
        let addr = ([10, 0, 0, 2], 5000).into();
        let master = if self.kind.java_master {
            MasterEnd::Java(JavaMaster::default())
        } else {
            let rules = MasterRules {
                batch: 700,
                heartbeat_ms: 5000,
                housekeeping_ms: 20_000,
                bytes_per_second: None,
                group: GROUP,
                file_size: FILE,
            };
            let trusted = self.replicas.trusted(([10, 0, 0, 2]).into());
            let link = MasterLink::new(rules, trusted, self.now);
            MasterEnd::Skua(Box::new(link), self.replicas.connected(addr, self.now))
        };
        let slave = if self.kind.java_slave {
            SlaveEnd::Java(JavaSlave::default())
        } else {
            SlaveEnd::Skua(Box::new(SlaveLink::new(rules, self.slave.span(), self.slave_now())))
        };
        self.connection =
            Some(Connection { master, slave, up: Pipe::default(), down: Pipe::default() });
    }

    fn restart_slave(&mut self, random: &mut Random) {
        self.connection = None;
        let lost = random.below(self.slave.end().saturating_sub(self.flushed) + 1);
        // A kill of the process loses nothing, a power cut what was not flushed.
        let kept = if random.one_in(2) { self.slave.end() } else { self.slave.end() - lost };
        let kept = self.slave.whole_until(kept);
        self.slave.cut(kept);
        self.flushed = self.flushed.min(kept);
    }

    fn truncate_master(&mut self, random: &mut Random) {
        self.connection = None;
        self.replicas = Replicas::new(4000);
        let end = self.master.end() - random.below(self.master.bytes.len() as u64 + 1).min(900);
        let kept = self.master.whole_until(end);
        self.master.cut(kept);
        for _ in 0..random.below(3) {
            self.now = self.now.plus(1);
            self.master.append_record(random, self.now);
        }
    }

    fn exchange(&mut self, random: &mut Random) {
        let Some(mut connection) = self.connection.take() else { return };
        let alive = self.run_slave(&mut connection, random) && {
            let bytes = connection.up.take(random);
            self.run_master(&mut connection, &bytes)
        };
        if !alive && !self.kind.java_slave && random.one_in(2) {
            // The master's last words may still arrive.
            while !connection.down.0.is_empty() && self.run_slave(&mut connection, random) {}
        }
        if alive {
            self.connection = Some(connection);
        }
    }

    fn run_slave(&mut self, connection: &mut Connection, random: &mut Random) -> bool {
        let bytes = connection.down.take(random);
        let now = self.slave_now();
        match &mut connection.slave {
            SlaveEnd::Java(java) => java.run(&mut self.slave, &bytes, now, &mut connection.up.0),
            SlaveEnd::Skua(link) => {
                if !bytes.is_empty() {
                    link.received(&bytes, now);
                }
                while let Some(piece) = link.take() {
                    if self.slave.bytes.is_empty() {
                        self.slave.min = piece.offset;
                        self.flushed = piece.offset;
                    }
                    assert_eq!(piece.offset, self.slave.end(), "appended where the log ends");
                    self.slave.bytes.extend(&piece.bytes);
                }
                loop {
                    let held = if self.sync_flush { self.flushed } else { self.slave.end() };
                    match link.act(held, now) {
                        SlaveAct::Write(bytes) => connection.up.0.extend(bytes),
                        SlaveAct::Tail { from } => {
                            let crc = checksum(
                                self.slave.read(from.max(self.slave.min), self.slave.end()),
                            );
                            link.tail(from, crc);
                        }
                        SlaveAct::Wait(_) => return true,
                        SlaveAct::Close(trouble) => {
                            match self.refill.allows(&trouble, link.master_log()) {
                                Some(bytes) => self.begin_anew(&trouble, bytes),
                                None => self.note(trouble),
                            }
                            connection.down.0.clear();
                            return false;
                        }
                    }
                }
            }
        }
    }

    fn run_master(&mut self, connection: &mut Connection, bytes: &[u8]) -> bool {
        let log = &self.master;
        match &mut connection.master {
            MasterEnd::Java(java) => {
                java.run(log, bytes, self.now, &mut connection.down.0);
                true
            }
            MasterEnd::Skua(link, replica) => {
                if !bytes.is_empty() {
                    link.received(bytes, log.span(), self.now);
                }
                let mut alive = true;
                let mut closed = None;
                while alive {
                    match link.act(log.span(), self.now) {
                        MasterAct::Write(bytes) => connection.down.0.extend(bytes),
                        MasterAct::Transfer { header, offset, len } => {
                            connection.down.0.extend(header);
                            connection.down.0.extend(log.read(offset, offset + len as u64));
                        }
                        MasterAct::Tail { from, to } => {
                            let there = from >= log.min && to <= log.end() && from <= to;
                            link.tail(there.then(|| checksum(log.read(from, to))));
                        }
                        MasterAct::Wait(_) => break,
                        MasterAct::Close(trouble, farewell) => {
                            connection.down.0.extend(farewell.into_iter().flatten());
                            closed = Some(trouble);
                            alive = false;
                        }
                    }
                }
                replica.update(Progress {
                    acked: link.acked(),
                    reported: link.reported(),
                    sent: link.sent(),
                    requested: link.requested(),
                    broker_id: link.broker_id(),
                    lag_ms: link.lag_ms(self.now),
                    bytes_per_second: 0,
                });
                closed.into_iter().for_each(|trouble| self.note(trouble));
                alive
            }
        }
    }

    fn begin_anew(&mut self, trouble: &Trouble, bytes: u64) {
        assert!(!self.kind.java_master && bytes > 0, "something fills it");
        let behind = matches!(trouble, Trouble::TooFarBehind { .. });
        assert!(behind || self.diverges, "nothing is given up that the master has: {trouble}");
        assert!(!behind || self.slave.end() < self.master.min, "{trouble}");
        assert!(behind || self.refill == RefillRule::Diverged, "{trouble}");
        self.slave = Log::default();
        self.flushed = 0;
        self.refused = None;
    }

    fn note(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Silent(_) | Trouble::AsksNothing(_) | Trouble::TailGone { .. } => {}
            Trouble::LateHello => self.knock_ms = (self.knock_ms * 2).min(10_000),
            Trouble::Refused(_) => self.refused = Some(trouble),
            trouble if trouble.is_divergence() => self.refused = Some(trouble),
            other => panic!("unexpected: {other}"),
        }
    }

    pub fn check(&self) {
        let held = self.replicas.held_by(1);
        let may_count =
            if self.sync_flush && !self.kind.java_slave { self.flushed } else { self.slave.end() };
        let connected = self.connection.is_some();
        assert!(
            !connected || held <= may_count,
            "{held} counted, the slave has {may_count} as safe as it promises"
        );
        if !self.diverges {
            let from = self.slave.min.max(self.master.min);
            let to = self.slave.end().min(self.master.end());
            assert!(self.slave.end() <= self.master.end(), "no more than the master has");
            if from < to {
                assert!(
                    self.slave.read(from, to) == self.master.read(from, to),
                    "{from}..{to} is the same"
                );
            }
        }
        if held > 0 && connected && !self.kind.java_slave {
            // What counts is what the master has, even when logs differ.
            let held = held.min(self.slave.end());
            let from = self.slave.min.max(self.master.min);
            let from = from.max(held.saturating_sub(skua_ha::TAIL_LEN));
            if from < held {
                let (slave, master) = (self.slave.span(), self.master.span());
                let same = self.slave.read(from, held) == self.master.read(from, held);
                assert!(same, "{held} counted of {slave:?}, the master has {master:?}");
            }
        }
    }

    /// With nothing in the way, the slave catches up or says why it cannot.
    pub fn settle(&mut self, random: &mut Random) {
        self.refused = None;
        let mut refusals = 0;
        for _ in 0..400 {
            if self.connection.is_none() {
                self.connect();
            }
            self.exchange(random);
            self.flushed = self.slave.end();
            self.now = self.now.plus(100);
            self.check();
            if self.refused.is_some() && refusals < REFUSALS {
                // A slave that may begin anew does so once it has heard why.
                refusals += 1;
                self.refused = None;
                continue;
            }
            if self.refused.is_some() || self.slave.end() == self.master.end() {
                break;
            }
        }
        let caught_up = self.slave.end() == self.master.end();
        let behind = self.slave.end() < self.master.min;
        // Java notices neither a longer slave nor one that is too far behind.
        // Of another log less than a record says nothing yet.
        let little = self.diverges && self.master.end().saturating_sub(self.slave.end()) < 91;
        // Of a log that ends with a file the last file has nothing yet.
        let nothing = self.slave.end() == 0 && self.master.end().is_multiple_of(FILE);
        let unnoticed = self.kind.java_master
            && (self.slave.end() > self.master.end() || behind || little || nothing)
            || self.kind.java_slave;
        let by_itself = match self.refill {
            RefillRule::Never => false,
            RefillRule::Behind => behind,
            RefillRule::Diverged => true,
        };
        if by_itself && !self.kind.java_master && !self.kind.java_slave {
            let is_empty = self.master.bytes.is_empty();
            assert!(self.refused.is_none() || is_empty, "it begins anew: {:?}", self.refused);
        }
        match &self.refused {
            Some(why) => assert!(self.diverges || behind || self.kind.java_slave, "{why}"),
            None => {
                assert!(caught_up || unnoticed, "{:?} {:?}", self.slave.span(), self.master.span())
            }
        }
        if caught_up && self.refused.is_none() && !self.kind.java_master {
            for _ in 0..80 {
                self.exchange(random);
                self.now = self.now.plus(100);
            }
            let end = self.master.end();
            let sends_wait = self.replicas.wait(end, Copies::AtLeast(1));
            drop(sends_wait);
        }
    }
}
