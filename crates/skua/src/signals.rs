//! SIGTERM and SIGINT: the first ends the server cleanly, the second at once. SIGHUP: the log file
//! is opened anew and `logLevel` read again.

use std::path::PathBuf;

use skua_config::Properties;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next of the two; says its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// From now on the next signal ends the process without further ado.
    pub fn exit_on_next(mut self) {
        tokio::spawn(async move {
            let name = self.next().await;
            tracing::warn!(signal = name, "second signal: ending at once, without flushing");
            std::process::exit(if name == "SIGINT" { 130 } else { 143 });
        });
    }
}

/// From now on SIGHUP, which would end the process, is for the log.
pub fn on_hangup(config_file: Option<PathBuf>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            crate::logging::reopen();
            let Some(path) = &config_file else { continue };
            match std::fs::read(path) {
                Ok(bytes) => {
                    let properties = Properties::parse(&bytes, &path.to_string_lossy());
                    if let Some(levels) = properties.get("logLevel") {
                        crate::logging::set_levels(levels.trim());
                    }
                }
                Err(cause) => {
                    tracing::error!(%cause, file = %path.display(), "cannot read the configuration");
                }
            }
        }
    });
    Ok(())
}
