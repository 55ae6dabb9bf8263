//! Brokers of one group over a modelled Raft log, for tests: what a member's store and its broker
//! are told, and in what order, is as `skua-raft` and the shell do it; who talks to whom, who is
//! elected and who ends is up to the test.
//!
//! The log is the commit log of each member's real store. The model knows of it where entries end
//! and of which term they are; a change is agreed on when most members have it.

use skua_protocol::service::Outcome;
use skua_protocol::{Command, Millis, PhysicalOffset};
use skua_store::disk::SimDisk;
use std::sync::Arc;

use crate::role::{LeadError, Role};
use crate::swap_map::lock;
use crate::test_broker::{START, TestBroker};

const CONF: &str =
    "enableDLegerCommitLog=true\ndLegerPeers=n0-h:1;n1-h:2;n2-h:3\ndLegerSelfId=n0\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    term: u64,
    end: PhysicalOffset,
}

/// One broker, and its member of the Raft group.
pub struct Member {
    test: Option<TestBroker>,
    is_up: bool,
    term: u64,
    /// Elected, in `term`.
    leads: bool,
    /// Appends are taken: the broker may become master.
    is_open: bool,
    entries: Vec<Entry>,
    /// So many entries are agreed on, as far as this member knows.
    agreed: usize,
    /// The term in which the broker became master last.
    mastered: Option<u64>,
    /// Whom it has heard of as the leader of its term.
    leader: Option<usize>,
    /// A leader's round in which the others say that it leads still: the questions of that which
    /// came before it, and who has said so.
    questions: u64,
    said: Vec<usize>,
}

impl Member {
    fn new(conf: &str) -> Self {
        let test = TestBroker::on(SimDisk::new(1), &format!("{CONF}{conf}"), START);
        test.broker.send_on_to_master();
        Self {
            test: Some(test),
            is_up: true,
            term: 0,
            leads: false,
            is_open: false,
            entries: Vec::new(),
            agreed: 0,
            mastered: None,
            leader: None,
            questions: 0,
            said: Vec::new(),
        }
    }

    fn test(&self) -> &TestBroker {
        self.test.as_ref().expect("taken out for a restart only")
    }

    fn newest(&self) -> (u64, usize) {
        (self.entries.last().map_or(0, |entry| entry.term), self.entries.len())
    }

    fn end(&self) -> PhysicalOffset {
        self.entries.last().map_or(PhysicalOffset(0), |entry| entry.end)
    }

    /// First no send is taken any more, then what was never proposed is taken back.
    fn lose_lead(&mut self) {
        if std::mem::take(&mut self.leads) {
            self.is_open = false;
            self.said.clear();
            let store = &self.test().store;
            store.close_appends();
            store.truncate_to(self.end()).expect("nothing fails on this disk");
        }
    }

    fn agree(&mut self, agreed: usize) {
        if agreed > self.agreed {
            self.agreed = agreed;
            self.test().store.confirm(self.entries[agreed - 1].end);
        }
    }
}

pub struct TestGroup {
    pub members: Vec<Member>,
    pub now: Millis,
    /// What is agreed on, by whoever knew first.
    agreed: Vec<Entry>,
    term: u64,
}

