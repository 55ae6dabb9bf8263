//! Files, rules and requests that no well-meaning administrator or client sends, by seed.

#[path = "../../protocol/tests/hostile/counting.rs"]
mod counting;
#[path = "hostile/targets.rs"]
mod targets;

use bytes::BytesMut;
use counting::{Counting, peak_of};
use skua_acl::{ACCESS_KEY, Credentials, SIGNATURE};
use skua_protocol::command::HeaderCodec;
use skua_protocol::header::Fields;
use skua_protocol::{Command, RequestCode, frame};
use skua_seeds::Random;
use targets::{HERE, USERS};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FILE: &str = r#"
globalWhiteRemoteAddresses:
  - 10.10.103.*
  - 192.168.0.{1,2}
accounts:
  - accessKey: &key RocketMQ
    secretKey: 12345678
    whiteRemoteAddress: 192.168.1-3.*
    admin: false
    defaultTopicPerm: DENY
    defaultGroupPerm: SUB
    topicPerms: [topicA=DENY, 'topicB=PUB|SUB']
    groupPerms:
      - groupC=SUB
    namespacePerms:
      - {namespace: space, topicPerm: PUB}
    resourcePerms:
      - {resource: r, type: TOPIC, namespace: n, perm: SUB}
  - accessKey: "rocketmq2"
    secretKey: *key
    admin: true
"#;

const RULES: &str = r#"{"subject":"User:annannann","policies":[{"policyType":"Default","entries":[
{"resource":"Topic:a-*","actions":["Pub","Sub"],"sourceIps":["192.0.2.0/24","::1"],"decision":"Allow"},
{"resource":"Group:*","actions":["All"],"decision":"Deny"},{"resource":"*","actions":["Get"],"decision":"Allow"}]}]}"#;

const BOOK: &str = r#"{"users":[{"username":"annannann","password":"p","userType":"Normal","userStatus":"enable"}],
"acls":[{"subject":"User:annannann","policies":[{"policyType":"Custom","entries":[
{"resource":"Topic:t","actions":["Pub"],"decision":"Allow"}]}]}]}"#;

const TOKENS: &[&str] = &[
    "*",
    ":",
    "Topic",
    "Group:",
    "Cluster:",
    "User:",
    "User:rootroot",
    "- ",
    "\n",
    "\n  - ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "'",
    "\"",
    "\\u0000",
    "null",
    "~",
    "|",
    "=",
    "/0",
    "/33",
    "-",
    "::",
    "0-255",
    "admin: true",
    "All",
    "Any",
    "Allow",
    "Super",
    "\u{feff}",
    "\u{1}",
    "!!str ",
    "? ",
    "# ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "é",
    "1e999",
    "accessKey",
    "rootroot",
];

fn send(user: &str, secret: &str, topic: &'static str, codec: HeaderCodec) -> Command {
    let fields = [("a", "g"), ("b", topic), ("c", "TBW102"), ("d", "4"), ("e", "0"), ("i", "k1v")];
    let mut request = Command::raw_request(RequestCode::SendMessageV2, Fields::from_iter(fields))
        .with_body(&b"hello"[..]);
    request.codec = codec;
    Credentials::new(user, secret).sign(&mut request);
    request
}

fn encoded(request: &Command) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frame::encode(request, &mut bytes);
    bytes.to_vec()
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let texts: &[&str] = match target {
        "acl_file" => &[FILE],
        "acl_rules" => &[RULES],
        "acl_book" => &[BOOK],
        "acl_pattern" => &[
            "*",
            "Topic:*",
            "Group:orders-*",
            "topic:a:b",
            "192.0.2.0/24",
            "2001:db8::/32",
            "192.168.0.1-20",
            "192.168.*.*",
            "10.0.0.{1,2}",
            "2001:db8::1-ff",
            "1.2.3.4,5.6.7.8",
        ],
        "acl_request" => {
            // Signed by somebody who guesses.
            let of = |codec| encoded(&send("rootroot", "a guess", "mine", codec));
            return vec![of(HeaderCodec::Json), of(HeaderCodec::Binary)];
        }
        other => panic!("no corpus for {other}"),
    };
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn inserted(dice: &mut Random) -> Vec<u8> {
    dice.pick(TOKENS).as_bytes().to_vec()
}

