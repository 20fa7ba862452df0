//! The settings that a search may choose from: a few values of each of some options, and what of their combinations makes sense.
//!
//! A combination in which an option takes no effect is the same as that with the option left alone, and is tried once. One that
//! cannot work, or in which the rules of `flink lint` find a mistake that is not there to begin with, is not tried.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::flink::lint::{Context, Severity, lint};
use crate::workload::{BackendType, Bytes, Configuration, Invalid, KnownKey, Options, short_key};

/// A choice of each option of a space, by its position among the option's values.
pub type Point = Vec<u8>;

/// What a model needs to know of a space: how many values each option has, and whether they have an order.
pub type Shape = Vec<Choices>;

/// The values of one option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choices {
    /// How many.
    pub levels: usize,
    /// Whether neighbours are more alike than others.
    pub is_ordered: bool,
}

impl Choices {
    /// How alike two values are, 0 to 1.
    pub fn likeness(self, a: u8, b: u8) -> f64 {
        match a.abs_diff(b) {
            0 => 1.0,
            apart if self.is_ordered => libm::exp(-2.0 * f64::from(apart) / (self.levels as f64 - 1.0).max(2.0)),
            _ => 0.0,
        }
    }
}

/// The key of the backend.
pub const BACKEND: &str = "state.backend.type";
const MANAGED_SIZE: &str = "taskmanager.memory.managed.size";
const FIXED_PER_SLOT: &str = "state.backend.rocksdb.memory.fixed-per-slot";
const TASK_HEAP: &str = "taskmanager.memory.task.heap.size";

/// What is searched where the user names nothing: options of RocksDB that decide how fast state is read and written, with values
/// that are in use.
const TUNABLE: [(&str, &[&str]); 14] = [
    ("state.backend.rocksdb.memory.partitioned-index-filters", &["false", "true"]),
    ("state.backend.rocksdb.use-bloom-filter", &["false", "true"]),
    ("state.backend.rocksdb.bloom-filter.bits-per-key", &["6", "10", "16"]),
    ("state.backend.rocksdb.memory.write-buffer-ratio", &["0.1", "0.25", "0.5", "0.75"]),
    ("state.backend.rocksdb.memory.high-prio-pool-ratio", &["0.1", "0.25", "0.5"]),
    ("state.backend.rocksdb.block.blocksize", &["2kb", "4kb", "8kb", "16kb"]),
    ("state.backend.rocksdb.compression.per.level", &["SNAPPY_COMPRESSION", "NO_COMPRESSION", "LZ4_COMPRESSION"]),
    ("state.backend.rocksdb.writebuffer.size", &["8mb", "32mb", "64mb"]),
    ("state.backend.rocksdb.writebuffer.count", &["2", "4"]),
    ("state.backend.rocksdb.compaction.style", &["LEVEL", "UNIVERSAL"]),
    ("state.backend.rocksdb.compaction.level.use-dynamic-size", &["false", "true"]),
    ("state.backend.rocksdb.compaction.level.target-file-size-base", &["8mb", "64mb"]),
    ("state.backend.rocksdb.thread.num", &["2", "4"]),
    ("state.backend.rocksdb.timer-service.factory", &["ROCKSDB", "HEAP"]),
];

/// Budgets that are tried where the memory is searched, MiB.
const MEMORY_MIB: [u64; 16] = [4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048];
/// The largest budget that is tried where nothing says more.
const MOST_MEMORY_BYTES: u64 = 256 << 20;
/// The most values of an option.
const MOST_LEVELS: usize = 64;

/// One option of a space.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// Flink's key.
    pub key: String,
    /// Its values as Flink prints them, in ascending order where they have one.
    pub levels: Vec<String>,
    /// Whether they have one.
    pub is_ordered: bool,
}

impl Dimension {
    /// Whether it is the budget of the memory.
    pub fn is_memory(&self) -> bool {
        is_memory(&self.key)
    }
}

/// Values of one option that the user allows, as the command line spells them: `key=a,b,c`, or `key=a..b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Flink's key.
    pub key: String,
    /// Its values.
    pub values: Vec<String>,
}

impl FromStr for Range {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected KEY=VALUE,VALUE,… or KEY=LEAST..MOST";
        let (key, values) = text.split_once('=').ok_or(expected)?;
        let key = key.trim().to_owned();
        let values = match values.split_once("..") {
            Some((least, most)) => between(least.trim(), most.trim())?,
            None => values.split(',').map(|value| value.trim().to_owned()).collect(),
        };
        if values.iter().any(String::is_empty) {
            return Err(expected.to_owned());
        }
        Ok(Self { key, values })
    }
}

