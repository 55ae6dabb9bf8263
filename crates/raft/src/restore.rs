//! When most members are gone for good: one that is left becomes the group.

use std::sync::Arc;

use skua_store::Disk;

use crate::dirty::Dirty;
use crate::error::OpenError;
use crate::frame::NO_ORIGIN;
use crate::index::Index;
use crate::members::Members;
use crate::options::{GroupOptions, hash};
use crate::state::StateFile;

/// What the member has that is the whole group from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sole {
    /// Entries that are there. What the others had agreed on behind is lost.
    pub last: u64,
    /// Of them those that this member knew to be agreed on; the others are taken for it now.
    pub known: u64,
    /// It may have forgotten what it acknowledged, in a power cut before.
    pub was_suspect: bool,
}

/// Makes the member of a broker that is not running the only one of its group. Messages that the
/// others had acknowledged and this one has not are lost, which nobody can count. The others do
/// not hear this member any more, and must not be started again but with empty directories, once
/// they are added as new members.
pub fn make_sole(options: &GroupOptions, disk: &Arc<dyn Disk>) -> Result<Sole, OpenError> {
    options.check()?;
    let root = &options.root;
    let lock_path = root.join("lock");
    let refuse = |cause: &str| {
        let (path, cause) = (StateFile::path(root), cause.to_owned());
        Err(OpenError::Broken { path, cause })
    };
    let Some(_lock) = disk.lock(&lock_path)? else {
        return refuse("the broker is running");
    };
    let Some((mut file, mut state)) = StateFile::read(&**disk, root)? else {
        return refuse("there has been no group");
    };
    crate::group::check_owner(options, &state)?;
    if state.copying {
        return refuse("its log was being copied and is not complete");
    }
    let dirty = Arc::new(Dirty::default());
    let slots = options.index_file_slots;
    let index = Index::open(Arc::clone(disk), root, dirty, slots, state.base)?;
    let sole = Sole {
        last: index.last(),
        known: state.committed.min(index.last()),
        was_suspect: state.suspect,
    };
    let own: Vec<_> = options.peers.iter().filter(|peer| peer.id == options.id).cloned().collect();
    state.members = Members::of(&own);
    state.first_members = state.members.clone();
    // Changes in the log are of members that are gone.
    state.members_at = index.last();
    let ids = [state.origin, state.term, state.life, options.id.0].map(u64::to_be_bytes);
    state.origin = hash(&[b"sole", &ids.concat()]).clamp(1, NO_ORIGIN - 1);
    state.term += 1;
    (state.vote, state.suspect, state.floor) = (0, false, (0, 0));
    file.write(&state, true)?;
    Ok(sole)
}
