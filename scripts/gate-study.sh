#!/usr/bin/env bash
# Studies the gate on this machine: many gates in which nothing changed, and many in which the operator really is slower by
# 3, 5 and 10 %. Prints how often it is red, how many pairs and seconds a gate takes, and how often it would have been red with
# the sides of its unchanged pairs swapped at random. Keeps the metrics of every trial as CSV, to try other rules on.
#
# usage: scripts/gate-study.sh [--output DIR] [--gates N] [--power-gates N] [--configuration NAME]... [--budget TIME]
#                              [--workload FILE] [--binary FILE] [--quick]
#
#   --output DIR          where everything is kept (default: reports/gate-study)
#   --gates N             gates of each configuration in which nothing changed (default: 60)
#   --power-gates N       gates of each configuration and slowdown (default: 20)
#   --configuration NAME  heap and rocksdb where none is named
#   --budget TIME         time that one gate may take (default: 3min)
#   --workload FILE       another workload than scripts/gate-study.toml
#   --binary FILE         this statebench instead of one that is built here
#   --quick               one gate of two configurations and two slowdowns with a few pairs of short trials, to see that
#                         everything works; kept in DIR/quick
#
# A gate that is there is not run again: an interrupted study goes on where it was. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

output=reports/gate-study
gates=60
power_gates=20
budget=3min
workload=scripts/gate-study.toml
configurations=()
slowdowns=(3 5 10)
options=()
binary=
quick=
fail() { printf 'error: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=1; shift; continue ;;
        --output | --gates | --power-gates | --configuration | --budget | --workload | --binary)
            [ $# -ge 2 ] || fail "$1 needs a value" ;;
        *) fail "unknown argument $1; the head of scripts/gate-study.sh lists them" ;;
    esac
    case $1 in
        --output) output=$2 ;;
        --gates) gates=$2 ;;
        --power-gates) power_gates=$2 ;;
        --configuration) configurations+=("$2") ;;
        --budget) budget=$2 ;;
        --workload) workload=$2 ;;
        --binary) binary=$2 ;;
    esac
    shift 2
done
for number in "$gates" "$power_gates"; do
    [[ $number =~ ^[0-9]+$ ]] || fail "--gates and --power-gates need a number, found $number"
done
[ ${#configurations[@]} -gt 0 ] || configurations=(heap rocksdb)
if [ -n "$quick" ]; then
    output=$output/quick
    gates=1 power_gates=1 slowdowns=(10)
    options=(--max-pairs 14 --set run.events=200000)
fi
if [ -z "$binary" ]; then
    . scripts/toolchain.sh
    say "building statebench"
    cargo build --locked --release
    binary=target/release/statebench
fi
mkdir -p "$output"

# One gate: exit codes 0 (not red) and 1 (red) are answers.
gate() {
    local configuration=$1 slowdown=$2 number=$3
    local name=$configuration.$slowdown.$number
    [ ! -e "$output/$name.json" ] || return 0
    printf '==> %s slowed down by %s %%, gate %s\n' "$configuration" "$slowdown" "$number" >&2
    local partial=$output/.partial status=0 size=()
    # Trials of both backends are to be about as long: short ones, so that the two of a pair see the same minute of the machine.
    [ "$configuration" != rocksdb ] || size=(--set run.events=100000)
    # Another seed gives other events: the study is not about one sequence of keys.
    "$binary" ab "$workload" --quiet --force --output "$partial.result.json" --configuration "$configuration" \
        --handicap "$slowdown%" --seed "$number" --budget "$budget" --format json ${size[@]+"${size[@]}"} ${options[@]+"${options[@]}"} \
        >"$partial.json" || status=$?
    case $status in
        0 | 1) ;;
        130) exit 130 ;;
        *) fail "$name ended with exit code $status" ;;
    esac
    "$binary" show --runs "$partial.result.json" >"$output/$name.csv"
    # The false alarms of other draws are computed from unchanged pairs; of the others the metrics are enough.
    if [ "$slowdown" = 0 ]; then mv "$partial.result.json" "$output/$name.result.json"; else rm "$partial.result.json"; fi
    mv "$partial.json" "$output/$name.json"
}

# All kinds of gates in turn: a study that is stopped has some of each.
for ((number = 1; number <= gates || number <= power_gates; number++)); do
    for configuration in "${configurations[@]}"; do
        [ "$number" -gt "$gates" ] || gate "$configuration" 0 "$number"
        for slowdown in "${slowdowns[@]}"; do
            [ "$number" -gt "$power_gates" ] || gate "$configuration" "$slowdown" "$number"
        done
    done
done

python3 -B scripts/gate_study.py "$output" >"$output/.study.md"
shopt -s nullglob
for configuration in "${configurations[@]}"; do
    from=()
    for result in "$output/$configuration".0.*.result.json; do from+=(--from "$result"); done
    [ ${#from[@]} -gt 0 ] || continue
    # Each of the results is a session of its own.
    printf '\n```text\n%s\n```\n' "$("$binary" calibrate --dry-run --dir "$output" "${from[@]}")" >>"$output/.study.md"
done
mv "$output/.study.md" "$output/study.md"
cat "$output/study.md"
