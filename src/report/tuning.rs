//! A search for better settings as tables and lines: what was tried, what was proved, what each option is worth.

use std::fmt::Write;

use super::grid::Grid;
use super::table::{Format, significant, with_unit};
use crate::result::{
    Better, Claim, METRICS, Metric, OptionWorth, PlainerWinner, Proof, RunResult, Trial, Tuning, TuningBudget, Unit,
};
use crate::workload::{Bytes, SourceWire, Time, short_key};

/// Settings that a table shows; the file has all.
const MOST_SHOWN: usize = 8;
/// The name of the objective that is configured.
pub(super) const MEMORY: &str = "memory_budget_bytes";

/// Prints a search.
///
/// # Errors
/// None of ours; the type is what the JSON and CSV writers return.
pub fn render_tuning(result: &RunResult, format: Format) -> Result<String, Box<dyn std::error::Error>> {
    let Some(tuning) = &result.tuning else { return Ok(String::new()) };
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(tuning)? + "\n",
        Format::Csv => csv(tuning)?,
        Format::Table | Format::Markdown => {
            let mut out = crate::result::printable(&head(&result.name, tuning)) + "\n\n";
            for grid in tuning_grids(result) {
                let _ = writeln!(out, "{}\n", grid.table(format));
            }
            for line in tuning_lines(result) {
                out += &(crate::result::printable(&line) + "\n");
            }
            out
        }
    })
}