/// The values of a range: sizes and whole numbers by doubling, other numbers in four even steps; both ends among them.
fn between(least: &str, most: &str) -> Result<Vec<String>, String> {
    let out_of_order = || format!("{least}..{most}: the first must be less than the second");
    if let (Ok(from), Ok(to)) = (least.parse::<f64>(), most.parse::<f64>()) {
        if from >= to || !from.is_finite() || !to.is_finite() {
            return Err(out_of_order());
        }
        if from >= 1.0 && from.fract() == 0.0 && to.fract() == 0.0 && to < 1e15 {
            return Ok(doubled(from as u64, to as u64).iter().map(u64::to_string).collect());
        }
        let step = |i: u32| from + (to - from) * f64::from(i) / 4.0;
        return Ok((0..=4).map(|i| format!("{}", (step(i) * 1e6).round() / 1e6)).collect());
    }
    let (Ok(Bytes(from)), Ok(Bytes(to))) = (least.parse(), most.parse()) else {
        return Err(format!("{least}..{most}: expected two numbers or two sizes, such as 8mb..64mb"));
    };
    if from == 0 || from >= to {
        return Err(out_of_order());
    }
    Ok(doubled(from, to).into_iter().map(|bytes| Bytes(bytes).to_string()).collect())
}

/// From one number to another by doubling, the last step shorter.
fn doubled(from: u64, to: u64) -> Vec<u64> {
    let mut values: Vec<u64> =
        std::iter::successors(Some(from), |value| value.checked_mul(2)).take_while(|value| *value < to).collect();
    values.push(to);
    values
}

/// What memory a search may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryChoice {
    /// What the configuration has that the search starts from.
    AsItIs,
    /// So many bytes of managed memory in a slot, or of heap where the state is on the heap.
    Fixed(u64),
    /// Any budget up to this; up to that of the start, or 256 MB where that has less, where it is none.
    UpTo(Option<u64>),
}

/// What the user wants searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Options and values in place of the usual ones; all of those where it is empty.
    pub tune: Vec<Range>,
    /// Options that are held.
    pub fix: Vec<(String, String)>,
    /// The memory.
    pub memory: MemoryChoice,
    /// The configuration on the other backend, where that may be chosen too.
    pub other: Option<Configuration>,
}

/// Why there is nothing to search.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// A key or value is wrong.
    #[error("{0}")]
    Input(String),
    /// An option cannot be set like this.
    #[error("{0}: {1}")]
    Option(&'static str, Invalid),
}

/// The settings that can be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// The configuration that the search starts from, with what is held.
    start: Configuration,
    /// That of the other backend, with what is held.
    other: Option<Configuration>,
    dimensions: Vec<Dimension>,
}

impl Space {
    /// The space around a configuration.
    ///
    /// # Errors
    /// A key or value that Flink does not have, an option that is both held and searched for another value, or nothing to choose.
    pub fn around(start: &Configuration, wanted: &Wanted) -> Result<Self, SpaceError> {
        check_keys(wanted)?;
        let (mut start, mut other) = (start.clone(), wanted.other.clone());
        for (key, value) in &wanted.fix {
            fix(&mut start, other.as_mut(), key, value, &wanted.tune)?;
        }
        let mut space = Self { start, other, dimensions: Vec::new() };
        let memory = space.hold_memory(wanted.memory)?;
        if space.other.is_some() {
            let backends = [&space.start, space.other.as_ref().unwrap_or(&space.start)];
            let levels = backends.map(|configuration| configuration.options.backend.to_string()).to_vec();
            space.dimensions.push(Dimension { key: BACKEND.to_owned(), levels, is_ordered: false });
        }
        space.dimensions.extend(memory);
        let usual = TUNABLE.map(|(key, values)| Range {
            key: key.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        });
        let named: Vec<&Range> =
            if wanted.tune.is_empty() { usual.iter().collect() } else { wanted.tune.iter().collect() };
        for range in named {
            let is_held = wanted.fix.iter().any(|(key, _)| *key == range.key);
            if is_held || space.dimensions.iter().any(|dimension| dimension.key == range.key) {
                continue;
            }
            space.dimensions.extend(space.dimension(range, !wanted.tune.is_empty())?);
        }
        // What no combination heeds is no choice.
        let heeded: BTreeSet<String> = space.heeded_keys();
        if let Some(range) = wanted
            .tune
            .iter()
            .find(|range| !heeded.contains(&range.key) && !wanted.fix.iter().any(|(key, _)| *key == range.key))
        {
            let why = space.start.options.without_effect([range.key.as_str()]).pop();
            let why = why.map_or_else(|| "it has one value".to_owned(), |(_, why)| why);
            return Err(SpaceError::Input(format!("--tune {}: nothing to choose: {why}", range.key)));
        }
        space.dimensions.retain(|dimension| heeded.contains(&dimension.key));
        if space.dimensions.is_empty() {
            let message = "nothing to choose from: every option is held, or without effect in this workload; --tune KEY=VALUE,VALUE \
                           names what to search";
            return Err(SpaceError::Input(message.to_owned()));
        }
        Ok(space)
    }

