//! Writing entries to their file, many at a time.
//!
//! Slots are hit at random, 20 MB of them: sorted by place, tens of thousands of updates become
//! a walk over the table in a few large reads and writes.

use super::layout::{ENTRY_LEN, Entry, HEADER_LEN, Header, Layout, SLOT_LEN};
use crate::disk::{DiskFile, DiskResult};

/// Slots nearer to each other than this are read and written together.
const GAP_MAX: u64 = 1024;
/// Bytes of the slot table handled at a time.
const RUN_BYTES: u64 = 256 * 1024;
/// Entries read at a time when a slot table is built.
const BLOCK_ENTRIES: u32 = 64 * 1024;

/// Entries that are not in their file yet; the newest of it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub entries: Vec<Entry>,
    /// Slot of each entry with its place in `entries`, in order. There once the older entries are
    /// found: from then on slots may be overwritten, and must not be read for that again.
    order: Vec<(u32, u32)>,
}

impl Batch {
    /// Whether the slots may point to entries of this batch already.
    pub(super) fn is_linked(&self) -> bool {
        !self.order.is_empty()
    }

    /// Writes everything behind what `header` counts, and empties itself. After an error a second
    /// try goes on with the same links. The header is not written.
    pub(super) fn write(
        &mut self,
        file: &dyn DiskFile,
        layout: Layout,
        header: &mut Header,
    ) -> DiskResult<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let first = header.count - self.entries.len() as u32;
        if !self.is_linked() {
            self.link(file, layout, header, first)?;
        }
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY_LEN);
        self.entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.encode()));
        file.write_at(&bytes, layout.entry_at(first))?;
        drop(bytes);

        // The last of each slot is the newest.
        let newest = self.order.chunk_by(|a, b| a.0 == b.0);
        let newest: Vec<_> =
            newest.map(|slot| slot[slot.len() - 1]).map(|(slot, at)| (slot, first + at)).collect();
        let mut buffer = Vec::new();
        for run in runs(&newest, |entry| entry.0) {
            let start = layout.slot_at(run[0].0);
            buffer.resize(run_len(run[0].0, run[run.len() - 1].0), 0);
            if run.len() > 1 {
                file.read_at(&mut buffer, start)?;
            }
            for (slot, number) in run {
                let at = ((slot - run[0].0) as u64 * SLOT_LEN) as usize;
                buffer[at..at + SLOT_LEN as usize].copy_from_slice(&number.to_be_bytes());
            }
            file.write_at(&buffer, start)?;
        }
        self.entries.clear();
        self.order.clear();
        Ok(())
    }

    /// Finds each entry's older one, from the slots as they are in the file.
    fn link(
        &mut self,
        file: &dyn DiskFile,
        layout: Layout,
        header: &mut Header,
        first: u32,
    ) -> DiskResult<()> {
        let slots = self.entries.iter().map(|entry| layout.slot_of(entry.hash));
        let mut order: Vec<_> = slots.zip(0..).collect();
        order.sort_unstable();
        let mut used_slots = header.used_slots;
        let mut buffer = Vec::new();
        for run in runs(&order, |entry| entry.0) {
            buffer.resize(run_len(run[0].0, run[run.len() - 1].0), 0);
            file.read_at(&mut buffer, layout.slot_at(run[0].0))?;
            let (values, _) = buffer.as_chunks::<{ SLOT_LEN as usize }>();
            for slot in run.chunk_by(|a, b| a.0 == b.0) {
                let value = u32::from_be_bytes(values[(slot[0].0 - run[0].0) as usize]);
                // Java: what cannot be an entry's number counts as none.
                let mut older = if value < first { value } else { 0 };
                used_slots += u32::from(older == 0);
                for (_, at) in slot {
                    self.entries[*at as usize].older = older;
                    older = first + at;
                }
            }
        }
        header.used_slots = used_slots;
        self.order = order;
        Ok(())
    }
}

fn run_len(first: u32, last: u32) -> usize {
    ((u64::from(last - first) + 1) * SLOT_LEN) as usize
}

/// Cuts `items`, which are sorted by slot, into runs to be read and written at once. All items of
/// a slot are in the same.
fn runs<T>(items: &[T], slot: impl Fn(&T) -> u32 + Copy) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let first = slot(rest.first()?);
        let mut last = first;
        let end = rest.iter().position(|item| {
            let at = slot(item);
            let is_far = u64::from(at - last) * SLOT_LEN > GAP_MAX
                || u64::from(at - first) * SLOT_LEN >= RUN_BYTES;
            last = at;
            is_far && at != first
        });
        let (run, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind;
        Some(run)
    })
}

/// Makes the slot table what the first `header.count` entries say. Slots may be of entries that
/// were written after the last checkpoint, or torn; those entries were durable before it.
pub(super) fn rebuild_slots(
    file: &dyn DiskFile,
    layout: Layout,
    header: &mut Header,
) -> DiskResult<()> {
    let mut table = vec![0_u32; layout.slots as usize];
    let mut bytes = Vec::new();
    let mut number = 1;
    while number < header.count {
        let count = BLOCK_ENTRIES.min(header.count - number);
        bytes.resize(count as usize * ENTRY_LEN, 0);
        file.read_at(&mut bytes, layout.entry_at(number))?;
        let (entries, _) = bytes.as_chunks::<ENTRY_LEN>();
        for entry in entries {
            let slot = layout.slot_of(Entry::decode(entry).hash);
            table[slot as usize] = number;
            number += 1;
        }
    }
    header.used_slots = table.iter().filter(|number| **number != 0).count() as u32;
    let mut at = HEADER_LEN as u64;
    for part in table.chunks((RUN_BYTES / SLOT_LEN) as usize) {
        let wanted: Vec<u8> = part.iter().flat_map(|number| number.to_be_bytes()).collect();
        bytes.resize(wanted.len(), 0);
        file.read_at(&mut bytes, at)?;
        if bytes != wanted {
            file.write_at(&wanted, at)?;
        }
        at += wanted.len() as u64;
    }
    Ok(())
}
