//! The broker's door as the configuration wants it, and the files of ACL 1.0 behind it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use skua_acl::plain::{Rules, file::FILE_LEN_MAX};
use skua_acl::{Book, Door, DoorRules, WhiteList};
use skua_broker::Broker;
use skua_config::Settings;
use tokio::task::JoinHandle;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Files and folders looked at; more are not a folder of access control lists.
const FILES_MAX: usize = 1000;

/// Makes the door and, with ACL 1.0, the task that keeps it up to date with its files.
pub fn open_door(
    settings: &Settings,
    broker: &Broker,
) -> anyhow::Result<(Arc<Door>, Option<JoinHandle<()>>)> {
    let auth = &settings.auth;
    let white = |text: &Option<String>| WhiteList::parse(text.as_deref().unwrap_or_default());
    let rules = DoorRules {
        cluster: settings.broker.broker_cluster_name.clone(),
        plain: settings.broker.acl_enable,
        authentication: auth.authentication_enabled,
        authentication_white: white(&auth.authentication_whitelist),
        authorization: auth.authorization_enabled,
        authorization_white: white(&auth.authorization_whitelist),
    };
    let home = settings.broker.rocketmq_home.as_deref().filter(|home| !home.is_empty());
    if auth.migrate_auth_from_v1_enabled {
        let files = PlainFiles::of(home.context("migrateAuthFromV1Enabled needs rocketmqHome")?);
        migrate(broker, &files.read()?.0)?;
    }
    if auth.authentication_enabled && broker.book().load().is_empty() {
        bail!(
            "authenticationEnabled=true, and there is no user who could come in: add \
             initAuthenticationUser={{\"username\":\"admin\",\"password\":\"…\"}}, the first \
             administrator"
        );
    }
    if auth.authorization_enabled && !auth.authentication_enabled {
        tracing::warn!(
            "authorizationEnabled without authenticationEnabled: whoever names a user has its rights"
        );
    }
    let door = Arc::new(Door::new(rules, broker.book().clone()));
    if !settings.broker.acl_enable {
        return Ok((door, None));
    }
    let home = home.context(
        "aclEnable=true needs ROCKETMQ_HOME (or rocketmqHome), the folder above conf/plain_acl.yml",
    )?;
    let files = PlainFiles::of(home);
    let (rules, seen) = files.read()?;
    if rules.accounts.is_empty() && rules.white.is_empty() {
        tracing::warn!(file = %files.default.display(), "no account in the access control lists: every request is refused");
    }
    tell(&rules);
    door.set_plain(rules);
    let task = tokio::spawn(follow(files, seen, door.clone()));
    Ok((door, Some(task)))
}

fn tell(rules: &Rules) {
    tracing::info!(accounts = rules.accounts.len(), "access control lists are in force");
}

fn migrate(broker: &Broker, rules: &Rules) -> anyhow::Result<()> {
    let mut users = 0;
    broker.change_book(|book: &Book| {
        let migrated = rules.migrate(book)?;
        users = migrated.users;
        Ok(migrated.book)
    })?;
    tracing::info!(users, "accounts of ACL 1.0 taken over as users");
    Ok(())
}

/// A file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    path: PathBuf,
    modified: Option<SystemTime>,
    len: u64,
}

/// `conf/plain_acl.yml` and all YAML files under `conf/acl`, where RocketMQ looks for them.
struct PlainFiles {
    default: PathBuf,
    folder: PathBuf,
}

impl PlainFiles {
    fn of(home: &str) -> Self {
        let conf = Path::new(home).join("conf");
        Self { default: conf.join("plain_acl.yml"), folder: conf.join("acl") }
    }

    /// What there is, in the order of names; the default file last, as with RocketMQ.
    fn look(&self) -> Vec<Seen> {
        let (mut files, mut folders) = (Vec::new(), vec![self.folder.clone()]);
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten().take(FILES_MAX) {
                let path = entry.path();
                let is_yaml = path
                    .extension()
                    .is_some_and(|extension| extension == "yml" || extension == "yaml");
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    Ok(_) if is_yaml => files.push(path),
                    _ => {}
                }
            }
            if files.len() + folders.len() >= FILES_MAX {
                break;
            }
        }
        files.sort();
        files.push(self.default.clone());
        let seen = |path: PathBuf| {
            let data = std::fs::metadata(&path).ok()?;
            Some(Seen { modified: data.modified().ok(), len: data.len(), path })
        };
        files.into_iter().filter_map(seen).collect()
    }

    fn read(&self) -> anyhow::Result<(Rules, Vec<Seen>)> {
        let seen = self.look();
        let mut rules = Rules::default();
        for file in &seen {
            let path = file.path.display();
            if file.len > FILE_LEN_MAX as u64 {
                bail!("{path}: {} bytes, the most is {FILE_LEN_MAX}", file.len);
            }
            let text = std::fs::read_to_string(&file.path)
                .with_context(|| format!("cannot read {path}"))?;
            let repeated = rules.add(&text).with_context(|| path.to_string())?;
            for access_key in repeated {
                tracing::warn!(%path, access_key, "the account stands in another file, which counts");
            }
        }
        Ok((rules, seen))
    }
}

/// Takes changes over; a file that is wrong leaves everything as it was.
async fn follow(files: PlainFiles, mut seen: Vec<Seen>, door: Arc<Door>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if files.look() == seen {
            continue;
        }
        match files.read() {
            Ok((rules, now)) => {
                seen = now;
                tell(&rules);
                door.set_plain(rules);
            }
            Err(error) => {
                tracing::error!(
                    cause = format!("{error:#}"),
                    "access control lists not read, the former ones stay in force"
                );
                seen = files.look();
            }
        }
    }
}
