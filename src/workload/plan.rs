//! The plan: every combination of workload and configuration that a file asks for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Value;

use super::configuration::is_flink_key;
use super::flink_config::{self, FlinkSource};
use super::{
    BackendType, Configuration, Diagnostic, Document, Invalid, Operator, Workload, WorkloadWire,
    check_checkpoint_options, nearest, short_key, shuffled,
};

/// Cells above this are refused: at a second each they would take hours.
const MAX_CELLS: usize = 10_000;

/// One workload of the plan: the file with one choice from each workload axis of its matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// The choices, such as `keys.cardinality=1000`; empty without such an axis.
    pub label: String,
    /// The same by path.
    pub knobs: BTreeMap<String, String>,
    /// As the file spells it, with everything resolved.
    pub wire: WorkloadWire,
    /// The checked form.
    pub workload: Workload,
}

/// One workload under one configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Position of the variant in the plan.
    pub variant: usize,
    /// The configuration, with one choice from each option axis that it heeds.
    pub configuration: Configuration,
}

/// One trial of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedTrial {
    /// Position of the cell in the plan.
    pub cell: usize,
    /// Which repeat it is, from 0.
    pub repeat: u32,
    /// Whether RocksDB counts in it, which slows it down.
    pub companion: bool,
}

/// Everything that one `run` does.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Name of the workload.
    pub name: String,
    /// What job it stands for.
    pub description: Option<String>,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// The workload as the file spells it, with overrides and with the keys of Flink files in place of their paths.
    pub wire: WorkloadWire,
    /// The workloads.
    pub variants: Vec<Variant>,
    /// The cells, variant by variant.
    pub cells: Vec<Cell>,
    /// The Flink files that configurations come from.
    pub flink_sources: Vec<FlinkSource>,
    /// Cells of the matrix that are left out because their backend does not have what the workload asks for, and why.
    pub left_out: Vec<String>,
}

/// An override from the command line: `path=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    path: String,
    value: String,
    /// What the user wrote, for messages.
    written: String,
}

impl std::str::FromStr for Setting {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').ok_or("expected path=value, such as keys.cardinality=1000")?;
        let written = format!("--set {text}");
        Ok(Self { path: path.trim().to_owned(), value: value.trim().to_owned(), written })
    }
}

impl Setting {
    /// An override made by a flag of its own, such as `--seed`.
    pub fn of_flag(flag: &str, path: &str, value: &impl ToString) -> Self {
        let value = value.to_string();
        Self { path: path.to_owned(), written: format!("{flag} {value}"), value }
    }

    /// An override of a text, made by a flag of its own: never taken for anything else.
    pub fn of_text(flag: &str, path: &str, value: &str) -> Self {
        Self { path: path.to_owned(), written: format!("{flag} {value}"), value: Value::from(value).to_string() }
    }

    /// What it sets, as a user writes it: `keys.cardinality=1000`.
    pub fn assignment(&self) -> String {
        format!("{}={}", self.path, self.value)
    }

    /// The value as TOML; what is not TOML is a text.
    fn toml(&self) -> Value {
        let parsed = format!("v = {}", self.value).parse::<toml::Table>().ok();
        parsed.and_then(|mut table| table.remove("v")).unwrap_or_else(|| Value::String(self.value.clone()))
    }
}

/// The choices of one axis of the matrix.
struct Axis<T> {
    path: String,
    choices: Vec<T>,
}

impl Plan {
    /// Reads a workload file and lays settings over it. `quick` shrinks it: a few events and keys, one repeat, only the
    /// first and the last choice of each axis.
    ///
    /// # Errors
    /// A diagnostic that names the file, the spot, what was found and what is allowed.
    pub fn load(path: &Path, settings: &[Setting], quick: bool) -> Result<Self, Diagnostic> {
        Self::of(Document::load(path)?, settings, quick)
    }

    /// The plan of a document.
    ///
    /// # Errors
    /// As [`Plan::load`].
    pub fn of(document: Document, settings: &[Setting], quick: bool) -> Result<Self, Diagnostic> {
        Self::with_flink(document, &[], settings, quick)
    }

