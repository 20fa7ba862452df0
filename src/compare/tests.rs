//! Comparisons of results that are made up.

use std::collections::BTreeMap;

use super::*;
use crate::result::{BuildInfo, Host, Interleaved, Manifest, Stop};
use crate::workload::{Rng, Stream};

fn manifest() -> Manifest {
    Manifest {
        started_epoch_s: 0,
        host: Host {
            os: "os".to_owned(),
            kernel: "kernel".to_owned(),
            cpu: "cpu".to_owned(),
            cores: 2,
            memory_bytes: 1,
            state_file_system: "fs".to_owned(),
            state_free_bytes: None,
        },
        build: BuildInfo::of_this_program(None),
        seed: 1,
        quick: false,
    }
}

/// A trial with these metrics.
fn trial(repeat: u32, metrics: &[(&str, f64)]) -> Observation {
    Observation {
        repeat,
        companion: false,
        seed: u64::from(repeat),
        took_s: None,
        slow: false,
        saturated: false,
        unsteady: false,
        metrics: metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        exact: Vec::new(),
    }
}

fn cell(configuration: &str, trials: Vec<Observation>) -> Cell {
    Cell {
        workload: String::new(),
        definition: [("keys.cardinality".to_owned(), "5".to_owned())].into(),
        configuration: configuration.to_owned(),
        options: [("state.backend.type".to_owned(), "hashmap".to_owned())].into(),
        trials,
        failed: 0,
        out_of_memory: 0,
    }
}

fn observations(cells: Vec<Cell>) -> Observations {
    Observations { name: "job".to_owned(), manifest: manifest(), cells, warnings: Vec::new(), interleaved: None }
}

/// One configuration whose throughput has these values.
fn throughputs(values: &[f64]) -> Observations {
    let trials = (0..).zip(values).map(|(repeat, value)| trial(repeat, &[("throughput_events_per_s", *value)]));
    observations(vec![cell("heap", trials.collect())])
}

fn compared(base: &Observations, candidate: &Observations) -> Comparison {
    compare(base, candidate, &Parameters::default()).unwrap()
}

/// What is said of the one metric.
fn said(base: &[f64], candidate: &[f64]) -> (Option<Verdict>, Option<String>) {
    let comparison = compared(&throughputs(base), &throughputs(candidate));
    let metric = &comparison.groups[0].metrics[0];
    (metric.verdict, metric.reason.clone())
}

/// Throughput around a million, with noise of a share.
fn draw(rng: &mut Rng, n: usize, factor: f64, noise: f64) -> Vec<f64> {
    let mut normal = || {
        let (radius, angle) = (1.0 - rng.unit(), std::f64::consts::TAU * rng.unit());
        (-2.0 * libm::log(radius)).sqrt() * libm::cos(angle)
    };
    (0..n).map(|_| 1e6 * factor * libm::exp(noise * normal())).collect()
}

#[test]
fn the_same_trials_never_differ() {
    for values in [vec![5.0], vec![5.0, 6.0, 700.0], vec![0.0, -1.0]] {
        assert_eq!(said(&values, &values), (Some(Verdict::NoChange), Some("the same trials".to_owned())));
    }
    let comparison = compared(&throughputs(&[5.0]), &throughputs(&[5.0]));
    assert_eq!((comparison.design, comparison.tests), (Design::Paired, 0));
}

#[test]
fn what_gives_no_answer_is_inconclusive() {
    let inconclusive = |base: &[f64], candidate: &[f64], reason: &str| {
        assert_eq!(said(base, candidate), (Some(Verdict::Inconclusive), Some(reason.to_owned())));
    };
    inconclusive(&[5.0], &[9.0], "one trial");
    inconclusive(&[5.0, 6.0], &[9.0, 8.0], "2 of the 5 trials a side that a finding needs");
    for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
        inconclusive(&[5.0, bad, 5.0], &[5.0, 5.0, 5.0], "a value of the base is not a positive number");
        inconclusive(&[5.0, 5.0, 5.0], &[5.0, bad, 5.0], "a value of the candidate is not a positive number");
    }
    let without = observations(vec![cell("heap", vec![trial(0, &[])])]);
    let of = |base: &Observations, candidate: &Observations| compared(base, candidate).groups[0].metrics[0].clone();
    let missing = of(&without, &throughputs(&[5.0]));
    assert_eq!((missing.reason.as_deref(), missing.candidate_median), (Some("not in the base"), Some(5.0)));
    assert_eq!(of(&throughputs(&[5.0]), &without).reason.as_deref(), Some("not in the candidate"));
}

