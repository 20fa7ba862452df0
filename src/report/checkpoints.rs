//! What a result shows of checkpoints, savepoints and restores.

use super::stream::rows;
use super::summary::median;
use super::table::with_unit;
use crate::result::{
    Changelog, CheckpointRecord, Checkpoints, Materialization, Measurement, Restore, RunResult, Trend, Unit,
};

/// Columns of the table of checkpoints: medians over the complete checkpoints of all trials.
pub(super) const CHECKPOINT_HEADER: [&str; 14] = [
    "checkpoints",
    "taken",
    "failed",
    "stood still",
    "at most",
    "duration",
    "written",
    "full size",
    "new files",
    "reused",
    "p99 during",
    "p99 outside",
    "size",
    "time",
];

/// Columns of the table of restores: medians over the trials.
pub(super) const RESTORE_HEADER: [&str; 8] =
    ["restore", "subtasks", "state", "ready after", "first events", "as fast as before", "replayed", "digest"];

/// The rows of the table of checkpoints, by configuration.
pub(super) fn checkpoint_rows(result: &RunResult) -> Vec<Vec<String>> {
    rows(result, |measurements| {
        let trials: Vec<_> = measurements.iter().filter_map(|measurement| measurement.checkpoints.as_ref()).collect();
        trials.iter().any(|trial| !trial.records.is_empty()).then(|| checkpoint_row(&trials))
    })
}

/// The rows of the table of restores, by configuration.
pub(super) fn restore_rows(result: &RunResult) -> Vec<Vec<String>> {
    rows(result, |measurements| {
        let restores: Vec<_> = measurements.iter().filter_map(|measurement| restore_of(measurement)).collect();
        (!restores.is_empty()).then(|| restore_row(&restores))
    })
}

/// Savepoints, where checkpoints are kept, why some failed, and what of it is a forecast.
pub(super) fn lines(result: &RunResult) -> Vec<String> {
    let lines = rows(result, |measurements| {
        let lines = measurements.iter().filter_map(|measurement| measurement.checkpoints.as_ref()).flat_map(told);
        let mut lines: Vec<String> = lines.collect();
        lines.dedup();
        (!lines.is_empty()).then_some(lines)
    });
    let of_configuration = |row: Vec<String>| {
        let (name, lines) = row.split_first().map(|(name, lines)| (name.clone(), lines.to_vec())).unwrap_or_default();
        lines.into_iter().map(move |line| format!("{name}: {line}"))
    };
    lines.into_iter().flat_map(of_configuration).collect()
}

fn restore_of(measurement: &Measurement) -> Option<&Restore> {
    measurement.checkpoints.as_ref()?.restore.as_ref()
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |ms| with_unit(ms * 1e6, Unit::Nanoseconds))
}

fn bytes(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |bytes| with_unit(bytes, Unit::Bytes))
}

fn checkpoint_row(trials: &[&Checkpoints]) -> Vec<String> {
    let complete: Vec<_> = trials.iter().flat_map(|trial| trial.complete()).collect();
    let of = |figure: fn(&CheckpointRecord) -> f64| median(complete.iter().map(|record| figure(record)));
    let count = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |count| format!("{count:.0}"));
    let failed = trials.iter().flat_map(|trial| &trial.records).filter(|record| record.failure.is_some()).count();
    let p99 = |latency: fn(&Checkpoints) -> Option<u64>| {
        let median = median(trials.iter().filter_map(|trial| latency(trial)).map(|ns| ns as f64));
        median.map_or_else(|| "-".to_owned(), |ns| with_unit(ns, Unit::Nanoseconds))
    };
    let longest = complete.iter().map(|record| record.sync_duration_ms).max_by(f64::total_cmp);
    vec![
        complete.len().to_string(),
        failed.to_string(),
        ms(of(|record| record.sync_duration_ms)),
        ms(longest),
        ms(of(|record| record.duration_ms)),
        bytes(of(|record| record.written_bytes as f64)),
        bytes(of(|record| record.full_bytes as f64)),
        count(of(|record| record.new_files as f64)),
        count(of(|record| record.reused_files as f64)),
        p99(|trial| trial.latency_during.as_ref()?.summary.p99_ns),
        p99(|trial| trial.latency_outside.as_ref()?.summary.p99_ns),
        trials.last().map_or_else(String::new, |trial| trend_words(trial.size_trend, Unit::Bytes)),
        trials.last().map_or_else(String::new, |trial| trend_words(trial.duration_trend, Unit::Nanoseconds)),
    ]
}

