//! RocksDB's trees: their levels, what is rewritten and reread for each byte, and the cache above them.

use super::axis::{Axis, Quantity};
use super::ink::Ink;
use super::{Chart, Context, Mark, Marker, Panel, Points, Shape, View, no_timeline};
use crate::report::book::Case;
use crate::report::table::significant;
use crate::result::{CacheCurve, LevelShape};

/// Sizes of the levels.
pub(super) fn levels(context: &Context<'_>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let of = |case: &&Case<'_>| {
        let levels = &case.typical()?.store_shape.as_ref()?.levels;
        (!levels.is_empty()).then(|| (case.name.clone(), levels.clone()))
    };
    let trees: Vec<(String, Vec<LevelShape>)> = cases.iter().filter_map(of).collect();
    let deepest = trees.iter().map(|(_, levels)| levels.len()).max().unwrap_or(0).min(16);
    if deepest == 0 {
        return Err("no finished trial has table files: its state is in memory, or was never flushed".to_owned());
    }
    let names: Vec<_> = (0..deepest).map(|level| format!("L{level}")).collect();
    let panel = |y: fn(&str, Quantity, Vec<f64>) -> Axis| {
        let values = trees.iter().flat_map(|(_, levels)| levels).map(|level| level.bytes as f64).collect();
        let y = y("size of a level's table files", Quantity::Bytes, values);
        let mut panel = Panel::new(240, Axis::names("level", names.clone()), y);
        let width = 0.8 / trees.len() as f64;
        for (series, (_, levels)) in trees.iter().enumerate() {
            for (level, shape) in levels.iter().enumerate().filter(|(_, shape)| shape.bytes > 0).take(deepest) {
                let left = level as f64 - 0.4 + series as f64 * width;
                let to = (left + 0.9 * width, shape.bytes as f64);
                panel.mark(series, Shape::Bar { from: (left, panel.y.from), to });
            }
        }
        panel
    };
    let total = |levels: &[LevelShape]| levels.iter().map(|level| level.bytes).sum::<u64>();
    let row = |(name, levels): &(String, Vec<LevelShape>)| {
        let cell = |level: usize| {
            levels.get(level).filter(|shape| shape.files > 0).map_or_else(
                || "-".to_owned(),
                |shape| format!("{} in {}", Quantity::Bytes.text(shape.bytes as f64), shape.files),
            )
        };
        std::iter::once(name.clone()).chain((0..deepest).map(cell)).collect::<Vec<_>>()
    };
    let largest = trees.iter().max_by_key(|(_, levels)| total(levels));
    let title = largest.map_or_else(String::new, |(name, levels)| {
        let bytes = Quantity::Bytes.text(total(levels) as f64);
        format!("Largest tree: {name} with {bytes} in {} levels", levels.iter().filter(|level| level.files > 0).count())
    });
    Ok(Chart {
        title,
        kind: "measured, the trial of the median throughput, at the end",
        reading: "New data arrives in L0 and sinks. Files in L0 overlap: a lookup may look at all of them, so many there make reads slow. \
                  The table tells the number of files too.",
        alternative: String::new(),
        views: vec![
            View::new("linear", vec![panel(Axis::from_zero)]),
            View::new("logarithmic", vec![panel(Axis::log)]),
        ],
        series: trees.iter().map(|(name, _)| name.clone()).collect(),
        table: (std::iter::once("configuration".to_owned()).chain(names).collect(), trees.iter().map(row).collect()),
    })
}

/// What of a tree is more than what the workload asks for.
struct Amplification {
    name: String,
    /// Bytes written, read and held over those asked for.
    figures: [Option<f64>; 3],
}

impl Amplification {
    fn of(case: &Case<'_>) -> Self {
        let figures =
            ["write_amplification", "read_amplification", "space_amplification"].map(|name| case.median(name));
        Self { name: case.name.clone(), figures }
    }
}

