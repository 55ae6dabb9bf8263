//! The master's end of a connection (Java: `DefaultHAConnection`).

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use skua_protocol::Millis;

use crate::wire::{self, HEADER_LEN, Hello, KNOCK_WORDS, TALK, TALK_WORDS, Talk, Versions};
use crate::{Span, TAIL_LEN, Trouble};

#[derive(Clone, Copy, Debug)]
pub struct MasterRules {
    /// Bytes of log in one frame at most (`haTransferBatchSize`).
    pub batch: u64,
    /// Milliseconds without a frame after which an empty one is sent (`haSendHeartbeatInterval`).
    pub heartbeat_ms: i64,
    /// Milliseconds of silence after which the connection is given up (`haHousekeepingInterval`).
    pub housekeeping_ms: i64,
    /// Bytes of log a second at most, if so configured (`haFlowControlEnable`,
    /// `maxHaTransferByteInSecond`).
    pub bytes_per_second: Option<u64>,
    /// See [`wire::group_number`].
    pub group: u64,
    /// Bytes of a commit log file.
    pub file_size: u64,
}

/// What the master is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterAct {
    Write(Bytes),
    /// Write this header and then so many bytes of the log from this offset.
    Transfer {
        header: [u8; HEADER_LEN],
        offset: u64,
        len: usize,
    },
    /// Compute the [`checksum`](crate::checksum) of this stretch of the log, and tell it with
    /// [`MasterLink::tail`].
    Tail {
        from: u64,
        to: u64,
    },
    /// Nothing, until bytes come, the log grows, or it is this late.
    Wait(Millis),
    /// Write the farewell, if any, and end the connection.
    Close(Trouble, Option<Bytes>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is asked for yet; so many words of a knock have come.
    Silent {
        knocks: usize,
    },
    /// A Skua slave is to introduce itself.
    Greeted,
    /// It has; its tail is being compared.
    Compared(Talk),
    Running,
}

/// See the module's words.
#[derive(Debug)]
pub struct MasterLink {
    rules: MasterRules,
    stage: Stage,
    input: BytesMut,
    out: VecDeque<Bytes>,
    /// Words of an introduction that have come so far.
    talk: Option<Vec<i64>>,
    /// Next offset to send.
    next: u64,
    /// Reports up to here count though nothing was sent: it is known to hold that.
    trusted: u64,
    requested: Option<u64>,
    acked: Option<u64>,
    reported: Option<u64>,
    broker_id: Option<i64>,
    is_skua: bool,
    told: Option<Versions>,
    began_at: Millis,
    written_at: Millis,
    read_at: Millis,
    latest: Millis,
    /// Start of the present second and bytes sent in it.
    second: (Millis, u64),
    /// Sent and not acknowledged: end and time of some frames.
    under_way: VecDeque<(u64, Millis)>,
    lag_ms: i64,
    trouble: Option<Trouble>,
}

/// Frames under way that are remembered for the lag's sake.
const UNDER_WAY_MAX: usize = 1024;

impl MasterLink {
    /// `trusted`: the host at the other end was sent everything before by an earlier connection.
    pub fn new(rules: MasterRules, trusted: u64, now: Millis) -> Self {
        Self {
            rules,
            stage: Stage::Silent { knocks: 0 },
            input: BytesMut::new(),
            out: VecDeque::new(),
            talk: None,
            next: 0,
            trusted,
            requested: None,
            acked: None,
            reported: None,
            broker_id: None,
            is_skua: false,
            told: None,
            began_at: now,
            written_at: now,
            read_at: now,
            latest: now,
            second: (now, 0),
            under_way: VecDeque::new(),
            lag_ms: 0,
            trouble: None,
        }
    }

    /// Up to where the slave has said that it holds the log, if that is to be believed: it is a
    /// checked slave of this group, or was sent these bytes.
    pub fn acked(&self) -> Option<u64> {
        self.acked
    }

    /// The last offset that the slave has named, believed or not.
    pub fn reported(&self) -> Option<u64> {
        self.reported
    }

    /// Everything before was sent over this connection, or was there.
    pub fn sent(&self) -> u64 {
        self.next
    }

    /// Where the transfer began; `None` before it has.
    pub fn requested(&self) -> Option<u64> {
        self.requested
    }

    /// The slave's broker id, which only Skua's tell.
    pub fn broker_id(&self) -> Option<i64> {
        self.broker_id
    }

    /// Milliseconds from sending to acknowledgement, of the latest or of what waits longest.
    pub fn lag_ms(&self, now: Millis) -> i64 {
        let waiting = self.under_way.front().map_or(0, |(_, sent)| now.since(*sent));
        self.lag_ms.max(waiting)
    }

