//! What a client is told when a request fails: the one place where errors meet response codes.
//!
//! The texts are Java's wherever Java has one, since clients and tools show them and some match.

use skua_config::ConfigError;
use skua_protocol::body::RegisterBodyError;
use skua_protocol::header::DecodeFieldsError;
use skua_protocol::json::JsonError;
use skua_protocol::{Command, ResponseCode};

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error(" request type {0} not supported")]
    NotSupported(i32),
    #[error(transparent)]
    Header(#[from] DecodeFieldsError),
    #[error("Failed to decode {what}: {error}")]
    Body { what: &'static str, error: JsonError },
    #[error("Failed to decode RegisterBrokerBody: {0}")]
    RegisterBody(#[from] RegisterBodyError),
    #[error("crc32 not match")]
    BodyChecksum,
    #[error("register broker failed")]
    Unregistrable,
    #[error("name server not ready")]
    NotReady,
    #[error(
        "No topic route info in name server for the topic: {0}\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
    )]
    TopicNotExist(String),
    #[error("No config item, Namespace: {namespace} Key: {key}")]
    NoKvKey { namespace: String, key: String },
    #[error("No config item, Namespace: {0}")]
    NoKvNamespace(String),
    #[error("disable")]
    ListDisabled,
    #[error("Can not update config in black list.")]
    BlackListed,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot write {path}: {error}")]
    Write { path: String, error: std::io::Error },
}

impl RequestError {
    fn code(&self) -> ResponseCode {
        match self {
            Self::NotSupported(_) => ResponseCode::RequestCodeNotSupported,
            Self::TopicNotExist(_) => ResponseCode::TopicNotExist,
            Self::NoKvKey { .. } | Self::NoKvNamespace(_) => ResponseCode::QueryNotFound,
            Self::BlackListed => ResponseCode::NoPermission,
            Self::Header(_)
            | Self::Body { .. }
            | Self::RegisterBody(_)
            | Self::BodyChecksum
            | Self::Unregistrable
            | Self::NotReady
            | Self::ListDisabled
            | Self::Config(_)
            | Self::Write { .. } => ResponseCode::SystemError,
        }
    }

    pub fn answer(&self) -> Command {
        Command::error(self.code(), self.to_string())
    }
}
