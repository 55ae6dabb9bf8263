//! The JSON bodies of requests and answers, one file per family.
//!
//! Read with [`crate::json::from_slice`], written with [`crate::json::to_vec`]. Members stand in
//! alphabetical order, as fastjson writes them. What is missing takes Java's default, what is
//! unknown is ignored. Types with maps keyed by queue have a `to_json` in place of `Serialize`.

mod auth;
mod client;
mod group;
mod ha;
mod lite;
mod offset;
mod pop;
mod queue;
mod register;
mod route;
mod running;
mod static_topic;
mod stats;
mod topic;
mod version;

pub use auth::*;
pub use client::*;
pub use group::*;
pub use ha::*;
pub use lite::*;
pub use offset::*;
pub use pop::*;
pub use queue::*;
pub use register::*;
pub use route::*;
pub use running::*;
pub use static_topic::*;
pub use stats::*;
pub use topic::*;
pub use version::*;

/// Declares an enum with Java's names; reading ignores case, as clients of other languages vary.
macro_rules! text_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Java's name of the constant.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The constant at this place of Java's declaration: the C++ client writes these.
            pub fn from_ordinal(ordinal: usize) -> Option<Self> {
                [$(Self::$variant),+].get(ordinal).copied()
            }

            /// The constant with this name, whatever its case.
            pub fn from_name(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($text) {
                    return Some(Self::$variant);
                })+
                None
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let given = crate::body::NameOrOrdinal::deserialize(deserializer)?;
                let found = match &given {
                    crate::body::NameOrOrdinal::Name(name) => Self::from_name(name),
                    crate::body::NameOrOrdinal::Ordinal(ordinal) => Self::from_ordinal(*ordinal),
                };
                found.ok_or_else(|| {
                    serde::de::Error::unknown_variant(&given.to_string(), &[$($text),+])
                })
            }
        }
    };
}
use text_enum;

/// How a constant of a Java enum stands in JSON; fastjson reads both.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum NameOrOrdinal {
    Name(String),
    Ordinal(usize),
}

impl std::fmt::Display for NameOrOrdinal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ordinal(ordinal) => ordinal.fmt(f),
        }
    }
}
