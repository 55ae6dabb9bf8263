//! A slave that cannot go on from its own log begins anew: asked for by a file in the store's root,
//! done at the next start before the store is opened, so that a crash in between changes nothing.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use skua_store::{Disk, RealDisk, StoreOptions};
use skua_storetool::{aside_name, move_aside};

/// Holds the folder's name and the cause. Moved last.
use skua_storetool::REFILL_MARK as MARK;

/// From the next start on the store is empty.
pub fn ask(root: &Path, why: &str) -> io::Result<()> {
    let (mark, new) = (root.join(MARK), root.join(format!("{MARK}.new")));
    fs::write(&new, format!("{}\n{why}\n", aside_name()))?;
    fs::File::open(&new)?.sync_all()?;
    fs::rename(&new, &mark)?;
    RealDisk.sync_dir(root).map_err(|error| io::Error::other(error.to_string()))
}

/// Sets the store aside if that was asked for; of a slave only.
pub fn at_start(options: &StoreOptions, is_slave: bool) -> anyhow::Result<()> {
    let root = &options.root;
    let mark = root.join(MARK);
    let asked = match fs::read_to_string(&mark) {
        Ok(asked) => asked,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| mark.display().to_string()),
    };
    if !is_slave {
        // Another decision was made since: the log is the group's now.
        tracing::warn!(file = %mark.display(), "no slave any more: the store stays");
        return fs::remove_file(&mark).with_context(|| mark.display().to_string());
    }
    let (name, why) = asked.trim_end().split_once('\n').unwrap_or((asked.trim_end(), ""));
    let aside = move_aside(options, name, &mut |_, _| Ok(()))
        .with_context(|| format!("setting the store aside, as {} asks for", mark.display()))?;
    tracing::warn!(kept = %aside.display(), why, "the store was set aside; it is filled anew");
    Ok(())
}
