//! The `[operator]` section: what is done with each event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::window::{SessionWindowWire, SlidingWindowWire, TumblingWindowWire};
use super::{
    Inputs, Invalid, Retractions, RuleSet, Shorthand, TimeOffset, VALUE_RANGE, WindowContents, Windows, check_range,
};

/// The operator as the file spells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum OperatorWire {
    /// Counts the events of each key (ValueState of a long: read, add one, write).
    Counter {},
    /// Keeps a running reduction of the values of each key (ReducingState).
    Reduce {
        /// The reduce function.
        #[serde(default)]
        function: ReduceFunction,
        /// Whether each event reads the state again and emits what it then holds; false adds to it only.
        #[serde(default = "default_emit")]
        emit: bool,
    },
    /// Keeps a running aggregate of the values of each key (AggregatingState).
    Aggregate {
        /// The aggregate function.
        #[serde(default)]
        function: AggregateFunction,
        /// Whether each event reads the state again and emits what it then holds; false adds to it only.
        #[serde(default = "default_emit")]
        emit: bool,
    },
    /// Appends each event's payload to a list; at every n-th event of a key reads the list and clears it (ListState).
    ListBuffer {
        /// Elements at which the list is read and cleared.
        #[serde(default = "default_clear_every")]
        clear_every: u32,
    },
    /// Reads, changes and writes one entry of a map of each key (MapState).
    Map {
        /// Entries of each key's map.
        #[serde(default = "default_entries")]
        entries: u32,
    },
    /// The same as `map`, with the whole map in one value (ValueState of a map).
    ValueOfMap {
        /// Entries of each key's map.
        #[serde(default = "default_entries")]
        entries: u32,
    },
    /// Gathers the events of each key in windows that follow each other, and emits each window when its time has passed.
    TumblingWindow(TumblingWindowWire),
    /// Gathers the events of each key in windows that overlap, each event in several.
    SlidingWindow(SlidingWindowWire),
    /// Gathers the events of each key in windows that grow and merge as long as no gap is between events.
    SessionWindow(SessionWindowWire),
    /// Joins a table that changes (input 0: rows by their second number, with an amount) with a dimension that changes
    /// (input 1), and emits what each change adds to or takes from the sums by the dimension's value (MapState,
    /// ValueState).
    ChangelogJoin {},
    /// Keeps the running total of the values of each key and shows the latest of each; of few keys (ValueState).
    RunningTotal {},
    /// A synthetic mix of state accesses in given shares.
    Mix {
        /// Shares of a known workload; shares given beside it replace its own.
        #[serde(default)]
        preset: Option<MixPreset>,
        /// Share of reads of a value.
        #[serde(default)]
        read: Option<f64>,
        /// Share of writes of a new value.
        #[serde(default)]
        update: Option<f64>,
        /// Share of reads of a value followed by a write of it, changed.
        #[serde(default)]
        read_modify_write: Option<f64>,
        /// Share of inserts: of a value, or of a map entry where the mix scans.
        #[serde(default)]
        insert: Option<f64>,
        /// Share of appends to a list.
        #[serde(default)]
        append: Option<f64>,
        /// Share of removals of a key's value and list.
        #[serde(default)]
        delete: Option<f64>,
        /// Share of walks over all entries of a key's map.
        #[serde(default)]
        scan: Option<f64>,
        /// Entries of each key's map before the run, where the mix scans.
        #[serde(default = "default_entries")]
        entries: u32,
    },
    /// Lets one event of each key through (ValueState). With a TTL of its state, `seen`, keys are forgotten.
    Deduplicate {
        /// Which one.
        #[serde(default)]
        keep: KeptRow,
    },
    /// Joins two inputs by key, without end: every row of one side with all of the other (a MapState of rows and their
    /// number on each side, `left` and `right`, as SQL's inner join without a unique key). Rows can be taken back.
    RegularJoin {
        /// Share of the events that are of the left input, 0 to 1.
        #[serde(default = "default_left_share")]
        left_share: f64,
        /// Share of the events that take an earlier row back, 0 to 0.4.
        #[serde(default = "default_retract")]
        retract: f64,
        /// Events after which a row is taken back, if it is; rounded up to a multiple of 256.
        #[serde(default = "default_retract_after")]
        retract_after: u64,
    },
    /// Keeps the n events of each key with the largest values and emits what enters and leaves them (a MapState of values
    /// and lists of rows, `sorted`, as SQL's top-n over an insert-only stream).
    TopN {
        /// Rows of each key.
        #[serde(default = "default_n")]
        n: u32,
    },
    /// Joins the events of two inputs that have one key and are near each other in event time (a MapState of times and
    /// elements on each side, `left-buffer` and `right-buffer`, and a timer for each element). Late events are dropped.
    IntervalJoin {
        /// From here on a right event joins, relative to the left one's time.
        #[serde(default = "default_lower")]
        lower: TimeOffset,
        /// Up to here a right event joins, relative to the left one's time.
        #[serde(default = "default_upper")]
        upper: TimeOffset,
        /// Share of the events that are of the left input, 0 to 1.
        #[serde(default = "default_left_share")]
        left_share: f64,
    },
    /// Joins each left event with the version of the right input that was valid at its time, once the watermark has passed
    /// it (MapStates `left-rows` and `versions`, ValueStates `next-index` and `registered-timer`, as SQL's
    /// `FOR SYSTEM_TIME AS OF`). Before the run each key has a version.
    TemporalJoin {
        /// Share of the events that are of the left input, 0 to 1; the others are new versions.
        #[serde(default = "default_facts_share")]
        left_share: f64,
    },
    /// Joins the events of two inputs while the left one lasts, as tasks with their job: a right event meets the left row of
    /// its key or waits for it, and a left event that finishes removes both sides (a ValueState `left` and a ListState
    /// `right`; Gadget's continuous join).
    ContinuousJoin {
        /// Share of the events that are of the left input, 0 to 1.
        #[serde(default = "default_left_share")]
        left_share: f64,
        /// Share of the left events that finish, 0 to 1: those with the smallest values.
        #[serde(default = "default_finish")]
        finish: f64,
    },
    /// Matches each event with all rules and counts the matches of each rule and key (a broadcast state `rules`, which
    /// every subtask has in memory whatever the backend, and a MapState `matches`).
    BroadcastRules {
        /// How many rules there are.
        #[serde(default = "default_rules")]
        rules: u32,
        /// Share of the events that change a rule, 0 to 1. Such an event goes to all subtasks.
        #[serde(default = "default_updates")]
        updates: f64,
        /// Share of the events that a rule matches, 0.001 to 1.
        #[serde(default = "default_matches")]
        matches: f64,
    },
    /// Reads the partitions of a topic, one record an event, and emits the offset of each (an operator state
    /// `partition-offsets`, in memory whatever the backend). An event is of the partition that its key is modulo their
    /// number.
    SourceOffsets {
        /// Partitions of the topic.
        #[serde(default = "default_partitions")]
        partitions: u32,
        /// Where the offsets go when the job is restored at another parallelism.
        #[serde(default)]
        redistribution: OffsetsRedistribution,
    },
}

