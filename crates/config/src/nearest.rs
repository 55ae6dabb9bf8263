//! The known key that a misspelt one most likely means.

/// The nearest of `known` by edit distance, if it is near enough to be meant.
pub fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = (key.len() / 4).clamp(1, 4);
    known
        .map(|candidate| (distance(&key.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance; keys are short, and longer ones are cut.
fn distance(a: &str, b: &str) -> usize {
    const LEN_MAX: usize = 128;
    let b: Vec<char> = b.chars().take(LEN_MAX).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(LEN_MAX).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}
