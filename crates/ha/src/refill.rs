//! When a slave that cannot go on from its own log may begin anew by itself.

use crate::{Span, Trouble};

/// What the configuration allows (`slaveRefill`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefillRule {
    Never,
    /// Only if the log ends before the master's first file.
    Behind,
    /// Also if the logs differ: what only the slave has leaves the cluster.
    Diverged,
}

impl RefillRule {
    /// How many bytes are going to come if the slave begins anew; `None` if it must not.
    /// `master` is what a Skua master of the same group has said of its log. An empty one fills
    /// nothing: the slave's copy may then be all there is.
    pub fn allows(self, trouble: &Trouble, master: Option<Span>) -> Option<u64> {
        let is_allowed = match trouble {
            Trouble::TooFarBehind { .. } => self != Self::Never,
            Trouble::Longer { .. } | Trouble::Different { .. } => self == Self::Diverged,
            // Of the link, or of records that do not fit: no proof that the logs differ.
            _ => false,
        };
        let bytes = master.map(|log| log.end.saturating_sub(log.min)).filter(|bytes| *bytes > 0);
        bytes.filter(|_| is_allowed)
    }
}
