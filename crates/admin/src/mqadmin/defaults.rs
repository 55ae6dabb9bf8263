//! The file of defaults: what would otherwise be typed with every command.
//!
//! `SKUA_MQADMIN_CONF` names it; else it is `$XDG_CONFIG_HOME/skua/mqadmin.conf` (or below
//! `~/.config`), else `/etc/skua/mqadmin.conf`. Lines are `key=value`, `#` begins a comment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::Failure;

const SYSTEM: &str = "/etc/skua/mqadmin.conf";
const KEYS: &str = "namesrvAddr, timeoutSeconds or json";
/// A wait longer than an hour is a slip of the hand.
const TIMEOUT_MAX: f64 = 3600.0;

#[derive(Debug, Default, PartialEq)]
pub struct Defaults {
    pub name_servers: Option<String>,
    pub timeout: Option<Duration>,
    pub json: bool,
}

/// The file to read, if any is there. One that is named must be there.
pub fn place() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = variable("SKUA_MQADMIN_CONF") {
        return Some(named.into());
    }
    let own = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")))
        .map(|folder| folder.join("skua/mqadmin.conf"));
    own.into_iter().chain([PathBuf::from(SYSTEM)]).find(|path| path.is_file())
}

/// A time limit as people write it, `5` or `0.5`.
pub fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    (seconds > 0.0 && seconds <= TIMEOUT_MAX).then(|| Duration::from_secs_f64(seconds))
}

/// As [`seconds`], for clap.
pub fn seconds_or_why(text: &str) -> Result<Duration, String> {
    seconds(text).ok_or_else(|| "not a number of seconds above 0 and up to 3600".to_owned())
}

impl Defaults {
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|cause| Failure::File { path: shown.clone(), cause })?;
        Self::parse(&text).map_err(|(line, cause)| Failure::Setting { path: shown, line, cause })
    }

    /// The line that is wrong is told with its number.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut defaults = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = index + 1;
            let (key, value) = line
                .split_once('=')
                .map(|(key, value)| (key.trim(), value.trim()))
                .ok_or_else(|| (number, format!("`{line}` is not key=value")))?;
            match key {
                "namesrvAddr" => defaults.name_servers = Some(value.to_owned()),
                "timeoutSeconds" => {
                    let timeout = seconds(value);
                    defaults.timeout = Some(timeout.ok_or_else(|| {
                        (number, format!("`{value}` is not a number of seconds up to 3600"))
                    })?);
                }
                "json" => {
                    defaults.json = value
                        .parse()
                        .map_err(|_| (number, format!("`{value}` is not true or false")))?;
                }
                _ => return Err((number, format!("`{key}` is not {KEYS}"))),
            }
        }
        Ok(defaults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = "# ours\nnamesrvAddr = a:1;b:2\n\ntimeoutSeconds=0.5\njson=true\n";
        let expected = Defaults {
            name_servers: Some("a:1;b:2".into()),
            timeout: Some(Duration::from_millis(500)),
            json: true,
        };
        assert_eq!(Defaults::parse(text), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = |text: &str| Defaults::parse(text).unwrap_err();
        assert_eq!(wrong("\nnamesrv=a").0, 2);
        assert!(wrong("namesrv=a").1.contains("namesrvAddr"));
        assert_eq!(wrong("namesrvAddr").1, "`namesrvAddr` is not key=value");
        for bad in ["0", "-1", "x", "1e9", "NaN"] {
            assert!(wrong(&format!("timeoutSeconds={bad}")).1.contains(bad));
        }
        assert!(wrong("json=yes").1.contains("yes"));
    }
}
