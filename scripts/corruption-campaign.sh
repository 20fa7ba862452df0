#!/usr/bin/env bash
# Builds the program and runs the corruption campaign against its checkpoints; see scripts/campaign.py. Options go to it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh
cargo build --locked --release
python3 -B scripts/campaign.py corruption "${CARGO_TARGET_DIR:-target}/release/statebench" "$@"
