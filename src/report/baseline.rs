//! Baselines as tables.

use super::Format;
use super::comparison::in_workload;
use super::table::{align, name, table, with_unit};
use crate::gate::Baseline;
use crate::result::METRICS;
use crate::statistics::median;
use crate::workload::Time;

/// A file of a folder of baselines.
pub struct BaselineRow {
    /// Its name.
    pub file: String,
    /// What it holds, or why it cannot be read.
    pub baseline: Result<Baseline, String>,
}

/// What baselines there are, one line each.
pub fn list_table(rows: &[BaselineRow]) -> String {
    let mut list = table(Format::Table, &["baseline", "workload", "digest", "configurations", "age", "host", "note"]);
    for row in rows {
        let text = |text: &str| name(text, Format::Table);
        let cells = match &row.baseline {
            Ok(baseline) => [
                text(&row.file),
                text(&baseline.observations.name),
                baseline.key.workload_digest.clone(),
                baseline.observations.cells.len().to_string(),
                age(baseline),
                text(&baseline.key.host_class),
                note(baseline),
            ],
            Err(why) => {
                let none = || "-".to_owned();
                [text(&row.file), none(), none(), none(), none(), none(), text(&format!("not valid: {why}"))]
            }
        };
        list.add_row(cells);
    }
    format!("{list}\n")
}

/// The median of each metric of each workload and configuration.
pub fn baseline_table(baseline: &Baseline) -> String {
    let mut medians = table(Format::Table, &["configuration", "metric", "median", "trials"]);
    for cell in &baseline.observations.cells {
        for metric in METRICS {
            let values: Vec<_> =
                cell.trials.iter().filter_map(|trial| trial.metrics.get(metric.name).copied()).collect();
            let Some(median) = median(&values) else { continue };
            medians.add_row([
                name(&in_workload(&cell.workload, &cell.configuration), Format::Table),
                metric.label.to_owned(),
                with_unit(median, metric.unit),
                values.len().to_string(),
            ]);
        }
    }
    align(&mut medians, 2);
    let title = name(&baseline.observations.name, Format::Table);
    let host = name(&baseline.key.host_class, Format::Table);
    let note = note(baseline);
    let note = if note.is_empty() { note } else { format!("{note}\n") };
    let (age, digest) = (age(baseline), &baseline.key.workload_digest);
    format!("{title}\nsaved {age} ago, workload {digest}, {host}\n{note}\n{medians}\n")
}

fn age(baseline: &Baseline) -> String {
    const DAY_S: u64 = 86_400;
    let age_s = baseline.age_s();
    // In days where it is that old: seconds say nothing then.
    let shown_s = if age_s >= DAY_S { age_s / DAY_S * DAY_S } else { age_s.max(1) };
    Time(std::time::Duration::from_secs(shown_s)).to_string()
}

fn note(baseline: &Baseline) -> String {
    let mut notes: Vec<_> = baseline.observations.warnings.iter().map(|warning| name(warning, Format::Table)).collect();
    if baseline.is_changed {
        notes.insert(0, "changed after it was written".to_owned());
    }
    notes.join("; ")
}
