//! What configurations tell that differ in one setting.

use crate::advise::{
    Cell, Context, Draft, Effect, Figure, FigureUnit, Finding, Note, Setting, Urgency, bytes_text, percent, rate_text,
    times,
};
use crate::workload::Options;

/// A pool is enough where throughput reaches this share of the best.
const ENOUGH: f64 = 0.9;
/// Pools that a curve needs to have a knee.
const LEAST_POINTS: usize = 3;
/// A setting that gains less than this factor is no advice.
const LEAST_GAIN: f64 = 1.1;

/// The options that make a pool larger or smaller and do nothing else to RocksDB.
const POOL_KEYS: [&str; 6] = [
    "taskmanager.memory.managed.size",
    "taskmanager.memory.managed.fraction",
    "taskmanager.memory.process.size",
    "taskmanager.memory.flink.size",
    "state.backend.rocksdb.memory.fixed-per-slot",
    "state.backend.rocksdb.memory.fixed-per-tm",
];

/// The configurations that differ from this one in the size of the pool alone, itself included, from the smallest.
pub(super) fn pool_family<'a>(context: &'a Context<'a>, cell: &Cell<'_>) -> Vec<&'a Cell<'a>> {
    let mut family: Vec<_> = context
        .cells
        .iter()
        .filter(|other| {
            other.has_job_of(cell)
                && other.pool_bytes().is_some()
                && other.throughput().is_some()
                && other.differences(cell).iter().all(|key| POOL_KEYS.contains(&key.as_str()))
        })
        .collect();
    family.sort_by_key(|other| other.pool_bytes());
    family
}

/// The smallest pool of a family that has most of the best throughput and no slow run.
pub(super) fn knee_of<'a>(family: &[&'a Cell<'a>]) -> Option<&'a Cell<'a>> {
    let mut sizes: Vec<_> = family.iter().filter_map(|cell| cell.pool_bytes()).collect();
    sizes.dedup();
    if sizes.len() < LEAST_POINTS {
        return None;
    }
    let best = family.iter().filter_map(|cell| cell.throughput()).fold(0.0, f64::max);
    let enough =
        |cell: &&&Cell<'_>| cell.slow_trials() == 0 && cell.throughput().is_some_and(|rate| rate >= ENOUGH * best);
    family.iter().find(enough).copied()
}

/// The knee of every sweep over the memory that databases share.
pub(super) fn knees(context: &Context<'_>) -> Vec<Note> {
    let mut seen: Vec<*const Cell<'_>> = Vec::new();
    let mut notes = Vec::new();
    for cell in context.cells.iter().filter(|cell| cell.pool_bytes().is_some()) {
        if seen.contains(&std::ptr::from_ref(cell)) {
            continue;
        }
        let family = pool_family(context, cell);
        seen.extend(family.iter().map(|other| std::ptr::from_ref(*other)));
        notes.extend(knee_of(&family).and_then(|knee| knee_note(&family, knee)));
    }
    notes
}

/// What each configuration of a family did.
fn curve(family: &[&Cell<'_>]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for cell in family {
        let pool = cell.pool_bytes().unwrap_or(0) as f64;
        let slow = match cell.slow_trials() {
            0 => String::new(),
            slow => format!(", {slow} of {} runs slow", cell.measured.len()),
        };
        let rate = cell.throughput().unwrap_or(0.0);
        let name = format!("with {}{slow}", bytes_text(pool));
        figures.push(Figure::measured(name, rate, FigureUnit::EventsPerSecond));
        let hit_rate = cell
            .hit_rate()
            .map(|rate| Figure::measured(format!("hit rate with {}", bytes_text(pool)), rate, FigureUnit::Share));
        figures.extend(hit_rate);
    }
    figures
}

