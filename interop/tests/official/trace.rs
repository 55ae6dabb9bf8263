//! Message traces: the clients' reports lie in the trace topic, and mqadmin reads them.

use std::time::Duration;

use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Scene, Tuning, check, mqadmin, wait_until,
};

#[test]
fn traces_of_sending_and_consuming_are_found_by_mqadmin() {
    let scene = Scene::new();
    let kind = Kind::under_test();
    let namesrv = Namesrv::start(&scene, kind);
    let tuning = Tuning { settings: vec!["traceTopicEnable=true"], ..Tuning::default() };
    let mut broker = Broker::start_tuned(&scene, kind, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    for client in [Client::Java5, Client::Java4, Client::Go] {
        let (topic, producers, consumers) = (
            format!("traced-{client:?}"),
            format!("{client:?}-producers"),
            format!("{client:?}-consumers"),
        );
        let mut driver = Driver::start(&scene, client, &namesrv.addr);
        driver.run(&format!("producer p group={producers} trace=true"));
        driver.run(&format!("send p topic={topic} mode=sync count=3 prefix=m tags=A"));
        driver
            .run(&format!("consumer c group={consumers} topic={topic} kind=concurrent trace=true"));
        driver.wait_got("c", 3);
        let (sent, got) = (driver.sent(&topic), driver.got("c"));
        check::each_once(&sent, &got);
        let id = sent[0].get("id").to_owned();
        // Clients report in batches, in their own time.
        wait_until("traces of both ends", Duration::from_secs(180), || {
            let text = mqadmin(&["queryMsgTraceById", "-i", &id, "-n", &namesrv.addr]);
            (text.contains(&producers) && text.contains(&consumers)).then_some(())
        });
    }
}
