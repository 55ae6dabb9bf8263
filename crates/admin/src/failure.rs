//! Why a command could not do what it was asked: one line, with the cause and the address.

use skua_protocol::code::ResponseCode;

use crate::mqadmin::options::UsageError;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Usage(#[from] UsageError),
    #[error("option -{option}: `{given}` is not {accepted}")]
    BadValue { option: &'static str, given: String, accepted: &'static str },
    #[error(
        "no name server address: give -n HOST:PORT[;HOST:PORT] or set the environment variable NAMESRV_ADDR"
    )]
    NoNameServer,
    /// `cause` names the address already.
    #[error("{cause}")]
    Call { addr: String, cause: String },
    #[error("CODE: {code}  DESC: {} {}: {addr}", one_line(.remark), .role.label())]
    Refused { code: i32, remark: String, role: Role, addr: String },
    #[error("answer of {addr} to {request} cannot be read: {cause}")]
    Unreadable { addr: String, request: &'static str, cause: String },
    #[error("{0}")]
    Other(String),
    #[error("{path}: {cause}")]
    File { path: String, cause: std::io::Error },
    #[error("{path}:{line}: {cause}")]
    Setting { path: String, line: usize, cause: String },
    #[error("not available: {reason}")]
    NotServed { reason: &'static str },
    #[error("cannot write the answer: {0}")]
    Output(std::io::Error),
}

/// Which kind of server said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Broker,
    NameServer,
    Controller,
}

impl Role {
    fn label(self) -> &'static str {
        match self {
            Self::Broker => "BROKER",
            Self::NameServer => "NAMESRV",
            Self::Controller => "CONTROLLER",
        }
    }
}

impl Failure {
    pub fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }

    /// Whether a server answered with `code`.
    pub fn is_code(&self, wanted: ResponseCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted as i32)
    }

    /// 2 when the command line was wrong or asks for what there is not, 1 when the work failed.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::BadValue { .. }
            | Self::NoNameServer
            | Self::Setting { .. }
            | Self::NotServed { .. } => 2,
            _ => 1,
        }
    }
}

/// Java's remarks carry hints to a web page and stack traces in further lines.
fn one_line(remark: &str) -> &str {
    remark.lines().next().unwrap_or("").trim_end()
}