    /// The plan of a document, with one more configuration for each Flink configuration file, named after it.
    ///
    /// # Errors
    /// As [`Plan::load`].
    pub fn with_flink(
        mut document: Document,
        flink_files: &[PathBuf],
        settings: &[Setting],
        quick: bool,
    ) -> Result<Self, Diagnostic> {
        let (options, paths): (Vec<_>, Vec<_>) = settings.iter().partition(|setting| is_flink_key(&setting.path));
        for setting in paths {
            document.set(&setting.path, setting.toml(), &setting.written)?;
        }
        for setting in &options {
            document.note_override(&setting.path, &setting.written);
        }
        let flink_sources = flink_config::resolve(&mut document, flink_files)?;
        let mut wire: WorkloadWire = document.read()?;
        let name = wire.name.get_or_insert_with(|| document.stem()).clone();
        if quick {
            wire.shrink();
            wire.matrix.values_mut().filter(|choices| choices.len() > 2).for_each(|choices| {
                choices.drain(1..choices.len() - 1);
            });
        }
        let configurations = configurations(&wire, &options).map_err(|invalid| document.invalid(&invalid))?;
        let (option_axes, workload_axes) = axes(&wire).map_err(|invalid| document.invalid(&invalid))?;

        let cells_of: Vec<Vec<Configuration>> = configurations
            .iter()
            .map(|configuration| cross(configuration, &option_axes))
            .collect::<Result<_, _>>()
            .map_err(|invalid| document.invalid(&invalid))?;
        let variants = workload_axes.iter().map(|axis| axis.choices.len()).fold(1, usize::saturating_mul);
        let count = variants.saturating_mul(cells_of.iter().map(Vec::len).sum());
        if count > MAX_CELLS {
            let invalid = Invalid::new("matrix", format!("{count} cells"), format!("at most {MAX_CELLS} cells"));
            return Err(document.invalid(&invalid));
        }

        let mut plan = Self {
            name,
            description: wire.description.clone(),
            folder: document.folder().to_owned(),
            wire,
            variants: Vec::new(),
            cells: Vec::new(),
            flink_sources,
            left_out: Vec::new(),
        };
        let mut base = document;
        base.take("matrix");
        for choice in combinations(&workload_axes) {
            let variant = variant(&base, &choice, &plan, quick)?;
            for configuration in cells_of.iter().flatten() {
                plan.add_cell(&variant, configuration.clone()).map_err(|invalid| base.invalid(&invalid))?;
            }
            plan.variants.push(variant);
        }
        if plan.cells.is_empty() {
            let found = "only strategies that no configuration's backend has";
            return Err(base.invalid(&Invalid::new("states", found, "one that a backend has")));
        }
        Ok(plan)
    }

    /// Adds a cell of the variant that comes next. One whose backend does not have a clean-up strategy is left out where
    /// a matrix goes through the strategies, and refused where the file names just this one.
    fn add_cell(&mut self, variant: &Variant, configuration: Configuration) -> Result<(), Invalid> {
        let later = variant.workload.later.iter().map(|step| &step.operator);
        let mut operators = std::iter::once(&variant.workload.operator).chain(later);
        if configuration.options.backend == BackendType::Null && !operators.all(Operator::runs_without_state) {
            let found = format!("configuration `{}` on the null backend", configuration.name);
            let allowed = "a backend with state for this operator; the null backend shows the harness's floor with \
                           counter, reduce, aggregate, list-buffer, map, value-of-map and mix";
            return Err(Invalid::new("operator", found, allowed));
        }
        for (path, state) in variant.wire.all_states() {
            let Some(cleanup) = state.ttl.as_ref().map(|ttl| ttl.cleanup.0) else { continue };
            let Some(why) = cleanup.why_not_on(configuration.options.backend) else { continue };
            if !variant.knobs.keys().any(|knob| knob.ends_with(".ttl.cleanup")) {
                let path = format!("{path}.ttl.cleanup");
                let found = format!("a strategy that configuration `{}` does not have", configuration.name);
                return Err(Invalid::new(&path, found, format!("`default`, or a strategy of every backend: {why}")));
            }
            self.left_out.push(format!("{} {}: {why}", variant.label, configuration.name));
            return Ok(());
        }
        check_checkpoint_options(&variant.workload, &configuration.options)?;
        self.cells.push(Cell { variant: self.variants.len(), configuration });
        Ok(())
    }

