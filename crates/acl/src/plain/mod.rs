//! The access control lists of RocketMQ 4: accounts in `plain_acl.yml` (Java: `PlainPermissionManager`
//! and `PlainPermissionChecker` of 4.9). Texts of refusals are Java's.

mod address;
pub mod file;

use std::collections::HashMap;
use std::net::IpAddr;

use skua_protocol::{Command, RequestCode};

use crate::access::{self, Access, RETRY_PREFIX, Unreadable};
use crate::resource::{Action, ResourceType};
use crate::sign::{ACCESS_KEY, SigningKey};

pub use address::{AddressError, Addresses};
pub use file::{FileError, Migrated};

/// Sends to it are allowed to whoever is known: clients trace with their users' keys.
const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
const NAMESPACE_SEPARATOR: char = '%';

/// What an account may do with a topic or group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    pub publish: bool,
    pub subscribe: bool,
}

impl Permission {
    pub const DENY: Self = Self { publish: false, subscribe: false };

    /// Java: whatever is not understood denies.
    pub fn parse(text: &str) -> Self {
        match text.trim() {
            "PUB" => Self { publish: true, subscribe: false },
            "SUB" => Self { publish: false, subscribe: true },
            "PUB|SUB" | "SUB|PUB" => Self { publish: true, subscribe: true },
            _ => Self::DENY,
        }
    }

    fn allows(self, publish: bool) -> bool {
        if publish { self.publish } else { self.subscribe }
    }
}

/// One of the file's accounts.
#[derive(Clone)]
pub struct Account {
    pub access_key: String,
    secret: String,
    key: SigningKey,
    /// From here no signature is asked for.
    pub white: Addresses,
    pub admin: bool,
    pub default_topic: Permission,
    pub default_group: Permission,
    pub topics: HashMap<String, Permission>,
    pub groups: HashMap<String, Permission>,
    /// Of topics and of groups in a namespace.
    pub namespaces: HashMap<String, [Option<Permission>; 2]>,
}

