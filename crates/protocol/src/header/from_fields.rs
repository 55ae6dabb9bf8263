//! Typed headers out of [`Fields`]: a serde deserialiser over (name, text) pairs.
//!
//! Numbers are decimal text, booleans `true` or anything else (Java: `Boolean.parseBoolean`), an
//! `Option` is `None` when the field is absent. Fields the header does not declare are ignored.

use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor,
};

use super::Fields;

/// Which field of a header was missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFieldsError {
    #[error("missing field `{0}`")]
    Missing(&'static str),
    #[error("`{name}`: `{value}` is not {expected}")]
    Invalid { name: String, value: String, expected: String },
    #[error("{0}")]
    Other(String),
}

impl de::Error for DecodeFieldsError {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self::Other(text.to_string())
    }

    fn missing_field(name: &'static str) -> Self {
        Self::Missing(name)
    }
}

/// A header that can be read from a frame's fields.
pub trait FromFields: Sized {
    fn from_fields(fields: &Fields) -> Result<Self, DecodeFieldsError>;
}

impl<T: DeserializeOwned> FromFields for T {
    fn from_fields(fields: &Fields) -> Result<Self, DecodeFieldsError> {
        T::deserialize(FieldsReader(fields))
    }
}

/// Reads a header whose texts stay where they are in the fields.
pub(crate) fn in_place<'a, T: Deserialize<'a>>(fields: &'a Fields) -> Result<T, DecodeFieldsError> {
    T::deserialize(FieldsReader(fields))
}

struct FieldsReader<'a>(&'a Fields);

impl<'a> de::Deserializer<'a> for FieldsReader<'a> {
    type Error = DecodeFieldsError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(FieldsAccess { rest: self.0.iter(), current: None })
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct FieldsAccess<'a, I> {
    rest: I,
    current: Option<(&'a str, &'a str)>,
}

impl<'a, I: ExactSizeIterator<Item = (&'a str, &'a str)>> MapAccess<'a> for FieldsAccess<'a, I> {
    type Error = DecodeFieldsError;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        self.current = self.rest.next();
        match self.current {
            Some((name, _)) => {
                seed.deserialize(de::value::BorrowedStrDeserializer::new(name)).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        let Some((name, value)) = self.current else {
            return Err(DecodeFieldsError::Other("value asked for before its name".into()));
        };
        seed.deserialize(Value { name, value })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

#[derive(Clone, Copy)]
struct Value<'a> {
    name: &'a str,
    value: &'a str,
}

impl Value<'_> {
    #[cold]
    fn is_not(self, expected: &str) -> DecodeFieldsError {
        DecodeFieldsError::Invalid {
            name: self.name.to_owned(),
            value: shortened(self.value),
            expected: expected.to_owned(),
        }
    }
}

/// Keeps hostile values from filling logs and remarks.
fn shortened(value: &str) -> String {
    const SHOWN_MAX: usize = 100;
    match value.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty, $expected:literal;)+) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            match self.value.parse::<$type>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(self.is_not($expected)),
            }
        })+
    };
}

impl<'a> de::Deserializer<'a> for Value<'a> {
    type Error = DecodeFieldsError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_borrowed_str(self.value)
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_bool(self.value.eq_ignore_ascii_case("true"))
    }

    parsed! {
        deserialize_i8 visit_i8 i8, "an 8-bit integer";
        deserialize_i16 visit_i16 i16, "a 16-bit integer";
        deserialize_i32 visit_i32 i32, "an integer";
        deserialize_i64 visit_i64 i64, "a 64-bit integer";
        deserialize_u8 visit_u8 u8, "an unsigned 8-bit integer";
        deserialize_u16 visit_u16 u16, "an unsigned 16-bit integer";
        deserialize_u32 visit_u32 u32, "an unsigned integer";
        deserialize_u64 visit_u64 u64, "an unsigned 64-bit integer";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let name: de::value::StrDeserializer<'_, DecodeFieldsError> =
            self.value.into_deserializer();
        visitor
            .visit_enum(name)
            .map_err(|_| self.is_not(&format!("one of {}", variants.join(", "))))
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier
    }
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Header {
        topic: ByteString,
        queue_id: i32,
        offset: Option<i64>,
        order: Option<bool>,
    }

    fn fields(pairs: &[(&'static str, &'static str)]) -> Fields {
        pairs.iter().copied().collect()
    }

    #[test]
    fn known_fields_are_read_and_unknown_ones_ignored() {
        let read = Header::from_fields(&fields(&[
            ("bname", "broker-a"),
            ("queueId", "-3"),
            ("topic", "T"),
            ("order", "True"),
        ]));
        let expected = Header { topic: "T".into(), queue_id: -3, offset: None, order: Some(true) };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn a_missing_field_is_named() {
        let error = Header::from_fields(&fields(&[("queueId", "0")])).unwrap_err();
        assert_eq!(error.to_string(), "missing field `topic`");
    }

    #[test]
    fn a_malformed_field_is_named_with_its_value() {
        let error = Header::from_fields(&fields(&[("topic", "T"), ("queueId", "x")])).unwrap_err();
        assert_eq!(error.to_string(), "`queueId`: `x` is not an integer");
        let error =
            Header::from_fields(&fields(&[("topic", "T"), ("queueId", "1"), ("offset", "9e9")]))
                .unwrap_err();
        assert_eq!(error.to_string(), "`offset`: `9e9` is not a 64-bit integer");
    }

    #[test]
    fn a_header_without_fields_reads_from_anything() {
        assert_eq!(<()>::from_fields(&fields(&[("a", "b")])), Ok(()));
    }
}
