#!/usr/bin/env bash
# Installs what is missing and runs every test. Arguments go to the test runner.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh
python3 -B -m unittest discover -q -s scripts -p '*_test.py'
cargo test --locked --lib --bins --tests "$@"
scripts/browser.sh
