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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn memory_is_counted() {
        let (now, peak) = super::resident_bytes().unwrap();
        assert!(now > 1 << 20 && peak >= now);
    }
}
