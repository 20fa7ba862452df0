//! What to change after a result, and why: findings with the figures of the result that they rest on.
//!
//! Every rule is a small function in [`rules`] that looks at one configuration ([`Cell`]), or at those that a sweep lays side
//! by side. A rule that lacks a figure says which, in place of guessing it. What a change would bring is measured where
//! another configuration of the result differs in that one setting; else it is modelled, and says by what.

mod cell;
mod rules;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use cell::AdviseError;
use cell::{Cell, cells};

use crate::result::{RunResult, Unit, with_unit};
use crate::workload::{Bytes, FlinkVersion, Options};

/// Where rules draw their lines. The figures of the result decide; these are what they are held against.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parameters {
    /// The hit rate of the block cache below which it is too small, 0 to 1.
    pub hit_rate: f64,
    /// The state of a TaskManager, as Java objects, up to which the heap is looked at as its place, bytes.
    pub heap_state_bytes: u64,
    /// The share of time in pauses of a garbage collector that is too much, 0 to 1.
    pub pause_share: f64,
    /// The share of time that writers may be held back, 0 to 1.
    pub stall_share: f64,
    /// Bytes written to disk for each byte that the workload writes, from which on that is too much.
    pub write_amplification: f64,
    /// The share of its timeout, or of the interval, that a checkpoint may take, 0 to 1.
    pub checkpoint_share: f64,
    /// Events that a JVM is offered in a second, of the whole job; none where an open loop says it, or nobody does.
    pub events_per_s: Option<f64>,
    /// The one configuration that advice is given for; none for all.
    pub configuration: Option<String>,
}

impl Default for Parameters {
    /// The hit rate and the size of a heap state are rules of thumb of the streaming literature.
    fn default() -> Self {
        Self {
            hit_rate: 0.9,
            heap_state_bytes: 1 << 30,
            pause_share: 0.1,
            stall_share: 0.01,
            write_amplification: 10.0,
            checkpoint_share: 0.5,
            events_per_s: None,
            configuration: None,
        }
    }
}

/// What is said of a result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// Name of the workload.
    pub name: String,
    /// What figures were held against (configured).
    pub parameters: Parameters,
    /// What to change: what fails first, then by what it would bring.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub missing: Vec<Missing>,
    /// Why the figures may not mean much; none of a measurement.
    pub warnings: Vec<String>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// The job fails, or will.
    Fails,
    /// It could be faster or steadier.
    Slows,
    /// It costs memory or disk for little.
    Costs,
}

/// One thing to change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The rule that found it.
    pub rule: &'static str,
    /// How much it matters.
    pub urgency: Urgency,
    /// The workload's choices in the matrix; empty without a matrix over the workload.
    pub workload: String,
    /// The configurations that it holds for; the figures are those of the first.
    pub configurations: Vec<String>,
    /// What was found.
    pub what: String,
    /// Why it is so, and why it matters.
    pub why: String,
    /// The figures that it rests on.
    pub figures: Vec<Figure>,
    /// What to set, together.
    pub settings: Vec<Setting>,
    /// What that would bring.
    pub effect: Effect,
}

/// A figure of the result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it is.
    pub what: String,
    /// Its value, in the unit.
    pub value: f64,
    /// Its unit.
    pub unit: FigureUnit,
    /// How it came about.
    pub kind: FigureKind,
}

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FigureUnit {
    /// Events a second.
    EventsPerSecond,
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
    /// A share from 0 to 1.
    Share,
    /// How many times.
    Factor,
    /// A number of things.
    Count,
}

/// How a figure came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FigureKind {
    /// In a trial of this result.
    Measured,
    /// By a model, from figures of this result.
    Modelled,
    /// By the workload or the configuration.
    Configured,
}

/// What to set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Flink's key, or the class of Flink's API.
    pub key: String,
    /// The value to set.
    pub value: String,
    /// The value that the trials had; none where there was none.
    pub present: Option<String>,
    /// Where it is set.
    pub place: Place,
    /// The versions of Flink that have it under this name.
    pub flink: Vec<String>,
}

/// Where something is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Flink's configuration file.
    Configuration,
    /// The job's code.
    Job,
}

/// What a change would bring.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// In words.
    pub what: String,
    /// On throughput, as a multiple of the present one; none where it is not that.
    pub factor: Option<f64>,
    /// How that is known.
    pub kind: EffectKind,
}

