//! Why a link ends.

use skua_protocol::record::RecordError;

/// Why master and slave cannot go on over this connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("the slave has {slave} bytes of log, more than the master's {master}: it has diverged")]
    Longer { slave: u64, master: u64 },
    #[error("the logs differ before offset {end}: the slave has diverged")]
    Different { end: u64 },
    /// Passes with a connection that waits longer.
    #[error("the master showed itself a Skua broker too late")]
    LateHello,
    /// Passes with the next connection.
    #[error("the log from {from} on, which was to be compared, cannot be read")]
    TailGone { from: u64 },
    #[error(
        "the slave's log ends at {end}, before the first offset {min} that the master still has; \
         stop the slave, set its log aside (`skua store set-aside`) and start it to have it filled again"
    )]
    TooFarBehind { end: u64, min: u64 },
    #[error("it is a slave of another broker name or cluster")]
    OtherGroup,
    #[error("broker id {0}, which no slave has")]
    BrokerId(i64),
    #[error(
        "mappedFileSizeCommitLog is {slave} at the slave and {master} at the master; both must be \
         the same"
    )]
    FileSize { slave: u64, master: u64 },
    #[error("it reports offset {reported}, but only {sent} was sent to it")]
    NotSent { reported: u64, sent: u64 },
    #[error("it reports offset {0}, which is none")]
    BadReport(i64),
    #[error("the master sends offset {sent}, the slave's log ends at {wanted}")]
    OtherOffset { sent: i64, wanted: u64 },
    #[error("a frame of {0} bytes")]
    FrameSize(i32),
    #[error("offset {offset} of the master's log: {cause}")]
    NoRecord { offset: u64, cause: RecordError },
    #[error("the record at {offset} of the master's log says it is at {says}")]
    OtherPlace { offset: u64, says: i64 },
    #[error("a record of {size} bytes at {offset}; {max} is the most")]
    TooLarge { offset: u64, size: usize, max: usize },
    #[error("a file of the master's log ends at {end}, which is no end of a file here")]
    FileEnd { end: u64 },
    #[error("the master refuses: {0}")]
    Refused(String),
    #[error("nothing was heard for {0} ms")]
    Silent(i64),
    #[error("nothing was asked for within {0} ms: it is no slave")]
    AsksNothing(i64),
}

impl Trouble {
    /// The two logs are not one and the same: only an operator can mend that.
    pub fn is_divergence(&self) -> bool {
        matches!(self, Self::Longer { .. } | Self::Different { .. } | Self::TooFarBehind { .. })
            || matches!(self, Self::OtherOffset { .. } | Self::OtherPlace { .. })
            || matches!(self, Self::NoRecord { .. })
    }
}
