//! What a trace looks like: rate, key popularity, reuse, sizes. One pass, in memory that the file's length does not
//! move.
//!
//! Keys are told apart by a 64-bit hash. Up to [`EXACT_KEYS`] of them everything about keys is exact. Beyond that only
//! the keys whose hash lies under a limit are followed, and the limit is halved whenever they become too many (SHARDS:
//! Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015): counts of keys and reuse distances are then
//! those of the sample divided by its rate, and the hottest keys come from a Misra-Gries summary.

use std::fmt::Write;
use std::path::Path;

use hdrhistogram::Histogram;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    KEY_SEPARATOR, TimeFormat, Trace, TraceBatch, TraceError, TraceFormat, TraceReader, csv, file_name, integer,
    json_lines, parquet, printable, timestamp,
};
use crate::state::ObjectMap;

/// Distinct keys up to which everything about keys is exact.
pub const EXACT_KEYS: usize = 5_000_000;
/// Buckets of the rate over time, at most.
const BUCKETS: usize = 60;
/// Hottest keys that are listed.
const TOP_KEYS: usize = 10;
/// Keys that the summary of hot keys follows once keys are sampled.
const HOT_KEYS: usize = 4096;
/// Bytes of a key that are kept to show it.
const SHOWN_BYTES: usize = 48;
const BATCH_ROWS: usize = 8192;
/// Rows that types and samples of columns are taken from.
const SAMPLE_ROWS: usize = 200;

/// The columns of a file, to choose a mapping by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnList {
    /// The file.
    pub file: String,
    /// How it is written.
    pub format: TraceFormat,
    /// Its columns, in order.
    pub columns: Vec<ColumnPreview>,
    /// A mapping that may fit, where a column holds times.
    pub suggestion: Option<Suggestion>,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnPreview {
    /// Its name.
    pub name: String,
    /// Its type: declared by a Parquet file, told from the first rows of other files.
    pub kind: String,
    /// The first values that differ, made printable.
    pub samples: Vec<String>,
}

/// A mapping guessed from names and types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The time column.
    pub time: String,
    /// How its integers count.
    pub time_format: TimeFormat,
    /// The key column, if one looks like it.
    pub key: Option<String>,
    /// The value column, if one looks like it.
    pub value: Option<String>,
}

/// What a trace looks like under a mapping.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The file.
    pub file: String,
    /// How it is written.
    pub format: TraceFormat,
    /// Rows with all mapped columns.
    pub rows: u64,
    /// Rows left out because a mapped column is empty.
    pub skipped: u64,
    /// Earliest event time, epoch ms.
    pub first_ms: i64,
    /// Latest event time, epoch ms.
    pub last_ms: i64,
    /// How often events come.
    pub rate: Rate,
    /// How far time runs backwards.
    pub disorder: Disorder,
    /// How many keys there are.
    pub keys: Distinct,
    /// The hottest keys.
    pub top_keys: Vec<TopKey>,
    /// What share of the rows the hottest keys have.
    pub hot: Vec<HotShare>,
    /// The exponent s of the Zipf law (frequency ∝ rank^−s over as many ranks as there are keys) of greatest likelihood;
    /// `None` with fewer than two keys.
    pub zipf_exponent: Option<f64>,
    /// Share of the keys that occur once.
    pub one_hit_share: f64,
    /// How soon keys come again.
    pub reuse: Reuse,
    /// Length of the keys as text, bytes.
    pub key_bytes: Distribution,
    /// The values; `None` without a value column.
    pub value: Option<Distribution>,
    /// The payload sizes, bytes; `None` without a size column.
    pub size: Option<Distribution>,
}

/// Events over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    /// Rows by seconds between the earliest and the latest event time; 0 where there is no time between.
    pub mean_per_s: f64,
    /// The same of the fullest bucket.
    pub peak_per_s: f64,
    /// Length of a bucket, ms.
    pub bucket_ms: i64,
    /// Where the first bucket begins, epoch ms.
    pub start_ms: i64,
    /// Rows in each bucket; at most 60 buckets.
    pub buckets: Vec<u64>,
}

/// Event time running backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Disorder {
    /// Furthest that a row is behind the latest time before it, ms: what `disorder` must allow.
    pub largest_ms: u64,
    /// Rows that are behind.
    pub rows: u64,
}

/// The number of distinct keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Distinct {
    /// The number.
    pub count: u64,
    /// 1 where it was counted; n where one key in n was counted and the number is an estimate.
    pub one_in: u64,
}

/// One of the hottest keys.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopKey {
    /// Its text, made printable; parts are joined by ` / `.
    pub key: String,
    /// Its rows; where keys are sampled, at least so many.
    pub rows: u64,
    /// Its share of all rows.
    pub share: f64,
}

/// What the hottest keys have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HotShare {
    /// Share of the keys.
    pub of_keys: f64,
    /// Their share of the rows.
    pub of_rows: f64,
}

/// How soon keys come again, in distinct other keys between two rows of a key (LRU stack distance): a cache of more
/// entries than that hits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reuse {
    /// Share of the rows that are the first of their key, and have no distance.
    pub first_share: f64,
    /// The distances of the others; `None` where no key comes twice.
    pub distance: Option<Distribution>,
    /// 1 where distances are exact; n where they are those of one key in n, times n.
    pub one_in: u64,
}

