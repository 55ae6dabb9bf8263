//! A disk that fills up under a running broker, and has space again. Mounts a small file system of
//! its own, which takes root; says so and tests nothing where that is not allowed.

use std::fs;
use std::time::{Duration, Instant};

use skua_interop::{Broker, Client, Driver, Event, Kind, Namesrv, Scene, Tuning, Volume, check};

const MIB: usize = 1 << 20;
const SIZE: usize = 48 * MIB;

fn count(events: &[Event], word: &str) -> usize {
    events.iter().filter(|e| e.word == word).count()
}

#[test]
fn a_full_disk_refuses_sends_with_its_cause_and_goes_on_by_itself_when_there_is_space() {
    let scene = Scene::new();
    let folder = scene.folder("broker-a/store");
    let Some(volume) = Volume::mount(&folder, SIZE) else {
        println!("NOTICE: no file system may be mounted here: a full disk was NOT tested");
        return;
    };
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = vec!["mappedFileSizeCommitLog=4194304", "diskMaxUsedSpaceRatio=75"];
    let tuning = Tuning { settings, ..Tuning::default() };
    let mut broker = Broker::start_tuned(&scene, Kind::Skua, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers timeout=3000 retries=0");
    driver.run("flood p topic=full prefix=m threads=2 size=1000 pause=5");
    driver.wait("sends to an empty disk", |events| count(events, "sent") >= 200);

    for round in 0..2 {
        let lost = driver.told("lost").len();
        // The first time beyond the limit, the second to the last byte.
        let wanted = if round == 0 { SIZE * 93 / 100 } else { SIZE };
        let taken = 8 * MIB;
        let ballast = vec![b'b'; wanted - taken];
        // The rest that does not fit is what is wanted.
        let _ = fs::write(folder.join("ballast"), ballast);
        if round == 1 {
            let _ = fs::write(folder.join("ballast-2"), vec![b'b'; taken]);
        }
        driver.wait("refusals", |events| count(events, "lost") >= lost + 20);
        let why = driver.told("lost").last().expect("some").get("why").to_owned();
        assert!(why.contains("CODE:_14") && why.contains("disk"), "round {round}: {why}");
        println!("round {round}, what the client says: {why}");
        broker.process.assert_alive();

        let _ = fs::remove_file(folder.join("ballast-2"));
        fs::remove_file(folder.join("ballast")).expect("it is there");
        let freed = Instant::now();
        let sent = driver.told("sent").len();
        driver.wait("sends again", |events| count(events, "sent") >= sent + 50);
        assert!(freed.elapsed() < Duration::from_secs(10), "after {:?}", freed.elapsed());
    }
    driver.run("halt p");
    let sent = driver.sent("full");
    driver.run("scan scanner topic=full");
    let got = driver.got("scanner");
    check::at_their_offsets(&sent, &got);
    drop(broker);
    drop(volume);
}
