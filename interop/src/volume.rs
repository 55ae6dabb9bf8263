use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct Volume {
    dir: PathBuf,
}

impl Volume {
    /// `None` where none may be mounted: that takes root.
    pub fn mount(dir: &Path, size: usize) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "skua-volume"]).arg(dir);
        mount.status().is_ok_and(|status| status.success()).then(|| Self { dir: dir.to_owned() })
    }

    pub fn resize(&self, size: usize) {
        let options = format!("remount,size={size}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.dir).status();
        assert!(status.is_ok_and(|status| status.success()), "{options}");
    }

    /// Leaves at most this much space; true once it is so.
    pub fn squeeze(&self, left: usize) -> bool {
        let mut df = Command::new("df");
        let output = df.args(["--output=used", "-B1"]).arg(&self.dir).output().expect("df runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let used: usize = text.lines().nth(1).and_then(|n| n.trim().parse().ok()).expect("bytes");
        let options = format!("remount,size={}", used + left);
        // More may be in use by now than it may become.
        let status = Command::new("mount").args(["-o", &options]).arg(&self.dir).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: who uses it may be killed only after this.
        let _ = Command::new("umount").arg("-l").arg(&self.dir).status();
    }
}
