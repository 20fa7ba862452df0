# Sourced by the other scripts: makes this machine able to build statebench.
#
# Installs what is missing (libclang, which RocksDB's bindings are generated with), compiles RocksDB once and
# keeps its static library under a name that carries its version, so that later builds, in any profile, link it
# instead of compiling it again. A plain `cargo build` goes on building RocksDB from source.

cache=${STATEBENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/statebench}
mkdir -p "$cache"

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 3; }

need_rust() {
    command -v cargo >/dev/null || die "cargo is missing: install Rust (https://rustup.rs)"
    command -v c++ >/dev/null || die "a C++ compiler is missing: apt-get install g++"
}

# bindgen needs libclang. Order: what the user names, what the system has, the wheel of the Python package index.
need_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return
    ldconfig -p 2>/dev/null | grep -q 'libclang[-.0-9]*\.so' && return
    compgen -G '/usr/lib/llvm-*/lib/libclang.so*' >/dev/null && return
    compgen -G '/usr/lib/llvm-*/lib/libclang-[0-9]*.so*' >/dev/null && return
    local version=18.1.1 dir
    dir=$cache/libclang-$version
    if [ ! -e "$dir/clang/native/libclang.so" ]; then
        say "installing libclang $version into $dir"
        rm -rf "$dir"
        python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$dir" "libclang==$version" >&2 ||
            die "libclang is missing and could not be installed: apt-get install libclang-dev"
    fi
    # The wheel carries the library without the compiler's own headers; gcc's serve.
    export LIBCLANG_PATH=$dir/clang/native
    export BINDGEN_EXTRA_CLANG_ARGS="-isystem $(gcc -print-file-name=include)"
}

# Builds librocksdb.a and libsnappy.a once for the locked version of librocksdb-sys and points the build at them.
need_rocksdb() {
    local version dir
    version=$(sed -n '/^name = "librocksdb-sys"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
    [ -n "$version" ] || die "Cargo.lock names no librocksdb-sys"
    dir=$cache/rocksdb-$version-lz4-snappy-zstd-$(uname -m)
    if [ ! -e "$dir/complete" ]; then
        # Two scripts at the same time: the second waits, and finds what the first has built.
        (flock 9 && build_rocksdb "$version" "$dir") 9>"$cache/lock" || die "RocksDB's archive could not be made"
    fi
    export ROCKSDB_LIB_DIR=$dir ROCKSDB_STATIC=1 SNAPPY_LIB_DIR=$dir SNAPPY_STATIC=1
}

# Compiles RocksDB into a folder of its own, which takes its name only when it is complete.
build_rocksdb() {
    local version=$1 dir=$2 build=$cache/build-$1 archive
    [ ! -e "$dir/complete" ] || return 0
    say "compiling RocksDB $version once (about 15 minutes on two cores); it is kept in $dir"
    cargo build --locked --release --target-dir "$build" -p librocksdb-sys >&2 || return 1
    archive=$(find "$build/release/build" -name librocksdb.a -print -quit)
    [ -n "$archive" ] || return 1
    rm -rf "$dir" "$dir.new"
    mkdir -p "$dir.new"
    cp "$archive" "$(dirname "$archive")/libsnappy.a" "$dir.new/" || return 1
    touch "$dir.new/complete"
    mv "$dir.new" "$dir"
    rm -rf "$build"
}

need_rust
need_libclang
need_rocksdb
