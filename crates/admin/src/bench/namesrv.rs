//! `skua bench namesrv`: simulated brokers that register again and again, then clients that ask for
//! routes.

use std::time::Duration;

use skua_protocol::body::{
    DataVersion, PERM_READ, PERM_WRITE, RegisterBrokerBody, TopicConfig,
    TopicConfigSerializeWrapper,
};
use skua_protocol::code::{RequestCode, ResponseCode};
use skua_protocol::header::ToFields;
use skua_protocol::request::{GetRouteInfoByTopic, RegisterBroker};
use skua_protocol::{Command, json};

use super::frames::{Answer, Template, digits};
use super::jobs::{self, Jobs, Share, Step};
use super::line::Line;
use super::report::Report;
use super::{BenchError, Pace};

/// Replaced by the number of a registration: each says that its topics have changed.
const VERSION_MARK: i64 = 1_987_654_320;
const FIRST_VERSION: u64 = 1_000_000_000;
/// Replaced by the number of a topic.
const TOPIC_MARK: &str = "99999987";
const QUEUES: i32 = 8;
/// Route questions of one connection.
const QUESTIONS_OF_ONE: u32 = 64;

#[derive(Clone, Debug)]
pub struct Plan {
    pub namesrv: String,
    pub brokers: u32,
    /// Of all brokers together; each has its own.
    pub topics: u32,
    /// Route questions under way at any time.
    pub in_flight: u32,
    pub pace: Pace,
    pub timeout: Duration,
}

impl Plan {
    fn what(&self) -> String {
        format!("{} topics of {} brokers", self.topics, self.brokers)
    }
}

/// A name server forgets a broker whose connection closes: they close when the lines are dropped.
pub async fn register(plan: &Plan) -> Result<(Report, Vec<Line>), BenchError> {
    let mut brokers = Vec::with_capacity(plan.brokers as usize);
    for number in 0..plan.brokers {
        let jobs = Registrations { template: registration(plan, number)?, version: FIRST_VERSION };
        let line = Line::connect(&plan.namesrv, plan.timeout).await?;
        brokers.push(Share { line, jobs, places: 1 });
    }
    jobs::run_and_keep(brokers, &plan.pace, "register", plan.what()).await
}

/// While those brokers are there.
pub async fn routes(plan: &Plan) -> Result<Report, BenchError> {
    let mut askers = Vec::new();
    for index in 0..plan.in_flight.div_ceil(QUESTIONS_OF_ONE) {
        let left = plan.in_flight - index * QUESTIONS_OF_ONE;
        let header = GetRouteInfoByTopic { topic: topic(TOPIC_MARK).into(), ..Default::default() };
        let request = Command::raw_request(RequestCode::GetRouteInfoByTopic, header.to_fields());
        let template = Template::new(request, &[TOPIC_MARK])?;
        let jobs = Questions { template, topics: u64::from(plan.topics), state: index.into() };
        let line = Line::connect(&plan.namesrv, plan.timeout).await?;
        askers.push(Share { line, jobs, places: left.min(QUESTIONS_OF_ONE) as usize });
    }
    jobs::run(askers, &plan.pace, "routes", plan.what()).await
}

fn topic(number: &str) -> String {
    format!("bench-{number}")
}

fn registration(plan: &Plan, number: u32) -> Result<Template, BenchError> {
    let address = |port: u32| {
        let [_, high, middle, low] = number.to_be_bytes();
        format!("10.{high}.{middle}.{low}:{port}")
    };
    let header = RegisterBroker {
        broker_name: format!("bench-broker-{number}").into(),
        broker_addr: address(10911).into(),
        cluster_name: "bench".into(),
        ha_server_addr: address(10912).into(),
        broker_id: 0,
        ..Default::default()
    };
    let config = |number: u32| {
        let name = topic(&format!("{number:08}"));
        (name.clone(), TopicConfig::new(name, QUEUES, PERM_READ | PERM_WRITE))
    };
    let body = RegisterBrokerBody {
        topic_config_serialize_wrapper: TopicConfigSerializeWrapper {
            data_version: DataVersion { counter: VERSION_MARK, state_version: 0, timestamp: 1 },
            topic_config_table: (number..plan.topics)
                .step_by(plan.brokers as usize)
                .map(config)
                .collect(),
            ..Default::default()
        },
        ..Default::default()
    };
    let request = Command::raw_request(RequestCode::RegisterBroker, header.to_fields());
    let request = request.with_body(json::to_vec(&body));
    Ok(Template::new(request, &[&VERSION_MARK.to_string()])?)
}

fn ended(answer: &Answer<'_>) -> Step {
    match ResponseCode::from_i32(answer.code) {
        Some(ResponseCode::Success) => Step::Done { messages: 1, bytes: answer.body.len() as u64 },
        _ => Step::Refused { messages: 1 },
    }
}

/// A broker.
struct Registrations {
    template: Template,
    version: u64,
}

impl Jobs for Registrations {
    fn begin(&mut self, place: u32, out: &mut Vec<u8>) {
        let mut version = [0; 10];
        digits(self.version, &mut version);
        self.version += 1;
        self.template.write(place, &[&version], out);
    }

    fn answered(&mut self, _: u32, answer: &Answer<'_>, _: &mut Vec<u8>) -> Step {
        ended(answer)
    }
}

/// Clients that ask for one topic after the other, in no order.
struct Questions {
    template: Template,
    topics: u64,
    state: u64,
}

impl Jobs for Questions {
    fn begin(&mut self, place: u32, out: &mut Vec<u8>) {
        // Knuth's constants; the upper bits are the good ones.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut number = [0; TOPIC_MARK.len()];
        digits((self.state >> 33) % self.topics, &mut number);
        self.template.write(place, &[&number], out);
    }

    fn answered(&mut self, _: u32, answer: &Answer<'_>, _: &mut Vec<u8>) -> Step {
        ended(answer)
    }
}
