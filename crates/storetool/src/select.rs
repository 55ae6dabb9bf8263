//! Which messages: of the whole log, or of a topic's queues in the order they were stored.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use skua_protocol::properties::UNIQ_KEY;
use skua_protocol::record::Record;
use skua_protocol::{Millis, QueueId};
use skua_store::DiskError;
use skua_store::inspect::{Directory, LogReader, Piece, QueueEntry, QueueFiles};

use crate::Failure;
use crate::words::parse_moment;

/// Entries of a queue looked up at a time.
const CHUNK: usize = 1024;

#[derive(Clone, Debug, Default, clap::Args)]
pub struct Selection {
    /// Only this queue (with --topic).
    #[arg(short = 'q', long = "queue", value_name = "ID")]
    pub queue: Option<u32>,
    /// From this queue offset on (with --topic; without it, from this physical offset on, where a
    /// record must begin).
    #[arg(short, long, value_name = "OFFSET")]
    pub offset: Option<u64>,
    /// Stored at this time or later: milliseconds since 1970, or a date and time.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub begin: Option<Millis>,
    /// Stored at this time or before.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub end: Option<Millis>,
    /// With this key or unique id.
    #[arg(short, long)]
    pub key: Option<String>,
    /// With this tag.
    #[arg(long)]
    pub tag: Option<String>,
    /// At most that many messages.
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,
}

/// Something shown to who goes through the messages.
pub enum Shown<'a> {
    Message(&'a Record<'a>),
    /// A place that holds no message where one should be.
    Damage {
        offset: u64,
        reason: String,
    },
}

type Visit<'v> = &'v mut dyn FnMut(Shown<'_>) -> Result<(), Failure>;

impl Selection {
    /// Shows what is wanted: of `topic`, or of everything.
    pub fn walk(
        &self,
        directory: &Directory,
        topic: Option<&str>,
        visit: Visit<'_>,
    ) -> Result<(), Failure> {
        let mut left = self.count.unwrap_or(u64::MAX);
        let mut failed = Ok(());
        let mut show = |shown: Shown<'_>| {
            if let Shown::Message(record) = &shown {
                if !self.takes(record) {
                    return ControlFlow::Continue(());
                }
                left = left.saturating_sub(1);
            }
            failed = visit(shown);
            if failed.is_err() || left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        if self.count == Some(0) {
            return Ok(());
        }
        match topic {
            Some(topic) => self.walk_topic(directory, topic, &mut show)?,
            None => self.walk_log(directory, &mut show)?,
        }
        failed
    }

    fn takes(&self, record: &Record<'_>) -> bool {
        let time = record.store_timestamp();
        let properties = record.properties();
        let has_key = |key: &String| {
            properties.get(UNIQ_KEY) == Some(key) || properties.keys().any(|own| own == key)
        };
        self.begin.is_none_or(|begin| time >= begin)
            && self.end.is_none_or(|end| time <= end)
            && self.key.as_ref().is_none_or(has_key)
            && self.tag.as_ref().is_none_or(|tag| record.tags() == Some(tag))
    }

    fn walk_log(
        &self,
        directory: &Directory,
        show: &mut dyn FnMut(Shown<'_>) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        if self.queue.is_some() {
            return Err(Failure::Usage("--queue needs --topic".to_owned()));
        }
        let start = match (self.offset, self.begin) {
            (Some(offset), _) => offset,
            (None, Some(begin)) => directory.log_start_before(begin)?,
            (None, None) => directory.log_start(),
        };
        Ok(directory.walk_log(start, &mut |offset, piece| match piece {
            Piece::Message(record) => {
                if self.end.is_some_and(|end| record.store_timestamp() > end) {
                    return ControlFlow::Break(());
                }
                show(Shown::Message(&record))
            }
            Piece::Damage { reason, .. } => show(Shown::Damage { offset, reason }),
            Piece::EndOfFile | Piece::End { .. } => ControlFlow::Continue(()),
        })?)
    }

    fn walk_topic(
        &self,
        directory: &Directory,
        topic: &str,
        show: &mut dyn FnMut(Shown<'_>) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        let mut queues = Vec::new();
        for files in directory.queues_of(topic)? {
            if self.queue.is_none_or(|queue| files.queue_id == QueueId(queue)) {
                let (min, _) = directory.bounds(&files)?;
                let next = self.offset.map_or(min, |offset| offset.max(min));
                queues.push(Front { files, next, entries: VecDeque::new(), is_done: false });
            }
        }
        if queues.is_empty() {
            let queue = self.queue.map_or_else(String::new, |queue| format!(", queue {queue}"));
            return Err(Failure::Usage(format!("there is no topic {topic}{queue} in the store")));
        }
        let mut reader = LogReader::new(directory);
        loop {
            let mut first: Option<(usize, QueueEntry)> = None;
            for (nth, queue) in queues.iter_mut().enumerate() {
                if let Some(entry) = queue.peek(directory)?
                    && first.is_none_or(|(_, first)| entry.physical_offset < first.physical_offset)
                {
                    first = Some((nth, entry));
                }
            }
            let Some((nth, entry)) = first else { return Ok(()) };
            queues[nth].entries.pop_front();
            let offset = entry.physical_offset;
            let shown = reader.record_at(offset, |record| show(Shown::Message(record)))?;
            let shown = shown.unwrap_or_else(|| {
                let (topic, queue) = (&queues[nth].files.topic, queues[nth].files.queue_id);
                let at = entry.queue_offset;
                let reason = format!("offset {at} of {topic}, queue {queue}, has no whole record");
                show(Shown::Damage { offset, reason })
            });
            if shown.is_break() {
                return Ok(());
            }
        }
    }
}

/// Where the walk stands in a queue.
struct Front {
    files: QueueFiles,
    next: u64,
    entries: VecDeque<QueueEntry>,
    is_done: bool,
}

impl Front {
    fn peek(&mut self, directory: &Directory) -> Result<Option<QueueEntry>, DiskError> {
        if self.entries.is_empty() && !self.is_done {
            let (next, entries) = (&mut self.next, &mut self.entries);
            directory.walk_queue(&self.files, *next, &mut |entry| {
                *next = entry.next();
                if !entry.is_blank {
                    entries.push_back(entry);
                }
                if entries.len() >= CHUNK {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            self.is_done = self.entries.is_empty();
        }
        Ok(self.entries.front().copied())
    }
}
