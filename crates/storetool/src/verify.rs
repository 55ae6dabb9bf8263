//! `skua store verify`: everything checked against everything.

use std::io::Write;

use serde_json::json;
use skua_store::inspect::{Finding, Severity};

use crate::{Failure, Locate, Outcome, Place, open};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object a finding, and one at the end.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, locate: Locate<'_>, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let directory = open(&args.place, locate)?;
    let mut printed = Ok(());
    let verified = directory.verify(&mut |finding| {
        if printed.is_ok() {
            printed = print(out, &finding, args.json);
        }
    })?;
    printed?;
    let good = verified.damage == 0;
    if args.json {
        let counts = json!({
            "records": verified.records,
            "queueEntries": verified.queue_entries,
            "indexEntries": verified.index_entries,
            "tables": verified.tables,
            "damage": verified.damage,
            "notes": verified.notes,
        });
        writeln!(out, "{counts}")?;
    } else {
        writeln!(
            out,
            "{} records, {} queue entries, {} index entries, {} tables: {}",
            verified.records,
            verified.queue_entries,
            verified.index_entries,
            verified.tables,
            if good { "all whole".to_owned() } else { format!("{} damaged", verified.damage) }
        )?;
    }
    Ok(if good { Outcome::Good } else { Outcome::Damage })
}

fn print(out: &mut dyn Write, finding: &Finding, as_json: bool) -> std::io::Result<()> {
    let Finding { severity, path, position, what } = finding;
    let severity = match severity {
        Severity::Damage => "damage",
        Severity::Note => "note",
    };
    if as_json {
        let path = path.to_string_lossy();
        let finding = json!({"kind": severity, "file": path, "position": position, "what": what});
        writeln!(out, "{finding}")
    } else {
        writeln!(out, "{severity}: {} at byte {position}: {what}", path.display())
    }
}
