//! Where and with what a result was measured.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sysinfo::{Disks, System};

/// The circumstances of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// When the run began, seconds since 1970.
    pub started_epoch_s: u64,
    /// The machine. Neither its name nor the user's is kept.
    pub host: Host,
    /// The program.
    pub build: BuildInfo,
    /// The seed of the run (configured).
    pub seed: u64,
    /// Whether the run was shrunk by `--quick`: a check that it works, not a measurement.
    pub quick: bool,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Operating system.
    pub os: String,
    /// Version of the kernel.
    pub kernel: String,
    /// Model of the CPU.
    pub cpu: String,
    /// Cores that the process may use.
    pub cores: usize,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// File system of the state directory.
    pub state_file_system: String,
    /// Space left on it, bytes.
    pub state_free_bytes: Option<u64>,
}

/// The program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildInfo {
    /// Version of statebench.
    pub statebench: String,
    /// Version of RocksDB; none where it was built without.
    pub rocksdb: Option<String>,
    /// Build profile: figures of a debug build mean nothing.
    pub profile: String,
    /// Memory allocator of the process, for Rust and for RocksDB.
    pub allocator: String,
    /// Target of the build.
    pub target: String,
}

impl BuildInfo {
    /// Of this program; the version of RocksDB is the caller's to know.
    pub fn of_this_program(rocksdb: Option<&str>) -> Self {
        Self {
            statebench: env!("CARGO_PKG_VERSION").to_owned(),
            rocksdb: rocksdb.map(str::to_owned),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            allocator: "jemalloc".to_owned(),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        }
    }
}

impl Host {
    /// Of this machine, with the file system that holds `state_folder`. What the system does not tell is `unknown`.
    pub fn of_this_machine(state_folder: &Path) -> Self {
        let unknown = || "unknown".to_owned();
        let mut host = Self {
            os: System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned()),
            kernel: System::kernel_version().unwrap_or_else(|_| unknown()),
            cpu: unknown(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: 0,
            state_file_system: unknown(),
            state_free_bytes: None,
        };
        if let Ok(mut system) = System::new() {
            system.refresh_memory();
            system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
            host.memory_bytes = system.total_memory();
            host.cpu = system.cpus().first().map_or_else(unknown, |cpu| cpu.brand().to_owned());
        }
        if let Some((kind, free)) = file_system_of(state_folder) {
            host.state_file_system = kind;
            host.state_free_bytes = Some(free);
        }
        host
    }

    /// Memory that is free for a trial now, bytes; none where the system does not tell.
    pub fn available_memory_bytes() -> Option<u64> {
        let mut system = System::new().ok()?;
        system.refresh_memory();
        Some(system.available_memory())
    }
}

/// Kind of the file system that holds a folder, and the space left on it, bytes.
fn file_system_of(folder: &Path) -> Option<(String, u64)> {
    let folder = folder.canonicalize().ok()?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    let holding = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    let disk = holding.max_by_key(|disk| disk.mount_point().as_os_str().len())?;
    Some((disk.file_system().to_string_lossy().into_owned(), disk.available_space()))
}
