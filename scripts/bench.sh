#!/usr/bin/env bash
# Runs the benchmarks of the harness beside bare loops and prints a table. Takes some minutes; nothing else should run.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh
cargo bench --locked --bench harness