const fn default_emit() -> bool {
    true
}
const fn default_clear_every() -> u32 {
    100
}
const fn default_entries() -> u32 {
    20
}
const fn default_finish() -> f64 {
    0.1
}
fn default_left_share() -> f64 {
    0.5
}
const fn default_retract() -> f64 {
    0.1
}
const fn default_retract_after() -> u64 {
    10_000
}
const fn default_n() -> u32 {
    10
}
const fn default_lower() -> TimeOffset {
    TimeOffset(-120_000)
}
const fn default_upper() -> TimeOffset {
    TimeOffset(180_000)
}
const fn default_facts_share() -> f64 {
    0.9
}
const fn default_rules() -> u32 {
    100
}
const fn default_updates() -> f64 {
    0.001
}
const fn default_matches() -> f64 {
    0.01
}
const fn default_partitions() -> u32 {
    64
}

impl Default for OperatorWire {
    fn default() -> Self {
        Self::Counter {}
    }
}

/// The function of the `reduce` operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReduceFunction {
    /// The sum of the values.
    #[default]
    Sum,
    /// The largest value.
    Max,
}

/// The function of the `aggregate` operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AggregateFunction {
    /// Count and sum, read as the average.
    #[default]
    Average,
    /// Count, sum and largest value, read as count, average and maximum.
    Summary,
}

/// The event that deduplication keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeptRow {
    /// The first one; later ones are dropped. The state holds that there was one.
    #[default]
    First,
    /// The last one so far: each one replaces the one before it, which is retracted. The state holds the row.
    Last,
}

