//! Clients with a name space: topics and groups are prefixed by the client, and the broker meets
//! them with the prefix in front, behind it, and inside.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use skua_interop::{Client, Cluster, Driver, Event, Scene, check, wire};

fn of_body<'a>(events: &'a [Event], prefix: &str) -> Vec<&'a Event> {
    events.iter().filter(|e| e.get("body").starts_with(prefix)).collect()
}

/// Whatever a client does with its topics and groups, `space` being what names its name space.
fn in_a_name_space(client: Client, space: &str, prefix: &str) {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let mut driver = Driver::start(&scene, client, cluster.namesrv());
    let topic = format!("orders-{client:?}");
    if client == Client::Go {
        for group in ["workers", "never"] {
            wire::make_topic(&cluster.broker(), &format!("%RETRY%{prefix}{group}"), 1);
        }
    }

    // The same names without a name space: nothing goes over.
    driver.run("producer plain group=producers");
    driver.run(&format!("send plain topic={topic} mode=sync count=3 prefix=plain"));
    driver.run(&format!("producer p group=producers {space}"));
    for mode in ["sync", "batch"] {
        driver.run(&format!("send p topic={topic} mode={mode} count=10 prefix=own-{mode}"));
    }
    driver.run(&format!("consumer outside group=workers topic={topic} kind=concurrent"));
    // Each is refused once and comes by the retry topic, of which the broker knows the prefix only
    // within.
    driver.run(&format!(
        "consumer inside group=workers topic={topic} kind=concurrent fail=1 delay=1 poll=1000 {space}"
    ));
    driver.run(&format!("consumer ordered group=ordered topic={topic} kind=orderly {space}"));
    // Refused as often as it may be: a dead letter.
    driver.run(&format!(
        "consumer never group=never topic={topic} kind=concurrent fail=9 delay=1 retries=1 poll=1000 {space}"
    ));
    let own: Vec<Event> = {
        let sent = driver.told("sent");
        of_body(&sent, "own").into_iter().cloned().collect()
    };
    assert_eq!(own.len(), 20);
    driver.wait_got("outside", 3);
    driver.wait_got("inside", 20);
    driver.wait_got("ordered", 20);
    check::each_once(&own, &driver.got("inside"));
    check::each_once(&own, &driver.got("ordered"));
    check::in_order(&driver.got("ordered"));
    assert!(driver.got("inside").iter().all(|e| e.number("times") == 1));
    driver.wait("forty refusals", |events| {
        events.iter().filter(|e| e.word == "refused" && e.get("by") == "never").count() >= 40
    });
    driver.run(&format!("consumer grave group=grave topic=%DLQ%{prefix}never kind=concurrent"));
    driver.wait_got("grave", 20);
    check::each_once(&own, &driver.got("grave"));

    // What the broker has.
    let (header, body) = wire::call(&cluster.broker(), 21, json!({}), b"").expect("an answer");
    assert_eq!(header["code"], 0, "{header}");
    let all: Value = serde_json::from_slice(&body).expect("JSON");
    let topics: BTreeSet<&str> =
        all["topicConfigTable"].as_object().expect("a table").keys().map(|t| &**t).collect();
    for expected in [
        topic.clone(),
        format!("{prefix}{topic}"),
        format!("%RETRY%{prefix}workers"),
        format!("%DLQ%{prefix}never"),
    ] {
        assert!(topics.contains(&*expected), "{expected} in {topics:?}");
    }

    // A transaction, and a request with its reply.
    driver.run(&format!("transactor t group=deciders answer=commit {space}"));
    driver.run(&format!("transact t topic={topic} count=2 prefix=tx local=commit"));
    driver.wait_got("inside", 22);
    // The topic first: clients look for new ones every half a minute.
    driver.run("send p topic=questions mode=sync count=1 prefix=first");
    driver.run(&format!("responder r group=answering topic=questions {space}"));
    driver
        .wait("the topic is subscribed to", |events| events.iter().any(|e| e.word == "requested"));
    // It has not sent before: then it would be known to the broker half a minute later only.
    driver.run(&format!("producer asker group=askers {space}"));
    if client == Client::Go {
        // But for this one, which is known only if it knows a broker a second after its start.
        driver.run("send asker topic=questions mode=sync count=1 prefix=early");
        wire::wait_producer(&cluster.broker(), "askers", "questions");
    }
    driver.run("request asker topic=questions mode=sync count=3 prefix=ask");
    assert_eq!(driver.told("replied").len(), 3);
    assert_eq!(driver.got("outside").len(), 3, "only what was sent outside");
    driver.finish();
}

#[test]
fn java_5_clients_with_a_name_space_keep_to_it() {
    in_a_name_space(Client::Java5, "ns=space", "space%");
}

#[test]
fn java_4_clients_with_a_name_space_keep_to_it() {
    in_a_name_space(Client::Java4, "ns=space", "space%");
}

#[test]
fn go_clients_with_a_name_space_keep_to_it() {
    in_a_name_space(Client::Go, "ns=space", "space%");
}

/// The second form is a field of each request, which servers without name spaces pass over.
#[test]
fn java_5_clients_with_a_name_space_of_the_second_form_are_served_alike() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let mut driver = Driver::start(&scene, Client::Java5, cluster.namesrv());
    driver.run("producer p group=producers nsv2=space");
    driver.run("send p topic=second mode=sync count=5 prefix=m");
    driver.run(
        "consumer c group=second topic=second kind=concurrent nsv2=space fail=1 delay=1 poll=1000",
    );
    driver.run("consumer o group=ordered topic=second kind=orderly nsv2=space");
    driver.wait_got("c", 5);
    driver.wait_got("o", 5);
    let sent = driver.told("sent");
    check::each_once(&sent, &driver.got("c"));
    check::each_once(&sent, &driver.got("o"));
    driver.run("consumer plain group=plain topic=second kind=concurrent");
    driver.wait_got("plain", 5);
    driver.finish();
}

/// Pops, acknowledgements, changed times and the retry topic that belongs to group and topic, whose
/// names have the prefix inside.
#[test]
fn java_5_consumers_in_pop_mode_keep_to_their_name_space() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let namesrv = cluster.namesrv();
    let mut driver = Driver::start(&scene, Client::Java5, namesrv);
    driver.run("producer plain group=producers");
    driver.run("producer p group=producers ns=space");
    driver.run("send plain topic=popped mode=sync count=5 prefix=plain tags=A");
    driver.run("send p topic=popped mode=sync count=20 prefix=own tags=A,B");
    for prefix in ["", "space%"] {
        cluster.consume_by_pop(&format!("{prefix}popped"), &format!("{prefix}poppers"));
    }
    driver.run("consumer outside group=poppers topic=popped kind=pop");
    // Each is refused once, and comes again when its changed time is over.
    driver.run("consumer inside group=poppers topic=popped kind=pop fail=1 ns=space");
    driver.run("send p topic=popped mode=sync count=20 prefix=later tags=A,B");
    driver.wait("every message", |events| {
        let got: Vec<_> = events.iter().filter(|e| e.word == "got").cloned().collect();
        check::first_deliveries(&got).len() >= 45
    });
    let (own, plain): (Vec<_>, Vec<_>) =
        driver.told("sent").into_iter().partition(|e| !e.get("body").starts_with("plain"));
    check::each_once(&plain, &driver.got("outside"));
    check::each_once(&own, &driver.got("inside"));
    check::same_set(&own, &driver.told("refused"));
    driver.finish();
}