/// What a trend says in words.
pub(super) fn trend_words(trend: Trend, unit: Unit) -> String {
    match trend {
        Trend::Bounded => "bounded".to_owned(),
        Trend::Unbounded { per_day } => {
            format!("unbounded growth: {} a day", with_unit(per_day, unit))
        }
        Trend::Undecided => "too short to tell".to_owned(),
    }
}

fn restore_row(restores: &[&Restore]) -> Vec<String> {
    let of = |figure: fn(&Restore) -> f64| median(restores.iter().map(|restore| figure(restore)));
    let recovered: Option<Vec<f64>> = restores.iter().map(|restore| restore.recovered_ms).collect();
    let agree = restores.iter().all(|restore| restore.agrees);
    vec![
        restores.first().map_or_else(String::new, |restore| restore.parallelism.to_string()),
        bytes(of(|restore| restore.bytes as f64)),
        ms(of(|restore| restore.restore_duration_ms)),
        ms(of(|restore| restore.first_events_ms)),
        recovered.map_or_else(|| "not yet".to_owned(), |all| ms(median(all.into_iter()))),
        of(|restore| restore.replayed_events as f64).map_or_else(String::new, |events| format!("{events:.0}")),
        if agree { "equal".to_owned() } else { "DIFFERS".to_owned() },
    ]
}

/// What is told of one trial.
fn told(checkpoints: &Checkpoints) -> Vec<String> {
    let savepoint = |record: &&CheckpointRecord| record.kind.ends_with("savepoint") && record.failure.is_none();
    let mut lines: Vec<_> = checkpoints
        .records
        .iter()
        .filter(savepoint)
        .map(|record| {
            format!(
                "{} after {} events: {}, stood still {}, complete after {}",
                record.kind,
                record.events,
                bytes(Some(record.full_bytes as f64)),
                ms(Some(record.sync_duration_ms)),
                ms(Some(record.duration_ms))
            )
        })
        .collect();
    let failed = checkpoints.records.iter().filter_map(|record| Some((record.id, record.failure.as_ref()?)));
    lines.extend(failed.map(|(id, reason)| format!("checkpoint {id} failed: {reason}")));
    lines.extend(checkpoints.savepoint.iter().map(|place| format!("the savepoint is {place}")));
    lines.extend(checkpoints.location.iter().map(|place| format!("the last checkpoint is {place}")));
    if checkpoints.records.is_empty() {
        lines.push("no checkpoint was due in the measured part".to_owned());
    }
    lines.extend(checkpoints.changelog.iter().flat_map(changelog));
    if checkpoints.modelled {
        lines.push("times of checkpoints and restores are modelled: the storage was slowed down".to_owned());
    }
    lines
}

/// What is told of a changelog.
fn changelog(log: &Changelog) -> Vec<String> {
    let complete: Vec<_> = log.materializations.iter().filter(|one| one.failure.is_none()).collect();
    let of = |figure: fn(&Materialization) -> f64| median(complete.iter().map(|one| figure(one)));
    let mut lines = vec![format!(
        "changelog: {} of changes, which waited {} for uploads; {} materializations of a subtask's state (median: stood \
         still {}, written in {}, {})",
        bytes(Some(log.appended_bytes as f64)),
        ms(Some(log.waited_ms)),
        complete.len(),
        ms(of(|one| one.sync_duration_ms)),
        ms(of(|one| one.async_duration_ms)),
        bytes(of(|one| one.full_bytes as f64)),
    )];
    let failed = log.materializations.iter().filter_map(|one| Some((one, one.failure.as_ref()?)));
    lines.extend(
        failed.map(|(one, why)| format!("materialization {} of subtask {} failed: {why}", one.id, one.operator)),
    );
    lines
}
