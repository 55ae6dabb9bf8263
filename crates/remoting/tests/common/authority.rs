//! Certificates in files, for tests of this crate and with official clients.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};

/// Years in which certificates end.
pub const VALID: i32 = 2120;
pub const EXPIRED: i32 = 2021;

/// Where a key in PKCS #8 and its certificate are.
pub struct Issued {
    pub key: PathBuf,
    pub cert: PathBuf,
}

/// An authority whose certificates lie in files of a folder.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
    name: String,
}

fn params(name: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

fn write(dir: &Path, name: &str, key: &KeyPair, cert: &str) -> Issued {
    let path = |end: &str| dir.join(format!("{name}.{end}"));
    let issued = Issued { key: path("key"), cert: path("pem") };
    fs::write(&issued.key, key.serialize_pem()).expect("a file");
    fs::write(&issued.cert, cert).expect("a file");
    issued
}

impl Authority {
    pub fn new(dir: &Path, name: &str) -> Self {
        let mut params = params(name, VALID);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let authority = Self { issuer, dir: dir.to_owned(), name: name.to_owned() };
        fs::write(authority.trust(), authority.issuer.pem()).expect("a file");
        authority
    }

    /// Its own certificate.
    pub fn trust(&self) -> PathBuf {
        self.dir.join(format!("{}.pem", self.name))
    }

    /// Makes `name.key` and `name.pem`, which ends with `until`.
    pub fn issue(&self, name: &str, until: i32) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let cert = params(name, until).signed_by(&key, &self.issuer).expect("a certificate");
        write(&self.dir, name, &key, &cert.pem())
    }
}

/// As most are made: an authority that shows itself.
pub fn self_signed(dir: &Path, name: &str, until: i32) -> Issued {
    let mut params = params(name, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let cert = params.self_signed(&key).expect("a certificate");
    write(dir, name, &key, &cert.pem())
}
