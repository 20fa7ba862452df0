#!/usr/bin/env bash
# Makes reports/gallery: pages of real runs, and pictures of them. Runs are short, so that the gallery can be made anew in minutes;
# nothing else should run meanwhile. Arguments name the runs to make again; all where none is named.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh
cargo build --locked --release
folder=reports/gallery
results=${STATEBENCH_GALLERY_RESULTS:-$folder/results}
mkdir -p "$folder" "$results"

# A run, its page, and pictures of some of its charts: NAME WORKLOAD "CHARTS" OPTIONS…
gallery() {
    local name=$1 workload=$2 charts=$3 chart result
    shift 3
    if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then return 0; fi
    result=$results/$name.result.json
    say "$name"
    target/release/statebench run "workloads/$workload.toml" --force --quiet --output "$result" "$@" >/dev/null
    target/release/statebench report "$result" --force --reproducible --output "$folder/$name.html"
    for chart in $charts; do
        target/release/statebench chart "$result" --force --chart "$chart" --output "$folder/$name-$chart.svg"
    done
}

wanted=("$@")
gallery flights-by-route flights-by-route "overview percentiles"
gallery cdc-orders cdc-orders "throughput heat" --repeats 2
gallery sweep-managed-memory sweep-managed-memory "knobs" --repeats 2 --set "run.duration=2 s"
gallery ttl-cleanup ttl-cleanup "growth" --repeats 1
gallery checkpoint-churn checkpoint-churn "checkpoints" --repeats 1
