//! Keys of TLS.

use super::config_table;
use crate::check::{client_auth, tls_mode};

config_table! {
    |env|
    /// TLS (Java: `TlsSystemConfig`): system properties with RocketMQ, most of them also in
    /// tls.properties; here in the role's own file too.
    pub struct TlsConfig("TlsSystemConfig");

    /// Whether certificates of servers have to come from tls.client.trustCertPath.
    restart client_auth_server "tls.client.authServer": bool = false;
    /// PEM file of the certificate shown to servers that ask for one.
    restart client_cert_path "tls.client.certPath": Option<String> = None;
    /// Password of that key.
    restart client_key_password "tls.client.keyPassword": Option<String> = None;
    /// PEM file of the key of tls.client.certPath, in PKCS #8.
    restart client_key_path "tls.client.keyPath": Option<String> = None;
    /// PEM file of the certificates that servers are believed by.
    restart client_trust_cert_path "tls.client.trustCertPath": Option<String> = None;
    /// File with keys of TLS, which win over those from elsewhere.
    restart config_file "tls.config.file": String = "/etc/rocketmq/tls.properties".into();
    /// Connects to others by TLS; with tls.server.mode=enforcing unless said otherwise.
    restart enable "tls.enable": bool = false;
    /// Whether certificates of clients have to come from tls.server.trustCertPath.
    restart server_auth_client "tls.server.authClient": bool = false;
    /// PEM file of the certificate, those between it and the authority behind it.
    restart server_cert_path "tls.server.certPath": Option<String> = None;
    /// Password of that key.
    restart server_key_password "tls.server.keyPassword": Option<String> = None;
    /// PEM file of the key of tls.server.certPath, in PKCS #8.
    restart server_key_path "tls.server.keyPath": Option<String> = None;
    /// disabled refuses TLS, permissive serves plain connections and TLS on one port, enforcing serves TLS only.
    restart server_mode "tls.server.mode": String = "permissive".into(), checked tls_mode;
    /// Asks clients for a certificate: none, optional or require.
    restart need_client_auth "tls.server.need.client.auth": String = "none".into(), checked client_auth;
    /// PEM file of the certificates that clients are believed by.
    restart server_trust_cert_path "tls.server.trustCertPath": Option<String> = None;
    /// Shows a certificate made at the start and looks at nobody's; for tests, and to keep listeners out.
    restart test_mode "tls.test.mode.enable": bool = true;
}

impl TlsConfig {
    /// Takes one key from elsewhere than a role's own file.
    ///
    /// # Errors
    /// In words, what is accepted.
    pub fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        use super::Part;
        let value = value.trim();
        if let Some(row) = Self::KEYS.iter().find(|row| row.name == key) {
            row.check(value)?;
            self.set(key, value)?;
        }
        Ok(())
    }
}
