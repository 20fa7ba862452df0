//! Counters of this process.

/// Resident memory of this process now, and its peak, bytes. Read from `/proc/self/status`; `None` where the system
/// has no such file.
pub fn resident_bytes() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find(|line| line.starts_with(name))?;
        let kib: u64 = line[name.len()..].trim().trim_end_matches(" kB").trim().parse().ok()?;
        Some(kib * 1024)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

/// What this process has taken of the machine so far, all of its threads together, those that have ended too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessTimes {
    /// Processor time outside of the kernel and in it, ns.
    pub user_ns: u64,
    /// See `user_ns`.
    pub system_ns: u64,
    /// Page faults that needed no disk, and those that did.
    pub minor_faults: u64,
    /// See `minor_faults`.
    pub major_faults: u64,
    /// Times that a thread waited, and that one was taken off its processor.
    pub voluntary_switches: u64,
    /// See `voluntary_switches`.
    pub involuntary_switches: u64,
    /// Bytes from and to the device; none where the system does not say (`/proc/self/io`).
    pub device: Option<(u64, u64)>,
}

impl ProcessTimes {
    /// Until now; none where the system does not say (`getrusage`).
    #[cfg(unix)]
    pub fn now() -> Option<Self> {
        use nix::sys::resource::{UsageWho, getrusage};
        use nix::sys::time::TimeValLike;
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        Some(Self {
            user_ns: count(usage.user_time().num_nanoseconds()),
            system_ns: count(usage.system_time().num_nanoseconds()),
            minor_faults: count(usage.minor_page_faults()),
            major_faults: count(usage.major_page_faults()),
            voluntary_switches: count(usage.voluntary_context_switches()),
            involuntary_switches: count(usage.involuntary_context_switches()),
            device: device_bytes(),
        })
    }

    /// No other system is asked.
    #[cfg(not(unix))]
    pub fn now() -> Option<Self> {
        None
    }
}

/// Bytes that this process has had read from the device, and written to it.
#[cfg(unix)]
fn device_bytes() -> Option<(u64, u64)> {
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    let field = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((field("read_bytes:")?, field("write_bytes:")?))
}

/// The largest cache of the first processor, bytes (`/sys/devices/system/cpu`); none where the system does not say.
pub fn cpu_cache_bytes() -> Option<u64> {
    let caches = std::fs::read_dir("/sys/devices/system/cpu/cpu0/cache").ok()?;
    let size = |text: String| Some(text.trim().strip_suffix('K')?.parse::<u64>().ok()? * 1024);
    caches.filter_map(|cache| size(std::fs::read_to_string(cache.ok()?.path().join("size")).ok()?)).max()
}

/// Bytes that this process has allocated and not freed; `None` without an allocator that counts. It takes
/// microseconds: not for hot loops.
pub fn allocated_bytes() -> Option<u64> {
    tikv_jemalloc_ctl::epoch::advance().ok()?;
    tikv_jemalloc_ctl::stats::allocated::read().ok().map(|bytes| bytes as u64)
}

/// Bytes that this thread has allocated so far, freed or not; `None` without an allocator that counts.
pub fn thread_allocated_bytes() -> Option<u64> {
    tikv_jemalloc_ctl::thread::allocatedp::read().ok().map(tikv_jemalloc_ctl::thread::ThreadLocal::get)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn memory_is_counted() {
        let (now, peak) = super::resident_bytes().unwrap();
        assert!(now > 1 << 20 && peak >= now);
    }

    #[test]
    fn processor_time_and_faults_are_counted() {
        let before = super::ProcessTimes::now().unwrap();
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 50 {
            std::hint::black_box(vec![1_u8; 1 << 20]);
        }
        let after = super::ProcessTimes::now().unwrap();
        assert!(after.user_ns + after.system_ns >= before.user_ns + before.system_ns + 10_000_000);
        assert!(after.minor_faults >= before.minor_faults);
        assert!(after.device.is_some());
    }

    #[test]
    fn allocations_are_counted() {
        let before = (super::allocated_bytes().unwrap(), super::thread_allocated_bytes().unwrap());
        let kept = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(super::allocated_bytes().unwrap() >= 64 << 20);
        assert!(super::thread_allocated_bytes().unwrap() - before.1 >= 64 << 20);
        drop(kept);
    }
}
