//! A name server and broker in one, that answers as the Java ones did when the fixtures were made.

// Each test file uses its part.
#![allow(dead_code)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use skua_admin::mqadmin::{self, Surroundings};
use skua_protocol::code::{RequestCode, ResponseCode};
use skua_protocol::header::Fields;
use skua_protocol::service::{ConnectionId, Outcome, Peer, Service};
use skua_protocol::{Command, Millis};
use skua_remoting::{BindOptions, Listener, Server, ServerOptions};

pub fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/mqadmin")
        .join(format!("{name}.txt"));
    std::fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

/// A part of a fixture, `### command` for one.
pub fn part<'a>(text: &'a str, name: &str) -> &'a str {
    let head = format!("### {name}\n");
    let start = text.find(&head).expect("the part is there") + head.len();
    text[start..].split_once("### ").map_or(&text[start..], |(part, _)| part)
}

/// What Java's tool printed; where it left out the last line's end we print it.
pub fn stdout(name: &str) -> String {
    part(&fixture(name), "stdout").replace("@NONEWLINE@\n", "")
}

pub struct Fake {
    pub addr: String,
    pub requests: Arc<Mutex<Vec<Command>>>,
    _server: Server,
    _runtime: tokio::runtime::Runtime,
}

/// How a command of ours ended.
pub struct Ran {
    pub status: u8,
    pub out: String,
    pub err: String,
}

pub fn run(args: &[&str], name_servers: Option<&str>) -> Ran {
    run_with(args, name_servers, None)
}

/// As [`run`], with a file of defaults.
pub fn run_with(
    args: &[&str],
    name_servers: Option<&str>,
    defaults: Option<std::path::PathBuf>,
) -> Ran {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let surroundings = Surroundings {
        name_servers: name_servers.map(str::to_owned),
        defaults,
        out: &mut out,
        err: &mut err,
    };
    let status = mqadmin::run(&args, surroundings);
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    Ran { status, out: text(out), err: text(err) }
}

impl Fake {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (server, addr) = runtime.block_on(async {
            let listener = Listener::bind("127.0.0.1", 0, &BindOptions::default()).expect("a port");
            let addr = listener.local_addr().expect("bound").to_string();
            let world = World { addr: addr.clone(), requests: Arc::clone(&requests) };
            let options = ServerOptions::default();
            (Server::start(listener, Arc::new(world), options).expect("started"), addr)
        });
        Self { addr, requests, _server: server, _runtime: runtime }
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        run(args, Some(&self.addr))
    }

    /// Requests with this code so far.
    pub fn asked(&self, code: RequestCode) -> Vec<Command> {
        let requests = self.requests.lock().expect("not poisoned");
        requests.iter().filter(|request| request.code == code as i32).cloned().collect()
    }
}

const USERS: [&str; 2] = [
    r#"{"password":"secret34","userStatus":"enable","userType":"Normal","username":"alice"}"#,
    r#"{"password":"secret12","userStatus":"enable","userType":"Super","username":"bob"}"#,
];

const ACL: &str = r#"{"policies":[{"entries":[{"actions":["Pub"],"decision":"Deny","resource":"Topic:TopicA"},{"actions":["Pub","Sub"],"decision":"Allow","resource":"Group:CG*","sourceIps":["192.168.0.0/24"]}],"policyType":"Custom"}],"subject":"User:alice"}"#;

struct World {
    addr: String,
    requests: Arc<Mutex<Vec<Command>>>,
}

impl Service for World {
    fn serve(self: Arc<Self>, _peer: &Arc<dyn Peer>, request: Command, _now: Millis) -> Outcome {
        let answer = self.answer(&request);
        self.requests.lock().expect("not poisoned").push(request);
        Outcome::Reply(answer)
    }

    fn closed(&self, _peer: ConnectionId, _now: Millis) {}
}

fn body(text: impl Into<String>) -> Command {
    Command::success().with_body(text.into())
}

