//! The one door of a role: every request is decided on here before a handler sees it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use skua_protocol::{Command, Millis};

use crate::access::{self, Unreadable};
use crate::book::{Book, Unauthorized, UserStatus};
use crate::plain;
use crate::sign::ACCESS_KEY;

/// Lines about refusals in one second; the others are counted.
const LINES_PER_SECOND: u64 = 5;

/// Request codes that are let through unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhiteList(BTreeSet<i32>);

impl WhiteList {
    /// Codes with commas between; what is no number names no request.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').filter_map(|code| code.trim().parse().ok()).collect())
    }
}

/// Which checks a role makes.
#[derive(Clone, Debug, Default)]
pub struct DoorRules {
    pub cluster: String,
    /// ACL 1.0.
    pub plain: bool,
    pub authentication: bool,
    pub authentication_white: WhiteList,
    pub authorization: bool,
    pub authorization_white: WhiteList,
}

/// Why a request goes no further. The text is what its sender is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    // The class is part of what clients are told, since Java tells of an exception.
    #[error("org.apache.rocketmq.acl.common.AclException: {0}")]
    Plain(#[from] plain::Refused),
    #[error("username cannot be null.")]
    Unnamed,
    #[error("User:{0} is not found.")]
    Unknown(String),
    #[error("User:{0} is disabled.")]
    Disabled(String),
    #[error("check signature failed.")]
    Signature,
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("Authorization failed. Please verify your access rights and try again.")]
    NoSubject,
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
}

/// The kinds that metrics tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Authentication,
    Authorization,
}

impl Refusal {
    pub fn check(&self) -> Check {
        match self {
            Self::Plain(
                plain::Refused::NoAccessKey
                | plain::Refused::Unknown(_)
                | plain::Refused::Signature(_),
            )
            | Self::Unnamed
            | Self::Unknown(_)
            | Self::Disabled(_)
            | Self::Signature => Check::Authentication,
            Self::Plain(_) | Self::Unreadable(_) | Self::NoSubject | Self::Unauthorized(_) => {
                Check::Authorization
            }
        }
    }

    /// Whether it is one of ACL 1.0, which Java answers as a failure.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

/// Refusals since the start, and how many of them were not logged.
#[derive(Debug, Default)]
pub struct Denials {
    pub authentication: AtomicU64,
    pub authorization: AtomicU64,
    second: AtomicI64,
    in_second: AtomicU64,
    unlogged: AtomicU64,
}

impl Denials {
    /// Counts one; `Some` if it is to be logged, with the number of those before that were not.
    pub fn count(&self, check: Check, now: Millis) -> Option<u64> {
        match check {
            Check::Authentication => &self.authentication,
            Check::Authorization => &self.authorization,
        }
        .fetch_add(1, Relaxed);
        let second = now.0.div_euclid(1000);
        if self.second.swap(second, Relaxed) != second {
            self.in_second.store(0, Relaxed);
        }
        if self.in_second.fetch_add(1, Relaxed) < LINES_PER_SECOND {
            return Some(self.unlogged.swap(0, Relaxed));
        }
        self.unlogged.fetch_add(1, Relaxed);
        None
    }
}

/// Decides about the requests of one role.
pub struct Door {
    rules: DoorRules,
    plain: ArcSwap<plain::Rules>,
    book: Arc<ArcSwap<Book>>,
    pub denials: Denials,
}

impl Door {
    /// `book` is shared with whoever changes it.
    pub fn new(rules: DoorRules, book: Arc<ArcSwap<Book>>) -> Self {
        Self { rules, plain: ArcSwap::default(), book, denials: Denials::default() }
    }

    /// Whether it checks anything.
    pub fn is_shut(&self) -> bool {
        self.rules.plain || self.rules.authentication || self.rules.authorization
    }

    /// Takes over the files of ACL 1.0; before the first time everybody is refused.
    pub fn set_plain(&self, rules: plain::Rules) {
        self.plain.store(Arc::new(rules));
    }

    pub fn check(&self, request: &Command, from: IpAddr) -> Result<(), Refusal> {
        if self.rules.plain {
            self.plain.load().check(request, from)?;
        }
        let rules = &self.rules;
        if rules.authentication && !rules.authentication_white.0.contains(&request.code) {
            self.authenticate(request)?;
        }
        if rules.authorization && !rules.authorization_white.0.contains(&request.code) {
            self.authorize(request, from)?;
        }
        Ok(())
    }

    fn authenticate(&self, request: &Command) -> Result<(), Refusal> {
        let name = request.fields.get(ACCESS_KEY).filter(|name| !name.is_empty());
        let name = name.ok_or(Refusal::Unnamed)?;
        let book = self.book.load();
        let user = book.user(name).ok_or_else(|| Refusal::Unknown(name.to_owned()))?;
        if user.status == UserStatus::Disable {
            return Err(Refusal::Disabled(name.to_owned()));
        }
        if !user.key().verify(request) {
            return Err(Refusal::Signature);
        }
        Ok(())
    }

    fn authorize(&self, request: &Command, from: IpAddr) -> Result<(), Refusal> {
        let wanted = access::accesses(request, &self.rules.cluster)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let name = request.fields.get(ACCESS_KEY).ok_or(Refusal::NoSubject)?;
        let book = self.book.load();
        for access in &wanted {
            book.authorize(name, access, from)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
