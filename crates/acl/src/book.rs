//! Users and what they may do, as administrators make them (Java: `AuthenticationMetadataManager`,
//! `AuthorizationMetadataManager`).
//!
//! A [`Book`] is a value: a change gives a new one, so that whoever decides by the old one is not
//! disturbed and a change that cannot be kept on disk has not happened. Texts of errors are Java's.

mod decide;
mod json;

use std::collections::BTreeMap;

use skua_protocol::body::{AclInfo, PolicyEntryInfo, PolicyInfo, UserInfo};

use crate::ip::{Network, NetworkError};
use crate::resource::{Action, Resource};
use crate::sign::SigningKey;

pub use decide::Unauthorized;

/// Most users, and most rules of one user: a book is kept in memory and written whole.
pub const USERS_MAX: usize = 100_000;
pub const ENTRIES_MAX: usize = 10_000;

named! {
    UserType {
        /// May do everything.
        Super = "Super",
        Normal = "Normal",
    }
    UserStatus {
        Enable = "enable",
        Disable = "disable",
    }
    PolicyType {
        /// Looked at first.
        Custom = "Custom",
        /// Looked at when no custom rule is about the request.
        Default = "Default",
    }
    Decision {
        Allow = "Allow",
        Deny = "Deny",
    }
}

#[derive(Clone)]
pub struct User {
    pub name: String,
    password: String,
    key: SigningKey,
    pub kind: UserType,
    pub status: UserStatus,
}

impl User {
    pub fn new(name: &str, password: &str, kind: UserType) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            key: SigningKey::new(password),
            kind,
            status: UserStatus::Enable,
        }
    }

    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    pub fn info(&self) -> UserInfo {
        UserInfo {
            password: Some(self.password.clone()),
            user_status: Some(self.status.name().to_owned()),
            user_type: Some(self.kind.name().to_owned()),
            username: Some(self.name.clone()),
        }
    }
}

/// One rule: from where who may, or may not, do what to what.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub resource: Resource,
    pub actions: Vec<Action>,
    /// Empty: from everywhere.
    pub sources: Vec<Network>,
    pub decision: Decision,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub kind: PolicyType,
    pub entries: Vec<Entry>,
}

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    #[error("username can not be blank")]
    BlankName,
    #[error("password can not be blank")]
    BlankPassword,
    #[error("The user is existed")]
    UserExists,
    #[error("The user is not exist")]
    NoUser,
    #[error("User:{0} is not found")]
    UnknownSubject(String),
    #[error("The super user can only be create by super user")]
    CreateSuper,
    #[error("The super user can only be update by super user")]
    MakeSuper,
    #[error("The super user can only be update by super user")]
    UpdateSuper,
    #[error("The body of acl is null")]
    NoAcl,
    #[error("The subject is null.")]
    NoSubject,
    #[error("The subject of {0} is not exist.")]
    NoSubjectOf(String),
    #[error("The subject is not exist.")]
    SubjectNotThere,
    #[error("The acl is not exist.")]
    AclNotThere,
    #[error("The policies is empty.")]
    NoPolicies,
    #[error("The resource is null.")]
    NoResource,
    #[error("The actions is empty.")]
    NoActions,
    #[error("The actions can not be Any.")]
    AnyAction,
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("The decision is null or illegal.")]
    NoDecision,
    #[error("there are {limit} {what} already, the most there may be")]
    Full { what: &'static str, limit: usize },
}

/// All users and their rules.
#[derive(Clone, Default)]
pub struct Book {
    users: BTreeMap<String, User>,
    /// By the user's name.
    policies: BTreeMap<String, Vec<Policy>>,
}

const USER_PREFIX: &str = "User:";

/// The name in `User:name`; the only kind of subject there is.
fn subject_name(subject: &str) -> Option<&str> {
    let (kind, name) = subject.split_once(':')?;
    kind.eq_ignore_ascii_case("User").then_some(name)
}

fn is_blank(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.trim().is_empty())
}

impl Book {
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The users whose name contains `filter`, in order.
    pub fn users<'a>(&'a self, filter: Option<&'a str>) -> impl Iterator<Item = &'a User> {
        let filter = filter.filter(|filter| !filter.trim().is_empty()).unwrap_or_default();
        self.users.values().filter(move |user| user.name.contains(filter))
    }

    /// Adds a user unless there is one of this name; the configuration's own users are made so.
    pub fn with_user(mut self, user: User) -> Self {
        self.users.entry(user.name.clone()).or_insert(user);
        self
    }

