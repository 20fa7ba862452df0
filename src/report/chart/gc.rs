//! What a JVM would spend on collecting garbage, by the size of its heap: modelled.

use super::axis::{Axis, Quantity};
use super::ink::Ink;
use super::{Chart, Context, Mark, Panel, Shape, View};
use crate::model::gc::{
    Collector, Constants, ForecastRow, FullCollections, Rate, Request, TrialJob, Validation, built_in_runs,
    forecast_rows, jobs_of,
};
use crate::result::printable;
use crate::state::JvmHeap;
use crate::workload::GcModel;

/// Jobs that are modelled; each takes some hundred simulated collections for each heap.
const MOST_JOBS: usize = 3;
/// Heaps over what is alive that are asked about.
const HEAPS_OVER_LIVE: [f64; 8] = [1.15, 1.4, 1.8, 2.4, 3.2, 4.5, 6.0, 8.0];
/// Rates that are asked about where the trial ran as fast as it could, which says nothing of a JVM; events/s.
const ASKED: [f64; 3] = [1e4, 1e5, 1e6];
/// The share of time in pauses from which on a job spends too much on them.
const TOO_MUCH: f64 = 0.1;

/// A job at a rate, in heaps of growing size.
struct Modelled {
    name: String,
    job: TrialJob,
    rows: Vec<ForecastRow>,
}

/// Share of time in pauses against heap size.
pub(super) fn gc(context: &Context<'_>) -> Result<Chart, String> {
    let constants = Constants::default();
    let modelled = modelled(context, &constants);
    if modelled.is_empty() {
        return Err("no finished trial counted its objects on a Java heap: only the heap backend does".to_owned());
    }
    let heaps = || modelled.iter().flat_map(|one| &one.rows).map(|row| row.heap_bytes as f64);
    let share = |row: &ForecastRow| row.prediction.as_ref().map(|prediction| prediction.pause_share);
    let shares = modelled.iter().flat_map(|one| &one.rows).filter_map(share);
    let y = Axis::from_zero("share of time in pauses, at least (G1)", Quantity::Share, shares.chain([TOO_MUCH]));
    let mut panel = Panel::new(300, Axis::log("heap of a TaskManager, -Xmx", Quantity::Bytes, heaps()), y);
    for (series, one) in modelled.iter().enumerate() {
        let points: Vec<_> = one.rows.iter().filter_map(|row| Some((row.heap_bytes as f64, share(row)?))).collect();
        panel.line(series, &points, true);
        panel.dots(series, points, super::Marker::of(series));
    }
    let rule = format!("{:.0} % of the time", 100.0 * TOO_MUCH);
    panel.marks.push(Mark::of(Ink::Muted, Shape::RuleY(TOO_MUCH, rule)));
    let own: Vec<_> = modelled.iter().map(|one| one.job.heap.bytes).collect();
    if let Some(heap) = own.first().filter(|heap| own.iter().all(|other| other == *heap)) {
        let is_shown = (panel.x.from..=panel.x.to).contains(&(*heap as f64));
        let text = format!("as configured: {}", Quantity::Bytes.tick(*heap as f64));
        panel.marks.extend(is_shown.then(|| Mark::of(Ink::Muted, Shape::RuleX(*heap as f64, text))));
    }
    let header =
        ["job", "heap", "over what is alive", "share in pauses", "p99 pause", "longest pause", "full collections"];
    Ok(Chart {
        title: title(&modelled),
        kind: "modelled; no JVM ran",
        reading: "A heap of twice what is alive is where collections begin to cost. The rates are those of an open loop, or asked for: \
                  what a closed loop does here says nothing of a JVM. The share is the least, concurrent work comes on top.",
        alternative: error_of_the_model(&constants),
        views: vec![View::new("", vec![panel])],
        series: modelled.iter().map(|one| one.name.clone()).collect(),
        table: (header.map(str::to_owned).into(), modelled.iter().flat_map(rows).collect()),
    })
}

fn modelled(context: &Context<'_>, constants: &Constants) -> Vec<Modelled> {
    let book = context.book;
    let jobs = book.entries.iter().flat_map(|entry| {
        let jobs = jobs_of(entry.result, &GcModel::default()).into_iter();
        jobs.map(|job| (entry.label.clone(), job))
    });
    let of_job = |(label, job): (String, TrialJob)| {
        let rates = job.offered_per_s.filter(|rate| *rate > 0.0).map_or(ASKED.to_vec(), |rate| vec![rate]);
        let words = [label.as_str(), job.workload.as_str(), job.configuration.as_str()];
        let name = printable(&words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "));
        let heaps: Vec<_> = HEAPS_OVER_LIVE
            .iter()
            .map(|over| JvmHeap { bytes: (over * job.job.live_bytes) as u64 })
            .filter(|heap| heap.bytes <= JvmHeap::MOST_BYTES)
            .collect();
        let request = Request {
            heaps,
            collectors: vec![Collector::G1],
            cores: job.cores(),
            most_pause_share: TOO_MUCH,
            constants,
        };
        let at = |rate: f64| Modelled {
            name: format!("{name} at {}", Quantity::Rate.tick(rate)),
            rows: forecast_rows(&job, Rate::Offered(rate), &request),
            job: job.clone(),
        };
        rates.into_iter().map(at).collect::<Vec<_>>()
    };
    jobs.take(MOST_JOBS).flat_map(of_job).filter(|one| one.rows.iter().any(|row| row.prediction.is_some())).collect()
}

fn rows(one: &Modelled) -> Vec<Vec<String>> {
    let row = |row: &ForecastRow| {
        let mut cells = vec![
            one.name.clone(),
            Quantity::Bytes.text(row.heap_bytes as f64),
            Quantity::Factor.text(row.heap_over_live),
        ];
        let pause =
            |range: crate::model::gc::Range| format!("{:.0} to {:.0} ms", range.without_full_ms, range.with_full_ms);
        match &row.prediction {
            Some(p) => cells.extend([Quantity::Share.text(p.pause_share), pause(p.p99), pause(p.longest)]),
            None => cells.extend([const { String::new() }; 3].map(|_| "-".to_owned())),
        }
        cells.push(row.full_collections.to_string());
        cells
    };
    one.rows.iter().map(row).collect()
}

/// From which heap on pauses stay within a tenth of the time, at the highest rate.
fn title(modelled: &[Modelled]) -> String {
    let enough = |one: &Modelled| {
        let from = one.rows.iter().rposition(|row| {
            row.full_collections != FullCollections::None
                || row.prediction.as_ref().is_none_or(|prediction| prediction.pause_share > TOO_MUCH)
        });
        one.rows.get(from.map_or(0, |last| last + 1)).map(|row| row.heap_bytes as f64)
    };
    let Some(last) = modelled.last() else { return String::new() };
    match enough(last) {
        Some(heap) => format!(
            "{}: a heap of {} keeps pauses below {:.0} % of the time, without full collections (modelled)",
            last.name,
            Quantity::Bytes.text(heap),
            100.0 * TOO_MUCH
        ),
        None => format!("{}: no heap up to 8 times what is alive is safe (modelled)", last.name),
    }
}

/// How far the model is off on measured runs.
fn error_of_the_model(constants: &Constants) -> String {
    let Ok(runs) = built_in_runs() else { return String::new() };
    let validation = Validation::of(&runs, constants);
    let error = validation.errors(crate::model::gc::Quantity::PauseShare, Some(Collector::G1));
    error.map_or_else(String::new, |error| {
        format!(
            "Error of the share on measured runs of Flink: median {:.0} %, p90 {:.0} %.",
            100.0 * error.median,
            100.0 * error.p90
        )
    })
}
