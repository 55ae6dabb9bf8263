use std::collections::HashMap;
use std::time::Instant;

/// One line told by a driver: a word and its values.
#[derive(Clone, Debug)]
pub struct Event {
    /// `sent`, `lost`, `got`, `refused`, `range`, `end` or `fail`.
    pub word: String,
    /// Words without a key, such as the command's id after `end`.
    pub plain: Vec<String>,
    values: HashMap<String, String>,
    /// When the harness read it.
    pub at: Instant,
}

impl Event {
    /// Reads what follows the mark `@ `.
    pub(crate) fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default().to_owned();
        let (mut plain, mut values) = (Vec::new(), HashMap::new());
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => drop(values.insert(key.to_owned(), value.to_owned())),
                None => plain.push(word.to_owned()),
            }
        }
        Self { word, plain, values, at: Instant::now() }
    }

    pub fn get(&self, key: &str) -> &str {
        self.values.get(key).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }

    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub fn number(&self, key: &str) -> i64 {
        self.get(key).parse().unwrap_or_else(|e| panic!("{key} in {self:?}: {e}"))
    }

    /// What makes the message this one: its body's first word, length and checksum, and its tag.
    pub fn message(&self) -> [&str; 4] {
        // Java prints an absent tag as `null`, Go as nothing.
        let tag = self.get("tag");
        let tag = if tag == "null" { "" } else { tag };
        [self.get("body"), self.get("size"), self.get("crc"), tag]
    }
}
