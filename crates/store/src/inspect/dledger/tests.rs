use super::entry::{HEAD_LEN, Head, Place, look};

fn head(magic: i32, size: i32, index: i64, position: i64, body: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&magic.to_be_bytes());
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&index.to_be_bytes());
    bytes.extend_from_slice(&7_i64.to_be_bytes());
    bytes.extend_from_slice(&position.to_be_bytes());
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(&body.to_be_bytes());
    bytes
}

#[test]
fn heads_are_taken_only_if_all_of_them_is_right() {
    let right = head(1, 148, 5, 1000, 100);
    let expected = Head { size: 148, index: 5, term: 7, position: 1000 };
    assert_eq!(look(&right, 1000, 148), Place::Entry(expected));
    assert_eq!(look(&head(-1, 90, 0, 0, 0), 1000, 90), Place::Blank);
    assert_eq!(look(&[0; HEAD_LEN], 1000, 90), Place::Nothing);
    let wrong = [
        (right.clone(), 999, 148),
        (right.clone(), 1000, 147),
        (right[..20].to_vec(), 1000, 20),
        (right[..6].to_vec(), 1000, 6),
        (head(2, 148, 5, 1000, 100), 1000, 148),
        (head(0, 148, 5, 1000, 100), 1000, 148),
        (head(-1, 90, 0, 0, 0), 1000, 91),
        (head(1, 47, 5, 1000, -1), 1000, 148),
        (head(1, -148, 5, 1000, 100), 1000, 148),
        (head(1, 148, 5, 1000, 101), 1000, 148),
        (head(1, 148, -5, 1000, 100), 1000, 148),
        (head(1, 148, 5, -1000, 100), 1000, 148),
    ];
    for (bytes, position, room) in wrong {
        let found = look(&bytes, position, room);
        assert!(matches!(found, Place::Wrong(_)), "{bytes:?} at {position}: {found:?}");
    }
}
