//! `skua store repair`: shows what of the commit log is damaged, and does what the operator chooses.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use skua_store::inspect::{Directory, Piece};
use skua_store::{Disk, OnDamage, OpenError, RealDisk, Store};

use crate::import::now;
use crate::words::size;
use crate::{Failure, Locate, Outcome, Place, open};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// End the log before the first damage: every message behind is deleted.
    #[arg(long, conflicts_with = "bridge")]
    cut: bool,
    /// Put a record that is in no queue over each damaged stretch, and keep what follows.
    #[arg(long)]
    bridge: bool,
    /// Read the whole log and make every queue entry as it says.
    #[arg(long)]
    rebuild_queues: bool,
    /// Delete the index files and make them anew.
    #[arg(long)]
    rebuild_index: bool,
}

/// A stretch of log without a whole record, and what is behind.
struct Stretch {
    offset: u64,
    bytes: u64,
    reason: String,
    /// Whole messages behind it, up to the end.
    behind: u64,
}

pub fn run(args: &Args, locate: Locate<'_>, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let directory = open(&args.place, locate)?;
    let damage = show(&directory, out)?;
    if damage && !args.cut && !args.bridge {
        writeln!(out, "nothing was changed. Copy the directory, stop the broker, then choose:")?;
        writeln!(
            out,
            "  --bridge  messages in the damaged stretches are lost, what follows is kept"
        )?;
        writeln!(out, "  --cut     the log ends before the first damage, all behind is deleted")?;
        return Ok(Outcome::Damage);
    }
    if !damage && !args.rebuild_queues && !args.rebuild_index {
        return Ok(Outcome::Good);
    }
    let mut options = locate(&args.place).map_err(Failure::Usage)?;
    options.read_whole_log = damage || args.rebuild_queues;
    options.on_damage = match (args.cut, args.bridge) {
        (true, _) => OnDamage::Cut,
        (_, true) => OnDamage::Bridge,
        _ => OnDamage::Stop,
    };
    if args.rebuild_index {
        let path = options.root.join("lock");
        let _lock = RealDisk.lock(&path)?.ok_or(OpenError::Locked(path))?;
        RealDisk.remove_dir(&options.root.join("index"))?;
    }
    let store = Store::open(options, Arc::new(RealDisk), now())?;
    // A queue is cut to what the log has when it is looked at.
    for (topic, id) in store.queue_list()? {
        store.max_offset(&topic, id);
    }
    let found = store.recovered();
    store.close()?;
    let cut = if found.cut > 0 { format!(", {} cut", size(found.cut)) } else { String::new() };
    writeln!(out, "{} records read, the log ends at {}{cut}", found.records, found.end)?;
    let again = open(&args.place, locate)?;
    Ok(if show(&again, out)? { Outcome::Damage } else { Outcome::Good })
}

/// Prints the damage; whether there is any.
fn show(directory: &Directory, out: &mut dyn Write) -> Result<bool, Failure> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut messages = 0_u64;
    directory.walk_log(directory.log_start(), &mut |offset, piece| {
        match piece {
            Piece::Message(_) => messages += 1,
            Piece::Damage { reason, next } => {
                stretches.push(Stretch { offset, bytes: next - offset, reason, behind: messages });
            }
            Piece::EndOfFile | Piece::End { .. } => {}
        }
        ControlFlow::Continue(())
    })?;
    stretches.iter_mut().for_each(|stretch| stretch.behind = messages - stretch.behind);
    // Where nothing whole comes behind, the log merely ends.
    stretches.retain(|stretch| stretch.behind > 0);
    for Stretch { offset, bytes, reason, behind } in &stretches {
        let file = directory.log_file_of(*offset);
        let (path, base) = file.map_or_else(Default::default, |file| {
            (file.path.display().to_string(), file.base.unwrap_or(0))
        });
        writeln!(
            out,
            "damage: {path} at byte {} (physical offset {offset}), {bytes} bytes: {reason}; \
             {behind} whole messages are behind",
            offset - base
        )?;
    }
    if stretches.is_empty() {
        writeln!(out, "the commit log is whole: {messages} messages")?;
    }
    Ok(!stretches.is_empty())
}
