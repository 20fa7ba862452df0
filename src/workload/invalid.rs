//! A value in a workload that is not allowed, named by its place in the file.

/// One value that is not allowed. The path is relative to whoever reports it; callers put their own part in front with
/// [`Invalid::within`], and the document that the value came from finds line and column by the full path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: found {found}; allowed: {allowed}")]
pub struct Invalid {
    /// Dotted path of the key, such as `keys.distribution.zipf.exponent`.
    pub path: String,
    /// What was found there, as the user would write it.
    pub found: String,
    /// What would be accepted.
    pub allowed: String,
    /// Whether the key itself is not allowed, rather than its value.
    pub is_key: bool,
}

impl Invalid {
    /// A value at `path` that is not allowed.
    #[expect(clippy::needless_pass_by_value, reason = "callers give what they have, formatted or not")]
    pub fn new(path: &str, found: impl ToString, allowed: impl ToString) -> Self {
        Self { path: path.to_owned(), found: found.to_string(), allowed: allowed.to_string(), is_key: false }
    }

    /// A key at `path` that is not allowed.
    pub fn key(path: &str, found: impl ToString, allowed: impl ToString) -> Self {
        Self { is_key: true, ..Self::new(path, found, allowed) }
    }

    /// The same, seen from a table that holds it under `parent`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        self.path = if self.path.is_empty() { parent.to_owned() } else { format!("{parent}.{}", self.path) };
        self
    }
}

/// Checks that `value` lies in `range` and names the path where it does not.
pub fn check_range<T>(path: &str, value: T, range: std::ops::RangeInclusive<T>) -> Result<T, Invalid>
where
    T: PartialOrd + std::fmt::Display + Copy,
{
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(Invalid::new(path, value, format!("{} to {}", range.start(), range.end())))
    }
}

/// The candidate that is spelled most like `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let likely = |candidate: &&str| 2 * candidate.len() >= word.len() && candidate.len() <= 2 * word.len().max(4);
    candidates
        .into_iter()
        .filter(likely)
        .map(|candidate| (strsim::jaro_winkler(&word, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_grow_from_the_inside() {
        let invalid = Invalid::new("exponent", f64::NAN, "a finite number").within("zipf").within("keys.distribution");
        assert_eq!(invalid.to_string(), "keys.distribution.zipf.exponent: found NaN; allowed: a finite number");
    }

    #[test]
    fn ranges_are_inclusive_and_nan_is_in_none() {
        assert_eq!(check_range("a", 1.0, 0.0..=1.0), Ok(1.0));
        assert!(check_range("a", f64::NAN, 0.0..=1.0).is_err());
        assert!(check_range("a", 2, 0..=1).is_err());
    }

    #[test]
    fn the_nearest_spelling_is_found_or_none() {
        let keys = ["cardinality", "distribution", "type", "absent"];
        assert_eq!(nearest("cardinalty", keys), Some("cardinality"));
        assert_eq!(nearest("distrubution", keys), Some("distribution"));
        assert_eq!(nearest("zzz", keys), None);
    }
}