/// A distribution of whole numbers. Extremes and mean are exact, the rest to three digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distribution {
    /// The smallest.
    pub min: i64,
    /// The 10th percentile.
    pub p10: i64,
    /// The median.
    pub p50: i64,
    /// The 90th percentile.
    pub p90: i64,
    /// The 99th percentile.
    pub p99: i64,
    /// The largest.
    pub max: i64,
    /// The mean.
    pub mean: f64,
}

/// Lists the columns of a file with their types and first values; the format is told by the extension where not given.
pub fn columns(path: &Path, format: Option<TraceFormat>) -> Result<ColumnList, TraceError> {
    let unknown = || TraceError::UnknownFormat { file: file_name(path) };
    let format = format.or_else(|| TraceFormat::of(path)).ok_or_else(unknown)?;
    let (names, kinds, rows) = match format {
        TraceFormat::Csv => csv::sample(path, SAMPLE_ROWS).map(|(names, rows)| (names, None, rows))?,
        TraceFormat::JsonLines => json_lines::sample(path, SAMPLE_ROWS).map(|(names, rows)| (names, None, rows))?,
        TraceFormat::Parquet => {
            let (columns, rows) = parquet::sample(path, SAMPLE_ROWS)?;
            let (names, kinds): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            (names, Some(kinds), rows)
        }
    };
    let values = |column: usize| rows.iter().map(move |row| row[column].as_str()).filter(|text| !text.is_empty());
    let mut columns = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let kind = kinds.as_ref().map_or_else(|| infer(&values(i)).to_owned(), |kinds| kinds[i].clone());
        let mut samples = Vec::new();
        for text in values(i).map(|text| printable(text, 24)) {
            if samples.len() < 3 && !samples.contains(&text) {
                samples.push(text);
            }
        }
        columns.push(ColumnPreview { name: printable(name, 40), kind, samples });
    }
    let suggestion = suggest(&columns);
    Ok(ColumnList { file: file_name(path), format, columns, suggestion })
}

/// The type that all of these texts have.
fn infer<'a>(texts: &(impl Iterator<Item = &'a str> + Clone)) -> &'static str {
    if texts.clone().next().is_none() {
        "empty"
    } else if texts.clone().all(|text| integer(text.trim().as_bytes()).is_some()) {
        "an integer"
    } else if texts.clone().all(|text| timestamp(text.trim().as_bytes()).is_some()) {
        "a time"
    } else if texts.clone().all(|text| text.trim().parse::<f64>().is_ok()) {
        "a decimal"
    } else if texts.clone().all(|text| matches!(text, "true" | "false")) {
        "a boolean"
    } else {
        "a text"
    }
}

/// Guesses a mapping from names and types.
fn suggest(columns: &[ColumnPreview]) -> Option<Suggestion> {
    /// How an integer column that is named like a time counts, by the digits that times of our days have.
    fn epoch(column: &ColumnPreview) -> Option<TimeFormat> {
        let name = column.name.to_lowercase();
        if !["time", "date", "stamp", "ts", "epoch"].iter().any(|word| name.contains(word)) {
            return None;
        }
        match column.samples.first()?.len() {
            9..=10 => Some(TimeFormat::EpochS),
            12..=13 => Some(TimeFormat::Auto),
            15..=16 => Some(TimeFormat::EpochUs),
            18..=19 => Some(TimeFormat::EpochNs),
            _ => None,
        }
    }
    let is_integer = |column: &ColumnPreview| column.kind.ends_with("integer");
    let is_time = |kind: &str| kind == "a time" || kind == "a date" || kind.starts_with("a timestamp");
    let (at, time_format) = columns.iter().enumerate().find_map(|(i, column)| {
        let holds_times = is_time(&column.kind)
            || column.kind == "a text"
                && column.samples.iter().all(|text| timestamp(text.as_bytes()).is_some())
                && !column.samples.is_empty();
        let format = if holds_times { Some(TimeFormat::Auto) } else { epoch(column).filter(|_| is_integer(column)) };
        format.map(|format| (i, format))
    })?;
    let others = || columns.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, column)| column);
    let named_key = |column: &&ColumnPreview| {
        let name = column.name.to_lowercase();
        (name.ends_with("id") || name.ends_with("key")) && (is_integer(column) || column.kind == "a text")
    };
    let key = others().find(named_key).or_else(|| others().find(|column| column.kind == "a text"));
    let key = key.or_else(|| others().find(|column| is_integer(column)));
    let number = |column: &&ColumnPreview| is_integer(column) && Some(&column.name) != key.map(|key| &key.name);
    let value = others().find(|column| number(column) && !named_key(column));
    Some(Suggestion {
        time: columns[at].name.clone(),
        time_format,
        key: key.map(|column| column.name.clone()),
        value: value.map(|column| column.name.clone()),
    })
}

/// Reads the whole file under a mapping. How far time may run backwards does not matter here: it is measured.
pub fn inspect(trace: &Trace) -> Result<Inspection, TraceError> {
    inspect_with(trace, EXACT_KEYS)
}

