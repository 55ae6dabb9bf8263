//! What defaults depend on; asked of the machine by the binary, given in by it and by tests.

use std::fmt;
use std::sync::Arc;

/// Value of a variable, if it is set.
pub type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

#[derive(Clone)]
pub struct Environment {
    /// The default of `brokerName`.
    pub host_name: String,
    /// The address to advertise unless `brokerIP1` says otherwise.
    pub ip: String,
    /// The folder under which RocketMQ's default paths lie.
    pub home: String,
    /// Processors; only what is listed for thread counts depends on them.
    pub cores: i32,
    /// `ROCKETMQ_HOME`, empty if unset.
    pub rocketmq_home: String,
    /// `NAMESRV_ADDR`, empty if unset.
    pub namesrv_addr: String,
    /// Looks up `${NAME}` and `$HOME` in values.
    pub lookup: Arc<Lookup>,
}

impl Environment {
    pub(crate) fn under_home(&self, path: &str) -> String {
        format!("{}/{path}", self.home.trim_end_matches('/'))
    }

    /// `ROCKETMQ_HOME`, if it is set.
    pub(crate) fn installation(&self) -> Option<String> {
        (!self.rocketmq_home.is_empty()).then(|| self.rocketmq_home.clone())
    }

    /// `$HOME`, `${NAME}` and Java's `${user.home}` replaced; an unknown name stays as it is.
    pub fn expand(&self, text: &str) -> String {
        self.expand_noting(text, |_| ())
    }

    /// [`expand`](Self::expand) that tells of each `${NAME}` that is not known.
    pub(crate) fn expand_noting(&self, text: &str, mut unknown: impl FnMut(&str)) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let tail = &rest[at..];
            let (name, len) = match tail.strip_prefix("${").and_then(|t| t.split_once('}')) {
                Some((name, _)) => (name, name.len() + 3),
                None if is_home(tail) => ("HOME", "$HOME".len()),
                None => ("", 1),
            };
            let value = match name {
                "" => None,
                "user.home" | "HOME" => Some(self.home.clone()),
                name => (self.lookup)(name),
            };
            match value {
                Some(value) => out.push_str(&value),
                None => {
                    if !name.is_empty() {
                        unknown(name);
                    }
                    out.push_str(&tail[..len]);
                }
            }
            rest = &tail[len..];
        }
        out.push_str(rest);
        out
    }
}

fn is_home(tail: &str) -> bool {
    tail.strip_prefix("$HOME")
        .is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}

/// For tests of this and other crates: a machine with 4 cores named `host` at 10.0.0.1.
impl Default for Environment {
    fn default() -> Self {
        Self {
            host_name: "host".into(),
            ip: "10.0.0.1".into(),
            home: "/root".into(),
            cores: 4,
            rocketmq_home: String::new(),
            namesrv_addr: String::new(),
            lookup: Arc::new(|_| None),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("host_name", &self.host_name)
            .field("ip", &self.ip)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}
