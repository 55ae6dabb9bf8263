//! Java's `String.hashCode`, which consume queues keep of tags.

/// `String.hashCode`: over UTF-16 units, wrapping.
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// What a consume queue entry keeps of a message's tag; 0 for none.
pub fn tags_code(tags: &str) -> i64 {
    i64::from(java_hash(tags))
}
