//! What has come for clients: events handed out, taken, and made anew by rounds through all lite
//! topics of a client or of a wildcard group.

use std::collections::{BTreeMap, HashSet, VecDeque};

use skua_protocol::Millis;

use super::{Board, Effect, GroupFacts, Moment, Name, wildcard_mark};
use crate::lite::parent_of;

/// A client that has events and does not come for them is gone after this.
const IDLE_WITH_EVENTS_MS: i64 = 10_000;
/// And one that has none after this, which is longer than a pop waits.
const IDLE_MS: i64 = 35_000;
/// A client that did not come gets events only if nobody else does for this long.
const DISTRUSTED_MS: i64 = 10_000;
/// Another round through a client's lite topics comes no sooner than this.
const AGAIN_MIN_MS: i64 = 50;
/// A client's lite topics are gone through only if its events are less than one in so many.
const LOW_WATER: usize = 5;

pub(super) struct Events {
    group: Name,
    queue: VecDeque<Name>,
    there: HashSet<Name>,
    max: usize,
    pub(super) accessed: Millis,
}

impl Events {
    fn new(group: &str, facts: &GroupFacts, now: Millis) -> Self {
        Self {
            group: group.into(),
            queue: VecDeque::new(),
            there: HashSet::new(),
            max: facts.events_max.max(1),
            accessed: now,
        }
    }

    /// False: there are as many as may be.
    #[cfg(test)]
    pub(super) fn are_too_many(&self) -> bool {
        self.queue.len() > self.max
    }

    fn offer(&mut self, queue: &Name) -> bool {
        if self.queue.len() >= self.max {
            return false;
        }
        if self.there.insert(queue.clone()) {
            self.queue.push_back(queue.clone());
        }
        true
    }

    fn take(&mut self) -> Option<Name> {
        let queue = self.queue.pop_front()?;
        self.there.remove(&queue);
        Some(queue)
    }

