//! A disk that nothing is written to.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::disk::{
    Allocation, Disk, DiskError, DiskFile, DiskLock, DiskResult, FileSystem, Listed, Space,
    WindowWriter, WriteBy,
};

#[derive(Debug)]
pub(super) struct ReadOnly(pub Arc<dyn Disk>);

fn refused<T>(call: &'static str, path: &Path) -> DiskResult<T> {
    Err(DiskError::new(call, path, io::Error::from(io::ErrorKind::ReadOnlyFilesystem)))
}

impl Disk for ReadOnly {
    fn open(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        Ok(Arc::new(ReadOnlyFile(self.0.open_read(path)?)))
    }

    fn open_read(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        self.open(path)
    }

    fn create(&self, path: &Path, _: u64, _: Allocation) -> DiskResult<Arc<dyn DiskFile>> {
        refused("create", path)
    }

    fn write_whole(&self, path: &Path, _: &[u8]) -> DiskResult<()> {
        refused("write", path)
    }

    fn read_whole(&self, path: &Path) -> DiskResult<Option<Vec<u8>>> {
        self.0.read_whole(path)
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<Listed>> {
        self.0.list(dir)
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        refused("delete", path)
    }

    fn remove_dir(&self, dir: &Path) -> DiskResult<()> {
        refused("delete", dir)
    }

    fn rename(&self, from: &Path, _: &Path) -> DiskResult<()> {
        refused("rename", from)
    }

    fn file_system(&self, _: &Path) -> DiskResult<Option<Arc<dyn FileSystem>>> {
        Ok(None)
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        refused("sync", dir)
    }

    fn space(&self, path: &Path) -> DiskResult<Space> {
        self.0.space(path)
    }

    fn lock(&self, path: &Path) -> DiskResult<Option<Box<dyn DiskLock>>> {
        refused("lock", path)
    }
}

#[derive(Debug)]
struct ReadOnlyFile(Arc<dyn DiskFile>);

impl DiskFile for ReadOnlyFile {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn set_len(&self, _: u64) -> DiskResult<()> {
        refused("set the length of", self.path())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> DiskResult<()> {
        self.0.read_at(into, offset)
    }

    fn read_cached(&self, into: &mut [u8], offset: u64) -> DiskResult<()> {
        self.0.read_cached(into, offset)
    }

    fn will_need(&self, range: Range<u64>) {
        self.0.will_need(range);
    }

    fn write_at(&self, _: &[u8], _: u64) -> DiskResult<()> {
        refused("write", self.path())
    }

    fn data(&self, from: u64) -> DiskResult<Vec<Range<u64>>> {
        self.0.data(from)
    }

    fn zero(&self, _: Range<u64>, _: Allocation) -> DiskResult<()> {
        refused("zero", self.path())
    }

    fn window(&self, _: Range<u64>, _: usize, _: WriteBy) -> DiskResult<WindowWriter> {
        refused("map a window of", self.path())
    }

    fn sync(&self) -> DiskResult<()> {
        refused("sync", self.path())
    }
}