#[test]
fn swapping_the_sides_turns_worse_into_better() {
    let mut rng = Rng::for_block(1, Stream::Order, 0);
    let (fast, slow) = (draw(&mut rng, 20, 1.2, 0.02), draw(&mut rng, 20, 1.0, 0.02));
    assert_eq!(said(&fast, &slow).0, Some(Verdict::Regressed));
    assert_eq!(said(&slow, &fast).0, Some(Verdict::Improved));
    let comparison = compared(&throughputs(&fast), &throughputs(&slow));
    let metric = &comparison.groups[0].metrics[0];
    let [low, high] = metric.change_interval95_percent.unwrap();
    assert!(low < -16.0 && -17.5 < high && metric.change_percent.unwrap() < -15.0, "{metric:?}");
}

#[test]
fn two_samples_of_one_program_raise_no_alarm() {
    let mut rng = Rng::for_block(2, Stream::Order, 0);
    let mut raised = 0;
    let mut cleared = 0;
    for _ in 0..400 {
        match said(&draw(&mut rng, 20, 1.0, 0.02), &draw(&mut rng, 20, 1.0, 0.02)).0 {
            Some(Verdict::Regressed | Verdict::Improved) => raised += 1,
            Some(Verdict::NoChange) => cleared += 1,
            _ => {}
        }
    }
    assert!(raised <= 4 && cleared >= 380, "{raised} {cleared}");
}

#[test]
fn tests_are_the_judged_metrics_that_both_sides_have() {
    let metrics = [("throughput_events_per_s", 5.0), ("latency_p50_ns", 5.0), ("pause_max_ns", 5.0)];
    let base = observations(vec![cell("heap", vec![trial(0, &metrics)]), cell("rocksdb", vec![trial(0, &metrics)])]);
    let other = [("throughput_events_per_s", 6.0), ("latency_p99_ns", 5.0), ("pause_max_ns", 6.0)];
    let candidate = observations(vec![cell("heap", vec![trial(0, &other)]), cell("rocksdb", vec![trial(0, &other)])]);
    let comparison = compared(&base, &candidate);
    assert_eq!((comparison.tests, comparison.test_alpha), (2, 0.005));
    let verdicts: Vec<_> = comparison.groups[0].metrics.iter().map(|metric| metric.verdict.is_some()).collect();
    assert_eq!(verdicts, [true, true, true, false], "the longest pause is shown and not judged");
    assert_eq!(comparison.counts.inconclusive, 6);
}

#[test]
fn repeats_without_a_partner_are_listed_and_left_out() {
    let of = |repeats: &[u32], value: f64| {
        repeats.iter().map(|&repeat| trial(repeat, &[("latency_p50_ns", value)])).collect::<Vec<_>>()
    };
    let all = observations(vec![cell("heap", of(&[0, 1, 2], 5.0)), cell("rocksdb", of(&[1, 2, 3], 6.0))]);
    let contrasts = vec![Contrast { base: "heap".to_owned(), candidate: "rocksdb".to_owned() }];
    let parameters = Parameters { contrasts, ..Parameters::default() };
    let comparison = compare(&all, &all, &parameters).unwrap();
    assert_eq!(comparison.design, Design::Paired);
    assert_eq!(comparison.groups[0].metrics[0].pair_log_ratios.len(), 2);
    let alone: Vec<_> = comparison.partnerless.iter().map(|alone| (alone.side, alone.repeat)).collect();
    assert_eq!(alone, [(Side::Base, Some(0)), (Side::Candidate, Some(3))]);
}

#[test]
fn a_side_that_had_not_settled_beside_one_that_had_decides_nothing() {
    let with = |unsteady: u32, value: f64| {
        let trials = (0..20).map(|repeat| Observation {
            unsteady: repeat < unsteady,
            ..trial(repeat, &[("throughput_events_per_s", value + f64::from(repeat))])
        });
        observations(vec![cell("heap", trials.collect())])
    };
    let of = |base: u32, candidate: u32, value: f64| {
        let metric = compared(&with(base, 1e6), &with(candidate, value)).groups[0].metrics[0].clone();
        (metric.verdict.unwrap(), metric.reason)
    };
    let lopsided = |reason: &str| (Verdict::Inconclusive, Some(reason.to_owned()));
    assert_eq!(of(11, 5, 5e5), lopsided("the base had not settled, the candidate had"));
    assert_eq!(of(0, 20, 1e6), lopsided("the candidate had not settled, the base had"));
    assert_eq!(of(11, 6, 5e5), (Verdict::Regressed, None), "more than a quarter is not steady");
    assert_eq!(of(20, 20, 1_000_001.0), (Verdict::NoChange, None));
}

