//! The noise of a machine as a table.

use std::fmt::Write;
use std::time::Duration;

use super::Format;
use super::comparison::{in_workload, percent_text};
use super::table::{align, name, table};
use crate::compare::FalseAlarms;
use crate::gate::Calibration;
use crate::workload::Time;

/// What a calibration says: the noise of each metric, what can be seen of it in how many pairs and how long, and what cannot be
/// gated here. With the false alarms of its own pairs, where they were drawn.
pub fn calibration_table(calibration: &Calibration, alarms: Option<FalseAlarms>) -> String {
    let header = [
        "configuration",
        "metric",
        "noise of a pair",
        "between sessions",
        "pairs",
        "sees",
        "threshold",
        "needs",
        "time",
        "gate",
    ];
    let mut out =
        format!("{}\n{}\n\n", name(&calibration.name, Format::Table), name(&calibration.key.host_class, Format::Table));
    let mut noise = table(Format::Table, &header);
    let spreads = calibration.session_spreads();
    let mut unfit = 0;
    for own in calibration.latest() {
        let last = own.last_look();
        let needed = own.pairs_needed();
        unfit += usize::from(!own.is_gateable());
        let time =
            |pairs: u32| Time(Duration::from_secs((own.pair_s * f64::from(pairs)).min(1e9).ceil() as u64)).to_string();
        noise.add_row([
            name(&in_workload(&own.workload, &own.configuration), Format::Table),
            own.metric.clone(),
            percent_text(own.noise_percent),
            spreads.get(&own.metric).map_or_else(|| "-".to_owned(), |spread| percent_text(100.0 * spread)),
            own.pairs.to_string(),
            format!("≥ {} in {last}", percent_text(own.visible_percent(last))),
            percent_text(own.threshold_percent),
            needed.map_or_else(|| "-".to_owned(), |pairs| format!("{pairs} pairs")),
            needed.map_or_else(|| "-".to_owned(), time),
            if own.is_gateable() { "= yes" } else { "▲ no" }.to_owned(),
        ]);
    }
    align(&mut noise, 2);
    let _ = writeln!(out, "{noise}\n");
    if let Some(FalseAlarms { alarms, draws, pairs }) = alarms {
        let share = 100.0 * f64::from(alarms) / f64::from(draws.max(1));
        let _ = writeln!(
            out,
            "false alarms: {alarms} of {draws} gates ({share:.2} %), the sides of {pairs} pairs swapped at random"
        );
    }
    if unfit > 0 {
        let _ = writeln!(out, "{unfit} metrics cannot be gated here at their threshold: a gate would end inconclusive");
    }
    let sessions = calibration.sessions.len();
    let _ = match sessions {
        0 | 1 => {
            writeln!(out, "1 session: what two differ by is known when there are two; calibrate again at another time")
        }
        _ => writeln!(out, "{sessions} sessions: between sessions is the largest difference of the medians of two"),
    };
    out
}
