//! Which clients subscribe to which lite topics, and what has come for them (Java:
//! `LiteSubscriptionRegistryImpl`, `LiteEventDispatcher`). A core: what it needs to know comes
//! through [`Outlook`], what it wants done goes out as [`Effect`]s.
//!
//! A lite topic that may have something for a group is an event of one of the group's clients. A
//! client that does not come for its events loses them to another of its group; one whose events
//! are too many is gone through again later, lite topic by lite topic.

mod events;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use skua_protocol::Millis;
use skua_protocol::service::Peer;

use events::{Events, Round};

type Name = Arc<str>;

/// A wildcard group's new client gets what is there after this.
const WILDCARD_FIRST_MS: i64 = 5_000;
/// Stands for all lite topics of a parent in a wildcard client's subscription.
const WILDCARD_MARK: char = '@';

pub struct Rules {
    /// Pops go by events; if not, through all that a client subscribes to.
    pub by_events: bool,
    pub subscriptions_max: usize,
    pub scan_every_ms: i64,
    pub again_after_ms: i64,
    pub wildcard_again_after_ms: i64,
    pub subscriptions_checked_every_ms: i64,
    pub subscription_lives_ms: i64,
}

/// What a group's attributes say.
#[derive(Clone, Debug, Default)]
pub struct GroupFacts {
    pub bound: Option<Name>,
    pub wildcard: bool,
    pub exclusive: bool,
    pub reset_when_excluded: bool,
    pub reset_on_leave: bool,
    pub events_max: usize,
}

/// What the rest of the broker knows.
pub trait Outlook {
    fn group(&self, group: &str) -> GroupFacts;
    /// 0: the light queue has no message.
    fn max_offset(&self, queue: &str) -> i64;
    /// -1: nothing.
    fn committed(&self, group: &str, queue: &str) -> i64;
    /// Light queues of a parent's lite topics.
    fn queues_of(&self, parent: &str) -> Vec<String>;
}

/// What a change of the board is made with.
pub struct Moment<'a> {
    pub outlook: &'a dyn Outlook,
    pub rules: &'a Rules,
    pub effects: Vec<Effect>,
    pub now: Millis,
}

pub enum Effect {
    /// A waiting pop of the client looks again.
    Wake { client: Name, group: Name },
    /// The group goes on elsewhere.
    Reset { group: Name, queue: Name, offset: i64 },
    /// The client has the lite topic no more.
    Tell { peer: Arc<dyn Peer>, client: Name, group: Name, queue: Name },
}

/// Where a new subscriber wants its group to begin (Java: `OffsetOption`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Min,
    Max,
    At(i64),
    /// This many before where the group is.
    Back(i64),
    /// As it is.
    Stay,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    #[error("lite subscription quota exceeded {0}")]
    TooMany(usize),
    #[error("subscribe lite operation is not supported for this group")]
    Wildcard,
}

/// Who subscribes, to what of which parent.
#[derive(Clone, Copy)]
pub struct Subscriber<'a> {
    pub client: &'a str,
    pub group: &'a str,
    pub parent: &'a str,
}

pub struct Subscription {
    group: Name,
    queues: BTreeSet<Name>,
    updated: Millis,
}

/// Client and group.
type Member = (Name, Name);

#[derive(Default)]
pub struct Board {
    peers: HashMap<Name, Arc<dyn Peer>>,
    /// By client.
    subscriptions: BTreeMap<Name, Subscription>,
    /// By light queue, or by `parent@group` of a wildcard group.
    members: HashMap<Name, BTreeSet<Member>>,
    /// By parent.
    wildcards: HashMap<Name, BTreeSet<Name>>,
    /// Pairs of client and lite topic.
    pairs: usize,
    events: BTreeMap<Name, Events>,
    distrusted: HashMap<Name, Millis>,
    /// Rounds to come through all lite topics of a client, or of a wildcard group.
    rounds: BTreeSet<(Millis, Round)>,
    turn: usize,
    scan_at: Option<Millis>,
    check_at: Option<Millis>,
}

