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
    fn allocations_are_counted() {
        let before = (super::allocated_bytes().unwrap(), super::thread_allocated_bytes().unwrap());
        let kept = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(super::allocated_bytes().unwrap() >= 64 << 20);
        assert!(super::thread_allocated_bytes().unwrap() - before.1 >= 64 << 20);
        drop(kept);
    }
}
