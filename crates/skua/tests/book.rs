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

/// The anchors of a page, as mdBook and GitHub name them.
fn anchors(page: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(docs().join(page)).expect("a page");
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |title: &str| -> String {
        let kept = title.to_lowercase().chars().filter(kept).collect::<String>();
        kept.replace(' ', "-")
    };
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(docs().join(&page)).expect("a page");
        for link in links(&text) {
            let (place, anchor) = link.split_once('#').unwrap_or((&link, ""));
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            let place = if place.is_empty() { &page } else { place };
            assert!(docs().join(place).exists(), "{page} links to {link}");
            assert!(!place.contains(".."), "{page} links out of the book: {link}");
            assert!(anchor.is_empty() || anchors(place).contains(anchor), "{page}: no {link}");
        }
    }
}