#[test]
fn what_a_stranger_sends_panics_nothing_opens_nothing_and_costs_little() {
    for (name, target) in targets::TARGETS {
        let corpus = corpus(name);
        for data in &corpus {
            target(data);
        }
        skua_seeds::each(3000, |seed| {
            let mut dice = Random(seed);
            let mut data = dice.pick(&corpus).clone();
            dice.mutate(&mut data, 50, inserted);
            let peak = peak_of(|| target(&data));
            // Keys of signatures and nodes of trees; the doors of this test itself.
            let max = 512 * 1024 + 512 * data.len();
            assert!(peak <= max, "{name}: {} bytes of input held {peak} bytes", data.len());
        });
    }
}

/// What is deep or copies itself.
#[test]
fn files_that_grow_by_themselves_are_refused() {
    let deep = "- ".repeat(200_000) + "x";
    let tables = (0..5000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>();
    let lists = "[".repeat(100_000);
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let of = format!("*a{}", n - 1);
        laughs += &format!("a{n}: &a{n} [{}]\n", [of.as_str(); 9].join(", "));
    }
    let nested = "&a [".repeat(30) + &"x, ".repeat(50_000) + &"]".repeat(30);
    for text in [deep, tables, lists, laughs, nested] {
        let refused = || {
            let mut rules = skua_acl::plain::Rules::default();
            let error = rules.add(&text).expect_err("refused").to_string();
            assert!(error.contains("broken YAML") && error.len() < 300, "{error}");
        };
        let peak = peak_of(refused);
        assert!(peak < 64 << 20, "{} bytes held {peak}: {}", text.len(), &text[..20]);
    }
}

/// A request of one user, changed on its way: it is refused, or it is that user's own and says,
/// value after value, what was signed (names and borders of values are not under the signature,
/// with RocketMQ). Nobody becomes another.
#[test]
fn a_signed_request_that_was_changed_is_nobody_elses() {
    let doors = targets::doors();
    skua_seeds::each(20_000, |seed| {
        let mut dice = Random(seed);
        let (user, secret) = *dice.pick(&USERS);
        let codec = *dice.pick(&[HeaderCodec::Json, HeaderCodec::Binary]);
        let topic = if user == "bobbobbob" { "his" } else { "mine" };
        let good = send(user, secret, topic, codec);
        for door in &doors {
            assert_eq!(door.check(&good, HERE), Ok(()), "{user}");
        }
        let Some(changed) = changed(&good, &mut dice) else { return };
        for door in &doors {
            if door.check(&changed, HERE).is_err() {
                continue;
            }
            assert_eq!(changed.fields.get(ACCESS_KEY), Some(user), "{changed:?}");
            let same = [true, false].iter().any(|mark| {
                targets::signed_content(&changed, *mark) == targets::signed_content(&good, true)
            });
            assert!(same, "{changed:?}");
            assert_eq!(changed.fields.get(SIGNATURE), good.fields.get(SIGNATURE), "{changed:?}");
            if changed.code == good.code && user != "rootroot" {
                assert_eq!(changed.fields.get("b"), Some(topic), "{changed:?}");
            }
        }
    });
}

/// `None` if there is no request left.
fn changed(good: &Command, dice: &mut Random) -> Option<Command> {
    if dice.one_in(2) {
        let mut bytes = encoded(good);
        dice.mutate(&mut bytes, 50, inserted);
        return frame::decode(&mut BytesMut::from(&bytes[..])).ok().flatten();
    }
    let mut request = good.clone();
    let names: Vec<String> = good.fields.iter().map(|(name, _)| name.to_owned()).collect();
    let name = dice.pick(&names).clone();
    let (other, _) = *dice.pick(&USERS);
    let value = *dice.pick(&["", "his", "mine", "rootroot", "annannann", "0", "true"]);
    match dice.below(8) {
        0 => request.fields.set(name, value),
        1 => request.fields.push(name, value),
        2 => drop(request.fields.remove(&name)),
        3 => request.fields.set(ACCESS_KEY, other),
        4 => request.fields.push(ACCESS_KEY, other),
        5 => request.fields.push("_UNIQUE_KEY_QUERY", value),
        6 => request = request.with_body(value.as_bytes()),
        // A value under another name, at another place of the order.
        _ => {
            let moved = request.fields.remove(&name)?;
            request.fields.push(*dice.pick(&["A", "b", "z", "Signature", "B"]), moved);
        }
    }
    request.version = *dice.pick(&[0, 399, 400, 513]);
    Some(request)
}
