//! Real brokers of a group over a modelled Raft log, with clients that commit and ask for offsets,
//! make, change and delete topics and groups, lock queues and pop in order ([`held`]), at any
//! member; whoever ends, leads, lags or starts again when.
//!
//! - What is told of an offset is never behind what was acknowledged or told before.
//! - What was answered stays: at every leader from then on, and at every member that has read the
//!   log so far.
//! - Members that have read the same records have the same tables: those that the records say.
//! - When all are well again, all tables are equal.

mod held;
mod world;

use skua_protocol::body::SubscriptionGroupConfig;
use skua_protocol::request::{
    DeleteSubscriptionGroup, DeleteTopicInBroker, InvokeBrokerToResetOffset, QueryConsumerOffset,
    UpdateAndCreateTopic, UpdateAndGetGroupForbidden, UpdateConsumerOffset,
};
use skua_protocol::{Command, RequestCode, ResponseCode, json};
use skua_seeds::each;

use world::{Asked, COPIED, Key, QUEUES, World};

const SEEDS: u64 = 2_000;
const STEPS: usize = 120;

pub const TOPICS: [&str; 2] = ["a", "b"];
pub const GROUPS: [&str; 2] = ["x", "y"];
/// Never deleted: their offsets only grow.
pub const TOPIC: &str = "Kept";
pub const GROUP: &str = "kept";
/// And one whose offsets come and go.
pub const FREE_GROUP: &str = "free";

pub fn commit(group: &str, topic: &str, queue_id: i32, commit_offset: i64) -> Command {
    let (consumer_group, topic) = (group.into(), topic.into());
    Command::request(&UpdateConsumerOffset { consumer_group, topic, queue_id, commit_offset })
}

fn query(queue_id: i32) -> Command {
    Command::request(&QueryConsumerOffset {
        consumer_group: GROUP.into(),
        topic: TOPIC.into(),
        queue_id,
        set_zero_if_not_found: Some(false),
    })
}

