//! Events that come faster than they can be done.

use crate::advise::{Cell, Context, Draft, Effect, Figure, FigureUnit, Note, Setting, Urgency, rate_text};
use crate::result::{Measurement, OpenLoop};

/// What is left free so that a backlog can be worked off.
const HEADROOM: f64 = 1.25;

/// An open loop that did not keep up.
pub(super) fn saturated<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let is_saturated = |measurement: &&Measurement| measurement.open_loop.as_ref().is_some_and(|load| load.saturated);
    let saturated = cell.measured.iter().copied().filter(is_saturated);
    let Some((measurement, load)) = saturated.filter_map(|m| Some((m, m.open_loop.as_ref()?))).next_back() else {
        return Vec::new();
    };
    let OpenLoop { offered_events_per_s: offered, served_events_per_s: served, .. } = *load;
    let figures = vec![
        Figure::configured("offered", offered, FigureUnit::EventsPerSecond),
        Figure::measured("served", served, FigureUnit::EventsPerSecond),
        Figure::configured("subtasks", f64::from(measurement.parallelism), FigureUnit::Count),
    ];
    // The configuration that kept up with the least idle time is the nearest to this one.
    let kept_up = |other: &&Cell<'_>| {
        let keeps = |m: &Measurement| m.open_loop.as_ref().is_some_and(|load| !load.saturated);
        other.has_job_of(cell) && !other.measured.is_empty() && other.measured.iter().all(|m| keeps(m))
    };
    let other = context.cells.iter().filter(kept_up).min_by_key(|other| other.differences(cell).len());
    let (settings, effect) = if let Some(other) = other {
        let differences = other.differences(cell);
        let of = |key: &String| {
            let value = crate::workload::Options::row(key).map(|row| row.get(&other.options))?;
            Some(Setting::option(cell, key, value))
        };
        let settings = differences.iter().filter_map(of).collect();
        (settings, Effect::measured(format!("keeps up with {}", rate_text(offered)), None, other))
    } else {
        let subtasks = (f64::from(measurement.parallelism) * HEADROOM * offered / served.max(1e-9)).ceil();
        let subtasks = subtasks.min(32_768.0) as u32;
        let setting = Setting::option(cell, "parallelism.default", subtasks);
        let what = format!("{subtasks} subtasks that are each as fast as now keep up, with a quarter to spare");
        (vec![setting], Effect::modelled(what, None, "the rate that was served by each subtask of this run"))
    };
    vec![
        Draft {
            rule: "saturated",
            urgency: Urgency::Fails,
            cell,
            what: format!("saturated: {} arrive, {} are done", rate_text(offered), rate_text(served)),
            why: "the queue grows for as long as events come at this rate, and no response time means anything"
                .to_owned(),
            figures,
            settings,
            effect,
        }
        .into(),
    ]
}
