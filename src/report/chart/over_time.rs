//! What trials did from second to second.

use super::axis::{Axis, Quantity};
use super::ink::Ink;
use super::{Chart, Context, Mark, Panel, Shape, View, no_timeline};
use crate::report::book::Case;
use crate::result::{EpisodeKind, Interval, Measurement, StoreSample, StoreUse, Timeline};

/// Configurations whose flushes, compactions and stalls have lanes.
const MOST_LANED: usize = 3;
/// Episodes closer than this share of the time are drawn as one: about a pixel.
const PIXEL: f64 = 1.0 / 600.0;
/// Configurations whose memory is drawn beside each other.
const MOST_MEMORIES: usize = 4;

/// A case with the timeline of its typical trial.
struct Timed<'a> {
    name: &'a str,
    measurement: &'a Measurement,
    timeline: &'a Timeline,
}

fn timed<'a>(cases: &[&'a Case<'a>]) -> Result<Vec<Timed<'a>>, String> {
    let of = |case: &&'a Case<'a>| {
        let measurement = case.typical()?;
        let timeline = measurement.timeline.as_ref().filter(|timeline| !timeline.intervals.is_empty())?;
        Some(Timed { name: &case.name, measurement, timeline })
    };
    let timed: Vec<_> = cases.iter().filter_map(of).collect();
    if timed.is_empty() { Err(no_timeline()) } else { Ok(timed) }
}

impl Timed<'_> {
    /// A figure of each interval that has it, at the interval's end, s.
    fn points(&self, figure: impl Fn(&Interval) -> Option<f64>) -> Vec<(f64, f64)> {
        let seconds = self.timeline.interval_ms as f64 / 1e3;
        let point = |(at, interval): (usize, &Interval)| Some(((at + 1) as f64 * seconds, figure(interval)?));
        self.timeline.intervals.iter().enumerate().filter_map(point).collect()
    }

    fn end_s(&self) -> f64 {
        self.timeline.intervals.len() as f64 * self.timeline.interval_ms as f64 / 1e3
    }

    /// Time in which episodes of these kinds went on, s; overlaps count once.
    fn time_in_s(&self, kinds: &[EpisodeKind]) -> f64 {
        let of_kind = self.timeline.episodes.iter().filter(|episode| kinds.contains(&episode.kind));
        let mut spans: Vec<_> = of_kind.map(|episode| (episode.begin_ms, episode.end_ms)).collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut total, mut until) = (0.0, 0.0_f64);
        for (begin, end) in spans {
            total += (end - begin.max(until)).max(0.0);
            until = until.max(end);
        }
        total / 1e3
    }
}

