//! `raft/state`: what this member has promised, and where its log begins.
//!
//! Two slots of 8 KiB. A slot that was made durable is never overwritten before the other one is:
//! whatever a power cut tears, the last promise is there.
//!
//! ```text
//! | 4 "SKRS" | 4 version | 4 length | 8 number | 8 group | 8 self | 8 life | 16 boot | 1 flags |
//! | 8 term | 8 vote | 8 committed | 8 its end in the commit log | 24 base: index, term, end |
//! | 16 floor: index, term | 8 origin | 8 index of the members | members | first members | 4 CRC |
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skua_store::Disk;
use skua_store::disk::{Allocation, DiskFile, DiskResult};

use crate::error::{FrameError, OpenError};
use crate::index::Base;
use crate::members::Members;
use crate::wire::Reader;

const MAGIC: &[u8; 4] = b"SKRS";
const VERSION: u32 = 1;
const SLOT: u64 = 8192;
const SLOTS: u64 = 2;

/// See the module's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub group: u64,
    pub id: u64,
    /// Counts the starts: frames of an older life of a peer are not heard.
    pub life: u64,
    pub boot: [u8; 16],
    /// The last run ended in order, with everything durable.
    pub clean: bool,
    /// The log's bytes are being copied from the leader; they end behind the entries'.
    pub copying: bool,
    /// Something acknowledged may be forgotten: no vote until that is known not to be so.
    pub suspect: bool,
    pub term: u64,
    pub vote: u64,
    /// An entry that is agreed on, and where it ends in the commit log.
    pub committed: u64,
    pub committed_end: u64,
    pub base: Base,
    /// An entry that is agreed on and not here yet, when acknowledged ones before it may have been
    /// thrown away for the copy: index and term. Nobody whose log ends before it gets a vote.
    pub floor: (u64, u64),
    /// Tells logs apart that began with different bytes; 0 for those that began empty.
    pub origin: u64,
    /// The entry that the members are as of.
    pub members_at: u64,
    pub members: Members,
    /// Those that the group began with.
    pub first_members: Members,
}

impl State {
    fn encode(&self, number: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend(MAGIC);
        out.extend(VERSION.to_be_bytes());
        out.extend([0; 4]);
        for field in [number, self.group, self.id, self.life] {
            out.extend(field.to_be_bytes());
        }
        out.extend(self.boot);
        let flags = [self.clean, self.copying, self.suspect];
        out.push(flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag)));
        let Base { index, term, end } = self.base;
        let fields = [
            self.term,
            self.vote,
            self.committed,
            self.committed_end,
            index,
            term,
            end,
            self.floor.0,
            self.floor.1,
            self.origin,
            self.members_at,
        ];
        fields.iter().for_each(|field| out.extend(field.to_be_bytes()));
        self.members.encode(&mut out);
        self.first_members.encode(&mut out);
        let len = out.len() as u32 + 4;
        out[8..12].copy_from_slice(&len.to_be_bytes());
        let crc = crc32fast::hash(&out);
        out.extend(crc.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<(u64, Self), FrameError> {
        let mut reader = Reader(bytes);
        if reader.take(4)? != MAGIC || reader.u32()? != VERSION {
            return Err(FrameError::Malformed("not a state"));
        }
        let len = reader.u32()? as usize;
        let content = bytes.get(..len).filter(|content| content.len() > 16);
        let content = content.ok_or(FrameError::Malformed("length"))?;
        let (checked, crc) = content.split_at(content.len() - 4);
        if crc != crc32fast::hash(checked).to_be_bytes() {
            return Err(FrameError::Checksum);
        }
        let mut reader = Reader(&checked[12..]);
        let number = reader.u64()?;
        let (group, id, life) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let mut boot = [0; 16];
        boot.copy_from_slice(reader.take(16)?);
        let flags = reader.u8()?;
        let (term, vote) = (reader.u64()?, reader.u64()?);
        let (committed, committed_end) = (reader.u64()?, reader.u64()?);
        let base = Base { index: reader.u64()?, term: reader.u64()?, end: reader.u64()? };
        let floor = (reader.u64()?, reader.u64()?);
        let (origin, members_at) = (reader.u64()?, reader.u64()?);
        let members = Members::decode(&mut reader)?;
        let first_members = Members::decode(&mut reader)?;
        reader.end()?;
        let state = Self {
            group,
            id,
            life,
            boot,
            clean: flags & 1 != 0,
            copying: flags & 2 != 0,
            suspect: flags & 4 != 0,
            term,
            vote,
            committed,
            committed_end,
            base,
            floor,
            origin,
            members_at,
            members,
            first_members,
        };
        Ok((number, state))
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: Arc<dyn DiskFile>,
    number: u64,
    /// The slot that is durable.
    durable: u64,
}

impl StateFile {
    pub fn path(root: &Path) -> PathBuf {
        root.join("raft").join("state")
    }

    /// What is there, if there is a file.
    pub fn read(disk: &dyn Disk, root: &Path) -> Result<Option<(Self, State)>, OpenError> {
        let path = Self::path(root);
        let Some(bytes) = disk.read_whole(&path)? else { return Ok(None) };
        let slots = bytes.chunks(SLOT as usize).zip(0..).filter_map(|(slot, nth)| {
            let (number, state) = State::decode(slot).ok()?;
            Some((number, nth, state))
        });
        let Some((number, durable, state)) = slots.max_by_key(|(number, _, _)| *number) else {
            return Err(OpenError::Broken { path, cause: "no slot has its checksum".to_owned() });
        };
        let file = disk.open(&path)?;
        // It may be in the page cache only: what is promised on it must not be.
        file.sync()?;
        Ok(Some((Self { file, number, durable }, state)))
    }

    /// Makes the file, with `state` in it, durably.
    pub fn create(disk: &dyn Disk, root: &Path, state: &State) -> DiskResult<Self> {
        let (path, new) = (Self::path(root), root.join("raft").join("state.new"));
        disk.remove(&new)?;
        let file = disk.create(&new, SLOT * SLOTS, Allocation::Reserved)?;
        let mut made = Self { file, number: 0, durable: 1 };
        made.write(state, true)?;
        // Under its name it is whole or not there at all.
        disk.rename(&new, &path)?;
        disk.sync_dir(&root.join("raft"))?;
        disk.sync_dir(root)?;
        made.file = disk.open(&path)?;
        Ok(made)
    }

    /// Writes the state; `durably` if something is promised with it.
    pub fn write(&mut self, state: &State, durably: bool) -> DiskResult<()> {
        let slot = 1 - self.durable;
        self.file.write_at(&state.encode(self.number + 1), slot * SLOT)?;
        self.number += 1;
        if durably {
            self.file.sync()?;
            self.durable = slot;
        }
        Ok(())
    }
}