    /// Whether `by` may make and change super users. Java: nobody is named while authentication is
    /// off.
    fn is_super(&self, by: Option<&str>) -> Result<bool, BookError> {
        match by.filter(|by| !by.is_empty()) {
            None => Ok(true),
            Some(by) => match self.user(by) {
                Some(user) => Ok(user.kind == UserType::Super),
                None => Err(BookError::UnknownSubject(by.to_owned())),
            },
        }
    }

    pub fn create_user(
        &self,
        name: &str,
        info: &UserInfo,
        by: Option<&str>,
    ) -> Result<Self, BookError> {
        let kind = info.user_type.as_deref().and_then(UserType::from_name);
        if kind == Some(UserType::Super) && !self.is_super(by)? {
            return Err(BookError::CreateSuper);
        }
        if name.trim().is_empty() {
            return Err(BookError::BlankName);
        }
        if is_blank(info.password.as_deref()) {
            return Err(BookError::BlankPassword);
        }
        if self.users.contains_key(name) {
            return Err(BookError::UserExists);
        }
        if self.users.len() >= USERS_MAX {
            return Err(BookError::Full { what: "users", limit: USERS_MAX });
        }
        let password = info.password.as_deref().unwrap_or_default();
        let mut user = User::new(name, password, kind.unwrap_or(UserType::Normal));
        if let Some(status) = info.user_status.as_deref().and_then(UserStatus::from_name) {
            user.status = status;
        }
        Ok(self.clone().with_user(user))
    }

    pub fn update_user(
        &self,
        name: &str,
        info: &UserInfo,
        by: Option<&str>,
    ) -> Result<Self, BookError> {
        let kind = info.user_type.as_deref().and_then(UserType::from_name);
        if kind == Some(UserType::Super) && !self.is_super(by)? {
            return Err(BookError::MakeSuper);
        }
        let mut book = self.clone();
        let user = book.users.get_mut(name).ok_or(BookError::NoUser)?;
        if user.kind == UserType::Super && !self.is_super(by)? {
            return Err(BookError::UpdateSuper);
        }
        if let Some(password) = info.password.as_deref().filter(|p| !p.trim().is_empty()) {
            user.password = password.to_owned();
            user.key = SigningKey::new(password);
        }
        user.kind = kind.unwrap_or(user.kind);
        if let Some(status) = info.user_status.as_deref().and_then(UserStatus::from_name) {
            user.status = status;
        }
        Ok(book)
    }

    /// Without the user and its rules; as it was if there is none.
    pub fn delete_user(&self, name: &str, by: Option<&str>) -> Result<Self, BookError> {
        if name.trim().is_empty() {
            return Err(BookError::BlankName);
        }
        let Some(user) = self.users.get(name) else { return Ok(self.clone()) };
        if user.kind == UserType::Super && !self.is_super(by)? {
            return Err(BookError::UpdateSuper);
        }
        let mut book = self.clone();
        book.users.remove(name);
        book.policies.remove(name);
        Ok(book)
    }

    /// Adds rules, or replaces those about the same resources; 3006 and 3007 are one thing.
    pub fn put_acl(&self, subject: Option<&str>, info: &AclInfo) -> Result<Self, BookError> {
        if info.policies.is_empty() {
            return Err(BookError::NoAcl);
        }
        // The body's subject counts before the header's.
        let named = info.subject.as_deref().and_then(subject_name);
        let name = named.or(subject.and_then(subject_name)).ok_or(BookError::NoSubject)?;
        let given = policies(&info.policies)?;
        if given.is_empty() {
            return Err(BookError::NoPolicies);
        }
        self.with_policies(name, given)
    }

    pub(crate) fn with_policies(&self, name: &str, given: Vec<Policy>) -> Result<Self, BookError> {
        if !self.users.contains_key(name) {
            return Err(BookError::NoSubjectOf(format!("{USER_PREFIX}{name}")));
        }
        let mut book = self.clone();
        let own = book.policies.entry(name.to_owned()).or_default();
        for policy in given {
            let at = match own.iter().position(|of| of.kind == policy.kind) {
                Some(at) => at,
                None => {
                    own.push(Policy { kind: policy.kind, entries: Vec::new() });
                    own.len() - 1
                }
            };
            let entries = &mut own[at].entries;
            for entry in policy.entries {
                match entries.iter_mut().find(|of| of.resource == entry.resource) {
                    Some(old) => *old = entry,
                    None => entries.push(entry),
                }
            }
            if entries.len() > ENTRIES_MAX {
                return Err(BookError::Full { what: "rules of this user", limit: ENTRIES_MAX });
            }
        }
        Ok(book)
    }

