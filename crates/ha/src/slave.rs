//! The slave's end of a connection (Java: `DefaultHAClient`).

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use skua_protocol::Millis;
use skua_protocol::record::{Peek, Record, RecordError, next};

use crate::wire::{self, FRAME_MAX, HEADER_LEN, Hello, MARK, MARKED_MAX, Marked, Talk, Versions};
use crate::{Span, TAIL_LEN, Trouble};

#[derive(Clone, Copy, Debug)]
pub struct SlaveRules {
    /// Milliseconds without a word to the master after which one is sent
    /// (`haSendHeartbeatInterval`).
    pub heartbeat_ms: i64,
    /// Milliseconds of silence after which the connection is given up (`haHousekeepingInterval`).
    pub housekeeping_ms: i64,
    /// How long to wait for the master to show itself a Skua broker.
    pub knock_ms: i64,
    /// See [`wire::group_number`].
    pub group: u64,
    pub broker_id: i64,
    /// Bytes of a commit log file.
    pub file_size: u64,
    /// Whether bodies are checked against their CRC.
    pub check_crc: bool,
    /// A longer record is none: bounds the memory.
    pub record_max: usize,
}

/// What the slave is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlaveAct {
    Write(Bytes),
    /// Compute the [`checksum`](crate::checksum) of the own log from here to its end, and tell it
    /// with [`SlaveLink::tail`].
    Tail {
        from: u64,
    },
    /// Nothing, until bytes come or it is this late.
    Wait(Millis),
    Close(Trouble),
}

/// Whole records of the master's log, or the rest of one of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub offset: u64,
    pub bytes: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The master may be a Skua broker: an answer to the knock is awaited.
    Knocked {
        until: Millis,
    },
    /// It is; the own log's tail is being read.
    Greeted(Hello),
    Running,
}

/// See the module's words.
#[derive(Debug)]
pub struct SlaveLink {
    rules: SlaveRules,
    own: Span,
    stage: Stage,
    out: VecDeque<Bytes>,
    input: BytesMut,
    /// Bytes of the present frame's content still to come.
    content_left: usize,
    /// Log that came and is not given away yet; begins at `log_at`.
    log: BytesMut,
    log_at: u64,
    /// Where the next byte of log belongs; `None`: wherever the master begins.
    wanted: Option<u64>,
    /// Checked bytes at the front of `log`.
    whole: usize,
    reported: Option<u64>,
    written_at: Millis,
    read_at: Millis,
    latest: Millis,
    versions: Option<Versions>,
    is_skua: bool,
    /// What a Skua master of this group has said of its log.
    master: Option<Span>,
    trouble: Option<Trouble>,
}

impl SlaveLink {
    /// `own` is what the slave's log holds.
    pub fn new(rules: SlaveRules, own: Span, now: Millis) -> Self {
        Self {
            stage: Stage::Knocked { until: now.plus(rules.knock_ms) },
            out: VecDeque::from([wire::knock()]),
            input: BytesMut::new(),
            content_left: 0,
            log: BytesMut::new(),
            log_at: own.end,
            wanted: (own.end > 0).then_some(own.end),
            whole: 0,
            reported: None,
            written_at: now,
            read_at: now,
            latest: now,
            versions: None,
            is_skua: false,
            master: None,
            trouble: None,
            rules,
            own,
        }
    }

    /// Whether the master has shown itself a Skua broker.
    pub fn is_skua(&self) -> bool {
        self.is_skua
    }

    /// What a Skua master of this group has said of its log.
    pub fn master_log(&self) -> Option<Span> {
        self.master
    }

    /// The versions of the master's tables, if they were told since this was last asked.
    pub fn take_versions(&mut self) -> Option<Versions> {
        self.versions.take()
    }

    /// When the master was last heard, and last written to.
    pub fn heard_and_told(&self) -> (Millis, Millis) {
        (self.read_at, self.written_at)
    }

    /// A clock that is set back must not put off what is due by the same time.
    fn look_at_clock(&mut self, now: Millis) {
        let ahead = now.since(self.latest);
        self.latest = now;
        if ahead < 0 {
            if let Stage::Knocked { until } = &mut self.stage {
                *until = until.plus(ahead);
            }
            self.written_at = self.written_at.plus(ahead);
            self.read_at = self.read_at.plus(ahead);
        }
    }

    /// Bytes came. After trouble nothing is taken any more.
    pub fn received(&mut self, bytes: &[u8], now: Millis) {
        self.look_at_clock(now);
        self.read_at = now;
        if self.trouble.is_some() {
            return;
        }
        self.input.extend_from_slice(bytes);
        let done = self.parse().and_then(|()| self.check());
        if let Err(trouble) = done {
            self.trouble = Some(trouble);
        }
    }

