//! The `[states.NAME]` sections: what holds for single states, above all their TTL.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BackendType, Invalid, Shorthand, Time, check_range, nearest};
use crate::state::{
    CleanupStrategies, CompactionFilterCleanup, IncrementalCleanup, StateTtl, StateTtls, StateVisibility, UpdateType,
};

/// What holds for one state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StateWire {
    /// When its entries expire; they never do where it is not set.
    pub ttl: Option<TtlWire>,
}

/// The TTL of a state: Flink's `StateTtlConfig`, on processing time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TtlWire {
    /// Time after which an entry expires, on the virtual clock.
    pub time: Time,
    /// What renews an entry's time.
    #[serde(default)]
    pub update_type: UpdateTypeWire,
    /// Whether an expired entry may still be seen.
    #[serde(default)]
    pub visibility: VisibilityWire,
    /// What removes expired entries in the background.
    #[serde(default)]
    pub cleanup: Shorthand<CleanupWire>,
    /// Whether full snapshots leave expired entries out; the state itself keeps them (`cleanupFullSnapshot`).
    #[serde(default)]
    pub cleanup_full_snapshot: bool,
}

/// What renews an entry's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum UpdateTypeWire {
    /// Nothing: the state has no TTL.
    Disabled,
    /// A write.
    #[default]
    OnCreateAndWrite,
    /// A write or a read, which thereby becomes a write.
    OnReadAndWrite,
}

/// Whether an expired entry may still be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum VisibilityWire {
    /// Never.
    #[default]
    NeverReturnExpired,
    /// As long as nothing has removed it. What is seen then depends on background work, so results are not compared
    /// between backends.
    ReturnExpiredIfNotCleanedUp,
}

/// What removes expired entries, beside the access that meets one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum CleanupWire {
    /// What Flink does unless told otherwise: `incremental` on the heap, `compaction-filter` in RocksDB.
    Default {},
    /// Nothing (`disableCleanupInBackground`).
    None {},
    /// On the heap each access looks at some entries more (`cleanupIncrementally`).
    Incremental {
        /// Entries that each step looks at.
        #[serde(default = "default_size")]
        size: u32,
        /// Whether every record makes a step too.
        #[serde(default)]
        every_record: bool,
    },
    /// RocksDB's compactions drop what has expired (`cleanupInRocksdbCompactFilter`).
    CompactionFilter {
        /// Entries after which a filter reads the clock again; Flink's option where it is not set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query_time_after_entries: Option<u64>,
        /// Age, on the machine's clock, at which a file is compacted though nothing else asks for it; 0 for never;
        /// Flink's option where it is not set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        periodic_compaction: Option<Time>,
    },
}

const fn default_size() -> u32 {
    5
}

impl Default for CleanupWire {
    fn default() -> Self {
        Self::Default {}
    }
}

impl CleanupWire {
    /// Why a backend does not have this strategy, if it does not.
    pub fn why_not_on(self, backend: BackendType) -> Option<&'static str> {
        match (self, backend) {
            (Self::Incremental { .. }, BackendType::RocksDb) => Some(
                "RocksDB has no incremental clean-up: Flink takes the setting and nothing is ever removed by it; \
                 `compaction-filter` is RocksDB's strategy",
            ),
            (Self::CompactionFilter { .. }, BackendType::HashMap) => Some(
                "the heap has no compactions: Flink takes the setting and nothing is ever removed by it; `incremental` \
                 is the heap's strategy",
            ),
            _ => None,
        }
    }
}

/// The TTLs of an operator's states; `known` are their names.
///
/// # Errors
/// A state that the operator does not have, or a value out of range.
pub fn ttls(wire: &BTreeMap<String, StateWire>, known: &[&str]) -> Result<StateTtls, Invalid> {
    let mut ttls = StateTtls::new();
    for (name, state) in wire {
        if !known.contains(&name.as_str()) {
            let did_you_mean = nearest(name, known.iter().copied()).map(|known| format!("; did you mean `{known}`?"));
            let allowed = format!("the operator's states: {}{}", known.join(", "), did_you_mean.unwrap_or_default());
            return Err(Invalid::key(name, format!("the state `{name}`"), allowed));
        }
        if let Some(ttl) = &state.ttl
            && let Some(ttl) = self::ttl(ttl).map_err(|invalid| invalid.within("ttl").within(name))?
        {
            ttls.insert(name.clone(), ttl);
        }
    }
    Ok(ttls)
}

