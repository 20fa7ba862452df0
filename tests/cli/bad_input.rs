//! Workload files and traces that are wrong: exit code 2, and a message that names file, place, found and allowed.

use std::fmt::Write;
use std::sync::Arc;

use insta::assert_snapshot;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::{Place, SMALL};

/// What `run` and `check` say of a workload file; both say the same.
fn said(content: impl AsRef<[u8]>) -> String {
    let place = Place::new();
    place.file("job.toml", content);
    said_of(&place, "job.toml")
}

fn said_of(place: &Place, args: &str) -> String {
    let run = place.refusal(&format!("run {args}"));
    assert_eq!(place.refusal(&format!("check {args}")), run);
    run
}

#[test]
fn files_that_hold_no_workload() {
    let place = Place::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    assert_snapshot!(said_of(&place, "none.toml"), @"error: none.toml: cannot read the workload file: No such file or directory (os error 2)");
    assert_snapshot!(said_of(&place, "folder"), @"error: folder: is a directory, not a workload file");
    assert_snapshot!(said(b"[keys]\n# \xff\n"), @"error: job.toml: is not UTF-8 text (byte 9)");
    assert_snapshot!(said(""), @"error: job.toml: is empty; `statebench init` writes a starter file");
    assert_snapshot!(said(" \n\t\n"), @"error: job.toml: is empty; `statebench init` writes a starter file");
    assert_snapshot!(said(vec![b'#'; (4 << 20) + 1]), @"error: job.toml: has 4194305 bytes; a workload file has at most 4194304");
    assert_snapshot!(said(b"\x7fELF\x02\x01\0\0"), @r"
    error: job.toml:1:9: not valid TOML: key with no value, expected `=`
      |
    1 | \u{7f}ELF\u{2}\u{1}\u{0}\u{0}
      |         ^
    ");
}

#[test]
fn broken_toml() {
    assert_snapshot!(said("[keys]\ncardinality = \n"), @"
    error: job.toml:2:15: not valid TOML: a value is missing
      |
    2 | cardinality = 
      |               ^
    ");
    assert_snapshot!(said("[keys\ncardinality = 5\n"), @"
    error: job.toml:1:6: not valid TOML: unclosed table, expected `]`
      |
    1 | [keys
      |      ^
    ");
    assert_snapshot!(said("name = 'a'\nname = 'b'\n"), @"
    error: job.toml:2:1: not valid TOML: duplicate key
      |
    2 | name = 'b'
      | ^^^^
    ");
    assert_snapshot!(said("name = many words\n"), @"
    error: job.toml:1:8: not valid TOML: string values must be quoted
      |
    1 | name = many words
      |        ^^^^^^^^^^
    ");
    assert_snapshot!(said("run.events = 99999999999999999999\n"), @"
    error: job.toml:1:14: not valid TOML: found 99999999999999999999; allowed: whole numbers up to 9223372036854775807
      |
    1 | run.events = 99999999999999999999
      |              ^^^^^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(said("run.events = 1e99999999999\n"), @"
    error: job.toml:1:14: not valid TOML: floating-point number overflowed
      |
    1 | run.events = 1e99999999999
      |              ^^^^^^^^^^^^^
    ");
}

#[test]
fn unknown_names() {
    assert_snapshot!(said("[key]\ncardinality = 5\n"), @"
    error: job.toml:1:2: key: unknown key `key`, expected one of `name`, `description`, `source`, `keys`, `values`, `time`, `operator`, `states`, `pipeline`, `run`, `load`, `gc-model`, `phase`, `checkpoint`, `configuration`, `matrix`
      |
    1 | [key]
      |  ^^^
    help: did you mean `keys`?
    ");
    assert_snapshot!(said("[keys]\ncardinalty = 5\n"), @"
    error: job.toml:2:1: keys.cardinalty: unknown key `cardinalty`, expected one of `cardinality`, `distribution`, `type`, `absent`
      |
    2 | cardinalty = 5
      | ^^^^^^^^^^
    help: did you mean `cardinality`?
    ");
    assert_snapshot!(said("[run]\nxyz = 5\n"), @"
    error: job.toml:2:1: run.xyz: unknown key `xyz`, expected one of `warm-up`, `duration`, `events`, `repeats`, `seed`, `parallelism`, `max-parallelism`, `prefill`, `prefill-by`, `verify-events`, `sample-every`, `counters`, `growth-samples`, `timeline-interval`, `direct-io`, `memory-limit`
      |
    2 | xyz = 5
      | ^^^
    ");
    assert_snapshot!(said("operator = 'count'\n"), @"
    error: job.toml:1:12: operator: unknown name `count`, expected one of `counter`, `reduce`, `aggregate`, `list-buffer`, `map`, `value-of-map`, `tumbling-window`, `sliding-window`, `session-window`, `changelog-join`, `running-total`, `mix`, `deduplicate`, `regular-join`, `top-n`, `interval-join`, `temporal-join`, `continuous-join`, `broadcast-rules`, `source-offsets`
      |
    1 | operator = 'count'
      |            ^^^^^^^
    help: did you mean `counter`?
    ");
    assert_snapshot!(said("operator.reduce.function = 'avg'\n"), @"
    error: job.toml:1:28: operator.reduce.function: unknown name `avg`, expected `sum` or `max`
      |
    1 | operator.reduce.function = 'avg'
      |                            ^^^^^
    ");
    assert_snapshot!(said("source.nexmark.bid.key = 'auctoin'\n"), @"
    error: job.toml:1:26: source.nexmark.bid.key: unknown name `auctoin`, expected one of `auction`, `bidder`, `price`, `channel`
      |
    1 | source.nexmark.bid.key = 'auctoin'
      |                          ^^^^^^^^^
    help: did you mean `auction`?
    ");
    assert_snapshot!(said("source.nexmark.bid.key = ['bidder', 'auctoin']\n"), @"
    error: job.toml:1:37: source.nexmark.bid.key[1]: unknown name `auctoin`, expected one of `auction`, `bidder`, `price`, `channel`
      |
    1 | source.nexmark.bid.key = ['bidder', 'auctoin']
      |                                     ^^^^^^^^^
    help: did you mean `auction`?
    ");
    assert_snapshot!(said("operator = { counter = {}, reduce = {} }\n"), @"
    error: job.toml:1:12: operator: a second name, `reduce`, beside the first
      |
    1 | operator = { counter = {}, reduce = {} }
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(said("[[configuration]]\nname = 'a'\n'state.backend.rocksdb.blok.cache-size' = '1mb'\n"), @"
    error: job.toml:3:1: configuration[0].state.backend.rocksdb.blok.cache-size: found a key that statebench does not know; allowed: the keys of `statebench list options`; the nearest is `state.backend.rocksdb.block.cache-size`
      |
    3 | 'state.backend.rocksdb.blok.cache-size' = '1mb'
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(said("[[configuration]]\nname = 'a'\n'state.backend.rocksdb.block-cache-size' = '1mb'\n"), @"
    error: job.toml:3:1: configuration[0].state.backend.rocksdb.block-cache-size: found a key that statebench does not know; allowed: the keys of `statebench list options`; the nearest is `state.backend.rocksdb.block.cache-size`
      |
    3 | 'state.backend.rocksdb.block-cache-size' = '1mb'
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(said("[[configuration]]\nname = 'a'\nstate.backend.type = 'rockdb'\n"), @"
    error: job.toml:3:22: configuration[0].state.backend.type: found `rockdb`; allowed: hashmap, rocksdb, or null for the floor of the harness
      |
    3 | state.backend.type = 'rockdb'
      |                      ^^^^^^^^
    ");
}

#[test]
fn wrong_types() {
    assert_snapshot!(said("keys = 5\n"), @"
    error: job.toml:1:8: keys: found 5; allowed: a table
      |
    1 | keys = 5
      |        ^
    ");
    assert_snapshot!(said("[keys]\ncardinality = 'many'\n"), @r#"
    error: job.toml:2:15: keys.cardinality: found the text "many"; allowed: a whole number of 0 or more
      |
    2 | cardinality = 'many'
      |               ^^^^^^
    "#);
    assert_snapshot!(said("[keys]\ncardinality = 1.5\n"), @"
    error: job.toml:2:15: keys.cardinality: found 1.5; allowed: a whole number of 0 or more
      |
    2 | cardinality = 1.5
      |               ^^^
    ");
    assert_snapshot!(said("[keys]\ncardinality = [1, 2]\n"), @"
    error: job.toml:2:15: keys.cardinality: found a list; allowed: a whole number of 0 or more
      |
    2 | cardinality = [1, 2]
      |               ^^^^^^
    ");
    assert_snapshot!(said("[keys]\ndistribution = 5\n"), @"
    error: job.toml:2:16: keys.distribution: found 5; allowed: a name, or a table with one name in it
      |
    2 | distribution = 5
      |                ^
    ");
    assert_snapshot!(said("[keys]\ndistribution.zipf.exponent = 'steep'\n"), @r#"
    error: job.toml:2:30: keys.distribution.zipf.exponent: found the text "steep"; allowed: a number
      |
    2 | distribution.zipf.exponent = 'steep'
      |                              ^^^^^^^
    "#);
    assert_snapshot!(said("[values]\nsize = true\n"), @r#"
    error: job.toml:2:8: values.size: found true; allowed: a size such as 100 or "4 kb", or a distribution of sizes
      |
    2 | size = true
      |        ^^^^
    "#);
    assert_snapshot!(said("[run]\nduration = true\n"), @"
    error: job.toml:2:12: run.duration: expected a time such as 500 ms, 60s, 10 min or 7 d
      |
    2 | duration = true
      |            ^^^^
    ");
    assert_snapshot!(said("[run]\nwarm-up = 1.5\n"), @"
    error: job.toml:2:11: run.warm-up: expected a number of events such as 10_000, or a time such as '2 s'
      |
    2 | warm-up = 1.5
      |           ^^^
    ");
    assert_snapshot!(said("[run]\nprefill = 'all'\n"), @r#"
    error: job.toml:2:11: run.prefill: found the text "all"; allowed: a number
      |
    2 | prefill = 'all'
      |           ^^^^^
    "#);
    assert_snapshot!(said("name = 2026\n"), @"
    error: job.toml:1:8: name: found 2026; allowed: a text
      |
    1 | name = 2026
      |        ^^^^
    ");
    assert_snapshot!(said("configuration = 'heap'\n"), @r#"
    error: job.toml:1:17: configuration: found the text "heap"; allowed: a list
      |
    1 | configuration = 'heap'
      |                 ^^^^^^
    "#);
    assert_snapshot!(said("[configuration]\nname = 'heap'\n"), @"
    error: job.toml:1:1: configuration: found a table; allowed: a list
      |
    1 | [configuration]
      | ^^^^^^^^^^^^^^^
    help: `[[configuration]]`, in double brackets, begins an entry of a list
    ");
    assert_snapshot!(said("[[configuration]]\nstate.backend.type = 'hashmap'\n"), @"
    error: job.toml:1:1: configuration[0]: missing key `name`
      |
    1 | [[configuration]]
      | ^^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(said("[[configuration]]\nname = 'a'\nstate.backend.type = ['hashmap']\n"), @r#"
    error: job.toml:3:22: configuration[0].state.backend.type: found ["hashmap"]; allowed: a text, a number, true or false
      |
    3 | state.backend.type = ['hashmap']
      |                      ^^^^^^^^^^^
    "#);
    assert_snapshot!(said("[matrix]\n'run.seed' = 5\n"), @"
    error: job.toml:2:14: matrix.run.seed: found 5; allowed: a list
      |
    2 | 'run.seed' = 5
      |              ^
    ");
}

#[test]
fn numbers_out_of_range() {
    assert_snapshot!(said("[keys]\ncardinality = 0\n"), @"
    error: job.toml:2:15: keys.cardinality: found 0; allowed: 1 to 1000000000000
      |
    2 | cardinality = 0
      |               ^
    ");
    assert_snapshot!(said("[keys]\ncardinality = -1\n"), @"
    error: job.toml:2:15: keys.cardinality: found -1; allowed: a whole number of 0 or more
      |
    2 | cardinality = -1
      |               ^^
    ");
    assert_snapshot!(said("[keys]\ncardinality = 1_000_000_000_000_000\n"), @"
    error: job.toml:2:15: keys.cardinality: found 1000000000000000; allowed: 1 to 1000000000000
      |
    2 | cardinality = 1_000_000_000_000_000
      |               ^^^^^^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(said("[keys]\ndistribution.zipf.exponent = nan\n"), @"
    error: job.toml:2:30: keys.distribution.zipf.exponent: found NaN; allowed: above 0, up to 100
      |
    2 | distribution.zipf.exponent = nan
      |                              ^^^
    ");
    assert_snapshot!(said("[keys]\ndistribution.zipf.exponent = inf\n"), @"
    error: job.toml:2:30: keys.distribution.zipf.exponent: found inf; allowed: above 0, up to 100
      |
    2 | distribution.zipf.exponent = inf
      |                              ^^^
    ");
    assert_snapshot!(said("[keys]\ndistribution.zipf.exponent = 0\n"), @"
    error: job.toml:2:30: keys.distribution.zipf.exponent: found 0; allowed: above 0, up to 100
      |
    2 | distribution.zipf.exponent = 0
      |                              ^
    ");
    assert_snapshot!(said("[keys]\nabsent = 0.5\n"), @"
    error: job.toml:2:10: keys.absent: found 0.5; allowed: 0, or a `mix` with reads: the other operators write every key that they see
      |
    2 | absent = 0.5
      |          ^^^
    ");
    assert_snapshot!(said("[values]\nsize = '99 tb'\n"), @"
    error: job.toml:2:8: values.size: found 99 tb; allowed: 0 b to 64 mb
      |
    2 | size = '99 tb'
      |        ^^^^^^^
    ");
    assert_snapshot!(said("[values]\nsize = -1\n"), @"
    error: job.toml:2:8: values.size: `-1` is negative
      |
    2 | size = -1
      |        ^^
    ");
    assert_snapshot!(said("[values]\nsize = '99999999999999 tb'\n"), @"
    error: job.toml:2:8: values.size: `99999999999999 tb` is too large
      |
    2 | size = '99999999999999 tb'
      |        ^^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn runs_out_of_range() {
    assert_snapshot!(said("[run]\nevents = 0\n"), @"
    error: job.toml:2:10: run.events: found 0; allowed: 1 to 1000000000000
      |
    2 | events = 0
      |          ^
    ");
    assert_snapshot!(said("[run]\nparallelism = 0\n"), @"
    error: job.toml:2:15: run.parallelism: found 0; allowed: 1 to 1024
      |
    2 | parallelism = 0
      |               ^
    ");
    assert_snapshot!(said("[run]\nparallelism = 70_000\n"), @"
    error: job.toml:2:15: run.parallelism: found 70000; allowed: a whole number from 0 to 65535
      |
    2 | parallelism = 70_000
      |               ^^^^^^
    ");
    assert_snapshot!(said("[run]\nrepeats = 4_294_967_296\n"), @"
    error: job.toml:2:11: run.repeats: found 4294967296; allowed: a whole number from 0 to 4294967295
      |
    2 | repeats = 4_294_967_296
      |           ^^^^^^^^^^^^^
    ");
    assert_snapshot!(said("[run]\nprefill = 1.5\n"), @"
    error: job.toml:2:11: run.prefill: found 1.5; allowed: 0 to 1
      |
    2 | prefill = 1.5
      |           ^^^
    ");
    assert_snapshot!(said("[run]\nduration = '0 s'\n"), @"
    error: job.toml:2:12: run.duration: found 0 ns; allowed: 1 ms to 1 d
      |
    2 | duration = '0 s'
      |            ^^^^^
    ");
    assert_snapshot!(said("[run]\nduration = '1 parsec'\n"), @"
    error: job.toml:2:12: run.duration: `1 parsec` has an unknown unit `parsec`; units are ns, µs, ms, s, min, h, d
      |
    2 | duration = '1 parsec'
      |            ^^^^^^^^^^
    ");
    assert_snapshot!(said("[run]\nduration = '1 s'\nevents = 5\n"), @"
    error: job.toml:2:12: run.duration: found 1 s beside events = 5; allowed: either `duration` or `events`
      |
    2 | duration = '1 s'
      |            ^^^^^
    ");
    assert_snapshot!(said("[operator]\nmap.entries = 0\n"), @"
    error: job.toml:2:15: operator.map.entries: found 0; allowed: 1 to 100000
      |
    2 | map.entries = 0
      |               ^
    ");
    let budget = "[[configuration]]\nname = 'a'\nstate.backend.type = 'rocksdb'\n";
    assert_snapshot!(said(format!("{budget}state.backend.rocksdb.memory.fixed-per-slot = '1 kb'\n")), @"
    error: job.toml:4:47: configuration[0].state.backend.rocksdb.memory.fixed-per-slot: found 1 kb for a slot; allowed: at least 1 mb for a slot
      |
    4 | state.backend.rocksdb.memory.fixed-per-slot = '1 kb'
      |                                               ^^^^^^
    ");
}

#[test]
fn configurations_and_axes_that_clash() {
    assert_snapshot!(said("[[configuration]]\nname = 'a'\n[[configuration]]\nname = 'a'\n"), @"
    error: job.toml:4:8: configuration[1].name: found the name `a` a second time; allowed: a name for each configuration
      |
    4 | name = 'a'
      |        ^^^
    ");
    assert_snapshot!(said("[[configuration]]\nname = ''\n"), @r#"
    error: job.toml:2:8: configuration[0].name: found ""; allowed: 1 to 60 printable characters
      |
    2 | name = ''
      |        ^^
    "#);
    assert_snapshot!(said("[[configuration]]\nname = \"a\\u001b[31m\"\n"), @r#"
    error: job.toml:2:8: configuration[0].name: found "a\u{1b}[31m"; allowed: 1 to 60 printable characters
      |
    2 | name = "a\u001b[31m"
      |        ^^^^^^^^^^^^^
    "#);
    assert_snapshot!(said("[matrix]\n'run.seed' = []\n"), @"
    error: job.toml:2:14: matrix.run.seed: found an empty list; allowed: one value or more
      |
    2 | 'run.seed' = []
      |              ^^
    ");
    assert_snapshot!(said("[matrix]\n'run.seed' = [1, 1]\n"), @"
    error: job.toml:2:14: matrix.run.seed: found a value twice; allowed: each value once
      |
    2 | 'run.seed' = [1, 1]
      |              ^^^^^^
    ");
    assert_snapshot!(said("[matrix]\n'run.sead' = [1, 2]\n"), @"
    error: job.toml with `matrix: run.sead = 1`: run.sead: unknown key `sead`, expected one of `warm-up`, `duration`, `events`, `repeats`, `seed`, `parallelism`, `max-parallelism`, `prefill`, `prefill-by`, `verify-events`, `sample-every`, `counters`, `growth-samples`, `timeline-interval`, `direct-io`, `memory-limit`
    help: did you mean `seed`?
    ");
    assert_snapshot!(said("[matrix]\n'keys.cardinality' = [1, 0]\n"), @"error: job.toml with `matrix: keys.cardinality = 0`: keys.cardinality: found 0; allowed: 1 to 1000000000000");
    assert_snapshot!(said("[matrix]\n'state.backend.rocksdb.use-bloom-filter' = [true, 'maybe']\n"), @"
    error: job.toml:2:44: matrix.state.backend.rocksdb.use-bloom-filter: found `maybe`; allowed: true or false
      |
    2 | 'state.backend.rocksdb.use-bloom-filter' = [true, 'maybe']
      |                                            ^^^^^^^^^^^^^^^
    ");
}

#[test]
fn a_million_cells_are_counted_and_refused() {
    let list = |count: usize| {
        let numbers: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        format!("[{}]", numbers.join(", "))
    };
    let thousand = list(1_000);
    assert_snapshot!(said(format!("[matrix]\n'keys.cardinality' = {thousand}\n'run.seed' = {thousand}\n")), @"
    error: job.toml:1:1: matrix: found 2000000 cells; allowed: at most 10000 cells
      |
    1 | [matrix]
      | ^^^^^^^^
    ");
    let threads = "state.backend.rocksdb.thread.num";
    let open = "state.backend.rocksdb.files.open";
    assert_snapshot!(said(format!("[matrix]\n'{threads}' = {}\n'{open}' = {thousand}\n", thousand.replace("[0,", "["))), @"
    error: job.toml:1:1: matrix: found 999000 cells; allowed: at most 10000 cells
      |
    1 | [matrix]
      | ^^^^^^^^
    ");
    assert_snapshot!(said(format!("[matrix]\n'run.seed' = {}\n", list(500_000))), @"
    error: job.toml:2:14: matrix.run.seed: found 500000 values; allowed: at most 10000 cells
      |
    2 | 'run.seed' = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, …
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn overrides_that_are_wrong_are_named() {
    let place = Place::new();
    place.file("job.toml", format!("{SMALL}\n[operator.counter]\n"));
    let said = |args: &str| said_of(&place, &format!("job.toml {args}"));
    assert_snapshot!(said("--set keys.cardinality"), @"
    error: invalid value 'keys.cardinality' for '--set <PATH=VALUE>': expected path=value, such as keys.cardinality=1000

    For more information, try '--help'.
    ");
    assert_snapshot!(said("--set keys.cardinality=lots"), @r#"error: job.toml with `--set keys.cardinality=lots`: keys.cardinality: found the text "lots"; allowed: a whole number of 0 or more"#);
    assert_snapshot!(said("--set keys.cardinality=0"), @"error: job.toml with `--set keys.cardinality=0`: keys.cardinality: found 0; allowed: 1 to 1000000000000");
    assert_snapshot!(said("--set keys.cardinalty=5"), @"
    error: job.toml with `--set keys.cardinalty=5`: keys.cardinalty: unknown key `cardinalty`, expected one of `cardinality`, `distribution`, `type`, `absent`
    help: did you mean `cardinality`?
    ");
    assert_snapshot!(said("--set keys.cardinality.x=5"), @"error: job.toml with `--set keys.cardinality.x=5`: `cardinality` in `keys.cardinality.x` is a whole number and has no keys");
    assert_snapshot!(said("--set keys..x=5"), @"error: job.toml with `--set keys..x=5`: `keys..x` is not a path such as keys.cardinality");
    assert_snapshot!(said("--set =5"), @"error: job.toml with `--set =5`: `` is not a path such as keys.cardinality");
    assert_snapshot!(said("--set operator.mix.preset=ycsb-a"), @"
    error: job.toml with `--set operator.mix.preset=ycsb-a`: operator: a second name, `mix`, beside the first
    help: `--set operator=mix` before it takes the file's choice away
    ");
    assert_snapshot!(said("--set state.backend.rocksdb.blok.cache-size=1mb"), @"error: job.toml with `--set state.backend.rocksdb.blok.cache-size=1mb`: state.backend.rocksdb.blok.cache-size: found a key that statebench does not know; allowed: the keys of `statebench list options`; the nearest is `state.backend.rocksdb.block.cache-size`");
    assert_snapshot!(said("--set state.backend.rocksdb.block.cache-size=1mb"), @"error: job.toml with `--set state.backend.rocksdb.block.cache-size=1mb`: state.backend.rocksdb.block.cache-size: found an option without effect in every configuration; allowed: an option that some configuration heeds");
    assert_snapshot!(said("--set state.backend.rocksdb.memory.fixed-per-slot=1kb"), @"error: job.toml with `--set state.backend.rocksdb.memory.fixed-per-slot=1kb`: state.backend.rocksdb.memory.fixed-per-slot: found 1 kb for a slot; allowed: at least 1 mb for a slot");
    assert_snapshot!(said("--repeats 0"), @"error: job.toml with `--repeats 0`: run.repeats: found 0; allowed: 1 to 1000");
    assert_snapshot!(said("--parallelism 0"), @"error: job.toml with `--parallelism 0`: run.parallelism: found 0; allowed: 1 to 1024");
    assert_snapshot!(said("--seed 18446744073709551615"), @"
    error: invalid value '18446744073709551615' for '--seed <N>': 18446744073709551615 is not in 0..=9223372036854775807

    For more information, try '--help'.
    ");
    place.statebench("check job.toml --set operator=mix --set operator.mix.preset=ycsb-a").ok();
}

#[test]
fn text_of_a_file_cannot_steer_the_terminal() {
    assert_snapshot!(said("[keys]\ncardinality = 5 # \u{1b}[2J\u{9b}\u{202e}\nx\u{1b} = 1"), @r"
    error: job.toml:2:19: not valid TOML: invalid comment character, expected printable characters
      |
    2 | cardinality = 5 # \u{1b}[2J\u{9b}\u{202e}
      |                   ^
    ");
    assert_snapshot!(said("[keys]\ndistribution = \"\\u001b[2J\"\n"), @r#"
    error: job.toml:2:16: keys.distribution: unknown name `\u{1b}[2J`, expected one of `uniform`, `zipf`, `hotspot`, `latest`, `exponential`, `sequential`, `moving`, `ephemeral`, `key-ranges`, `recent`
      |
    2 | distribution = "\u001b[2J"
      |                ^^^^^^^^^^^
    "#);
}

/// A workload over a trace file of this content.
fn over_trace(name: &str, content: impl AsRef<[u8]>) -> Place {
    let place = Place::new();
    place.file(name, content);
    place
        .file("job.toml", format!("source.trace = {{ path = '{name}', time = 'at', key = 'key' }}\nrun.repeats = 1\n"));
    place
}

/// What is said of a trace, without the folder.
fn said_of_trace(place: &Place, args: &str) -> String {
    place.refusal(args).replace(&format!("{}/", place.folder.path().display()), "")
}

#[test]
fn traces_that_cannot_be_opened() {
    let said = |name: &str, content: &[u8]| {
        let place = over_trace(name, content);
        let run = said_of_trace(&place, "run job.toml");
        assert_eq!(said_of_trace(&place, "check job.toml"), run);
        run
    };
    assert_snapshot!(said("t.csv", b""), @"error: ./t.csv: the file is empty");
    assert_snapshot!(said("t.csv", b"at,kee\n1,a\n"), @"error: ./t.csv: there is no column `key` (did you mean `kee`?); the columns are at, kee");
    assert_snapshot!(said("t.parquet", b"PAR1 but no more of it"), @"error: ./t.parquet: the Parquet file is damaged or cut off: Invalid Parquet file. Corrupt footer");
    assert_snapshot!(said("t.xls", b"at,key\n1,a\n"), @"
    error: job.toml:1:25: source.trace.path: found t.xls; allowed: a name that ends in .csv, .jsonl, .ndjson, .json or .parquet, or `format` beside it
      |
    1 | source.trace = { path = 't.xls', time = 'at', key = 'key' }
      |                         ^^^^^^^
    ");
    let place = over_trace("t.csv", "at,key\n1,2\n");
    assert_snapshot!(said_of_trace(&place, "check job.toml --set source.trace.path=none.csv"), @"error: ./none.csv: there is no such file");
    assert_snapshot!(said_of_trace(&place, "check job.toml --set source.trace.path=."), @"error: job.toml with `--set source.trace.path=.`: source.trace.path: found .; allowed: a name that ends in .csv, .jsonl, .ndjson, .json or .parquet, or `format` beside it");
    assert_snapshot!(said_of_trace(&place, "check job.toml --set keys.cardinality=5"), @"error: job.toml with `--set keys.cardinality=5`: keys: found settings of generated keys; allowed: only `type`: a trace brings its own keys");
    assert_snapshot!(said_of_trace(&place, "check job.toml --set operator=mix"), @"error: job.toml with `--set operator=mix`: operator.mix: found shares that sum to 0; allowed: shares that sum to 1, such as those of a `preset`");
}

#[test]
fn traces_that_are_wrong_somewhere_within() {
    let said = |content: &str| {
        let ran = said_of_trace(&over_trace("t.csv", content), "run job.toml -q");
        // Which trial met it first is up to the seed.
        ran.replace("rocksdb", "CONFIGURATION").replace("heap", "CONFIGURATION")
    };
    let good: String = (0..9_000).fold("at,key\n".to_owned(), |mut text, row| {
        let _ = writeln!(text, "{row},{row}");
        text
    });
    assert_snapshot!(said(&format!("{good}soon,5\n")), @"
    CONFIGURATION repeat 1/1: failed: ./t.csv: row 9001 (line 9002), column `at`: found `soon`; allowed: epoch milliseconds, or a time such as 2001-01-31 23:59:59.999 or 2001-01-31T23:59:59Z
    error: CONFIGURATION: ./t.csv: row 9001 (line 9002), column `at`: found `soon`; allowed: epoch milliseconds, or a time such as 2001-01-31 23:59:59.999 or 2001-01-31T23:59:59Z
    ");
    assert_snapshot!(said(&format!("{good}9000,many\n")), @r#"
    CONFIGURATION repeat 1/1: failed: ./t.csv: event 9001: found the key `many`; allowed: an integer of 64 bits, or `keys.type = "string"` in the workload
    error: CONFIGURATION: ./t.csv: event 9001: found the key `many`; allowed: an integer of 64 bits, or `keys.type = "string"` in the workload
    "#);
    assert_snapshot!(said(&format!("{good}8000,5\n")), @"
    CONFIGURATION repeat 1/1: failed: ./t.csv: row 9001 (line 9002): time runs backwards by 999 ms; `disorder` allows 0 ms
    error: CONFIGURATION: ./t.csv: row 9001 (line 9002): time runs backwards by 999 ms; `disorder` allows 0 ms
    ");
    assert_snapshot!(said(&format!("{good}9000\n")), @"
    CONFIGURATION repeat 1/1: failed: ./t.csv: row 9001 (line 9002): 1 fields where the header has 2
    error: CONFIGURATION: ./t.csv: row 9001 (line 9002): 1 fields where the header has 2
    ");
    assert_snapshot!(said("at,key\n"), @"
    CONFIGURATION repeat 1/1: failed: ./t.csv: there are no rows to replay (0 were left out because a mapped column is empty)
    error: CONFIGURATION: ./t.csv: there are no rows to replay (0 were left out because a mapped column is empty)
    ");
    let all_warm_up = over_trace("t.csv", &good);
    let err = said_of_trace(&all_warm_up, "run job.toml -q --set run.warm-up=1_000_000");
    assert_snapshot!(err.replace("rocksdb", "CONFIGURATION").replace("heap", "CONFIGURATION"), @"
    CONFIGURATION repeat 1/1: failed: the warm-up takes all 9000 events of the trace, so none is left to measure; `run.warm-up` must be smaller
    error: CONFIGURATION: the warm-up takes all 9000 events of the trace, so none is left to measure; `run.warm-up` must be smaller
    ");
}

/// A Parquet file of the columns `at` and `key`.
fn parquet(rows: i64) -> Vec<u8> {
    let schema = parse_message_type("message event { required int64 at; required binary key (STRING); }").unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let times: Vec<i64> = (0..rows).collect();
    let keys: Vec<ByteArray> = (0..rows).map(|row| format!("{}", row % 50).into_bytes().into()).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&times, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&keys, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_parquet_trace_runs_and_a_truncated_one_is_refused() {
    let whole = parquet(20_000);
    let place = over_trace("t.parquet", &whole);
    place.statebench("run job.toml -q -o r.json").ok();
    let result = place.result("r.json");
    assert!(result.all_agree());
    assert_eq!(super::measured(&result, "rocksdb").state.count, 50);
    for length in [0, 4, 12, whole.len() / 2, whole.len() - 1] {
        let message = said_of_trace(&over_trace("t.parquet", &whole[..length]), "run job.toml");
        assert!(message.starts_with("error: ./t.parquet: the "), "{message}");
    }
    // The footer is whole, the data is not.
    let mut damaged = whole.clone();
    damaged[200..2_000].fill(0xff);
    let message = said_of_trace(&over_trace("t.parquet", &damaged), "run job.toml -q");
    assert!(message.contains("t.parquet: "), "{message}");
}

#[test]
fn time_and_states_that_cannot_be() {
    assert_snapshot!(said("[time]\nscale = 0\n"), @"
    error: job.toml:2:9: time.scale: found 0; allowed: 0.000001 to 1000000000
      |
    2 | scale = 0
      |         ^
    ");
    assert_snapshot!(said("[time]\nwatermark-interval = 0\n"), @"
    error: job.toml:2:22: time.watermark-interval: found 0 ns; allowed: 1 ms to 36600 d
      |
    2 | watermark-interval = 0
      |                      ^
    ");
    assert_snapshot!(said("[states.count.ttl]\ntime = '0 s'\n"), @"
    error: job.toml:2:8: states.count.ttl.time: found 0 ns; allowed: 1 ms or more: Flink refuses a TTL that is not positive
      |
    2 | time = '0 s'
      |        ^^^^^
    ");
    assert_snapshot!(said("[states.count.ttl]\ntime = -5\n"), @"
    error: job.toml:2:8: states.count.ttl.time: `-5` is negative
      |
    2 | time = -5
      |        ^^
    ");
    assert_snapshot!(said("[states.counts.ttl]\ntime = '1 h'\n"), @"
    error: job.toml:1:9: states.counts: found the state `counts`; allowed: the operator's states: count; did you mean `count`?
      |
    1 | [states.counts.ttl]
      |         ^^^^^^
    ");
    assert_snapshot!(said("[states.count.ttl]\ntime = '1 h'\ncleanup = 'incremental'\n"), @"
    error: job.toml:3:11: states.count.ttl.cleanup: found a strategy that configuration `rocksdb` does not have; allowed: `default`, or a strategy of every backend: RocksDB has no incremental clean-up: Flink takes the setting and nothing is ever removed by it; `compaction-filter` is RocksDB's strategy
      |
    3 | cleanup = 'incremental'
      |           ^^^^^^^^^^^^^
    ");
    assert_snapshot!(said("[states.count.ttl]\ntime = '1 h'\ncleanup = 'compaction-filter'\n"), @"
    error: job.toml:3:11: states.count.ttl.cleanup: found a strategy that configuration `heap` does not have; allowed: `default`, or a strategy of every backend: the heap has no compactions: Flink takes the setting and nothing is ever removed by it; `incremental` is the heap's strategy
      |
    3 | cleanup = 'compaction-filter'
      |           ^^^^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(said("[states.count.ttl]\ntime = '1 h'\nupdate-type = 'OnRead'\n"), @"
    error: job.toml:3:15: states.count.ttl.update-type: unknown name `OnRead`, expected one of `Disabled`, `OnCreateAndWrite`, `OnReadAndWrite`
      |
    3 | update-type = 'OnRead'
      |               ^^^^^^^^
    ");
    assert_snapshot!(said("run.prefill-by = 'ingest'\n[states.count.ttl]\ntime = '1 h'\n"), @r#"
    error: job.toml:1:18: run.prefill-by: found "ingest"; allowed: "puts" where states have a TTL: what is ingested has no times
      |
    1 | run.prefill-by = 'ingest'
      |                  ^^^^^^^^
    "#);
}

#[test]
fn pipelines_that_lead_nowhere() {
    let two = |first: &str, second: &str| {
        format!(
            "[[pipeline]]\nname = 'a'\noperator = 'counter'\n{first}\n[[pipeline]]\nname = 'b'\noperator = 'counter'\n{second}\n"
        )
    };
    assert_snapshot!(said(two("input = 'b'", "input = 'a'")), @"
    error: job.toml:4:9: pipeline[0].input: found `a`, which only comes round to itself; allowed: inputs that lead back to `source`, without a cycle
      |
    4 | input = 'b'
      |         ^^^
    ");
    assert_snapshot!(said(two("", "input = 'aa'")), @"
    error: job.toml:8:9: pipeline[1].input: found `aa`, which is no operator; allowed: one of a, b, source; did you mean `a`?
      |
    8 | input = 'aa'
      |         ^^^^
    ");
    assert_snapshot!(said(two("", "operator2 = 1")), @"
    error: job.toml:8:1: pipeline[1].operator2: unknown key `operator2`, expected one of `name`, `input`, `key`, `operator`, `states`
      |
    8 | operator2 = 1
      | ^^^^^^^^^
    help: did you mean `operator`?
    ");
    assert_snapshot!(said(two("", "").replace("'b'\noperator = 'counter'", "'b'\noperator = 'countre'")), @"
    error: job.toml:7:12: pipeline[1].operator: unknown name `countre`, expected one of `counter`, `reduce`, `aggregate`, `list-buffer`, `map`, `value-of-map`, `tumbling-window`, `sliding-window`, `session-window`, `changelog-join`, `running-total`, `mix`, `deduplicate`, `regular-join`, `top-n`, `interval-join`, `temporal-join`, `continuous-join`, `broadcast-rules`, `source-offsets`
      |
    7 | operator = 'countre'
      |            ^^^^^^^^^
    help: did you mean `counter`?
    ");
    assert_snapshot!(said(format!("operator = 'reduce'\n{}", two("", ""))), @"
    error: job.toml:1:1: operator: found `reduce`; allowed: nothing beside `pipeline`, whose operators say it
      |
    1 | operator = 'reduce'
      | ^^^^^^^^
    ");
}
