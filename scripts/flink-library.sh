#!/usr/bin/env bash
# Does Flink compute what statebench computes? Runs every workload of the library, shrunk, here and on one session cluster of a real
# Flink, at several parallelisms, and writes a table of what is equal and of what is not comparable and why.
#
# usage: scripts/flink-library.sh [--flink-home DIR] [--binary FILE] [--output FILE] [--parallelism N]... [WORKLOAD]...
#
#   --flink-home DIR   a Flink, 1.20 or 2.3 (default: the one that scripts/flink.sh fetches)
#   --binary FILE      this statebench instead of one that is built here
#   --output FILE      the table (default: reports/validation/flink-digests.md)
#   --parallelism N    1, 2 and 4 where none is given
#
# Exits with 1 where a digest differs or a job fails.
set -euo pipefail
cd "$(dirname "$0")/.."

home= binary= output=reports/validation/flink-digests.md parallelisms=() workloads=()
fail() { printf 'error: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --flink-home | --binary | --output | --parallelism) [ $# -ge 2 ] || fail "$1 needs a value" ;;
        -*) fail "unknown argument $1; the head of scripts/flink-library.sh lists them" ;;
        *) workloads+=("$1"); shift; continue ;;
    esac
    case $1 in
        --flink-home) home=$2 ;;
        --binary) binary=$2 ;;
        --output) output=$2 ;;
        --parallelism) parallelisms+=("$2") ;;
    esac
    shift 2
done
[ ${#parallelisms[@]} -gt 0 ] || parallelisms=(1 2 4)
[ ${#workloads[@]} -gt 0 ] || workloads=(workloads/*.toml workloads/flink-measured/*.toml)
[ -n "$home" ] || home=$(scripts/flink.sh)
if [ -z "$binary" ]; then
    . scripts/toolchain.sh
    cargo build --locked --release
    binary=target/release/statebench
fi

work=$(mktemp -d)
mkdir "$work/conf" "$work/tmp"
cp "$home"/conf/*.properties "$work/conf/"
cp "$home/conf/masters" "$home/conf/workers" "$work/conf/"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
rpc=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/conf/config.yaml" <<YAML
jobmanager.rpc.address: 127.0.0.1
jobmanager.bind-host: 127.0.0.1
jobmanager.rpc.port: $rpc
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: $port
taskmanager.bind-host: 127.0.0.1
taskmanager.host: 127.0.0.1
taskmanager.numberOfTaskSlots: 4
taskmanager.memory.process.size: 4 gb
taskmanager.memory.jvm-metaspace.size: 512 mb
jobmanager.memory.process.size: 1600 mb
io.tmp.dirs: $work/tmp
execution.checkpointing.dir: file://$work/checkpoints
env.java.opts.all: --add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/java.time=ALL-UNNAMED --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED
YAML
export FLINK_CONF_DIR=$work/conf FLINK_LOG_DIR=$work FLINK_PID_DIR=$work
ended() {
    "$home/bin/stop-cluster.sh" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap ended EXIT
"$home/bin/start-cluster.sh" >/dev/null
for ((i = 0; i < 90; i++)); do
    ! python3 -c "import urllib.request as u; print(u.urlopen('http://127.0.0.1:$port/overview').read().decode())" 2>/dev/null |
        grep -q '"slots-total":4' || break
    sleep 1
done

equal=0 incomparable=0 differing=0
rows=$work/rows
for workload in "${workloads[@]}"; do
    row="| $workload |"
    for parallelism in "${parallelisms[@]}"; do
        events=()
        ! grep -q '^duration' "$workload" || events=(--events 30000)
        code=0
        said=$("$binary" flink run "$workload" --quick --quiet --force --output "$work/result.json" --parallelism "$parallelism" \
            --flink-home "$home" --jobmanager "http://127.0.0.1:$port" ${events[@]+"${events[@]}"} 2>&1 >/dev/null) || code=$?
        case $code in
            0) row+=" equal |" equal=$((equal + 1)) ;;
            5) row+=" not comparable: ${said##*: } |" incomparable=$((incomparable + 1)) ;;
            *) row+=" DIFFERS or failed ($code): ${said##*$'\n'} |" differing=$((differing + 1)) ;;
        esac
    done
    printf '%s\n' "$row" | tee -a "$rows" >&2
done
{
    printf '# Digests of statebench and of Flink\n\n'
    printf 'Every workload of the library, shrunk by `--quick`, on every configuration of it: what statebench and Apache Flink %s have emitted.\n' \
        "$(basename "$home"/lib/flink-dist-*.jar .jar | sed 's/flink-dist-//')"
    printf 'Written by `scripts/flink-library.sh`: %s equal, %s not comparable, %s other.\n\n' "$equal" "$incomparable" "$differing"
    printf '| workload |'; printf ' parallelism %s |' "${parallelisms[@]}"
    printf '\n| --- |'; printf ' --- |%.0s' "${parallelisms[@]}"
    printf '\n'
    cat "$rows"
} >"$output"
[ "$differing" -eq 0 ]