fn knee_note(family: &[&Cell<'_>], knee: &Cell<'_>) -> Option<Note> {
    let (pool, rate) = (knee.pool_bytes()?, knee.throughput()?);
    let below: Vec<_> = family.iter().copied().filter(|cell| cell.pool_bytes() < Some(pool)).collect();
    let best = family
        .iter()
        .copied()
        .max_by(|a, b| a.throughput().unwrap_or(0.0).total_cmp(&b.throughput().unwrap_or(0.0)))?;
    let what = format!(
        "{} of shared memory is the knee: {} of the best throughput of {} sizes, and no slow run",
        bytes_text(pool as f64),
        percent(rate / best.throughput()?),
        family.len()
    );
    let beyond = match best.pool_bytes() {
        Some(most) if most > pool => {
            format!("{} gives {} of it", bytes_text(most as f64), times(best.throughput()? / rate))
        }
        _ => "no larger one was faster".to_owned(),
    };
    if below.is_empty() {
        return smaller_is_enough(family, knee, &what, &beyond);
    }
    let worst =
        below.iter().copied().min_by(|a, b| a.throughput().unwrap_or(0.0).total_cmp(&b.throughput().unwrap_or(0.0)))?;
    let factor = knee.speedup_over(worst)?;
    let slow: usize = below.iter().map(|cell| cell.slow_trials()).sum();
    let why = format!(
        "below it {}; above it {beyond}",
        match (slow, below.iter().find_map(|cell| cell.hit_rate()), knee.hit_rate()) {
            (0, Some(low), Some(high)) => format!(
                "blocks are read again and again: the hit rate is {} there and {} at the knee",
                percent(low),
                percent(high)
            ),
            (0, ..) => "throughput falls".to_owned(),
            (1, ..) => "a run was in the slow regime".to_owned(),
            (slow, ..) => format!("{slow} runs were in the slow regime"),
        }
    );
    let mut finding = Finding {
        rule: "managed-memory-knee",
        urgency: Urgency::Slows,
        workload: knee.workload.to_owned(),
        configurations: Vec::new(),
        what,
        why,
        figures: curve(family),
        settings: knee.pool_settings(pool),
        effect: Effect::measured(
            format!(
                "{} in place of {} with {}",
                rate_text(rate),
                rate_text(worst.throughput()?),
                bytes_text(worst.pool_bytes()? as f64)
            ),
            Some(factor),
            knee,
        ),
    };
    finding.configurations = below.iter().map(|cell| cell.name.to_owned()).collect();
    // The setting is that of the knee: what is there now differs from configuration to configuration.
    finding.settings.iter_mut().for_each(|setting| setting.present = None);
    Some(Note::Finding(Box::new(finding)))
}

/// Where the smallest pool is enough, the others cost memory.
fn smaller_is_enough(family: &[&Cell<'_>], knee: &Cell<'_>, what: &str, beyond: &str) -> Option<Note> {
    let larger: Vec<_> = family.iter().filter(|cell| cell.pool_bytes() > knee.pool_bytes()).collect();
    let largest = larger.last()?;
    let saved = largest.pool_bytes()?.checked_sub(knee.pool_bytes()?)?;
    let mut settings = knee.pool_settings(knee.pool_bytes()?);
    settings.iter_mut().for_each(|setting| setting.present = None);
    Some(Note::Finding(Box::new(Finding {
        rule: "managed-memory-knee",
        urgency: Urgency::Costs,
        workload: knee.workload.to_owned(),
        configurations: larger.iter().map(|cell| cell.name.to_owned()).collect(),
        what: what.to_owned(),
        why: format!("more memory brings little: {beyond}"),
        figures: curve(family),
        settings,
        effect: Effect::measured(
            format!("up to {} less memory for {}", bytes_text(saved as f64), rate_text(knee.throughput()?)),
            None,
            knee,
        ),
    })))
}

/// Options of other configurations that did better, each by itself, where no specific rule speaks of that option.
pub(super) fn better_settings(context: &Context<'_>, notes: &[Note]) -> Vec<Note> {
    let is_told = |cell: &Cell<'_>, key: &str| {
        notes.iter().any(|note| match note {
            Note::Finding(finding) => {
                finding.workload == cell.workload
                    && finding.configurations.iter().any(|name| name == cell.name)
                    && finding.settings.iter().any(|setting| setting.key == key)
            }
            Note::Missing(_) => false,
        })
    };
    let better = |cell: &Cell<'_>| {
        let of_key = |other: &'_ Cell<'_>| match other.differences(cell).as_slice() {
            [key] if other.has_job_of(cell) && key != "state.backend.type" => Some(key.clone()),
            _ => None,
        };
        let gains = context.cells.iter().filter_map(|other| Some((of_key(other)?, gain(cell, other)?, other)));
        let (key, factor, other) = gains.max_by(|a, b| a.1.total_cmp(&b.1))?;
        // Within a sweep of pools the knee speaks.
        let is_swept = POOL_KEYS.contains(&key.as_str()) && knee_of(&pool_family(context, cell)).is_some();
        (!is_swept && !is_told(cell, &key)).then(|| better_note(cell, other, &key, factor))
    };
    context.cells.iter().filter_map(better).collect()
}

/// How much faster another configuration is, beyond what repeats differ by; none where it is not.
fn gain(cell: &Cell<'_>, other: &Cell<'_>) -> Option<f64> {
    let factor = other.speedup_over(cell)?;
    let (least, most) = (other.throughput_range()?.0, cell.throughput_range()?.1);
    (factor >= LEAST_GAIN && least > most && other.slow_trials() == 0).then_some(factor)
}

fn better_note(cell: &Cell<'_>, other: &Cell<'_>, key: &str, factor: f64) -> Note {
    let value = Options::row(key).map_or_else(String::new, |row| row.get(&other.options));
    let about = Options::row(key).map_or("an option", |row| row.about);
    Draft {
        rule: "better-setting",
        urgency: Urgency::Slows,
        cell,
        what: format!("with {key}: {value} the same job is {} as fast", times(factor)),
        why: format!("{about}; every run with it was faster than every run without"),
        figures: vec![
            Figure::measured("throughput", cell.throughput().unwrap_or(0.0), FigureUnit::EventsPerSecond),
            Figure::measured(
                format!("throughput of {}", other.name),
                other.throughput().unwrap_or(0.0),
                FigureUnit::EventsPerSecond,
            ),
        ],
        settings: vec![Setting::option(cell, key, value)],
        effect: Effect::measured(format!("{} of the throughput", times(factor)), Some(factor), other),
    }
    .into()
}