fn median(points: &[(f64, f64)]) -> f64 {
    let mut values: Vec<_> = points.iter().map(|point| point.1).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

const STALLS: [EpisodeKind; 2] = [EpisodeKind::Delayed, EpisodeKind::Stopped];

/// Throughput and p99 over time, with lanes for what went on meanwhile.
pub(super) fn throughput(context: &Context<'_>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let timed = timed(&cases)?;
    let end_s = timed.iter().map(Timed::end_s).fold(0.0, f64::max);
    let time = |label: &str| Axis::between(label, Quantity::Number, 0.0, end_s);
    let rates: Vec<_> = timed.iter().map(|one| one.points(Interval::throughput_events_per_s)).collect();
    let p99s: Vec<_> = timed.iter().map(|one| one.points(|i| i.p99_ns.map(|ns| ns as f64))).collect();
    let values = |lines: &[Vec<(f64, f64)>]| lines.iter().flatten().map(|point| point.1).collect::<Vec<_>>();
    let panels = |y: Axis| {
        let mut rate = Panel::new(240, time(""), y);
        rates.iter().enumerate().for_each(|(series, line)| rate.line(series, line, true));
        let mut panels = vec![rate];
        if p99s.iter().any(|line| !line.is_empty()) {
            let y = Axis::log("p99 of an interval", Quantity::Time, values(&p99s));
            let mut p99 = Panel::new(170, time(""), y);
            p99s.iter().enumerate().for_each(|(series, line)| p99.line(series, line, true));
            panels.push(p99);
        }
        panels.extend(lanes(&timed, time("time, s")));
        if let Some(last) = panels.last_mut() {
            last.x = time("time, s");
        }
        panels
    };
    let linear = panels(Axis::from_zero("throughput, events/s", Quantity::Rate, values(&rates)));
    let log = panels(Axis::log("throughput, events/s", Quantity::Rate, values(&rates)));
    let row = |(one, rate): (&Timed<'_>, &Vec<(f64, f64)>)| {
        let least = rate.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let count = |kind| one.timeline.episodes.iter().filter(|episode| episode.kind == kind).count().to_string();
        let mut row = vec![one.name.to_owned(), Quantity::Rate.text(median(rate)), Quantity::Rate.text(least)];
        row.extend([EpisodeKind::Checkpoint, EpisodeKind::Flush, EpisodeKind::Compaction].map(count));
        row.push(format!("{:.2} s of {:.1} s", one.time_in_s(&STALLS), one.end_s()));
        row
    };
    let header = [
        "configuration",
        "median",
        "least of an interval",
        "checkpoints",
        "flushes",
        "compactions",
        "writes held back",
    ];
    // The linear scale first where one picture can show all.
    let medians: Vec<_> = rates.iter().map(|rate| median(rate)).collect();
    let (least, most) =
        (medians.iter().copied().fold(f64::INFINITY, f64::min), medians.iter().copied().fold(0.0, f64::max));
    let mut views = vec![View::new("linear", linear), View::new("logarithmic", log)];
    if most > 8.0 * least {
        views.reverse();
    }
    let unlisted: u64 = timed.iter().map(|one| one.timeline.unlisted_episodes).fold(0, u64::saturating_add);
    Ok(Chart {
        title: throughput_title(&timed, &rates),
        kind: "measured, the trial of the median throughput",
        reading: "Events over the time of the busiest subtask, interval by interval. The lanes at the foot tell what went on in the \
                  store: a dip above a bar is what that costs.",
        alternative: if unlisted > 0 {
            format!("{unlisted} further flushes, compactions and stalls were too many to be listed.")
        } else {
            String::new()
        },
        views,
        series: timed.iter().map(|one| one.name.to_owned()).collect(),
        table: (header.map(str::to_owned).into(), timed.iter().zip(&rates).map(row).collect()),
    })
}

/// Who was held back, or else who dipped most.
fn throughput_title(timed: &[Timed<'_>], rates: &[Vec<(f64, f64)>]) -> String {
    let held_back = timed.iter().map(|one| (one.time_in_s(&STALLS) / one.end_s().max(1e-9), one.name));
    if let Some((share, name)) = held_back.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(share, _)| *share > 0.005) {
        return format!("{name}: writes are held back for {:.0} % of the time", 100.0 * share);
    }
    let dips = rates.iter().zip(timed).filter_map(|(rate, one)| {
        let low = rate.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some((low.1 / median(rate), low.0, one.name))
    });
    match dips.min_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((share, at, name)) if share < 0.7 => {
            format!("Deepest dip: {name} at {:.0} % of its median, {at:.1} s into the run", 100.0 * share)
        }
        Some((share, ..)) => format!("Steady: no interval is below {:.0} % of the median of its run", 100.0 * share),
        None => "Throughput over time".to_owned(),
    }
}