impl Board {
    /// How many pairs of client and lite topic there are.
    pub fn subscriptions(&self) -> usize {
        self.pairs
    }

    /// How many clients have events, or had lately.
    pub fn clients_with_events(&self) -> usize {
        self.events.len()
    }

    /// When a client last came for its events.
    pub fn last_access(&self, client: &str) -> Option<Millis> {
        self.events.get(client).map(|events| events.accessed)
    }

    /// The light queues that a client subscribes to; `None`: it is not known.
    pub fn queues(&self, client: &str) -> Option<Vec<Name>> {
        let subscription = self.subscriptions.get(client)?;
        Some(subscription.queues.iter().cloned().collect())
    }

    /// Clients and groups that get what comes for a light queue.
    pub fn members(&self, queue: &str) -> Vec<Member> {
        let own = self.members.get(queue).into_iter().flatten().cloned();
        let wildcards = super::parent_of(queue).and_then(|parent| self.wildcards.get(parent));
        let wildcards = wildcards.into_iter().flatten();
        let has_clients =
            |group: &&Name| super::parent_of(queue).is_some_and(|p| self.has_clients(p, group));
        own.chain(wildcards.filter(has_clients).map(|group| ("*".into(), group.clone()))).collect()
    }

    fn has_clients(&self, parent: &str, group: &str) -> bool {
        self.members.contains_key(&*wildcard_mark(parent, group))
    }

    /// The client is reached through this connection.
    pub fn connect(&mut self, client: &str, peer: Arc<dyn Peer>) {
        self.peers.insert(client.into(), peer);
    }

    fn subscription(&mut self, of: Subscriber<'_>, at: &Moment<'_>) -> &mut Subscription {
        let every = at.rules.subscriptions_checked_every_ms.max(1);
        self.check_at.get_or_insert_with(|| at.now.plus(every));
        let subscription = self.subscriptions.entry(of.client.into()).or_insert_with(|| {
            Subscription { group: of.group.into(), queues: BTreeSet::new(), updated: at.now }
        });
        subscription.updated = at.now;
        subscription
    }

    /// The client subscribes to these light queues, too.
    pub fn add(
        &mut self,
        of: Subscriber<'_>,
        queues: Vec<Name>,
        start: Start,
        at: &mut Moment<'_>,
    ) -> Result<(), SubscribeError> {
        if self.pairs >= at.rules.subscriptions_max {
            return Err(SubscribeError::TooMany(at.rules.subscriptions_max));
        }
        let facts = at.outlook.group(of.group);
        if facts.wildcard {
            return Err(SubscribeError::Wildcard);
        }
        let group = self.subscription(of, at).group.clone();
        for queue in queues {
            if facts.exclusive {
                self.exclude(of.group, &queue, facts.reset_when_excluded, at);
            }
            // It may have been the one that was excluded.
            self.subscription(of, at).queues.insert(queue.clone());
            reset(&queue, of.group, start, at);
            self.join((of.client.into(), group.clone()), &queue, at);
        }
        Ok(())
    }

    /// The client subscribes to these light queues no more.
    pub fn remove(&mut self, of: Subscriber<'_>, queues: &[Name], at: &mut Moment<'_>) {
        let resets = at.outlook.group(of.group).reset_on_leave;
        let subscription = self.subscription(of, at);
        let member = (Name::from(of.client), subscription.group.clone());
        for queue in queues {
            subscription.queues.remove(queue);
        }
        for queue in queues {
            if self.leave(&member, queue) && resets {
                reset(queue, &member.1, Start::Min, at);
            }
        }
    }