    fn parse(&mut self) -> Result<(), Trouble> {
        loop {
            if self.content_left > 0 {
                let here = self.content_left.min(self.input.len());
                if here == 0 {
                    return Ok(());
                }
                self.log.extend_from_slice(&self.input[..here]);
                self.input.advance(here);
                self.content_left -= here;
                self.wanted = self.wanted.map(|wanted| wanted + here as u64);
                continue;
            }
            let Some(header) = self.input.first_chunk::<HEADER_LEN>() else { return Ok(()) };
            let (offset, size) = header.split_at(8);
            let offset = i64::from_be_bytes(offset.try_into().expect("8 of 12 bytes"));
            let size = i32::from_be_bytes(size.try_into().expect("4 of 12 bytes"));
            let bytes = usize::try_from(size).map_err(|_| Trouble::FrameSize(size))?;
            if offset == MARK {
                if bytes > MARKED_MAX {
                    return Err(Trouble::FrameSize(size));
                }
                if self.input.len() < HEADER_LEN + bytes {
                    return Ok(());
                }
                self.input.advance(HEADER_LEN);
                let content = self.input.split_to(bytes);
                self.take_marked(wire::read_marked(&content))?;
                continue;
            }
            if bytes > FRAME_MAX {
                return Err(Trouble::FrameSize(size));
            }
            self.begin_frame(offset, bytes)?;
            self.input.advance(HEADER_LEN);
            self.content_left = bytes;
        }
    }

    /// A frame about the log: it must go on exactly where the log ends.
    fn begin_frame(&mut self, offset: i64, size: usize) -> Result<(), Trouble> {
        let at = u64::try_from(offset).ok();
        match self.wanted {
            Some(wanted) if at == Some(wanted) => Ok(()),
            Some(wanted) => Err(Trouble::OtherOffset { sent: offset, wanted }),
            None if size == 0 => Ok(()),
            None => {
                let start = at.filter(|at| at.is_multiple_of(self.rules.file_size));
                let start = start.ok_or(Trouble::FileEnd { end: at.unwrap_or(0) })?;
                self.log_at = start;
                self.wanted = Some(start);
                Ok(())
            }
        }
    }

    fn take_marked(&mut self, marked: Marked) -> Result<(), Trouble> {
        match (marked, self.stage) {
            (Marked::Hello(hello), Stage::Knocked { .. }) => {
                self.is_skua = true;
                if hello.group != self.rules.group {
                    return Err(Trouble::OtherGroup);
                }
                if hello.file_size != self.rules.file_size {
                    let (slave, master) = (self.rules.file_size, hello.file_size);
                    return Err(Trouble::FileSize { slave, master });
                }
                self.master = Some(hello.log);
                if self.own.end > hello.log.end {
                    self.introduce(self.own.end, self.own.end, 0);
                    let (slave, master) = (self.own.end, hello.log.end);
                    return Err(Trouble::Longer { slave, master });
                }
                if self.own.end > 0 && self.own.end < hello.log.min {
                    self.introduce(self.own.end, self.own.end, 0);
                    let (end, min) = (self.own.end, hello.log.min);
                    return Err(Trouble::TooFarBehind { end, min });
                }
                self.stage = Stage::Greeted(hello);
                Ok(())
            }
            (Marked::Refusal(why), _) => {
                // The answer to the checksum comes as the master's own words.
                let different = Trouble::Different { end: self.own.end };
                let is_that = why == different.to_string();
                Err(if is_that { different } else { Trouble::Refused(why) })
            }
            (Marked::Versions(versions), _) => {
                self.versions = Some(versions);
                Ok(())
            }
            // Asked as Java's slave asks, and too early: the logs were not compared.
            (Marked::Hello(_), Stage::Running) if !self.is_skua => Err(Trouble::LateHello),
            (Marked::Hello(_) | Marked::Unknown, _) => Ok(()),
        }
    }

