//! The signature of a request: HMAC-SHA1 over its fields and body, in base64.
//!
//! Java: `AclUtils.combineRequestContent` and `AclSigner`. The values of all fields but the
//! signature, in the order of their names, then the body.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use skua_protocol::Command;
use subtle::ConstantTimeEq;

/// The field that names who sends.
pub const ACCESS_KEY: &str = "AccessKey";
/// The field that proves it.
pub const SIGNATURE: &str = "Signature";
/// The field by which old clients ask for messages by unique key; they add it after signing.
const UNIQUE_KEY_QUERY: &str = "_UNIQUE_KEY_QUERY";
/// Java: ordinal of `MQVersion.Version.V4_9_3`, the last that signs so.
const VERSION_V4_9_3: i32 = 399;

/// A secret, ready to sign with.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    pub fn new(secret: &str) -> Self {
        // The algorithm is the one that all clients of RocketMQ use.
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes()))
    }

    /// What a client with this secret puts into [`SIGNATURE`].
    pub fn sign(&self, request: &Command) -> String {
        self.over(request, true)
    }

    /// Whether the request is signed with this secret; takes as long whatever is wrong with it.
    pub fn verify(&self, request: &Command) -> bool {
        self.given(request, self.over(request, request.version > VERSION_V4_9_3))
    }

    /// As [`verify`](Self::verify), whether or not the client signs the mark of unique keys: ACL
    /// 1.0 had both.
    pub fn verify_either(&self, request: &Command) -> bool {
        self.given(request, self.over(request, true))
            || request.fields.get(UNIQUE_KEY_QUERY).is_some()
                && self.given(request, self.over(request, false))
    }

    fn given(&self, request: &Command, expected: String) -> bool {
        let given = request.fields.get(SIGNATURE).unwrap_or_default();
        expected.as_bytes().ct_eq(given.as_bytes()).into()
    }

    fn over(&self, request: &Command, with_unique_key_query: bool) -> String {
        let mut fields: Vec<(Cow<'_, str>, &str)> = request
            .fields
            .iter()
            .filter(|(name, _)| *name != SIGNATURE)
            .filter(|(name, _)| with_unique_key_query || *name != UNIQUE_KEY_QUERY)
            .map(|(name, value)| (Cow::Borrowed(name), value))
            .collect();
        // Java compares names by UTF-16 units; for all names that exist these are the bytes.
        fields.sort_by(|(a, _), (b, _)| match a.is_ascii() && b.is_ascii() {
            true => a.cmp(b),
            false => a.encode_utf16().cmp(b.encode_utf16()),
        });
        let mut content = hmac::Context::with_key(&self.0);
        // A field that comes twice counts twice, so that nobody slips another value in.
        for (_, value) in fields {
            content.update(value.as_bytes());
        }
        content.update(&request.body);
        BASE64_STANDARD.encode(content.sign())
    }
}

#[cfg(test)]
mod tests {
    use skua_protocol::RequestCode;
    use skua_protocol::header::Fields;

    use super::*;

    fn request() -> Command {
        let fields = Fields::from_iter([("b", "b"), ("AccessKey", "a"), ("Signature", "old")]);
        Command::raw_request(RequestCode::SendMessageV2, fields).with_body(&b"c"[..])
    }

    #[test]
    fn the_signature_is_javas() {
        // What Java's `AclSigner` makes of "abc": the values in order of names, then the body.
        let key = SigningKey::new("secretkey1");
        assert_eq!(key.sign(&request()), "lMMhcC5ty3Uvl5yqBtOv032nv8o=");
    }

    #[test]
    fn what_was_changed_after_signing_is_found() {
        let key = SigningKey::new("secretkey1");
        let mut signed = request();
        signed.fields.set(SIGNATURE, key.sign(&signed));
        assert!(key.verify(&signed));
        assert!(!SigningKey::new("secretkey2").verify(&signed));
        let mut changed = signed.clone().with_body(&b"d"[..]);
        assert!(!key.verify(&changed), "another body");
        changed = signed.clone();
        changed.fields.set("b", "x");
        assert!(!key.verify(&changed), "another field");
        changed = signed.clone();
        changed.fields.push("z", "z");
        assert!(!key.verify(&changed), "one more field");
        changed = signed.clone();
        changed.fields.push("b", "b");
        assert!(!key.verify(&changed), "a field twice");
        changed = signed.clone();
        changed.fields.remove(SIGNATURE);
        assert!(!key.verify(&changed), "no signature");
    }

    #[test]
    fn old_clients_add_the_mark_of_unique_keys_after_signing() {
        let key = SigningKey::new("secretkey1");
        let mut signed = request();
        signed.fields.set(SIGNATURE, key.sign(&signed));
        signed.fields.push(UNIQUE_KEY_QUERY, "true");
        assert!(!key.verify(&signed) && key.verify_either(&signed));
        signed.version = VERSION_V4_9_3;
        assert!(key.verify(&signed));
    }
}