/// One row for each setting that was tried, the best first, with figures as they are.
fn csv(tuning: &Tuning) -> Result<String, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let measured = measured(tuning);
    let costs = tuning
        .setup
        .objectives
        .iter()
        .flat_map(|name| ["", "_low", "_high"].map(|bound| format!("{name}_cost{bound}")));
    let mut header: Vec<String> = ["setting", "sets", "blocks", MEMORY].map(str::to_owned).to_vec();
    header.extend(measured.iter().filter(|name| *name != MEMORY).cloned());
    header.extend(costs);
    header.extend(["keeps_limits", "is_bimodal", "fits"].map(str::to_owned));
    writer.write_record(&header)?;
    for standing in &tuning.standings {
        let Some(candidate) = tuning.candidates.get(standing.candidate) else { continue };
        let memory = candidate.memory_budget_bytes.map_or_else(String::new, |bytes| bytes.to_string());
        let mut row = vec![
            standing.candidate.to_string(),
            crate::result::printable(&candidate.described),
            standing.blocks.to_string(),
            memory,
        ];
        row.extend(measured.iter().map(|name| standing.metrics.get(name).map_or_else(String::new, f64::to_string)));
        row.extend(standing.cost.iter().flatten().map(f64::to_string));
        row.extend([standing.keeps_limits.to_string(), standing.is_bimodal.to_string(), standing.fits.to_string()]);
        writer.write_record(&row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// What was searched, in a line.
fn head(name: &str, tuning: &Tuning) -> String {
    let setup = &tuning.setup;
    format!(
        "{name}: {} from `{}`, {}, {} combinations",
        setup.goal,
        setup.start,
        counted(setup.options.len(), "option"),
        significant_count(setup.combinations)
    )
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn significant_count(count: f64) -> String {
    if count < 1e6 { format!("{count}") } else { significant(count) }
}

/// The tables of a search; none of a result without one.
pub(super) fn tuning_grids(result: &RunResult) -> Vec<Grid> {
    let Some(tuning) = &result.tuning else { return Vec::new() };
    let mut grids = vec![proofs(result, tuning)];
    grids.push(importance(tuning));
    grids.push((!tuning.front.is_empty()).then(|| front(tuning)));
    let tried = tried(tuning, MOST_SHOWN);
    grids.push((!tried.rows.is_empty()).then_some(tried));
    grids.into_iter().flatten().collect()
}

/// What the proof says of each winner, against each configuration.
fn proofs(result: &RunResult, tuning: &Tuning) -> Option<Grid> {
    let header = ["proof", "against", "pairs", "metric", "base", "winner", "change", "95 %", "p", "verdict"];
    let row = |proof: &Proof, claim: &Claim| {
        let typical =
            |name: &str| typical(result, name, &claim.quantity).map_or_else(dash, |value| of(&claim.quantity, value));
        let bound = |bound: Option<f64>| bound.map_or_else(dash, |bound| change(&claim.quantity, bound));
        let (first, second) = ordered(&claim.quantity, claim.low, claim.high);
        vec![
            proof.winner.clone(),
            claim.base.clone(),
            proof.pairs.to_string(),
            label(&claim.quantity).to_owned(),
            typical(&claim.base),
            typical(&proof.winner),
            change(&claim.quantity, claim.cost),
            format!("{} … {}", bound(first), bound(second)),
            if claim.quantity == MEMORY { dash() } else { probability(claim.p) },
            if claim.is_better { "better" } else { "not shown" }.to_owned(),
        ]
    };
    let rows = tuning.proofs.iter().flat_map(|proof| proof.claims.iter().map(move |claim| row(proof, claim))).collect();
    Grid::named("tuning-proof", &header, rows).map(|grid| Grid { names: 2, ..grid })
}

fn importance(tuning: &Tuning) -> Option<Grid> {
    let metric = tuning.importance_in.as_deref().unwrap_or_default();
    let header = ["set back alone", "from", "to", "pairs", "costs", "smallest", "largest", "says"];
    let row = |worth: &OptionWorth| {
        vec![
            short_key(&worth.key).to_owned(),
            worth.value.clone(),
            worth.back.clone(),
            worth.pairs.to_string(),
            format!("{} {}", label(metric), change(metric, worth.cost)),
            change(metric, worth.range[0]),
            change(metric, worth.range[1]),
            match (worth.is_clear, worth.cost > 1.0) {
                (true, true) => format!("it helps, in {0} of {0} pairs", worth.pairs),
                (true, false) => format!("better without, in {0} of {0} pairs", worth.pairs),
                (false, _) => "within noise".to_owned(),
            },
        ]
    };
    Grid::named("tuning-importance", &header, tuning.importance.iter().map(row).collect())
        .map(|grid| Grid { names: 3, ..grid })
}

/// Of several objectives the settings that no other one is better in all of.
fn front(tuning: &Tuning) -> Grid {
    let mut rows = rows_of(tuning, tuning.front.len(), |candidate| tuning.front.contains(&candidate));
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    Grid {
        id: "tuning-front",
        header: header("front", tuning),
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        names: 2,
    }
}

/// The settings that were tried, the best first, and where the search began.
fn tried(tuning: &Tuning, most: usize) -> Grid {
    let rows = rows_of(tuning, most, |_| true).into_iter().map(|(_, row)| row).collect();
    Grid { id: "tuning-tried", header: header("tried", tuning), rows, names: 2 }
}

fn header(first: &str, tuning: &Tuning) -> Vec<String> {
    let mut header: Vec<String> = [first, "what it sets", "blocks", "memory"].map(str::to_owned).to_vec();
    header.extend(measured(tuning).into_iter().map(|name| label(&name).to_owned()));
    header.extend(
        tuning
            .setup
            .objectives
            .iter()
            .filter(|name| *name != MEMORY)
            .map(|name| format!("{} by the model (95 %)", label(name))),
    );
    header.push("keeps limits".to_owned());
    header
}

/// Metrics that the trials of the search have.
fn measured(tuning: &Tuning) -> Vec<String> {
    let all = tuning.setup.objectives.iter().chain(tuning.setup.limits.iter().map(|limit| &limit.quantity));
    let mut names: Vec<String> = Vec::new();
    for name in all.filter(|name| *name != MEMORY) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Rows of standings, each with its cost in the first objective.
fn rows_of(tuning: &Tuning, most: usize, is_wanted: impl Fn(usize) -> bool) -> Vec<(f64, Vec<String>)> {
    let is_shown = |(place, standing): &(usize, &crate::result::CandidateStanding)| {
        let is_always = standing.candidate == 0 || tuning.winners.contains(&standing.candidate);
        is_wanted(standing.candidate) && (*place < most || is_always)
    };
    let standings = tuning.standings.iter().enumerate().filter(is_shown).map(|(_, standing)| standing);
    let row = |standing: &crate::result::CandidateStanding| {
        let candidate = &tuning.candidates[standing.candidate];
        let mut row = vec![
            format!("#{}", standing.candidate),
            candidate.described.clone(),
            standing.blocks.to_string(),
            candidate.memory_budget_bytes.map_or_else(dash, |bytes| Bytes(bytes).to_string()),
        ];
        let value = |name: &String| standing.metrics.get(name).map_or_else(dash, |value| of(name, *value));
        row.extend(measured(tuning).iter().map(value));
        let objectives = tuning.setup.objectives.iter().zip(&standing.cost).filter(|(name, _)| *name != MEMORY);
        row.extend(objectives.map(|(name, [mean, low, high])| {
            let (first, second) = ordered(name, *low, *high);
            format!("{} ({} … {})", change(name, *mean), change(name, first), change(name, second))
        }));
        row.push(if !standing.fits {
            "does not run".to_owned()
        } else if standing.is_bimodal {
            "bimodal".to_owned()
        } else {
            format!("{:.0} %", 100.0 * standing.keeps_limits)
        });
        (standing.cost.first().map_or(0.0, |cost| cost[0]), row)
    };
    standings.filter(|standing| standing.candidate < tuning.candidates.len()).map(row).collect()
}

/// What is to be said beside the tables.
pub(super) fn tuning_lines(result: &RunResult) -> Vec<String> {
    let Some(tuning) = &result.tuning else { return Vec::new() };
    let mut lines = vec![search_line(tuning)];
    if tuning.standings.is_empty() {
        lines.push("the search has not come to its end".to_owned());
        return lines;
    }
    lines.extend(tuning.plainer.as_ref().map(|plainer| plainer_line(tuning, plainer)));
    for proof in &tuning.proofs {
        lines.extend(proof_lines(result, tuning, proof));
    }
    let is_eligible = |standing: &crate::result::CandidateStanding| {
        standing.fits && !standing.is_bimodal && standing.keeps_limits > 0.0
    };
    if tuning.proofs.is_empty() && !tuning.winners.is_empty() {
        lines.push("the proof has not been run: the search goes on with `tune --resume`".to_owned());
    } else if !tuning.standings.iter().any(is_eligible) {
        lines.push("no setting keeps the limits in every trial".to_owned());
    } else if tuning.proofs.is_empty() {
        lines.push(format!(
            "no setting proved better than `{}`: none was found that is worth a proof",
            tuning.setup.start
        ));
    } else if tuning.proofs.iter().all(|proof| !proof.is_proved) {
        lines.push(format!("no setting proved better than `{}`", tuning.setup.start));
    }
    let is_trace = |variant: &crate::result::VariantInfo| matches!(variant.workload.source.0, SourceWire::Trace(_));
    if result.variants.iter().any(is_trace) {
        lines
            .push("the events are those of a trace, the same in every trial: what is proved holds for them".to_owned());
    }
    let on_heap = |proof: &&Proof| {
        trial(result, &proof.winner)
            .is_some_and(|trial| trial.options.get("state.backend.type").is_some_and(|backend| backend == "hashmap"))
    };
    if let Some(proof) = tuning.proofs.iter().find(on_heap) {
        lines.push(format!(
            "{}: state on the heap, whose figures are without a JVM's collections: `gc-model predict` tells what those add",
            proof.winner
        ));
    }
    lines
}

/// What became of the options that were not seen to help.
fn plainer_line(tuning: &Tuning, plainer: &PlainerWinner) -> String {
    let metric = tuning.importance_in.as_deref().unwrap_or_default();
    let described = tuning.candidates.get(plainer.candidate).map_or("", |candidate| candidate.described.as_str());
    let costs = format!(
        "{} {} in the median of {} pairs (measured)",
        label(metric),
        change(metric, plainer.cost),
        plainer.pairs
    );
    let (candidate, of) = (plainer.candidate, plainer.of);
    if plainer.is_taken {
        format!(
            "plainer: #{candidate} is #{of} without what was not seen to help, and goes to the proof in its place: {described}; {costs}"
        )
    } else {
        format!(
            "plainer: #{of} needs more than each of its options alone shows: without all that were not seen to help {costs}"
        )
    }
}

fn search_line(tuning: &Tuning) -> String {
    let budget = match tuning.setup.budget {
        TuningBudget::Seconds(seconds) => format!("a budget of {}", time(seconds)),
        TuningBudget::Trials(trials) => format!("a budget of {trials} trials"),
    };
    let prefill = if tuning.setup.own_prefill { "" } else { ", from shared prefills that are ingested" };
    format!(
        "search: {} of {}, a third as long as those of the workload where that can be{prefill}; all trials took {} of {budget} (seed {}); \
         what the model says of them is modelled and ranks them (what costs more than five times as much as the best counts as five \
         times), only the proof counts",
        counted(tuning.trials.len(), "trial"),
        counted(tuning.candidates.len(), "setting"),
        time(tuning.took_s),
        tuning.setup.seed
    )
}

fn time(seconds: f64) -> String {
    Time(std::time::Duration::from_secs(seconds.round() as u64)).to_string()
}

fn proof_lines(result: &RunResult, tuning: &Tuning, proof: &Proof) -> Vec<String> {
    let mut lines = Vec::new();
    let against = proof.claims.iter().filter(|claim| claim.is_better).map(|claim| {
        let (first, second) = ordered(&claim.quantity, claim.low, claim.high);
        let bounds = match (first, second) {
            (Some(first), Some(second)) if claim.quantity != MEMORY => {
                format!(" ({} … {})", change(&claim.quantity, first), change(&claim.quantity, second))
            }
            _ => String::new(),
        };
        format!("{} {}{bounds} against `{}`", label(&claim.quantity), change(&claim.quantity, claim.cost), claim.base)
    });
    let claims: Vec<String> = against.collect();
    let verdict = if proof.is_proved { "proved" } else { "not proved" };
    let told = if claims.is_empty() { "nothing is shown to be better".to_owned() } else { claims.join("; ") };
    lines.push(format!(
        "{verdict}: `{}`{}: {told}; {} fresh pairs, a wrong claim among all with at most {} % (measured)",
        proof.winner,
        number_of(tuning, proof),
        proof.pairs,
        100.0 * proof.alpha
    ));
    for claim in
        proof.claims.iter().filter(|claim| claim.base != tuning.setup.start && !claim.is_better && claim.cost > 1.0)
    {
        lines.push(format!(
            "mind: against `{}` it is not shown to be better: {} {}",
            claim.base,
            label(&claim.quantity),
            change(&claim.quantity, claim.cost)
        ));
    }
    for check in &proof.limits {
        let unit = tuning
            .setup
            .limits
            .iter()
            .find_map(|limit| check.limit.starts_with(label(&limit.quantity)).then(|| limit.quantity.clone()));
        let value = |value: Option<f64>| match (value, &unit) {
            (Some(value), Some(name)) => of(name, value),
            _ => dash(),
        };
        let place = tuning.setup.workloads.get(check.workload).filter(|_| tuning.setup.workloads.len() > 1);
        let place = place.map_or_else(String::new, |workload| format!("{} ", workload.label));
        let kept = if check.is_kept { "kept" } else { "NOT shown to be kept" };
        lines.push(format!(
            "limit {place}{}: {kept}: median {}, at worst {} with 95 % (measured)",
            check.limit,
            value(check.median),
            value(check.worst)
        ));
    }
    let [slow, trials] = proof.slow_trials;
    if slow > 0 {
        lines.push(format!("regime: {slow} of {trials} trials of `{}` were slow", proof.winner));
    }
    lines.extend(beside(result, tuning, proof));
    lines.extend(proof.why_not.iter().map(|why| format!("why not: {why}")));
    lines
}

/// The number of a winner among the settings that were tried.
fn number_of(tuning: &Tuning, proof: &Proof) -> String {
    let place = tuning.proofs.iter().position(|other| other.winner == proof.winner);
    place.and_then(|place| tuning.winners.get(place)).map_or_else(String::new, |number| format!(" (#{number})"))
}

/// What the winner costs in what nobody asked for: throughput and p99 where the goal is another.
fn beside(result: &RunResult, tuning: &Tuning, proof: &Proof) -> Option<String> {
    let asked = measured(tuning);
    let start = &tuning.setup.start;
    let told = ["throughput_typical_events_per_s", "latency_p99_ns", "resident_peak_bytes"]
        .into_iter()
        .filter(|name| !asked.iter().any(|asked| asked == name));
    let told = told.filter_map(|name| {
        let (base, own) = (typical(result, start, name)?, typical(result, &proof.winner, name)?);
        let what = if name == "resident_peak_bytes" { "resident memory" } else { label(name) };
        Some(format!("{what} {} → {}", of(name, base), of(name, own)))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty())
        .then(|| format!("beside it: {} (measured, medians of the proof; nobody asked for them)", told.join(", ")))
}

fn trial<'a>(result: &'a RunResult, configuration: &str) -> Option<&'a Trial> {
    result.trials.iter().find(|trial| trial.configuration == configuration)
}

/// The median over the trials of a configuration.
fn typical(result: &RunResult, configuration: &str, quantity: &str) -> Option<f64> {
    if quantity == MEMORY {
        let options = crate::workload::Options::of_texts(&trial(result, configuration)?.options).ok()?;
        return options.memory_budget_bytes().map(|bytes| bytes as f64);
    }
    let metric = metric(quantity)?;
    let of = result.finished().filter(|(trial, _)| trial.configuration == configuration);
    crate::statistics::median(&of.filter_map(|(_, measurement)| (metric.get)(measurement)).collect::<Vec<_>>())
}

fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

pub(super) fn label(quantity: &str) -> &str {
    metric(quantity).map_or(if quantity == MEMORY { "memory" } else { quantity }, |metric| metric.label)
}

fn of(quantity: &str, value: f64) -> String {
    match metric(quantity) {
        Some(metric) => with_unit(value, metric.unit),
        None => with_unit(value, Unit::Bytes),
    }
}

pub(super) fn is_higher_better(quantity: &str) -> bool {
    metric(quantity).is_some_and(|metric| metric.better == Better::Higher)
}

/// A cost as a multiple, told as a change of the quantity: `+12 %`, or `×3.4` where it is large.
pub(super) fn change(quantity: &str, cost: f64) -> String {
    let ratio = if is_higher_better(quantity) { 1.0 / cost } else { cost };
    if (0.5..2.0).contains(&ratio) {
        format!("{:+.1} %", 100.0 * (ratio - 1.0))
    } else {
        format!("×{}", significant(ratio))
    }
}

/// The bounds of a cost in ascending order of the quantity.
fn ordered<T>(quantity: &str, low: T, high: T) -> (T, T) {
    if is_higher_better(quantity) { (high, low) } else { (low, high) }
}

fn probability(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use insta::assert_snapshot;

    fn lines(change: impl FnOnce(&mut Tuning)) -> String {
        let mut result = fixture::searched();
        change(result.tuning.as_mut().unwrap());
        tuning_lines(&result).join("\n")
    }

    #[test]
    fn what_was_searched_proved_and_is_worth_is_told() {
        let text = render_tuning(&fixture::searched(), Format::Markdown).unwrap();
        assert_snapshot!(text, @r"
        orders: most typical/s with p99 ≤ 5 ms from `rocksdb`, 1 option, 2 combinations

        | proof | against | pairs |    metric |  base | winner | change |            95 % |      p | verdict |
        |-------|---------|-------|-----------|-------|--------|--------|-----------------|--------|---------|
        | tuned | rocksdb |     7 | typical/s | 311 k |  311 k |  ×2.00 | +92.3 % … ×2.08 | 0.0078 |  better |

        | set back alone  | from  | to   | pairs |             costs | smallest | largest |                      says |
        |-----------------|-------|------|-------|-------------------|----------|---------|---------------------------|
        | block.blocksize | 16 kb | 4 kb |     3 | typical/s -47.4 % |  -44.4 % | -50.0 % | it helps, in 3 of 3 pairs |

        | tried | what it sets          | blocks | memory | typical/s |    p99 | typical/s by the model (95 %) | keeps limits |
        |-------|-----------------------|--------|--------|-----------|--------|-------------------------------|--------------|
        | #1    | block.blocksize=16 kb |      6 |  64 mb |     100 k | 200 µs |       ×2.00 (+81.8 % … ×2.22) |         99 % |
        | #0    | as rocksdb            |      4 |  64 mb |    50.0 k | 400 µs |      +0.0 % (+0.0 % … +0.0 %) |         90 % |

        search: 1 trial of 2 settings, a third as long as those of the workload where that can be, from shared prefills that are ingested; all trials took 61 s of a budget of 10 min (seed 7); what the model says of them is modelled and ranks them (what costs more than five times as much as the best counts as five times), only the proof counts
        proved: `tuned` (#1): typical/s ×2.00 (+92.3 % … ×2.08) against `rocksdb`; 7 fresh pairs, a wrong claim among all with at most 1 % (measured)
        limit p99 ≤ 5 ms: kept: median 200 µs, at worst 250 µs with 95 % (measured)
        beside it: resident memory 204 MiB → 204 MiB (measured, medians of the proof; nobody asked for them)
        ");
    }

    #[test]
    fn a_search_that_proves_nothing_says_so() {
        let unproved = lines(|tuning| {
            let proof = &mut tuning.proofs[0];
            (proof.is_proved, proof.claims[0].is_better, proof.limits[0].is_kept) = (false, false, false);
            proof.why_not = vec!["p99 ≤ 5 ms is not shown to be kept".to_owned()];
        });
        for told in [
            "not proved: `tuned` (#1): nothing is shown to be better",
            "limit p99 ≤ 5 ms: NOT shown to be kept: median 200 µs",
            "why not: p99 ≤ 5 ms is not shown to be kept",
            "no setting proved better than `rocksdb`",
        ] {
            assert!(unproved.contains(told), "{told}: {unproved}");
        }
        assert!(lines(|tuning| tuning.proofs.clear()).contains("the proof has not been run"));
        let plainer = |is_taken| {
            lines(|tuning| tuning.plainer = Some(PlainerWinner { candidate: 1, of: 0, cost: 1.01, pairs: 3, is_taken }))
        };
        let taken = "plainer: #1 is #0 without what was not seen to help, and goes to the proof in its place: block.blocksize=16 kb; typical/s -1.0 % in";
        assert!(plainer(true).contains(taken), "{}", plainer(true));
        assert!(plainer(false).contains("plainer: #0 needs more than each of its options alone shows"));
        let none = lines(|tuning| {
            tuning.proofs.clear();
            tuning.winners.clear();
        });
        assert!(
            none.contains("no setting proved better than `rocksdb`: none was found that is worth a proof"),
            "{none}"
        );
        assert!(lines(|tuning| tuning.standings.clear()).contains("the search has not come to its end"));
    }

    #[test]
    fn programs_get_figures_as_they_are() {
        let csv = render_tuning(&fixture::searched(), Format::Csv).unwrap();
        assert_snapshot!(csv, @r"
        setting,sets,blocks,memory_budget_bytes,throughput_typical_events_per_s,latency_p99_ns,throughput_typical_events_per_s_cost,throughput_typical_events_per_s_cost_low,throughput_typical_events_per_s_cost_high,keeps_limits,is_bimodal,fits
        1,block.blocksize=16 kb,6,67108864,100000,200000,0.5,0.45,0.55,0.99,false,true
        0,as rocksdb,4,67108864,50000,400000,1,1,1,0.9,false,true
        ");
        let json: serde_json::Value =
            serde_json::from_str(&render_tuning(&fixture::searched(), Format::Json).unwrap()).unwrap();
        assert_eq!(json["proofs"][0]["claims"][0]["is_better"], true);
    }

    #[test]
    fn a_file_that_was_edited_by_hand_breaks_nothing() {
        let mut result = fixture::searched();
        let tuning = result.tuning.as_mut().unwrap();
        tuning.standings[0].candidate = 99;
        tuning.standings[1].cost.clear();
        tuning.setup.objectives.clear();
        tuning.winners = vec![7];
        tuning.front = vec![3, 99];
        tuning.proofs[0].limits[0].workload = 9;
        tuning.plainer = Some(PlainerWinner { candidate: 77, of: 78, cost: f64::NAN, pairs: 0, is_taken: true });
        for format in [Format::Table, Format::Markdown, Format::Json, Format::Csv] {
            render_tuning(&result, format).unwrap();
        }
        let results = vec![("orders".to_owned(), result)];
        for chart in ["search", "importance"] {
            let _ =
                crate::report::chart_picture(&crate::report::Book::new(&results), chart, crate::report::Theme::Light);
        }
    }
}
