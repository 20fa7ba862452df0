//! What results say, in two sentences with their figures.

use super::book::{Book, Case};
use super::notes::{Weight, notes};
use super::table::{significant, with_unit};
use super::{Spread, curves};
use crate::report::knobs::Knobs;
use crate::result::{Checkpoints, Measurement, Outcome, Trend, Unit, printable};

/// The verdict over some results.
pub(super) struct Verdict {
    /// The sentences, safe to print.
    pub sentences: Vec<String>,
    /// Counts of what to look at, each with the class of its weight.
    pub badges: Vec<(&'static str, String)>,
    /// Whether something is wrong.
    pub is_bad: bool,
}

const THROUGHPUT: &str = "throughput_events_per_s";

/// Trials of one configuration that differ by more than this are not steady.
const STEADY: f64 = 0.2;

/// The verdict: who is fastest, and what it costs or will hurt.
pub(super) fn verdict(book: &Book<'_>) -> Verdict {
    let finished: Vec<_> = book.finished().collect();
    let sentences = if finished.is_empty() {
        vec![nothing(book)]
    } else {
        [speed(&finished), Some(cost(book, &finished))].into_iter().flatten().collect()
    };
    let all: Vec<_> = book.entries.iter().flat_map(|entry| notes(entry.result, &entry.summary)).collect();
    let count = |weight| all.iter().filter(|note| note.weight == weight && !note.text.starts_with("  ")).count();
    let (problems, cautions) = (count(Weight::Problem), count(Weight::Caution) + unsteady(book).len());
    let mut badges = Vec::new();
    if let Ok(comparisons) = &book.comparisons {
        let counts =
            |count: fn(&crate::compare::Counts) -> usize| comparisons.iter().map(|(_, c)| count(&c.counts)).sum();
        let words: [(&str, usize, &str, &str); 4] = [
            ("problem", counts(|c| c.regressed), "▲", "worse than the baseline"),
            ("better", counts(|c| c.improved), "▼", "better"),
            ("muted", counts(|c| c.no_change), "=", "unchanged"),
            ("muted", counts(|c| c.inconclusive), "?", "inconclusive"),
        ];
        badges.extend(
            words
                .into_iter()
                .filter(|word| word.1 > 0)
                .map(|(class, n, sign, word)| (class, format!("{sign} {n} {word}"))),
        );
    }
    let plural = |n: usize, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
    if problems > 0 {
        badges.push(("problem", format!("▲ {}", plural(problems, "problem", "problems"))));
    }
    if cautions > 0 {
        badges.push(("caution", format!("! {}", plural(cautions, "caution", "cautions"))));
    }
    if problems + cautions == 0 && !finished.is_empty() {
        badges.push(("muted", "✓ nothing that makes the figures unfit".to_owned()));
    }
    let is_bad = finished.is_empty() || book.entries.iter().any(|entry| !entry.result.all_agree());
    Verdict { sentences, badges, is_bad }
}

/// What is to be said where there are no figures.
fn nothing(book: &Book<'_>) -> String {
    let trials = || book.entries.iter().flat_map(|entry| &entry.result.trials);
    let count = |is: fn(&Outcome) -> bool| trials().filter(|trial| is(&trial.outcome)).count();
    let reasons = [
        (count(|outcome| matches!(outcome, Outcome::Failed { .. })), "failed"),
        (count(|outcome| matches!(outcome, Outcome::OutOfMemory(_))), "would have run out of memory"),
        (count(|outcome| matches!(outcome, Outcome::Interrupted)), "were interrupted"),
    ];
    let told: Vec<_> =
        reasons.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    match trials().count() {
        0 => "There are no figures: no trial ran.".to_owned(),
        all => format!("There are no figures: none of {all} trials finished ({}).", told.join(", ")),
    }
}

fn rate(value: f64) -> String {
    format!("{} events/s", with_unit(value, Unit::EventsPerSecond))
}

/// What a case does, in figures.
fn performance(case: &Case<'_>) -> String {
    let told =
        |metric: &str, label: &str| Some(format!("{label} {}", with_unit(case.median(metric)?, Unit::Nanoseconds)));
    let latency = told("response_p99_ns", "a response p99 of")
        .or_else(|| told("latency_p99_ns", "a p99 of"))
        .or_else(|| told("latency_p50_ns", "a p50 of"))
        .unwrap_or_else(|| "too few timed events for a percentile".to_owned());
    let throughput = case.median(THROUGHPUT).map_or_else(|| "no throughput".to_owned(), rate);
    format!("{throughput} with {latency}")
}

/// Who is fastest, by how much, and whether that is more than the spread of the trials.
fn speed(finished: &[&Case<'_>]) -> Option<String> {
    let mut rated: Vec<(Spread, &Case<'_>)> = finished
        .iter()
        .filter_map(|case| Some((*case.row.metrics.get(THROUGHPUT).filter(|spread| spread.median > 0.0)?, *case)))
        .collect();
    rated.sort_by(|a, b| b.0.median.total_cmp(&a.0.median));
    let trials = |case: &Case<'_>| match case.measured.len() {
        1 => "measured, one trial".to_owned(),
        trials => format!("measured, medians of {trials} trials"),
    };
    let (best, first) = *rated.first()?;
    if rated.len() == 1 {
        return Some(format!("{} does {} ({}).", first.name, performance(first), trials(first)));
    }
    let (worst, last) = *rated.last()?;
    let factor = significant(best.median / worst.median);
    let (second, next) = rated[1];
    let shown = if best.min > second.max {
        String::new()
    } else if rated.len() == 2 {
        "; their trials overlap, so no difference is shown".to_owned()
    } else {
        format!("; the trials of {} overlap with its own", next.name)
    };
    let others = if rated.len() > 2 { "the slowest, " } else { "" };
    Some(format!(
        "{} is fastest: {}, {factor} times as many events as {others}{} with {} ({}{shown}).",
        first.name,
        performance(first),
        last.name,
        performance(last).split(" with ").collect::<Vec<_>>().join(" and "),
        trials(first)
    ))
}

/// What memory it takes, and the worst that is to be feared.
fn cost(book: &Book<'_>, finished: &[&Case<'_>]) -> String {
    const MOST_TOLD: usize = 3;
    let knee = book.entries.iter().find_map(|entry| {
        let knobs = Knobs::of(entry.result)?;
        let line = curves::knees(&knobs, &entry.summary.rows).into_iter().next()?;
        let line = line.strip_prefix("knee ").unwrap_or(&line).split("; to paste").next()?.to_owned();
        Some(printable(&line))
    });
    let memory: Vec<_> = finished.iter().take(MOST_TOLD).filter_map(|case| memory(case)).collect();
    let first = match (knee, memory.is_empty()) {
        (Some(knee), _) => format!("Enough memory or settings: {knee} (measured)"),
        (None, false) => format!("Memory: {}", memory.join("; ")),
        (None, true) => "No memory was recorded".to_owned(),
    };
    format!("{first}; what will hurt: {}.", hurts(book, finished))
}

fn bytes(bytes: u64) -> String {
    with_unit(bytes as f64, Unit::Bytes)
}

/// Memory of a case, of the trial that used most.
fn memory(case: &Case<'_>) -> Option<String> {
    let used = |m: &&Measurement| m.store_memory.as_ref().map(|memory| memory.peak.total_bytes());
    let resident = case.measured.iter().filter_map(|m| m.resident_peak_bytes).max();
    let own = if let Some(most) = case.measured.iter().copied().max_by_key(used).filter(|m| m.store_memory.is_some()) {
        let memory = most.store_memory.as_ref()?;
        let total = memory.peak.total_bytes();
        match &memory.budget {
            Some(budget) => format!("used {} of its budget of {}", bytes(total), bytes(budget.pool_bytes)),
            None => format!("used {}", bytes(total)),
        }
    } else {
        let heap = case.measured.iter().filter_map(|m| m.heap).max_by_key(|heap| heap.jvm_live_bytes)?;
        let all = heap.jvm_heap_bytes.saturating_mul(heap.task_managers.into());
        format!("takes {} of a Java heap of {} (modelled)", bytes(heap.jvm_live_bytes), bytes(all))
    };
    let resident = resident.map_or_else(String::new, |resident| format!(", {} resident (measured)", bytes(resident)));
    Some(format!("{} {own}{resident}", case.name))
}

/// The worst first: what a reader has to know before anything else.
fn hurts(book: &Book<'_>, finished: &[&Case<'_>]) -> String {
    const MOST_TOLD: usize = 2;
    let mut hurts: Vec<String> = Vec::new();
    if book.entries.iter().any(|entry| !entry.result.all_agree()) {
        hurts.push("the trials did not compute the same".to_owned());
    }
    let unfinished = |is: fn(&Outcome) -> bool| {
        book.cases.iter().find(|case| case.trials.iter().any(|trial| is(&trial.outcome))).map(|case| case.name.as_str())
    };
    if let Some(name) = unfinished(|outcome| matches!(outcome, Outcome::OutOfMemory(_))) {
        hurts.push(format!("{name} would have run out of memory (modelled)"));
    }
    if let Some(name) = unfinished(|outcome| matches!(outcome, Outcome::Failed { .. })) {
        hurts.push(format!("trials of {name} failed"));
    }
    let first = |what: &dyn Fn(&Case<'_>) -> Option<String>| finished.iter().find_map(|case| what(case));
    hurts.extend(first(&|case| {
        let saturated = case.measured.iter().any(|m| m.open_loop.as_ref().is_some_and(|open| open.saturated));
        saturated.then(|| format!("{} cannot keep up with the rate of arrivals (measured)", case.name))
    }));
    hurts.extend(first(&|case| {
        let per_day = case.measured.iter().find_map(|m| match m.growth.as_ref()?.trend {
            Trend::Unbounded { per_day } => Some(per_day),
            _ => None,
        })?;
        Some(format!("the state of {} grows by {} a day (measured)", case.name, with_unit(per_day, Unit::Bytes)))
    }));
    hurts.extend(first(&|case| {
        let slow = case.row.slow_trials;
        (slow > 0).then(|| format!("{slow} of the runs of {} are slow (measured)", case.row.configuration))
    }));
    let pause = |case: &Case<'_>| {
        let all = case.measured.iter().filter_map(|m| m.checkpoints.as_ref()).flat_map(Checkpoints::complete);
        all.map(|record| record.sync_duration_ms * 1e6).max_by(f64::total_cmp)
    };
    let longest = |what: &dyn Fn(&Case<'_>) -> Option<f64>| {
        let all = finished.iter().filter_map(|case| Some((what(case)?, case.name.clone())));
        all.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(ns, _)| *ns > 0.0)
    };
    hurts.extend(longest(&pause).map(|(ns, name)| {
        format!("{name} stands still for up to {} at a checkpoint (measured)", with_unit(ns, Unit::Nanoseconds))
    }));
    hurts.extend(longest(&|case| case.median("pause_max_ns")).map(|(ns, name)| {
        format!("the longest event of {name} took up to {} (measured)", with_unit(ns, Unit::Nanoseconds))
    }));
    hurts.truncate(MOST_TOLD);
    if hurts.is_empty() { "nothing that was measured".to_owned() } else { printable(&hurts.join(", ")) }
}

/// Configurations whose trials differ by much, with the least and the largest over the median.
pub(super) fn unsteady(book: &Book<'_>) -> Vec<String> {
    let line = |case: &Case<'_>| {
        let spread = case.row.metrics.get(THROUGHPUT).filter(|spread| spread.median > 0.0)?;
        let (low, high) = (spread.min / spread.median, spread.max / spread.median);
        (high - low > STEADY).then(|| {
            format!(
                "not steady: throughput of {} is {:.0} to {:.0} % of its median in {} trials",
                case.name,
                100.0 * low,
                100.0 * high,
                case.measured.len()
            )
        })
    };
    book.finished().filter_map(line).collect()
}
