//! The book: every page is listed once, and links inside it lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn pages() -> BTreeSet<String> {
    fs::read_dir(docs())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect()
}

/// Targets of the Markdown links of a text.
fn links(text: &str) -> Vec<String> {
    text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

#[test]
fn every_page_is_listed_once() {
    let summary = fs::read_to_string(docs().join("SUMMARY.md")).expect("the summary");
    let listed = links(&summary);
    let unique: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(unique.len(), listed.len(), "a page is listed twice: {listed:?}");
    assert_eq!(unique, pages());
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(docs().join(&page)).expect("a page");
        for link in links(&text) {
            let place = link.split('#').next().unwrap_or_default();
            if place.is_empty() || link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            assert!(docs().join(place).exists(), "{page} links to {link}");
        }
    }
}
