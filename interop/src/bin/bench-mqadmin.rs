//! Times of usual commands, Java's mqadmin and Skua's side by side, each on the same Skua cluster:
//!
//! ```text
//! cargo run -p skua-interop --bin bench-mqadmin
//! ```
//!
//! Each is a process of its own, as operators run it. Prints a table in Markdown; the median of
//! five runs for Skua, of two for Java.

use std::time::Duration;

use skua_interop::golden::{COMMANDS, Place};
use skua_interop::{Admin, Kind};

fn main() {
    let mut place = Place::start(Kind::Skua);
    println!("| command line | Java, ms | Skua, ms |\n|---|---:|---:|");
    let mut sums = [Duration::ZERO; 2];
    for line in COMMANDS.iter().filter(|line| line.usual) {
        let arguments = place.arguments(line);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let median = |mut admin: Admin, runs: usize| {
            let mut took: Vec<Duration> = (0..runs).map(|_| admin.run(&arguments).took).collect();
            took.sort();
            took[runs / 2]
        };
        let times = [median(Admin::JavaEach, 2), median(Admin::Skua, 5)];
        sums[0] += times[0];
        sums[1] += times[1];
        println!("| `{}` | {} | {:.1} |", line.text, times[0].as_millis(), ms(times[1]));
    }
    println!("| together | {} | {:.1} |", sums[0].as_millis(), ms(sums[1]));
    place.stop();
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