/// How the offsets of a source are redistributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OffsetsRedistribution {
    /// All go to every subtask, which keeps those of its own partitions: a union list, as of `FlinkKafkaConsumer`.
    Union,
    /// Each goes to one subtask, which goes on with its partition: as the splits of `KafkaSource`.
    #[default]
    Split,
}

/// A known mix of operations: the core workloads of YCSB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MixPreset {
    /// Update heavy: 50 % reads, 50 % updates.
    YcsbA,
    /// Read mostly: 95 % reads, 5 % updates.
    YcsbB,
    /// Read only.
    YcsbC,
    /// Read latest: 95 % reads, 5 % inserts.
    YcsbD,
    /// Short ranges: 95 % scans, 5 % inserts.
    YcsbE,
    /// Read-modify-write: 50 % reads, 50 % read-modify-writes.
    YcsbF,
}

/// What the mix does with one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum MixOperation {
    /// Reads the value.
    #[default]
    Read,
    /// Writes a new value.
    Update,
    /// Reads the value, changes it and writes it.
    ReadModifyWrite,
    /// Puts a new value, or a new map entry where the mix scans.
    Insert,
    /// Appends to the list.
    Append,
    /// Removes value and list.
    Delete,
    /// Walks the map.
    Scan,
}

/// Names of the shares, in order of [`MixOperation`].
const OPERATIONS: [(&str, MixOperation); 7] = [
    ("read", MixOperation::Read),
    ("update", MixOperation::Update),
    ("read-modify-write", MixOperation::ReadModifyWrite),
    ("insert", MixOperation::Insert),
    ("append", MixOperation::Append),
    ("delete", MixOperation::Delete),
    ("scan", MixOperation::Scan),
];

impl MixOperation {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        OPERATIONS[self as usize].0
    }

    /// Each operation with its share, of shares in their order.
    pub fn shares(shares: &[f64; 7]) -> impl Iterator<Item = (Self, f64)> {
        OPERATIONS.iter().map(|(_, operation)| *operation).zip(*shares)
    }
}

impl MixPreset {
    const fn shares(self) -> [f64; 7] {
        match self {
            Self::YcsbA => [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0],
            Self::YcsbB => [0.95, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0],
            Self::YcsbC => [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            Self::YcsbD => [0.95, 0.0, 0.0, 0.05, 0.0, 0.0, 0.0],
            Self::YcsbE => [0.0, 0.0, 0.0, 0.05, 0.0, 0.0, 0.95],
            Self::YcsbF => [0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0],
        }
    }
}

/// The operator, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub enum Operator {
    /// See [`OperatorWire::Counter`].
    Counter,
    /// See [`OperatorWire::Reduce`].
    Reduce {
        /// The reduce function.
        function: ReduceFunction,
        /// Whether each event emits what the state then holds.
        emit: bool,
    },
    /// See [`OperatorWire::Aggregate`].
    Aggregate {
        /// The aggregate function.
        function: AggregateFunction,
        /// Whether each event emits what the state then holds.
        emit: bool,
    },
    /// See [`OperatorWire::ListBuffer`].
    ListBuffer {
        /// Elements at which the list is read and cleared.
        clear_every: u32,
    },
    /// See [`OperatorWire::Map`].
    Map {
        /// Entries of each key's map.
        entries: u32,
    },
    /// See [`OperatorWire::ValueOfMap`].
    ValueOfMap {
        /// Entries of each key's map.
        entries: u32,
    },
    /// See [`OperatorWire::TumblingWindow`], [`OperatorWire::SlidingWindow`] and [`OperatorWire::SessionWindow`].
    Window {
        /// Which windows an event is in.
        windows: Windows,
        /// What they keep.
        contents: WindowContents,
    },
    /// See [`OperatorWire::ChangelogJoin`].
    ChangelogJoin,
    /// See [`OperatorWire::RunningTotal`].
    RunningTotal,
    /// See [`OperatorWire::Mix`].
    Mix(Mix),
    /// See [`OperatorWire::Deduplicate`].
    Deduplicate {
        /// The event that is kept.
        keep: KeptRow,
    },
    /// See [`OperatorWire::RegularJoin`].
    RegularJoin {
        /// Share of the left input.
        left_share: f64,
        /// Which events take an earlier one back; none do where it is not set.
        retractions: Option<Retractions>,
    },
    /// See [`OperatorWire::TopN`].
    TopN {
        /// Rows of each key.
        n: u32,
    },
    /// See [`OperatorWire::IntervalJoin`].
    IntervalJoin {
        /// When events join.
        bounds: IntervalBounds,
        /// Share of the left input.
        left_share: f64,
    },
    /// See [`OperatorWire::TemporalJoin`].
    TemporalJoin {
        /// Share of the left input.
        left_share: f64,
    },
    /// See [`OperatorWire::ContinuousJoin`].
    ContinuousJoin {
        /// Share of the left input.
        left_share: f64,
        /// Left events with a value below this finish.
        finish_below: i64,
    },
    /// See [`OperatorWire::BroadcastRules`].
    BroadcastRules(RuleSet),
    /// See [`OperatorWire::SourceOffsets`].
    SourceOffsets(SourcePartitions),
}

