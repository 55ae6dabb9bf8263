//! One entry of DLedger's data files.
//!
//! ```text
//! | 4 magic, 1 | 4 size | 8 index | 8 term | 8 position | 4 channel | 4 CRC | 4 CRC | 4 n | n body |
//! ```
//! All big-endian. The size is that of the whole entry; the CRCs are zero. The position is the
//! entry's own, counted over all files as in a commit log. The body is a record of the commit log,
//! whose physical offset is that of its first byte here; entries without a body are none's message.
//! What is left of a file is filled: `| 4 magic, -1 | 4 size |`.

/// Bytes before the body.
pub const HEAD_LEN: usize = 48;
const MAGIC: i32 = 1;
const MAGIC_BLANK: i32 = -1;

/// An entry's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the whole entry.
    pub size: usize,
    pub index: u64,
    pub term: i64,
    pub position: u64,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Entry(Head),
    /// The file ends here.
    Blank,
    /// Zeros where an entry would begin.
    Nothing,
    Wrong(String),
}

/// What `bytes` begin with, which stand at `position`; `room` bytes of the file are left.
pub(super) fn look(bytes: &[u8], position: u64, room: u64) -> Place {
    let wrong = |why: String| Place::Wrong(why);
    let (Some(magic), Some(size)) = (int4(bytes, 0), int4(bytes, 4)) else {
        return wrong(format!("only {room} bytes are left of the file"));
    };
    match (magic, size) {
        (MAGIC_BLANK, size) if u64::try_from(size) == Ok(room) => return Place::Blank,
        (0, 0) => return Place::Nothing,
        (MAGIC, _) => {}
        _ => return wrong(format!("magic {magic} is no entry's")),
    }
    let Some(head) = bytes.first_chunk::<HEAD_LEN>() else {
        return wrong(format!("an entry's head does not fit the {room} bytes left of the file"));
    };
    let body = int4(head, 44).unwrap_or_default();
    let fits = |size: &usize| *size >= HEAD_LEN && *size as u64 <= room;
    let Some(whole) = usize::try_from(size).ok().filter(fits) else {
        return wrong(format!("an entry of {size} bytes where {room} are left of the file"));
    };
    if usize::try_from(body) != Ok(whole - HEAD_LEN) {
        return wrong(format!("an entry of {size} bytes with a body of {body}"));
    }
    let (Ok(index), term, Ok(own)) =
        (u64::try_from(int8(head, 8)), int8(head, 16), u64::try_from(int8(head, 24)))
    else {
        return wrong("an entry's index or position is negative".to_owned());
    };
    if own != position {
        return wrong(format!("an entry of position {own} stands at {position}"));
    }
    Place::Entry(Head { size: whole, index, term, position })
}

fn int4(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn int8(head: &[u8; HEAD_LEN], at: usize) -> i64 {
    i64::from_be_bytes(head[at..at + 8].try_into().expect("the range has eight bytes"))
}