    /// The position of the cell of a workload and a configuration, which is added where there is none of this name.
    ///
    /// # Errors
    /// The two do not go together.
    pub fn cell_of(&mut self, variant: usize, configuration: &Configuration) -> Result<usize, Invalid> {
        let is_it = |cell: &Cell| cell.variant == variant && cell.configuration.name == configuration.name;
        if let Some(known) = self.cells.iter().position(is_it) {
            return Ok(known);
        }
        check_checkpoint_options(&self.variants[variant].workload, &configuration.options)?;
        self.cells.push(Cell { variant, configuration: configuration.clone() });
        Ok(self.cells.len() - 1)
    }

    /// Leaves out every configuration but those of these names; of none it leaves all.
    ///
    /// # Errors
    /// A name that no configuration has, with the nearest one that there is.
    pub fn keep_configurations(&mut self, names: &[String]) -> Result<(), String> {
        for name in names {
            let known: Vec<_> = self.cells.iter().map(|cell| cell.configuration.base.as_str()).collect();
            if !known.contains(&name.as_str()) {
                let hint = nearest(name, known.iter().copied());
                let hint = hint.map_or_else(String::new, |hint| format!("; did you mean `{hint}`?"));
                let mut known = known;
                known.dedup();
                return Err(format!("--configuration {name}: the workload has {}{hint}", known.join(", ")));
            }
        }
        if !names.is_empty() {
            self.cells.retain(|cell| names.contains(&cell.configuration.base));
        }
        Ok(())
    }

    /// Whether what a run is to claim stays there for all who need it: a checkpoint that one trial has claimed is gone for
    /// the next.
    ///
    /// # Errors
    /// What to do about it.
    pub fn check_claim(&self) -> Result<(), String> {
        let claims = |cell: &Cell| {
            let workload = &self.variants[cell.variant].workload;
            workload.checkpoint.claims(&cell.configuration.options)
        };
        let trials = self.trials().len();
        if trials < 2 || !self.cells.iter().any(claims) {
            return Ok(());
        }
        Err(format!(
            "execution.state-recovery.claim-mode: CLAIM gives the checkpoint to one trial, and {trials} are planned; \
             --configuration NAME leaves one configuration, and --set run.counters=false leaves out its companion"
        ))
    }

    /// The trials in the order they run: in each repeat every cell once, in an order that the seed fixes, so that no
    /// configuration always runs first or behind the same neighbour; in the end the companions, with the events of the
    /// first repeat.
    pub fn trials(&self) -> Vec<PlannedTrial> {
        let run_of = |cell: usize| &self.variants[self.cells[cell].variant].workload.run;
        let repeats = (0..self.cells.len()).map(|cell| run_of(cell).repeats).max().unwrap_or(0);
        let mut trials = Vec::new();
        for repeat in 0..repeats {
            let cells = self.shuffled(repeat).filter(|&cell| repeat < run_of(cell).repeats);
            trials.extend(cells.map(|cell| PlannedTrial { cell, repeat, companion: false }));
        }
        let counts = |&cell: &usize| {
            run_of(cell).counters && self.cells[cell].configuration.options.backend == BackendType::RocksDb
        };
        let companions = self.shuffled(repeats).filter(counts);
        trials.extend(companions.map(|cell| PlannedTrial { cell, repeat: 0, companion: true }));
        trials
    }

    /// Every cell once, in an order that the seed and the round fix.
    fn shuffled(&self, round: u32) -> impl Iterator<Item = usize> {
        shuffled(self.wire.run.seed, round, self.cells.len()).into_iter()
    }
}

