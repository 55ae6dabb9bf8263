//! An open file of the simulated disk.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{SimDisk, State};
use crate::disk::{
    Allocation, DiskError, DiskFile, DiskResult, WindowWriter, WindowsInUse, WriteBy, lock,
};

#[derive(Debug)]
pub(super) struct SimFile {
    pub disk: SimDisk,
    pub boot: u64,
    pub path: PathBuf,
    pub inode: usize,
    pub windows: WindowsInUse,
}

impl SimFile {
    fn run<T>(
        &self,
        call: &'static str,
        run: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> DiskResult<T> {
        let mut state = lock(&self.disk.state);
        let result = state.alive(self.boot).and_then(|()| run(&mut state));
        result.map_err(|e| DiskError::new(call, &self.path, e))
    }
}

impl DiskFile for SimFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        lock(&self.disk.state).inodes[self.inode].content.len() as u64
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        self.run("set the length of", |state| {
            if state.crashes_now() {
                return Err(io::Error::other("machine is down"));
            }
            state.inodes[self.inode].content.resize(len as usize, 0);
            Ok(())
        })
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> DiskResult<()> {
        self.run("read", |state| {
            let content = &state.inodes[self.inode].content;
            let from = content.get(offset as usize..offset as usize + into.len());
            into.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    /// Every other stretch of 4 KiB is in memory.
    fn read_cached(&self, into: &mut [u8], offset: u64) -> DiskResult<()> {
        if self.run("read", |state| Ok(state.cold))? {
            return Err(DiskError::new("read", &self.path, io::ErrorKind::WouldBlock));
        }
        let last = offset + into.len().saturating_sub(1) as u64;
        if (offset / 4096..=last / 4096).any(|page| page % 2 == 1) {
            return Err(DiskError::new("read", &self.path, io::ErrorKind::WouldBlock));
        }
        self.read_at(into, offset)
    }

    fn will_need(&self, _: Range<u64>) {}

    fn write_at(&self, bytes: &[u8], offset: u64) -> DiskResult<()> {
        self.run("write", |state| state.write(self.inode, bytes, offset))
    }

    fn data(&self, from: u64) -> DiskResult<Vec<Range<u64>>> {
        self.run("read", |state| {
            let rest = state.inodes[self.inode].content.get(from as usize..).unwrap_or_default();
            let first = rest.iter().position(|byte| *byte != 0);
            Ok(first
                .map(|first| from + first as u64..from + rest.len() as u64)
                .into_iter()
                .collect())
        })
    }

    fn zero(&self, range: Range<u64>, _: Allocation) -> DiskResult<()> {
        let zeros = vec![0; (range.end.saturating_sub(range.start)) as usize];
        self.run("zero", |state| state.write(self.inode, &zeros, range.start))
    }

    fn window(&self, range: Range<u64>, published: usize, by: WriteBy) -> DiskResult<WindowWriter> {
        self.windows.add(&self.path, range.clone(), || {
            let content = self.run("map a window of", |state| {
                let content = &state.inodes[self.inode].content;
                let part = content.get(range.start as usize..range.end as usize);
                Ok(part.ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
            })?;
            let (disk, boot, inode) = (self.disk.clone(), self.boot, self.inode);
            let path = self.path.clone();
            let hook = Box::new(move |at: usize, bytes: &[u8]| {
                let mut state = lock(&disk.state);
                let (alive, at) = (state.alive(boot), range.start + at as u64);
                match by {
                    WriteBy::Mapping => {
                        // A store through a mapping does not return; after the crash nobody is
                        // there.
                        if alive.is_ok() {
                            let _ = state.store(inode, bytes, at);
                        }
                        Ok(())
                    }
                    WriteBy::Call => {
                        let written = alive.and_then(|()| state.write(inode, bytes, at));
                        written.map_err(|e| DiskError::new("write", &path, e))
                    }
                }
            });
            Ok(WindowWriter::on_heap(content.into(), published, hook))
        })
    }

    fn sync(&self) -> DiskResult<()> {
        self.run("sync", |state| state.sync(self.inode))
    }
}
