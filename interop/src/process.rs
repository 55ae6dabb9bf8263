use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait::wait_until;

/// A command whose process the kernel kills when this one dies, however it dies; `Drop` alone would
/// leave servers behind when a test run is itself killed.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let setpriv = "/usr/bin/setpriv";
    if !Path::new(setpriv).exists() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A child process whose output goes to a log; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both outputs appended to `log`.
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        let other = file.try_clone().expect("a second handle of the log");
        command.stdin(Stdio::null()).stdout(file).stderr(other);
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Self { child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// As `kill -9`, and waits until the process is gone.
    pub fn kill(&mut self) {
        // An error means that it has ended by itself: `wait` tells.
        let _ = self.child.kill();
        self.child.wait().expect("a child of this process");
    }

    /// As `kill -STOP`, and waits until every thread stands still; its connections stay.
    pub fn freeze(&self) {
        self.signal("-STOP");
        // The signal is on its way when `kill` returns: a thread that is running goes on till then.
        // A thread that waits for a busy disk stands still only after that.
        wait_until("all threads to stand still", Duration::from_secs(120), || {
            let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).ok()?;
            let stands = |task: fs::DirEntry| {
                let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                // The state follows the name, which stands in parentheses.
                stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('T'))
            };
            tasks.flatten().all(stands).then_some(())
        });
    }

    /// As `kill -CONT`: it goes on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|s| s.success()), "kill {signal} {}", self.id());
    }

    /// As `kill`: asks the process to end.
    pub fn terminate(&self) {
        let status = Command::new("kill").arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|s| s.success()), "kill {}", self.id());
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("end of process {} ({})", self.id(), self.log.display());
        wait_until(&what, limit, || self.child.try_wait().expect("a child of this process"))
    }

    /// Panics with its output if the process has ended.
    pub fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child of this process") {
            panic!("{} ended with {status}:\n{}", self.log.display(), self.output());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