/// How an effect is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// Measured in the trials of this configuration of the same result.
    MeasuredIn(String),
    /// By this model.
    Modelled(String),
}

/// Figures that a rule would need.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missing {
    /// Configurations that lack them.
    pub configurations: Vec<String>,
    /// The figures, and what they would tell.
    pub figures: String,
    /// How to get them.
    pub how: String,
}

/// What a rule has to say.
enum Note {
    Finding(Box<Finding>),
    Missing(Missing),
}

/// Looks through a result.
///
/// # Errors
/// It has no configuration of the name that is asked for, or one whose options cannot be read.
pub fn advise(result: &RunResult, parameters: &Parameters) -> Result<Advice, AdviseError> {
    let cells = cells(result)?;
    let wanted = |name: &str| parameters.configuration.as_ref().is_none_or(|wanted| wanted == name);
    if let Some(name) = parameters.configuration.as_ref().filter(|_| !cells.iter().any(|cell| wanted(cell.name))) {
        return Err(AdviseError::unknown(name, &cells));
    }
    let context = Context { result, cells: &cells, parameters };
    let mut advice = Advice {
        name: result.name.clone(),
        parameters: parameters.clone(),
        findings: Vec::new(),
        missing: Vec::new(),
        warnings: warnings(result),
    };
    for note in rules::all(&context) {
        match note {
            Note::Finding(mut finding) => {
                finding.configurations.retain(|name| wanted(name));
                if !finding.configurations.is_empty() {
                    advice.add(*finding);
                }
            }
            Note::Missing(mut missing) => {
                missing.configurations.retain(|name| wanted(name));
                if !missing.configurations.is_empty() {
                    advice.add_missing(missing);
                }
            }
        }
    }
    advice.findings.sort_by(|a, b| a.urgency.cmp(&b.urgency).then_with(|| b.gain().total_cmp(&a.gain())));
    Ok(advice)
}

/// Why figures of a result may not mean much.
fn warnings(result: &RunResult) -> Vec<String> {
    let mut warnings = Vec::new();
    if result.manifest.quick {
        warnings.push("the run was shrunk by --quick: its figures are no measurement".to_owned());
    }
    if result.manifest.build.profile != "release" {
        warnings.push(format!("a {} build was measured: its speeds mean nothing", result.manifest.build.profile));
    }
    if !result.all_agree() {
        warnings.push("the trials did not compute the same: see `show`".to_owned());
    }
    if result.trials.len() < result.planned_trials {
        warnings.push(format!("{} of {} trials ran", result.trials.len(), result.planned_trials));
    }
    warnings
}

impl Advice {
    /// Adds a finding. One that says the same of another configuration becomes part of it; the figures are those of the
    /// configuration that gains most.
    fn add(&mut self, finding: Finding) {
        let settings = |finding: &Finding| {
            finding.settings.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect::<Vec<_>>()
        };
        let same = |known: &&mut Finding| {
            (known.rule, &known.workload, known.urgency) == (finding.rule, &finding.workload, finding.urgency)
                && settings(known) == settings(&finding)
        };
        let Some(known) = self.findings.iter_mut().find(same) else {
            self.findings.push(finding);
            return;
        };
        let (mut first, other) = if finding.gain() > known.gain() {
            (finding, std::mem::take(&mut known.configurations))
        } else {
            (known.clone(), finding.configurations)
        };
        first.configurations.extend(other);
        *known = first;
    }

    fn add_missing(&mut self, missing: Missing) {
        match self.missing.iter_mut().find(|known| (&known.figures, &known.how) == (&missing.figures, &missing.how)) {
            Some(known) => known.configurations.extend(missing.configurations),
            None => self.missing.push(missing),
        }
    }
}

impl Finding {
    /// What it would bring, as a multiple of the present throughput.
    fn gain(&self) -> f64 {
        self.effect.factor.filter(|factor| factor.is_finite()).unwrap_or(1.0)
    }
}

impl Figure {
    fn new(what: impl Into<String>, value: f64, unit: FigureUnit, kind: FigureKind) -> Self {
        // JSON has no other numbers.
        let value = if value.is_finite() { value } else { 0.0 };
        Self { what: what.into(), value, unit, kind }
    }

    fn measured(what: impl Into<String>, value: f64, unit: FigureUnit) -> Self {
        Self::new(what, value, unit, FigureKind::Measured)
    }

