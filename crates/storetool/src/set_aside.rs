//! `skua store set-aside`: an empty store, with what was in it kept in a folder.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use skua_store::{Disk, OpenError, RealDisk, StoreOptions};

use crate::import::now;
use crate::{Failure, Locate, Outcome, Place, open};

/// Stays in the root: held while things are moved, and the tables.
const STAYS: [&str; 2] = ["lock", "config"];
/// Tables that say how far the timer has read the log.
const OF_THE_LOG: [&str; 2] = ["timercheck", "timermetrics"];
const ASIDE: &str = "aside-";
/// In the root of a store that a slave is going to set aside at its next start; moved last.
pub const REFILL_MARK: &str = "refill";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
}

pub fn run(args: &Args, locate: Locate<'_>, out: &mut dyn Write) -> Result<Outcome, Failure> {
    open(&args.place, locate)?;
    let options = locate(&args.place).map_err(Failure::Usage)?;
    let aside = move_aside(&options, &aside_name(), &mut |from, to| {
        writeln!(out, "{} -> {}", from.display(), to.display())
    })?;
    writeln!(out, "the next start finds an empty store; what was in it is in {}", aside.display())?;
    Ok(Outcome::Good)
}

/// A name for the folder of what is set aside now.
pub fn aside_name() -> String {
    format!("{ASIDE}{}", now().0)
}

/// Moves a store that is not open to the folder `name` in its root, and commit log folders that
/// are elsewhere beside themselves. Can be repeated with the same name after a crash.
pub fn move_aside(
    options: &StoreOptions,
    name: &str,
    moved: &mut dyn FnMut(&Path, &Path) -> io::Result<()>,
) -> Result<PathBuf, Failure> {
    if !name.starts_with(ASIDE) || name.contains(['/', '\\']) {
        return Err(Failure::Usage(format!("{name:?} is no name for what is set aside")));
    }
    let root = &options.root;
    let path = root.join("lock");
    let _lock = RealDisk.lock(&path)?.ok_or(OpenError::Locked(path))?;
    let aside = root.join(name);
    let (mut moves, mut last) = (Vec::new(), None);
    for entry in named(root, fs::read_dir(root))? {
        let entry = named(root, entry)?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file == REFILL_MARK {
            last = Some((entry.path(), aside.join(file)));
        } else if !STAYS.contains(&file.as_str()) && !file.starts_with(ASIDE) {
            moves.push((entry.path(), aside.join(file)));
        }
    }
    for table in OF_THE_LOG {
        for file in [table.to_owned(), format!("{table}.bak")] {
            let path = root.join("config").join(&file);
            if path.exists() {
                moves.push((path, aside.join("config").join(file)));
            }
        }
    }
    let more = options.commit_log_more.iter().chain(&options.commit_log_read_only);
    for folder in std::iter::once(&options.commit_log).chain(more) {
        let is_moved = moves.iter().any(|(from, _)| folder.starts_with(from));
        if folder.exists() && !is_moved {
            let target = PathBuf::from(format!("{}.{name}", folder.display()));
            moves.push((folder.clone(), target));
        }
    }
    named(&aside, fs::create_dir_all(aside.join("config")))?;
    let settle = || [root, &aside].into_iter().try_for_each(|folder| RealDisk.sync_dir(folder));
    for (from, to) in &moves {
        named(from, fs::rename(from, to))?;
        moved(from, to)?;
    }
    settle()?;
    if let Some((from, to)) = last {
        named(&from, fs::rename(&from, to))?;
        settle()?;
    }
    Ok(aside)
}

fn named<T>(path: &Path, result: io::Result<T>) -> Result<T, Failure> {
    result.map_err(|why| Failure::Usage(format!("{}: {why}", path.display())))
}