#[test]
fn what_makes_figures_unfit_is_told() {
    let cell_of = |slow: usize, saturated: usize| {
        let trials = (0..3).map(|repeat| Observation {
            slow: (repeat as usize) < slow,
            saturated: (repeat as usize) < saturated,
            ..trial(repeat, &[("latency_p50_ns", 5.0)])
        });
        let options = BTreeMap::from([("state.backend.type".to_owned(), "rocksdb".to_owned())]);
        Cell { options, failed: 2, ..cell("rocksdb", trials.collect()) }
    };
    let mut candidate = observations(vec![cell_of(3, 2)]);
    candidate.manifest.host.cores = 64;
    let comparison = compared(&observations(vec![cell_of(1, 0)]), &candidate);
    insta::assert_snapshot!(comparison.warnings.join("\n"), @"
    cores: 2 in the base, 64 in the candidate
    base rocksdb: 2 trials did not finish
    base rocksdb: bimodal, 1 of 3 runs slow
    candidate rocksdb: 2 trials did not finish
    candidate rocksdb: saturated in 2 of 3 runs, which have no response times
    ");
}

#[test]
fn sizes_after_the_same_events_are_compared_exactly() {
    let with = |events: u64, bytes: &[u64]| {
        let exact = (1..).zip(bytes).map(|(index, bytes)| Exact {
            quantity: Quantity::HeapCheckpointBytes,
            after_events: index * events,
            value: ExactValue::Number(*bytes),
        });
        let metrics = [("checkpoint_full_bytes", bytes[0] as f64)];
        observations(vec![cell("heap", vec![Observation { exact: exact.collect(), ..trial(0, &metrics) }])])
    };
    let base = with(10, &[100, 200, 300]);
    let of = |candidate: &Observations| {
        let group = compared(&base, candidate).groups[0].clone();
        group.exact.first().map(|exact| (exact.verdict, exact.compared, exact.differing, exact.after_events))
    };
    assert_eq!(of(&with(10, &[100, 200, 300, 400])), Some((Verdict::NoChange, 3, 0, Some(30))));
    assert_eq!(of(&with(10, &[100, 201, 300])), Some((Verdict::Regressed, 3, 1, Some(20))));
    assert_eq!(of(&with(10, &[100, 199, 299])), Some((Verdict::Improved, 3, 2, Some(20))));
    assert_eq!(of(&with(10, &[101, 199, 300])), Some((Verdict::Regressed, 3, 2, Some(10))), "the same in all");
    assert_eq!(of(&with(7, &[1, 2, 3])), None, "after other events");
    // What is compared exactly is not tested.
    let comparison = compared(&base, &with(10, &[100, 201, 300]));
    assert_eq!((comparison.tests, comparison.groups[0].metrics[0].verdict), (0, None));
    assert_eq!(compared(&base, &with(7, &[1, 2, 3])).tests, 1);
}

#[test]
fn canonical_savepoints_are_compared_within_a_backend() {
    let with = |backend: &str, bytes: u64| {
        let exact = vec![Exact {
            quantity: Quantity::CanonicalSavepointBytes,
            after_events: 5,
            value: ExactValue::Number(bytes),
        }];
        let options = BTreeMap::from([("state.backend.type".to_owned(), backend.to_owned())]);
        Cell { options, ..cell("one", vec![Observation { exact, ..trial(0, &[]) }]) }
    };
    let of = |base: Cell, candidate: Cell| {
        compared(&observations(vec![base]), &observations(vec![candidate])).groups[0].exact.len()
    };
    assert_eq!(of(with("rocksdb", 5), with("rocksdb", 6)), 1);
    assert_eq!(of(with("hashmap", 5), with("rocksdb", 6)), 0);
}

#[test]
fn what_differs_in_workload_or_seed_is_refused_unless_it_is_allowed() {
    let base = throughputs(&[5.0]);
    let with = |path: &str| {
        let mut other = base.clone();
        other.cells[0].definition.insert(path.to_owned(), "7".to_owned());
        other
    };
    for (path, allowed) in [
        ("keys.cardinality", Parameters { allow_workload: true, ..Parameters::default() }),
        ("run.seed", Parameters { allow_seed: true, ..Parameters::default() }),
    ] {
        let refused = compare(&base, &with(path), &Parameters::default());
        assert!(matches!(refused, Err(CompareError::NotComparable(_))), "{path}");
        assert!(compare(&base, &with(path), &allowed).is_ok(), "{path}");
    }
}

#[test]
fn more_trials_than_a_workload_can_ask_for_are_refused() {
    let many: Vec<f64> = (0..2_001).map(f64::from).collect();
    let refused = compare(&throughputs(&many), &throughputs(&[5.0]), &Parameters::default());
    assert!(matches!(refused, Err(CompareError::Input(_))));
}

/// A metric with the values of the base and of the candidate.
type Pairs<'a> = (&'a str, Vec<f64>, Vec<f64>);

