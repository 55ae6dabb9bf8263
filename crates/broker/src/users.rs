//! Users and their rules, kept in `config/auth.json`, and those that the configuration makes.
//!
//! Java keeps both in RocksDB under `config/`. Decisions are made from the book in memory; a change
//! counts once it is on disk.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use serde::Deserialize;
use skua_acl::{Book, BookError, Credentials, CredentialsError, User, UserType};
use skua_config::AuthConfig;
use skua_protocol::json::{self, JsonError};

use crate::files::{ConfigFile, LoadError, SaveError};
use crate::swap_map::lock;

pub const FILE: &str = "auth.json";
/// Longest content of the file, which is read and written whole.
const FILE_LEN_MAX: usize = 32 << 20;

/// Why there are no users to begin with.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Keep(#[from] ChangeError),
    #[error("initAuthenticationUser: {0}")]
    First(JsonError),
    #[error("initAuthenticationUser needs username and password")]
    FirstIsNobody,
    #[error("innerClientAuthenticationCredentials: {0}")]
    Inner(#[from] CredentialsError),
}

/// Why a change has not happened.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Book(#[from] BookError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error("users and rules would take {len} bytes, the most is {FILE_LEN_MAX}")]
    TooLong { len: usize },
}

pub struct Users {
    book: Arc<ArcSwap<Book>>,
    file: ConfigFile,
    changing: Mutex<()>,
}

impl Users {
    pub fn open(file: ConfigFile, config: &AuthConfig) -> Result<Self, UsersError> {
        let book = file.load(Book::from_json)?.unwrap_or_default();
        let users = Self { book: Arc::default(), file, changing: Mutex::default() };
        users.book.store(Arc::new(book));
        let with_own = with_own((*users.book.load_full()).clone(), config)?;
        if with_own.users(None).count() > users.book.load().users(None).count() {
            users.keep(with_own)?;
        }
        Ok(users)
    }

    /// What decisions are made from; it follows every change.
    pub fn book(&self) -> &Arc<ArcSwap<Book>> {
        &self.book
    }

    pub fn change(
        &self,
        change: impl FnOnce(&Book) -> Result<Book, BookError>,
    ) -> Result<(), ChangeError> {
        let _changing = lock(&self.changing);
        let book = change(&self.book.load())?;
        self.keep(book)
    }

    fn keep(&self, book: Book) -> Result<(), ChangeError> {
        let content = book.to_json();
        if content.len() > FILE_LEN_MAX {
            return Err(ChangeError::TooLong { len: content.len() });
        }
        self.file.save(|| content)?;
        self.book.store(Arc::new(book));
        Ok(())
    }
}

/// With the users that the configuration names, if they are not there.
fn with_own(mut book: Book, config: &AuthConfig) -> Result<Book, UsersError> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct First {
        username: String,
        password: String,
    }
    if let Some(text) = given(config.init_authentication_user.as_deref()) {
        let first: First = json::from_slice(text.as_bytes()).map_err(UsersError::First)?;
        if first.username.trim().is_empty() || first.password.trim().is_empty() {
            return Err(UsersError::FirstIsNobody);
        }
        book = book.with_user(User::new(&first.username, &first.password, UserType::Super));
    }
    if let Some(inner) = inner_credentials(config)? {
        book = book.with_user(User::new(inner.access_key(), inner.secret(), UserType::Super));
    }
    Ok(book)
}

fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

/// What the broker signs its own requests with.
pub fn inner_credentials(config: &AuthConfig) -> Result<Option<Credentials>, CredentialsError> {
    given(config.inner_client_authentication_credentials.as_deref())
        .map(Credentials::from_json)
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::MemoryFiles;

    fn open(files: &Arc<MemoryFiles>, config: &AuthConfig) -> Result<Users, UsersError> {
        Users::open(ConfigFile::new(files.clone(), FILE), config)
    }

    fn with_first(text: &str) -> AuthConfig {
        AuthConfig { init_authentication_user: Some(text.to_owned()), ..AuthConfig::default() }
    }

    #[test]
    fn the_first_user_is_made_once_and_kept() {
        let files = Arc::<MemoryFiles>::default();
        let config = with_first(r#"{"username":"admin","password":"one"}"#);
        let users = open(&files, &config).expect("right");
        let user = users.book().load_full().user("admin").expect("made").clone();
        assert_eq!(user.kind, UserType::Super);
        drop(users);
        let again = with_first(r#"{"username":"admin","password":"two"}"#);
        let users = open(&files, &again).expect("right");
        let info = users.book().load().user("admin").expect("kept").info();
        assert_eq!(info.password.as_deref(), Some("one"), "who is there stays");
    }

    #[test]
    fn nothing_is_written_where_nobody_is_made() {
        use crate::files::Files;
        let files = Arc::<MemoryFiles>::default();
        open(&files, &AuthConfig::default()).expect("empty");
        assert_eq!(files.read(FILE).expect("memory"), None);
    }

    #[test]
    fn a_first_user_that_is_none_stops_the_start() {
        let files = Arc::<MemoryFiles>::default();
        for text in ["{", "{}", r#"{"username":"x"}"#, r#"{"username":" ","password":"p"}"#] {
            assert!(open(&files, &with_first(text)).is_err(), "{text}");
        }
    }
}
