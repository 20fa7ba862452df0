//! What a reader must know of a result beside its figures.

use std::collections::BTreeSet;

use super::knobs::Knobs;
use super::table::with_unit;
use super::{Summary, checkpoints, curves, flink, jvm, limits, open_loop, stores, stream, trust, tuning};
use crate::result::{
    Agreement, HeapMemory, Measurement, Outcome, PrefillOrigin, RunResult, TimingStrategy, Trial, Unit, VariantInfo,
    printable,
};
use crate::workload::PrefillBy;

/// How much a note weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Figures cannot be relied on, or are missing.
    Problem,
    /// A figure means less than it seems to.
    Caution,
    /// What the figures say.
    Finding,
    /// How something was done.
    Fact,
}

/// A line about a result, safe to print; one of two blanks in front goes on with the line before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// How much it weighs.
    pub weight: Weight,
    /// What it says.
    pub text: String,
}

impl Note {
    fn new(weight: Weight, text: impl AsRef<str>) -> Self {
        Self { weight, text: printable(text.as_ref()) }
    }
}

/// Everything there is to say, in the order in which it is printed.
pub(super) fn notes(result: &RunResult, summary: &Summary) -> Vec<Note> {
    let mut notes = findings(result, summary);
    let tuning = tuning::tuning_lines(result);
    notes.extend(tuning.into_iter().map(|text| Note::new(Weight::Finding, text)));
    result.agreements.iter().for_each(|agreement| agreement_notes(result, agreement, &mut notes));
    for (trial, reason) in result.trials.iter().filter_map(|trial| Some((trial, why_unfinished(trial)?))) {
        let text = format!("{} repeat {}: {reason}", trial.configuration, u64::from(trial.repeat) + 1);
        notes.push(Note::new(Weight::Problem, text));
    }
    let of = |weight| move |text: String| Note::new(weight, text);
    notes.extend(open_loop::max_rate_lines(result).into_iter().map(of(Weight::Finding)));
    notes.extend(stream::late_lines(result).into_iter().map(of(Weight::Caution)));
    notes.extend(stream::latest_lines(result).into_iter().map(of(Weight::Fact)));
    notes.extend(checkpoints::lines(result).into_iter().map(|text| {
        let is_failure = text.contains(" failed: ");
        Note::new(if is_failure { Weight::Problem } else { Weight::Fact }, text)
    }));
    notes.extend(stores::notes(result).into_iter().map(of(Weight::Caution)));
    heap_notes(result, &mut notes);
    notes.extend(jvm::jvm_lines(result).into_iter().map(of(Weight::Fact)));
    process_notes(result, &mut notes);
    notes.extend(flink::lines(result).into_iter().map(of(Weight::Fact)));
    let limits = limits::lines(result).into_iter().chain(limits::latency_lines(result));
    notes.extend(limits.map(of(Weight::Caution)));
    notes.extend(trust::lines(result).into_iter().map(|text| {
        let is_unsteady = text.starts_with("not steady");
        Note::new(if is_unsteady { Weight::Caution } else { Weight::Fact }, text)
    }));
    timing_notes(result, &mut notes);
    if result.finished().any(|(_, m)| m.event_latency.summary.p99_ns.is_none()) {
        let text = "a dash for a percentile: fewer than 100 timed events of a trial lie beyond it";
        notes.push(Note::new(Weight::Fact, text));
    }
    prefill_notes(result, &mut notes);
    whole_run_notes(result, &mut notes);
    notes
}

/// What the curves of a sweep say.
fn findings(result: &RunResult, summary: &Summary) -> Vec<Note> {
    let Some(knobs) = Knobs::of(result) else { return Vec::new() };
    let rows = &summary.rows;
    let lines = [curves::knees(&knobs, rows), curves::crossings(&knobs, rows), curves::factors(&knobs, rows)];
    lines.into_iter().flatten().map(|line| Note::new(Weight::Finding, line)).collect()
}

fn agreement_notes(result: &RunResult, agreement: &Agreement, notes: &mut Vec<Note>) {
    let label = result.variant_label(agreement.variant);
    let place = if label.is_empty() { String::new() } else { format!("{label} ") };
    let on_flink = match agreement.flink_trials {
        0 => String::new(),
        1 => "; what was emitted is equal in a trial of Flink".to_owned(),
        trials => format!("; what was emitted is equal in {trials} trials of Flink"),
    };
    let (weight, verdict) = match (agreement.trials, agreement.differences.is_empty()) {
        (_, false) => (Weight::Problem, "THE TRIALS DIFFER".to_owned()),
        (1, true) if on_flink.is_empty() => (Weight::Caution, "one trial, nothing to compare it with".to_owned()),
        (1, true) => (Weight::Fact, format!("one trial{on_flink}")),
        (trials, true) => (Weight::Fact, format!("equal in {trials} trials{on_flink}")),
    };
    let text = format!(
        "digest {place}repeat {}: emitted {} after {} events, state {} after {}: {verdict}",
        u64::from(agreement.repeat) + 1,
        agreement.emitted,
        agreement.emitted_after_events,
        agreement.state,
        agreement.state_after_events,
    );
    notes.push(Note::new(weight, text));
    let differences = agreement.differences.iter();
    notes.extend(differences.map(|difference| Note::new(Weight::Problem, format!("  {difference}"))));
}

