//! The account that this side calls others with.

use serde::Deserialize;
use skua_protocol::Command;

use crate::sign::{ACCESS_KEY, SIGNATURE, SigningKey};

/// The field of a token, for accounts that have one.
const SECURITY_TOKEN: &str = "SecurityToken";

/// Signs requests as the official clients' hook does (Java: `AclClientRPCHook`).
#[derive(Clone)]
pub struct Credentials {
    access_key: String,
    token: Option<String>,
    key: SigningKey,
    /// For the user that a broker makes of them.
    secret: String,
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("accessKey and secretKey are needed")]
    Missing,
    #[error("broken YAML: {0}")]
    Yaml(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    access_key: Option<String>,
    secret_key: Option<String>,
    security_token: Option<String>,
}

impl Credentials {
    pub fn new(access_key: &str, secret: &str) -> Self {
        Self {
            access_key: access_key.to_owned(),
            token: None,
            key: SigningKey::new(secret),
            secret: secret.to_owned(),
        }
    }

    /// `{"accessKey":"…","secretKey":"…"}`
    pub fn from_json(text: &str) -> Result<Self, CredentialsError> {
        let given: Given = serde_json::from_str(text)?;
        match (given.access_key, given.secret_key) {
            (Some(access_key), Some(secret)) if !access_key.is_empty() && !secret.is_empty() => {
                let token = given.security_token;
                Ok(Self { token, ..Self::new(&access_key, &secret) })
            }
            _ => Err(CredentialsError::Missing),
        }
    }

    /// As `tools.yml` holds them, for mqadmin.
    pub fn from_yaml(text: &str) -> Result<Self, CredentialsError> {
        let (access_key, secret) =
            crate::plain::file::account(text).map_err(CredentialsError::Yaml)?;
        match (access_key, secret) {
            (Some(access_key), Some(secret)) => Ok(Self::new(&access_key, &secret)),
            _ => Err(CredentialsError::Missing),
        }
    }

    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    pub fn secret(&self) -> &str {
        &self.secret
    }

    pub fn sign(&self, request: &mut Command) {
        request.fields.set(ACCESS_KEY, self.access_key.as_str());
        if let Some(token) = &self.token {
            request.fields.set(SECURITY_TOKEN, token.as_str());
        }
        while request.fields.remove(SIGNATURE).is_some() {}
        let signature = self.key.sign(request);
        request.fields.push(SIGNATURE, signature);
    }
}

#[cfg(test)]
mod tests {
    use skua_protocol::RequestCode;
    use skua_protocol::header::Fields;

    use super::*;

    #[test]
    fn a_request_signed_twice_is_signed_once() {
        let credentials =
            Credentials::from_json(r#"{"accessKey":"me","secretKey":"12345678"}"#).expect("valid");
        let mut request = Command::raw_request(RequestCode::HeartBeat, Fields::new());
        credentials.sign(&mut request);
        let once = request.fields.clone();
        credentials.sign(&mut request);
        assert_eq!(request.fields, once);
        assert!(SigningKey::new("12345678").verify(&request));
    }

    #[test]
    fn half_an_account_is_none() {
        for text in [r#"{"accessKey":"me"}"#, r#"{"accessKey":"","secretKey":"x"}"#, "{}", "x"] {
            assert!(Credentials::from_json(text).is_err(), "{text}");
        }
    }
}