/// Write, read and space amplification.
pub(super) fn amplification(context: &Context<'_>) -> Result<Chart, String> {
    const WHAT: [&str; 3] = [
        "bytes written to files for each byte put",
        "bytes read from files for each byte returned",
        "bytes of files for each live byte",
    ];
    let cases = context.cases()?;
    let mut all: Vec<_> = cases.iter().map(|case| Amplification::of(case)).collect();
    all.retain(|one| one.figures.iter().any(Option::is_some));
    if all.is_empty() {
        return Err("no trial counted: run.counters adds a companion trial in which RocksDB counts".to_owned());
    }
    let names: Vec<_> = all.iter().rev().map(|one| one.name.clone()).collect();
    let panels =
        WHAT.iter().enumerate().filter(|(at, _)| all.iter().any(|one| one.figures[*at].is_some())).map(|(at, what)| {
            let values = all.iter().filter_map(|one| one.figures[at]);
            let x = Axis::from_zero(what, Quantity::Factor, values);
            let mut panel = Panel::new(60 + 18 * all.len() as u32, x, Axis::names("", names.clone()));
            for (row, one) in all.iter().rev().enumerate() {
                if let Some(value) = one.figures[at] {
                    let row = row as f64;
                    panel.mark(at, Shape::Bar { from: (0.0, row - 0.3), to: (value, row + 0.3) });
                }
            }
            panel
        });
    let panels: Vec<_> = panels.collect();
    let shown = |value: &Option<f64>| value.map_or_else(|| "-".to_owned(), |value| Quantity::Factor.text(value));
    let row = |one: &Amplification| {
        std::iter::once(one.name.clone()).chain(one.figures.iter().map(shown)).collect::<Vec<_>>()
    };
    let most = all.iter().filter_map(|one| Some((one.figures[0]?, &one.name))).max_by(|a, b| a.0.total_cmp(&b.0));
    Ok(Chart {
        title: most.map_or_else(
            || "Amplification by configuration".to_owned(),
            |(write, name)| {
                format!("{name} writes {} bytes to files for each byte put, the most of all", significant(write))
            },
        ),
        kind: "measured: writes and reads in the companion trial in which RocksDB counts, space by RocksDB's own estimate",
        reading: "Shorter is cheaper. Writes above one are flushes and compactions, reads above one are blocks that are read whole for one value, \
                  space above one is what compactions have still to remove.",
        alternative: String::new(),
        views: vec![View::new("", panels)],
        series: WHAT.map(str::to_owned).into(),
        table: (["configuration", "write", "read", "space"].map(str::to_owned).into(), all.iter().map(row).collect()),
    })
}

/// Hit rate of the block cache over time, in the companion trials.
pub(super) fn cache(context: &Context<'_>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let of = |case: &&Case<'_>| {
        let companion = case.companion?;
        let whole = companion.store_counters?.cache_hit_rate()?;
        let timeline = companion.timeline.as_ref();
        let line = timeline.map_or_else(Vec::new, |timeline| {
            let seconds = timeline.interval_ms as f64 / 1e3;
            let intervals = timeline.intervals.iter().enumerate();
            let rates = intervals.filter_map(|(at, interval)| {
                Some(((at + 1) as f64 * seconds, interval.store.as_ref()?.counters?.cache_hit_rate()?))
            });
            rates.collect()
        });
        Some((case.name.clone(), whole, line))
    };
    let rates: Vec<(String, f64, Points)> = cases.iter().filter_map(of).collect();
    if rates.is_empty() {
        return Err(
            "no trial counted the hits of a block cache: run.counters adds a companion trial in which RocksDB counts"
                .to_owned(),
        );
    }
    let end = rates.iter().flat_map(|(_, _, line)| line).map(|point| point.0).fold(0.0, f64::max);
    let mut panels = Vec::new();
    if end > 0.0 {
        let x = Axis::between("time, s", Quantity::Number, 0.0, end);
        let mut panel = Panel::new(240, x, Axis::between("blocks found in the cache", Quantity::Share, 0.0, 1.0));
        rates.iter().enumerate().for_each(|(series, (_, _, line))| panel.line(series, line, true));
        panels.push(panel);
    } else {
        let names = rates.iter().rev().map(|(name, ..)| name.clone()).collect();
        let x = Axis::between("blocks found in the cache, over the whole run", Quantity::Share, 0.0, 1.0);
        let mut panel = Panel::new(60 + 22 * rates.len() as u32, x, Axis::names("", names));
        for (at, (_, rate, _)) in rates.iter().enumerate() {
            panel.dots(at, vec![(*rate, (rates.len() - 1 - at) as f64)], Marker::of(at));
        }
        panels.push(panel);
    }
    let row = |(name, rate, line): &(String, f64, Vec<(f64, f64)>)| {
        let least = line.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let least = if least.is_finite() { Quantity::Share.text(least) } else { no_timeline() };
        vec![name.clone(), Quantity::Share.text(*rate), least]
    };
    let least = rates.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    Ok(Chart {
        title: least.map_or_else(String::new, |(name, rate, _)| {
            format!(
                "Lowest hit rate: {name} finds {} of the blocks that it needs in the cache",
                Quantity::Share.text(*rate)
            )
        }),
        kind: "measured, in the companion trial in which RocksDB counts",
        reading: "Each block that is not found is read from a file and unpacked. A rate that goes on rising is a cache that is still warming \
                  up.",
        alternative: String::new(),
        views: vec![View::new("", panels)],
        series: rates.iter().map(|(name, ..)| name.clone()).collect(),
        table: (
            ["configuration", "hit rate", "least of an interval"].map(str::to_owned).into(),
            rates.iter().map(row).collect(),
        ),
    })
}