/// Why a trial has no figures; none of one that has.
pub(super) fn why_unfinished(trial: &Trial) -> Option<String> {
    match &trial.outcome {
        Outcome::Failed { reason, .. } => Some(reason.clone()),
        Outcome::OutOfMemory(verdict) => Some(verdict.to_string()),
        Outcome::Interrupted => Some("interrupted".to_owned()),
        Outcome::Finished(_) => None,
    }
}

/// What of the run as a whole makes its figures less than measurements.
fn whole_run_notes(result: &RunResult, notes: &mut Vec<Note>) {
    if result.trials.len() < result.planned_trials {
        let text = format!("incomplete: {} of {} trials ran", result.trials.len(), result.planned_trials);
        notes.push(Note::new(Weight::Problem, text));
    }
    if result.manifest.quick {
        notes.push(Note::new(Weight::Problem, "quick: a check that the workload runs, not a measurement"));
    }
    let profile = &result.manifest.build.profile;
    if profile != "release" {
        notes.push(Note::new(Weight::Problem, format!("{profile} build: the figures mean nothing")));
    }
}

/// What of the prefill makes figures another than those of a job that has run.
fn prefill_notes(result: &RunResult, notes: &mut Vec<Note>) {
    let ingested = |label: &VariantInfo| label.workload.run.prefill_by == PrefillBy::Ingest;
    if result
        .finished()
        .any(|(trial, m)| m.store_shape.is_some() && result.variants.get(trial.variant).is_some_and(ingested))
    {
        let text = "prefill: ingested sorted, the best shape that a RocksDB tree can have; a job leaves a worse one";
        notes.push(Note::new(Weight::Caution, text));
    }
    let of = |origin| result.finished().filter(|(_, m)| m.prefill_by == origin).count();
    let shared = of(PrefillOrigin::Linked) + of(PrefillOrigin::Restored);
    if shared > 0 {
        let text = format!("prefill: {shared} trials started from a copy of one that they share");
        notes.push(Note::new(Weight::Fact, text));
    }
    if of(PrefillOrigin::Copied) > 0 {
        let text = format!(
            "prefill: the file system of the state directory has no hard links: {} trials copied whole files",
            of(PrefillOrigin::Copied)
        );
        notes.push(Note::new(Weight::Fact, text));
    }
}

/// The last finished trial of each workload and configuration that has something, the last one first: what is said of it
/// begins with its name.
fn last_of_each<'a, T>(
    result: &'a RunResult,
    of: impl Fn(&'a Measurement) -> Option<&'a T>,
) -> Vec<(String, &'a Measurement, &'a T)> {
    let mut told = BTreeSet::new();
    let mut last = Vec::new();
    for (trial, measurement) in result.finished().collect::<Vec<_>>().into_iter().rev() {
        let Some(what) = of(measurement) else { continue };
        if told.insert((trial.variant, &trial.configuration)) {
            let label = result.variant_label(trial.variant);
            let place = if label.is_empty() { String::new() } else { format!("{label} ") };
            last.push((format!("{place}{}", trial.configuration), measurement, what));
        }
    }
    last
}

/// What the state of each configuration takes on a Java heap and allocates there, and what it does in this process: of
/// its last trial.
fn heap_notes(result: &RunResult, notes: &mut Vec<Note>) {
    for (name, measurement, heap) in last_of_each(result, |measurement| measurement.heap.as_ref()) {
        let text = format!(
            "java heap {name}: state {} of {}{}, {} an event allocated (modelled, without pipeline)",
            with_unit(heap.jvm_live_bytes as f64, Unit::Bytes),
            with_unit(heap.jvm_heap_bytes.saturating_mul(u64::from(heap.task_managers)) as f64, Unit::Bytes),
            if heap.task_managers > 1 { format!(" in {} TaskManagers", heap.task_managers) } else { String::new() },
            with_unit(heap.jvm_allocated_bytes as f64 / measurement.events.max(1) as f64, Unit::Bytes),
        );
        notes.push(Note::new(Weight::Fact, text));
        if let Some(line) = process_heap(measurement, heap) {
            notes.push(Note::new(Weight::Fact, format!("process heap {name}: {line}")));
        }
    }
}

