//! The unmodified quick-start classes of rocketmq-example.

use std::process::Command;
use std::time::Duration;

use skua_interop::{Cluster, Process, Scene, quickstart_classpath, wait_until};

/// Starts one class as the quick start tells: with NAMESRV_ADDR in the environment.
fn start(scene: &Scene, class: &str, namesrv: &str) -> Process {
    let home = scene.folder("client");
    let mut command = Command::new("java");
    command
        .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg(format!("-Duser.home={}", home.display()))
        .args(["-cp", &quickstart_classpath()])
        .arg(format!("org.apache.rocketmq.example.quickstart.{class}"))
        .env("NAMESRV_ADDR", namesrv);
    Process::start(&mut command, scene.path().join(format!("{class}.log")))
}

#[test]
fn a_thousand_messages_go_through_without_an_error() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);

    let mut producer = start(&scene, "Producer", cluster.namesrv());
    assert!(producer.wait(Duration::from_secs(120)).success());
    let sent = producer.output();
    assert_eq!(sent.matches("sendStatus=SEND_OK").count(), 1000);
    assert!(!sent.contains("Exception"), "{sent}");

    let mut consumer = start(&scene, "Consumer", cluster.namesrv());
    // A line per message: the body as its bytes.
    let received = |i: usize| {
        let bytes = format!("Hello RocketMQ {i}").into_bytes();
        let bytes: Vec<_> = bytes.iter().map(u8::to_string).collect();
        format!("body=[{}]", bytes.join(", "))
    };
    wait_until("a thousand messages at the consumer", Duration::from_secs(120), || {
        consumer.assert_alive();
        (consumer.output().matches("Receive New Messages").count() >= 1000).then_some(())
    });
    let output = consumer.output();
    assert!(!output.contains("Exception"), "{output}");
    for i in 0..1000 {
        assert_eq!(output.matches(&received(i)).count(), 1, "message {i}");
    }
}
