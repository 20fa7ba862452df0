//! Compiles the one C++ file of the RocksDB backend: `src/backend/rocksdb/pool.cc` says what it is for.

fn main() {
    println!("cargo:rerun-if-changed=src/backend/rocksdb/pool.cc");
    // Told by librocksdb-sys; absent where the feature `rocksdb` is off.
    let Ok(librocksdb) = std::env::var("DEP_ROCKSDB_CARGO_MANIFEST_DIR") else { return };
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .include(format!("{librocksdb}/rocksdb/include"))
        .file("src/backend/rocksdb/pool.cc")
        .flag_if_supported("-Wno-unused-parameter")
        .compile("statebench_pool");
}
