#!/usr/bin/env bash
# Installs what is missing and runs every test. Arguments go to the test runner.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh
if [ -z "${STATEBENCH_FLINK_HOME:-}" ]; then
    # Without one the tests that need a real Flink say that they are left out.
    STATEBENCH_FLINK_HOME=$(scripts/flink.sh) || [ -z "${STATEBENCH_NEED_FLINK:-}" ]
    export STATEBENCH_FLINK_HOME
fi
python3 -B -m unittest discover -q -s scripts -p '*_test.py'
cargo test --locked --lib --bins --tests "$@"
scripts/browser.sh