pub fn make_topic(name: &str, queues: i32) -> Command {
    Command::request(&UpdateAndCreateTopic {
        topic: name.into(),
        default_topic: "TBW102".into(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: 6,
        topic_filter_type: "SINGLE_TAG".into(),
        topic_sys_flag: Some(0),
        order: false,
        attributes: None,
        force: None,
    })
}

pub fn make_group(name: &str, retries: i32) -> Command {
    let mut config = SubscriptionGroupConfig::new(name);
    config.retry_max_times = retries;
    let request = Command::raw_request(
        RequestCode::UpdateAndCreateSubscriptionGroup,
        skua_protocol::header::Fields::new(),
    );
    request.with_body(json::to_vec(&config))
}

fn delete(key: Key) -> Command {
    match key {
        Key::Topic(name) => Command::request(&DeleteTopicInBroker { topic: name.into() }),
        Key::Group(name) => Command::request(&DeleteSubscriptionGroup {
            group_name: name.into(),
            clean_offset: Some(true),
        }),
        Key::Readable(..) | Key::Offset(..) | Key::Lock => unreachable!("is set, not deleted"),
    }
}

impl World {
    /// A client begins something.
    fn client(&mut self) {
        let at = self.client_of();
        match self.dice.below(18) {
            12.. => self.hold(at),
            0..=2 => {
                let queue = self.dice.below(QUEUES as u64) as i32;
                // A queue has one consumer, who waits.
                let is_of = |asked: &Asked| matches!(asked, Asked::Commit { queue: of, .. } if *of == queue);
                if self.calls.iter().any(|call| is_of(&call.asked)) {
                    return;
                }
                self.done[queue as usize] += self.dice.below(3) as i64;
                let offset = self.done[queue as usize];
                let request = commit(GROUP, TOPIC, queue, offset);
                if self.dice.one_in(3) {
                    self.begin_one_way(at, request);
                } else {
                    self.begin(at, request, Asked::Commit { queue, offset });
                }
            }
            3..=5 => {
                let queue = self.dice.below(QUEUES as u64) as i32;
                let floor = self.told[queue as usize];
                self.begin(at, query(queue), Asked::Offset { queue, floor });
            }
            6..=8 => self.change(at),
            9 => {
                let topic = *self.dice.pick(&TOPICS);
                let (group, queue) = (*self.dice.pick(&GROUPS), self.dice.below(2) as i32);
                let offset = self.dice.below(9) as i64;
                self.begin(at, commit(group, topic, queue, offset), Asked::Nothing);
            }
            10 => {
                let request = Command::request(&InvokeBrokerToResetOffset {
                    group: (*self.dice.pick(&GROUPS)).into(),
                    topic: (*self.dice.pick(&TOPICS)).into(),
                    timestamp: -1,
                    is_force: true,
                    queue_id: None,
                    offset: None,
                });
                self.begin(at, request, Asked::Nothing);
            }
            _ => {
                let name = format!("sent{}", self.next_number());
                let message = self.group.at(at).message(&name, 0, "");
                let request = Command::request(&message).with_body(b"x".to_vec());
                self.begin(at, request, Asked::Sent(name));
            }
        }
    }

    /// A topic, a group or what it may read: of each, one change is under way at a time.
    fn change(&mut self, at: usize) {
        let topic = *self.dice.pick(&TOPICS);
        let group = *self.dice.pick(&GROUPS);
        let key = match self.dice.below(7) {
            0 | 1 => Key::Topic(topic),
            2 | 3 => Key::Group(group),
            4 | 5 => Key::Offset(FREE_GROUP),
            _ => Key::Readable(GROUP, topic),
        };
        if self.calls.iter().any(|call| matches!(call.asked, Asked::Set(of, _) if of == key)) {
            return;
        }
        let number = self.next_number();
        let (value, request) = match key {
            Key::Readable(group, topic) => {
                let readable = self.dice.one_in(2);
                let request = Command::request(&UpdateAndGetGroupForbidden {
                    group: group.into(),
                    topic: topic.into(),
                    readable: Some(readable),
                });
                (Some(i32::from(readable)), request)
            }
            Key::Offset(group) => {
                let offset = self.dice.below(1_000) as i32;
                (Some(offset), commit(group, TOPIC, 0, i64::from(offset)))
            }
            key if self.dice.one_in(3) => (None, delete(key)),
            Key::Lock => unreachable!("has its own clients"),
            Key::Topic(name) => (Some(number), make_topic(name, number)),
            Key::Group(name) => (Some(number), make_group(name, number)),
        };
        self.known.remove(&key);
        self.begin(at, request, Asked::Set(key, value));
    }

    fn step(&mut self) {
        let (a, b) = (self.any(), self.any());
        match self.dice.below(32) {
            0..=6 => {
                let leader = self.group.leader().unwrap_or(a);
                let most = 1 + self.dice.below(3) as usize;
                self.group.talk(leader, b, most);
            }
            7 => self.group.talk(a, b, 1),
            8 if self.dice.one_in(3) => self.elect(a),
            8..=10 => self.group.hear(a),
            11..=13 => self.group.dispatch(a),
            14..=16 => {
                let one = self.dice.one_in(3);
                self.group.propose(self.group.leader().unwrap_or(a), one);
            }
            17..=22 => self.client(),
            23 | 24 => self.answers(),
            25 | 26 => {
                let ms = *self.dice.pick(&[1, 20, 60, 500]);
                let long = *self.dice.pick(&[6_000, 6_000, 25_000]);
                self.group.pass(if self.dice.one_in(20) { long } else { ms });
                self.group.due(a);
            }
            27 | 28 => self.group.due(a),
            29 | 30 => {
                let of = *self.dice.pick(&COPIED);
                self.copy(a, of);
            }
            _ if self.dice.one_in(2) => self.end_or_start(a),
            _ => {}
        }
        self.check(a);
        self.check(b);
    }
}

#[test]
fn what_was_answered_of_tables_stays_whoever_leads() {
    let answers: Vec<u64> = each(SEEDS, |seed| {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            if world.is_near_the_files_end() {
                break;
            }
            world.step();
        }
        world.heal();
        world.answers
    });
    eprintln!("{} answers", answers.into_iter().sum::<u64>());
}

fn is_success(answer: &Command) -> bool {
    answer.code == ResponseCode::Success as i32
}