    /// Sets the memory of both backends where it is one budget; the choice of budgets where it is searched.
    fn hold_memory(&mut self, memory: MemoryChoice) -> Result<Option<Dimension>, SpaceError> {
        let key = self.memory_key();
        let most = match memory {
            MemoryChoice::AsItIs => return Ok(None),
            MemoryChoice::Fixed(bytes) => {
                let text = self.memory_text(bytes);
                let on_heap = self.other.as_ref().map(|other| self.other_text(other, key, &text));
                let texts = [text, on_heap.unwrap_or_default()];
                for (configuration, text) in std::iter::once(&mut self.start).chain(self.other.as_mut()).zip(&texts) {
                    let set = set_memory(configuration, key, text).and_then(|()| configuration.options.validate());
                    set.map_err(|invalid| SpaceError::Option("--memory", invalid))?;
                }
                return Ok(None);
            }
            MemoryChoice::UpTo(most) => most,
        };
        let own = self.start.options.memory_budget_bytes();
        let most = most.or(own.map(|own| own.max(MOST_MEMORY_BYTES))).unwrap_or(MOST_MEMORY_BYTES);
        if own.is_some_and(|own| own > most) {
            // What is not allowed is no place to start from.
            self.hold_memory(MemoryChoice::Fixed(most))?;
        }
        let mut budgets: BTreeSet<u64> = MEMORY_MIB.iter().map(|mib| mib << 20).filter(|bytes| *bytes < most).collect();
        budgets.insert(most);
        budgets.extend(own.filter(|own| *own < most));
        let works = |bytes: &u64| {
            let mut changed = self.start.clone();
            set_memory(&mut changed, key, &self.memory_text(*bytes)).is_ok() && changed.options.validate().is_ok()
        };
        let levels: Vec<String> =
            budgets.iter().filter(|bytes| works(bytes)).map(|bytes| self.memory_text(*bytes)).collect();
        if levels.is_empty() {
            let message =
                format!("--memory {}: no budget up to it works; Flink asks for 1 mb in a slot at least", Bytes(most));
            return Err(SpaceError::Input(message));
        }
        Ok(Some(Dimension { key: key.to_owned(), levels, is_ordered: true }))
    }