/// Lanes of episodes; none where there were none.
fn lanes(timed: &[Timed<'_>], x: Axis) -> Option<Panel> {
    let has = |one: &Timed<'_>, kind| one.timeline.episodes.iter().any(|episode| episode.kind == kind);
    let laned = timed.iter().enumerate().filter(|(_, one)| !one.timeline.episodes.is_empty()).take(MOST_LANED);
    let lanes: Vec<(usize, &Timed<'_>, EpisodeKind)> = laned
        .flat_map(|(series, one)| EpisodeKind::ALL.map(|kind| (series, one, kind)))
        .filter(|(_, one, kind)| has(one, *kind))
        .collect();
    if lanes.is_empty() {
        return None;
    }
    let is_of_one = timed.len() == 1;
    // Names go from the foot up.
    let name = |(_, one, kind): &(usize, &Timed<'_>, EpisodeKind)| {
        if is_of_one { kind.name().to_owned() } else { format!("{}: {}", one.name, kind.name()) }
    };
    let names = lanes.iter().rev().map(name).collect();
    let mut panel = Panel::new(64 + 18 * lanes.len() as u32, x, Axis::names("meanwhile", names));
    let gap_ms = panel.x.to * 1e3 * PIXEL;
    for (at, (series, one, kind)) in lanes.iter().rev().enumerate() {
        let mut spans: Vec<(f64, f64)> = Vec::new();
        for episode in one.timeline.episodes.iter().filter(|episode| episode.kind == *kind) {
            match spans.last_mut() {
                Some((_, until)) if episode.begin_ms <= *until + gap_ms => *until = until.max(episode.end_ms),
                _ => spans.push((episode.begin_ms, episode.end_ms)),
            }
        }
        let at = at as f64;
        for (begin, end) in spans {
            panel.mark(*series, Shape::Bar { from: (begin / 1e3, at - 0.3), to: (end / 1e3, at + 0.3) });
        }
    }
    Some(panel)
}

/// What a store's memory is used for, bytes: memtables, blocks in the cache, readers outside it.
fn parts(used: &StoreUse) -> [f64; 3] {
    // What memtables are charged with is in the cache's figure too.
    let blocks = used.cache_bytes.saturating_sub(used.cache_pinned_bytes.min(used.memtable_bytes));
    [used.memtable_bytes, blocks, used.table_reader_bytes].map(|bytes| bytes as f64)
}

/// Memory over time, by what it is used for.
pub(super) fn memory(context: &Context<'_>) -> Result<Chart, String> {
    const PARTS: [&str; 4] =
        ["memtables", "blocks in the cache", "readers outside the cache", "resident memory of the process"];
    let cases = context.cases()?;
    let mut timed = timed(&cases)?;
    let has_memory =
        |one: &Timed<'_>| one.timeline.intervals.iter().any(|i| i.store.is_some() || i.resident_bytes.is_some());
    timed.retain(has_memory);
    timed.truncate(MOST_MEMORIES);
    if timed.is_empty() {
        return Err("no finished trial has its memory recorded over time".to_owned());
    }
    let panels = timed.iter().map(memory_panel).collect();
    let most = |points: &[(f64, f64)]| points.iter().map(|point| point.1).fold(0.0, f64::max);
    let row = |one: &Timed<'_>| {
        let store = |part: usize| most(&one.points(|i| Some(parts(&i.store.as_ref()?.used)[part])));
        let budget = budget(one.measurement);
        let resident = most(&one.points(|i| i.resident_bytes.map(|bytes| bytes as f64)));
        let shown = |bytes: f64| if bytes > 0.0 { Quantity::Bytes.text(bytes) } else { "-".to_owned() };
        let mut row = vec![one.name.to_owned(), budget.map_or_else(|| "-".to_owned(), shown)];
        row.extend([store(0), store(1), store(2), resident].map(shown));
        row
    };
    let mut header = vec!["configuration".to_owned(), "budget".to_owned()];
    header.extend(PARTS.iter().map(|part| format!("{part}, at most")));
    let rows: Vec<Vec<String>> = timed.iter().map(row).collect();
    let title = timed.iter().find_map(|one| {
        let total = |sample: &StoreSample| sample.used.total_bytes() as f64;
        let used = most(&one.points(|i| i.store.as_ref().map(total)));
        let share = used / budget(one.measurement)?;
        Some(format!("{} uses up to {:.0} % of its budget, and how over time", one.name, 100.0 * share))
    });
    Ok(Chart {
        title: title.unwrap_or_else(|| "Memory over time".to_owned()),
        kind: "measured; the budget is configured",
        reading: "The areas lie on each other and are what counts against the budget, the dashed line. The line on top is the whole \
                  process, the harness included.",
        alternative: String::new(),
        views: vec![View::new("", panels)],
        series: PARTS.map(str::to_owned).into(),
        table: (header, rows),
    })
}

/// What a trial's stores were given, bytes.
fn budget(measurement: &Measurement) -> Option<f64> {
    let budget = measurement.store_memory.as_ref()?.budget.as_ref()?;
    (budget.pool_bytes > 0).then_some(budget.pool_bytes as f64)
}

fn memory_panel(one: &Timed<'_>) -> Panel {
    let resident = one.points(|interval| interval.resident_bytes.map(|bytes| bytes as f64));
    let stacks: Vec<(f64, [f64; 3])> = {
        let seconds = one.timeline.interval_ms as f64 / 1e3;
        let of = |(at, interval): (usize, &Interval)| {
            Some(((at + 1) as f64 * seconds, parts(&interval.store.as_ref()?.used)))
        };
        one.timeline.intervals.iter().enumerate().filter_map(of).collect()
    };
    let top = |(_, parts): &(f64, [f64; 3])| parts.iter().sum::<f64>();
    let values = resident.iter().map(|point| point.1).chain(stacks.iter().map(top)).chain(budget(one.measurement));
    let y = Axis::from_zero(&format!("{}: memory", one.name), Quantity::Bytes, values);
    let mut panel = Panel::new(210, Axis::between("time, s", Quantity::Number, 0.0, one.end_s()), y);
    for part in 0..3 {
        let below = |parts: &[f64; 3], part: usize| parts[..part].iter().sum::<f64>();
        let upper: Vec<_> = stacks.iter().map(|(at, parts)| (*at, below(parts, part + 1))).collect();
        let lower = stacks.iter().rev().map(|(at, parts)| (*at, below(parts, part)));
        if upper.len() > 1 && stacks.iter().any(|(_, parts)| parts[part] > 0.0) {
            panel.mark(part, Shape::Area(upper.iter().copied().chain(lower).collect()));
            panel.mark(part, Shape::Thin(upper));
            panel.tracks.push((part, stacks.iter().map(|(at, parts)| (*at, parts[part])).collect()));
        }
    }
    panel.line(3, &resident, false);
    if let Some(budget) = budget(one.measurement) {
        let text = format!("budget {}", Quantity::Bytes.tick(budget));
        panel.marks.push(Mark::of(Ink::Muted, Shape::RuleY(budget, text)));
    }
    panel
}
