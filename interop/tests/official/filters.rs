//! SQL filters: the same expressions over the same messages, against Skua and against Java.

use std::collections::{BTreeMap, BTreeSet};

use skua_interop::{Broker, Client, Driver, Kind, Namesrv, Scene, Tuning};

/// Properties of the messages, each named by its place here.
const MESSAGES: [&str; 12] = [
    "",
    "a:1",
    "a:2;b:3",
    "a:3;b:3.5;c:blue",
    "a:10;c:blue~green",
    "a:-7;b:0",
    "a:word;b:true",
    "b:false;c:BLUE",
    "a:2147483648;c:it's",
    "a:1.5;b:1e3;t:true",
    "a:0;b:TRUE;c:100%",
    "c:red;TAGS2:x",
];

/// Expressions that both servers can compile; `~` is a blank.
const EXPRESSIONS: [&str; 66] = [
    "a=1",
    "a~<>~1",
    "a~>~1",
    "a~>=~2",
    "a~<~2",
    "a~<=~0",
    "a~>~-8",
    "a=-7",
    "a~IS~NULL",
    "a~IS~NOT~NULL",
    "c~is~null~or~a~is~null",
    "NOT~a~IS~NULL",
    "a~BETWEEN~1~AND~3",
    "a~NOT~BETWEEN~1~AND~3",
    "a~between~-10~and~0",
    "b~BETWEEN~0.5~AND~4.0",
    "c~IN~('blue','red')",
    "c~NOT~IN~('blue','red')",
    "c~IN~('BLUE')",
    "c~in~('')",
    "c~CONTAINS~'blue'",
    "c~NOT~CONTAINS~'blue'",
    "c~STARTSWITH~'bl'",
    "c~NOT~STARTSWITH~'bl'",
    "c~ENDSWITH~'e'",
    "c~NOT~ENDSWITH~'e'",
    "c~CONTAINS~'%'",
    "c='it''s'",
    "a~>~1~AND~b~>~1",
    "a~>~1~OR~b~>~1",
    "NOT~(a~>~1)",
    "NOT~(a~>~1~AND~c~IS~NULL)",
    "a~>~1~AND~c='blue'",
    "a~>~100~OR~c='blue'",
    "a=1~OR~a=2~OR~a=3",
    "a=1~AND~a=2~OR~c='red'",
    "(a=1~OR~a=2)~AND~b=3",
    "b=3",
    "b=3.5",
    "b~>~3.0",
    "b=TRUE",
    "b=FALSE",
    "b~<>~TRUE",
    "TRUE",
    "FALSE",
    "t=TRUE",
    "NOT~TRUE",
    "TRUE~OR~a=1",
    "FALSE~AND~a=1",
    "a~=~2147483648L",
    "a~>~2147483647",
    "a=1.5",
    "b~>~999.5",
    "1=1",
    "1=2",
    "1~<~a",
    "3~>=~a",
    "'blue'=c",
    "c='blue'~OR~c='red'~OR~c='BLUE'",
    "a~IS~NULL~AND~c~IS~NOT~NULL",
    "nothere=1",
    "nothere~<>~1",
    "nothere~IS~NULL",
    "NOT~(nothere=1)",
    "a=1~OR~nothere=1",
    "a=1~AND~nothere~IS~NULL",
];

/// Which messages came, by consumer.
type Came = BTreeMap<String, BTreeSet<String>>;

fn scan(driver: &mut Driver, came: &mut Came, who: &str) {
    let all = EXPRESSIONS.join(";");
    driver.run(&format!("scan {who} topic=filtered sql={all}"));
    for (at, expression) in EXPRESSIONS.iter().enumerate() {
        let got = driver.got(&format!("{who}.{at}"));
        let bodies = got.iter().map(|event| event.get("body").to_owned()).collect();
        came.insert(format!("{who}: {expression}"), bodies);
    }
}

fn came(kind: Kind) -> Came {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, kind);
    let settings = vec!["enablePropertyFilter=true"];
    let tuning = Tuning { settings, ..Tuning::default() };
    let mut broker = Broker::start_tuned(&scene, kind, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();

    let mut java5 = Driver::start(&scene, Client::Java5, &namesrv.addr);
    java5.run("producer p group=producers");
    for (at, properties) in MESSAGES.iter().enumerate() {
        java5.run(&format!(
            "send p topic=filtered mode=sync count=1 prefix=m{at} tags=T props={properties}"
        ));
    }
    let mut came = Came::new();
    scan(&mut java5, &mut came, "java5");
    let mut java4 = Driver::start(&scene, Client::Java4, &namesrv.addr);
    scan(&mut java4, &mut came, "java4");

    // Push consumers register their filters by heartbeat, and wait for messages.
    let mut go = Driver::start(&scene, Client::Go, &namesrv.addr);
    let (java, of_go) = ("a~BETWEEN~1~AND~3~OR~c~CONTAINS~'blue'", "a~IS~NOT~NULL~AND~NOT~(a=1)");
    java5.run(&format!("consumer push5 group=push5 topic=filtered kind=concurrent sql={java}"));
    java5.run(&format!("consumer lite5 group=lite5 topic=filtered kind=lite sql={java}"));
    go.run(&format!("consumer pushgo group=pushgo topic=filtered kind=concurrent sql={of_go}"));
    let mut node = Driver::start(&scene, Client::Node, &namesrv.addr);
    node.run(&format!(
        "consumer pushnode group=pushnode topic=filtered kind=concurrent sql={of_go}"
    ));
    java5.wait_got("push5", 4);
    java5.wait_got("lite5", 4);
    go.wait_got("pushgo", 5);
    node.wait_got("pushnode", 5);
    java5.run("send p topic=filtered mode=sync count=1 prefix=late1 tags=T props=a:77");
    java5.run("send p topic=filtered mode=sync count=1 prefix=late2 tags=T props=a:2");
    java5.wait_got("push5", 5);
    java5.wait_got("lite5", 5);
    go.wait_got("pushgo", 7);
    node.wait_got("pushnode", 7);
    let pushed = [(&java5, "push5"), (&java5, "lite5"), (&go, "pushgo"), (&node, "pushnode")];
    for (driver, who) in pushed {
        let got = driver.got(who);
        let bodies: BTreeSet<_> = got.iter().map(|event| event.get("body").to_owned()).collect();
        assert_eq!(bodies.len(), got.len(), "{who} got a message twice");
        came.insert(who.to_owned(), bodies);
    }
    // A consumer that cannot be served does not start.
    let refused =
        java5.try_run("consumer bad group=bad topic=filtered kind=concurrent sql=a~=~=~1");
    let why = refused.expect_err("the expression is wrong");
    assert!(why.contains("line 1, column 5"), "{kind:?}: {why}");
    came
}

#[test]
fn expressions_let_the_same_messages_through_as_on_a_java_broker() {
    let skua = came(Kind::Skua);
    let java = came(Kind::Java);
    let differ: Vec<_> = java
        .iter()
        .filter(|(who, bodies)| skua.get(*who) != Some(bodies))
        .map(|(who, bodies)| format!("{who}\n  java {bodies:?}\n  skua {:?}", skua.get(who)))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    // The corpus is no use if every expression takes all or nothing.
    let some = java.values().filter(|bodies| !bodies.is_empty() && bodies.len() < 12).count();
    assert!(some * 2 > java.len(), "{some} of {}", java.len());
}