    /// The key that the memory is set by: that of the start where it is fixed for a slot, else managed memory.
    fn memory_key(&self) -> &'static str {
        let is_fixed = |configuration: &Configuration| configuration.options.memory_fixed_per_slot.0.is_some();
        if is_fixed(&self.start) || self.other.as_ref().is_some_and(is_fixed) { FIXED_PER_SLOT } else { MANAGED_SIZE }
    }

    /// A budget of a slot as the key spells it: managed memory is that of all slots.
    fn memory_text(&self, bytes: u64) -> String {
        let slots = if self.memory_key() == MANAGED_SIZE { u64::from(self.start.options.task_slots) } else { 1 };
        Bytes(bytes.saturating_mul(slots)).to_string()
    }

    /// The budget that a configuration has, as the key of its memory spells it.
    fn budget_text(&self, configuration: &Configuration) -> Option<String> {
        let of_slot = configuration.options.memory_budget_bytes()?;
        let is_per_slot = configuration.options.backend == BackendType::RocksDb && self.memory_key() != MANAGED_SIZE;
        let slots = if is_per_slot { 1 } else { u64::from(configuration.options.task_slots) };
        Some(Bytes(of_slot.saturating_mul(slots)).to_string())
    }

    /// A budget of the start for a configuration whose TaskManager may have another number of slots.
    fn other_text(&self, configuration: &Configuration, key: &str, budget: &str) -> String {
        if key != MANAGED_SIZE && configuration.options.backend == BackendType::RocksDb {
            return budget.to_owned();
        }
        let of_start = if key == MANAGED_SIZE { u64::from(self.start.options.task_slots) } else { 1 };
        let of_slot = budget.parse().map_or(0, |Bytes(bytes)| bytes / of_start);
        Bytes(of_slot.saturating_mul(u64::from(configuration.options.task_slots))).to_string()
    }

    /// An option with its values, that of the start among them; none where it is one alone and nobody asked for it.
    fn dimension(&self, range: &Range, is_asked: bool) -> Result<Option<Dimension>, SpaceError> {
        let Range { key, values } = range;
        let here = |invalid| SpaceError::Option("--tune", invalid);
        let Some(KnownKey::Option(row)) = KnownKey::find(key) else {
            let mut options = Options::default();
            let unknown = options.set(key, "").err().unwrap_or_else(|| Invalid::new(key, "a metric", "an option"));
            return Err(here(unknown));
        };
        let mut levels = Vec::new();
        for value in values {
            let mut options = Options::default();
            options.set(key, value).map_err(here)?;
            let text = row.get(&options);
            if !levels.contains(&text) {
                levels.push(text);
            }
        }
        let own: Vec<String> = [Some(&self.start), self.other.as_ref()]
            .into_iter()
            .flatten()
            .filter(|configuration| configuration.heeds(row.key))
            .map(|configuration| row.get(&configuration.options))
            .take(1)
            .collect();
        // The search starts where the user is, inside of the range or not.
        levels.extend(own.into_iter().filter(|own| own != "none" && !levels.contains(own)).collect::<Vec<_>>());
        if levels.len() > MOST_LEVELS {
            return Err(SpaceError::Input(format!(
                "--tune {key}: {} values; allowed: at most {MOST_LEVELS}",
                levels.len()
            )));
        }
        let numbers: Option<Vec<f64>> = levels.iter().map(|level| number(level)).collect();
        let is_ordered = numbers.is_some() && levels.len() > 2;
        if let Some(numbers) = numbers {
            let mut order: Vec<usize> = (0..levels.len()).collect();
            order.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b]));
            levels = order.into_iter().map(|index| levels[index].clone()).collect();
        }
        Ok((levels.len() > 1 || is_asked).then(|| Dimension { key: row.key.to_owned(), levels, is_ordered }))
    }

    /// Options of more than one value that take effect in some combination: where every other one has one of its values, or two of
    /// them have.
    fn heeded_keys(&self) -> BTreeSet<String> {
        let mut heeded = BTreeSet::new();
        for (index, dimension) in self.dimensions.iter().enumerate().filter(|(_, dimension)| dimension.levels.len() > 1)
        {
            let mut others: Vec<(usize, u8)> = vec![(index, 0)];
            for (other, levels) in self.dimensions.iter().enumerate().filter(|(other, _)| *other != index) {
                others.extend((0..levels.levels.len()).map(|level| (other, level as u8)));
            }
            let mut points = Vec::new();
            for (place, one) in others.iter().enumerate() {
                for two in &others[place..] {
                    let mut point = self.start_point();
                    (point[one.0], point[two.0]) = (one.1, two.1);
                    point[index] = u8::from(point[index] == 0);
                    points.push(point);
                }
            }
            let takes_effect =
                |point: &Point| self.settled(point).is_some_and(|settled| settled[index] == point[index]);
            if points.iter().any(takes_effect) {
                heeded.insert(dimension.key.clone());
            }
        }
        heeded
    }

    /// The options and their values.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// What a model needs to know of it.
    pub fn shape(&self) -> Shape {
        let choices =
            |dimension: &Dimension| Choices { levels: dimension.levels.len(), is_ordered: dimension.is_ordered };
        self.dimensions.iter().map(choices).collect()
    }

    /// How many combinations there are, those without effect and those that do not work among them.
    pub fn combinations(&self) -> f64 {
        self.dimensions.iter().map(|dimension| dimension.levels.len() as f64).product()
    }

    /// The configuration that the search starts from.
    pub fn start(&self) -> &Configuration {
        &self.start
    }

    /// The combination that the search starts from.
    pub fn start_point(&self) -> Point {
        self.dimensions.iter().map(|dimension| self.own_level(dimension)).collect()
    }

    /// The value that the start has of an option by itself; the first where it has none of them.
    fn own_level(&self, dimension: &Dimension) -> u8 {
        let own = if is_memory(&dimension.key) {
            self.start.options.memory_budget_bytes().map(|bytes| self.memory_text(bytes))
        } else {
            own_value(&self.start, &dimension.key)
        };
        dimension.levels.iter().position(|level| own.as_ref() == Some(level)).unwrap_or(0) as u8
    }

    /// The combination that this one comes to, with what takes no effect as the start has it; none where it cannot work, or has a
    /// mistake that the start does not have.
    pub fn settled(&self, point: &Point) -> Option<Point> {
        let mut settled = point.clone();
        // Setting one option back can make another one idle.
        for _ in 0..self.dimensions.len() {
            let (_, configuration) = self.built(&settled).ok()?;
            let start = self.start_point();
            let idle = (0..settled.len()).filter(|&index| {
                settled[index] != start[index] && !Self::takes_effect(&configuration, &self.dimensions[index].key)
            });
            let idle: Vec<usize> = idle.collect();
            if idle.is_empty() {
                let is_sound =
                    configuration.options.validate().is_ok() && self.is_without_new_mistakes(&settled, &configuration);
                return is_sound.then_some(settled);
            }
            idle.into_iter().for_each(|index| settled[index] = start[index]);
        }
        None
    }

    fn takes_effect(configuration: &Configuration, key: &str) -> bool {
        let on_heap = configuration.options.backend != BackendType::RocksDb;
        match key {
            BACKEND => true,
            MANAGED_SIZE | FIXED_PER_SLOT if on_heap => true, // the heap has as much in place of it
            _ => configuration.heeds(key),
        }
    }

    fn is_without_new_mistakes(&self, point: &Point, configuration: &Configuration) -> bool {
        let mistakes = |configuration: &Configuration| {
            let found = lint(&Context::of_configuration(configuration)).into_iter();
            found
                .filter(|finding| finding.severity != Severity::Note)
                .map(|finding| (finding.rule, finding.key))
                .collect::<BTreeSet<_>>()
        };
        if *point == self.start_point() {
            return true;
        }
        mistakes(configuration).is_subset(&mistakes(self.base(point)))
    }

    /// The configuration that a combination changes: that of its backend.
    fn base(&self, point: &Point) -> &Configuration {
        let place = self.dimensions.iter().position(|dimension| dimension.key == BACKEND);
        match (place, &self.other) {
            (Some(place), Some(other)) if point[place] == 1 => other,
            _ => &self.start,
        }
    }

    /// The configuration of a combination, without a name of its own.
    ///
    /// # Errors
    /// A value that cannot be set.
    pub fn configuration(&self, point: &Point) -> Result<Configuration, Invalid> {
        self.built(point).map(|(_, configuration)| configuration)
    }

    /// What a combination sets that its backend's configuration does not have, and the configuration with it.
    fn built(&self, point: &Point) -> Result<(Vec<(String, String)>, Configuration), Invalid> {
        let mut configuration = self.base(point).clone();
        let mut changes = Vec::new();
        for (dimension, level) in self.dimensions.iter().zip(point) {
            let (key, value) = (dimension.key.as_str(), &dimension.levels[usize::from(*level)]);
            if key == BACKEND {
                if configuration.options.backend != self.start.options.backend {
                    changes.push((key.to_owned(), value.clone()));
                }
            } else if is_memory(key) {
                let text = self.other_text(&configuration, key, value);
                let set_by = if configuration.options.backend == BackendType::RocksDb { key } else { TASK_HEAP };
                if self.budget_text(&configuration).as_ref() != Some(&text) {
                    set_memory(&mut configuration, key, &text)?;
                    changes.push((set_by.to_owned(), text));
                }
            } else if own_value(&configuration, key).as_ref() != Some(value) {
                let mut changed = configuration.clone();
                changed.set(key, value)?;
                // What the start has on its own backend says nothing on the other one.
                let is_of_start = self.own_level(dimension) == *level;
                if !is_of_start || changed.heeds(key) {
                    configuration = changed;
                    changes.push((key.to_owned(), value.clone()));
                }
            }
        }
        Ok((changes, configuration))
    }

    /// What a combination sets that its backend's configuration does not have: keys and values.
    pub fn changes(&self, point: &Point) -> Vec<(String, String)> {
        self.built(point).map(|(changes, _)| changes).unwrap_or_default()
    }

    /// The same in a line.
    pub fn described(&self, point: &Point) -> String {
        let changes = self.changes(point);
        if changes.is_empty() {
            return format!("as {}", self.base(point).name);
        }
        changes.iter().map(|(key, value)| format!("{}={value}", short_key(key))).collect::<Vec<_>>().join(" · ")
    }

    /// Managed memory of a slot, or the heap of its tasks, bytes; none where caches are not bounded by a budget.
    pub fn memory_bytes(&self, point: &Point) -> Option<u64> {
        self.configuration(point).ok()?.options.memory_budget_bytes()
    }
}