    /// The client subscribes to these light queues and no others; one of a wildcard group to all.
    pub fn replace(&mut self, of: Subscriber<'_>, queues: Vec<Name>, at: &mut Moment<'_>) {
        let mut new: BTreeSet<Name> = queues.into_iter().collect();
        if at.outlook.group(of.group).wildcard {
            new = BTreeSet::from([wildcard_mark(of.parent, of.group)]);
            self.wildcards.entry(of.parent.into()).or_default().insert(of.group.into());
        }
        let subscription = self.subscription(of, at);
        let member = (Name::from(of.client), subscription.group.clone());
        let gone: Vec<Name> = subscription.queues.difference(&new).cloned().collect();
        subscription.queues = new.clone();
        for queue in &gone {
            self.leave(&member, queue);
        }
        for queue in new {
            self.join(member.clone(), &queue, at);
        }
    }

    /// The client subscribes to nothing; what came for it is another's.
    pub fn remove_client(&mut self, client: &str, at: &mut Moment<'_>) {
        self.peers.remove(client);
        let Some(subscription) = self.subscriptions.remove(client) else { return };
        let member = (Name::from(client), subscription.group.clone());
        for queue in &subscription.queues {
            self.leave(&member, queue);
        }
        if let Some(events) = self.events.remove(client) {
            self.hand_on(client, events, at);
        }
    }

    /// The light queue is gone.
    pub fn forget(&mut self, queue: &str) {
        for (client, _) in self.members.remove(queue).unwrap_or_default() {
            self.pairs -= 1;
            if let Some(subscription) = self.subscriptions.get_mut(&client) {
                subscription.queues.remove(queue);
            }
        }
    }

    fn join(&mut self, member: Member, queue: &Name, at: &mut Moment<'_>) {
        let group = member.1.clone();
        if !self.members.entry(queue.clone()).or_default().insert(member) {
            return;
        }
        self.pairs += 1;
        if at.outlook.group(&group).wildcard {
            self.plan(Round::Wildcard { group }, WILDCARD_FIRST_MS, at.now);
        } else if at.outlook.max_offset(queue) > 0 {
            self.dispatch(Some(&group), queue, None, at);
        }
    }

    /// False: it was not there.
    fn leave(&mut self, member: &Member, queue: &Name) -> bool {
        let Some(members) = self.members.get_mut(queue) else { return false };
        let left = members.remove(member);
        if members.is_empty() {
            self.members.remove(queue);
        }
        self.pairs -= usize::from(left);
        left
    }

    /// Takes the lite topic from whoever of the group has it.
    fn exclude(&mut self, group: &str, queue: &Name, resets: bool, at: &mut Moment<'_>) {
        let members = self.members.get(queue).into_iter().flatten();
        let others: Vec<Member> = members.filter(|(_, of)| **of == *group).cloned().collect();
        for member in others {
            let client = &member.0;
            if let Some(subscription) = self.subscriptions.get_mut(client) {
                subscription.queues.remove(queue);
                if subscription.queues.is_empty() {
                    self.subscriptions.remove(client);
                }
            }
            if let Some(peer) = self.peers.get(client) {
                let (client, group) = member.clone();
                let peer = peer.clone();
                at.effects.push(Effect::Tell { peer, client, group, queue: queue.clone() });
            }
            if self.leave(&member, queue) && resets {
                reset(queue, group, Start::Min, at);
            }
        }
    }
}

fn wildcard_mark(parent: &str, group: &str) -> Name {
    format!("{parent}{WILDCARD_MARK}{group}").into()
}

fn reset(queue: &Name, group: &str, start: Start, at: &mut Moment<'_>) {
    let current = at.outlook.committed(group, queue);
    let target = match start {
        Start::Min => 0,
        Start::Max => at.outlook.max_offset(queue),
        Start::At(offset) => offset,
        Start::Back(messages) if current >= 0 => current.saturating_sub(messages).max(0),
        Start::Back(_) | Start::Stay => return,
    };
    if target != current {
        at.effects.push(Effect::Reset {
            group: group.into(),
            queue: queue.clone(),
            offset: target,
        });
    }
}

#[cfg(test)]
mod tests;
