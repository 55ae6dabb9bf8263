//! Disks that fill, and when; logs that are not flushed or dispatched; file descriptors.

use super::{Finding, Level, Tell, duration, mebibytes};
use crate::doctor::facts::{Answer, Facts};

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;
/// What may wait for dispatch in passing.
const BEHIND_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// A broker with many queues and clients needs this many.
const DESCRIPTORS_MIN: f64 = 65_536.0;
/// With fewer the connections of one larger application use them up.
const DESCRIPTORS_FEW: f64 = 8_192.0;

pub(super) fn examine(facts: &Facts, out: &mut Vec<Finding>) {
    for broker in &facts.brokers {
        let Ok(answer) = &broker.answer else { continue };
        let key = &broker.key;
        disk(key, answer, out);
        if let Some(behind) = answer.number("dispatchBehindBytes").filter(|b| *b > BEHIND_BYTES) {
            let what = format!("{} of the log are in no consume queue yet", mebibytes(behind));
            let advice = "consumers see these messages late: look at the disk";
            out.tell(Level::Warning, "dispatch-behind", key, what, advice);
        }
        descriptors(key, answer, out);
    }
}

fn disk(key: &impl std::fmt::Display, answer: &Answer, out: &mut Vec<Finding>) {
    let Some(ratio) = answer.number("commitLogDiskRatio").filter(|ratio| *ratio >= 0.0) else {
        return;
    };
    let percent = ratio * 100.0;
    let bound = |name: &str, default: f64| {
        answer.setting(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let warning = bound("diskSpaceWarningLevelRatio", 90.0);
    let clean = bound("diskMaxUsedSpaceRatio", 75.0);
    let advice = "add space, shorten fileReservedTime, or move topics; old messages are deleted at diskMaxUsedSpaceRatio whether consumed or not";
    if percent >= warning {
        let what =
            format!("the disk of the log is {percent:.0} % full: sends are refused at {warning} %");
        out.tell(Level::Critical, "disk-full", key, what, advice);
        return;
    }
    if percent >= clean {
        let what = format!(
            "the disk of the log is {percent:.0} % full, above {clean} %: old files are being deleted"
        );
        out.tell(Level::Warning, "disk-full", key, what, advice);
    }
    if let Some(seconds) = seconds_left(answer, ratio, warning / 100.0)
        && seconds < DAY
    {
        let level = if seconds < HOUR { Level::Critical } else { Level::Warning };
        let what =
            format!("at the present rate the disk of the log is full in {}", duration(seconds));
        out.tell(level, "disk-fills", key, what, advice);
    }
}

/// Until sends are refused: the broker's own forecast if it has one, else from how much the log
/// grew between two looks.
fn seconds_left(answer: &Answer, ratio: f64, refuse_at: f64) -> Option<f64> {
    if let Some(seconds) = answer.metric("skua_disk_full_in_seconds") {
        return Some(seconds);
    }
    let (between, later) = answer.later?;
    let grown = later as f64 - answer.number("commitLogMaxOffset")?;
    let rate = grown / between.as_secs_f64();
    if rate <= 0.0 {
        return None;
    }
    let total = total_bytes(answer.runtime.get("commitLogDirCapacity")?)?;
    Some(total * (refuse_at - ratio).max(0.0) / rate)
}

/// `Total : 252.0 GiB, Free : 236.4 GiB.`
fn total_bytes(text: &str) -> Option<f64> {
    let text = text.strip_prefix("Total : ")?.split(',').next()?;
    let (number, unit) = text.split_once(' ')?;
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = units.iter().position(|known| *known == unit)?;
    Some(number.parse::<f64>().ok()? * 1024_f64.powi(i32::try_from(power).ok()?))
}

fn descriptors(key: &impl std::fmt::Display, answer: &Answer, out: &mut Vec<Finding>) {
    let (Some(open), Some(max)) =
        (answer.metric("process_open_fds"), answer.metric("process_max_fds"))
    else {
        return;
    };
    let advice =
        "raise LimitNOFILE of its unit (or ulimit -n of its shell) to 655350 and restart it";
    if open > max * 0.8 {
        let what = format!("{open} of {max} file descriptors are open");
        out.tell(Level::Critical, "descriptors", key, what, advice);
    } else if max < DESCRIPTORS_MIN {
        let what = format!("it may open {max} files, few for queues and clients together");
        let level = if max < DESCRIPTORS_FEW { Level::Warning } else { Level::Note };
        out.tell(level, "descriptors", key, what, advice);
    }
}