    /// The versions of the own tables, for a slave that understands them.
    pub fn versions(&mut self, versions: Versions) {
        let listens = self.broker_id.is_some() && self.stage == Stage::Running;
        if listens && self.told != Some(versions) {
            self.told = Some(versions);
            self.out.push_back(wire::versions(&versions));
        }
    }

    /// A clock that is set back must not put off what is due by the same time.
    fn look_at_clock(&mut self, now: Millis) {
        let ahead = now.since(self.latest);
        self.latest = now;
        if ahead < 0 {
            for at in [&mut self.began_at, &mut self.written_at, &mut self.read_at] {
                *at = at.plus(ahead);
            }
            self.under_way.iter_mut().for_each(|(_, sent)| *sent = sent.plus(ahead));
        }
    }

    /// Bytes came. After trouble nothing is taken any more.
    pub fn received(&mut self, bytes: &[u8], log: Span, now: Millis) {
        self.look_at_clock(now);
        self.read_at = now;
        if self.trouble.is_some() {
            return;
        }
        self.input.extend_from_slice(bytes);
        while self.input.len() >= wire::REPORT_LEN {
            let word = self.input.split_to(wire::REPORT_LEN);
            let word = i64::from_be_bytes(word[..].try_into().expect("split at 8"));
            if let Err(trouble) = self.word(word, log, now) {
                self.trouble = Some(trouble);
                return;
            }
        }
    }

    fn word(&mut self, word: i64, log: Span, now: Millis) -> Result<(), Trouble> {
        if let Some(words) = &mut self.talk {
            words.push(word);
            let Ok(words) = <&[i64; TALK_WORDS]>::try_from(&words[..]) else { return Ok(()) };
            let talk = wire::read_talk(words);
            self.talk = None;
            return self.introduced(talk, log);
        }
        match (self.stage, word) {
            (Stage::Silent { knocks }, -1) => {
                self.stage = Stage::Silent { knocks: knocks + 1 };
                if knocks + 1 >= KNOCK_WORDS {
                    self.is_skua = true;
                    self.stage = Stage::Greeted;
                    let Self { rules: MasterRules { group, file_size, .. }, .. } = *self;
                    self.out.push_back(wire::hello(&Hello { group, file_size, log }));
                }
                Ok(())
            }
            (Stage::Greeted, TALK) => {
                self.talk = Some(Vec::with_capacity(TALK_WORDS));
                Ok(())
            }
            (Stage::Silent { .. } | Stage::Greeted, 0..) => self.request(word as u64, log),
            (Stage::Running, 0..) => self.report(word as u64, now),
            // Before anything was sent a report says nothing new. Java: -1 is no request yet.
            (Stage::Compared(_), 0..) | (_, -1) => Ok(()),
            (_, other) => Err(Trouble::BadReport(other)),
        }
    }

    /// A request as Java's slave makes it.
    fn request(&mut self, offset: u64, log: Span) -> Result<(), Trouble> {
        if offset > log.end {
            return Err(Trouble::Longer { slave: offset, master: log.end });
        }
        self.next = if offset == 0 {
            // Java: an empty slave gets the last file.
            (log.end - log.end % self.rules.file_size).max(log.min)
        } else {
            offset
        };
        self.reported = Some(offset);
        if offset > 0 && offset <= self.trusted {
            self.acked = Some(offset);
        }
        self.requested = Some(self.next);
        self.stage = Stage::Running;
        Ok(())
    }

    fn introduced(&mut self, talk: Talk, log: Span) -> Result<(), Trouble> {
        if talk.group != self.rules.group {
            return Err(Trouble::OtherGroup);
        }
        if talk.broker_id <= 0 {
            return Err(Trouble::BrokerId(talk.broker_id));
        }
        if talk.file_size != self.rules.file_size {
            let (slave, master) = (talk.file_size, self.rules.file_size);
            return Err(Trouble::FileSize { slave, master });
        }
        if talk.log.end > log.end || talk.begin > log.end {
            let (slave, master) = (talk.log.end.max(talk.begin), log.end);
            return Err(Trouble::Longer { slave, master });
        }
        let goes_on = if talk.log.end == 0 {
            talk.begin.is_multiple_of(self.rules.file_size)
        } else {
            talk.begin == talk.log.end
                && talk.tail_from <= talk.log.end
                && talk.log.end - talk.tail_from <= TAIL_LEN
        };
        if !goes_on {
            return Err(Trouble::BadReport(talk.begin as i64));
        }
        if talk.begin < log.min {
            return Err(Trouble::TooFarBehind { end: talk.begin, min: log.min });
        }
        self.broker_id = Some(talk.broker_id);
        self.stage = Stage::Compared(talk);
        if talk.tail_from >= talk.log.end {
            // There is nothing that both have.
            self.tail(Some(talk.tail_crc));
        }
        Ok(())
    }

