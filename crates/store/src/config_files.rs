//! The JSON tables under `config/`: each is replaced whole, with the content before in `.bak`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::disk::{Disk, DiskResult, lock};

/// Reads and writes the files of `config/`. A crash leaves the old content or the new.
#[derive(Clone, Debug)]
pub struct ConfigFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// One write at a time: two would share the temporary name.
    writing: Arc<Mutex<()>>,
}

impl ConfigFiles {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self { disk, dir, writing: Arc::default() }
    }

    /// The content of `name`, or of its backup if it is missing or empty (Java:
    /// `ConfigManager.load`); `None` if there is neither.
    ///
    /// Who cannot make sense of the content should try [`read_backup`](Self::read_backup).
    pub fn read(&self, name: &str) -> DiskResult<Option<Vec<u8>>> {
        match self.disk.read_whole(&self.dir.join(name))? {
            Some(content) if !content.is_empty() => Ok(Some(content)),
            _ => self.read_backup(name),
        }
    }

    /// The content of `name` before its last change.
    pub fn read_backup(&self, name: &str) -> DiskResult<Option<Vec<u8>>> {
        let content = self.disk.read_whole(&self.dir.join(format!("{name}.bak")))?;
        Ok(content.filter(|content| !content.is_empty()))
    }

    /// Replaces the content of `name`; what was there becomes the backup.
    pub fn write(&self, name: &str, content: &[u8]) -> DiskResult<()> {
        self.replace(name, |new| self.disk.write_whole(new, content))
    }

    /// As [`write`](Self::write), for what holds secrets: readable by its owner alone.
    pub fn write_private(&self, name: &str, content: &[u8]) -> DiskResult<()> {
        self.replace(name, |new| self.disk.write_private(new, content))
    }

    fn replace(&self, name: &str, write: impl FnOnce(&Path) -> DiskResult<()>) -> DiskResult<()> {
        let _writing = lock(&self.writing);
        let path = self.dir.join(name);
        let new = self.dir.join(format!("{name}.tmp"));
        write(&new)?;
        // An empty file is what a crash of Java leaves: its backup is worth more.
        if self.disk.read_whole(&path)?.is_some_and(|content| !content.is_empty()) {
            self.disk.rename(&path, &self.dir.join(format!("{name}.bak")))?;
        }
        self.disk.rename(&new, &path)?;
        self.disk.sync_dir(&self.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Crash, Faults, SimDisk};

    fn files(disk: &SimDisk) -> ConfigFiles {
        ConfigFiles::new(Arc::new(disk.clone()), PathBuf::from("/store/config"))
    }

    #[test]
    fn the_content_before_is_the_backup() {
        let disk = SimDisk::new(1);
        let files = files(&disk);
        assert_eq!(files.read("topics.json").expect("nothing fails"), None);
        files.write("topics.json", b"one").expect("nothing fails");
        files.write("topics.json", b"two").expect("nothing fails");
        assert_eq!(files.read("topics.json").expect("nothing fails"), Some(b"two".to_vec()));
        assert_eq!(files.read_backup("topics.json").expect("nothing fails"), Some(b"one".to_vec()));
    }

    #[test]
    fn a_missing_or_empty_file_is_read_from_its_backup_and_does_not_replace_it() {
        let disk = SimDisk::new(1);
        let files = files(&disk);
        let dir = Path::new("/store/config");
        disk.write_whole(&dir.join("a.json.bak"), b"good").expect("nothing fails");
        disk.write_whole(&dir.join("a.json"), b"").expect("nothing fails");
        assert_eq!(files.read("a.json").expect("nothing fails"), Some(b"good".to_vec()));
        files.write("a.json", b"new").expect("nothing fails");
        assert_eq!(files.read_backup("a.json").expect("nothing fails"), Some(b"good".to_vec()));
    }

    #[test]
    fn every_crash_leaves_the_old_content_or_the_new() {
        for seed in 0..400 {
            let disk = SimDisk::new(seed);
            files(&disk).write("a.json", b"zero").expect("nothing fails");
            files(&disk).write("a.json", b"old").expect("nothing fails");
            disk.set_faults(Faults { crash_in: Some(seed % 8), ..Faults::default() });
            let written = files(&disk).write("a.json", b"new").is_ok() && !disk.is_down();
            disk.reboot(if seed % 3 == 0 { Crash::Process } else { Crash::Power });
            let read = files(&disk).read("a.json").expect("nothing fails").expect("it is there");
            if written {
                assert_eq!(read, b"new", "seed {seed}");
            } else {
                assert!(read == b"old" || read == b"new", "seed {seed}: {read:?}");
            }
        }
    }
}