/// The partitions that a source reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourcePartitions {
    /// How many there are, 1 to 100,000.
    pub partitions: u32,
    /// How their offsets are redistributed.
    pub redistribution: OffsetsRedistribution,
}

/// Where the time of a right event has to lie to join a left one, relative to its time and both inclusive, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntervalBounds {
    /// Not before; at most `upper_ms`.
    pub lower_ms: i64,
    /// Not after.
    pub upper_ms: i64,
}

/// The farthest bound of an interval, ms: a hundred years, so that no sum of times overflows.
const FARTHEST_MS: i64 = 100 * 366 * 24 * 3_600_000;

/// The shares of the synthetic mix.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// Share of each operation in order of [`MixOperation`]; they sum to 1.
    pub shares: [f64; 7],
    /// Operations that have a share, here or in a phase of the run.
    pub used: [bool; 7],
    /// Entries of each key's map before the run.
    pub entries: u32,
}

impl Mix {
    /// The operation of a uniform draw from [0, 1).
    pub fn operation(&self, draw: f64) -> MixOperation {
        let mut left = draw;
        let mut last = MixOperation::Read;
        for (share, (_, operation)) in self.shares.iter().zip(OPERATIONS) {
            if *share > 0.0 {
                if left < *share {
                    return operation;
                }
                left -= share;
                last = operation;
            }
        }
        last // rounding left a crumb behind the last share
    }

    /// The share of one operation.
    pub fn share(&self, operation: MixOperation) -> f64 {
        self.shares[operation as usize]
    }

    /// Whether an operation is part of the mix, at some time of the run.
    pub fn has(&self, operation: MixOperation) -> bool {
        self.used[operation as usize]
    }

    /// Notes the shares of a phase.
    pub(super) fn note_phase(&mut self, shares: &[f64; 7]) {
        self.used.iter_mut().zip(shares).for_each(|(used, share)| *used |= *share > 0.0);
    }

    /// The same mix with other shares, where there are others.
    #[must_use]
    pub fn with_shares(&self, shares: Option<[f64; 7]>) -> Self {
        Self { shares: shares.unwrap_or(self.shares), ..self.clone() }
    }
}

