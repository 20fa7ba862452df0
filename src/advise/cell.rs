//! The trials of one workload and configuration, as rules look at them.

use crate::result::{Measurement, OutOfMemory, Outcome, RunResult, Trial, printable};
use crate::statistics::median;
use crate::workload::{BackendType, Bytes, Invalid, Options, Workload, nearest};

use super::Setting;

/// Why nothing can be said of a result.
#[derive(Debug, thiserror::Error)]
pub enum AdviseError {
    /// It has no configuration of that name.
    #[error("no configuration is named `{name}`{}; those of the result are {}", suggestion(near.as_deref()), known.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The one that is spelled most like it.
        near: Option<String>,
        /// The names that there are, in quotes.
        known: Vec<String>,
    },
    /// It holds an option that this program does not take.
    #[error("`{0}`: the result holds an option that cannot be read: {1}")]
    Option(String, Invalid),
    /// No trial came to an answer.
    #[error("no trial of the result came to an answer")]
    NoAnswers,
}

fn suggestion(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

impl AdviseError {
    pub(super) fn unknown(name: &str, cells: &[Cell<'_>]) -> Self {
        let mut known: Vec<&str> = Vec::new();
        for cell in cells {
            if !known.contains(&cell.name) {
                known.push(cell.name);
            }
        }
        Self::Unknown {
            name: printable(name),
            near: nearest(name, known.iter().copied()).map(printable),
            known: known.into_iter().map(|name| format!("`{}`", printable(name))).collect(),
        }
    }
}

/// The trials of one workload and configuration.
pub(super) struct Cell<'a> {
    /// Position of the workload among the variants.
    pub variant: usize,
    /// Its choices in the matrix.
    pub workload: &'a str,
    /// The workload, where its files can be left aside.
    pub job: Option<Workload>,
    /// The configuration.
    pub name: &'a str,
    /// Its options.
    pub options: Options,
    /// What the trials measured, companions left out.
    pub measured: Vec<&'a Measurement>,
    /// What the companion measured, which has RocksDB's counters.
    pub companion: Option<&'a Measurement>,
    /// Where a trial would have run out of memory.
    pub out_of_memory: Option<&'a OutOfMemory>,
}

/// The cells of a result, in the order in which they first ran.
pub(super) fn cells(result: &RunResult) -> Result<Vec<Cell<'_>>, AdviseError> {
    let mut cells: Vec<Cell<'_>> = Vec::new();
    for trial in &result.trials {
        let position = if let Some(position) = cells.iter().position(|cell| cell.is_of(trial)) {
            position
        } else {
            cells.push(Cell::new(result, trial)?);
            cells.len() - 1
        };
        cells[position].add(trial);
    }
    cells.retain(|cell| cell.has_answer() && cell.options.backend != BackendType::Null);
    if cells.is_empty() { Err(AdviseError::NoAnswers) } else { Ok(cells) }
}

impl<'a> Cell<'a> {
    fn new(result: &'a RunResult, trial: &'a Trial) -> Result<Self, AdviseError> {
        let options = Options::of_texts(&trial.options)
            .map_err(|invalid| AdviseError::Option(printable(&trial.configuration), invalid))?;
        let wire = result.variants.get(trial.variant).map(|variant| &variant.workload);
        Ok(Self {
            variant: trial.variant,
            workload: result.variant_label(trial.variant),
            job: wire.and_then(|wire| Workload::new(wire, std::path::Path::new("")).ok()),
            name: &trial.configuration,
            options,
            measured: Vec::new(),
            companion: None,
            out_of_memory: None,
        })
    }

    fn is_of(&self, trial: &Trial) -> bool {
        (self.variant, self.name) == (trial.variant, trial.configuration.as_str())
    }

    fn add(&mut self, trial: &'a Trial) {
        match &trial.outcome {
            Outcome::Finished(measurement) if trial.companion => self.companion = Some(measurement),
            Outcome::Finished(measurement) => self.measured.push(measurement),
            Outcome::OutOfMemory(verdict) => self.out_of_memory = Some(verdict),
            Outcome::Failed { .. } | Outcome::Interrupted => {}
        }
    }

    fn has_answer(&self) -> bool {
        !self.measured.is_empty() || self.out_of_memory.is_some()
    }