    fn is_idle(&self, now: Millis) -> bool {
        let idle = now.since(self.accessed);
        idle > IDLE_MS || !self.queue.is_empty() && idle > IDLE_WITH_EVENTS_MS
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Round {
    Client { client: Name, group: Name },
    Wildcard { group: Name },
}

impl Board {
    /// There may be something in the light queue for the group, or for all.
    pub fn dispatch(
        &mut self,
        group: Option<&str>,
        queue: &str,
        but_for: Option<&str>,
        at: &mut Moment<'_>,
    ) {
        if !at.rules.by_events {
            let members = self.members.get(queue).into_iter().flatten();
            at.effects.extend(members.map(|(client, group)| Effect::Wake {
                client: client.clone(),
                group: group.clone(),
            }));
            return;
        }
        let mut groups: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        for (client, of) in self.members.get(queue).into_iter().flatten() {
            if group.is_none_or(|group| *group == **of) {
                groups.entry(of.clone()).or_default().push(client.clone());
            }
        }
        if let Some(parent) = parent_of(queue) {
            let wildcards = self.wildcards.get(parent).into_iter().flatten();
            for of in wildcards.filter(|of| group.is_none_or(|group| *group == ***of)) {
                if let Some(clients) = self.members.get(&*wildcard_mark(parent, of)) {
                    groups.insert(of.clone(), clients.iter().map(|(c, _)| c.clone()).collect());
                }
            }
        }
        let queue = Name::from(queue);
        for (group, clients) in groups {
            self.choose(&queue, &group, &clients, but_for, at);
        }
    }

    /// Makes it an event of one of the clients; false if all have too many.
    fn choose(
        &mut self,
        queue: &Name,
        group: &Name,
        clients: &[Name],
        but_for: Option<&str>,
        at: &mut Moment<'_>,
    ) -> bool {
        let facts = at.outlook.group(group);
        self.turn = self.turn.wrapping_add(1);
        let from = self.turn % clients.len().max(1);
        let (late, early) = clients.split_at(from);
        let distrusted =
            |client: &Name| self.distrusted.get(client).is_some_and(|&until| at.now < until);
        let (last, first): (Vec<&Name>, Vec<&Name>) = early
            .iter()
            .chain(late)
            .filter(|client| !(facts.wildcard && distrusted(client)))
            .partition(|client| but_for == Some(&***client) || distrusted(client));
        for client in first.into_iter().chain(last) {
            let events = self.events.entry(client.clone());
            if events.or_insert_with(|| Events::new(group, &facts, at.now)).offer(queue) {
                self.scan_at.get_or_insert_with(|| at.now.plus(at.rules.scan_every_ms));
                at.effects.push(Effect::Wake { client: client.clone(), group: group.clone() });
                return true;
            }
            if !facts.wildcard {
                let round = Round::Client { client: client.clone(), group: group.clone() };
                self.plan(round, at.rules.again_after_ms, at.now);
            }
        }
        if facts.wildcard {
            let round = Round::Wildcard { group: group.clone() };
            self.plan(round, at.rules.wildcard_again_after_ms, at.now);
        }
        false
    }

    pub(super) fn plan(&mut self, round: Round, after_ms: i64, now: Millis) {
        if self.rounds.iter().all(|(_, planned)| *planned != round) {
            self.rounds.insert((now.plus(after_ms.max(AGAIN_MIN_MS)), round));
        }
    }

    /// The client's next event; without events, what it subscribes to is gone through.
    pub fn next_event(&mut self, client: &str, now: Millis) -> Option<Name> {
        let events = self.events.get_mut(client)?;
        events.accessed = now;
        events.take()
    }

    pub fn has_event(&self, client: &str) -> bool {
        self.events.get(client).is_some_and(|events| !events.queue.is_empty())
    }

    /// An event that could not be served now.
    pub fn put_back(&mut self, client: &str, queue: &Name) {
        if let Some(events) = self.events.get_mut(client) {
            events.offer(queue);
        }
    }

    /// Makes everything that is there for a client its events, as far as they go.
    pub fn round_of_client(&mut self, client: &str, group: &str, at: &mut Moment<'_>) {
        let Some(subscription) = self.subscriptions.get(client) else { return };
        if !at.rules.by_events || subscription.queues.is_empty() {
            return;
        }
        let (client, group) = (Name::from(client), Name::from(group));
        let facts = at.outlook.group(&group);
        let events = self.events.entry(client.clone());
        let events = events.or_insert_with(|| Events::new(&group, &facts, at.now));
        let full = events.is_idle(at.now) || events.queue.len() * LOW_WATER >= events.max;
        let waits =
            |queue: &&Name| at.outlook.committed(&group, queue) < at.outlook.max_offset(queue);
        let all = full
            || !subscription
                .queues
                .iter()
                .filter(|queue| at.outlook.max_offset(queue) > 0)
                .filter(waits)
                .all(|queue| events.offer(queue));
        self.scan_at.get_or_insert_with(|| at.now.plus(at.rules.scan_every_ms));
        if all {
            let round = Round::Client { client: client.clone(), group: group.clone() };
            self.plan(round, at.rules.again_after_ms, at.now);
        }
        if !full {
            at.effects.push(Effect::Wake { client, group });
        }
    }

    fn round_of_wildcard(&mut self, group: &Name, at: &mut Moment<'_>) {
        let facts = at.outlook.group(group);
        let Some(parent) = facts.bound.filter(|_| facts.wildcard && at.rules.by_events) else {
            return;
        };
        let Some(members) = self.members.get(&*wildcard_mark(&parent, group)) else { return };
        let clients: Vec<Name> = members.iter().map(|(client, _)| client.clone()).collect();
        for queue in at.outlook.queues_of(&parent) {
            let max = at.outlook.max_offset(&queue);
            if max > 0 && at.outlook.committed(group, &queue) < max {
                let queue = Name::from(queue);
                if !self.choose(&queue, group, &clients, None, at) {
                    return;
                }
            }
        }
    }

    /// Makes everything that is there for a group its clients' events.
    pub fn round_of_group(&mut self, group: &str, at: &mut Moment<'_>) {
        if at.outlook.group(group).wildcard {
            return self.round_of_wildcard(&group.into(), at);
        }
        let of_group = self.subscriptions.iter().filter(|(_, s)| *s.group == *group);
        let clients: Vec<Name> = of_group.map(|(client, _)| client.clone()).collect();
        for client in clients {
            self.round_of_client(&client, group, at);
        }
    }

    pub(super) fn hand_on(&mut self, client: &str, mut events: Events, at: &mut Moment<'_>) {
        let group = events.group.clone();
        while let Some(queue) = events.take() {
            self.dispatch(Some(&group), &queue, Some(client), at);
        }
    }

    /// When to come again.
    pub fn due(&self) -> Option<Millis> {
        let round = self.rounds.first().map(|(at, _)| *at);
        [round, self.scan_at, self.check_at].into_iter().flatten().min()
    }

    /// Looks for clients that do not come, and does the rounds that are due.
    pub fn run_due(&mut self, at: &mut Moment<'_>) {
        let now = at.now;
        if self.scan_at.is_some_and(|due| due <= now) {
            self.distrusted.retain(|_, until| now < *until);
            let idle = self.events.iter().filter(|(_, events)| events.is_idle(now));
            let idle: Vec<Name> = idle.map(|(client, _)| client.clone()).collect();
            for client in idle {
                let Some(events) = self.events.remove(&client) else { continue };
                let left = events.queue.len();
                tracing::debug!(%client, left, "does not come for its lite topics");
                self.distrusted.insert(client.clone(), now.plus(DISTRUSTED_MS));
                self.hand_on(&client, events, at);
            }
            let more = !self.events.is_empty() || !self.distrusted.is_empty();
            self.scan_at = more.then(|| now.plus(at.rules.scan_every_ms.max(1)));
        }
        while self.rounds.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, round)) = self.rounds.pop_first()
        {
            match round {
                Round::Client { client, group } => self.round_of_client(&client, &group, at),
                Round::Wildcard { group } => self.round_of_wildcard(&group, at),
            }
        }
        if self.check_at.is_some_and(|due| due <= now) {
            let lives = at.rules.subscription_lives_ms;
            let over = self.subscriptions.iter().filter(|(_, s)| now.since(s.updated) > lives);
            let over: Vec<Name> = over.map(|(client, _)| client.clone()).collect();
            for client in over {
                self.remove_client(&client, at);
            }
            let more = !self.subscriptions.is_empty();
            let every = at.rules.subscriptions_checked_every_ms.max(1);
            self.check_at = more.then(|| now.plus(every));
        }
    }
}