/// All accounts of all files.
#[derive(Clone, Default)]
pub struct Rules {
    pub accounts: HashMap<String, Account>,
    /// From here everything is allowed.
    pub white: Vec<Addresses>,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("No accessKey is configured")]
    NoAccessKey,
    #[error("No acl config for {0}")]
    Unknown(String),
    #[error("Check signature failed for accessKey={0}")]
    Signature(String),
    #[error("Need admin permission for request code={code}, but accessKey={access_key} is not")]
    NotAdmin { code: i32, access_key: String },
    #[error("No default permission for {kind}:{name}")]
    NoPermission { kind: &'static str, name: String },
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// What changes a broker for everybody. Java knows the first five; the others came later.
fn needs_admin(code: RequestCode) -> bool {
    use RequestCode as C;
    matches!(
        code,
        C::UpdateAndCreateTopic
            | C::UpdateBrokerConfig
            | C::DeleteTopicInBroker
            | C::UpdateAndCreateSubscriptionGroup
            | C::DeleteSubscriptionGroup
            | C::UpdateAndCreateTopicList
            | C::UpdateAndCreateSubscriptionGroupList
            | C::UpdateAndCreateStaticTopic
            | C::UpdateAndGetGroupForbidden
            | C::SetMessageRequestMode
            | C::InvokeBrokerToResetOffset
            | C::CloneGroupOffset
            | C::ResumeCheckHalfMessage
            | C::CleanExpiredConsumeQueue
            | C::CleanUnusedTopic
            | C::DeleteExpiredCommitLog
            | C::UpdateColdDataFlowCtrConfig
            | C::RemoveColdDataFlowCtrConfig
            | C::SetCommitLogReadMode
            | C::SwitchTimerEngine
            | C::ResetMasterFlushOffset
            | C::HandOver
            | C::TakeOver
            | C::RaftControl
            | C::AuthCreateUser
            | C::AuthUpdateUser
            | C::AuthDeleteUser
            | C::AuthGetUser
            | C::AuthListUser
            | C::AuthCreateAcl
            | C::AuthUpdateAcl
            | C::AuthDeleteAcl
            | C::AuthGetAcl
            | C::AuthListAcl
    )
}

/// Requests whose topics and groups are looked at. Java knows no pops.
fn needs_permission(code: RequestCode) -> bool {
    use RequestCode as C;
    matches!(
        code,
        C::SendMessage
            | C::SendMessageV2
            | C::SendBatchMessage
            | C::RecallMessage
            | C::EndTransaction
            | C::ConsumerSendMsgBack
            | C::PullMessage
            | C::LitePullMessage
            | C::PopMessage
            | C::PeekMessage
            | C::AckMessage
            | C::BatchAckMessage
            | C::ChangeMessageInvisibleTime
            | C::Notification
            | C::QueryMessage
            | C::HeartBeat
            | C::UnregisterClient
            | C::GetConsumerListByGroup
            | C::UpdateConsumerOffset
            | C::LockBatchMq
            | C::UnlockBatchMq
            | C::ConsumeMessageDirectly
    )
}

impl Account {
    pub fn new(access_key: &str, secret: &str) -> Self {
        Self {
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
            key: SigningKey::new(secret),
            white: Addresses::Nobody,
            admin: false,
            default_topic: Permission::DENY,
            default_group: Permission::DENY,
            topics: HashMap::new(),
            groups: HashMap::new(),
            namespaces: HashMap::new(),
        }
    }

    fn permits(&self, access: &Access) -> bool {
        let is_group = access.kind == ResourceType::Group;
        let publish = access.actions.contains(&Action::Pub);
        let (own, default, of_namespace) = match is_group {
            true => (&self.groups, self.default_group, 1),
            false => (&self.topics, self.default_topic, 0),
        };
        if own.get(&access.name).is_some_and(|permission| permission.allows(publish)) {
            return true;
        }
        // Java: a named resource that does not permit still has its namespace and the default.
        let namespace = access.name.split_once(NAMESPACE_SEPARATOR).map(|(namespace, _)| namespace);
        let in_namespace = namespace
            .and_then(|namespace| self.namespaces.get(namespace))
            .and_then(|permissions| permissions[of_namespace]);
        in_namespace.is_some_and(|permission| permission.allows(publish)) || default.allows(publish)
    }
}

impl Rules {
    pub fn check(&self, request: &Command, from: IpAddr) -> Result<(), Refused> {
        if self.white.iter().any(|addresses| addresses.contain(from)) {
            return Ok(());
        }
        let access_key = request.fields.get(ACCESS_KEY).ok_or(Refused::NoAccessKey)?;
        let Some(account) = self.accounts.get(access_key) else {
            return Err(Refused::Unknown(access_key.to_owned()));
        };
        if account.white.contain(from) {
            return Ok(());
        }
        if !account.key.verify_either(request) {
            return Err(Refused::Signature(access_key.to_owned()));
        }
        let Some(code) = RequestCode::from_i32(request.code) else { return Ok(()) };
        if needs_admin(code) {
            return match account.admin {
                true => Ok(()),
                false => {
                    Err(Refused::NotAdmin { code: request.code, access_key: access_key.to_owned() })
                }
            };
        }
        if !needs_permission(code) {
            return Ok(());
        }
        if account.admin && account.topics.is_empty() && account.groups.is_empty() {
            return Ok(());
        }
        for access in self.wanted(code, request)? {
            let is_group = access.kind == ResourceType::Group;
            if access.name == TRACE_TOPIC && !is_group && access.actions == [Action::Pub] {
                continue;
            }
            if !account.permits(&access) {
                let kind = if is_group { "group" } else { "topic" };
                return Err(Refused::NoPermission { kind, name: access.name });
            }
        }
        Ok(())
    }

    fn wanted(&self, code: RequestCode, request: &Command) -> Result<Vec<Access>, Unreadable> {
        let mut wanted = access::accesses(request, "")?;
        if code == RequestCode::ConsumerSendMsgBack
            && let Some(topic) = request.fields.get("originTopic")
            && !topic.starts_with(RETRY_PREFIX)
        {
            let name = topic.to_owned();
            wanted.push(Access { kind: ResourceType::Topic, name, actions: &[Action::Pub] });
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests;
