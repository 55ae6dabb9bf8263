//! The queues that dispatch met last, found without the table: it looks for one for every record.

use std::sync::Arc;

use skua_protocol::QueueId;

use super::{Queue, Queues};
use crate::disk::DiskResult;

/// Queues that are kept, each in the one place that its name has.
const PLACES: usize = 512;

#[derive(Default)]
pub(crate) struct Recent {
    places: Vec<Option<Arc<Queue>>>,
}

impl Recent {
    /// As [`Queues::get`].
    pub(crate) fn get(
        &mut self,
        queues: &Queues,
        topic: &str,
        id: QueueId,
    ) -> DiskResult<Arc<Queue>> {
        if self.places.is_empty() {
            self.places.resize(PLACES, None);
        }
        let at = (mix(topic) as usize).wrapping_add(id.0 as usize) % PLACES;
        if let Some(queue) = &self.places[at]
            && queue.id() == id
            && queue.topic() == topic
            && !queue.is_deleted()
        {
            return Ok(Arc::clone(queue));
        }
        let queue = queues.get(topic, id)?;
        self.places[at] = Some(Arc::clone(&queue));
        Ok(queue)
    }
}

/// Spreads names. Whoever knows it can make names meet, which costs no more than a longer look.
pub(super) fn mix(name: &str) -> u64 {
    // 2^64 by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = name.as_bytes().as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]);
    words.fold(name.len() as u64, |mixed, word| {
        let mixed = (mixed ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        mixed ^ (mixed >> 32)
    })
}
