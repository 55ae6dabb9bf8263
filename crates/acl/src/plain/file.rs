//! `plain_acl.yml` as text: what its accounts say, and what is wrong with it.

use std::collections::HashMap;

use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::{Yaml, YamlLoader};

use super::{Account, AddressError, Addresses, Permission, Rules};
use crate::access::RETRY_PREFIX;
use crate::book::{Book, BookError, Decision, Entry, Policy, PolicyType, User, UserType};
use crate::resource::{Action, Resource, ResourceType};

/// Longest file that is read; accounts take a few hundred bytes each.
pub const FILE_LEN_MAX: usize = 16 << 20;

/// Why a file is not taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("broken YAML: {0}")]
    Yaml(String),
    #[error("{len} bytes, the most is {FILE_LEN_MAX}")]
    TooLong { len: usize },
    #[error("`{0}` is not a list")]
    NotAList(&'static str),
    #[error("account {number}: accessKey and secretKey are needed, each longer than 6 characters")]
    Keys { number: usize },
    #[error("account {access_key}: {key}: `{value}` is not NAME=PERMISSION")]
    Permission { access_key: String, key: &'static str, value: String },
    #[error("account {access_key}: whiteRemoteAddress: {source}")]
    White { access_key: String, source: AddressError },
    #[error("globalWhiteRemoteAddresses: {0}")]
    GlobalWhite(AddressError),
    #[error("account {access_key}: {key} needs `{member}`")]
    Member { access_key: String, key: &'static str, member: &'static str },
}

/// What was taken over from ACL 1.0 into a book.
pub struct Migrated {
    pub book: Book,
    pub users: usize,
}

/// Deepest that lists and tables may lie in each other; accounts need three.
const DEPTH_MAX: usize = 32;
/// Most nodes beside those that the text has by itself, copies of anchors: they grow by powers.
const COPIES_MAX: usize = 100_000;

/// The first document. The library calls itself for each level and copies what aliases stand for,
/// so both are counted before.
fn document(text: &str) -> Result<Yaml, String> {
    let mut parser = Parser::new_from_str(text);
    let mut size = Sizes::default();
    loop {
        let (event, mark) = parser.next_token().map_err(|error| error.to_string())?;
        size.count(&event).map_err(|cause| format!("line {}: {cause}", mark.line()))?;
        if event == Event::StreamEnd {
            break;
        }
    }
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().next().unwrap_or(Yaml::Null))
}

/// How large what was read is, and what its anchors stand for.
#[derive(Default)]
struct Sizes {
    /// Anchor and nodes of each list or table that is open.
    open: Vec<(usize, usize)>,
    anchored: HashMap<usize, usize>,
    copies: usize,
}

