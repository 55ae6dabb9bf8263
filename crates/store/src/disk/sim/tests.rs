use std::path::Path;

use super::{Crash, Faults, SimDisk};
use crate::disk::{Allocation, Disk, WriteBy};

const FILE: &str = "/data/file";

fn disk_with_file(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create(Path::new(FILE), 4096, Allocation::Reserved).expect("nothing fails");
    disk.sync_dir(Path::new("/data")).expect("nothing fails");
    disk
}

fn content(disk: &SimDisk) -> Vec<u8> {
    disk.read_whole(Path::new(FILE)).expect("nothing fails").expect("the file is there")
}

#[test]
fn a_process_crash_keeps_unsynced_writes() {
    let disk = disk_with_file(1);
    let file = disk.open(Path::new(FILE)).expect("nothing fails");
    file.write_at(b"abc", 1000).expect("nothing fails");
    disk.reboot(Crash::Process);
    assert_eq!(content(&disk)[1000..1003], *b"abc");
    assert!(file.write_at(b"x", 0).is_err(), "files of the dead process are dead");
}

#[test]
fn a_power_cut_keeps_synced_writes_and_may_lose_others() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..50 {
        let disk = disk_with_file(seed);
        let file = disk.open(Path::new(FILE)).expect("nothing fails");
        file.write_at(b"synced", 0).expect("nothing fails");
        file.sync().expect("nothing fails");
        file.write_at(b"loose", 2048).expect("nothing fails");
        disk.reboot(Crash::Power);
        let content = content(&disk);
        assert_eq!(content[..6], *b"synced");
        match &content[2048..2053] {
            b"loose" => kept += 1,
            [0, 0, 0, 0, 0] => lost += 1,
            other => panic!("sectors are whole, not {other:?}"),
        }
    }
    assert!(lost > 5 && kept > 5, "{lost} lost, {kept} kept");
}

#[test]
fn writes_through_a_window_reach_the_file() {
    let disk = disk_with_file(1);
    let file = disk.open(Path::new(FILE)).expect("nothing fails");
    let mut window = file.window(0..4096, 0, WriteBy::Mapping).expect("nothing fails");
    window.write(10, b"abc").expect("nothing fails");
    let mut read = [0; 3];
    file.read_at(&mut read, 10).expect("nothing fails");
    assert_eq!(read, *b"abc");
    assert!(
        file.window(0..4096, 0, WriteBy::Mapping).is_err(),
        "two windows would write the same bytes"
    );
}

#[test]
fn an_unsynced_rename_leaves_the_old_name_or_the_new() {
    let mut seen = [false; 2];
    for seed in 0..50 {
        let disk = disk_with_file(seed);
        disk.rename(Path::new(FILE), Path::new("/data/other")).expect("nothing fails");
        disk.reboot(Crash::Power);
        let names: Vec<_> = disk.list(Path::new("/data")).expect("nothing fails");
        assert_eq!(names.len(), 1);
        seen[usize::from(names[0].name == "other")] = true;
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn a_failed_sync_saves_nothing_even_when_tried_again() {
    let disk = disk_with_file(3);
    let file = disk.open(Path::new(FILE)).expect("nothing fails");
    file.write_at(b"abc", 0).expect("nothing fails");
    disk.set_faults(Faults { sync_fails_in: Some(0), ..Faults::default() });
    assert!(file.sync().is_err());
    assert!(file.sync().is_ok());
    disk.reboot(Crash::Power);
    assert_eq!(content(&disk)[..3], [0, 0, 0]);
}

#[test]
fn a_crash_in_a_write_keeps_a_prefix_of_it() {
    for seed in 0..20 {
        let disk = disk_with_file(seed);
        let file = disk.open(Path::new(FILE)).expect("nothing fails");
        disk.set_faults(Faults { crash_in: Some(0), ..Faults::default() });
        assert!(file.write_at(&[7; 100], 0).is_err());
        assert!(disk.is_down());
        disk.reboot(Crash::Process);
        let content = content(&disk);
        let written = content.iter().take_while(|byte| **byte == 7).count();
        assert!(written <= 100 && content[written..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_lock_is_held_once() {
    let disk = SimDisk::new(1);
    let path = Path::new("/data/lock");
    let held = disk.lock(path).expect("nothing fails");
    assert!(held.is_some());
    assert!(disk.lock(path).expect("nothing fails").is_none());
    drop(held);
    assert!(disk.lock(path).expect("nothing fails").is_some());
}
