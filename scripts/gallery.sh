#!/usr/bin/env bash
# Makes reports/gallery: pages of real runs, and pictures of them. Runs are short, so that the gallery can be made anew in minutes;
# nothing else should run meanwhile.
#
# usage: scripts/gallery.sh [--binary FILE] [NAME]...
#
#   --binary FILE   this statebench instead of one that is built here
#   NAME            the runs to make again: flights-by-route, cdc-orders, … (all where none is named)
set -euo pipefail
cd "$(dirname "$0")/.."
binary=
if [ "${1:-}" = --binary ]; then
    [ $# -ge 2 ] || { printf 'error: --binary needs a file\n' >&2; exit 2; }
    binary=$2
    shift 2
fi
. scripts/toolchain.sh
if [ -z "$binary" ]; then
    cargo build --locked --release
    binary=target/release/statebench
fi
folder=reports/gallery
results=${STATEBENCH_GALLERY_RESULTS:-$folder/results}
mkdir -p "$folder" "$results"

# A run, its page, and pictures of some of its charts: NAME "CHARTS" OPTIONS…
gallery() {
    local name=$1 charts=$2 chart result
    shift 2
    if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then return 0; fi
    result=$results/$name.result.json
    say "$name"
    "$binary" run "workloads/$name.toml" --force --quiet --output "$result" "$@" >/dev/null
    "$binary" report "$result" --force --reproducible --output "$folder/$name.html"
    for chart in $charts; do
        "$binary" chart "$result" --force --chart "$chart" --output "$folder/$name-$chart.svg"
    done
}

wanted=("$@")
gallery flights-by-route "overview percentiles"
gallery cdc-orders "throughput heat" --repeats 2
gallery sweep-managed-memory "knobs" --repeats 2 --set "run.duration=2 s"
gallery ttl-cleanup "growth" --repeats 1
gallery checkpoint-churn "checkpoints" --repeats 1
gallery latency-open-loop "gc"