fn inspect_with(trace: &Trace, exact_keys: usize) -> Result<Inspection, TraceError> {
    let trace = Trace { disorder_ms: i64::MAX, ..trace.clone() };
    let mut reader = TraceReader::open(&trace)?;
    let (mut batch, mut profile) = (TraceBatch::new(), Profile::new(exact_keys));
    let (has_value, has_size) = (trace.value_column().is_some(), trace.size_column().is_some());
    while reader.read(&mut batch, BATCH_ROWS)? > 0 {
        profile.add(&batch, has_value, has_size);
    }
    let Profile { mut grid, keys, .. } = profile;
    let seconds = (i128::from(profile.last_ms) - i128::from(profile.first_ms)) as f64 / 1e3;
    grid.counts.truncate(grid.counts.iter().rposition(|&rows| rows > 0).map_or(0, |last| last + 1));
    let peak = grid.counts.iter().copied().max().unwrap_or(0);
    let items = keys.by_rows();
    let total_keys: f64 = items.iter().map(|item| item.1).sum();
    let one_hits: f64 = items.iter().filter(|item| item.0 == 1).map(|item| item.1).sum();
    let rows = reader.rows();
    Ok(Inspection {
        file: file_name(trace.path()),
        format: trace.format(),
        rows,
        skipped: reader.skipped(),
        first_ms: profile.first_ms,
        last_ms: profile.last_ms,
        rate: Rate {
            mean_per_s: if seconds > 0.0 { rows as f64 / seconds } else { 0.0 },
            peak_per_s: peak as f64 * 1e3 / grid.width_ms as f64,
            bucket_ms: grid.width_ms,
            start_ms: grid.first.saturating_mul(grid.width_ms),
            buckets: grid.counts,
        },
        disorder: profile.disorder,
        keys: Distinct { count: total_keys.round() as u64, one_in: keys.one_in() },
        top_keys: keys.top(rows),
        hot: [0.01, 0.1, 0.2].map(|share| HotShare { of_keys: share, of_rows: hot_share(&items, share) }).to_vec(),
        zipf_exponent: zipf_exponent(&items),
        one_hit_share: one_hits / total_keys,
        reuse: Reuse {
            first_share: total_keys / rows as f64,
            distance: keys.distances.finish(),
            one_in: keys.one_in(),
        },
        key_bytes: profile.key_bytes.finish().unwrap_or(Distribution::NONE),
        value: profile.value.finish(),
        size: profile.size.finish(),
    })
}

/// What is gathered in the pass.
struct Profile {
    first_ms: i64,
    last_ms: i64,
    disorder: Disorder,
    grid: Grid,
    keys: Keys,
    key_bytes: Spread,
    value: Spread,
    size: Spread,
}

impl Profile {
    fn new(exact_keys: usize) -> Self {
        Self {
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            disorder: Disorder { largest_ms: 0, rows: 0 },
            grid: Grid { width_ms: 1, first: 0, counts: Vec::new() },
            keys: Keys::new(exact_keys),
            key_bytes: Spread::new(),
            value: Spread::new(),
            size: Spread::new(),
        }
    }

    fn add(&mut self, batch: &TraceBatch, has_value: bool, has_size: bool) {
        for &time in &batch.time_ms {
            if time < self.last_ms {
                let behind = self.last_ms.abs_diff(time);
                self.disorder.largest_ms = self.disorder.largest_ms.max(behind);
                self.disorder.rows += 1;
            }
            self.first_ms = self.first_ms.min(time);
            self.last_ms = self.last_ms.max(time);
            self.grid.add(time);
        }
        for row in 0..batch.len() {
            let key = batch.key(row);
            self.key_bytes.add(key.len() as i64);
            self.keys.add(key);
        }
        if has_value {
            batch.value.iter().for_each(|&value| self.value.add(value));
        }
        if has_size {
            batch.size.iter().for_each(|&size| self.size.add(i64::from(size)));
        }
    }
}

/// Rows over time in at most [`BUCKETS`] buckets. Each width divides the next, and buckets start at multiples of their
/// width, so that the old buckets of a grid fall whole into the wider ones.
struct Grid {
    width_ms: i64,
    /// The first bucket covers the times from `first · width_ms`.
    first: i64,
    counts: Vec<u64>,
}

/// Widths from a millisecond to 1024 days; beyond, each is twice the one before.
const WIDTHS_MS: [i64; 29] = {
    const S: i64 = 1000;
    const H: i64 = 3600 * S;
    const D: i64 = 24 * H;
    [
        1,
        2,
        10,
        20,
        100,
        200,
        S,
        2 * S,
        10 * S,
        20 * S,
        60 * S,
        120 * S,
        600 * S,
        1800 * S,
        H,
        2 * H,
        6 * H,
        12 * H,
        D,
        2 * D,
        4 * D,
        8 * D,
        16 * D,
        32 * D,
        64 * D,
        128 * D,
        256 * D,
        512 * D,
        1024 * D,
    ]
};

impl Grid {
    #[inline]
    fn add(&mut self, time: i64) {
        loop {
            let bucket = time.div_euclid(self.width_ms);
            if self.counts.is_empty() {
                self.first = bucket;
            }
            let at = i128::from(bucket) - i128::from(self.first);
            if (0..BUCKETS as i128).contains(&at) {
                let at = at as usize;
                if at >= self.counts.len() {
                    self.counts.resize(at + 1, 0);
                }
                self.counts[at] += 1;
                return;
            }
            if at < 0 && self.counts.len() as i128 - at <= BUCKETS as i128 {
                self.counts.splice(0..0, std::iter::repeat_n(0, -at as usize));
                self.first = bucket;
                continue;
            }
            self.widen();
        }
    }

