#!/usr/bin/env bash
# Installs what is missing, builds statebench and runs the flights workload on both backends.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh
say "building statebench"
cargo build --locked --release
mkdir -p reports/quickstart
say "running workloads/flights-by-route.toml"
target/release/statebench run workloads/flights-by-route.toml --force --output reports/quickstart/flights-by-route.result.json
