//! Configuration of running roles, bodies as properties text: 25, 26, 318, 319.

use bytestring::ByteString;

use super::headers;

headers! {
    /// The body is properties text.
    request UpdateBrokerConfig => () {}

    /// The answer's body is sorted properties text.
    request GetBrokerConfig => GetBrokerConfigResponse {}

    response GetBrokerConfigResponse {
        /// [`crate::body::DataVersion`] as JSON.
        version: Option<ByteString>,
    }

    /// The body is properties text.
    request UpdateNamesrvConfig => () {}

    /// The answer's body is sorted properties text.
    request GetNamesrvConfig => () {}
}