impl Operator {
    /// Checks the wire form. Paths of errors are relative to the workload.
    ///
    /// # Errors
    /// A number out of range, or shares that do not sum to 1.
    pub fn new(wire: &Shorthand<OperatorWire>) -> Result<Self, Invalid> {
        let entries_of = |entries: u32| check_range("entries", entries, 1..=100_000);
        let windows = |windows: Result<Windows, Invalid>, contents| {
            Ok(Self::Window { windows: windows?, contents: WindowContents::new(contents)? })
        };
        let operator = match &wire.0 {
            OperatorWire::Counter {} => Ok(Self::Counter),
            OperatorWire::Reduce { function, emit } => Ok(Self::Reduce { function: *function, emit: *emit }),
            OperatorWire::Aggregate { function, emit } => Ok(Self::Aggregate { function: *function, emit: *emit }),
            OperatorWire::ListBuffer { clear_every } => check_range("clear-every", *clear_every, 1..=1_000_000)
                .map(|clear_every| Self::ListBuffer { clear_every }),
            OperatorWire::Map { entries } => entries_of(*entries).map(|entries| Self::Map { entries }),
            OperatorWire::ValueOfMap { entries } => entries_of(*entries).map(|entries| Self::ValueOfMap { entries }),
            OperatorWire::TumblingWindow(wire) => windows(Windows::tumbling(wire), &wire.contents),
            OperatorWire::SlidingWindow(wire) => windows(Windows::sliding(wire), &wire.contents),
            OperatorWire::SessionWindow(wire) => windows(Windows::session(wire), &wire.contents),
            OperatorWire::ChangelogJoin {} => Ok(Self::ChangelogJoin),
            OperatorWire::RunningTotal {} => Ok(Self::RunningTotal),
            OperatorWire::Mix { preset, read, update, read_modify_write, insert, append, delete, scan, entries } => {
                let given = [*read, *update, *read_modify_write, *insert, *append, *delete, *scan];
                mix(*preset, given, *entries).map(Self::Mix)
            }
            OperatorWire::Deduplicate { keep } => Ok(Self::Deduplicate { keep: *keep }),
            OperatorWire::RegularJoin { left_share, retract, retract_after } => {
                regular_join(*left_share, *retract, *retract_after)
            }
            OperatorWire::TopN { n } => check_range("n", *n, 1..=10_000).map(|n| Self::TopN { n }),
            OperatorWire::IntervalJoin { lower, upper, left_share } => interval_join(*lower, *upper, *left_share),
            OperatorWire::ContinuousJoin { left_share, finish } => continuous_join(*left_share, *finish),
            OperatorWire::BroadcastRules { rules, updates, matches } => {
                RuleSet::new(*rules, *updates, *matches).map(Self::BroadcastRules)
            }
            OperatorWire::SourceOffsets { partitions, redistribution } => {
                check_range("partitions", *partitions, 1..=100_000).map(|partitions| {
                    Self::SourceOffsets(SourcePartitions { partitions, redistribution: *redistribution })
                })
            }
            OperatorWire::TemporalJoin { left_share } => {
                check_range("left-share", *left_share, 0.0..=1.0).map(|left_share| Self::TemporalJoin { left_share })
            }
        };
        operator.map_err(|invalid| invalid.within(&format!("operator.{}", wire.0.name())))
    }

    /// Whether what it emits depends on the order in which rows of one event come.
    pub fn depends_on_order(&self) -> bool {
        !matches!(self, Self::Reduce { emit: false, .. } | Self::Aggregate { emit: false, .. } | Self::Window { .. })
    }

    /// Whether it runs on the null backend, as those do that need no state to make sense.
    pub fn runs_without_state(&self) -> bool {
        matches!(
            self,
            Self::Counter
                | Self::Reduce { .. }
                | Self::Aggregate { .. }
                | Self::ListBuffer { .. }
                | Self::Map { .. }
                | Self::ValueOfMap { .. }
                | Self::Mix(_)
        )
    }

