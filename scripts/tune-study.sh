#!/usr/bin/env bash
# How close does `statebench tune` come to the best setting, with a part of the trials? Measures every cell of three grids five times
# (workloads/tuning: 216, 216 and 240 cells, about an hour and a half), keeps the trials as CSV, and replays searches over them with
# many seeds, which takes a minute.
#
# usage: scripts/tune-study.sh [--output DIR] [--seeds N] [--binary FILE] [--measure-only] [--replay-only] [--quick]
#
#   --output DIR    where the trials are kept (default: reports/tuning)
#   --seeds N       seeds of each replayed search (default: 40)
#   --binary FILE   this statebench instead of one that is built here, to measure with
#   --measure-only  measure what is missing, and replay nothing
#   --replay-only   replay what is there
#   --quick         one repeat of shrunken grids, kept in DIR/quick, to see that everything works; nothing is replayed
#
# A repeat of a grid that is there is not measured again: an interrupted study goes on where it was. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

output=reports/tuning
seeds=40
binary=
measure=1 replay=1 quick=
fail() { printf 'error: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --measure-only) replay=; shift; continue ;;
        --replay-only) measure=; shift; continue ;;
        --quick) quick=1 replay=; shift; continue ;;
        --output | --seeds | --binary) [ $# -ge 2 ] || fail "$1 needs a value" ;;
        *) fail "unknown argument $1; the head of scripts/tune-study.sh lists them" ;;
    esac
    case $1 in
        --output) output=$2 ;;
        --seeds) seeds=$2 ;;
        --binary) binary=$2 ;;
    esac
    shift 2
done
[[ $seeds =~ ^[0-9]+$ ]] || fail "--seeds needs a number, found $seeds"
if [ -z "$binary" ] || [ -n "$replay" ]; then . scripts/toolchain.sh; fi
if [ -n "$measure" ] && [ -z "$binary" ]; then
    say "building statebench"
    cargo build --locked --release
    binary=target/release/statebench
fi
repeats=5 options=()
if [ -n "$quick" ]; then output=$output/quick repeats=1 options=(--quick); fi
mkdir -p "$output/repeats"

# All grids in turn: a study that is stopped has some repeats of each. The seed of a repeat gives it events of its own.
if [ -n "$measure" ]; then
    for ((repeat = 1; repeat <= repeats; repeat++)); do
        for grid in updates lookups map-entries; do
            csv=$output/repeats/$grid.$repeat.csv
            [ ! -e "$csv" ] || continue
            printf '==> %s, repeat %s of %s\n' "$grid" "$repeat" "$repeats" >&2
            partial=$output/.partial
            "$binary" run "workloads/tuning/$grid.toml" --quiet --force --repeats 1 --seed "$repeat" \
                --output "$partial.result.json" ${options[@]+"${options[@]}"} >/dev/null
            "$binary" show --runs "$partial.result.json" >"$partial.csv"
            mv "$partial.csv" "$csv"
            rm "$partial.result.json"
        done
    done
fi

# One file a grid, with the columns that searches look at.
python3 -B - "$output" "$repeats" <<'PYTHON'
import csv, pathlib, sys
folder, repeats = pathlib.Path(sys.argv[1]), int(sys.argv[2])
columns = ["configuration", "took_s", "throughput_typical_events_per_s", "latency_p50_ns", "latency_p99_ns", "resident_peak_bytes"]
for grid in ["updates", "lookups", "map-entries"]:
    parts = [folder / "repeats" / f"{grid}.{repeat}.csv" for repeat in range(1, repeats + 1)]
    if not all(part.exists() for part in parts):
        continue
    with (folder / f"{grid}.csv").open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["repeat", *columns])
        for repeat, part in enumerate(parts, 1):
            with part.open(newline="") as rows:
                for row in csv.DictReader(rows):
                    value = lambda name: row[name] if name == "configuration" or not row[name] else f"{float(row[name]):.6g}"
                    writer.writerow([repeat, *(value(name) for name in columns)])
PYTHON
if [ -n "$replay" ]; then
    cargo run --locked --release --quiet --example tune_study -- --seeds "$seeds" "$output" | tee "$output/.study"
    {
        printf '# How close a search comes\n\n'
        printf 'Every cell of three grids (workloads/tuning) was measured five times; the trials are beside this page. Searches are replayed\n'
        printf 'over them with %s seeds, each with 15 %% of all trials of the grid. What a cell is worth is the median of its trials.\n\n' "$seeds"
        cat "$output/.study"
    } >"$output/study.md"
    rm "$output/.study"
fi