fn fields(pairs: &[(&'static str, &str)]) -> Command {
    let mut answer = Command::success();
    answer.fields =
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Fields>();
    answer
}

/// `{"brokerName":…}:value` for four queues of TopicA, keys bare as fastjson writes them.
fn per_queue(value: &str) -> String {
    let entries: Vec<String> = (0..4)
        .map(|id| format!(r#"{{"brokerName":"broker-a","queueId":{id},"topic":"TopicA"}}:{value}"#))
        .collect();
    format!("{{{}}}", entries.join(","))
}

impl World {
    fn answer(&self, request: &Command) -> Command {
        let addr = &self.addr;
        let field = |name: &str| request.fields.get(name).unwrap_or_default().to_owned();
        let Some(code) = RequestCode::from_i32(request.code) else { return Command::success() };
        match code {
            RequestCode::GetRouteInfoByTopic => self.route(&field("topic")),
            RequestCode::GetBrokerClusterInfo => body(format!(
                r#"{{"brokerAddrTable":{{"broker-a":{{"brokerAddrs":{{0:"{addr}"}},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}}}},"clusterAddrTable":{{"DefaultCluster":["broker-a"]}}}}"#
            )),
            RequestCode::GetAllTopicListFromNameServer => {
                let topics: Vec<String> = stdout("topicList")
                    .lines()
                    .map(|topic| format!("\"{topic}\""))
                    .collect();
                body(format!(r#"{{"topicList":[{}]}}"#, topics.join(",")))
            }
            RequestCode::QueryTopicConsumeByWho => {
                let groups = if field("topic") == "TopicA" { r#""CG_LIVE","CG_LAG""# } else { "" };
                body(format!(r#"{{"groupList":[{groups}]}}"#))
            }
            RequestCode::GetTopicStatsInfo => body(format!(
                r#"{{"offsetTable":{},"topicPutTps":0.0}}"#,
                per_queue(r#"{"lastUpdateTimestamp":1795492272349,"maxOffset":5,"minOffset":0}"#)
            )),
            RequestCode::GetConsumeStats => body(format!(
                r#"{{"consumeTps":0.4,"offsetTable":{}}}"#,
                per_queue(
                    r#"{"brokerOffset":5,"consumerOffset":3,"lastTimestamp":1795492272349,"pullOffset":3}"#
                )
            )),
            RequestCode::InvokeBrokerToResetOffset => {
                body(format!(r#"{{"offsetTable":{}}}"#, per_queue("5")))
            }
            RequestCode::GetBrokerRuntimeInfo => self.runtime(),
            RequestCode::GetKvConfig => fields(&[("value", "broker-a:2")]),
            RequestCode::WipeWritePermOfBroker => fields(&[("wipeTopicCount", "23")]),
            RequestCode::AddWritePermOfBroker => fields(&[("addTopicCount", "23")]),
            RequestCode::GetConsumerConnectionList => self.consumers(&field("consumerGroup")),
            RequestCode::GetProducerConnectionList => body(
                r#"{"connectionSet":[{"clientAddr":"127.0.0.1:40000","clientId":"192.0.2.2@PG_TEST","language":"JAVA","version":513}]}"#,
            ),
            RequestCode::GetAllProducerInfo => {
                let one = |id: &str| {
                    format!(
                        r#"{{"clientId":"192.0.2.2@{id}","language":"JAVA","lastUpdateTimestamp":1795492272349,"remoteIP":"/127.0.0.1:40000","version":513}}"#
                    )
                };
                body(format!(
                    r#"{{"data":{{"PG_TEST":[{}],"CLIENT_INNER_PRODUCER":[{},{}]}}}}"#,
                    one("PG_TEST"),
                    one("PG_TEST"),
                    one("CG_LIVE")
                ))
            }
            RequestCode::GetAllSubscriptionGroupConfig => body(
                r#"{"subscriptionGroupTable":{"CG_LAG":{"groupName":"CG_LAG","consumeFromMinEnable":false,"consumeBroadcastEnable":false}}}"#,
            ),
            RequestCode::UpdateAndCreateTopic => match &*field("topic") {
                "bad topic" => Command::error(
                    ResponseCode::InvalidParameter,
                    "The specified topic: bad topic, contains illegal characters",
                ),
                _ if field("attributes").contains("no.such") => {
                    Command::error(ResponseCode::SystemError, "unsupported key: no.such")
                }
                _ => Command::success(),
            },
            RequestCode::UpdateBrokerConfig
                if String::from_utf8_lossy(&request.body).starts_with("brokerConfigPath") =>
            {
                Command::error(ResponseCode::NoPermission, "Can not update config in black list.")
            }
            // The first send is refused as a busy broker refuses it, the others are taken.
            RequestCode::SendMessageV2 => {
                let requests = self.requests.lock().expect("not poisoned");
                if requests.iter().any(|earlier| earlier.code == request.code) {
                    fields(&[
                        ("msgId", "7F0000010000326F0000000000000113"),
                        ("queueId", &field("e")),
                        ("queueOffset", "7"),
                    ])
                } else {
                    Command::error(ResponseCode::SystemBusy, "[REJECTREQUEST]system busy")
                }
            }
            RequestCode::GetBrokerHaStatus => body(
                r#"{"haClientRuntimeInfo":{"lastReadTimestamp":0,"lastWriteTimestamp":0,"masterFlushOffset":0,"maxOffset":0,"transferredByteInSecond":0},"haConnectionInfo":[],"inSyncSlaveNums":0,"master":true,"masterCommitLogMaxOffset":6409}"#
            ),
            RequestCode::ControllerGetMetadataInfo => fields(&[
                ("group", "group1"),
                ("controllerLeaderId", "n0"),
                ("controllerLeaderAddress", addr),
                ("isLeader", "true"),
                ("peers", &format!("n0:{addr}")),
            ]),
            RequestCode::ControllerGetSyncStateData => body(format!(
                r#"{{"replicasInfoTable":{{"ctl-a":{{"inSyncReplicas":[{{"alive":true,"brokerAddress":"{addr}","brokerId":2,"brokerName":"ctl-a"}}],"masterAddress":"{addr}","masterBrokerId":2,"masterEpoch":6,"notInSyncReplicas":[{{"alive":true,"brokerAddress":"{addr}","brokerId":1,"brokerName":"ctl-a"}}],"syncStateSetEpoch":6}}}}}}"#
            )),
            RequestCode::ControllerElectMaster => fields(&[
                ("masterAddress", addr),
                ("masterEpoch", "6"),
                ("syncStateSetEpoch", "6"),
            ])
            .with_body(format!(
                r#"{{"brokerMemberGroup":{{"brokerAddrs":{{1:"{addr}",2:"{addr}"}},"brokerName":"ctl-a","cluster":"CtlCluster"}},"syncStateSet":[2]}}"#
            )),
            RequestCode::CleanBrokerData => Command::error(
                ResponseCode::SystemError,
                "Broker [ctl-a,  2] is still alive, clean up failure",
            ),
            RequestCode::GetBrokerConsumeStats => body(format!(
                r#"{{"brokerAddr":"{addr}","consumeStatsList":[{{"CG_LIVE":[{{"consumeTps":0.0,"offsetTable":{}}}]}},{{"CG_LAG":[{{"consumeTps":0.0,"offsetTable":{}}}]}}],"totalDiff":8,"totalInflightDiff":0}}"#,
                per_queue(
                    r#"{"brokerOffset":5,"consumerOffset":5,"lastTimestamp":1795492272349,"pullOffset":5}"#
                ),
                per_queue(
                    r#"{"brokerOffset":5,"consumerOffset":3,"lastTimestamp":1795492272349,"pullOffset":3}"#
                )
            )),
            RequestCode::QueryConsumeQueue => {
                let entries = [(0, 272), (1090, 273), (2181, 273)];
                let count = field("count").parse().unwrap_or(0);
                let entries: Vec<String> = entries
                    .iter()
                    .take(count)
                    .map(|(offset, size)| {
                        format!(
                            r#"{{"eval":false,"physicOffset":{offset},"physicSize":{size},"tagsCode":2598919}}"#
                        )
                    })
                    .collect();
                let subscription = match &*field("consumerGroup") {
                    "" => "",
                    _ => {
                        r#","subscriptionData":{"classFilterMode":false,"codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1795492272349,"tagsSet":["TagA","TagB"],"topic":"TopicA"}"#
                    }
                };
                body(format!(
                    r#"{{"maxQueueIndex":5,"minQueueIndex":0,"queueData":[{}]{subscription}}}"#,
                    entries.join(",")
                ))
            }
            RequestCode::GetColdDataFlowCtrInfo => body(
                r#"{"runtimeTable":{},"configTable":{},"cgColdReadThreshold":3145728,"globalColdReadThreshold":104857600,"globalAcc":0}"#,
            ),
            RequestCode::SetCommitLogReadMode => {
                let mut answer = Command::success();
                answer.remark = Some("set commitlog readahead mode success, mode: 1".into());
                answer
            }
            RequestCode::AuthGetUser if field("username") == "nobody" => Command::success(),
            RequestCode::AuthGetUser if field("username") == "alice" => body(USERS[0]),
            RequestCode::AuthGetUser => body(USERS[1]),
            RequestCode::AuthListUser => body(format!("[{}]", USERS.join(","))),
            RequestCode::AuthGetAcl => body(ACL),
            RequestCode::AuthListAcl => body(format!("[{ACL}]")),
            RequestCode::GetBrokerLiteInfo => body(
                r#"{"cqTableSize":8,"currentLmqNum":0,"eventMapSize":0,"liteSubscriptionCount":0,"maxLmqNum":20000,"offsetTableSize":4,"orderInfoCount":0,"storeType":"default"}"#,
            ),
            RequestCode::ViewBrokerStatsData => {
                Command::error(ResponseCode::SystemError, "The stats not exist in broker")
            }
            RequestCode::QueryMessage => {
                Command::error(ResponseCode::QueryNotFound, "can not find message")
            }
            _ => Command::success(),
        }
    }

    fn route(&self, topic: &str) -> Command {
        let (queues, perm) = match topic {
            "TopicA" | "%RETRY%CG_LAG" | "%RETRY%CG_LIVE" => (4, 6),
            "PermT" => (1, 4),
            _ if stdout("topicList").lines().any(|known| known == topic) => (8, 6),
            _ => {
                return Command::error(
                    ResponseCode::TopicNotExist,
                    format!(
                        "No topic route info in name server for the topic: {topic}\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
                    ),
                );
            }
        };
        let addr = &self.addr;
        body(format!(
            r#"{{"brokerDatas":[{{"brokerAddrs":{{"0":"{addr}"}},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}}],"filterServerTable":{{}},"queueDatas":[{{"brokerName":"broker-a","perm":{perm},"readQueueNums":{queues},"topicSysFlag":0,"writeQueueNums":{queues}}}]}}"#
        ))
    }

    /// The table that the fixture of brokerStatus shows.
    fn runtime(&self) -> Command {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_millis();
        let table: serde_json::Map<String, serde_json::Value> = stdout("brokerStatus-b")
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| {
                let value = match key.trim() {
                    "earliestMessageTimeStamp" => (now - 36_000).to_string(),
                    _ => value.replace("@MS@", "1795492272349"),
                };
                (key.trim().to_owned(), value.into())
            })
            .collect();
        body(serde_json::json!({ "table": table }).to_string())
    }

    fn consumers(&self, group: &str) -> Command {
        if group != "CG_LIVE" {
            return Command::error(
                ResponseCode::ConsumerNotOnline,
                format!("the consumer group[{group}] not online"),
            );
        }
        body(
            r#"{"connectionSet":[{"clientAddr":"127.0.0.1:40000","clientId":"192.0.2.2@CG_LIVE","language":"JAVA","version":513}],"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionTable":{"%RETRY%CG_LIVE":{"subString":"*","topic":"%RETRY%CG_LIVE"},"TopicA":{"subString":"TagA || TagB","topic":"TopicA"}}}"#,
        )
    }
}
