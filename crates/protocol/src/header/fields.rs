//! The named fields of a header, all text, without a piece of memory for each.

use bytestring::ByteString;

/// The `extFields` of a frame in the order they came.
///
/// Names and values stand where they were read, or behind each other in one piece of memory.
#[derive(Clone, Default)]
pub struct Fields {
    /// The header that they came in, if its text is shared with it.
    pub(super) read: ByteString,
    /// What was written since, and what escapes stood for.
    pub(super) own: String,
    pub(super) places: Vec<(Place, Place)>,
}

/// Where a text stands.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Read { at: u32, len: u32 },
    Own { at: u32, len: u32 },
}

impl Place {
    pub(super) fn text<'a>(self, read: &'a str, own: &'a str) -> &'a str {
        let (text, at, len) = match self {
            Self::Read { at, len } => (read, at as usize, len as usize),
            Self::Own { at, len } => (own, at as usize, len as usize),
        };
        &text[at..at + len]
    }

    /// From `at` to the end of `own`.
    pub(super) fn own_from(at: usize, own: &str) -> Self {
        Self::Own { at: place(at), len: place(own.len() - at) }
    }
}

/// A frame, and so what is read of one or written to it, is far shorter.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("fields are shorter than four gigabytes")
}

impl Fields {
    pub const fn new() -> Self {
        Self { read: ByteString::new(), own: String::new(), places: Vec::new() }
    }

    /// Room for so many fields, and so many bytes of names and values.
    pub(super) fn with_room(fields: usize, bytes: usize) -> Self {
        Self {
            read: ByteString::new(),
            own: String::with_capacity(bytes),
            places: Vec::with_capacity(fields),
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Adds a field at the end; one of the same name that is there already stays first.
    #[inline]
    pub fn push(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        let (name, value) = (self.keep(name.as_ref()), self.keep(value.as_ref()));
        self.places.push((name, value));
    }

    /// Replaces the value of `name`, or adds it.
    pub fn set(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        match self.position(name.as_ref()) {
            Some(at) => self.places[at].1 = self.keep(value.as_ref()),
            None => self.push(name, value),
        }
    }

    /// Takes `name` out and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.position(name)?;
        let (_, value) = self.places.remove(at);
        Some(value.text(&self.read, &self.own).to_owned())
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let (read, own) = (&*self.read, &*self.own);
        self.places.iter().map(move |(name, value)| (name.text(read, own), value.text(read, own)))
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.iter().position(|(key, _)| key == name)
    }

    pub(super) fn keep(&mut self, text: &str) -> Place {
        let at = self.own.len();
        self.own.push_str(text);
        Place::own_from(at, &self.own)
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        let mut all = Self::new();
        fields.into_iter().for_each(|(name, value)| all.push(name, value));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_and_fields_written_are_alike() {
        let header = br#"{"extFields":{"a":"1","b":"x\ny","a":"2"}}"#;
        let mut read = super::super::json::decode(header.as_slice().into()).unwrap().fields;
        let written = Fields::from_iter([("a", "1"), ("b", "x\ny"), ("a", "2")]);
        assert_eq!(read, written);
        assert_eq!(read.get("a"), Some("1"), "the first of a name");
        read.set("a", "three");
        read.set("c", "4");
        assert_eq!(read.remove("b").as_deref(), Some("x\ny"));
        assert_eq!(read.remove("b"), None);
        let expected = Fields::from_iter([("a", "three"), ("a", "2"), ("c", "4")]);
        assert_eq!(read, expected);
        assert_ne!(read, written);
        assert_eq!(format!("{expected:?}"), r#"{"a": "three", "a": "2", "c": "4"}"#);
    }
}
