//! A result as one row for each trial, in the order in which they ran: what other rules can be tried on.

use super::table::cell_text;
use crate::result::{METRICS, Outcome, RunResult};

/// The trials of a result as CSV, with every metric that a trial has.
///
/// # Errors
/// None of ours; the type is what the CSV writer returns.
pub fn runs_csv(result: &RunResult) -> Result<String, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let about = [
        "workload",
        "configuration",
        "block",
        "position",
        "began_s",
        "took_s",
        "seed",
        "companion",
        "handicap_percent",
    ];
    writer.write_record(about.into_iter().chain(METRICS.iter().map(|metric| metric.name)))?;
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for (trial, position) in result.trials.iter().zip(0..) {
        let Outcome::Finished(measurement) = &trial.outcome else { continue };
        let about = [
            cell_text(result.variant_label(trial.variant)),
            cell_text(&trial.configuration),
            trial.repeat.to_string(),
            position.to_string(),
            number(trial.run.began_s),
            number(trial.run.took_s),
            trial.seed.to_string(),
            trial.companion.to_string(),
            number(trial.run.handicap_percent),
        ];
        let metrics = METRICS.iter().map(|metric| number((metric.get)(measurement)));
        writer.write_record(about.into_iter().chain(metrics))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