/// What the processes of trials took of the machine, for each configuration the last of them.
fn process_notes(result: &RunResult, notes: &mut Vec<Note>) {
    for (name, measurement, process) in last_of_each(result, |measurement| measurement.process.as_ref()) {
        let of_event = |ns: u64| with_unit(ns as f64 / measurement.events.max(1) as f64, Unit::Nanoseconds);
        let device = process.device_read_bytes.zip(process.device_written_bytes).map(|(read, written)| {
            let [read, written] = [read, written].map(|bytes| with_unit(bytes as f64, Unit::Bytes));
            format!("; {read} from and {written} to the device")
        });
        let text = format!(
            "process {name}: {} user and {} system time an event; {} context switches, {} of them forced; {} page faults, \
             {} of them from disk{} (measured, harness included)",
            of_event(process.user_ns),
            of_event(process.system_ns),
            process.voluntary_switches + process.involuntary_switches,
            process.involuntary_switches,
            process.minor_faults + process.major_faults,
            process.major_faults,
            device.unwrap_or_default(),
        );
        notes.push(Note::new(Weight::Fact, text));
    }
}

/// What operator and state allocated in the trial's process, and what it holds of what it takes from the system; none
/// where nothing counted.
fn process_heap(measurement: &Measurement, heap: &HeapMemory) -> Option<String> {
    let of_event = heap.process_allocated_bytes? as f64 / measurement.events.max(1) as f64;
    let of_second = (of_event * measurement.throughput_events_per_s.max(0.0)).min(f64::MAX);
    let (live, resident) = (heap.process_live_bytes? as f64, measurement.resident_bytes? as f64);
    Some(format!(
        "{} an event allocated, {} a second; {} allocated of {} resident{} (measured)",
        with_unit(of_event, Unit::Bytes),
        with_unit(of_second, Unit::Bytes),
        with_unit(live, Unit::Bytes),
        with_unit(resident, Unit::Bytes),
        heap_stalls(heap),
    ))
}

/// What the trial's process stood still for on its heap from its begin on: hash tables that grew, and large calls of the allocator.
fn heap_stalls(heap: &HeapMemory) -> String {
    let ns = |ns: u64| with_unit(ns as f64, Unit::Nanoseconds);
    let rehash = heap.rehash.filter(|stalls| stalls.rehashes > 0).map(|stalls| {
        format!(
            "; {} growing hash tables, at most {} to allocate and {} to free",
            stalls.rehashes,
            ns(stalls.longest_allocating_ns),
            ns(stalls.longest_freeing_ns),
        )
    });
    let allocator = heap.allocator.map(|stalls| {
        let (all, longest) = (ns(stalls.total_ns), ns(stalls.longest_ns));
        format!("; {} allocator calls over 32 KiB took {all}, at most {longest}", stalls.calls)
    });
    [rehash, allocator].into_iter().flatten().collect()
}

fn timing_notes(result: &RunResult, notes: &mut Vec<Note>) {
    // Of Flink's trials it is not known what timing cost.
    let own = result.finished().filter(|(trial, _)| trial.run.engine.is_statebench());
    let timings: Vec<_> = own.map(|(_, m)| &m.timing).collect();
    let sampled: Vec<_> = timings.iter().filter(|t| t.strategy == TimingStrategy::Sampled).collect();
    let loss = |strategy: TimingStrategy| {
        let losses = timings.iter().filter(|t| t.strategy == strategy).filter_map(|t| t.loss_share);
        losses.fold(None, |most: Option<f64>, loss| Some(most.map_or(loss, |most| most.max(loss))))
    };
    let say = |loss: Option<f64>| match loss {
        Some(loss) => format!("it cost at most {:.1} % of throughput", loss * 100.0),
        None => "its cost was not calibrated: the warm-up is too short".to_owned(),
    };
    if timings.len() > sampled.len() {
        let text =
            format!("timing: every event where accesses take a microsecond; {}", say(loss(TimingStrategy::Every)));
        notes.push(Note::new(Weight::Fact, text));
    }
    if let (Some(least), Some(most)) =
        (sampled.iter().map(|t| t.sample_every).min(), sampled.iter().map(|t| t.sample_every).max())
    {
        let every = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let text = format!("timing: one event in {every} elsewhere; {}", say(loss(TimingStrategy::Sampled)));
        notes.push(Note::new(Weight::Fact, text));
    }
}
