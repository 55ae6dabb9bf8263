//! Which old files go, and when: expired ones at their hours or when the disk fills, any when it
//! is nearly full (Java: `CleanCommitLogService`).
//!
//! `decide.rs` judges and touches nothing; `run.rs` does it on the files thread, one file at a
//! time with a new look at the disk before each. Files are deleted oldest first, and only those
//! whose records are durable in their queues: never the one being written. A reader that has a
//! file open goes on reading it; the space is free when it is done, so there is no file in use to
//! come back for (`redeleteHangedFileInterval`, `destroyMapedFileIntervalForcibly`).

mod decide;
mod forecast;
mod run;

pub use decide::{DiskFull, RetentionRules};
pub(crate) use run::Retention;
pub use run::{DiskUse, NeededFrom};

#[cfg(test)]
mod tests;