/// Blocks that caches of other sizes would not have found.
pub(super) fn miss_ratio(context: &Context<'_>) -> Result<Chart, String> {
    /// The knee: the least pool that finds this share of what the largest one finds.
    const ENOUGH: f64 = 0.95;
    let cases = context.cases()?;
    let curves: Vec<(&str, &CacheCurve)> = cases
        .iter()
        .filter_map(|case| Some((case.name.as_str(), case.companion?.cache_curve.as_ref()?)))
        .filter(|(_, curve)| curve.data_asked.saturating_add(curve.index_asked) > 0 && !curve.points.is_empty())
        .collect();
    if curves.is_empty() {
        return Err("no companion trial has a cache that other sizes were modelled for".to_owned());
    }
    let points = || curves.iter().flat_map(|(_, curve)| &curve.points);
    let x = Axis::log("memory of caches and write buffers", Quantity::Bytes, points().map(|p| p.pool_bytes as f64));
    let most = points().map(|point| 1.0 - point.hit_rate);
    let y = Axis::from_zero("blocks that are not found in the cache", Quantity::Share, most.chain([0.01]));
    let mut panel = Panel::new(300, x, y);
    let knee = |curve: &CacheCurve| {
        let best = curve.points.last()?.hit_rate;
        curve.smallest_with(ENOUGH * best).copied()
    };
    for (series, (_, curve)) in curves.iter().enumerate() {
        let line: Points = curve.points.iter().map(|p| (p.pool_bytes as f64, 1.0 - p.hit_rate)).collect();
        panel.line(series, &line, true);
        if let Some(present) = curve.present() {
            let size = present.pool_bytes as f64;
            panel.mark(series, Shape::Dots(vec![(size, 1.0 - present.hit_rate)], Marker::Ring));
            let measured = curve.measured_hit_rate.map(|rate| (size, 1.0 - rate));
            panel.mark(series, Shape::Dots(measured.into_iter().collect(), Marker::of(series)));
        }
        if let Some(knee) = knee(curve).filter(|_| curves.len() == 1) {
            let text = format!("knee: {}", Quantity::Bytes.tick(knee.pool_bytes as f64));
            panel.marks.push(Mark::of(Ink::Muted, Shape::RuleX(knee.pool_bytes as f64, text)));
        }
    }
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), |bytes| Quantity::Bytes.text(bytes as f64));
    let share = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| Quantity::Share.text(1.0 - rate));
    let row = |(name, curve): &(&str, &CacheCurve)| {
        vec![
            (*name).to_owned(),
            size(curve.present().map(|point| point.pool_bytes)),
            share(curve.measured_hit_rate),
            share(curve.present().map(|point| point.hit_rate)),
            size(knee(curve).map(|point| point.pool_bytes)),
            share(knee(curve).map(|point| point.hit_rate)),
        ]
    };
    let header = ["configuration", "has", "misses (measured)", "misses (modelled)", "knee", "misses there (modelled)"];
    let title = curves.iter().find_map(|(name, curve)| {
        let (knee, present) = (knee(curve)?, curve.present()?);
        Some(format!(
            "{name}: a pool of {} finds {:.0} % of the blocks, the one of {} that it has {:.0} % (modelled)",
            Quantity::Bytes.text(knee.pool_bytes as f64),
            100.0 * knee.hit_rate,
            Quantity::Bytes.text(present.pool_bytes as f64),
            100.0 * present.hit_rate
        ))
    });
    Ok(Chart {
        title: title.unwrap_or_else(|| "Blocks that caches of other sizes would not find".to_owned()),
        kind: "modelled from what the companion trial asked its cache for; filled markers are measured",
        reading: "Left of the knee, memory buys hits; right of it, it buys little. The ring is the size that the trial had, the filled \
                  marker what RocksDB counted there: the nearer, the better the model. The tree is that of the trial: smaller write buffers \
                  leave another one, which may ask for other blocks.",
        alternative: String::new(),
        views: vec![View::new("", vec![panel])],
        series: curves.iter().map(|(name, _)| (*name).to_owned()).collect(),
        table: (header.map(str::to_owned).into(), curves.iter().map(row).collect()),
    })
}
