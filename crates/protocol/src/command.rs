//! One request or response of the remoting protocol (Java: `RemotingCommand`).

use bytes::Bytes;
use bytestring::ByteString;

use crate::code::{RequestCode, ResponseCode};
use crate::header::{DecodeFieldsError, Fields, FromFields, ToFields, from_fields};

/// Which of the two header encodings a frame uses; each frame says so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderCodec {
    Json,
    Binary,
}

/// `flag` bit 0: this is a response.
pub const FLAG_RESPONSE: i32 = 1;
/// `flag` bit 1: nobody waits for an answer, not even an error.
pub const FLAG_ONE_WAY: i32 = 2;
/// What Skua announces: RocketMQ 5.5.0 (ordinal of `MQVersion.Version.V5_5_0`).
pub const VERSION: i32 = 513;
/// What Skua announces as its language; clients choose behaviour by it.
pub const LANGUAGE: Language = Language::JAVA;

/// Language code of a peer (Java: `LanguageCode`); unknown names read as `OTHER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Language(pub u8);

/// A frame's header and body. `code` is a [`RequestCode`] or a [`ResponseCode`], by `flag`.
#[derive(Clone, Debug)]
pub struct Command {
    pub code: i32,
    pub language: Language,
    pub version: i32,
    pub opaque: i32,
    pub flag: i32,
    pub remark: Option<ByteString>,
    pub fields: Fields,
    pub body: Bytes,
    pub codec: HeaderCodec,
}

impl Command {
    /// A request with a typed header; `opaque` is set by whoever sends it.
    pub fn request<H: crate::request::Request>(header: &H) -> Self {
        Self::raw_request(H::CODE, header.to_fields())
    }

    pub fn raw_request(code: RequestCode, fields: Fields) -> Self {
        Self {
            code: code as i32,
            language: LANGUAGE,
            version: VERSION,
            opaque: 0,
            flag: 0,
            remark: None,
            fields,
            body: Bytes::new(),
            codec: HeaderCodec::Json,
        }
    }

    /// A response without header fields; the sender copies `opaque` from the request.
    pub fn response(code: ResponseCode) -> Self {
        Self {
            code: code as i32,
            language: LANGUAGE,
            version: VERSION,
            opaque: 0,
            flag: FLAG_RESPONSE,
            remark: None,
            fields: Fields::new(),
            body: Bytes::new(),
            codec: HeaderCodec::Json,
        }
    }

    pub fn success() -> Self {
        Self::response(ResponseCode::Success)
    }

    /// An error response: `remark` is what clients show in their exceptions.
    pub fn error(code: ResponseCode, remark: impl Into<ByteString>) -> Self {
        Self { remark: Some(remark.into()), ..Self::response(code) }
    }

    pub fn with_header(mut self, header: &impl ToFields) -> Self {
        self.fields = header.to_fields();
        self
    }

    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub fn with_remark(mut self, remark: impl Into<ByteString>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    pub fn one_way(mut self) -> Self {
        self.flag |= FLAG_ONE_WAY;
        self
    }

    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    pub fn is_one_way(&self) -> bool {
        self.flag & FLAG_ONE_WAY != 0
    }

    /// The typed header, or which field was missing or malformed.
    pub fn header<H: FromFields>(&self) -> Result<H, DecodeFieldsError> {
        H::from_fields(&self.fields)
    }

    /// As [`header`](Self::header), of a type whose texts stay where they are in the request.
    pub fn header_in_place<'a, H: serde::Deserialize<'a>>(
        &'a self,
    ) -> Result<H, DecodeFieldsError> {
        from_fields::in_place(&self.fields)
    }
}

macro_rules! languages {
    ($($name:ident = $code:literal),+ $(,)?) => {
        impl Language {
            $(pub const $name: Language = Language($code);)+

            /// The name used in JSON headers.
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($code => stringify!($name),)+
                    _ => "OTHER",
                }
            }

            pub fn from_name(name: &str) -> Self {
                match name {
                    $(stringify!($name) => Self::$name,)+
                    _ => Self::OTHER,
                }
            }
        }
    };
}

languages! {
    JAVA = 0, CPP = 1, DOTNET = 2, PYTHON = 3, DELPHI = 4, ERLANG = 5, RUBY = 6, OTHER = 7,
    HTTP = 8, GO = 9, PHP = 10, OMS = 11, RUST = 12, NODE_JS = 13,
}
