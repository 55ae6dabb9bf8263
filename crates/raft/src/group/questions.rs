//! Whether this member leads still: answered by a round of signs of life, without an entry.
//!
//! Who asks does so at the store ([`skua_store::Store::leads_still`]). One round is under way at a
//! time, and answers all who asked before it began; who comes meanwhile goes with the next,
//! together. A round whose frames are lost goes on with the next signs of life. It ends at the
//! latest with the lead, which a leader loses that hears no majority: the store tells who asked.

use raft::ReadState;

use super::Group;

/// Of one term.
#[derive(Debug)]
pub(super) struct Questions {
    /// The newest question that a round was begun for.
    asked: u64,
    /// A round for that is under way.
    is_asking: bool,
    /// What was agreed on when the round began, if that is over and not all of it is done here.
    waits_for: Option<u64>,
}

impl Questions {
    /// Earlier questions are of terms that are over.
    pub fn after(asked: u64) -> Self {
        Self { asked, is_asking: false, waits_for: None }
    }
}

impl Group {
    pub(super) fn ask_members(&mut self) {
        // Before it takes appends the library might drop the question, and nobody asks.
        let Some(leading) = self.leading.as_mut().filter(|leading| leading.takes_appends()) else {
            return;
        };
        let asked = self.store.lead_questions();
        let questions = &mut leading.questions;
        if !questions.is_asking && questions.asked < asked {
            (questions.asked, questions.is_asking) = (asked, true);
            self.node.read_index(asked.to_be_bytes().to_vec());
        }
    }

    /// What the members have answered.
    pub(super) fn take_answers(&mut self, states: &[ReadState]) {
        let Some(leading) = &mut self.leading else { return };
        let questions = &mut leading.questions;
        let is_this = |state: &&ReadState| state.request_ctx == questions.asked.to_be_bytes();
        if let Some(state) = states.iter().find(is_this).filter(|_| questions.is_asking) {
            questions.waits_for = Some(state.index);
        }
        let applied = self.log.lock().applied;
        if questions.waits_for.is_some_and(|index| index <= applied) {
            (questions.is_asking, questions.waits_for) = (false, None);
            self.store.answer_lead_questions(questions.asked);
        }
    }
}
