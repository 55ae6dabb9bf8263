//! A request message goes to a consumer in another process, its reply comes back.

use skua_interop::{Client, Cluster, Driver, Scene, wire};

fn requests_of(client: Client) {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let topic = format!("ask-{client:?}");
    assert!(wire::send(&cluster.broker(), &topic), "the first send makes the topic");
    let mut responder = Driver::start(&scene, client, cluster.namesrv());
    responder.run(&format!("responder r group={topic} topic={topic}"));
    let mut asker = Driver::start(&scene, client, cluster.namesrv());
    asker.run("producer p group=askers");
    if client == Client::Go {
        // The broker must know it to push replies to it; its first heartbeat goes out a second after
        // its start, to the brokers it knows by then.
        asker.run(&format!("send p topic={topic} mode=sync count=1 prefix=first"));
        wire::wait_producer(&cluster.broker(), "askers", &topic);
    }
    for mode in ["sync", "async"] {
        asker.run(&format!("request p topic={topic} mode={mode} count=10 prefix={mode}"));
    }
    let replied = asker.told("replied");
    assert_eq!(replied.len(), 20);
    for event in &replied {
        assert_eq!(event.get("reply"), format!("{}__replied", event.get("body")));
        assert_eq!(event.get("topic"), "DefaultCluster_REPLY_TOPIC");
    }
    responder.wait("all replies acknowledged", |events| {
        events.iter().filter(|e| e.word == "answered" && e.get("status") == "SEND_OK").count() == 20
    });

    // They are also kept in the reply topic.
    responder.run("scan s topic=DefaultCluster_REPLY_TOPIC");
    responder.wait_got("s", 20);

    // A reply to nobody is refused, and the requester's timeout is its own affair.
    assert!(responder.told("unanswered").is_empty());
}

#[test]
fn java_5_requests_are_replied_to() {
    requests_of(Client::Java5);
}

#[test]
fn java_4_requests_are_replied_to() {
    requests_of(Client::Java4);
}

#[test]
fn go_requests_are_replied_to() {
    requests_of(Client::Go);
}