/// The configurations of the file (or the default ones), with the options of `settings` where they have an effect.
fn configurations(wire: &WorkloadWire, settings: &[&Setting]) -> Result<Vec<Configuration>, Invalid> {
    let mut configurations = Configuration::defaults();
    let job = wire.job_shape();
    if !wire.configuration.is_empty() {
        configurations.clear();
        for (index, one) in wire.configuration.iter().enumerate() {
            let here = |invalid: Invalid| invalid.within(&format!("configuration[{index}]"));
            configurations.push(Configuration::new(one).map_err(here)?);
            if wire.configuration[..index].iter().any(|other| other.name == one.name) {
                let found = format!("the name `{}` a second time", one.name);
                return Err(here(Invalid::new("name", found, "a name for each configuration")));
            }
        }
    }
    configurations.iter_mut().for_each(|configuration| configuration.options.job = job);
    for setting in settings {
        let mut heeded = false;
        for configuration in &mut configurations {
            let mut changed = configuration.clone();
            changed.set(&setting.path, setting.value.trim_matches('"'))?;
            if changed.heeds(&setting.path) {
                changed.options.validate()?;
                *configuration = changed;
                heeded = true;
            }
        }
        if !heeded {
            let found = "an option without effect in every configuration";
            return Err(Invalid::new(&setting.path, found, "an option that some configuration heeds"));
        }
    }
    Ok(configurations)
}

/// The axes of the matrix: those over options, and those over the workload.
type Axes = (Vec<Axis<String>>, Vec<Axis<Value>>);

fn axes(wire: &WorkloadWire) -> Result<Axes, Invalid> {
    let mut axes: Axes = (Vec::new(), Vec::new());
    for (path, choices) in &wire.matrix {
        let here = |found: &str, allowed: &str| Invalid::new(&format!("matrix.{path}"), found, allowed);
        if choices.is_empty() {
            return Err(here("an empty list", "one value or more"));
        }
        if choices.len() > MAX_CELLS {
            return Err(here(&format!("{} values", choices.len()), &format!("at most {MAX_CELLS} cells")));
        }
        if choices.iter().enumerate().any(|(index, choice)| choices[..index].contains(choice)) {
            return Err(here("a value twice", "each value once"));
        }
        if is_flink_key(path) {
            let text = |choice: &serde_json::Value| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned);
            axes.0.push(Axis { path: path.clone(), choices: choices.iter().map(text).collect() });
        } else {
            let value = |choice: &serde_json::Value| Value::try_from(choice);
            let choices: Result<Vec<_>, _> = choices.iter().map(value).collect();
            let choices = choices.map_err(|_| here("a null", "a value"))?;
            axes.1.push(Axis { path: path.clone(), choices });
        }
    }
    Ok(axes)
}

/// A configuration with every combination of the option axes that it heeds; an axis that has no effect in it is left
/// out, so that the heap is not run once for each block cache.
fn cross(configuration: &Configuration, axes: &[Axis<String>]) -> Result<Vec<Configuration>, Invalid> {
    let mut all = vec![configuration.clone()];
    for axis in axes {
        let mut next = Vec::new();
        for base in &all {
            let mut heeded = false;
            for choice in &axis.choices {
                let here = |invalid: Invalid| invalid.within("matrix");
                let mut changed = base.clone();
                changed.set(&axis.path, choice).map_err(here)?;
                if changed.heeds(&axis.path) {
                    changed.options.validate().map_err(here)?;
                    changed.name = format!("{} {}={choice}", base.name, short_key(&axis.path));
                    changed.knobs.insert(axis.path.clone(), choice.clone());
                    next.push(changed);
                    heeded = true;
                }
            }
            if !heeded {
                next.push(base.clone());
            }
            if next.len() > MAX_CELLS {
                // Counted, not built: the product of what is left only grows.
                let count = axes.iter().map(|axis| axis.choices.len()).fold(1_usize, usize::saturating_mul);
                return Err(Invalid::new("matrix", format!("{count} cells"), format!("at most {MAX_CELLS} cells")));
            }
        }
        all = next;
    }
    Ok(all)
}

