//! Who may do what: RocketMQ's users and access rules (ACL 2.0) and the access control lists of
//! RocketMQ 4 (ACL 1.0).
//!
//! Facts of a request in, a decision out: no socket, no file, no clock. [`Door`] decides for one
//! role; [`Book`] is what administrators change by request, [`plain::Rules`] what stands in
//! `plain_acl.yml`. What a request wants is told in [`access`], and nowhere else.

#[macro_use]
mod named;

pub mod access;
mod book;
mod credentials;
mod door;
mod ip;
pub mod plain;
mod resource;
mod sign;

pub use book::{Book, BookError, Decision, Entry, Policy, PolicyType, User, UserStatus, UserType};
pub use credentials::{Credentials, CredentialsError};
pub use door::{Check, Denials, Door, DoorRules, Refusal, WhiteList};
pub use ip::{Network, NetworkError};
pub use resource::{Action, Pattern, Resource, ResourceType};
pub use sign::{ACCESS_KEY, SIGNATURE, SigningKey};
