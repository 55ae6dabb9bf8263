//! The JSON files of the store's `config/` folder.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use skua_protocol::json::JsonError;

use crate::swap_map::lock;

/// Where configuration files lie; a written file replaces the old one as a whole.
pub trait Files: Send + Sync + 'static {
    /// The file's content; `None` if there is none.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// Its content before the last change.
    fn read_backup(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()>;
    /// For what holds secrets: readable by its owner alone.
    fn write_private(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.write(name, content)
    }
}

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write config/{name}: {source}")]
pub struct SaveError {
    name: &'static str,
    source: io::Error,
}

/// A file is there but cannot be made sense of, and its backup neither.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read config/{name}: {source}")]
    Io { name: &'static str, source: io::Error },
    #[error("config/{name} is broken, and its backup is no help: {source}")]
    Json { name: &'static str, source: JsonError },
}

/// One file that is written whole whenever its table changes.
pub struct ConfigFile {
    files: Arc<dyn Files>,
    name: &'static str,
    private: bool,
    asked: AtomicU64,
    /// Which askings the file on disk has.
    written: Mutex<u64>,
}

impl ConfigFile {
    pub fn new(files: Arc<dyn Files>, name: &'static str) -> Self {
        Self { files, name, private: false, asked: AtomicU64::new(0), written: Mutex::new(0) }
    }

    /// One that holds secrets.
    pub fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// The file's content; that of its backup if the file is broken (Java:
    /// `ConfigManager.load`). `None` if there is neither.
    pub fn load<T>(
        &self,
        parse: impl Fn(&[u8]) -> Result<T, JsonError>,
    ) -> Result<Option<T>, LoadError> {
        let name = self.name;
        let io = |source| LoadError::Io { name, source };
        let Some(content) = self.files.read(name).map_err(io)? else { return Ok(None) };
        let source = match parse(&content) {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let backup = self.files.read_backup(name).map_err(io)?;
        match backup.and_then(|content| parse(&content).ok()) {
            Some(value) => {
                tracing::warn!(name, error = %source, "broken file, its backup is used");
                Ok(Some(value))
            }
            None => Err(LoadError::Json { name, source }),
        }
    }

    /// Returns when the file holds a content made after this call began. Of several callers at a
    /// time one writes for all that came before it made the content.
    pub fn save(&self, content: impl FnOnce() -> Vec<u8>) -> Result<(), SaveError> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut written = lock(&self.written);
        if *written >= mine {
            return Ok(());
        }
        let with = self.asked.load(Ordering::SeqCst);
        let write = if self.private { Files::write_private } else { Files::write };
        write(&*self.files, self.name, &content())
            .map_err(|source| SaveError { name: self.name, source })?;
        *written = with;
        Ok(())
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::HashMap;

    use skua_protocol::json;

    use super::*;

    /// Files in memory, each with a backup.
    #[derive(Default)]
    pub struct MemoryFiles(Mutex<HashMap<String, Vec<Vec<u8>>>>);

    impl Files for MemoryFiles {
        fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
            Ok(lock(&self.0).get(name).and_then(|versions| versions.last().cloned()))
        }

        fn read_backup(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
            let files = lock(&self.0);
            Ok(files.get(name).and_then(|versions| versions.iter().nth_back(1).cloned()))
        }

        fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
            lock(&self.0).entry(name.to_owned()).or_default().push(content.to_vec());
            Ok(())
        }
    }

    fn number(content: &[u8]) -> Result<u32, JsonError> {
        json::from_slice(content)
    }

    #[test]
    fn a_saved_file_reads_back() {
        let file = ConfigFile::new(Arc::new(MemoryFiles::default()), "a.json");
        assert_eq!(file.load(number).expect("nothing there"), None);
        file.save(|| b"1".to_vec()).expect("memory");
        file.save(|| b"2".to_vec()).expect("memory");
        assert_eq!(file.load(number).expect("a number"), Some(2));
    }

    #[test]
    fn a_broken_file_gives_way_to_its_backup() {
        let file = ConfigFile::new(Arc::new(MemoryFiles::default()), "a.json");
        file.save(|| b"broken".to_vec()).expect("memory");
        assert!(file.load(number).is_err());
        file.save(|| b"2".to_vec()).expect("memory");
        file.save(|| b"broken".to_vec()).expect("memory");
        assert_eq!(file.load(number).expect("the backup"), Some(2));
    }
}
