//! Java's two ends, as the recordings in `fixtures/` and probes of a 5.5.0 broker show them.

use std::collections::VecDeque;

use skua_protocol::Millis;

use super::{FILE, Log};

/// Takes the last whole word of what came as the slave's offset; asks nothing further.
#[derive(Default)]
pub struct JavaMaster {
    input: Vec<u8>,
    request: i64,
    asked: bool,
    next: Option<u64>,
    written_at: Option<Millis>,
}

impl JavaMaster {
    pub fn run(&mut self, log: &Log, bytes: &[u8], now: Millis, out: &mut VecDeque<u8>) {
        self.input.extend(bytes);
        let whole = self.input.len() / 8 * 8;
        if whole > 0 {
            let word = self.input[whole - 8..whole].try_into().expect("8 bytes");
            self.input.drain(..whole);
            if !self.asked {
                self.request = i64::from_be_bytes(word);
                self.asked = self.request >= 0;
            }
        }
        if !self.asked {
            return;
        }
        let end = log.end();
        let next = self.next.get_or_insert(match self.request {
            0 => end - end % FILE,
            at => at as u64,
        });
        while *next < end && *next >= log.min {
            let file_end = (*next / FILE + 1) * FILE;
            let to = end.min(file_end).min(*next + 900);
            out.extend((*next as i64).to_be_bytes());
            out.extend(((to - *next) as i32).to_be_bytes());
            out.extend(log.read(*next, to));
            *next = to;
            self.written_at = Some(now);
        }
        if self.written_at.is_none_or(|at| now.since(at) > 5000) {
            out.extend((*next as i64).to_be_bytes());
            out.extend(0i32.to_be_bytes());
            self.written_at = Some(now);
        }
    }
}

/// Appends what comes if it comes at its end, and says so.
#[derive(Default)]
pub struct JavaSlave {
    input: Vec<u8>,
    begun: bool,
    written_at: Option<Millis>,
}

impl JavaSlave {
    /// False when it closes the connection.
    pub fn run(
        &mut self,
        log: &mut Log,
        bytes: &[u8],
        now: Millis,
        out: &mut VecDeque<u8>,
    ) -> bool {
        let mut report = |log: &Log| {
            self.written_at = Some(now);
            out.extend((log.end() as i64).to_be_bytes());
        };
        if !self.begun {
            self.begun = true;
            report(log);
        }
        self.input.extend(bytes);
        while self.input.len() >= 12 {
            let offset = i64::from_be_bytes(self.input[..8].try_into().expect("8 bytes")) as u64;
            let size = i32::from_be_bytes(self.input[8..12].try_into().expect("4 bytes")) as usize;
            if log.end() != 0 && log.end() != offset {
                return false;
            }
            if self.input.len() < 12 + size {
                break;
            }
            if log.bytes.is_empty() && size > 0 {
                log.min = offset;
            }
            log.bytes.extend(&self.input[12..12 + size]);
            self.input.drain(..12 + size);
            if size > 0 {
                report(log);
            }
        }
        if self.written_at.is_none_or(|at| now.since(at) > 5000) {
            self.written_at = Some(now);
            out.extend((log.end() as i64).to_be_bytes());
        }
        true
    }
}