impl TestGroup {
    pub fn new(size: usize, conf: &str) -> Self {
        let members = (0..size).map(|_| Member::new(conf)).collect();
        Self { members, now: START, agreed: Vec::new(), term: 0 }
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_up(&self, nth: usize) -> bool {
        self.members[nth].is_up
    }

    pub fn at(&self, nth: usize) -> &TestBroker {
        self.members[nth].test()
    }

    /// Passes time, for all alike.
    pub fn pass(&mut self, ms: i64) {
        self.now = self.now.plus(ms);
        for member in &mut self.members {
            member.test.as_mut().expect("taken out for a restart only").now = self.now;
        }
    }

    /// The member that leads in the newest term, of those that are up.
    pub fn leader(&self) -> Option<usize> {
        let leads = |nth: &usize| self.members[*nth].is_up && self.members[*nth].leads;
        (0..self.len()).filter(leads).max_by_key(|nth| self.members[*nth].term)
    }

    pub fn is_master(&self, nth: usize) -> bool {
        self.is_up(nth) && self.at(nth).broker.is_master()
    }

    /// The version that the member's broker gave its tables when it became master last.
    pub fn master_term(&self, nth: usize) -> i64 {
        self.at(nth).broker.topics.version().state_version
    }

    /// Who is up and could vote for this member.
    pub fn voters(&self, nth: usize) -> Vec<usize> {
        let own = self.members[nth].newest();
        let votes = |of: &usize| self.is_up(*of) && self.members[*of].newest() <= own;
        (0..self.len()).filter(votes).collect()
    }

    /// Elects a member with these votes, if they are enough; who does not vote hears of it later.
    pub fn elect(&mut self, nth: usize, voters: &[usize]) -> bool {
        if !self.is_up(nth) || voters.len() <= self.len() / 2 {
            return false;
        }
        self.term += 1;
        for voter in voters {
            let voter = &mut self.members[*voter];
            voter.lose_lead();
            (voter.term, voter.leader) = (self.term, None);
        }
        let leader = &mut self.members[nth];
        leader.leads = true;
        leader.questions = 0;
        let end = leader.end();
        leader.entries.push(Entry { term: self.term, end });
        true
    }

    /// The leader makes an entry of what was appended since: all of it, or one record.
    pub fn propose(&mut self, nth: usize, one: bool) {
        let member = &mut self.members[nth];
        if !member.is_up || !member.is_open {
            return;
        }
        let (from, until) = (member.end(), member.test().store.appended());
        if from < until {
            let head = member.test().store.log_bytes(from, 4).expect("its log");
            let size = u32::from_be_bytes(head[..].try_into().expect("four bytes"));
            let end = if one { PhysicalOffset(from.0 + u64::from(size)) } else { until };
            member.entries.push(Entry { term: member.term, end });
        }
    }

    /// A leader sends a follower so many of the entries that it lacks, and up to where they are
    /// agreed on; the follower answers.
    pub fn talk(&mut self, from: usize, to: usize, most: usize) {
        let (leader, follower) = (&self.members[from], &self.members[to]);
        if from == to || !leader.leads || !leader.is_up || !follower.is_up {
            return;
        }
        if follower.term > leader.term {
            let term = follower.term;
            let leader = &mut self.members[from];
            leader.lose_lead();
            (leader.term, leader.leader) = (term, None);
            return;
        }
        let same = leader.entries.iter().zip(&follower.entries);
        let same = same.take_while(|(a, b)| a == b).count();
        let len = (same + most).min(leader.entries.len());
        let (term, agreed) = (leader.term, leader.agreed.min(len));
        let news = leader.entries[same..len].to_vec();
        assert!(follower.agreed <= same, "the model takes back what is agreed on");
        let start = if same == 0 { PhysicalOffset(0) } else { leader.entries[same - 1].end };
        let end = if len == 0 { start } else { leader.entries[len - 1].end };
        let bytes = match end > start {
            true => self.at(from).store.log_bytes(start, (end.0 - start.0) as usize),
            false => Ok(Default::default()),
        };
        let bytes = bytes.expect("its log");
        let follower = &mut self.members[to];
        follower.lose_lead();
        (follower.term, follower.leader) = (term, Some(from));
        let held = follower.entries.len();
        // Only a conflict takes anything away.
        if held > same && !news.is_empty() {
            follower.entries.truncate(same);
            follower.test().store.truncate_to(start).expect("nothing fails on this disk");
        }
        if follower.entries.len() == same {
            follower.entries.extend(news);
            if !bytes.is_empty() {
                let store = &follower.test().store;
                store.append_copy(start, &bytes).expect("nothing fails on this disk");
            }
        }
        follower.agree(agreed);
        self.count(from);
        self.say_that_it_leads(from, to);
    }

    /// As the library's ReadIndex: who asks after a round has begun waits for the next.
    fn say_that_it_leads(&mut self, nth: usize, from: usize) {
        let majority = self.len() / 2 + 1;
        let leader = &mut self.members[nth];
        if !leader.said.contains(&from) {
            leader.said.push(from);
        }
        if leader.said.len() + 1 >= majority {
            let store = &leader.test().store;
            store.answer_lead_questions(leader.questions);
            leader.questions = store.lead_questions();
            leader.said.clear();
        }
    }

    /// What most have is agreed on, if it is of the leader's term.
    fn count(&mut self, nth: usize) {
        let leader = &self.members[nth];
        let have = |len: usize| {
            let has = |member: &&Member| {
                member.entries.len() >= len && member.entries[len - 1] == leader.entries[len - 1]
            };
            self.members.iter().filter(has).filter(|member| member.term <= leader.term).count()
        };
        let of_term = |len: &usize| leader.entries[len - 1].term == leader.term;
        let lens = (leader.agreed + 1..=leader.entries.len()).rev();
        let Some(len) = lens.filter(of_term).find(|len| have(*len) > self.len() / 2) else {
            return;
        };
        let common = len.min(self.agreed.len());
        assert_eq!(self.agreed[..common], leader.entries[..common], "the model is wrong");
        if len > self.agreed.len() {
            self.agreed = leader.entries[..len].to_vec();
        }
        self.members[nth].agree(len);
    }

    /// The member brings what is agreed on into the queues, and takes appends if it is to.
    pub fn dispatch(&mut self, nth: usize) {
        let member = &mut self.members[nth];
        if !member.is_up {
            return;
        }
        member.test().dispatch();
        let has_all = member.agreed == member.entries.len();
        if member.leads && !member.is_open && has_all {
            member.is_open = member.test().store.open_appends().is_some();
        }
    }

    /// The broker hears what became of its member: later than that itself, and perhaps not of all.
    pub fn hear(&mut self, nth: usize) {
        let now = self.now;
        let id = nth as i64 + 1;
        let member = &mut self.members[nth];
        if !member.is_up {
            return;
        }
        let broker = member.test().broker.clone();
        if broker.is_master() && (!member.is_open || member.mastered != Some(member.term)) {
            broker.lose_place(id);
        }
        if member.is_open {
            if !broker.is_master() {
                member.mastered = Some(member.term);
                match broker.lead(member.term as i64, now) {
                    Ok(told) => drop(told),
                    // Somebody has appended since: it is tried again.
                    Err(LeadError::Behind { .. }) => {}
                    Err(error) => panic!("nothing fails on this disk: {error}"),
                }
            }
        } else if !member.leads && !matches!(broker.role(), Role::Slave(_)) {
            broker.follow(id, now);
        }
        let leader = member.leader.filter(|of| !self.members[nth].leads && self.is_up(*of));
        *lock(&self.at(nth).asked.master) = leader.map(address);
        broker.master_has_moved();
    }

    /// Lets every member reach the others that are up.
    pub fn connect(&self) {
        for member in &self.members {
            let mut others = lock(&member.test().asked.others);
            others.clear();
            for (nth, other) in self.members.iter().enumerate().filter(|(_, other)| other.is_up) {
                let test = other.test();
                others.insert(address(nth), (test.broker.clone(), test.peer.clone()));
            }
        }
    }

    /// Does what is due at the member.
    pub fn due(&mut self, nth: usize) {
        if self.is_up(nth) {
            self.at(nth).broker.run_due(self.now);
        }
    }

    /// Ends as `kill -9` does. The caller forgets all that waits there.
    pub fn kill(&mut self, nth: usize) {
        self.members[nth].is_up = false;
        self.connect();
    }

    /// Starts again: after [`kill`](Self::kill), or `in_order`.
    pub fn start(&mut self, nth: usize, in_order: bool) {
        let member = &mut self.members[nth];
        if in_order {
            member.lose_lead();
        }
        member.is_up = false;
        self.connect();
        let test = self.members[nth].test.take().expect("taken out for a restart only");
        lock(&test.asked.others).clear();
        let test = if in_order { test.restart() } else { test.crash() };
        test.broker.send_on_to_master();
        let end = self.members[nth].end();
        let member = &mut self.members[nth];
        (member.leads, member.is_open, member.is_up) = (false, false, true);
        (member.agreed, member.mastered, member.leader) = (0, None, None);
        member.said.clear();
        // What was appended and never proposed.
        test.store.truncate_to(end).expect("nothing fails on this disk");
        member.test = Some(test);
        self.connect();
    }

    /// Starts a request at a member; [`step`](Step) is what is left to do.
    pub fn start_request(&self, nth: usize, request: Command) -> Outcome {
        let test = self.at(nth);
        let peer: Arc<dyn skua_protocol::service::Peer> = test.peer.clone();
        skua_protocol::service::Service::serve(test.broker.clone(), &peer, request, self.now)
    }
}

fn address(nth: usize) -> String {
    format!("n{nth}")
}
