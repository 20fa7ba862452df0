#!/usr/bin/env bash
# Runs the workloads that were measured on Flink (workloads/flink-measured) and prints both sides, as Markdown.
#
# usage: scripts/fidelity.sh [--output DIR] [--only NAME]... [--repeats N] [--quick] [--binary FILE] [-- OPTION...]
#
#   --output DIR    where results are kept and fidelity.md is written (default: reports/validation/runs)
#   --only NAME     only this workload, such as value-rmw-uni; may be given more than once
#   --repeats N     trials of each configuration (the files say 9)
#   --quick         seconds instead of hours, to see that everything works; kept in DIR/quick
#   --binary FILE   this statebench instead of one that is built here
#   -- OPTION...    further options of `statebench run`, such as --set run.duration=1s
#
# A workload whose result exists is not run again: an interrupted comparison goes on where it was. All of it takes some
# two hours; nothing else should run.
set -euo pipefail
cd "$(dirname "$0")/.."

output=reports/validation/runs
binary=
only=()
options=()
quick=
fail() { printf 'error: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=1; shift; continue ;;
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
for file in "${files[@]}"; do
    name=$(basename "$file" .toml)
    result=$output/$name.result.json
    if [ -e "$result" ]; then
        printf '==> %s exists\n' "$result" >&2
        continue
    fi
    printf '==> %s\n' "$file" >&2
    # Under another name until it is whole: a part of a result must not pass for one.
    partial=$output/.$name.partial.result.json
    status=0
    "$binary" run "$file" --force --output "$partial" ${options[@]+"${options[@]}"} >"$output/$name.txt" || status=$?
    case $status in
        0) mv "$partial" "$result" ;;
        130) exit 130 ;;
        *) printf 'error: %s ended with exit code %d\n' "$file" "$status" >&2; failed=$status ;;
    esac
done

shopt -s nullglob
results=("$output"/*.result.json)
[ ${#results[@]} -gt 0 ] || exit "$failed"
python3 -B scripts/fidelity.py reports/validation/flink-measured.csv "${results[@]}" >"$output/.fidelity.md"
mv "$output/.fidelity.md" "$output/fidelity.md"
cat "$output/fidelity.md"
exit "$failed"