fn ttl(wire: &TtlWire) -> Result<Option<StateTtl>, Invalid> {
    let ttl_ms = wire.time.as_millis();
    if ttl_ms == 0 {
        return Err(Invalid::new("time", wire.time, "1 ms or more: Flink refuses a TTL that is not positive"));
    }
    let incremental = |size, every_record| IncrementalCleanup { size, every_record };
    let (incremental, compaction_filter) = match wire.cleanup.0 {
        CleanupWire::Default {} => (Some(incremental(default_size(), false)), Some(CompactionFilterCleanup::default())),
        CleanupWire::None {} => (None, None),
        CleanupWire::Incremental { size, every_record } => {
            let size = check_range("cleanup.incremental.size", size, 1..=1_000_000)?;
            (Some(incremental(size, every_record)), None)
        }
        CleanupWire::CompactionFilter { query_time_after_entries, periodic_compaction } => {
            let periodic_compaction_s = periodic_compaction.map(|time| time.0.as_secs());
            (None, Some(CompactionFilterCleanup { query_time_after_entries, periodic_compaction_s }))
        }
    };
    let update_type = match wire.update_type {
        UpdateTypeWire::Disabled => return Ok(None),
        UpdateTypeWire::OnCreateAndWrite => UpdateType::OnCreateAndWrite,
        UpdateTypeWire::OnReadAndWrite => UpdateType::OnReadAndWrite,
    };
    let visibility = match wire.visibility {
        VisibilityWire::NeverReturnExpired => StateVisibility::NeverReturnExpired,
        VisibilityWire::ReturnExpiredIfNotCleanedUp => StateVisibility::ReturnExpiredIfNotCleanedUp,
    };
    let cleanup = CleanupStrategies { full_snapshot: wire.cleanup_full_snapshot, incremental, compaction_filter };
    Ok(Some(StateTtl { ttl_ms, update_type, visibility, cleanup }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(text: &str) -> Result<StateTtls, Invalid> {
        ttls(&toml::from_str(text).unwrap(), &["seen", "count"])
    }

    #[test]
    fn flinks_defaults_hold_where_nothing_is_said() {
        let ttl = states("seen.ttl.time = '7 d'").unwrap()["seen"];
        assert_eq!(ttl.ttl_ms, 604_800_000);
        assert_eq!(ttl.update_type, UpdateType::OnCreateAndWrite);
        assert_eq!(ttl.visibility, StateVisibility::NeverReturnExpired);
        assert_eq!(ttl.cleanup.incremental, Some(IncrementalCleanup { size: 5, every_record: false }));
        assert_eq!(ttl.cleanup.compaction_filter, Some(CompactionFilterCleanup::default()));
        assert!(states("seen.ttl = { time = '7 d', update-type = 'Disabled' }").unwrap().is_empty());
        assert!(states("seen = {}").unwrap().is_empty());
    }

    #[test]
    fn a_strategy_stands_alone() {
        let ttl = states("seen.ttl = { time = 5, cleanup = 'none', cleanup-full-snapshot = true }").unwrap()["seen"];
        let full = CleanupStrategies { full_snapshot: true, incremental: None, compaction_filter: None };
        assert_eq!(ttl.cleanup, full);
        let ttl = states("seen.ttl = { time = 5, cleanup.incremental = { size = 10, every-record = true } }").unwrap();
        let step = IncrementalCleanup { size: 10, every_record: true };
        assert_eq!(ttl["seen"].cleanup.incremental, Some(step));
        assert_eq!(ttl["seen"].cleanup.compaction_filter, None);
    }

    #[test]
    fn impossible_ttls_are_refused() {
        let error = |text: &str| states(text).unwrap_err().to_string();
        assert_eq!(
            error("seen.ttl.time = 0"),
            "seen.ttl.time: found 0 ns; allowed: 1 ms or more: Flink refuses a TTL that is not positive"
        );
        assert_eq!(
            error("sen.ttl.time = 5"),
            "sen: found the state `sen`; allowed: the operator's states: seen, count; did you mean `seen`?"
        );
        assert_eq!(
            states("seen.ttl = { time = 5, cleanup.incremental.size = 0 }").unwrap_err().path,
            "seen.ttl.cleanup.incremental.size"
        );
        let negative: Result<BTreeMap<String, StateWire>, _> = toml::from_str("seen.ttl.time = -5");
        assert!(negative.unwrap_err().to_string().contains("`-5` is negative"));
    }

    #[test]
    fn strategies_belong_to_their_backends() {
        let incremental = CleanupWire::Incremental { size: 5, every_record: false };
        assert!(incremental.why_not_on(BackendType::RocksDb).unwrap().contains("nothing is ever removed"));
        assert!(incremental.why_not_on(BackendType::HashMap).is_none());
        assert!(CleanupWire::default().why_not_on(BackendType::RocksDb).is_none());
    }
}