    /// The names of its keyed states.
    pub fn states(&self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["count"],
            Self::Reduce { .. } => &["reduced"],
            Self::Aggregate { .. } => &["aggregate"],
            Self::ListBuffer { .. } => &["buffer", "length"],
            Self::Map { .. } | Self::ValueOfMap { .. } => &["map"],
            Self::Window { windows: Windows::Session(_), .. } => &["window-contents", "merging-window-set"],
            Self::Window { .. } => &["window-contents"],
            Self::ChangelogJoin => &["orders", "customer"],
            Self::RunningTotal => &["total"],
            Self::Mix(_) => &["value", "list", "map"],
            Self::Deduplicate { .. } => &["seen"],
            Self::RegularJoin { .. } | Self::ContinuousJoin { .. } => &["left", "right"],
            Self::TopN { .. } => &["sorted"],
            Self::IntervalJoin { .. } => &["left-buffer", "right-buffer"],
            Self::BroadcastRules(_) => &["matches"],
            Self::SourceOffsets(_) => &[],
            Self::TemporalJoin { .. } => &["left-rows", "versions", "next-index", "registered-timer"],
        }
    }

    /// Whether the payload of an event is stored.
    pub fn stores_payload(&self) -> bool {
        match self {
            Self::Counter
            | Self::Reduce { .. }
            | Self::Aggregate { .. }
            | Self::ChangelogJoin
            | Self::RunningTotal
            | Self::BroadcastRules(_)
            | Self::SourceOffsets(_) => false,
            Self::ListBuffer { .. }
            | Self::Map { .. }
            | Self::ValueOfMap { .. }
            | Self::Mix(_)
            | Self::RegularJoin { .. }
            | Self::TopN { .. }
            | Self::IntervalJoin { .. }
            | Self::ContinuousJoin { .. }
            | Self::TemporalJoin { .. } => true,
            Self::Window { contents, .. } => matches!(contents, WindowContents::List | WindowContents::Join { .. }),
            Self::Deduplicate { keep } => *keep == KeptRow::Last,
        }
    }

    /// Whether its state is that of windows, which come and go.
    pub fn has_windows(&self) -> bool {
        matches!(self, Self::Window { .. })
    }

    /// Whether it is where events come into a job, so that nothing is before it.
    pub fn is_source(&self) -> bool {
        matches!(self, Self::SourceOffsets(_))
    }

    /// The inputs.
    pub fn inputs(&self) -> Inputs {
        match self {
            Self::RegularJoin { left_share, .. }
            | Self::IntervalJoin { left_share, .. }
            | Self::TemporalJoin { left_share }
            | Self::ContinuousJoin { left_share, .. }
            | Self::Window { contents: WindowContents::Join { left_share }, .. } => Inputs::Two { left: *left_share },
            Self::BroadcastRules(rules) => Inputs::Rules(*rules),
            // Its source has changes of two tables and decides itself.
            Self::ChangelogJoin => Inputs::Two { left: 0.5 },
            _ => Inputs::One,
        }
    }

    /// Whether it takes back rows that it has emitted.
    pub fn emits_changes(&self) -> bool {
        match self {
            Self::RegularJoin { retractions, .. } => retractions.is_some(),
            Self::Deduplicate { keep } => *keep == KeptRow::Last,
            Self::TopN { .. } => true,
            _ => false,
        }
    }

    /// Which events take an earlier one back; none do where there is no answer.
    pub fn retractions(&self) -> Option<Retractions> {
        match self {
            Self::RegularJoin { retractions, .. } => *retractions,
            _ => None,
        }
    }
}

fn regular_join(left_share: f64, retract: f64, retract_after: u64) -> Result<Operator, Invalid> {
    Ok(Operator::RegularJoin {
        left_share: check_range("left-share", left_share, 0.0..=1.0)?,
        retractions: Retractions::new(retract, retract_after)?,
    })
}

fn interval_join(lower: TimeOffset, upper: TimeOffset, left_share: f64) -> Result<Operator, Invalid> {
    let bound = |path: &str, offset: TimeOffset| {
        let bound = check_range(path, offset.0, -FARTHEST_MS..=FARTHEST_MS);
        bound.map_err(|_| Invalid::new(path, offset, "-36600 d to 36600 d"))
    };
    let bounds = IntervalBounds { lower_ms: bound("lower", lower)?, upper_ms: bound("upper", upper)? };
    if bounds.lower_ms > bounds.upper_ms {
        return Err(Invalid::new("upper", upper, format!("{lower} or more: not before `lower`")));
    }
    Ok(Operator::IntervalJoin { bounds, left_share: check_range("left-share", left_share, 0.0..=1.0)? })
}

fn continuous_join(left_share: f64, finish: f64) -> Result<Operator, Invalid> {
    let left_share = check_range("left-share", left_share, 0.0..=1.0)?;
    let finish_below = (check_range("finish", finish, 0.0..=1.0)? * VALUE_RANGE as f64).round() as i64;
    Ok(Operator::ContinuousJoin { left_share, finish_below })
}

fn mix(preset: Option<MixPreset>, given: [Option<f64>; 7], entries: u32) -> Result<Mix, Invalid> {
    let mut shares = preset.map_or([0.0; 7], MixPreset::shares);
    for ((share, given), (name, _)) in shares.iter_mut().zip(given).zip(OPERATIONS) {
        if let Some(given) = given {
            *share = check_range(name, given, 0.0..=1.0)?;
        }
    }
    check_sum(&shares)
        .map_err(|invalid| Invalid { allowed: invalid.allowed + ", such as those of a `preset`", ..invalid })?;
    let used = shares.map(|share| share > 0.0);
    Ok(Mix { shares, used, entries: check_range("entries", entries, 1..=100_000)? })
}

/// Checks that shares are those of a whole.
pub(super) fn check_sum(shares: &[f64; 7]) -> Result<(), Invalid> {
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        return Err(Invalid::new("", format!("shares that sum to {sum}"), "shares that sum to 1"));
    }
    Ok(())
}

