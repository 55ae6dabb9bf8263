//! Drives the Rust client `rocketmq-client-rust` by commands on standard input; the language is that
//! of ../../java/driver/Driver.java: producer, send (sync, oneway, batch), request (sync), consumer
//! (concurrent, orderly, pop), transactor, transact, answer, until the end of input.
#![recursion_limit = "512"]

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::{Arc, Mutex};

use rocketmq_client_rust::{
    ClientResult, ClientRuntime, ClientRuntimeConfig, ConsumeConcurrentlyContext,
    ConsumeConcurrentlyStatus, ConsumeOrderlyContext, ConsumeOrderlyStatus, DefaultMQProducer,
    DefaultMQPushConsumer, LocalTransactionState, MQPushConsumer, MessageListenerConcurrently,
    MessageListenerOrderly, SendResult, SendStatus, TransactionListener, TransactionMQProducer,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::MessageTrait;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_single::Message;
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};

type Failure = Box<dyn std::error::Error>;

fn tell(line: String) {
    println!("@ {line}");
}

/// The body's first word, its length and its CRC-32: enough to know it again.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let first = text.split(' ').next().unwrap_or_default();
    format!("body={first} size={} crc={}", body.len(), crc32fast::hash(body))
}

struct Command {
    id: String,
    verb: String,
    name: String,
    values: HashMap<String, String>,
}

impl Command {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        let (id, verb, name) = (words.next()?, words.next()?, words.next()?);
        let pair = |word: String| word.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
        Some(Self { id, verb, name, values: words.filter_map(pair).collect() })
    }

    fn get(&self, key: &str) -> String {
        self.values.get(key).cloned().unwrap_or_default()
    }

    fn number(&self, key: &str) -> usize {
        self.get(key).parse().unwrap_or(0)
    }
}

struct Listener {
    by: String,
    refusals: i32,
}

impl Listener {
    fn takes(&self, m: &MessageExt) -> bool {
        let body = m.body().unwrap_or_default();
        let word = if m.reconsume_times() < self.refusals { "refused" } else { "got" };
        tell(format!(
            "{word} by={} topic={} queue={} offset={} {} tag={} times={} id={}",
            self.by,
            m.topic(),
            m.queue_id(),
            m.queue_offset(),
            shown(&body),
            m.get_tags().unwrap_or_default(),
            m.reconsume_times(),
            m.msg_id(),
        ));
        word == "got"
    }
}

impl MessageListenerConcurrently for Listener {
    fn consume_message(
        &self,
        messages: &[&MessageExt],
        _: &ConsumeConcurrentlyContext,
    ) -> ClientResult<ConsumeConcurrentlyStatus> {
        Ok(if messages.iter().all(|m| self.takes(m)) {
            ConsumeConcurrentlyStatus::ConsumeSuccess
        } else {
            ConsumeConcurrentlyStatus::ReconsumeLater
        })
    }
}

impl MessageListenerOrderly for Listener {
    fn consume_message(
        &self,
        messages: &[&MessageExt],
        _: &mut ConsumeOrderlyContext,
    ) -> ClientResult<ConsumeOrderlyStatus> {
        for message in messages {
            self.takes(message);
        }
        Ok(ConsumeOrderlyStatus::Success)
    }
}

struct Sender {
    name: String,
    producer: DefaultMQProducer,
}

impl Sender {
    async fn send(&self, c: &Command) -> Result<(), Failure> {
        let tags = c.get("tags");
        let tags: Vec<&str> = tags.split(',').collect();
        let topic = c.get("topic");
        let mut batch = Vec::new();
        let mut lines = Vec::new();
        for i in 0..c.number("count") {
            let mut body = format!("{}-{i}", c.get("prefix"));
            let size = c.number("size");
            if body.len() < size {
                body.push(' ');
                body.extend(std::iter::repeat_n('x', size - body.len()));
            }
            let tag = tags[i % tags.len()];
            let line =
                format!("sent by={} topic={topic} {} tag={tag}", self.name, shown(body.as_bytes()));
            let mut message = Message::builder().topic(topic.as_str()).body_slice(body.as_bytes());
            if !tag.is_empty() {
                message = message.tags(tag);
            }
            let message = message.build_unchecked();
            match c.get("mode").as_str() {
                "oneway" => {
                    tell(line);
                    self.producer.send_oneway(message).await?;
                }
                "batch" => {
                    batch.push(message);
                    lines.push(line);
                }
                _ => {
                    check(self.producer.send(message).await?)?;
                    tell(line);
                }
            }
        }
        if !batch.is_empty() {
            check(Some(self.producer.send_batch(batch).await?))?;
            lines.into_iter().for_each(tell);
        }
        Ok(())
    }
}

impl Sender {
    async fn request(&self, c: &Command) -> Result<(), Failure> {
        for i in 0..c.number("count") {
            let body = format!("{}-{i} ", c.get("prefix"));
            let message = Message::builder()
                .topic(c.get("topic"))
                .body_slice(body.as_bytes())
                .build_unchecked();
            let reply = self.producer.request(message, 60_000).await?;
            let text = reply.get_body().map(|b| String::from_utf8_lossy(b).replace(' ', "_"));
            tell(format!(
                "replied by={} {} reply={} topic={}",
                self.name,
                shown(body.as_bytes()),
                text.unwrap_or_default(),
                reply.topic(),
            ));
        }
        Ok(())
    }
}

/// What is done with a half message at once, and what the server is told when it asks.
struct Decisions {
    local: Mutex<String>,
    answer: Mutex<String>,
}

struct Decider {
    by: String,
    decisions: Arc<Decisions>,
}

