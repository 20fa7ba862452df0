//! The predefined profiles, `state.backend.rocksdb.predefined-options`.

use super::{Options, PredefinedOptions};

/// Every key that some profile sets.
const PROFILED: [&str; 11] = [
    "compaction.style",
    "compaction.level.use-dynamic-size",
    "thread.num",
    "files.open",
    "block.cache-size",
    "block.blocksize",
    "use-bloom-filter",
    "compaction.level.max-size-level-base",
    "compaction.level.target-file-size-base",
    "writebuffer.count",
    "writebuffer.number-to-merge",
];

/// What a profile sets (`PredefinedOptions` in Flink).
fn settings(profile: PredefinedOptions) -> &'static [(&'static str, &'static str)] {
    match profile {
        PredefinedOptions::Default => &[],
        PredefinedOptions::SpinningDisk => &[
            ("compaction.style", "LEVEL"),
            ("compaction.level.use-dynamic-size", "true"),
            ("thread.num", "4"),
            ("files.open", "-1"),
        ],
        PredefinedOptions::SpinningDiskHighMem => &[
            ("compaction.style", "LEVEL"),
            ("compaction.level.use-dynamic-size", "true"),
            ("thread.num", "4"),
            ("files.open", "-1"),
            ("block.cache-size", "256 mb"),
            ("block.blocksize", "128 kb"),
            ("use-bloom-filter", "true"),
            ("compaction.level.max-size-level-base", "1 gb"),
            ("compaction.level.target-file-size-base", "256 mb"),
            ("writebuffer.count", "4"),
            ("writebuffer.number-to-merge", "3"),
        ],
        PredefinedOptions::FlashSsd => &[("thread.num", "4"), ("files.open", "-1")],
    }
}

impl Options {
    /// Lays the profile under what was set: a key that was set goes before the profile, the profile before the default.
    pub(super) fn apply_profile(&mut self) {
        let settings = settings(self.predefined_options);
        for short in PROFILED {
            let key = format!("state.backend.rocksdb.{short}");
            let Some(row) = Self::row(&key).filter(|row| !self.is_explicit(row.key)) else { continue };
            let profiled = settings.iter().find(|(name, _)| *name == short).map(|(_, value)| (*value).to_owned());
            (row.set)(self, &profiled.unwrap_or_else(|| row.default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_a_profile_is_a_value_of_its_option() {
        for profile in
            [PredefinedOptions::SpinningDisk, PredefinedOptions::SpinningDiskHighMem, PredefinedOptions::FlashSsd]
        {
            for (short, value) in settings(profile) {
                assert!(PROFILED.contains(short), "{short}");
                Options::default().set(&format!("state.backend.rocksdb.{short}"), value).unwrap();
            }
        }
    }

    #[test]
    fn a_profile_lies_between_defaults_and_what_is_set_in_any_order() {
        let (profile, threads) = ("state.backend.rocksdb.predefined-options", "state.backend.rocksdb.thread.num");
        let mut options = Options::default();
        options.set(threads, "3").unwrap();
        options.set(profile, "SPINNING_DISK_OPTIMIZED_HIGH_MEM").unwrap();
        assert_eq!((options.thread_num, options.writebuffer_count, options.block_size.0), (3, 4, 128 << 10));
        let mut other = Options::default();
        other.set(profile, "SPINNING_DISK_OPTIMIZED_HIGH_MEM").unwrap();
        other.set(threads, "3").unwrap();
        assert_eq!(options, other);
        options.set(profile, "FLASH_SSD_OPTIMIZED").unwrap();
        assert_eq!((options.thread_num, options.writebuffer_count, options.block_size.0), (3, 2, 4 << 10));
    }
}