/// One choice of each axis, in all combinations, the last axis fastest.
fn combinations(axes: &[Axis<Value>]) -> Vec<BTreeMap<String, Value>> {
    axes.iter().fold(vec![BTreeMap::new()], |combinations, axis| {
        let extend = |chosen: &BTreeMap<String, Value>| {
            let chosen = chosen.clone();
            axis.choices.iter().map(move |choice| {
                let mut chosen = chosen.clone();
                chosen.insert(axis.path.clone(), choice.clone());
                chosen
            })
        };
        combinations.iter().flat_map(extend).collect()
    })
}

/// A choice as a name shows it: of a table what it holds, `hotspot(accesses=1.0, keys=0.01)` for a table of one that has a name.
fn short(value: &Value) -> String {
    let fields = |table: &toml::Table| {
        table.iter().map(|(key, value)| format!("{key}={}", short(value))).collect::<Vec<_>>().join(", ")
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Table(table) => match table.iter().next() {
            Some((name, Value::Table(only))) if table.len() == 1 && only.is_empty() => name.clone(),
            Some((name, Value::Table(only))) if table.len() == 1 => format!("{name}({})", fields(only)),
            None => "{}".to_owned(),
            _ => fields(table),
        },
        other => other.to_string(),
    }
}

fn variant(base: &Document, choice: &BTreeMap<String, Value>, plan: &Plan, quick: bool) -> Result<Variant, Diagnostic> {
    let mut document = base.clone();
    let (mut label, mut knobs) = (Vec::new(), BTreeMap::new());
    for (path, value) in choice {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let short = short(value);
        label.push(format!("{path}={short}"));
        knobs.insert(path.clone(), short);
        document.set(path, value.clone(), &format!("matrix: {path} = {text}"))?;
    }
    let mut wire: WorkloadWire = document.read()?;
    wire.name = Some(plan.name.clone());
    if quick {
        wire.shrink();
    }
    let workload = Workload::new(&wire, &plan.folder).map_err(|invalid| document.invalid(&invalid))?;
    Ok(Variant { label: label.join(" "), knobs, wire, workload })
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn a_choice_that_is_a_table_has_a_short_name() {
        let named = |text: &str| short(&text.parse::<toml::Table>().unwrap()["a"]);
        assert_eq!(named("a = { hotspot = { accesses = 1.0, keys = 0.01 } }"), "hotspot(accesses=1.0, keys=0.01)");
        assert_eq!(named("a = { none = {} }"), "none");
        assert_eq!(named("a = { read = 0.5, update = { more = { b = 1 } } }"), "read=0.5, update=more(b=1)");
        assert_eq!(["a = '8mb'", "a = 3", "a = {}", "a = [1, 2]"].map(named), ["8mb", "3", "{}", "[1, 2]"]);
    }

    fn plan(text: &str, settings: &[&str]) -> Result<Plan, Diagnostic> {
        let settings: Vec<_> = settings.iter().map(|text| text.parse().unwrap()).collect();
        Plan::of(Document::parse(Path::new("job.toml"), text.to_owned())?, &settings, false)
    }

    fn names(plan: &Plan) -> Vec<String> {
        let name = |cell: &Cell| format!("{} | {}", plan.variants[cell.variant].label, cell.configuration.name);
        plan.cells.iter().map(name).collect()
    }

    #[test]
    fn a_file_without_configurations_compares_heap_and_rocksdb() {
        assert_eq!(names(&plan("[run]\n", &[]).unwrap()), [" | heap", " | rocksdb"]);
    }

    #[test]
    fn a_matrix_spans_options_and_workload() {
        let plan = plan(
            "[matrix]\n'keys.cardinality' = [10, 20]\n'state.backend.rocksdb.writebuffer.size' = ['8mb', '16mb']",
            &[],
        );
        assert_eq!(
            names(&plan.unwrap()),
            [
                "keys.cardinality=10 | heap",
                "keys.cardinality=10 | rocksdb writebuffer.size=8mb",
                "keys.cardinality=10 | rocksdb writebuffer.size=16mb",
                "keys.cardinality=20 | heap",
                "keys.cardinality=20 | rocksdb writebuffer.size=8mb",
                "keys.cardinality=20 | rocksdb writebuffer.size=16mb",
            ]
        );
    }

    #[test]
    fn a_huge_matrix_is_counted_and_refused() {
        let thousand = (1..=1000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let text = format!("[matrix]\n'keys.cardinality' = [{thousand}]\n'run.seed' = [{thousand}]");
        assert_snapshot!(plan(&text, &[]).unwrap_err().to_string().lines().next().unwrap(), @"job.toml:1:1: matrix: found 2000000 cells; allowed: at most 10000 cells");
    }

    #[test]
    fn settings_go_over_the_file() {
        let plan = plan(
            "[run]\nseed = 1",
            &["run.seed=7", "keys.distribution=zipf", "state.backend.rocksdb.memory.fixed-per-slot=64mb"],
        )
        .unwrap();
        assert_eq!(plan.variants[0].workload.run.seed, 7);
        assert_eq!(plan.cells[1].configuration.options.shared_memory_bytes(), Some(64 << 20));
        assert_eq!(plan.cells[0].configuration.given.len(), 1, "the heap does not heed it");
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        let two = "[[configuration]]\nname = 'a'\n[[configuration]]\nname = 'a'\n";
        assert_snapshot!(plan(two, &[]).unwrap_err(), @"
        job.toml:4:8: configuration[1].name: found the name `a` a second time; allowed: a name for each configuration
          |
        4 | name = 'a'
          |        ^^^
        ");
        let key =
            "[[configuration]]\nname = 'a'\n'state.backend.type' = 'rocksdb'\n'state.backend.rocksdb.thread.nm' = 1\n";
        assert_snapshot!(plan(key, &[]).unwrap_err(), @"
        job.toml:4:1: configuration[0].state.backend.rocksdb.thread.nm: found a key that statebench does not know; allowed: the keys of `statebench list options`; the nearest is `state.backend.rocksdb.thread.num`
          |
        4 | 'state.backend.rocksdb.thread.nm' = 1
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        ");
        assert_snapshot!(plan("[keys]\ncardinality = 0", &[]).unwrap_err(), @"
        job.toml:2:15: keys.cardinality: found 0; allowed: 1 to 1000000000000
          |
        2 | cardinality = 0
          |               ^
        ");
        assert_snapshot!(plan("[keys]\ncardinality = 5", &["keys.cardinality=0"]).unwrap_err(), @"job.toml with `--set keys.cardinality=0`: keys.cardinality: found 0; allowed: 1 to 1000000000000");
        assert_snapshot!(plan("[matrix]\n'keys.cardinality' = [10, 0]", &[]).unwrap_err(), @"job.toml with `matrix: keys.cardinality = 0`: keys.cardinality: found 0; allowed: 1 to 1000000000000");
    }

    #[test]
    fn the_order_of_trials_follows_from_the_seed() {
        let of = |seed: &str| plan("[matrix]\n'keys.cardinality' = [1, 2, 3, 4]", &[seed]).unwrap().trials();
        assert_eq!(of("run.seed=1"), of("run.seed=1"));
        assert_ne!(of("run.seed=1"), of("run.seed=2"));
        let trials = of("run.seed=1");
        assert_eq!(trials.len(), 24 + 4, "one companion for each RocksDB cell");
        for repeat in 0..3 {
            let of_repeat = trials.iter().filter(|t| t.repeat == repeat && !t.companion);
            let mut cells: Vec<_> = of_repeat.map(|t| t.cell).collect();
            cells.sort_unstable();
            assert_eq!(cells, (0..8).collect::<Vec<_>>());
        }
    }
}
