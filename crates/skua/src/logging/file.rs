//! A log file with a bound: at its size it becomes `NAME.1`, `NAME.1` becomes `NAME.2`, and what
//! is beyond the number of files is deleted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub struct RotatedFile {
    path: PathBuf,
    size_max: u64,
    files: u64,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
}

impl Open {
    fn append(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl RotatedFile {
    /// Goes on where an earlier process ended.
    pub fn open(path: &Path, size_max: u64, files: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let open = Mutex::new(Open::append(path)?);
        Ok(Self { path: path.to_owned(), size_max, files, open })
    }

    pub fn reopen(&self) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = Open::append(&self.path)?;
        Ok(())
    }

    fn beside(&self, number: u64) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        name.into()
    }

    fn rotate(&self, open: &mut Open) -> io::Result<()> {
        let last = self.files - 1;
        match fs::remove_file(self.beside(last)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        for number in (0..last).rev() {
            match fs::rename(self.beside(number), self.beside(number + 1)) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                _ => {}
            }
        }
        *open = Open::append(&self.path)?;
        Ok(())
    }
}

/// A line comes in one call and stays in one file.
impl Write for &RotatedFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.size > 0 && open.size + line.len() as u64 > self.size_max {
            // A full folder or a lost permission must not silence the log: it goes on growing.
            let _ = self.rotate(&mut open);
        }
        open.file.write_all(line)?;
        open.size += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(folder: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                (name, fs::read_to_string(&path).expect("text"))
            })
            .collect();
        files.sort();
        files
    }

    fn named(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_deleted() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = RotatedFile::open(&folder.path().join("l"), 8, 3).expect("writable");
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
            (&log).write_all(line.as_bytes()).expect("written");
        }
        let expected = named(&[("l", "five\n"), ("l.1", "four\n"), ("l.2", "three\n")]);
        assert_eq!(content(folder.path()), expected);
        drop(log);
        let again = RotatedFile::open(&folder.path().join("l"), 10, 3).expect("writable");
        (&again).write_all(b"six\n").expect("written");
        assert_eq!(content(folder.path())[0].1, "five\nsix\n");
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("logs/l");
        let log = RotatedFile::open(&path, 1000, 1).expect("writable");
        (&log).write_all(b"one\n").expect("written");
        fs::rename(&path, folder.path().join("moved")).expect("moved");
        log.reopen().expect("opened");
        (&log).write_all(b"two\n").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("text"), "two\n");
    }

    #[test]
    fn one_file_alone_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = RotatedFile::open(&folder.path().join("l"), 4, 1).expect("writable");
        (&log).write_all(b"one\n").expect("written");
        (&log).write_all(b"two\n").expect("written");
        assert_eq!(content(folder.path()), named(&[("l", "two\n")]));
    }
}
