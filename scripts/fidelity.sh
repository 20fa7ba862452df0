#!/usr/bin/env bash
# Runs the workloads that were measured on Flink (workloads/flink-measured) and prints both sides, as Markdown.
#
# usage: scripts/fidelity.sh [--output DIR] [--only NAME]... [--repeats N] [--quick] [--binary FILE] [-- OPTION...]
#
#   --output DIR    where results are kept and fidelity.md is written (default: reports/validation/runs)
#   --only NAME     only this workload, such as value-rmw-uni; may be given more than once
#   --repeats N     trials of each configuration (the files say 9)
#   --bytes         only the bytes of checkpoints and savepoints, which else come last
#   --quick         seconds instead of hours, to see that everything works; kept in DIR/quick
#   --binary FILE   this statebench instead of one that is built here
#   -- OPTION...    further options of `statebench run`, such as --set run.duration=1s
#
# A workload whose result exists is not run again: an interrupted comparison goes on where it was. All of it takes some
# three hours, and the bytes one more; nothing else should run.
set -euo pipefail
cd "$(dirname "$0")/.."

output=reports/validation/runs
binary=
only=()
options=()
quick=
bytes=
fail() { printf 'error: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=1; shift; continue ;;
        --bytes) bytes=1; shift; continue ;;
        --) shift; options+=("$@"); break ;;
        --output | --only | --repeats | --binary) [ $# -ge 2 ] || fail "$1 needs a value" ;;
        *) fail "unknown argument $1; the head of scripts/fidelity.sh lists them" ;;
    esac
    case $1 in
        --output) output=$2 ;;
        --only) only+=("$2") ;;
        --repeats) options+=(--repeats "$2") ;;
        --binary) binary=$2 ;;
    esac
    shift 2
done
if [ -n "$quick" ]; then
    output=$output/quick
    options+=(--quick)
fi

files=(workloads/flink-measured/*.toml)
if [ ${#only[@]} -gt 0 ]; then
    files=("${only[@]/#/workloads/flink-measured/}")
    files=("${files[@]/%/.toml}")
    for file in "${files[@]}"; do
        [ -e "$file" ] || fail "there is no $file"
    done
fi
if [ -z "$binary" ]; then
    . scripts/toolchain.sh
    say "building statebench"
    cargo build --locked --release
    binary=target/release/statebench
fi

mkdir -p "$output"
failed=0

# Runs a workload file into a result, under another name until it is whole: a part of a result must not pass for one.
run() {
    local file=$1 result=$2 name partial status=0
    shift 2
    name=$(basename "$result" .result.json)
    if [ -e "$result" ]; then
        printf '==> %s exists\n' "$result" >&2
        return
    fi
    printf '==> %s\n' "$name" >&2
    partial=$(dirname "$result")/.$name.partial.result.json
    "$binary" run "$file" --force --output "$partial" ${options[@]+"${options[@]}"} "$@" >"${result%.result.json}.txt" || status=$?
    case $status in
        0) mv "$partial" "$result" ;;
        130) exit 130 ;;
        *) printf 'error: %s ended with exit code %d\n' "$file" "$status" >&2; failed=$status ;;
    esac
}

# The first checkpoint and a canonical savepoint behind as many operations as Flink had done by then.
weigh() {
    local workload=$1 config=$2 events=$3 repeats=5 round=4096
    local file=workloads/flink-measured/$workload.toml copy=$output/bytes/$workload.toml
    case " ${files[*]} " in *" $file "*) ;; *) return ;; esac
    [ "$config" != heap ] || repeats=1 # its bytes follow from its content
    [ -z "$quick" ] || events=$round
    mkdir -p "$output/bytes"
    sed -e "s/^duration = .*/events = $((events + 2 * round))/" -e 's/^warm-up = .*/warm-up = 0/' "$file" >"$copy"
    cat >>"$copy" <<EOF

[checkpoint]
every-events = $events
restore-check = false
savepoint = { dir = "savepoints", after-events = $((events + round)) }
EOF
    run "$copy" "$output/bytes/$workload.$config.result.json" --configuration "$config" --repeats "$repeats" \
        --set run.counters=false
    rm -rf "$output/bytes/savepoints" "$copy"
}

if [ -z "$bytes" ]; then
    for file in "${files[@]}"; do
        run "$file" "$output/$(basename "$file" .toml).result.json"
    done
fi
python3 -B scripts/fidelity.py --checkpoint-cells reports/validation/flink-measured.csv >"$output/.cells"
while read -r workload config events <&3; do
    weigh "$workload" "$config" "$events"
done 3<"$output/.cells"
rm "$output/.cells"

shopt -s nullglob
results=("$output"/*.result.json "$output"/bytes/*.result.json)
[ ${#results[@]} -gt 0 ] || exit "$failed"
python3 -B scripts/fidelity.py reports/validation/flink-measured.csv "${results[@]}" >"$output/.fidelity.md"
mv "$output/.fidelity.md" "$output/fidelity.md"
cat "$output/fidelity.md"
exit "$failed"
