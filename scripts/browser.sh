#!/usr/bin/env bash
# Opens pages of `statebench report` in Debian's Chromium and uses them as a reader would. Installs what is missing: the browser, and
# axe-core, which finds what people with a screen reader would stumble over. $STATEBENCH_CHROMIUM names another browser.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

# Chromium, or Chrome, from the PATH; else from Debian.
need_chromium() {
    local name
    [ -z "${STATEBENCH_CHROMIUM:-}" ] || return 0
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$name" >/dev/null; then export STATEBENCH_CHROMIUM=$name && return; fi
    done
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] ||
        die "the pages cannot be tested: Chromium is missing and only root can install it (apt-get install chromium)"
    say "installing Chromium"
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >&2 ||
        die "the pages cannot be tested: Chromium could not be installed (apt-get install chromium)"
    export STATEBENCH_CHROMIUM=chromium
}

# axe-core 4.12 (MPL-2.0), out of a Python package that carries it unchanged; pinned by its hash.
need_axe() {
    local version=0.1.8 hash=fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8 dir wheel
    dir=$cache/axe-$version
    export STATEBENCH_AXE=$dir/axe.min.js
    [ ! -e "$STATEBENCH_AXE" ] || return 0
    say "fetching axe-core into $dir"
    rm -rf "$dir" "$dir.new"
    mkdir -p "$dir.new"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$dir.new" \
        "axe-playwright-python==$version" >&2 || die "the pages cannot be tested: axe-core could not be fetched from the Python package index"
    wheel=$(echo "$dir.new"/*.whl)
    echo "$hash  $wheel" | sha256sum --check --quiet >&2 || die "axe-core is not what it was: $wheel has another hash"
    python3 -c 'import sys, zipfile; open(sys.argv[2], "wb").write(zipfile.ZipFile(sys.argv[1]).read("axe_playwright_python/axe.min.js"))' \
        "$wheel" "$dir.new/axe.min.js"
    mv "$dir.new" "$dir"
}

need_chromium
need_axe
cargo test --locked --lib --quiet -- pages_for_the_browser >&2
python3 -B -m unittest discover -q -s tests/browser -p '*_test.py'
