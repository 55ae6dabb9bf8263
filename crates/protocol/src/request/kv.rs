//! The name server's key-value configuration: 100 to 102, 219.

use bytestring::ByteString;

use super::headers;

headers! {
    /// Java: `PutKVConfigRequestHeader`.
    request PutKvConfig => () {
        namespace: ByteString,
        key: ByteString,
        value: ByteString,
    }

    /// Java: `GetKVConfigRequestHeader`.
    request GetKvConfig => GetKvConfigResponse {
        namespace: ByteString,
        key: ByteString,
    }

    response GetKvConfigResponse {
        value: Option<ByteString>,
    }

    /// Java: `DeleteKVConfigRequestHeader`.
    request DeleteKvConfig => () {
        namespace: ByteString,
        key: ByteString,
    }

    /// Java: `GetKVListByNamespaceRequestHeader`; the answer's body is
    /// [`crate::body::KvTable`].
    request GetKvListByNamespace => () {
        namespace: ByteString,
    }
}