impl Sizes {
    fn count(&mut self, event: &Event) -> Result<(), String> {
        match *event {
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                self.open.push((anchor, 1));
                if self.open.len() > DEPTH_MAX {
                    return Err(format!("more than {DEPTH_MAX} levels"));
                }
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (anchor, nodes) = self.open.pop().unwrap_or_default();
                self.add(anchor, nodes)?;
            }
            Event::Scalar(_, _, anchor, _) => self.add(anchor, 1)?,
            Event::Alias(anchor) => {
                let nodes = self.anchored.get(&anchor).copied().unwrap_or(1);
                self.copy(nodes)?;
                self.add(0, nodes)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A node that is whole; the loader keeps a copy of one with an anchor.
    fn add(&mut self, anchor: usize, nodes: usize) -> Result<(), String> {
        if anchor > 0 {
            self.anchored.insert(anchor, nodes);
            self.copy(nodes)?;
        }
        if let Some((_, outer)) = self.open.last_mut() {
            *outer += nodes;
        }
        Ok(())
    }

    fn copy(&mut self, nodes: usize) -> Result<(), String> {
        self.copies += nodes;
        match self.copies > COPIES_MAX {
            true => Err(format!("anchors and aliases make more than {COPIES_MAX} nodes")),
            false => Ok(()),
        }
    }
}

fn scalar(yaml: &Yaml) -> Option<String> {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        Yaml::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn list<'a>(yaml: &'a Yaml, key: &'static str) -> Result<&'a [Yaml], FileError> {
    match &yaml[key] {
        Yaml::Array(items) => Ok(items),
        Yaml::Null | Yaml::BadValue => Ok(&[]),
        _ => Err(FileError::NotAList(key)),
    }
}

/// `accessKey` and `secretKey` at the top of a file, as `tools.yml` has them.
pub fn account(text: &str) -> Result<(Option<String>, Option<String>), String> {
    let yaml = document(text)?;
    Ok((scalar(&yaml["accessKey"]), scalar(&yaml["secretKey"])))
}

impl Rules {
    /// Adds what a file says. Gives the access keys that an earlier file had already, whose
    /// accounts stay as they were.
    pub fn add(&mut self, text: &str) -> Result<Vec<String>, FileError> {
        if text.len() > FILE_LEN_MAX {
            return Err(FileError::TooLong { len: text.len() });
        }
        let yaml = document(text).map_err(FileError::Yaml)?;
        let mut white = Vec::new();
        for addresses in list(&yaml, "globalWhiteRemoteAddresses")? {
            let text = scalar(addresses).unwrap_or_default();
            white.push(Addresses::parse(&text).map_err(FileError::GlobalWhite)?);
        }
        let accounts = list(&yaml, "accounts")?.iter().enumerate();
        let accounts: Result<Vec<_>, _> =
            accounts.map(|(index, yaml)| read_account(index + 1, yaml)).collect();
        let mut repeated = Vec::new();
        for account in accounts? {
            if self.accounts.contains_key(&account.access_key) {
                repeated.push(account.access_key);
            } else {
                self.accounts.insert(account.access_key.clone(), account);
            }
        }
        self.white.extend(white);
        Ok(repeated)
    }

    /// The accounts as users with rules (Java: `AuthMigrator`); those whose name a user has already
    /// are left out.
    pub fn migrate(&self, book: &Book) -> Result<Migrated, BookError> {
        let mut migrated = Migrated { book: book.clone(), users: 0 };
        let mut accounts: Vec<_> = self.accounts.values().collect();
        accounts.sort_by(|a, b| a.access_key.cmp(&b.access_key));
        for account in accounts {
            if book.user(&account.access_key).is_some() {
                continue;
            }
            let kind = if account.admin { UserType::Super } else { UserType::Normal };
            let user = User::new(&account.access_key, &account.secret, kind);
            migrated.book = migrated
                .book
                .with_user(user)
                .with_policies(&account.access_key, policies(account))?;
            migrated.users += 1;
        }
        Ok(migrated)
    }
}

fn policies(account: &Account) -> Vec<Policy> {
    let entry = |resource: Resource, permission: Permission| {
        let (actions, decision) = match (permission.publish, permission.subscribe) {
            (true, true) => (vec![Action::Pub, Action::Sub], Decision::Allow),
            (true, false) => (vec![Action::Pub], Decision::Allow),
            (false, true) => (vec![Action::Sub], Decision::Allow),
            (false, false) => (vec![Action::All], Decision::Deny),
        };
        Entry { resource, actions, sources: Vec::new(), decision }
    };
    let mut custom: Vec<Entry> = Vec::new();
    for (kind, named) in
        [(ResourceType::Topic, &account.topics), (ResourceType::Group, &account.groups)]
    {
        let mut named: Vec<_> = named.iter().collect();
        named.sort_by_key(|(name, _)| *name);
        custom.extend(named.into_iter().map(|(name, p)| entry(Resource::literal(kind, name), *p)));
    }
    let default = vec![
        entry(Resource::any(ResourceType::Topic), account.default_topic),
        entry(Resource::any(ResourceType::Group), account.default_group),
    ];
    let policy =
        |kind, entries: Vec<Entry>| (!entries.is_empty()).then_some(Policy { kind, entries });
    [policy(PolicyType::Custom, custom), policy(PolicyType::Default, default)]
        .into_iter()
        .flatten()
        .collect()
}

fn read_account(number: usize, yaml: &Yaml) -> Result<Account, FileError> {
    let text = |key: &str| scalar(&yaml[key]);
    let long_enough = |text: &String| text.chars().count() > 6;
    let (Some(access_key), Some(secret)) =
        (text("accessKey").filter(long_enough), text("secretKey").filter(long_enough))
    else {
        return Err(FileError::Keys { number });
    };
    let mut account = Account::new(&access_key, &secret);
    let key = || access_key.clone();
    account.white = Addresses::parse(&text("whiteRemoteAddress").unwrap_or_default())
        .map_err(|source| FileError::White { access_key: key(), source })?;
    account.admin = text("admin").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let default = |name| text(name).map_or(Permission::DENY, |text| Permission::parse(&text));
    account.default_topic = default("defaultTopicPerm");
    account.default_group = default("defaultGroupPerm");
    for (name, table) in [("topicPerms", &mut account.topics), ("groupPerms", &mut account.groups)]
    {
        for permission in list(yaml, name)? {
            let value = scalar(permission).unwrap_or_default();
            let parts: Vec<_> = value.split('=').filter(|part| !part.is_empty()).collect();
            let [resource, permission] = parts[..] else {
                return Err(FileError::Permission { access_key: key(), key: name, value });
            };
            table.insert(plain_name(resource.trim()).to_owned(), Permission::parse(permission));
        }
    }
    read_resources(&mut account, yaml)?;
    for permissions in list(yaml, "namespacePerms")? {
        let member = "namespace";
        let name = scalar(&permissions[member]).ok_or_else(|| FileError::Member {
            access_key: key(),
            key: "namespacePerms",
            member,
        })?;
        let of = |key: &str| scalar(&permissions[key]).map(|text| Permission::parse(&text));
        account.namespaces.insert(name, [of("topicPerm"), of("groupPerm")]);
    }
    Ok(account)
}

fn read_resources(account: &mut Account, yaml: &Yaml) -> Result<(), FileError> {
    for permissions in list(yaml, "resourcePerms")? {
        let member = |member: &'static str| {
            scalar(&permissions[member]).ok_or_else(|| FileError::Member {
                access_key: account.access_key.clone(),
                key: "resourcePerms",
                member,
            })
        };
        let (resource, kind, permission) = (member("resource")?, member("type")?, member("perm")?);
        let name = match scalar(&permissions["namespace"]) {
            Some(namespace) => format!("{namespace}{}{resource}", super::NAMESPACE_SEPARATOR),
            None => resource,
        };
        let table = match kind.eq_ignore_ascii_case("GROUP") {
            true => &mut account.groups,
            false => &mut account.topics,
        };
        table.insert(name, Permission::parse(&permission));
    }
    Ok(())
}

/// Groups were once written as their retry topics.
fn plain_name(name: &str) -> &str {
    name.strip_prefix(RETRY_PREFIX).unwrap_or(name)
}
