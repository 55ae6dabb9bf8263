//! What a configuration's author is told.

/// Why a role does not start, or a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{place}: {key}={given} is not accepted; {key} takes {accepted}")]
    BadValue { place: String, key: String, given: String, accepted: String },
    #[error("{key} is not a configuration key{}", suggestion(.nearest.as_deref()))]
    UnknownKey { key: String, nearest: Option<String> },
    /// Values that are right each but cannot be together.
    #[error("{0}")]
    Inconsistent(String),
}

/// Something in a file that its author ought to look at. `place` is `file:line`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error("{place}: {key} is not a configuration key{}", suggestion(.nearest.as_deref()))]
    Unknown { place: String, key: String, nearest: Option<String> },
    #[error("{place}: {key} has no effect here: it belongs to RocketMQ's {class}")]
    Elsewhere { place: String, key: String, class: &'static str },
    #[error("{place}: {key} is read as {right}, its right spelling")]
    Misspelt { place: String, key: String, right: String },
    #[error("{place}: {key} is ignored, since {right} is given too")]
    Shadowed { place: String, key: String, right: String },
    #[error("{place}: {key} is ignored, since it is given again further down")]
    Repeated { place: String, key: String },
    #[error("{place}: {key} has no effect in Skua yet")]
    NoEffect { place: String, key: String },
    #[error("{place}: {key} cannot be set, in RocketMQ neither")]
    NotSettable { place: String, key: String },
    #[error("{place}: {key} names ${{{variable}}}, which is not set; it is left as it stands")]
    UnknownVariable { place: String, key: String, variable: String },
    #[error("{key}={given} is taken as {taken}: {reason}")]
    Overruled { key: &'static str, given: String, taken: String, reason: &'static str },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}
