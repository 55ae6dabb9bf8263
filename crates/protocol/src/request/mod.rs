//! The header of every request code and of its answer, one file per family.
//!
//! A header struct has the name of its [`RequestCode`]; its answer's header has the same with
//! `Response` behind. Required fields are plain, the others `Option`. Offsets are `i64` and ids
//! `i32` as on the wire: whoever handles a request checks their range. The optional fields that
//! any client header may carry beside its own (`bname`, `ns`, `nsd`, `lo`, `oway`) are not
//! declared and so ignored.

mod auth;
mod broker_registration;
mod client;
mod config;
mod controller;
mod group;
mod ha;
mod kv;
mod lite;
mod lock;
mod maintenance;
mod offset;
mod pop;
mod pull;
mod query;
mod route;
mod send;
mod stats;
mod topic;
mod transaction;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::code::RequestCode;

pub use auth::*;
pub use broker_registration::*;
pub use client::*;
pub use config::*;
pub use controller::*;
pub use group::*;
pub use ha::*;
pub use kv::*;
pub use lite::*;
pub use lock::*;
pub use maintenance::*;
pub use offset::*;
pub use pop::*;
pub use pull::*;
pub use query::*;
pub use route::*;
pub use send::*;
pub use stats::*;
pub use topic::*;
pub use transaction::*;

/// A request header; its code and its answer's header come with the type.
pub trait Request: Serialize + DeserializeOwned {
    const CODE: RequestCode;
    /// `()` where the answer has no header fields.
    type Response: Serialize + DeserializeOwned;
}

/// Declares header structs: camelCase on the wire, one `Request` for each `request`. With a
/// parameter for its texts a header can also be read where it stands.
macro_rules! headers {
    ($(
        $(#[$meta:meta])*
        $kind:ident $name:ident $(<$text:ident = $owned:ty>)? $(=> $response:ty)? {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
    )+) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(rename_all = "camelCase")]
            pub struct $name $(<$text = $owned>)? {
                $($(#[$field_meta])* pub $field: $type,)*
            }

            headers!(@$kind $name $($response)?);
        )+
    };
    (@request $name:ident $response:ty) => {
        impl crate::request::Request for $name {
            const CODE: crate::code::RequestCode = crate::code::RequestCode::$name;
            type Response = $response;
        }
    };
    (@response $name:ident) => {};
}
use headers;