fn state(word: &Mutex<String>) -> LocalTransactionState {
    match word.lock().expect("no panic under it").as_str() {
        "commit" => LocalTransactionState::CommitMessage,
        "rollback" => LocalTransactionState::RollbackMessage,
        _ => LocalTransactionState::Unknown,
    }
}

impl TransactionListener for Decider {
    fn execute_local_transaction(
        &self,
        _: &dyn MessageTrait,
        _: Option<&(dyn std::any::Any + Send + Sync)>,
    ) -> LocalTransactionState {
        state(&self.decisions.local)
    }

    fn check_local_transaction(&self, m: &MessageExt) -> LocalTransactionState {
        let checks = m.property(&"TRANSACTION_CHECK_TIMES".into()).unwrap_or_default();
        let body = m.body().unwrap_or_default();
        tell(format!("asked by={} topic={} {} checks={checks}", self.by, m.topic(), shown(&body)));
        state(&self.decisions.answer)
    }
}

struct Transactor {
    name: String,
    producer: TransactionMQProducer,
    decisions: Arc<Decisions>,
}

impl Transactor {
    async fn start(runtime: Arc<ClientRuntime>, c: &Command) -> Result<Self, Failure> {
        let decisions = Decisions { local: Mutex::default(), answer: Mutex::new(c.get("answer")) };
        let decisions = Arc::new(decisions);
        let decider = Decider { by: c.name.clone(), decisions: decisions.clone() };
        let mut producer = TransactionMQProducer::builder(runtime)
            .producer_group(c.get("group"))
            .name_server_addr(c.get("namesrv"))
            .send_msg_timeout(10_000)
            .transaction_listener(decider)
            .build();
        producer.start().await?;
        Ok(Self { name: c.name.clone(), producer, decisions })
    }

    async fn send(&self, c: &Command) -> Result<(), Failure> {
        *self.decisions.local.lock().expect("no panic under it") = c.get("local");
        for i in 0..c.number("count") {
            let (topic, body) = (c.get("topic"), format!("{}-{i} transaction", c.get("prefix")));
            let message = Message::builder().topic(topic.as_str()).tags("A");
            let message = message.body_slice(body.as_bytes()).build_unchecked();
            let sent = self.producer.send_message_in_transaction::<(), _>(message, None).await?;
            check(sent.send_result)?;
            tell(format!("half by={} topic={topic} {} tag=A", self.name, shown(body.as_bytes())));
        }
        Ok(())
    }
}

fn check(result: Option<SendResult>) -> Result<(), Failure> {
    match result {
        Some(result) if result.send_status == SendStatus::SendOk => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let owner = RuntimeOwner::plan(RuntimeConfig::default())?.build()?;
    let telemetry = rocketmq_observability::install_global(&Default::default())?;
    let runtime: Arc<ClientRuntime> = ClientRuntime::try_new(
        owner.root_context().component("client"),
        ClientRuntimeConfig::default(),
        telemetry.handle(),
    )?;
    let mut senders = HashMap::new();
    let mut transactors = HashMap::new();
    let mut receivers: HashMap<String, DefaultMQPushConsumer> = HashMap::new();
    tell("ready".to_owned());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let Some(c) = Command::parse(&line) else { continue };
        let done: Result<(), Failure> = async {
            match c.verb.as_str() {
                "producer" => {
                    let mut producer = DefaultMQProducer::builder(runtime.clone())
                        .producer_group(c.get("group"))
                        .name_server_addr(c.get("namesrv"))
                        .send_msg_timeout(10_000)
                        .build();
                    producer.start().await?;
                    senders.insert(c.name.clone(), Sender { name: c.name.clone(), producer });
                }
                "send" => senders.get(&c.name).ok_or("no such producer")?.send(&c).await?,
                "consumer" => {
                    let mut consumer = DefaultMQPushConsumer::builder(runtime.clone())
                        .consumer_group(c.get("group"))
                        .name_server_addr(c.get("namesrv"))
                        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
                        // One refused message must not take others back with it.
                        .consume_message_batch_max_size(1)
                        // The broker assigns queues, and says whether they are popped.
                        .client_rebalance(c.get("kind") != "pop")
                        .build();
                    let tags = c.values.get("tags").map_or("*", String::as_str);
                    consumer.subscribe(c.get("topic").as_str(), tags).await?;
                    let listener =
                        Listener { by: c.name.clone(), refusals: c.number("fail") as i32 };
                    if c.get("kind") == "orderly" {
                        consumer.register_message_listener_orderly(listener);
                    } else {
                        consumer.register_message_listener_concurrently(listener);
                    }
                    consumer.start().await?;
                    receivers.insert(c.name.clone(), consumer);
                }
                "request" => senders.get(&c.name).ok_or("no such producer")?.request(&c).await?,
                "transactor" => {
                    let transactor = Transactor::start(runtime.clone(), &c).await?;
                    transactors.insert(c.name.clone(), transactor);
                }
                "transact" => transactors.get(&c.name).ok_or("no such one")?.send(&c).await?,
                "answer" => {
                    let transactor: &Transactor = transactors.get(&c.name).ok_or("no such one")?;
                    let mut answer = transactor.decisions.answer.lock().expect("no panic under it");
                    *answer = c.get("answer");
                }
                verb => return Err(format!("no such verb: {verb}").into()),
            }
            Ok(())
        }
        .await;
        match done {
            Ok(()) => tell(format!("end {}", c.id)),
            Err(e) => tell(format!("fail {} {}", c.id, format!("{e:?}").replace('\n', " "))),
        }
    }
    // Its threads and tasks do not end in order.
    std::process::exit(0)
}
