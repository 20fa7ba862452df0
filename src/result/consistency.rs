//! Whether a result agrees with itself: one that does not was changed after it was written.

use super::{Agreement, Latency, LatencySummary, Measurement, RunResult, Trial, printable};

/// How far a rate may be from events over time: both are written with all their digits.
const ROUNDING: f64 = 1e-9;

/// What of a result contradicts itself: the first trial that does, and how many more; none where all agree with themselves.
pub fn contradiction(result: &RunResult) -> Option<String> {
    let contradicting = |(trial, measurement)| {
        let mut wrong = of_trial(measurement);
        if !has_compared_state(result, trial, measurement) {
            wrong.push("the digest of its state");
        }
        (!wrong.is_empty()).then(|| (trial, wrong.join(" and ")))
    };
    let mut all = result.all_finished().filter_map(contradicting);
    let (trial, wrong) = all.next()?;
    let (name, repeat) = (printable(&trial.configuration), u64::from(trial.repeat) + 1);
    let more = all.count();
    let others = if more > 0 { format!("; so do {more} more trials") } else { String::new() };
    Some(format!("changed after it was written: {name} repeat {repeat} contradicts itself in {wrong}{others}"))
}

/// Whether the digest of a trial's state is the one that the run found to be equal in all trials.
fn has_compared_state(result: &RunResult, trial: &Trial, measurement: &Measurement) -> bool {
    let is_of_trial = |agreement: &&Agreement| (agreement.variant, agreement.repeat) == (trial.variant, trial.repeat);
    let is_null = trial.options.get("state.backend.type").is_some_and(|backend| backend == "null");
    let Some(agreement) = result.agreements.iter().find(is_of_trial) else { return true };
    is_null
        || !agreement.differences.is_empty()
        || agreement.state_after_events != measurement.state_after_events
        || agreement.state == measurement.state
}

/// The figures of a trial that do not follow from others.
fn of_trial(measurement: &Measurement) -> Vec<&'static str> {
    let busiest = measurement.busy_s.iter().copied().fold(0.0, f64::max);
    let rate = measurement.throughput_events_per_s;
    let events = measurement.events as f64;
    let mut wrong = Vec::new();
    if busiest > 0.0 && (rate * busiest - events).abs() > ROUNDING * events.max(1.0) {
        wrong.push("its throughput");
    }
    if !is_summary_of(&measurement.event_latency) {
        wrong.push("the latency of its events");
    }
    if !measurement.access_latency.iter().all(|access| is_summary_of(&access.latency)) {
        wrong.push("the latency of its state accesses");
    }
    wrong
}

/// Whether a summary is that of the histogram beside it, where there is one. Means are left out: their last digits depend on
/// how a reader of JSON rounds.
fn is_summary_of(latency: &Latency) -> bool {
    let without_mean = |summary: LatencySummary| LatencySummary { mean_ns: 0.0, ..summary };
    let of_histogram = latency.histogram().as_ref().map(LatencySummary::of);
    latency.histogram.is_empty() || of_histogram.map(without_mean) == Some(without_mean(latency.summary))
}
