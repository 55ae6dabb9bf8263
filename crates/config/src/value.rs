//! Types of values: how each is read from text, what it accepts, how it is shown.

use std::fmt;
use std::ops::RangeInclusive;

/// A type that a key's value can have.
///
/// `Err` is the sentence that says what is accepted; it follows "accepted: ".
pub trait Value: Sized {
    /// RocketMQ's name of the type.
    const TYPE: &'static str;

    /// `text` is trimmed. `range` bounds numbers, and for texts the length in bytes.
    fn parse(text: &str, range: Option<RangeInclusive<i64>>) -> Result<Self, String>;

    /// `None` is Java's `null`, which listings leave out.
    fn show(&self) -> Option<String>;
}

impl Value for bool {
    const TYPE: &'static str = "boolean";

    /// Java: everything but `true` is silently false, `yes` and `1` included.
    fn parse(text: &str, _: Option<RangeInclusive<i64>>) -> Result<Self, String> {
        match text {
            _ if text.eq_ignore_ascii_case("true") => Ok(true),
            _ if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err("true or false".into()),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// Whole numbers keep to Java's range of the key's type, so that a file that works here works
/// there.
macro_rules! whole_number {
    ($($type:ty: $java:literal, $min:expr, $max:expr;)*) => {
        $(
            impl Value for $type {
                const TYPE: &'static str = $java;

                fn parse(text: &str, range: Option<RangeInclusive<i64>>) -> Result<Self, String> {
                    let range = range.unwrap_or($min..=$max);
                    let number = text.parse::<i64>().ok().filter(|number| range.contains(number));
                    number.and_then(|number| <$type>::try_from(number).ok()).ok_or_else(|| {
                        format!("a whole number from {} to {}", range.start(), range.end())
                    })
                }

                fn show(&self) -> Option<String> {
                    Some(self.to_string())
                }
            }
        )*
    };
}

/// The largest of Java's `int`.
pub(crate) const INT_MAX: i64 = i32::MAX as i64;

whole_number! {
    u16: "int", 0, u16::MAX as i64;
    u32: "int", 0, INT_MAX;
    i32: "int", i32::MIN as i64, INT_MAX;
    u64: "long", 0, i64::MAX;
    i64: "long", i64::MIN, i64::MAX;
}

impl Value for f64 {
    const TYPE: &'static str = "double";

    fn parse(text: &str, _: Option<RangeInclusive<i64>>) -> Result<Self, String> {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| "a decimal number".into())
    }

    fn show(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

impl Value for String {
    const TYPE: &'static str = "String";

    fn parse(text: &str, range: Option<RangeInclusive<i64>>) -> Result<Self, String> {
        match range {
            Some(range) if !range.contains(&i64::try_from(text.len()).unwrap_or(i64::MAX)) => {
                Err(format!("a text of {} to {} bytes", range.start(), range.end()))
            }
            _ => Ok(text.to_owned()),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.clone())
    }
}

/// A text whose default is Java's `null`.
impl Value for Option<String> {
    const TYPE: &'static str = "String";

    fn parse(text: &str, range: Option<RangeInclusive<i64>>) -> Result<Self, String> {
        String::parse(text, range).map(Some)
    }

    fn show(&self) -> Option<String> {
        self.clone()
    }
}

/// An enum whose variants have the names of Java's constants. Case does not matter in a file
/// (Java: another case silently means the default).
macro_rules! choice {
    ($($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $name { $($(#[$doc])* $variant,)* }

            impl $name {
                /// The name in files, requests and listings.
                pub fn name(self) -> &'static str {
                    match self { $(Self::$variant => $text,)* }
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(self.name())
                }
            }

            impl Value for $name {
                const TYPE: &'static str = "enum";

                fn parse(text: &str, _: Option<RangeInclusive<i64>>) -> Result<Self, String> {
                    let all = [$(Self::$variant,)*];
                    let found = all.into_iter().find(|one| one.name().eq_ignore_ascii_case(text));
                    found.ok_or_else(|| all.map(Self::name).join(" or "))
                }

                fn show(&self) -> Option<String> {
                    Some(self.name().to_owned())
                }
            }
        )*
    };
}

choice! {
    /// What a broker is in its group, and what a master waits for.
    pub enum BrokerRole {
        /// A master that answers a send without waiting for a copy.
        AsyncMaster = "ASYNC_MASTER",
        /// A master whose answer means two copies.
        SyncMaster = "SYNC_MASTER",
        /// A copy of a master.
        Slave = "SLAVE",
    }

    /// When a message is on disk, seen from the answer to its sender.
    pub enum FlushDiskType {
        /// Before the answer.
        SyncFlush = "SYNC_FLUSH",
        /// At an interval, whatever was answered.
        AsyncFlush = "ASYNC_FLUSH",
    }

    /// When a slave sets its own store aside and is filled anew.
    pub enum SlaveRefill {
        /// Never by itself.
        Never = "NEVER",
        /// When its log ends before the master's first file.
        Behind = "BEHIND",
        /// Also when its log is another than the master's.
        Diverged = "DIVERGED",
    }

    /// Where metrics go.
    pub enum MetricsExporterType {
        /// Nowhere.
        Disable = "DISABLE",
        /// An OpenTelemetry collector.
        OtlpGrpc = "OTLP_GRPC",
        /// A port that Prometheus reads.
        Prom = "PROM",
        /// The log.
        Log = "LOG",
    }
}