/// Refuses keys that other options of the command line speak of.
fn check_keys(wanted: &Wanted) -> Result<(), SpaceError> {
    let tuned = wanted.tune.iter().map(|range| ("--tune", range.key.as_str()));
    for (option, key) in tuned.chain(wanted.fix.iter().map(|(key, _)| ("--fix", key.as_str()))) {
        let row = Options::row(key);
        if let Some(row) = row.filter(|row| row.key != key) {
            return Err(SpaceError::Input(format!("{option} {key}: an older name; write {}", row.key)));
        }
        if key == BACKEND {
            return Err(SpaceError::Input(format!(
                "{option} {key}: --backend says which backends there are to choose from"
            )));
        }
        if is_memory(key) && wanted.memory != MemoryChoice::AsItIs {
            return Err(SpaceError::Input(format!("{option} {key}: --memory says how much there is")));
        }
    }
    Ok(())
}

fn is_memory(key: &str) -> bool {
    key == MANAGED_SIZE || key == FIXED_PER_SLOT
}

/// Sets the budget of a configuration. One on the heap has it as heap of its tasks, and no managed memory.
fn set_memory(configuration: &mut Configuration, key: &str, text: &str) -> Result<(), Invalid> {
    if configuration.options.backend == BackendType::RocksDb {
        return configuration.set(key, text);
    }
    configuration.set(TASK_HEAP, text)?;
    configuration.set(MANAGED_SIZE, "0b")
}