    /// The checksum that [`MasterAct::Tail`] asked for; `None` if the stretch cannot be read.
    pub fn tail(&mut self, crc: Option<u32>) {
        let Stage::Compared(talk) = self.stage else { return };
        let Some(crc) = crc else {
            self.trouble = Some(Trouble::TailGone { from: talk.tail_from });
            return;
        };
        if crc != talk.tail_crc {
            self.trouble = Some(Trouble::Different { end: talk.log.end });
            return;
        }
        self.next = talk.begin;
        self.requested = Some(talk.begin);
        self.acked = Some(talk.log.end);
        self.reported = self.acked;
        self.stage = Stage::Running;
    }

    fn report(&mut self, offset: u64, now: Millis) -> Result<(), Trouble> {
        if offset > self.next {
            return Err(Trouble::NotSent { reported: offset, sent: self.next });
        }
        self.reported = self.reported.max(Some(offset));
        // What Java's slave asked for at first is only its word.
        let begun = self.requested.is_some_and(|requested| offset > requested);
        if begun || offset <= self.trusted || self.broker_id.is_some() {
            self.acked = self.acked.max(Some(offset));
        }
        while let Some((end, sent)) = self.under_way.front().copied()
            && end <= offset
        {
            self.lag_ms = now.since(sent).max(0);
            self.under_way.pop_front();
        }
        Ok(())
    }

    /// What to do next, with the log as it is.
    pub fn act(&mut self, log: Span, now: Millis) -> MasterAct {
        self.look_at_clock(now);
        if let Some(trouble) = &self.trouble {
            let farewell = self.is_skua.then(|| wire::refusal(&trouble.to_string()));
            return MasterAct::Close(trouble.clone(), farewell);
        }
        if let Some(bytes) = self.out.pop_front() {
            self.written_at = now;
            return MasterAct::Write(bytes);
        }
        let silent = now.since(self.read_at);
        if silent > self.rules.housekeeping_ms {
            return MasterAct::Close(Trouble::Silent(silent), None);
        }
        let give_up = self.read_at.plus(self.rules.housekeeping_ms + 1);
        match self.stage {
            // Signs of life alone do not keep a connection that asks for nothing.
            Stage::Silent { .. } | Stage::Greeted => {
                let waited = now.since(self.began_at);
                if waited > self.rules.housekeeping_ms {
                    return MasterAct::Close(Trouble::AsksNothing(waited), None);
                }
                let until = self.began_at.plus(self.rules.housekeeping_ms + 1);
                return MasterAct::Wait(give_up.min(until));
            }
            Stage::Compared(talk) => {
                return MasterAct::Tail { from: talk.tail_from, to: talk.log.end };
            }
            Stage::Running => {}
        }
        if self.next < log.min {
            let trouble = Trouble::TooFarBehind { end: self.next, min: log.min };
            self.trouble = Some(trouble);
            return self.act(log, now);
        }
        let mut again = give_up;
        if self.next < log.end {
            let file_end = (self.next / self.rules.file_size + 1) * self.rules.file_size;
            let (room, next_second) = self.room(now);
            let len = self.rules.batch.min(log.end - self.next).min(file_end - self.next).min(room);
            if len > 0 {
                return self.transfer(len, now);
            }
            again = again.min(next_second);
        }
        let beat = self.written_at.plus(self.rules.heartbeat_ms);
        if now >= beat {
            self.written_at = now;
            return MasterAct::Write(Bytes::copy_from_slice(&wire::header(self.next, 0)));
        }
        MasterAct::Wait(again.min(beat))
    }

    fn transfer(&mut self, len: u64, now: Millis) -> MasterAct {
        let offset = self.next;
        self.next += len;
        self.second.1 += len;
        self.written_at = now;
        if self.under_way.len() < UNDER_WAY_MAX {
            self.under_way.push_back((self.next, now));
        }
        // A frame fits an int: the batch does.
        let len = len as usize;
        MasterAct::Transfer { header: wire::header(offset, len), offset, len }
    }

    /// Bytes that may be sent in this second, and when the next begins.
    fn room(&mut self, now: Millis) -> (u64, Millis) {
        let Some(limit) = self.rules.bytes_per_second else { return (u64::MAX, now) };
        if !(0..1000).contains(&now.since(self.second.0)) {
            self.second = (now, 0);
        }
        (limit.max(1).saturating_sub(self.second.1), self.second.0.plus(1000))
    }
}
