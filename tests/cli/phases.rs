//! Phases of the measured run, from the file to the report.

use insta::assert_snapshot;
use statebench::result::{AccessLatency, Measurement, RunResult};

use super::{Place, figures, measured};

const PHASES: &str = "\
keys = { cardinality = 500, distribution = 'zipf' }
values.size = '20 b'
operator.mix = { read = 0.5, update = 0.5 }
run = { warm-up = 1_000, repeats = 1, counters = false }

[[phase]]
name = 'ramp'
events = 8_000
rate = 100
ramp-to = 500

[[phase]]
name = 'other keys'
events = 4_096
shift-keys = 0.5

[[phase]]
name = 'appends'
events = 10_000
pause = '10 s'
mix = { append = 0.9, delete = 0.1 }
";

fn place() -> Place {
    let place = Place::new();
    place.file("job.toml", PHASES);
    place
}

#[test]
fn each_phase_is_measured_on_its_own() {
    let place = place();
    let printed = place.statebench("run job.toml -q -o r.json").ok();
    assert_snapshot!(figures(&printed), @"
    job

    configuration | trials | ratio | events/s | spread | p50 | p99 | p99.9 | longest | memory | disk
    heap | 1 | # | # | # | # | # | # | # | # | #
    rocksdb | 1 | # | # | # | # | # | # | # | # | #

    configuration | phase | events | events/s | p50 | p99 | longest
    heap | ramp | # | # | # | # | #
    heap | other keys | # | # | # | # | #
    heap | appends | # | # | # | # | #
    rocksdb | ramp | # | # | # | # | #
    rocksdb | other keys | # | # | # | # | #
    rocksdb | appends | # | # | # | # | #

    configuration | state access | timed | p50 | p99 | p99.9
    heap | value.get | # | # | # | #
    heap | value.update | # | # | # | #
    heap | value.clear | # | # | # | #
    heap | list.add | # | # | # | #
    heap | list.clear | # | # | # | #
    rocksdb | value.get | # | # | # | #
    rocksdb | value.update | # | # | # | #
    rocksdb | value.clear | # | # | # | #
    rocksdb | list.add | # | # | # | #
    rocksdb | list.clear | # | # | # | #

    RocksDB memory | budget | cache | write buffers | high prio | shard | used | passed | pinned | memtables | index, filter | resident
    rocksdb | 512 MiB | # | # | # | # | # | no | # | # | # | #

    digest repeat 1: emitted DIGEST after 26384 events, state DIGEST after 26384: equal in 2 trials
    a dash for a percentile: fewer than 100 timed events of a trial lie beyond it
    debug build: the figures mean nothing
    ");
    let result = place.result("r.json");
    for name in ["heap", "rocksdb"] {
        let Measurement { phases, events, busy_s, event_latency, access_latency, .. } = measured(&result, name);
        let seen: Vec<_> = phases.iter().map(|phase| (phase.name.as_str(), phase.events)).collect();
        assert_eq!(seen, [("ramp", 8_192), ("other keys", 4_096), ("appends", 10_000)]);
        assert_eq!(*events, 8_192 + 4_096 + 10_000);
        let busy: f64 = phases.iter().map(|phase| phase.busy_s[0]).sum();
        assert!((busy - busy_s[0]).abs() < 1e-6 && phases.iter().all(|phase| phase.throughput_events_per_s > 0.0));
        let timed: u64 = phases.iter().map(|phase| phase.event_latency.summary.count).sum();
        assert_eq!(timed, event_latency.summary.count);
        let kinds =
            |phase: usize| phases[phase].access_latency.iter().map(|access| access.kind.as_str()).collect::<Vec<_>>();
        assert_eq!(kinds(0), ["value.get", "value.update"]);
        assert_eq!(kinds(2), ["value.clear", "list.add", "list.clear"]);
        assert_eq!(access_latency.len(), 5);
    }
    // RocksDB's accesses are all timed.
    assert_eq!(measured(&result, "rocksdb").phases[1].event_latency.summary.count, 4_096);
}

#[test]
fn a_pipeline_has_phases_too() {
    let place = Place::new();
    place.file(
        "job.toml",
        "keys.cardinality = 100\nrun = { warm-up = 0, repeats = 1, counters = false }\n\
         pipeline = [{ name = 'a', operator = 'counter' }, { name = 'b', key = 'value', operator = 'counter' }]\n\
         phase = [{ name = 'one', events = 4_096 }, { name = 'two', events = 5_000, pause = '1 h' }]\n",
    );
    place.statebench("run job.toml -q -o r.json").ok();
    let result = place.result("r.json");
    assert!(result.all_agree());
    let Measurement { phases, later, event_latency, access_latency, .. } = measured(&result, "rocksdb");
    assert_eq!((event_latency.summary.count, later[0].row_latency.summary.count), (9_096, 9_096));
    let gets = |access: &[AccessLatency]| access.iter().find(|a| a.kind == "value.get").unwrap().latency.summary.count;
    // A get of each operator for each event.
    assert_eq!(phases.iter().map(|phase| gets(&phase.access_latency)).collect::<Vec<_>>(), [8_192, 10_000]);
    assert_eq!(gets(access_latency), 18_192);
}

#[test]
fn phases_compute_the_same_on_every_backend_and_at_any_parallelism() {
    let place = place();
    let digests = |args: &str| {
        place.statebench(&format!("run job.toml -q --force -o r.json {args}")).ok();
        let result = place.result("r.json");
        assert!(result.all_agree());
        let heap = measured(&result, "heap");
        (heap.emitted, heap.state, heap.phases.iter().map(|phase| phase.events).collect::<Vec<_>>())
    };
    let alone = digests("");
    assert_eq!(digests("--parallelism 2"), alone);
    // Without the phases it is another stream of as many events.
    let plain = PHASES.split("[[phase]]").next().unwrap();
    place.file("job.toml", plain.replace("run = {", "run = { events = 22_288,"));
    let other = digests("");
    assert_ne!((other.0, other.1), (alone.0, alone.1));
    assert!(other.2.is_empty());
}

#[test]
fn a_check_tells_what_is_different_in_each_phase() {
    let place = place();
    assert_snapshot!(place.statebench("check job.toml").ok(), @"
    job: 2 cells, 2 trials
    workload: mix · prefill 500 keys · warm-up 1000 events · measure 22288 events · parallelism 1 · repeats 1 · seed 1
      phase ramp: 8192 events · 100 to 500 a second
      phase other keys: 4096 events · hot keys shifted by 50 %
      phase appends: 10000 events · after a pause of 10 s · append 90 % · delete 10 %
      heap: 500 entries, 241 kb of state; memory about 61 mb, no disk (modelled)
      rocksdb: 500 entries, 241 kb of state; memory about 634 mb, disk up to 481 kb (modelled)
    ");
    assert!(place.statebench("check job.toml --quick").ok().contains("measure 22288 events"));
}

#[test]
fn phases_are_in_every_format() {
    let place = place();
    place.statebench("run job.toml -q -o r.json").ok();
    let show = |format: &str| place.statebench(&format!("show r.json --format {format}")).ok();
    let json: serde_json::Value = serde_json::from_str(&show("json")).unwrap();
    assert_eq!(json["phases"][4]["configuration"], "rocksdb");
    assert_eq!(json["phases"][4]["phase"], "other keys");
    assert!(json["phases"][4]["metrics"]["latency_p50_ns"]["median"].as_f64() > Some(0.0));
    let markdown = show("markdown").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(markdown.contains("| rocksdb | other keys | 4096 |"), "{markdown}");
    let csv = show("csv");
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let phases: Vec<_> = rows.records().map(|row| row.unwrap()).map(|row| format!("{} {}", &row[1], &row[2])).collect();
    assert_eq!(phases[..3], ["heap ", "rocksdb ", "heap ramp"]);
    assert_eq!(phases.len(), 2 + 6);
}

#[test]
fn a_result_of_before_there_were_phases_is_shown() {
    let place = Place::with_job();
    place.statebench("run --quick job.toml -q -o r.json").ok();
    let mut result: serde_json::Value = serde_json::from_str(&place.text("r.json")).unwrap();
    for trial in result["trials"].as_array_mut().unwrap() {
        assert!(trial["outcome"]["finished"].as_object_mut().unwrap().remove("phases").is_some());
    }
    place.file("old.json", result.to_string());
    assert!(RunResult::load(&place.path("old.json")).is_ok());
    assert!(!place.statebench("show old.json").ok().contains("phase"));
}

#[test]
fn phases_that_cannot_be_are_refused() {
    let place = Place::new();
    let said = |text: &str| {
        place.file("job.toml", text);
        place.refusal("check job.toml")
    };
    assert_snapshot!(said("[[phase]]\nname = 'a'\nduration = '10 s'\n"), @"
    error: job.toml:3:1: phase[0].duration: found the time 10 s; allowed: a number of `events`: a time ends at another event in every trial, and what comes then could not be compared
      |
    3 | duration = '10 s'
      | ^^^^^^^^
    ");
    assert_snapshot!(said("[[phase]]\nname = 'a'\n"), @"
    error: job.toml:1:1: phase[0].events: found nothing; allowed: a number of `events`
      |
    1 | [[phase]]
      | ^^^^^^^^^
    ");
    assert_snapshot!(said("run.events = 5\n[[phase]]\nname = 'a'\nevents = 5\n"), @"
    error: job.toml:1:14: run.events: found 5; allowed: nothing beside `[[phase]]`: each has its own `events`
      |
    1 | run.events = 5
      |              ^
    ");
    assert_snapshot!(said("[[phase]]\nname = 'a'\nevents = 5\nshift-keys = 0.5\n"), @"
    error: job.toml:4:14: phase[0].shift-keys: found 0.5; allowed: 0, or keys whose distribution is `zipf`, `hotspot` or `exponential`
      |
    4 | shift-keys = 0.5
      |              ^^^
    ");
    assert_snapshot!(said("[[phase]]\nname = 'a'\nevents = 5\nmix = { reed = 1.0 }\n"), @"
    error: job.toml:4:9: phase[0].mix.reed: unknown name `reed`, expected one of `read`, `update`, `read-modify-write`, `insert`, `append`, `delete`, `scan`
      |
    4 | mix = { reed = 1.0 }
      |         ^^^^
    help: did you mean `read`?
    ");
    assert_snapshot!(said("[[phase]]\nname = 'a'\nevents = 5\nmix = { read = 1.0 }\n"), @"
    error: job.toml:4:1: phase[0].mix: found shares; allowed: shares for the operator `mix` alone
      |
    4 | mix = { read = 1.0 }
      | ^^^
    ");
    assert_snapshot!(said("operator.mix.read = 1.0\n[[phase]]\nname = 'a'\nevents = 5\nmix = { read = 0.5 }\n"), @"
    error: job.toml:5:7: phase[0].mix: found shares that sum to 0.5; allowed: shares that sum to 1
      |
    5 | mix = { read = 0.5 }
      |       ^^^^^^^^^^^^^^
    ");
    assert_snapshot!(said("[phase]\nname = 'a'\nevents = 5\n"), @"
    error: job.toml:1:1: phase: found a table; allowed: a list
      |
    1 | [phase]
      | ^^^^^^^
    help: `[[phase]]`, in double brackets, begins an entry of a list
    ");
}
