//! `statebench check`

use insta::assert_snapshot;

use super::{Place, SMALL, workload_files};

#[test]
fn a_plan_is_described_with_what_it_needs() {
    let place = Place::new();
    place.file(
        "job.toml",
        "keys.cardinality = 1_000_000\nvalues.size = '100 b'\noperator.map.entries = 2\n\
         run = { events = 1_000_000, seed = 7, parallelism = 2 }\n\
         [[configuration]]\nname = 'heap'\nstate.backend.type = 'hashmap'\n\
         [[configuration]]\nname = 'rocksdb'\nstate.backend.type = 'rocksdb'\n\
         [matrix]\n'keys.cardinality' = [1_000, 1_000_000]\n\
         'state.backend.rocksdb.memory.fixed-per-slot' = ['16mb', '64mb']\n",
    );
    let ran = place.statebench("check job.toml");
    assert_eq!(ran.err, "");
    assert_snapshot!(ran.ok(), @"
    job: 6 cells, 22 trials
    keys.cardinality=1000: map · prefill 1000 keys · warm-up 100000 events · measure 1000000 events · parallelism 2 · repeats 3 · seed 7
      heap: 2000 entries, 240 kb of state; memory about 61 mb, no disk (modelled)
      rocksdb memory.fixed-per-slot=16mb: 2000 entries, 240 kb of state; memory about 215 mb, disk up to 480 kb (modelled)
      rocksdb memory.fixed-per-slot=64mb: 2000 entries, 240 kb of state; memory about 311 mb, disk up to 480 kb (modelled)
    keys.cardinality=1000000: map · prefill 1000000 keys · warm-up 100000 events · measure 1000000 events · parallelism 2 · repeats 3 · seed 7
      heap: 2000000 entries, 235 mb of state; memory about 387 mb, no disk (modelled)
      rocksdb memory.fixed-per-slot=16mb: 2000000 entries, 235 mb of state; memory about 215 mb, disk up to 469 mb (modelled)
        danger: in up to 100 % of runs an index block of up to 1246 kb will not stay in its cache shard of 853 kb beside what write buffers are charged by, and be read and unpacked on every lookup (modelled); state.backend.rocksdb.memory.partitioned-index-filters: true ends it, or a pool of 268 mb
      rocksdb memory.fixed-per-slot=64mb: 2000000 entries, 235 mb of state; memory about 311 mb, disk up to 469 mb (modelled)
        danger: in up to 100 % of runs an index block of up to 1246 kb will not stay in its cache shard of 853 kb beside what write buffers are charged by, and be read and unpacked on every lookup (modelled); state.backend.rocksdb.memory.partitioned-index-filters: true ends it, or a pool of 268 mb
    ");
    assert_snapshot!(place.statebench("check job.toml --quick").ok(), @"
    job: 6 cells, 6 trials
    keys.cardinality=1000: map · prefill 1000 keys · warm-up 5000 events · measure 50000 events · parallelism 2 · repeats 1 · seed 7
      heap: 2000 entries, 240 kb of state; memory about 61 mb, no disk (modelled)
      rocksdb memory.fixed-per-slot=16mb: 2000 entries, 240 kb of state; memory about 215 mb, disk up to 480 kb (modelled)
      rocksdb memory.fixed-per-slot=64mb: 2000 entries, 240 kb of state; memory about 311 mb, disk up to 480 kb (modelled)
    keys.cardinality=1000000: map · prefill 2000 keys · warm-up 5000 events · measure 50000 events · parallelism 2 · repeats 1 · seed 7
      heap: 4000 entries, 480 kb of state; memory about 62 mb, no disk (modelled)
      rocksdb memory.fixed-per-slot=16mb: 4000 entries, 480 kb of state; memory about 215 mb, disk up to 961 kb (modelled)
      rocksdb memory.fixed-per-slot=64mb: 4000 entries, 480 kb of state; memory about 311 mb, disk up to 961 kb (modelled)
    ");
    assert_eq!(place.results(), <[String; 0]>::default());
}

#[test]
fn the_least_time_is_told_where_it_is_configured() {
    let place = Place::new();
    place.file("job.toml", "run = { duration = '10 s', warm-up = '5 s', repeats = 2 }\n");
    assert_snapshot!(place.statebench("check job.toml").ok(), @"
    job: 2 cells, 5 trials
    workload: counter · prefill 100000 keys · warm-up 5 s · measure 10 s · parallelism 1 · repeats 2 · seed 1
      heap: 100000 entries, 1758 kb of state; memory about 67 mb, no disk (modelled)
      rocksdb: 100000 entries, 1758 kb of state; memory about 634 mb, disk up to 3516 kb (modelled)
    takes at least 75 s beside prefill (configured)
    ");
}

#[test]
fn the_state_of_nexmark_is_foreseen_where_a_run_has_a_known_length() {
    let place = Place::new();
    place.file("job.toml", "source.nexmark.bid.key = 'bidder'\n");
    assert_snapshot!(place.statebench("check job.toml").ok(), @"
    job: 2 cells, 7 trials
    workload: counter · prefill 0 keys · warm-up 100000 events · measure 1000000 events · parallelism 1 · repeats 3 · seed 1
      heap: 23825 entries, 419 kb of state; memory about 63 mb, no disk (modelled)
      rocksdb: 23825 entries, 419 kb of state; memory about 634 mb, disk up to 838 kb (modelled)
    ");
    assert_snapshot!(place.statebench("check job.toml --set run.duration=1s").ok(), @"
    job: 2 cells, 7 trials
    workload: counter · prefill 0 keys · warm-up 100 ms · measure 1 s · parallelism 1 · repeats 3 · seed 1
      heap: state size depends on how far a run comes; memory depends on how far a run comes
      rocksdb: state size depends on how far a run comes; memory about 634 mb (modelled)
    takes at least 7700 ms beside prefill (configured)
    ");
}

#[test]
fn options_without_effect_are_warned_of() {
    let place = Place::new();
    place.file(
        "job.toml",
        format!(
            "{SMALL}\n\
             [[configuration]]\nname = 'heap'\nstate.backend.type = 'hashmap'\n\
             'state.backend.rocksdb.thread.num' = 4\n\
             [[configuration]]\nname = 'rocksdb'\nstate.backend.type = 'rocksdb'\n\
             'state.backend.rocksdb.block.cache-size' = '256mb'\n\
             'state.backend.rocksdb.bloom-filter.bits-per-key' = 12\n"
        ),
    );
    let ran = place.statebench("check job.toml");
    assert_snapshot!(ran.err, @"
    warning: heap: `state.backend.rocksdb.thread.num` has no effect: the backend is not rocksdb
    warning: rocksdb: `state.backend.rocksdb.block.cache-size`: Flink ignores it: memory of a slot is shared, which brings one block cache of 427 mb for all states; write: a larger taskmanager.memory.managed.size or .fraction, for a larger cache; or state.backend.rocksdb.memory.managed: false for a cache of its own for each state, which nothing bounds then
    warning: rocksdb: `state.backend.rocksdb.bloom-filter.bits-per-key`: Flink builds no bloom filter: use-bloom-filter is false, its default; write: state.backend.rocksdb.use-bloom-filter: true beside it
    ");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn what_cannot_fit_is_refused() {
    let place = Place::with_job();
    let ran = place.statebench("check job.toml --set keys.cardinality=1000000000000");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let (needed, free) = ran.err.split_once(" (modelled), ").unwrap();
    assert_snapshot!(needed, @"error: rocksdb: needs about 33528 gb of disk");
    assert!(free.ends_with(" are free\n"), "{free}");
    assert_snapshot!(ran.out, @"
    job: 2 cells, 2 trials
    workload: counter · prefill 1000000000000 keys · warm-up 2000 events · measure 20000 events · parallelism 1 · repeats 1 · seed 1
      heap: 1000000000000 entries, 16764 gb of state; memory about 573 mb, no disk (modelled)
      rocksdb: 1000000000000 entries, 16764 gb of state; memory about 634 mb, disk up to 33528 gb (modelled)
    ");
    // RocksDB keeps it on disk, of which there is not enough either.
    let only = "--set configuration=[{name='only',state.backend.type='rocksdb'}]";
    let ran = place.statebench(&format!("check job.toml --set keys.cardinality=1000000000000 {only}"));
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.starts_with("error: only: needs about 33528 gb of disk (modelled), "), "{}", ran.err);
}

#[test]
fn every_workload_that_comes_with_the_program_is_valid_and_without_warnings() {
    let place = Place::new();
    for file in workload_files() {
        let ran = place.statebench(&format!("check {}", file.display()));
        // A job's settings of its checkpoints belong into its workload; and a matrix goes through what one backend lacks.
        let waits = "`checkpoint.every-events` says when checkpoints are taken";
        let expected = |line: &&str| line.ends_with(waits) || line.starts_with("note: left out: ");
        let said: Vec<_> = ran.err.lines().filter(|line| !expected(line)).collect();
        assert_eq!((ran.code, said), (Some(0), vec![]), "{}", file.display());
    }
}