    /// Finds how much of `log` is whole records.
    fn check(&mut self) -> Result<(), Trouble> {
        loop {
            let offset = self.log_at + self.whole as u64;
            let rest = &self.log[self.whole..];
            if rest.len() < 8 {
                return Ok(());
            }
            let file_end = (offset / self.rules.file_size + 1) * self.rules.file_size;
            let max = self.rules.record_max;
            let size = match next(rest) {
                Ok(Peek::Message { size }) => {
                    self.check_record(&rest[..size], offset)?;
                    size
                }
                // What follows a filler is not looked at, but is the same in both logs.
                Ok(Peek::EndOfFile { size }) | Err(RecordError::Truncated { size, .. })
                    if rest[4..8] == skua_protocol::record::MAGIC_END_OF_FILE.to_be_bytes() =>
                {
                    let end = offset + size as u64;
                    if end != file_end {
                        return Err(Trouble::FileEnd { end });
                    }
                    size
                }
                Ok(Peek::EndOfFile { size }) => size,
                Err(RecordError::Truncated { size, .. }) => size,
                Ok(Peek::Empty) => {
                    let cause = RecordError::BadSize(0);
                    return Err(Trouble::NoRecord { offset, cause });
                }
                Err(cause) => return Err(Trouble::NoRecord { offset, cause }),
            };
            if size > max {
                return Err(Trouble::TooLarge { offset, size, max });
            }
            if offset + size as u64 > file_end {
                return Err(Trouble::FileEnd { end: offset + size as u64 });
            }
            if rest.len() < size {
                return Ok(());
            }
            self.whole += size;
        }
    }

    fn check_record(&self, bytes: &[u8], offset: u64) -> Result<(), Trouble> {
        let record = Record::parse_with(bytes, self.rules.check_crc)
            .map_err(|cause| Trouble::NoRecord { offset, cause })?;
        let says = record.physical_offset();
        if u64::try_from(says) != Ok(offset) {
            return Err(Trouble::OtherPlace { offset, says });
        }
        Ok(())
    }

    /// What is to be appended now; never crosses the end of a file.
    pub fn take(&mut self) -> Option<Piece> {
        if self.whole == 0 {
            return None;
        }
        let file_end = (self.log_at / self.rules.file_size + 1) * self.rules.file_size;
        let len = self.whole.min((file_end - self.log_at) as usize);
        let piece = Piece { offset: self.log_at, bytes: self.log.split_to(len).freeze() };
        self.whole -= len;
        self.log_at += len as u64;
        Some(piece)
    }

    /// The checksum that [`SlaveAct::Tail`] asked for.
    pub fn tail(&mut self, from: u64, crc: u32) {
        let Stage::Greeted(hello) = self.stage else { return };
        // An empty log is filled from the master's first file; Java's master gives only its last.
        let begin = if self.own.end == 0 { hello.log.min } else { self.own.end };
        self.introduce(begin, from, crc);
        if self.own.end == 0 {
            self.log_at = begin;
            self.wanted = Some(begin);
        }
        self.stage = Stage::Running;
        self.reported = Some(self.own.end);
    }

    /// Also said by a slave that sees by itself that it cannot follow: the master names it, too.
    fn introduce(&mut self, begin: u64, tail_from: u64, tail_crc: u32) {
        self.out.push_back(wire::talk(&Talk {
            broker_id: self.rules.broker_id,
            group: self.rules.group,
            file_size: self.rules.file_size,
            log: self.own,
            tail_from,
            tail_crc,
            begin,
        }));
    }

    /// What to do next. `held` is up to where the slave has the log as safely as it promises.
    pub fn act(&mut self, held: u64, now: Millis) -> SlaveAct {
        self.look_at_clock(now);
        if let Some(bytes) = self.out.pop_front() {
            self.written_at = now;
            return SlaveAct::Write(bytes);
        }
        if let Some(trouble) = &self.trouble {
            return SlaveAct::Close(trouble.clone());
        }
        let silent = now.since(self.read_at);
        if silent > self.rules.housekeeping_ms {
            return SlaveAct::Close(Trouble::Silent(silent));
        }
        let give_up = self.read_at.plus(self.rules.housekeeping_ms + 1);
        match self.stage {
            Stage::Knocked { until } if now < until => return SlaveAct::Wait(until.min(give_up)),
            Stage::Knocked { .. } => {
                self.stage = Stage::Running;
                self.reported = None;
            }
            Stage::Greeted(hello) => {
                let from = self.own.end.saturating_sub(TAIL_LEN);
                let from = from.max(self.own.min).max(hello.log.min.min(self.own.end));
                return SlaveAct::Tail { from };
            }
            Stage::Running => {}
        }
        let beat = self.written_at.plus(self.rules.heartbeat_ms);
        // Nothing is said of a log that has not begun but the request for it.
        let is_due = match self.reported {
            None => true,
            Some(before) => held > before || now >= beat,
        };
        if is_due {
            self.reported = Some(held);
            self.written_at = now;
            return SlaveAct::Write(Bytes::copy_from_slice(&wire::report(held)));
        }
        SlaveAct::Wait(beat.min(give_up))
    }
}
