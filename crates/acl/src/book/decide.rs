//! May this user do that, from there? (Java: `UserAuthorizationHandler`, `AclAuthorizationHandler`)

use std::cmp::Ordering;
use std::net::IpAddr;

use super::{Book, Decision, Entry, PolicyType, UserType};
use crate::access::Access;
use crate::resource::{Action, Pattern, ResourceType};

/// Why not; texts are Java's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    #[error("User:{0} not found.")]
    NoUser(String),
    #[error("User:{user} has no permission to access {resource} from {from}, no matched policies.")]
    NoPolicy { user: String, resource: String, from: IpAddr },
    #[error(
        "User:{user} has no permission to access {resource} from {from}, the decision is deny."
    )]
    Denied { user: String, resource: String, from: IpAddr },
}

impl Entry {
    fn is_about(&self, access: &Access, from: IpAddr) -> bool {
        let acts = access.actions.contains(&Action::Any)
            || self.actions.contains(&Action::All)
            || access.actions.iter().any(|action| self.actions.contains(action));
        acts && self.resource.covers(access.kind, &access.name)
            && (self.sources.is_empty() || self.sources.iter().any(|of| of.contains(from)))
    }

    /// The nearer rule first: of a named kind, literal, longest prefix; of two alike the one that
    /// denies.
    fn before(&self, other: &Self) -> Ordering {
        let rank = |entry: &Self| {
            let pattern = match entry.resource.pattern {
                Pattern::Literal => 0,
                Pattern::Prefixed => 1,
                Pattern::Any => 2,
            };
            (entry.resource.kind == ResourceType::Any, pattern)
        };
        let len = |entry: &Self| entry.resource.name.as_ref().map_or(0, String::len);
        let denies = |entry: &Self| entry.decision != Decision::Deny;
        rank(self)
            .cmp(&rank(other))
            .then(len(other).cmp(&len(self)))
            .then(denies(self).cmp(&denies(other)))
    }
}

impl Book {
    /// Whether `user` may have `access` from `from`.
    pub fn authorize(&self, user: &str, access: &Access, from: IpAddr) -> Result<(), Unauthorized> {
        let Some(found) = self.users.get(user) else {
            return Err(Unauthorized::NoUser(user.to_owned()));
        };
        if found.kind == UserType::Super {
            return Ok(());
        }
        let (user, resource) = (user.to_owned(), access.resource());
        match self.nearest(&user, access, from) {
            None => Err(Unauthorized::NoPolicy { user, resource, from }),
            Some(entry) if entry.decision == Decision::Deny => {
                Err(Unauthorized::Denied { user, resource, from })
            }
            Some(_) => Ok(()),
        }
    }

    fn nearest(&self, user: &str, access: &Access, from: IpAddr) -> Option<&Entry> {
        let policies = self.policies.get(user)?;
        [PolicyType::Custom, PolicyType::Default].into_iter().find_map(|kind| {
            let of_kind = policies.iter().filter(|policy| policy.kind == kind);
            let entries = of_kind.flat_map(|policy| &policy.entries);
            entries.filter(|entry| entry.is_about(access, from)).min_by(|a, b| a.before(b))
        })
    }
}
