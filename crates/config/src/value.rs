//! The types a key's value can have.

use std::fmt;

/// A value as configuration files write it.
pub trait Value: Sized {
    /// What Java calls the type, for the documentation.
    const TYPE: &'static str;
    /// What is accepted, in words.
    const ACCEPTS: &'static str;
    /// `text` has no blanks around it.
    fn parse(text: &str) -> Option<Self>;
    fn show(&self) -> String;
}

macro_rules! number {
    ($($ty:ty, $java:literal, $accepts:literal;)+) => {$(
        impl Value for $ty {
            const TYPE: &'static str = $java;
            const ACCEPTS: &'static str = $accepts;

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

number! {
    i32, "int", "a whole number from -2147483648 to 2147483647";
    i64, "long", "a whole number";
    u16, "int", "a port, 0 to 65535";
    u32, "int", "a whole number from 0 to 4294967295";
    u64, "long", "a whole number from 0";
}

impl Value for f64 {
    const TYPE: &'static str = "double";
    const ACCEPTS: &'static str = "a number";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// As Java prints it: with a fraction, be it zero.
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Value for bool {
    const TYPE: &'static str = "boolean";
    const ACCEPTS: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("true") => Some(true),
            _ if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    const TYPE: &'static str = "String";
    const ACCEPTS: &'static str = "text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $accepts:literal { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl Value for $name {
            const TYPE: &'static str = "enum";
            const ACCEPTS: &'static str = $accepts;

            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)+
                })
            }
        }
    };
}

choice! {
    /// What a broker is in its group (Java: `BrokerRole`).
    BrokerRole, "ASYNC_MASTER, SYNC_MASTER or SLAVE" {
        AsyncMaster = "ASYNC_MASTER",
        SyncMaster = "SYNC_MASTER",
        Slave = "SLAVE",
    }
}

choice! {
    /// What an answered send promises of the disk (Java: `FlushDiskType`).
    FlushDiskType, "ASYNC_FLUSH or SYNC_FLUSH" {
        /// The page cache has it.
        AsyncFlush = "ASYNC_FLUSH",
        /// The disk has it.
        SyncFlush = "SYNC_FLUSH",
    }
}
