use super::layout::{name_of, *};
use super::*;

#[test]
fn a_file_is_named_by_the_time_of_its_making() {
    assert_eq!(name_at(Millis(1_795_465_300_029)), 20_261_123_202_140_029);
    assert_eq!(name_at(Millis(0)), 19_700_101_000_000_000);
    // 2024-02-29T23:59:59.999Z
    assert_eq!(name_at(Millis(1_709_251_199_999)), 20_240_229_235_959_999);
    assert_eq!(name_of("20261123202140029"), Some(20_261_123_202_140_029));
    assert_eq!(name_of("2026112320214002x"), None);
    assert_eq!(name_of("1"), None);
}

#[test]
fn hashes_are_those_of_java() {
    assert_eq!(key_hash("TopicA", KeyKind::Tag, "TagA"), 1_924_910_951);
    assert_eq!(key_hash("TopicA", KeyKind::Key, "k1"), 1_903_240_649);
    let whole = skua_protocol::record::java_hash("тема#ключ😀");
    assert_eq!(key_hash("тема", KeyKind::Key, "ключ😀"), whole.unsigned_abs());
    assert_eq!(entry_hash(i32::MIN), 0);
    let long = "AC1100010A2B0083094605A924C70001 and whatever else stands in a key~";
    for cut in 0..long.len() {
        let (start, rest) = long.split_at(cut);
        assert_eq!(hash_on(hash_on(0, start), rest), skua_protocol::record::java_hash(long));
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    let header = Header {
        first_time: 1,
        last_time: 2,
        first_offset: 3,
        last_offset: 1 << 40,
        used_slots: 5,
        count: 6,
    };
    assert_eq!(Header::decode(&header.encode()), header);
    assert_ne!(header.fingerprint(), Header { count: 7, ..header }.fingerprint());
    let entry = Entry { hash: 7, offset: 1 << 41, seconds: 9, older: 10 };
    assert_eq!(Entry::decode(&entry.encode()), entry);
    let broken = Header::decode(&[0xff; HEADER_LEN]);
    assert_eq!(broken, Header { count: 1, ..Header::default() });
}

#[test]
fn a_batch_gives_the_same_file_however_it_is_cut() {
    use crate::disk::{SimDisk, *};
    let layout = Layout { slots: 5000, entries: 3000 };
    let write = |sizes: &[usize]| {
        let disk = SimDisk::new(1);
        let path = Path::new("/index");
        let file =
            disk.create(path, layout.file_size(), Allocation::Sparse).expect("there is room");
        let mut header = Header::after(None);
        let mut batch = Batch::default();
        let mut sizes = sizes.iter().cycle();
        let mut left = *sizes.next().expect("one at least");
        for number in 1..layout.entries {
            // Some slots by turns, some again and again.
            let hash = if number % 3 == 0 { number % 7 } else { number.wrapping_mul(2_654_435) };
            batch.entries.push(Entry { hash, offset: u64::from(number), seconds: 0, older: 0 });
            header.note(u64::from(number), 1);
            left -= 1;
            if left == 0 {
                batch.write(&*file, layout, &mut header).expect("nothing fails");
                left = *sizes.next().expect("it goes round");
            }
        }
        batch.write(&*file, layout, &mut header).expect("nothing fails");
        let written = header.used_slots;
        let mut bytes = vec![0; file.len() as usize];
        file.read_at(&mut bytes, 0).expect("readable");
        // Built from the entries alone, the slots are the same.
        file.zero(HEADER_LEN as u64..layout.entry_at(0), Allocation::Sparse).expect("writable");
        batch::rebuild_slots(&*file, layout, &mut header).expect("nothing fails");
        assert_eq!(header.used_slots, written);
        let mut again = vec![0; bytes.len()];
        file.read_at(&mut again, 0).expect("readable");
        assert!(bytes == again);
        bytes
    };
    let by_one = write(&[1]);
    assert!(by_one == write(&[4000]));
    assert!(by_one == write(&[1, 2, 500, 17]));
}