    pub fn is_rocksdb(&self) -> bool {
        self.options.backend == BackendType::RocksDb
    }

    pub fn is_heap(&self) -> bool {
        self.options.backend == BackendType::HashMap
    }

    /// The median of a figure over the measured trials.
    pub fn median(&self, figure: impl Fn(&Measurement) -> Option<f64>) -> Option<f64> {
        median(&self.measured.iter().filter_map(|measurement| figure(measurement)).collect::<Vec<_>>())
    }

    /// Events a second, the median of the trials; none where nothing was done.
    pub fn throughput(&self) -> Option<f64> {
        self.median(|measurement| Some(measurement.throughput_events_per_s)).filter(|rate| *rate > 0.0)
    }

    /// The least and the most of the trials.
    pub fn throughput_range(&self) -> Option<(f64, f64)> {
        let rates = || self.measured.iter().map(|measurement| measurement.throughput_events_per_s);
        Some((rates().min_by(f64::total_cmp)?, rates().max_by(f64::total_cmp)?))
    }

    /// Trials in the slow regime.
    pub fn slow_trials(&self) -> usize {
        self.measured.iter().filter(|measurement| measurement.is_slow()).count()
    }

    /// The hit rate of the block cache in the companion.
    pub fn hit_rate(&self) -> Option<f64> {
        self.companion?.store_counters?.cache_hit_rate()
    }

    /// How many times faster this is than another; none where one of them did nothing.
    pub fn speedup_over(&self, other: &Self) -> Option<f64> {
        Some(self.throughput()? / other.throughput()?)
    }

    /// What both ran was the same job.
    pub fn has_job_of(&self, other: &Self) -> bool {
        self.variant == other.variant
    }

    /// Keys in which the options of both differ, folders of the machine left out.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let is_place = |key: &str| key.ends_with(".localdir") || key.ends_with(".log.dir");
        let theirs: std::collections::BTreeMap<_, _> = other.options.resolved().collect();
        let mine: std::collections::BTreeMap<_, _> = self.options.resolved().collect();
        let keys: std::collections::BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
        keys.into_iter().filter(|key| !is_place(key) && mine.get(*key) != theirs.get(*key)).cloned().collect()
    }

    /// The pool that its databases share, bytes; none where they share none.
    pub fn pool_bytes(&self) -> Option<u64> {
        self.options.memory_pool().filter(|_| self.is_rocksdb()).map(|pool| pool.bytes)
    }

    /// What makes the pool this large: its own key, and a larger total where the present one does not hold it.
    pub fn pool_settings(&self, pool_bytes: u64) -> Vec<Setting> {
        const MANAGED: &str = "taskmanager.memory.managed.size";
        let Some(pool) = self.options.memory_pool() else { return Vec::new() };
        let size = if pool.key == MANAGED {
            // A slot has its part of the managed memory.
            super::whole_mib(pool_bytes as f64 * f64::from(self.options.task_slots))
        } else {
            super::whole_mib(pool_bytes as f64)
        };
        let mut settings = vec![Setting::option(self, pool.key, size)];
        if pool.key == MANAGED
            && let Some(total) = self.total_for(MANAGED, size)
        {
            settings.push(total);
        }
        settings
    }

    /// A total that holds an option with a value, where the present one does not.
    fn total_for(&self, key: &str, size: Bytes) -> Option<Setting> {
        const STEP: u64 = 64 << 20;
        let mut changed = self.options.clone();
        changed.set(key, &size.to_string()).ok()?;
        if changed.task_manager_memory().is_ok() {
            return None;
        }
        let total = if self.options.flink_size.0.is_some() {
            "taskmanager.memory.flink.size"
        } else {
            "taskmanager.memory.process.size"
        };
        let fits = |steps: u64| {
            let mut larger = changed.clone();
            larger.set(total, &Bytes(steps * STEP).to_string()).is_ok() && larger.task_manager_memory().is_ok()
        };
        let (mut low, mut high) = (0, (1_u64 << 42) / STEP);
        if !fits(high) {
            return None;
        }
        while high - low > 1 {
            let middle = u64::midpoint(low, high);
            if fits(middle) { high = middle } else { low = middle }
        }
        Some(Setting::option(self, total, Bytes(high * STEP)))
    }
}