impl OperatorWire {
    /// Whether the operator registers timers.
    pub const fn has_timers(&self) -> bool {
        matches!(
            self,
            Self::TumblingWindow(_)
                | Self::SlidingWindow(_)
                | Self::SessionWindow(_)
                | Self::IntervalJoin { .. }
                | Self::TemporalJoin { .. }
        )
    }

    /// The operator's name in the file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Counter {} => "counter",
            Self::Reduce { .. } => "reduce",
            Self::Aggregate { .. } => "aggregate",
            Self::ListBuffer { .. } => "list-buffer",
            Self::Map { .. } => "map",
            Self::ValueOfMap { .. } => "value-of-map",
            Self::TumblingWindow(_) => "tumbling-window",
            Self::SlidingWindow(_) => "sliding-window",
            Self::SessionWindow(_) => "session-window",
            Self::ChangelogJoin {} => "changelog-join",
            Self::RunningTotal {} => "running-total",
            Self::Mix { .. } => "mix",
            Self::Deduplicate { .. } => "deduplicate",
            Self::RegularJoin { .. } => "regular-join",
            Self::TopN { .. } => "top-n",
            Self::IntervalJoin { .. } => "interval-join",
            Self::TemporalJoin { .. } => "temporal-join",
            Self::ContinuousJoin { .. } => "continuous-join",
            Self::BroadcastRules { .. } => "broadcast-rules",
            Self::SourceOffsets { .. } => "source-offsets",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Operator, Invalid> {
        #[derive(Deserialize)]
        struct Holder {
            operator: Shorthand<OperatorWire>,
        }
        Operator::new(&toml::from_str::<Holder>(text).unwrap().operator)
    }

    #[test]
    fn presets_can_be_changed_share_by_share() {
        let Ok(Operator::Mix(mix)) = parse("operator.mix = { preset = 'ycsb-a', update = 0.25, delete = 0.25 }") else {
            panic!("not a mix");
        };
        assert_eq!(mix.shares.map(|share| (share * 100.0) as u32), [50, 25, 0, 0, 0, 25, 0]);
        assert_eq!([0.0, 0.49, 0.5, 0.74, 0.76, 0.999_999].map(|draw| mix.operation(draw) as u8), [0, 0, 1, 1, 5, 5]);
    }

    #[test]
    fn every_preset_sums_to_one() {
        for preset in ["ycsb-a", "ycsb-b", "ycsb-c", "ycsb-d", "ycsb-e", "ycsb-f"] {
            assert!(parse(&format!("operator.mix.preset = '{preset}'")).is_ok(), "{preset}");
        }
    }

    #[test]
    fn shares_that_do_not_sum_to_one_are_refused() {
        let error = parse("operator.mix = { read = 0.5, update = 0.4 }").unwrap_err();
        assert_eq!(
            error.to_string(),
            "operator.mix: found shares that sum to 0.9; allowed: shares that sum to 1, such as those of a `preset`"
        );
        assert_eq!(parse("operator.list-buffer.clear-every = 0").unwrap_err().path, "operator.list-buffer.clear-every");
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        for path in [
            "regular-join.left-share = 1.5",
            "continuous-join.left-share = -0.1",
            "continuous-join.finish = 2.0",
            "tumbling-window.contents.join.left-share = 1.5",
            "regular-join.retract = 0.5",
            "regular-join.retract-after = 0",
            "top-n.n = 0",
            "interval-join.lower = '99999 d'",
            "interval-join.left-share = -1",
            "temporal-join.left-share = 2",
            "broadcast-rules.rules = 0",
            "source-offsets.partitions = 0",
        ] {
            let (name, _) = path.split_once(' ').unwrap();
            assert_eq!(parse(&format!("operator.{path}")).unwrap_err().path, format!("operator.{name}"));
        }
    }

    #[test]
    fn bounds_of_an_interval_may_point_back_but_not_be_reversed() {
        let error = parse("operator.interval-join = { lower = '5 s', upper = '-2 s' }").unwrap_err();
        let expected = "operator.interval-join.upper: found -2 s; allowed: 5 s or more: not before `lower`";
        assert_eq!(error.to_string(), expected);
        let Ok(Operator::IntervalJoin { bounds, .. }) =
            parse("operator.interval-join = { lower = -3, upper = '-2 ms' }")
        else {
            panic!("not an interval join");
        };
        assert_eq!(bounds, IntervalBounds { lower_ms: -3, upper_ms: -2 });
    }
}
