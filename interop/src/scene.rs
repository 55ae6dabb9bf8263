use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::{panic, thread};

use tempfile::TempDir;

/// How much of each log is shown when a test fails.
const TAIL_LINES: usize = 40;

/// The folder of one test. Removed at the end; when the test fails it is kept, and the end of every
/// log in it is printed.
#[derive(Debug)]
pub struct Scene {
    dir: Option<TempDir>,
}

impl Scene {
    #[expect(clippy::new_without_default, reason = "makes a folder: not a default value")]
    pub fn new() -> Self {
        note_panics();
        let dir = tempfile::Builder::new().prefix("skua-interop-").tempdir();
        Self { dir: Some(dir.expect("a temporary folder")) }
    }

    pub fn path(&self) -> &Path {
        self.dir.as_ref().expect("taken only when dropped").path()
    }

    /// A folder of this name inside, made if need be.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.path().join(name);
        fs::create_dir_all(&folder).expect("a folder in the scene");
        folder
    }

    /// A path of this name inside that nothing has yet: numbered when taken.
    pub fn unused(&self, name: &str) -> PathBuf {
        let candidates = (0..).map(|n| match n {
            0 => self.path().join(name),
            n => self.path().join(format!("{name}.{n}")),
        });
        candidates.into_iter().find(|p| !p.exists()).expect("the numbers do not end")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            let dir = dir.keep();
            show_logs(&dir);
            eprintln!("kept: {}", dir.display());
            // Once more, since what is before the logs is the first to be cut away.
            PANIC.with_borrow(|told| eprintln!("{told}"));
        }
    }
}

thread_local! {
    /// What this thread's last panic said, and where.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

fn note_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANIC.with_borrow_mut(|told| *told = info.to_string());
            before(info);
        }));
    });
}

fn show_logs(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && path.file_name().is_some_and(|n| n != "store") {
            show_logs(&path);
        } else if path.extension().is_some_and(|e| e == "log") {
            let text = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            eprintln!("---- {} ({} lines)", path.display(), lines.len());
            for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                eprintln!("{line}");
            }
        }
    }
}