    /// Without the rule about `resource`, or without any rule of the subject.
    pub fn delete_acl(
        &self,
        subject: Option<&str>,
        kind: Option<PolicyType>,
        resource: Option<&Resource>,
    ) -> Result<Self, BookError> {
        let name = subject.and_then(subject_name).ok_or(BookError::NoSubject)?;
        if !self.users.contains_key(name) {
            return Err(BookError::SubjectNotThere);
        }
        let mut book = self.clone();
        let own = book.policies.get_mut(name).ok_or(BookError::AclNotThere)?;
        match resource {
            None => own.clear(),
            Some(resource) => {
                let kind = kind.unwrap_or(PolicyType::Custom);
                for policy in own.iter_mut().filter(|policy| policy.kind == kind) {
                    policy.entries.retain(|entry| entry.resource != *resource);
                }
                own.retain(|policy| !policy.entries.is_empty());
            }
        }
        if own.is_empty() {
            book.policies.remove(name);
        }
        Ok(book)
    }

    /// The subject's rules; `None` if it has none.
    pub fn acl(&self, subject: Option<&str>) -> Result<Option<AclInfo>, BookError> {
        let name = subject.and_then(subject_name).ok_or(BookError::NoSubject)?;
        if !self.users.contains_key(name) {
            return Err(BookError::SubjectNotThere);
        }
        Ok(self.policies.get(name).map(|policies| acl_info(name, policies)))
    }

    /// The rules whose subject and resource contain the filters.
    pub fn acls(&self, subject: Option<&str>, resource: Option<&str>) -> Vec<AclInfo> {
        let given = |filter: Option<&str>| {
            filter.filter(|filter| !filter.trim().is_empty()).unwrap_or_default().to_owned()
        };
        let (subject, resource) = (given(subject), given(resource));
        let mut found = Vec::new();
        for (name, policies) in &self.policies {
            let key = format!("{USER_PREFIX}{name}");
            if !key.contains(&subject) {
                continue;
            }
            let mut policies = policies.clone();
            // Java: a filter that is part of the subject's name filters no resources.
            if !key.contains(&resource) {
                for policy in &mut policies {
                    policy.entries.retain(|of| of.resource.to_string().contains(&resource));
                }
                policies.retain(|policy| !policy.entries.is_empty());
            }
            if !policies.is_empty() {
                found.push(acl_info(name, &policies));
            }
        }
        found
    }
}

fn policies(infos: &[PolicyInfo]) -> Result<Vec<Policy>, BookError> {
    let filled = infos.iter().filter(|info| !info.entries.is_empty());
    filled
        .map(|info| {
            let kind = info.policy_type.as_deref().and_then(PolicyType::from_name);
            let entries: Result<_, _> = info.entries.iter().map(entry).collect();
            Ok(Policy { kind: kind.unwrap_or(PolicyType::Custom), entries: entries? })
        })
        .collect()
}

fn entry(info: &PolicyEntryInfo) -> Result<Entry, BookError> {
    let resource = info.resource.as_deref().and_then(Resource::parse);
    let resource = resource.ok_or(BookError::NoResource)?;
    let actions: Vec<_> = info.actions.iter().filter_map(|name| Action::from_name(name)).collect();
    if actions.is_empty() {
        return Err(BookError::NoActions);
    }
    if actions.contains(&Action::Any) {
        return Err(BookError::AnyAction);
    }
    let sources: Result<Vec<_>, _> = info.source_ips.iter().map(|ip| Network::parse(ip)).collect();
    let decision = info.decision.as_deref().and_then(Decision::from_name);
    Ok(Entry {
        resource,
        actions,
        sources: sources?,
        decision: decision.ok_or(BookError::NoDecision)?,
    })
}

fn acl_info(name: &str, policies: &[Policy]) -> AclInfo {
    let entry = |entry: &Entry| PolicyEntryInfo {
        actions: entry.actions.iter().map(|action| action.name().to_owned()).collect(),
        decision: Some(entry.decision.name().to_owned()),
        resource: Some(entry.resource.to_string()),
        source_ips: entry.sources.iter().map(Network::to_string).collect(),
    };
    let policy = |policy: &Policy| PolicyInfo {
        entries: policy.entries.iter().map(entry).collect(),
        policy_type: Some(policy.kind.name().to_owned()),
    };
    AclInfo {
        policies: policies.iter().map(policy).collect(),
        subject: Some(format!("{USER_PREFIX}{name}")),
    }
}

#[cfg(test)]
mod tests;
