//! Compiles the C++ files of the RocksDB backend, each of which says what it is for.

const FILES: [&str; 2] = ["src/backend/rocksdb/pool.cc", "src/backend/rocksdb/import.cc"];

fn main() {
    FILES.iter().for_each(|file| println!("cargo:rerun-if-changed={file}"));
    // Told by librocksdb-sys; absent where the feature `rocksdb` is off.
    let Ok(librocksdb) = std::env::var("DEP_ROCKSDB_CARGO_MANIFEST_DIR") else { return };
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .include(format!("{librocksdb}/rocksdb/include"))
        .files(FILES)
        .flag_if_supported("-Wno-unused-parameter")
        .compile("statebench_rocksdb");
}
