//! Keys and certificates in PEM files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pkcs8::EncryptedPrivateKeyInfo;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::{KeyFiles, TlsError, provider};

/// Longest file that is read.
const FILE_LEN_MAX: u64 = 4 << 20;

/// Why a file gives no key or certificate.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {len} bytes, the most is {FILE_LEN_MAX}", path.display())]
    TooLong { path: PathBuf, len: u64 },
    #[error("{}: broken PEM: {cause}", path.display())]
    Pem { path: PathBuf, cause: String },
    #[error("{}: no certificate in it", path.display())]
    NoCert { path: PathBuf },
    #[error("{}: no private key in it", path.display())]
    NoKey { path: PathBuf },
    #[error("{}: the key is encrypted and no password is given", path.display())]
    NoPassword { path: PathBuf },
    #[error(
        "{}: the key cannot be decrypted ({cause}): a wrong password, or an old cipher; `openssl \
         pkcs8 -topk8 -v2 aes256` makes one that can", path.display()
    )]
    Decrypt { path: PathBuf, cause: String },
    #[error("{}: {source}", path.display())]
    Key { path: PathBuf, source: rustls::Error },
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    let len = fs::metadata(path).map_err(io)?.len();
    if len > FILE_LEN_MAX {
        return Err(FileError::TooLong { path: path.to_owned(), len });
    }
    fs::read(path).map_err(io)
}

fn broken(path: &Path, error: &pem::Error) -> FileError {
    FileError::Pem { path: path.to_owned(), cause: error.to_string() }
}

/// All certificates of a file, in its order.
pub fn certs(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let text = read(path)?;
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certs = certs.map_err(|error| broken(path, &error))?;
    if certs.is_empty() {
        return Err(FileError::NoCert { path: path.to_owned() });
    }
    Ok(certs)
}

fn key(path: &Path, password: Option<&str>) -> Result<PrivateKeyDer<'static>, FileError> {
    let text = read(path)?;
    let no_key = || FileError::NoKey { path: path.to_owned() };
    if let Some(encrypted) = encrypted_key(&text) {
        let encrypted = encrypted.ok_or_else(|| FileError::Pem {
            path: path.to_owned(),
            cause: "the encrypted key is no base64".into(),
        })?;
        let password = password.ok_or_else(|| FileError::NoPassword { path: path.to_owned() })?;
        let decrypt = |cause: pkcs8::Error| FileError::Decrypt {
            path: path.to_owned(),
            cause: cause.to_string(),
        };
        let info = EncryptedPrivateKeyInfo::try_from(&encrypted[..]).map_err(decrypt)?;
        let plain = info.decrypt(password).map_err(decrypt)?;
        return Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into());
    }
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(no_key()),
        Err(error) => Err(broken(path, &error)),
    }
}

/// The content between the lines of an encrypted PKCS #8 key, which the PEM reader passes over.
fn encrypted_key(text: &[u8]) -> Option<Option<Vec<u8>>> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let text = std::str::from_utf8(text).ok()?;
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    // Read as one of the kinds that the reader knows.
    let relabelled = format!("-----BEGIN PRIVATE KEY-----{body}-----END PRIVATE KEY-----\n");
    let mut input = relabelled.as_bytes();
    let section = pem::from_buf(&mut input).ok().flatten();
    Some(section.filter(|(kind, _)| *kind == SectionKind::PrivateKey).map(|(_, der)| der))
}

/// The key with its certificates; `keys` are the configuration's names of the files.
pub fn certified(own: &KeyFiles, keys: [&'static str; 2]) -> Result<CertifiedKey, TlsError> {
    let [key_name, cert_name] = keys;
    let key_path = own.key.as_ref().ok_or(TlsError::Missing { key: key_name })?;
    let cert_path = own.cert.as_ref().ok_or(TlsError::Missing { key: cert_name })?;
    let certs = certs(cert_path)?;
    let der = key(key_path, own.password.as_deref())?;
    let key = provider()
        .key_provider
        .load_private_key(der)
        .map_err(|source| FileError::Key { path: key_path.clone(), source })?;
    let certified = CertifiedKey::new(certs, key);
    match certified.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(TlsError::Mismatch { key: key_path.clone(), cert: cert_path.clone() })
        }
        // A certificate that cannot be taken apart here is for the clients to judge.
        _ => Ok(certified),
    }
}

/// Files whose change is noticed by time and length.
pub struct Watched {
    paths: Vec<PathBuf>,
    seen: Vec<Option<(SystemTime, u64)>>,
}

impl Watched {
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a Option<PathBuf>>) -> Self {
        let paths: Vec<_> = paths.into_iter().flatten().cloned().collect();
        let seen = look(&paths);
        Self { paths, seen }
    }

    /// Whether any has changed since this was last asked.
    pub fn changed(&mut self) -> bool {
        let now = look(&self.paths);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

fn look(paths: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let state = |path: &PathBuf| {
        let data = fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len()))
    };
    paths.iter().map(state).collect()
}
