//! The book as a file holds it.

use serde::{Deserialize, Serialize};
use skua_protocol::body::{AclInfo, UserInfo};
use skua_protocol::json::{self, JsonError};

use super::{Book, User, UserStatus, UserType, acl_info, policies, subject_name};

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Stored {
    users: Vec<UserInfo>,
    acls: Vec<AclInfo>,
}

impl Book {
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(&Stored {
            users: self.users.values().map(User::info).collect(),
            acls: self.policies.iter().map(|(name, policies)| acl_info(name, policies)).collect(),
        })
    }

    /// # Errors
    /// If it is broken JSON, or holds a user or rule that cannot be: half a book would open or
    /// close what its author did not mean.
    pub fn from_json(content: &[u8]) -> Result<Self, JsonError> {
        let stored: Stored = json::from_slice(content)?;
        let mut book = Self::default();
        let broken =
            |what: String| JsonError::from(<serde_json::Error as serde::de::Error>::custom(what));
        for info in &stored.users {
            let (Some(name), Some(password)) = (&info.username, &info.password) else {
                return Err(broken("a user without name or password".into()));
            };
            let kind = info.user_type.as_deref().and_then(UserType::from_name);
            let status = info.user_status.as_deref().and_then(UserStatus::from_name);
            let (Some(kind), Some(status)) = (kind, status) else {
                return Err(broken(format!("user {name}: type or status is unknown")));
            };
            let user = User { status, ..User::new(name, password, kind) };
            book.users.insert(name.clone(), user);
        }
        for info in &stored.acls {
            let name = info.subject.as_deref().and_then(subject_name);
            let name = name.ok_or_else(|| broken("rules without a subject".into()))?;
            let own = policies(&info.policies)
                .map_err(|error| broken(format!("rules of {name}: {error}")))?;
            book.policies.insert(name.to_owned(), own);
        }
        Ok(book)
    }
}
