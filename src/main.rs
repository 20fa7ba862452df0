//! The `statebench` program: everything is in the library.

use std::process::ExitCode;

// One allocator for Rust and, since it also takes over `malloc`, for RocksDB: the one that Flink's images use.
#[global_allocator]
static ALLOCATOR: statebench::measure::WatchedJemalloc = statebench::measure::WatchedJemalloc;

fn main() -> ExitCode {
    statebench::cli::main()
}
