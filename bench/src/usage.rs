//! What processes take: CPU time and memory, as Linux tells.

use std::fs;

/// User and system time of these processes together.
pub fn cpu_seconds(pids: &[u32]) -> f64 {
    /// Linux's USER_HZ, the same on every platform of ours.
    const TICKS_A_SECOND: f64 = 100.0;
    let ticks = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
        // The name in parentheses may have spaces; utime and stime are fields 14 and 15.
        let after = stat.rsplit(')').next().expect("a name");
        let fields: Vec<&str> = after.split_whitespace().collect();
        let field = |at: usize| fields[at - 3].parse::<f64>().expect("a number of ticks");
        field(14) + field(15)
    };
    pids.iter().map(ticks).sum::<f64>() / TICKS_A_SECOND
}

pub fn status_kib(pid: u32, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a Linux status");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
}
