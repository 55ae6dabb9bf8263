//! When the flush is woken.

mod common;

use std::sync::Arc;

use common::{NOW, message, small_options};
use skua_store::Store;
use skua_store::disk::SimDisk;

#[test]
fn an_append_that_nobody_waits_for_is_flushed_at_once_if_appends_wake_the_flush() {
    let mut options = small_options();
    options.flush.log_on_append = true;
    options.flush.log_least_pages = 0;
    options.flush.log_interval_ms = 3_600_000;
    let disk = SimDisk::new(1);
    let store = Store::open(options, Arc::new(disk), NOW).expect("the store opens");
    std::thread::scope(|scope| {
        scope.spawn(|| store.run_flush(|| NOW));
        for _ in 0..20 {
            let receipt = store.append(&message("TopicA", 0, b"x"), NOW).expect("nothing fails");
            while store.flushed_offset() < receipt.end {
                std::thread::yield_now();
            }
        }
        store.close().expect("nothing fails");
    });
}
