//! The one table of configuration keys.
//!
//! A row gives a field, its type, its default, RocketMQ's key and whether Skua obeys it; from it
//! come the struct, the parser, `getBrokerConfig`'s answer, the warnings and
//! `docs/configuration.md`. To make a key obeyed, change the row's last word and read the field.

mod auth;
mod broker;
mod client;
mod controller;
mod namesrv;
mod server;
mod store;

pub use auth::AuthConfig;
pub use broker::BrokerConfig;
pub use client::ClientConfig;
pub use controller::ControllerConfig;
pub use namesrv::NamesrvConfig;
pub use server::ServerConfig;
pub use store::StoreConfig;

/// What a key does in Skua.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Obeyed; a change at run time counts at once.
    Live,
    /// Obeyed; a change counts from the next start.
    Restart,
    /// Known and kept, but without effect.
    Inert,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Java's configuration class.
    pub class: &'static str,
    pub name: &'static str,
    pub type_name: &'static str,
    pub accepts: &'static str,
    pub effect: Effect,
    pub doc: &'static str,
}

macro_rules! config_table {
    (
        |$env:ident|
        $(#[$meta:meta])*
        pub struct $name:ident($class:literal) {
            $(
                $(#[doc = $doc:literal])*
                $field:ident: $ty:ty = $default:expr, $key:literal, $effect:ident;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])* pub $field: $ty,)*
        }

        impl $name {
            pub const KEYS: &'static [$crate::table::Key] = &[$(
                $crate::table::Key {
                    class: $class,
                    name: $key,
                    type_name: <$ty as $crate::value::Value>::TYPE,
                    accepts: <$ty as $crate::value::Value>::ACCEPTS,
                    effect: $crate::table::Effect::$effect,
                    doc: concat!($($doc),*),
                },
            )*];

            /// RocketMQ's defaults on the machine that `$env` describes.
            pub fn new($env: &$crate::Environment) -> Self {
                let _ = $env;
                Self { $($field: $default,)* }
            }

            /// Sets the field of `key`: `None` if there is none, else whether `text` was accepted.
            pub(crate) fn set(&mut self, key: &str, text: &str) -> Option<bool> {
                match key {
                    $($key => Some(match $crate::value::Value::parse(text) {
                        Some(value) => {
                            self.$field = value;
                            true
                        }
                        None => false,
                    }),)*
                    _ => None,
                }
            }

            /// Each key with its value, in the table's order.
            pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
                vec![$(($key, $crate::value::Value::show(&self.$field))),*]
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(&$crate::Environment::default())
            }
        }
    };
}
use config_table;
