//! [`Fields`] out of typed headers: a serde serialiser that writes (name, text) pairs.
//!
//! `None` writes no field. Headers are flat, so nested values are refused; that is a defect of
//! the header type, never of a value, and shows in the first test that uses it.

use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeStruct};

use super::fields::{Fields, Place};

/// A header that can be written as a frame's fields.
pub trait ToFields {
    fn to_fields(&self) -> Fields;
}

impl<T: Serialize> ToFields for T {
    fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        let written = self.serialize(FieldsWriter(&mut fields));
        debug_assert!(written.is_ok(), "header types are flat: {written:?}");
        fields
    }
}

/// The header type is not flat.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotFlat(String);

impl ser::Error for NotFlat {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

fn not_flat<T>(kind: &str) -> Result<T, NotFlat> {
    Err(NotFlat(format!("a header cannot hold a {kind}")))
}

struct FieldsWriter<'a>(&'a mut Fields);

struct MapWriter<'a> {
    fields: &'a mut Fields,
    /// Where the name begins.
    name: usize,
}

impl Fields {
    /// Writes the value of a field whose name stands at the end of what is written, from
    /// `name` on; without a value it is none.
    fn finish<T: ?Sized + Serialize>(&mut self, name: usize, value: &T) -> Result<(), NotFlat> {
        let end = self.own.len();
        if value.serialize(Text(&mut self.own))? {
            let name = Place::own_from(name, &self.own[..end]);
            self.places.push((name, Place::own_from(end, &self.own)));
        } else {
            self.own.truncate(name);
        }
        Ok(())
    }
}

macro_rules! refuse {
    ($($method:ident($($type:ty),*);)+) => {
        $(fn $method(self, $(_: $type),*) -> Result<Self::Ok, NotFlat> { not_flat(stringify!($method)) })+
    };
}

macro_rules! refuse_compound {
    () => {
        type SerializeSeq = Impossible<Self::Ok, NotFlat>;
        type SerializeTuple = Impossible<Self::Ok, NotFlat>;
        type SerializeTupleStruct = Impossible<Self::Ok, NotFlat>;
        type SerializeTupleVariant = Impossible<Self::Ok, NotFlat>;
        type SerializeStructVariant = Impossible<Self::Ok, NotFlat>;

        fn serialize_newtype_variant<T: ?Sized + Serialize>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<Self::Ok, NotFlat> {
            not_flat("variant with a value")
        }

        fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, NotFlat> {
            not_flat("sequence")
        }

        fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, NotFlat> {
            not_flat("tuple")
        }

        fn serialize_tuple_struct(
            self,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleStruct, NotFlat> {
            not_flat("tuple")
        }

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant, NotFlat> {
            not_flat("variant with values")
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant, NotFlat> {
            not_flat("variant with fields")
        }
    };
}

impl<'a> ser::Serializer for FieldsWriter<'a> {
    type Ok = ();
    type Error = NotFlat;
    type SerializeMap = MapWriter<'a>;
    type SerializeStruct = Self;

    refuse_compound!();
    refuse! {
        serialize_bool(bool); serialize_i8(i8); serialize_i16(i16); serialize_i32(i32);
        serialize_i64(i64); serialize_u8(u8); serialize_u16(u16); serialize_u32(u32);
        serialize_u64(u64); serialize_f32(f32); serialize_f64(f64); serialize_char(char);
        serialize_str(&str); serialize_bytes(&[u8]);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    fn serialize_none(self) -> Result<(), NotFlat> {
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), NotFlat> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NotFlat> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotFlat> {
        Ok(())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotFlat> {
        value.serialize(self)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<MapWriter<'a>, NotFlat> {
        self.0.places.reserve(len.unwrap_or(0));
        Ok(MapWriter { fields: self.0, name: 0 })
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Self, NotFlat> {
        // Two to spare for the fields every send answer gets on top.
        self.0.places.reserve(len + 2);
        self.0.own.reserve(len * TEXT_LEN);
        Ok(self)
    }
}

impl SerializeStruct for FieldsWriter<'_> {
    type Ok = ();
    type Error = NotFlat;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), NotFlat> {
        let at = self.0.own.len();
        self.0.own.push_str(name);
        self.0.finish(at, value)
    }

    fn end(self) -> Result<(), NotFlat> {
        Ok(())
    }
}

impl SerializeMap for MapWriter<'_> {
    type Ok = ();
    type Error = NotFlat;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), NotFlat> {
        self.name = self.fields.own.len();
        key.serialize(Text(&mut self.fields.own)).map(drop)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), NotFlat> {
        self.fields.finish(self.name, value)
    }

    fn end(self) -> Result<(), NotFlat> {
        Ok(())
    }
}

/// Room for a field's name and value.
const TEXT_LEN: usize = 24;

/// Writes one value as text behind what is there; false for an absent one.
struct Text<'a>(&'a mut String);

macro_rules! integers {
    ($($method:ident $type:ty),+) => {
        $(fn $method(self, value: $type) -> Result<bool, NotFlat> {
            self.write(itoa::Buffer::new().format(value))
        })+
    };
}

impl Text<'_> {
    fn write(self, text: &str) -> Result<bool, NotFlat> {
        self.0.push_str(text);
        Ok(true)
    }
}

impl ser::Serializer for Text<'_> {
    type Ok = bool;
    type Error = NotFlat;
    type SerializeMap = Impossible<Self::Ok, NotFlat>;
    type SerializeStruct = Impossible<Self::Ok, NotFlat>;

    refuse_compound!();
    refuse! { serialize_bytes(&[u8]); }

    integers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64
    }

    fn serialize_bool(self, value: bool) -> Result<Self::Ok, NotFlat> {
        self.write(if value { "true" } else { "false" })
    }

    fn serialize_f32(self, value: f32) -> Result<Self::Ok, NotFlat> {
        self.write(&value.to_string())
    }

    fn serialize_f64(self, value: f64) -> Result<Self::Ok, NotFlat> {
        self.write(&value.to_string())
    }

    fn serialize_char(self, value: char) -> Result<Self::Ok, NotFlat> {
        self.write(&value.to_string())
    }

    fn serialize_str(self, value: &str) -> Result<Self::Ok, NotFlat> {
        self.write(value)
    }

    fn serialize_none(self) -> Result<Self::Ok, NotFlat> {
        Ok(false)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Self::Ok, NotFlat> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Self::Ok, NotFlat> {
        Ok(false)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Self::Ok, NotFlat> {
        Ok(false)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Self::Ok, NotFlat> {
        self.write(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Self::Ok, NotFlat> {
        value.serialize(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NotFlat> {
        not_flat("map")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, NotFlat> {
        not_flat("struct")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Header {
        queue_id: i32,
        queue_offset: i64,
        transaction_id: Option<&'static str>,
        force: Option<bool>,
    }

    #[test]
    fn every_value_is_text_and_none_writes_nothing() {
        let fields = Header {
            queue_id: -1,
            queue_offset: i64::MAX,
            transaction_id: None,
            force: Some(true),
        }
        .to_fields();
        let pairs: Vec<_> = fields.iter().collect();
        assert_eq!(
            pairs,
            [("queueId", "-1"), ("queueOffset", "9223372036854775807"), ("force", "true")]
        );
        assert!(().to_fields().is_empty());
    }
}
