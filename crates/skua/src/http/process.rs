//! Figures of the process itself, under the names that every exporter uses.

use std::fs;

use super::{Family, metric};

/// Linux counts a process's time in ticks of this length, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_LEN: u64 = 4096;

/// Those that the system tells.
pub fn figures() -> Vec<Family> {
    let mut families =
        vec![Family::of(metric::BUILD_INFO).with([("version", env!("CARGO_PKG_VERSION"))], 1_u32)];
    // The command name stands in brackets and may hold anything: fields count from its end.
    if let Ok(stat) = fs::read_to_string("/proc/self/stat")
        && let Some((_, fields)) = stat.rsplit_once(") ")
    {
        let field =
            |number: usize| fields.split(' ').nth(number).and_then(|n| n.parse::<u64>().ok());
        if let (Some(user), Some(system)) = (field(11), field(12)) {
            let ticks: u64 = user + system;
            families.push(
                Family::of(metric::PROCESS_CPU_SECONDS).with([], ticks as f64 / TICKS_PER_SECOND),
            );
        }
        if let Some(pages) = field(21) {
            families
                .push(Family::of(metric::PROCESS_RESIDENT_MEMORY_BYTES).with([], pages * PAGE_LEN));
        }
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let anonymous = status.lines().find_map(|line| {
            line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        });
        if let Some(kib) = anonymous {
            families.push(Family::of(metric::PRIVATE_MEMORY_BYTES).with([], kib * 1024));
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        families.push(Family::of(metric::PROCESS_OPEN_FDS).with([], open.count()));
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(limit) = limit.current {
        families.push(Family::of(metric::PROCESS_MAX_FDS).with([], limit));
    }
    families
}