    fn modelled(what: impl Into<String>, value: f64, unit: FigureUnit) -> Self {
        Self::new(what, value, unit, FigureKind::Modelled)
    }

    fn configured(what: impl Into<String>, value: f64, unit: FigureUnit) -> Self {
        Self::new(what, value, unit, FigureKind::Configured)
    }

    /// The value with its unit.
    pub fn text(&self) -> String {
        let unit = match self.unit {
            FigureUnit::EventsPerSecond => return format!("{} events/s", with_unit(self.value, Unit::EventsPerSecond)),
            FigureUnit::Count => return format!("{}", self.value.round()),
            FigureUnit::Nanoseconds => Unit::Nanoseconds,
            FigureUnit::Bytes => Unit::Bytes,
            FigureUnit::Share => Unit::Share,
            FigureUnit::Factor => Unit::Factor,
        };
        with_unit(self.value, unit)
    }
}

impl Effect {
    fn measured(what: impl Into<String>, factor: Option<f64>, cell: &Cell<'_>) -> Self {
        Self { what: what.into(), factor, kind: EffectKind::MeasuredIn(cell.name.to_owned()) }
    }

    fn modelled(what: impl Into<String>, factor: Option<f64>, model: impl Into<String>) -> Self {
        Self { what: what.into(), factor, kind: EffectKind::Modelled(model.into()) }
    }
}

impl Setting {
    /// An option of a configuration.
    #[expect(clippy::needless_pass_by_value, reason = "values are numbers and texts alike")]
    fn option(cell: &Cell<'_>, key: &str, value: impl ToString) -> Self {
        let row = Options::row(key);
        let versions = [FlinkVersion::V1_20, FlinkVersion::V2_3];
        let known = versions.into_iter().filter(|version| row.is_none_or(|row| row.versions.has(*version)));
        Self {
            key: key.to_owned(),
            value: value.to_string(),
            present: row.map(|row| row.get(&cell.options)).filter(|present| present != "none"),
            place: Place::Configuration,
            flink: known.map(|version| version.to_string()).collect(),
        }
    }

    /// Something that the job's code says.
    fn of_job(class: &str, value: impl Into<String>) -> Self {
        Self {
            key: class.to_owned(),
            value: value.into(),
            present: None,
            place: Place::Job,
            flink: [FlinkVersion::V1_20, FlinkVersion::V2_3].map(|version| version.to_string()).into(),
        }
    }
}

/// What rules look at.
struct Context<'a> {
    result: &'a RunResult,
    cells: &'a [Cell<'a>],
    parameters: &'a Parameters,
}

/// A finding of one configuration, to be filled in.
struct Draft<'a> {
    rule: &'static str,
    urgency: Urgency,
    cell: &'a Cell<'a>,
    what: String,
    why: String,
    figures: Vec<Figure>,
    settings: Vec<Setting>,
    effect: Effect,
}

impl From<Draft<'_>> for Note {
    fn from(draft: Draft<'_>) -> Self {
        let Draft { rule, urgency, cell, what, why, figures, settings, effect } = draft;
        let (workload, configurations) = (cell.workload.to_owned(), vec![cell.name.to_owned()]);
        Self::Finding(Box::new(Finding {
            rule,
            urgency,
            workload,
            configurations,
            what,
            why,
            figures,
            settings,
            effect,
        }))
    }
}

impl Note {
    fn missing(cell: &Cell<'_>, figures: &str, how: &str) -> Self {
        Self::Missing(Missing {
            configurations: vec![cell.name.to_owned()],
            figures: figures.to_owned(),
            how: how.to_owned(),
        })
    }
}

/// Bytes, rounded up to a whole mebibyte, as a configuration spells them.
fn whole_mib(bytes: f64) -> Bytes {
    const MIB: u64 = 1 << 20;
    Bytes((bytes.max(1.0) as u64).div_ceil(MIB).saturating_mul(MIB))
}

fn bytes_text(bytes: f64) -> String {
    with_unit(bytes, Unit::Bytes)
}

fn rate_text(events_per_s: f64) -> String {
    format!("{} events/s", with_unit(events_per_s, Unit::EventsPerSecond))
}

fn percent(share: f64) -> String {
    with_unit(share, Unit::Share)
}

fn times(factor: f64) -> String {
    with_unit(factor, Unit::Factor)
}
