//! Where a broker stands in the log of changes: what it has read of it, what it may write, and
//! what an answer has to wait for. No store, no table, no clock.

use skua_protocol::PhysicalOffset;
use skua_store::Epoch;

#[derive(Debug, Default)]
pub(super) struct TableLog {
    /// The epoch of appends in which this broker writes the log.
    leads: Option<Epoch>,
    /// Of a leader the offset that its next record gets, of a follower that of the first it has
    /// not read.
    next: u64,
    /// Up to here the records are agreed on, and the tables have them.
    kept: u64,
    /// Where this leader's newest record ends.
    end: PhysicalOffset,
    /// Counts the times that everything was in the log.
    rounds: u64,
    /// Whoever has read fewer records may not know that an offset was set back.
    set_back: u64,
}

/// What an answer waits for: a round after this one, if there is a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(Option<u64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All that has changed is to be put into the log.
    Append,
    /// Until the group agrees on the log up to here; then ask again.
    Wait(PhysicalOffset),
    Done,
}

impl TableLog {
    pub fn from(next: u64) -> Self {
        Self { next, kept: next, ..Self::default() }
    }

    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Whether this broker leads, and appends are taken in the same epoch still.
    pub fn leads(&self, epoch: Option<Epoch>) -> bool {
        self.leads.is_some() && self.leads == epoch
    }

    /// The queue has these records; true if some were never read here and are gone.
    pub fn bound(&mut self, min: u64, max: u64) -> bool {
        let is_torn = self.next < min;
        self.next = self.next.clamp(min.min(max), max);
        self.kept = self.kept.min(self.next);
        is_torn
    }

    /// Whether a leader's table with so many records is not older than the one here.
    pub fn takes_copy(&self, at: u64) -> bool {
        self.leads.is_none() && self.next <= at
    }

    /// The newest record sets an offset back.
    pub fn set_back(&mut self) {
        self.set_back = self.next;
    }

    pub fn is_set_back_since(&self, read: u64) -> bool {
        read < self.set_back
    }

    /// A follower has done what the records before `next` say.
    pub fn took(&mut self, next: u64) {
        (self.next, self.kept) = (next, next);
    }

    /// From now on it writes: it has read everything.
    pub fn lead(&mut self, epoch: Option<Epoch>) {
        self.leads = epoch;
        self.end = PhysicalOffset(0);
        // Those of leaders before are not looked for.
        self.set_back = self.next;
    }

    /// It does not write any more, and what was not agreed on may be gone.
    pub fn give_up(&mut self) {
        self.leads = None;
        self.next = self.kept;
    }

    /// Records of this leader before `max` are agreed on.
    pub fn agreed_up_to(&mut self, max: u64) {
        self.kept = self.kept.max(max.min(self.next));
    }

    /// A record was stored; false if it counts for nobody, since another leader was between.
    pub fn appended(&mut self, at: u64, end: PhysicalOffset, epoch: Epoch) -> bool {
        if at != self.next || !self.leads(Some(epoch)) {
            self.give_up();
            return false;
        }
        self.next += 1;
        self.end = end;
        true
    }

    /// All that had changed is in the log.
    pub fn has_all(&mut self) {
        self.rounds += 1;
    }

    /// For an answer that tells of changes up to now; `has_changes`: not all are in the log.
    pub fn ticket(&self, has_changes: bool) -> Ticket {
        Ticket(has_changes.then_some(self.rounds))
    }

    /// One round is under way at a time: who comes meanwhile goes with the next, together.
    pub fn step(&self, ticket: Ticket, confirmed: PhysicalOffset) -> Step {
        let is_in = ticket.0.is_none_or(|round| self.rounds > round);
        match self.end <= confirmed {
            true if is_in => Step::Done,
            true => Step::Append,
            false => Step::Wait(self.end),
        }
    }
}