/// A run of interleaved pairs that looked after so many of them.
fn interleaved(looks: &[u32], metrics: &[Pairs<'_>]) -> Observations {
    let side = |name: &str, values: fn(&Pairs<'_>) -> Vec<f64>| {
        let pairs = metrics.iter().map(|metric| values(metric).len()).max().unwrap_or(0);
        let of = |repeat: usize| {
            let own = metrics.iter().filter_map(|metric| Some((metric.0, *values(metric).get(repeat)?)));
            trial(repeat as u32, &own.filter(|(_, value)| !value.is_nan()).collect::<Vec<_>>())
        };
        cell(name, (0..pairs).map(of).collect())
    };
    let cells = vec![side("a", |metric| metric.1.clone()), side("b", |metric| metric.2.clone())];
    let run = Interleaved {
        contrasts: vec![Contrast { base: "a".to_owned(), candidate: "b".to_owned() }],
        planned_looks: 5,
        looks: looks.to_vec(),
        stopped: Some(Stop::Budget),
        budget_s: None,
        took_s: 1.0,
    };
    Observations { interleaved: Some(run), ..observations(cells) }
}

#[test]
fn a_look_that_decides_a_metric_freezes_it() {
    let mut rng = Rng::for_block(11, Stream::Order, 0);
    let (quiet, noisy) = (draw(&mut rng, 18, 1.0, 0.01), draw(&mut rng, 18, 1.0, 0.3));
    let slower: Vec<f64> = quiet.iter().enumerate().map(|(i, v)| v * if i < 12 { 0.9 } else { 2.0 }).collect();
    let metrics =
        [("throughput_events_per_s", quiet, slower), ("resident_peak_bytes", noisy, draw(&mut rng, 18, 1.0, 0.3))];
    let run = interleaved(&[12, 18], &metrics);
    let comparison = compared(&run, &run);
    assert_eq!((comparison.tests, comparison.test_alpha), (2, 0.01 / 2.0 / 5.0));
    let [throughput, memory] = &comparison.groups[0].metrics[..] else { panic!("{comparison:?}") };
    let found = (throughput.verdict, throughput.look, throughput.pair_log_ratios.len(), throughput.is_open());
    assert_eq!(found, (Some(Verdict::Regressed), Some(1), 12, false), "what came later does not touch it");
    assert_eq!((memory.look, memory.pair_log_ratios.len(), memory.is_open()), (None, 18, true));
    assert!(comparison.groups[0].is_open());
    // The same pairs at one look, as any result: they would tell something else.
    let at_once = Observations { interleaved: None, ..run };
    let contrasts = vec![Contrast { base: "a".to_owned(), candidate: "b".to_owned() }];
    let all = compare(&at_once, &at_once, &Parameters { contrasts, ..Parameters::default() }).unwrap();
    assert_eq!((all.test_alpha, all.groups[0].metrics[0].look), (0.01 / 2.0, None));
    assert_eq!(all.groups[0].metrics[0].pair_log_ratios.len(), 18);
}

#[test]
fn a_metric_that_comes_later_has_no_part_of_the_probability() {
    let values = |from: f64| (0..18).map(|i| from + f64::from(i) / 1e3).collect::<Vec<_>>();
    let late: Vec<f64> = (0..18).map(|i| if i < 12 { f64::NAN } else { 7.0 }).collect();
    let metrics = [("latency_p50_ns", values(5.0), values(5.001)), ("latency_p99_ns", late.clone(), late)];
    let run = interleaved(&[12, 18], &metrics);
    let comparison = compared(&run, &run);
    assert_eq!(comparison.tests, 1);
    let p99 = comparison.groups[0].metrics.iter().find(|metric| metric.metric == "latency_p99_ns").unwrap();
    assert_eq!((p99.verdict, p99.reason.as_deref(), p99.is_open()), (None, Some("not in the first look"), false));
}

#[test]
fn the_cost_of_an_event_takes_the_place_of_a_median_that_the_clock_cannot_tell() {
    let with = |cost: bool| {
        let values = vec![50.0; 15];
        let mut metrics = vec![("latency_p50_ns", values.clone(), values)];
        if cost {
            metrics.push(("event_cost_p50_ns", vec![51.0; 15], vec![52.0; 15]));
        }
        interleaved(&[], &metrics)
    };
    let parameters = Parameters {
        metrics: vec!["latency_p50_ns".to_owned()],
        thresholds: [("latency_p50_ns".to_owned(), 0.01)].into(),
        ..Parameters::default()
    };
    let judged = |run: &Observations| {
        let group = compare(run, run, &parameters).unwrap().groups.remove(0);
        group.metrics.iter().map(|metric| (metric.metric.clone(), metric.verdict)).collect::<Vec<_>>()
    };
    assert_eq!(judged(&with(false)), [("latency_p50_ns".to_owned(), Some(Verdict::NoChange))]);
    let cost = ("event_cost_p50_ns".to_owned(), Some(Verdict::Regressed));
    assert_eq!(judged(&with(true)), [("latency_p50_ns".to_owned(), None), cost]);
}

#[test]
fn gates_on_made_up_noise_are_red_as_often_as_promised() {
    let names = ["throughput_typical_events_per_s", "cpu_per_event_ns", "latency_p50_ns"];
    let gate = |rng: &mut Rng, change: f64| {
        let side = |rng: &mut Rng, name: &str, change: f64| {
            let is_rate = name.starts_with("throughput");
            draw(rng, 59, if is_rate { 1.0 / (1.0 + change) } else { 1.0 + change }, 0.03 / 2.0_f64.sqrt())
        };
        let metrics = names.map(|name| (name, side(rng, name, 0.0), side(rng, name, change)));
        let run = interleaved(&[11, 17, 26, 39, 59], &metrics);
        compared(&run, &run)
    };
    let mut rng = Rng::for_block(12, Stream::Order, 0);
    let mut count = |change: f64, verdict: Verdict| {
        (0..60).filter(|_| gate(&mut rng, change).groups[0].metrics.iter().any(|m| m.verdict == Some(verdict))).count()
    };
    assert!(count(0.0, Verdict::Regressed) <= 2);
    assert!(count(0.05, Verdict::Regressed) >= 57);
    assert!(count(-0.05, Verdict::Improved) >= 57);
    let unchanged = gate(&mut Rng::for_block(13, Stream::Order, 0), 0.0);
    assert!(!unchanged.groups[0].is_open() && unchanged.counts.no_change == 3, "{:?}", unchanged.counts);
}

#[test]
fn swapped_sides_of_unchanged_pairs_are_hardly_ever_red() {
    let mut rng = Rng::for_block(14, Stream::Order, 0);
    let metrics = ["cpu_per_event_ns", "latency_p50_ns", "latency_p99_ns"]
        .map(|name| (name, draw(&mut rng, 150, 1.0, 0.1), draw(&mut rng, 150, 1.0, 0.1)));
    let run = interleaved(&[], &metrics);
    let comparison = compared(&run, &run);
    let alarms = FalseAlarms::of(std::slice::from_ref(&comparison), 4_000, 1).unwrap();
    // At most 1 %, with three standard errors of 4,000 draws.
    assert!(alarms.draws == 4_000 && alarms.pairs == 150 && alarms.alarms <= 59, "{alarms:?}");
    assert!(alarms.alarms > 0, "a test that never finds anything would do as well: {alarms:?}");
    assert_eq!(FalseAlarms::of(&[comparison.clone(), comparison], 100, 1).unwrap().pairs, 300);
    assert_eq!(FalseAlarms::of(&[], 100, 1), None);
}
