//! Transaction producers: commit, roll back, say nothing and be asked, die and be replaced.

use std::time::Duration;

use crate::other_clients;
use skua_interop::{
    Broker, Client, Driver, Event, Kind, Namesrv, Scene, Tuning, check, wait_until,
};

/// Questions come after seconds, not after half a minute.
const QUICK: [&str; 3] =
    ["transactionTimeOut=1000", "transactionCheckInterval=1000", "transactionOpBatchInterval=300"];

struct Servers {
    namesrv: Namesrv,
    broker: Broker,
}

fn servers(scene: &Scene, check_max: &'static str) -> Servers {
    let kind = Kind::under_test();
    let namesrv = Namesrv::start(scene, kind);
    let settings = QUICK.into_iter().chain([check_max]).collect();
    let tuning = Tuning { settings, java_options: None };
    let mut broker = Broker::start_tuned(scene, kind, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    Servers { namesrv, broker }
}

fn halves(driver: &Driver, prefix: &str) -> Vec<Event> {
    let mine = |event: &Event| event.get("body").starts_with(prefix);
    driver.told("half").into_iter().filter(mine).collect()
}

/// What the consumer of this name has got with one of these beginnings.
fn got(driver: &Driver, by: &str, prefixes: &[&str]) -> Vec<Event> {
    let mine = |event: &Event| prefixes.iter().any(|p| event.get("body").starts_with(p));
    driver.got(by).into_iter().filter(mine).collect()
}

/// Commits, roll backs and answers to questions of one client.
fn transactions_of(client: Client) {
    let scene = Scene::new();
    let servers = servers(&scene, "transactionCheckMax=100");
    let topic = format!("tx-{client:?}");
    let mut driver = Driver::start(&scene, client, &servers.namesrv.addr);
    driver.run(&format!("transactor t group={topic}-p answer=unknown"));
    // The first send makes the topic.
    driver.run(&format!("transact t topic={topic} count=10 prefix=commit local=commit"));
    driver.run(&format!("consumer c group={topic} topic={topic} kind=concurrent"));
    driver.run(&format!("transact t topic={topic} count=10 prefix=rollback local=rollback"));
    driver.run(&format!("transact t topic={topic} count=5 prefix=later local=unknown"));

    // Committed ones come; nobody is asked about them, nor about those rolled back.
    driver.wait_got("c", 10);
    check::each_once(&halves(&driver, "commit"), &driver.got("c"));
    // Those that nothing was said about are asked about until there is an answer.
    driver.wait("two questions about each", |events| {
        events.iter().filter(|e| e.word == "asked").count() >= 10
    });
    assert_eq!(driver.got("c").len(), 10, "delivered before they were committed");
    driver.run("answer t answer=commit");
    driver.wait_got("c", 15);
    check::each_once(&halves(&driver, "later"), &got(&driver, "c", &["later"]));
    let asked = driver.told("asked");
    assert!(asked.iter().all(|e| e.get("body").starts_with("later")), "{asked:?}");
    assert!(asked.iter().any(|e| e.get("checks") == "2"), "{asked:?}");

    // What is asked about is also rolled back.
    driver.run("answer t answer=rollback");
    driver.run(&format!("transact t topic={topic} count=3 prefix=undone local=unknown"));
    driver.wait("a question about each", |events| {
        let about = |e: &&Event| e.word == "asked" && e.get("body").starts_with("undone");
        events.iter().filter(about).count() >= 3
    });
    driver.run(&format!("transact t topic={topic} count=1 prefix=commit-last local=commit"));
    driver.wait_got("c", 16);
    check::each_once(
        &[halves(&driver, "commit"), halves(&driver, "later")].concat(),
        &driver.got("c"),
    );
    driver.finish();
}

#[test]
fn java_5_transactions_are_committed_rolled_back_and_asked_about() {
    transactions_of(Client::Java5);
}

#[test]
fn java_4_transactions_are_committed_rolled_back_and_asked_about() {
    transactions_of(Client::Java4);
}

#[test]
fn rust_transactions_are_committed_rolled_back_and_asked_about() {
    if other_clients::rust_is_tried() {
        transactions_of(Client::Rust);
    }
}

#[test]
fn go_transactions_are_committed_rolled_back_and_asked_about() {
    transactions_of(Client::Go);
}

#[test]
fn another_producer_of_the_group_answers_for_one_that_died_and_restarts_forget_nothing() {
    let scene = Scene::new();
    let mut servers = servers(&scene, "transactionCheckMax=100");
    let mut first = Driver::start(&scene, Client::Java5, &servers.namesrv.addr);
    first.run("transactor t group=heirs");
    first.run("transact t topic=heirs count=5 prefix=before local=commit");
    first.run("transact t topic=heirs count=5 prefix=orphan local=unknown");
    let (before, orphans) = (halves(&first, "before"), halves(&first, "orphan"));
    // As `kill -9` of both.
    drop(first);
    servers.broker.crash();

    let mut second = Driver::start(&scene, Client::Java5, &servers.namesrv.addr);
    second.run("consumer c group=heirs-c topic=heirs kind=concurrent");
    second.run("transactor t group=heirs answer=commit");
    // A client makes itself known to the brokers that it sends to.
    second.run("transact t topic=heirs count=1 prefix=own local=commit");
    second.wait_got("c", 11);
    let own = halves(&second, "own");
    check::each_once(&[before, orphans, own].concat(), &second.got("c"));
}

#[test]
fn a_transaction_that_nobody_decides_is_given_up_after_its_questions() {
    let scene = Scene::new();
    let servers = servers(&scene, "transactionCheckMax=4");
    let mut driver = Driver::start(&scene, Client::Java5, &servers.namesrv.addr);
    driver.run("transactor t group=undecided answer=unknown");
    driver.run("transact t topic=undecided count=2 prefix=lost local=unknown");
    driver.run("consumer c group=undecided topic=undecided kind=concurrent");
    wait_until("the topic of given up messages", Duration::from_secs(180), || {
        let text = skua_interop::mqadmin(&["topicList", "-n", &servers.namesrv.addr]);
        text.contains("TRANS_CHECK_MAX_TIME_TOPIC").then_some(())
    });
    driver.run("scan s topic=TRANS_CHECK_MAX_TIME_TOPIC");
    driver.wait_got("s", 2);
    check::each_once(&halves(&driver, "lost"), &driver.got("s"));
    assert_eq!(driver.told("asked").len(), 8, "four questions about each");
    assert!(driver.got("c").is_empty());

    // They can be asked about again.
    driver.run("answer t answer=commit");
    for event in driver.got("s") {
        let id = offset_id(&event);
        skua_interop::wire::call(
            &servers.broker.addr,
            323,
            serde_json::json!({ "topic": "undecided", "msgId": id }),
            &[],
        )
        .expect("an answer");
    }
    driver.wait_got("c", 2);
    check::each_once(&halves(&driver, "lost"), &driver.got("c"));
}

/// Where the message lies, as its id among those of the broker.
fn offset_id(event: &Event) -> String {
    event.get("place").to_owned()
}

#[test]
fn one_directory_with_open_transactions_serves_java_and_skua_in_turn() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = QUICK.into_iter().chain(["transactionCheckMax=100"]).collect();
    let tuning = Tuning { settings, java_options: None };
    let mut broker = Broker::start_tuned(&scene, Kind::Java, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    let mut committed = Vec::new();
    for (round, other) in [Kind::Skua, Kind::Java].into_iter().enumerate() {
        let open = format!("open{round}");
        let mut first = Driver::start(&scene, Client::Java5, &namesrv.addr);
        first.run("transactor t group=moving answer=unknown");
        for (prefix, local) in [("commit", "commit"), ("undone", "rollback"), ("open", "unknown")] {
            first.run(&format!(
                "transact t topic=moving count=5 prefix={prefix}{round} local={local}"
            ));
        }
        first.wait("a question", |events| events.iter().any(|e| e.word == "asked"));
        committed.extend(halves(&first, &format!("commit{round}")));
        committed.extend(halves(&first, &open));
        // As `kill -9` of the producer; the server stops in order.
        drop(first);
        broker.stop();
        broker.start_again(other);
        broker.wait_registered();

        let mut heir = Driver::start(&scene, Client::Java5, &namesrv.addr);
        heir.run("transactor t group=moving answer=commit");
        heir.run(&format!("transact t topic=moving count=1 prefix=own{round} local=commit"));
        committed.extend(halves(&heir, "own"));
        heir.run(&format!("consumer c group=moving-{round} topic=moving kind=concurrent"));
        heir.wait_got("c", committed.len());
        check::each_once(&committed, &heir.got("c"));
        let asked = heir.told("asked");
        assert!(asked.iter().all(|e| e.get("body").starts_with(&open)), "{asked:?}");
    }
}