/// The value of an option as Flink prints it.
fn own_value(configuration: &Configuration, key: &str) -> Option<String> {
    match KnownKey::find(key)? {
        KnownKey::Option(row) => Some(row.get(&configuration.options)),
        KnownKey::Metric(_) => None,
    }
}

/// A number or a size.
fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().or_else(|| text.parse::<Bytes>().ok().map(|bytes| bytes.0 as f64))
}

/// Holds an option in every configuration that heeds it.
fn fix(
    start: &mut Configuration,
    other: Option<&mut Configuration>,
    key: &str,
    value: &str,
    tune: &[Range],
) -> Result<(), SpaceError> {
    let here = |invalid| SpaceError::Option("--fix", invalid);
    let mut heeded = false;
    for configuration in std::iter::once(start).chain(other) {
        let mut changed = configuration.clone();
        changed.set(key, value).map_err(here)?;
        if changed.heeds(key) {
            changed.options.validate().map_err(here)?;
            *configuration = changed;
            heeded = true;
        }
    }
    if !heeded {
        return Err(SpaceError::Input(format!("--fix {key}={value}: the option has no effect in this search")));
    }
    let printed = |value: &str| {
        let mut options = Options::default();
        options.set(key, value).map_err(here)?;
        Ok(Options::row(key).map(|row| row.get(&options)))
    };
    let held = printed(value)?;
    let Some(range) = tune.iter().find(|range| range.key == key) else { return Ok(()) };
    let allowed = range.values.iter().map(|value| printed(value)).collect::<Result<Vec<_>, SpaceError>>()?;
    if allowed.contains(&held) {
        return Ok(());
    }
    let message = format!(
        "--fix {key}={value} beside --tune {key}={}: the value that is held is none of those",
        range.values.join(",")
    );
    Err(SpaceError::Input(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Document, Plan};
    use insta::assert_snapshot;

    fn rocksdb(settings: &[(&str, &str)]) -> Configuration {
        let plan =
            Plan::of(Document::parse(std::path::Path::new("job.toml"), "[run]\n".to_owned()).unwrap(), &[], false);
        let mut configuration = plan.unwrap().cells[1].configuration.clone();
        settings.iter().for_each(|(key, value)| configuration.set(key, value).unwrap());
        configuration
    }

    fn heap() -> Configuration {
        let mut heap = Configuration::defaults().swap_remove(0);
        heap.options.job = rocksdb(&[]).options.job;
        heap
    }

    fn wanted(tune: &[&str]) -> Wanted {
        let tune = tune.iter().map(|text| text.parse().unwrap()).collect();
        Wanted { tune, fix: Vec::new(), memory: MemoryChoice::AsItIs, other: None }
    }

    fn keys(space: &Space) -> Vec<String> {
        space.dimensions().iter().map(|one| format!("{} {}", short_key(&one.key), one.levels.join(","))).collect()
    }

    const PARTITIONED: &str = "state.backend.rocksdb.memory.partitioned-index-filters=false,true";
    const BLOOM: &str = "state.backend.rocksdb.use-bloom-filter=false,true";
    const BITS: &str = "state.backend.rocksdb.bloom-filter.bits-per-key=6,10,16";
    const BLOCK: &str = "state.backend.rocksdb.block.blocksize=16kb,2kb";

    #[test]
    fn without_a_word_the_usual_options_are_searched() {
        let space = Space::around(&rocksdb(&[]), &wanted(&[])).unwrap();
        assert_snapshot!(keys(&space).join("\n"), @r"
        memory.partitioned-index-filters false,true
        use-bloom-filter false,true
        bloom-filter.bits-per-key 6,10,16
        memory.write-buffer-ratio 0.1,0.25,0.5,0.75
        memory.high-prio-pool-ratio 0.1,0.25,0.5
        block.blocksize 2 kb,4 kb,8 kb,16 kb
        compression.per.level SNAPPY_COMPRESSION,NO_COMPRESSION,LZ4_COMPRESSION
        writebuffer.size 8 mb,32 mb,64 mb
        writebuffer.count 2,4
        compaction.style LEVEL,UNIVERSAL
        compaction.level.use-dynamic-size false,true
        compaction.level.target-file-size-base 8 mb,64 mb
        thread.num 2,4
        ");
        assert_eq!(space.changes(&space.start_point()), []);
    }

    #[test]
    fn the_value_of_the_start_is_among_those_to_choose_from_and_they_are_in_order() {
        let space = Space::around(&rocksdb(&[]), &wanted(&[BLOCK])).unwrap();
        assert_eq!(keys(&space), ["block.blocksize 2 kb,4 kb,16 kb"]);
        assert_eq!((space.start_point(), space.shape()), (vec![1], vec![Choices { levels: 3, is_ordered: true }]));
    }

    #[test]
    fn what_takes_no_effect_is_the_same_as_what_leaves_it_alone() {
        let space = Space::around(&rocksdb(&[]), &wanted(&[PARTITIONED, BLOOM, BITS])).unwrap();
        // Bits say nothing without a filter, and of a partitioned one neither.
        assert_eq!(space.settled(&vec![0, 0, 2]), Some(vec![0, 0, 1]));
        assert_eq!(space.settled(&vec![0, 1, 2]), Some(vec![0, 1, 2]));
        assert_eq!(space.described(&vec![0, 1, 2]), "use-bloom-filter=true · bloom-filter.bits-per-key=16");
        assert_eq!(space.described(&vec![0, 0, 1]), "as rocksdb");
    }

    #[test]
    fn the_other_backend_is_one_choice_whatever_the_options_of_this_one() {
        let all = Wanted { other: Some(heap()), memory: MemoryChoice::Fixed(64 << 20), ..wanted(&[PARTITIONED]) };
        let space = Space::around(&rocksdb(&[]), &all).unwrap();
        assert_eq!(keys(&space), ["state.backend.type rocksdb,hashmap", "memory.partitioned-index-filters false,true"]);
        assert_eq!(space.settled(&vec![1, 1]), Some(vec![1, 0]));
        let on_heap = space.configuration(&vec![1, 0]).unwrap();
        assert_eq!(on_heap.options.memory_budget_bytes(), Some(64 << 20));
        assert_eq!(space.configuration(&vec![0, 1]).unwrap().options.memory_budget_bytes(), Some(64 << 20));
    }

    #[test]
    fn what_the_start_sets_for_rocksdb_says_nothing_on_the_heap() {
        let all = Wanted { other: Some(heap()), ..wanted(&[BLOCK]) };
        let start = rocksdb(&[("state.backend.rocksdb.block.blocksize", "16kb")]);
        let space = Space::around(&start, &all).unwrap();
        assert_eq!(space.changes(&vec![0, 1]), []);
        let on_heap = space.settled(&vec![1, 0]).unwrap();
        assert_eq!(space.described(&on_heap), "state.backend.type=hashmap");
    }

    #[test]
    fn a_budget_is_searched_up_to_the_most_that_is_allowed() {
        let up_to = |most| {
            let all = Wanted { memory: MemoryChoice::UpTo(most), other: Some(heap()), ..wanted(&[PARTITIONED]) };
            Space::around(
                &rocksdb(&[("taskmanager.memory.managed.size", "20mb"), ("taskmanager.numberOfTaskSlots", "2")]),
                &all,
            )
        };
        let space = up_to(Some(16 << 20)).unwrap();
        // Managed memory is that of both slots.
        assert_eq!(keys(&space)[1], "taskmanager.memory.managed.size 8 mb,12 mb,16 mb,20 mb,24 mb,32 mb");
        assert_eq!(space.memory_bytes(&space.start_point()), Some(10 << 20));
        // On the heap it is the heap of the tasks of a slot.
        let on_heap: Point = vec![1, 0, 0];
        assert_eq!((space.memory_bytes(&on_heap), space.changes(&on_heap)[1].0.as_str()), (Some(4 << 20), TASK_HEAP));
        // A start that takes more begins at the most.
        let space = up_to(Some(8 << 20)).unwrap();
        assert_eq!(space.memory_bytes(&space.start_point()), Some(8 << 20));
    }

    #[test]
    fn a_start_without_a_word_on_memory_begins_with_what_flink_gives_it() {
        let all = Wanted { memory: MemoryChoice::UpTo(None), other: Some(heap()), ..wanted(&[PARTITIONED]) };
        let space = Space::around(&rocksdb(&[]), &all).unwrap();
        let start = space.start_point();
        assert_eq!(space.memory_bytes(&start), rocksdb(&[]).options.memory_budget_bytes());
        assert!(space.memory_bytes(&start).unwrap() > 500 << 20 && space.changes(&start).is_empty());
    }

    #[test]
    fn ranges_are_lists_or_steps() {
        let values = |text: &str| text.parse::<Range>().map(|range| range.values.join(","));
        assert_eq!(values("k=a, b").unwrap(), "a,b");
        assert_eq!(values("k=4mb..24mb").unwrap(), "4 mb,8 mb,16 mb,24 mb");
        assert_eq!(values("k=1..6").unwrap(), "1,2,4,6");
        assert_eq!(values("k=0.1..0.5").unwrap(), "0.1,0.2,0.3,0.4,0.5");
        for wrong in ["k", "k=", "k=a,,b", "k=5..2", "k=8mb..4mb", "k=a..b", "k=1..nan"] {
            assert!(values(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_searched_is_said() {
        let of = |wanted: &Wanted| Space::around(&rocksdb(&[]), wanted).unwrap_err().to_string();
        assert_snapshot!(of(&wanted(&["state.backend.rocksdb.block.blocksiz=4kb,8kb"])), @"--tune: state.backend.rocksdb.block.blocksiz: found a key that statebench does not know; allowed: the keys of `statebench list options`; the nearest is `state.backend.rocksdb.block.blocksize`");
        assert_snapshot!(of(&wanted(&["state.backend.rocksdb.block.blocksize=4kb,x"])), @"--tune: state.backend.rocksdb.block.blocksize: found `x`; allowed: a size such as 4096, 64kb, 256 mb or 2g");
        assert_snapshot!(of(&wanted(&["state.backend.rocksdb.block.cache-size=8mb,64mb"])), @"--tune state.backend.rocksdb.block.cache-size: nothing to choose: memory is shared (memory.managed or a fixed size), which brings its own cache");
        let fix = |key: &str, value: &str, tune: &[&str]| Wanted {
            fix: vec![(key.to_owned(), value.to_owned())],
            ..wanted(tune)
        };
        assert_snapshot!(of(&fix("state.backend.rocksdb.block.blocksize", "8kb", &[BLOCK])), @"--fix state.backend.rocksdb.block.blocksize=8kb beside --tune state.backend.rocksdb.block.blocksize=16kb,2kb: the value that is held is none of those");
        assert_snapshot!(of(&fix("state.backend.rocksdb.block.blocksize", "2kb", &[BLOCK])), @"nothing to choose from: every option is held, or without effect in this workload; --tune KEY=VALUE,VALUE names what to search");
        assert_snapshot!(of(&fix(BACKEND, "hashmap", &[])), @"--fix state.backend.type: --backend says which backends there are to choose from");
        let memory = MemoryChoice::UpTo(None);
        assert_snapshot!(of(&Wanted { memory, ..fix(MANAGED_SIZE, "8mb", &[]) }), @"--fix taskmanager.memory.managed.size: --memory says how much there is");
        assert_snapshot!(of(&fix("state.backend", "rocksdb", &[])), @"--fix state.backend: an older name; write state.backend.type");
        assert_snapshot!(of(&fix("state.backend.rocksdb.block.cache-size", "8mb", &[])), @"--fix state.backend.rocksdb.block.cache-size=8mb: the option has no effect in this search");
    }
}
