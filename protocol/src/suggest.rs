//! Finds the word that was probably meant by a misspelled one.

/// Returns the nearest candidate, if one is near enough.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let close = |candidate: &str| {
        let distance = edits(word, candidate);
        let (one, other) = (candidate.chars().count(), word.chars().count());
        // A word whose every letter differs is no misspelling: `y` is not meant by `a`.
        let is_near = distance <= one.max(other).div_ceil(3) && distance < one.min(other);
        is_near.then_some(distance)
    };
    candidates
        .into_iter()
        .filter_map(|c| close(c).map(|distance| (distance, c)))
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Counts the edits from one word to the other: insert, delete, replace, or swap neighbours.
#[must_use]
pub fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let at = |row: &Vec<usize>, x: usize| row.get(x).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (y, ca) in a.iter().enumerate() {
        let mut next = vec![y + 1];
        for (x, cb) in b.iter().enumerate() {
            let replace = at(&row, x) + usize::from(ca != cb);
            let mut best = replace.min(at(&row, x + 1) + 1).min(at(&next, x) + 1);
            let swapped = x > 0 && y > 0 && b.get(x - 1) == Some(ca) && a.get(y - 1) == Some(cb);
            if swapped {
                best = best.min(at(&before, x - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    at(&row, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_words_find_their_neighbour() {
        let verbs = ["start", "stop", "status", "list", "events"];
        assert_eq!(nearest("lsit", verbs), Some("list"));
        assert_eq!(nearest("strat", verbs), Some("start"));
        assert_eq!(nearest("event", verbs), Some("events"));
        assert_eq!(nearest("frobnicate", verbs), None);
        assert_eq!(nearest("a", ["b", "ab"]), None);
        assert_eq!(nearest("ab", ["b", "ba"]), Some("ba"));
    }
}
