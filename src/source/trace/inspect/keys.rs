//! Which keys there are: their rows, the hottest of them, and the distances between two rows of a key.

use xxhash_rust::xxh3::xxh3_64;

use super::TopKey;
use super::spread::Spread;
use super::stack::Stack;
use crate::source::trace::KEY_SEPARATOR;
use crate::source::trace::error::printable;
use crate::state::ObjectMap;

/// Hottest keys that are listed.
const TOP_KEYS: usize = 10;
/// Keys that the summary of hot keys follows once keys are sampled.
const HOT_KEYS: usize = 4096;
/// Bytes of a key that are kept to show it.
const SHOWN_BYTES: usize = 48;

/// The rows of each key, and the distances between them.
pub(super) struct Keys {
    /// How many are followed at most.
    most: usize,
    /// Followed are the keys whose hash is not above this.
    limit: u64,
    halvings: u32,
    index: ObjectMap<u64, u32>,
    entries: Vec<Entry>,
    /// The beginnings of the keys' texts.
    texts: String,
    stack: Stack,
    pub(super) distances: Spread,
    /// The hottest keys, once keys are sampled.
    hot: ObjectMap<u64, HotKey>,
    /// How many rows a key may have more than its entry in `hot` tells.
    lost: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Entry {
    hash: u64,
    rows: u64,
    /// Where its latest row is in the stack.
    pub(super) last: u32,
    text: u32,
    text_len: u8,
}

struct HotKey {
    rows: u64,
    text: String,
}

impl Keys {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            limit: u64::MAX,
            halvings: 0,
            index: ObjectMap::default(),
            entries: Vec::new(),
            texts: String::new(),
            stack: Stack::new(),
            distances: Spread::new(),
            hot: ObjectMap::default(),
            lost: 0,
        }
    }

    pub(super) fn one_in(&self) -> u64 {
        1 << self.halvings
    }

    #[inline]
    pub(super) fn add(&mut self, key: &str) {
        let hash = xxh3_64(key.as_bytes());
        if self.halvings > 0 {
            self.add_hot(hash, key);
            if hash > self.limit {
                return;
            }
        }
        if self.stack.is_full() {
            self.stack.compact(&mut self.entries);
        }
        if let Some(&at) = self.index.get(&hash) {
            let entry = &mut self.entries[at as usize];
            entry.rows += 1;
            let distance = self.stack.distance(entry.last);
            entry.last = self.stack.push(Some(entry.last));
            self.distances.add((distance << self.halvings) as i64);
            return;
        }
        self.follow(hash, key);
    }

    /// Takes in the first row of a key.
    fn follow(&mut self, hash: u64, key: &str) {
        let shown = shown(key);
        let entry = Entry {
            hash,
            rows: 1,
            last: self.stack.push(None),
            text: self.texts.len() as u32,
            text_len: shown.len() as u8,
        };
        self.texts.push_str(shown);
        self.index.insert(hash, self.entries.len() as u32);
        self.entries.push(entry);
        if self.entries.len() > self.most {
            self.halve();
        }
    }

    /// Follows half as many keys.
    #[cold]
    fn halve(&mut self) {
        if self.halvings == 0 {
            let mut hottest: Vec<_> = self.entries.iter().collect();
            hottest.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.rows));
            let hottest = hottest.into_iter().take(HOT_KEYS / 2);
            self.hot = hottest.map(|e| (e.hash, HotKey { rows: e.rows, text: self.text(e).to_owned() })).collect();
        }
        while self.entries.len() > self.most {
            self.halvings += 1;
            self.limit = u64::MAX >> self.halvings;
            self.entries.retain(|entry| entry.hash <= self.limit);
        }
        self.close_gaps();
        self.stack.compact(&mut self.entries);
    }

    /// Drops the texts of the keys that are no longer followed, and finds the others where they now are.
    fn close_gaps(&mut self) {
        let mut texts = String::new();
        self.index.clear();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let text = &self.texts[entry.text as usize..][..usize::from(entry.text_len)];
            entry.text = texts.len() as u32;
            texts.push_str(text);
            self.index.insert(entry.hash, at as u32);
        }
        self.texts = texts;
    }

    /// Counts a row in the summary of hot keys (Misra and Gries, "Finding repeated elements", 1982).
    fn add_hot(&mut self, hash: u64, key: &str) {
        if let Some(hot) = self.hot.get_mut(&hash) {
            hot.rows += 1;
        } else if self.hot.len() < HOT_KEYS {
            self.hot.insert(hash, HotKey { rows: 1, text: shown(key).to_owned() });
        } else {
            self.lost += 1;
            self.hot.retain(|_, hot| {
                hot.rows -= 1;
                hot.rows > 0
            });
        }
    }

    fn text(&self, entry: &Entry) -> &str {
        &self.texts[entry.text as usize..][..usize::from(entry.text_len)]
    }

    /// Rows and the number of keys that have so many, most rows first. In a sample, keys that are certain to be hot
    /// stand for themselves and the others for all that were not followed.
    pub(super) fn by_rows(&self) -> Vec<(u64, f64)> {
        let certain = |hash: &u64| self.hot.get(hash).is_some_and(|hot| hot.rows > self.lost);
        let hot = self.hot.iter().filter(|(hash, _)| certain(hash)).map(|(_, hot)| (hot.rows, 1.0));
        let weight = self.one_in() as f64;
        let followed = self.entries.iter().filter(|entry| !certain(&entry.hash)).map(|entry| (entry.rows, weight));
        let mut items: Vec<_> = hot.chain(followed).collect();
        items.sort_unstable_by_key(|item| std::cmp::Reverse(item.0));
        items
    }

    pub(super) fn top(&self, rows: u64) -> Vec<TopKey> {
        // A key that is followed has been counted from its first row, and the summary never counts too many.
        let followed = self.entries.iter().map(|entry| (entry.rows, self.text(entry)));
        let summary = self.hot.iter().filter(|(hash, _)| !self.index.contains_key(hash));
        let mut hottest: Vec<_> = followed.chain(summary.map(|(_, hot)| (hot.rows, hot.text.as_str()))).collect();
        hottest.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        hottest.truncate(TOP_KEYS);
        let key =
            |text: &str| text.split(KEY_SEPARATOR).map(|part| printable(part, 40)).collect::<Vec<_>>().join(" / ");
        let share = |of: u64| of as f64 / rows as f64;
        hottest.into_iter().map(|(of, text)| TopKey { key: key(text), rows: of, share: share(of) }).collect()
    }
}

/// The beginning of a key.
fn shown(key: &str) -> &str {
    &key[..key.floor_char_boundary(SHOWN_BYTES)]
}
