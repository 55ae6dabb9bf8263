//! Clients of other makers and languages than Java and Go. The Python client is a thin layer over
//! Apache's C++ client, so it stands for both. Not its batches: it does not mark them as such, and
//! Java's broker too stores one as a single message.

use skua_interop::{Client, Cluster, Driver, Scene, check};

#[test]
fn the_cpp_client_under_python_sends_and_receives() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let topic = "python";
    let mut sender = Driver::start(&scene, Client::Python, cluster.namesrv());
    sender.run("producer p group=producers");
    for mode in ["sync", "ordered", "oneway"] {
        // The first send makes the topic.
        sender.run(&format!("send p topic={topic} mode={mode} count=40 prefix={mode} tags=A,B"));
    }
    // Past 4 KiB the client compresses.
    sender.run(&format!("send p topic={topic} mode=sync count=4 prefix=big size=20000"));
    let sent = sender.sent(topic);

    let mut receiver = Driver::start(&scene, Client::Python, cluster.namesrv());
    for kind in ["concurrent", "orderly"] {
        receiver.run(&format!("consumer {kind} group={kind} topic={topic} kind={kind}"));
    }
    receiver.run(&format!("consumer tagged group=tagged topic={topic} kind=concurrent tags=B"));
    // What was stored, as a client of another make sees it.
    let mut java = Driver::start(&scene, Client::Java5, cluster.namesrv());
    java.run(&format!("scan scanner topic={topic}"));
    check::each_once(&sent, &java.got("scanner"));
    check::dense(&java.got("scanner"));
    for by in ["concurrent", "orderly"] {
        receiver.wait_got(by, sent.len());
        check::each_once(&sent, &receiver.got(by));
    }
    check::in_order(&receiver.got("orderly"));
    let tagged: Vec<_> = sent.iter().filter(|e| e.get("tag") == "B").cloned().collect();
    receiver.wait_got("tagged", tagged.len());
    check::each_once(&tagged, &receiver.got("tagged"));

    // Broadcast, this client begins at the end of every queue.
    receiver.run(&format!("consumer broadcast group=broadcast topic={topic} kind=broadcast"));
    sender.run(&format!("send p topic={topic} mode=sync count=12 prefix=late"));
    let late = &sender.sent(topic)[sent.len()..];
    receiver.wait_got("broadcast", late.len());
    check::each_once(late, &receiver.got("broadcast"));
}

#[test]
fn messages_that_a_cpp_client_refuses_come_again() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let mut driver = Driver::start(&scene, Client::Python, cluster.namesrv());
    driver.run("producer p group=producers");
    driver.run("send p topic=refused mode=sync count=3 prefix=m tags=A");
    driver.run("consumer c group=refusing topic=refused kind=concurrent fail=1");
    driver.wait_got("c", 3);
    let got = driver.got("c");
    check::each_once(&driver.sent("refused"), &got);
    assert!(got.iter().all(|e| e.number("times") == 1), "{got:?}");
}