    #[cold]
    fn widen(&mut self) {
        let wider = WIDTHS_MS.into_iter().find(|&width| width > self.width_ms).unwrap_or(self.width_ms * 2);
        let factor = wider / self.width_ms;
        let first = self.first.div_euclid(factor);
        let mut counts = Vec::new();
        for (i, &rows) in self.counts.iter().enumerate() {
            let at = ((self.first + i as i64).div_euclid(factor) - first) as usize;
            if at >= counts.len() {
                counts.resize(at + 1, 0);
            }
            counts[at] += rows;
        }
        (self.width_ms, self.first, self.counts) = (wider, first, counts);
    }
}

/// The rows of each key, and the distances between them.
struct Keys {
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
    distances: Spread,
    /// The hottest keys, once keys are sampled.
    hot: ObjectMap<u64, HotKey>,
    /// How many rows a key may have more than its entry in `hot` tells.
    lost: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    rows: u64,
    /// Where its latest row is in the stack.
    last: u32,
    text: u32,
    text_len: u8,
}

struct HotKey {
    rows: u64,
    text: String,
}

impl Keys {
    fn new(most: usize) -> Self {
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

    fn one_in(&self) -> u64 {
        1 << self.halvings
    }

    #[inline]
    fn add(&mut self, key: &str) {
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
        let mut texts = String::new();
        self.index.clear();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let text = &self.texts[entry.text as usize..][..usize::from(entry.text_len)];
            entry.text = texts.len() as u32;
            texts.push_str(text);
            self.index.insert(entry.hash, at as u32);
        }
        self.texts = texts;
        self.stack.compact(&mut self.entries);
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
    fn by_rows(&self) -> Vec<(u64, f64)> {
        let certain = |hash: &u64| self.hot.get(hash).is_some_and(|hot| hot.rows > self.lost);
        let hot = self.hot.iter().filter(|(hash, _)| certain(hash)).map(|(_, hot)| (hot.rows, 1.0));
        let weight = self.one_in() as f64;
        let followed = self.entries.iter().filter(|entry| !certain(&entry.hash)).map(|entry| (entry.rows, weight));
        let mut items: Vec<_> = hot.chain(followed).collect();
        items.sort_unstable_by_key(|item| std::cmp::Reverse(item.0));
        items
    }

    fn top(&self, rows: u64) -> Vec<TopKey> {
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

/// The latest rows of all keys in order of time, as a Fenwick tree over positions: a 1 where a key's latest row is.
/// Positions that are used up are taken back by [`Stack::compact`].
struct Stack {
    /// Tree over the positions from 1.
    tree: Vec<u32>,
    next: usize,
    keys: u32,
}

impl Stack {
    const SMALLEST: usize = 1 << 16;

    fn new() -> Self {
        Self { tree: vec![0; Self::SMALLEST], next: 1, keys: 0 }
    }

    fn is_full(&self) -> bool {
        self.next == self.tree.len()
    }

    /// Number of keys whose latest row came behind that position.
    #[inline]
    fn distance(&self, position: u32) -> u64 {
        let (mut at, mut before) = (position as usize, 0);
        while at > 0 {
            before += self.tree[at];
            at &= at - 1;
        }
        u64::from(self.keys - before)
    }

    /// Puts a row behind all others, in the place of an earlier one of its key.
    #[inline]
    fn push(&mut self, earlier: Option<u32>) -> u32 {
        match earlier {
            Some(position) => self.add(position as usize, u32::MAX),
            None => self.keys += 1,
        }
        self.add(self.next, 1);
        self.next += 1;
        (self.next - 1) as u32
    }

    #[inline]
    fn add(&mut self, mut at: usize, amount: u32) {
        while at < self.tree.len() {
            self.tree[at] = self.tree[at].wrapping_add(amount);
            at += at & at.wrapping_neg();
        }
    }

    /// Numbers the latest rows of these keys anew from 1, with room for three times as many behind them.
    #[cold]
    fn compact(&mut self, entries: &mut [Entry]) {
        let mut order: Vec<_> = entries.iter_mut().collect();
        order.sort_unstable_by_key(|entry| entry.last);
        for (i, entry) in order.into_iter().enumerate() {
            entry.last = i as u32 + 1;
        }
        let keys = entries.len();
        let len = (keys * 4).next_power_of_two().max(Self::SMALLEST);
        let ones = |at: usize| at.min(keys) as u32;
        self.tree.clear();
        self.tree.extend((0..len).map(|at| ones(at) - ones(at & at.wrapping_sub(1))));
        (self.next, self.keys) = (keys + 1, keys as u32);
    }
}

/// Collects a [`Distribution`].
struct Spread {
    count: u64,
    sum: i128,
    min: i64,
    max: i64,
    /// Magnitudes of the negative numbers.
    negative: Histogram<u64>,
    positive: Histogram<u64>,
}

impl Spread {
    fn new() -> Self {
        #[expect(clippy::expect_used, reason = "three digits are among the one to five that are possible")]
        let histogram = || Histogram::new(3).expect("three digits are possible");
        Self { count: 0, sum: 0, min: i64::MAX, max: i64::MIN, negative: histogram(), positive: histogram() }
    }

    #[inline]
    fn add(&mut self, number: i64) {
        self.count += 1;
        self.sum += i128::from(number);
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        let histogram = if number < 0 { &mut self.negative } else { &mut self.positive };
        // It grows to what it is given, and 64 bits are not too much for it.
        let _ = histogram.record(number.unsigned_abs());
    }

    fn quantile(&self, quantile: f64) -> i64 {
        let rank = ((quantile * self.count as f64).ceil() as u64).clamp(1, self.count);
        let below_zero = self.negative.len();
        let number = if rank <= below_zero {
            let magnitude = (below_zero - rank + 1) as f64 / below_zero as f64;
            0_i64.saturating_sub_unsigned(self.negative.value_at_quantile(magnitude))
        } else {
            let at = (rank - below_zero) as f64 / self.positive.len() as f64;
            i64::try_from(self.positive.value_at_quantile(at)).unwrap_or(i64::MAX)
        };
        number.clamp(self.min, self.max)
    }

    fn finish(&self) -> Option<Distribution> {
        (self.count > 0).then(|| Distribution {
            min: self.min,
            p10: self.quantile(0.1),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            max: self.max,
            mean: self.sum as f64 / self.count as f64,
        })
    }
}

impl Distribution {
    /// Of no numbers.
    const NONE: Self = Self { min: 0, p10: 0, p50: 0, p90: 0, p99: 0, max: 0, mean: 0.0 };
}

/// The share of the rows that the hottest `share` of the keys have; of one key at least.
fn hot_share(items: &[(u64, f64)], share: f64) -> f64 {
    let keys: f64 = items.iter().map(|item| item.1).sum();
    let all: f64 = items.iter().map(|item| item.0 as f64 * item.1).sum();
    let mut wanted = (keys * share).ceil().max(1.0);
    let mut rows = 0.0;
    for &(of, weight) in items {
        let taken = weight.min(wanted);
        rows += of as f64 * taken;
        wanted -= taken;
        if wanted <= 0.0 {
            break;
        }
    }
    rows / all
}

/// The maximum-likelihood exponent of a Zipf law over the ranks: the one under which the mean logarithm of a row's rank
/// is the observed one. The mean falls with the exponent, so it is found by bisection.
fn zipf_exponent(items: &[(u64, f64)]) -> Option<f64> {
    /// Ranks that are summed one by one; the rest is integrated.
    const SUMMED: usize = 10_000;
    const LARGEST: f64 = 20.0;
    let (mut ranks, mut rows, mut logs) = (0.0, 0.0, 0.0);
    for &(of, weight) in items {
        let middle: f64 = ranks + f64::midpoint(weight, 1.0);
        rows += of as f64 * weight;
        logs += of as f64 * weight * middle.ln();
        ranks += weight;
    }
    if ranks < 2.0 {
        return None;
    }
    let observed = logs / rows;
    let logarithms: Vec<f64> = (1..=SUMMED.min(ranks as usize)).map(|rank| (rank as f64).ln()).collect();
    let (from, to) = (logarithms.len() as f64 + 0.5, ranks + 0.5);
    let mean_log = |s: f64| {
        let (mut weights, mut logs) = (0.0, 0.0);
        for log in &logarithms {
            let weight = (-s * log).exp();
            weights += weight;
            logs += weight * log;
        }
        if to > from {
            let rest = 1.0 - s;
            let (a, b) = (from.ln(), to.ln());
            if rest.abs() < 1e-6 {
                weights += b - a;
                logs += (b * b - a * a) / 2.0;
            } else {
                let (at_a, at_b) = ((rest * a).exp(), (rest * b).exp());
                weights += (at_b - at_a) / rest;
                logs += at_b * (b / rest - 1.0 / (rest * rest)) - at_a * (a / rest - 1.0 / (rest * rest));
            }
        }
        logs / weights
    };
    let (mut low, mut high) = (0.0, LARGEST);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if mean_log(middle) > observed { low = middle } else { high = middle }
    }
    Some(f64::midpoint(low, high))
}

/// `2001-01-31 23:59:59.999` of epoch milliseconds, UTC.
pub(super) fn show_time(ms: i64) -> String {
    // H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": days to civil.
    let (days, ms) = (ms.div_euclid(86_400_000) + 719_468, ms.rem_euclid(86_400_000));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    let shown = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    if ms == 0 { shown } else { format!("{shown}.{ms:03}") }
}

/// A span of time in the largest unit of which there are two.
fn show_span(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    match UNITS.iter().find(|(unit, _)| ms >= 2 * unit || ms == *unit) {
        Some((unit, name)) if ms.is_multiple_of(*unit) => format!("{} {name}", ms / unit),
        Some((unit, name)) => format!("{:.1} {name}", ms as f64 / *unit as f64),
        None => format!("{ms} ms"),
    }
}

/// A count with its thousands apart.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A number with about four digits.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{}{}", if value < 0.0 { "-" } else { "" }, thousands(v.round() as u64)),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    }
}

fn signed(value: i64) -> String {
    format!("{}{}", if value < 0 { "-" } else { "" }, thousands(value.unsigned_abs()))
}

/// Writes a table whose first column is flush left and whose others are flush right.
fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::from("  ");
        for (i, cell) in row.iter().enumerate() {
            let fill = " ".repeat(widths[i] - cell.chars().count());
            let (before, behind) = if i == 0 { ("", fill.as_str()) } else { (fill.as_str(), "") };
            let _ = write!(line, "{}{before}{cell}{behind}", if i == 0 { "" } else { "  " });
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

impl ColumnList {
    /// As plain text.
    pub fn render(&self) -> String {
        let mut out = format!("{}: {}\n\n", self.file, self.format);
        let width = |cell: fn(&ColumnPreview) -> &str| {
            self.columns.iter().map(|column| cell(column).chars().count()).max().unwrap_or(0)
        };
        let (names, kinds) = (width(|column| &column.name), width(|column| &column.kind));
        for column in &self.columns {
            let samples = column.samples.join(", ");
            let line = format!("  {:names$}  {:kinds$}  {samples}", column.name, column.kind);
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out.push('\n');
        let Some(suggestion) = &self.suggestion else {
            out.push_str("No column looks like a time: name the mapping with --time and --key.\n");
            return out;
        };
        let _ = write!(out, "A mapping that may fit: --time {}", quoted(&suggestion.time));
        let format = match suggestion.time_format {
            TimeFormat::Auto => "",
            TimeFormat::EpochS => " --time-format epoch-s",
            TimeFormat::EpochMs => " --time-format epoch-ms",
            TimeFormat::EpochUs => " --time-format epoch-us",
            TimeFormat::EpochNs => " --time-format epoch-ns",
        };
        let key = suggestion.key.as_ref().map(|name| format!(" --key {}", quoted(name))).unwrap_or_default();
        let value = suggestion.value.as_ref().map(|name| format!(" --value {}", quoted(name))).unwrap_or_default();
        let _ = writeln!(out, "{format}{key}{value}");
        out
    }
}

/// A name as a shell takes it for one word.
fn quoted(name: &str) -> String {
    if name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

impl Inspection {
    /// As plain text.
    pub fn render(&self) -> String {
        let mut out = format!("{}: {} rows of {}", self.file, thousands(self.rows), self.format);
        if self.skipped > 0 {
            let _ = write!(out, ", {} left out because a mapped column is empty", thousands(self.skipped));
        }
        out.push_str("\n\n");
        self.render_time(&mut out);
        self.render_keys(&mut out);
        let mut rows = vec![["", "min", "p10", "p50", "p90", "p99", "max", "mean"].map(str::to_owned).to_vec()];
        let mut add = |name: &str, of: Option<&Distribution>| {
            if let Some(of) = of {
                let mut row = vec![name.to_owned()];
                row.extend([of.min, of.p10, of.p50, of.p90, of.p99, of.max].map(signed));
                row.push(number(of.mean));
                rows.push(row);
            }
        };
        add("reuse distance, keys", self.reuse.distance.as_ref());
        add("key length, bytes", Some(&self.key_bytes));
        add("value", self.value.as_ref());
        add("size, bytes", self.size.as_ref());
        table(&mut out, &rows);
        let _ = writeln!(
            out,
            "\nReuse distance: distinct other keys between two rows of a key; {}.\n{} of the rows are the first of their key.",
            match self.reuse.one_in {
                1 => "exact stack distances".to_owned(),
                n => format!("estimated from one key in {n}, chosen by hash (SHARDS)"),
            },
            percent(self.reuse.first_share),
        );
        out
    }

    fn render_time(&self, out: &mut String) {
        let span = show_span(self.last_ms.abs_diff(self.first_ms));
        let _ = writeln!(out, "time      {} to {} UTC ({span})", show_time(self.first_ms), show_time(self.last_ms));
        match self.disorder {
            Disorder { rows: 0, .. } => out.push_str("disorder  none\n"),
            Disorder { rows, largest_ms } => {
                let share = percent(rows as f64 / self.rows as f64);
                let _ = writeln!(out, "disorder  up to {}; {share} of the rows are behind", show_span(largest_ms));
            }
        }
        let rate = &self.rate;
        let (mean, peak) = (number(rate.mean_per_s), number(rate.peak_per_s));
        let bucket = show_span(rate.bucket_ms.unsigned_abs());
        let _ = writeln!(out, "rate      {mean}/s on average, {peak}/s in the fullest of the buckets of {bucket}");
        let most = rate.buckets.iter().copied().max().unwrap_or(0).max(1);
        let bar = |&rows: &u64| match rows {
            0 => ' ',
            rows => {
                ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((u128::from(rows) * 8 - 1) / u128::from(most)) as usize % 8]
            }
        };
        let _ = writeln!(out, "          |{}|\n", rate.buckets.iter().map(bar).collect::<String>());
    }

    fn render_keys(&self, out: &mut String) {
        let how = match self.keys.one_in {
            1 => "counted".to_owned(),
            n => format!("estimated from one key in {n}, chosen by hash"),
        };
        let _ = writeln!(out, "keys      {} distinct ({how})", thousands(self.keys.count));
        let _ = writeln!(out, "          {} occur once", percent(self.one_hit_share));
        for hot in &self.hot {
            let _ =
                writeln!(out, "          {:>3.0} % hottest: {} of the rows", hot.of_keys * 100.0, percent(hot.of_rows));
        }
        if let Some(exponent) = self.zipf_exponent {
            let _ = writeln!(out, "          Zipf exponent {exponent:.2} (maximum likelihood over ranks)");
        }
        out.push_str(if self.keys.one_in == 1 { "\n" } else { "\n  rows of the hottest keys: at least\n" });
        let rows = self.top_keys.iter().map(|top| vec![top.key.clone(), thousands(top.rows), percent(top.share)]);
        table(out, &rows.collect::<Vec<_>>());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inspects rows of time, key and value, following at most so many keys.
    fn inspect_rows(rows: impl Iterator<Item = (i64, String, i64)>, exact_keys: usize) -> Inspection {
        let folder = tempfile::tempdir().unwrap();
        let mut text = "at,key,value\n".to_owned();
        for (at, key, value) in rows {
            writeln!(text, "{at},\"{key}\",{value}").unwrap();
        }
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let wire = serde_json::json!({ "path": "t.csv", "time": "at", "key": "key", "value": "value" });
        let trace = Trace::new(&serde_json::from_value(wire).unwrap(), folder.path()).unwrap();
        Inspection { file: "t.csv".to_owned(), ..inspect_with(&trace, exact_keys).unwrap() }
    }

    /// A number below one from a counter.
    fn random(i: u64) -> f64 {
        (xxh3_64(&i.to_le_bytes()) >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[test]
    fn an_inspection_reads_well() {
        let keys = ["a", "b", "a", "c\u{1b}[0m", "a", "b\u{1f}x", "a", "b"];
        let times = [0, 1000, 900, 2000, 3000, 3600, 7200, 9900];
        let rows = keys.into_iter().zip(times).enumerate();
        let inspection = inspect_rows(rows.map(|(i, (key, at))| (at, key.to_owned(), i as i64 * 700 - 1400)), 100);
        insta::assert_snapshot!(inspection.render(), @r"
        t.csv: 8 rows of CSV

        time      1970-01-01 00:00:00 to 1970-01-01 00:00:09.900 UTC (9.9 s)
        disorder  up to 100 ms; 12.5 % of the rows are behind
        rate      0.81/s on average, 5.00/s in the fullest of the buckets of 200 ms
                  |█   ██    █    █  █                 █            █|

        keys      4 distinct (counted)
                  50.0 % occur once
                    1 % hottest: 50.0 % of the rows
                   10 % hottest: 50.0 % of the rows
                   20 % hottest: 50.0 % of the rows
                  Zipf exponent 1.09 (maximum likelihood over ranks)

          a           4  50.0 %
          b           2  25.0 %
          b / x       1  12.5 %
          c\u{1b}[0m  1  12.5 %

                                   min     p10  p50    p90    p99    max   mean
          reuse distance, keys       1       1    1      3      3      3   1.50
          key length, bytes          1       1    1      5      5      5   1.75
          value                 -1,400  -1,400  700  3,500  3,500  3,500  1,050

        Reuse distance: distinct other keys between two rows of a key; exact stack distances.
        50.0 % of the rows are the first of their key.
        ");
        assert!(serde_json::to_value(&inspection).unwrap()["top_keys"][0]["share"].is_number());
    }

    #[test]
    fn a_list_of_columns_reads_well_and_suggests_a_mapping() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let line = |i: u64| {
            format!("{{\"ts\": {}, \"user id\": \"u{}\", \"v\": {i}, \"x\": {i}.5}}\n", 1_700_000_000 + i, i / 2)
        };
        std::fs::write(&path, (0..5).map(line).collect::<String>()).unwrap();
        let list = ColumnList { file: "t.jsonl".to_owned(), ..columns(&path, None).unwrap() };
        insta::assert_snapshot!(list.render(), @r"
        t.jsonl: JSON Lines

          ts       an integer  1700000000, 1700000001, 1700000002
          user id  a text      u0, u1, u2
          v        an integer  0, 1, 2
          x        a decimal   0.5, 1.5, 2.5

        A mapping that may fit: --time ts --time-format epoch-s --key 'user id' --value v
        ");
        assert!(columns(&path.with_extension("log"), None).unwrap_err().is_input());
        std::fs::write(&path, "{\"a\": true}\n{\"b\": \"\\u0007\"}\n").unwrap();
        let list = ColumnList { file: "t.jsonl".to_owned(), ..columns(&path, None).unwrap() };
        insta::assert_snapshot!(list.render(), @r"
        t.jsonl: JSON Lines

          a  a boolean  true
          b  a text     \u{7}

        No column looks like a time: name the mapping with --time and --key.
        ");
    }

    /// Keys in the order of their latest row, as a list.
    fn distances_by_hand(keys: &[u64]) -> Vec<i64> {
        let (mut list, mut distances) = (Vec::new(), Vec::new());
        for key in keys {
            if let Some(at) = list.iter().rposition(|known| known == key) {
                distances.push((list.len() - 1 - at) as i64);
                list.remove(at);
            }
            list.push(*key);
        }
        distances
    }

    #[test]
    fn reuse_distances_are_those_of_an_lru_list() {
        let keys: Vec<u64> = (0..150_000).map(|i| (random(i).powi(3) * 60.0) as u64).collect();
        let mut distances = distances_by_hand(&keys);
        distances.sort_unstable();
        let rows = keys.iter().enumerate().map(|(i, key)| (i as i64, key.to_string(), 0));
        let found = inspect_rows(rows, 1000);
        let distribution = found.reuse.distance.unwrap();
        let at = |share: f64| distances[(share * distances.len() as f64).ceil() as usize - 1];
        assert_eq!([distribution.min, distribution.max], [distances[0], distances[distances.len() - 1]]);
        assert_eq!([distribution.p10, distribution.p50, distribution.p99], [at(0.1), at(0.5), at(0.99)]);
        assert!((distribution.mean - distances.iter().sum::<i64>() as f64 / distances.len() as f64).abs() < 1e-9);
        assert_eq!(found.keys, Distinct { count: 60, one_in: 1 });
    }

    #[test]
    fn a_sample_of_the_keys_estimates_what_all_of_them_tell() {
        let (rows, keys) = (300_000_u64, 40_000.0_f64);
        let trace = || (0..rows).map(|i| (i as i64, format!("k{}", keys.powf(random(i)) as u64), 0));
        let (exact, sampled) = (inspect_rows(trace(), 1_000_000), inspect_rows(trace(), 4_000));
        assert_eq!((exact.keys.one_in, sampled.keys.one_in), (1, 8));
        let near = |a: f64, b: f64, share: f64| assert!((a - b).abs() <= share * a.abs(), "{a} and {b}");
        near(exact.keys.count as f64, sampled.keys.count as f64, 0.05);
        near(exact.one_hit_share, sampled.one_hit_share, 0.1);
        near(exact.zipf_exponent.unwrap(), sampled.zipf_exponent.unwrap(), 0.1);
        for (exact, sampled) in exact.hot.iter().zip(&sampled.hot) {
            near(exact.of_rows, sampled.of_rows, 0.1);
        }
        let (a, b) = (exact.reuse.distance.unwrap(), sampled.reuse.distance.unwrap());
        near(a.p90 as f64, b.p90 as f64, 0.25);
        let key = |inspection: &Inspection, i: usize| inspection.top_keys[i].key.clone();
        assert_eq!([0, 1, 2].map(|i| key(&exact, i)), [0, 1, 2].map(|i| key(&sampled, i)));
        assert!(sampled.top_keys[0].rows <= exact.top_keys[0].rows);
        assert!(sampled.render().contains("estimated from one key in 8"));
    }

    #[test]
    fn the_zipf_exponent_is_found_again() {
        for (exponent, keys) in [(0.5, 1000_u32), (0.99, 50_000), (1.0, 30_000), (1.5, 200_000)] {
            let items: Vec<_> = (1..=keys).map(|rank| ((1e12 * f64::from(rank).powf(-exponent)) as u64, 1.0)).collect();
            let found = zipf_exponent(&items).unwrap();
            assert!((found - exponent).abs() < 1e-3, "{found} is not {exponent}");
        }
        assert!(zipf_exponent(&[(5, 1.0); 100]).unwrap() < 1e-6);
        assert_eq!(zipf_exponent(&[(5, 1.0)]), None);
    }

    #[test]
    fn hot_shares_count_whole_keys() {
        let items = [(50, 1.0), (30, 1.0), (10, 2.0)];
        assert!((hot_share(&items, 0.01) - 0.5).abs() < 1e-12);
        assert!((hot_share(&items, 0.5) - 0.8).abs() < 1e-12);
        assert!((hot_share(&items, 1.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_grid_keeps_every_row_whatever_comes() {
        for times in [vec![0, 5, 59, 60, 61, 600], vec![600, -600, 0], vec![i64::MAX, i64::MIN, 0, i64::MIN]] {
            let mut grid = Grid { width_ms: 1, first: 0, counts: Vec::new() };
            for &time in &times {
                grid.add(time);
            }
            assert_eq!(grid.counts.iter().sum::<u64>(), times.len() as u64);
            assert!(grid.counts.len() <= BUCKETS);
            for time in times {
                assert!(grid.counts[(time.div_euclid(grid.width_ms) - grid.first) as usize] > 0, "{time}");
            }
        }
        assert!(WIDTHS_MS.is_sorted_by(|a, b| a < b && b % a == 0));
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_numbers() {
        let numbers: Vec<i64> = (0..10_001).map(|i| i * 100 - 250_000).collect();
        let mut spread = Spread::new();
        for &number in &numbers {
            spread.add(number);
        }
        let found = spread.finish().unwrap();
        let expected = [(found.p10, 1000), (found.p50, 5000), (found.p90, 9000), (found.p99, 9900)];
        for (found, at) in expected {
            let number = numbers[at];
            assert!((found - number).abs() <= number.abs() / 500 + 100, "{found} is not {number}");
        }
        assert_eq!((found.min, found.max), (-250_000, 750_000));
        assert!((found.mean - 250_000.0).abs() < 1e-9);
        let mut extremes = Spread::new();
        extremes.add(i64::MIN);
        extremes.add(i64::MAX);
        assert_eq!(extremes.finish().map(|found| (found.p10, found.p99)), Some((i64::MIN, i64::MAX)));
    }
}
