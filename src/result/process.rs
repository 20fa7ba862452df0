//! What a trial's process took of the machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the trial's process took in the measured part: all of its threads, the harness that makes the events and RocksDB's
/// background threads included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessUse {
    /// Processor time outside of the kernel, ns.
    pub user_ns: u64,
    /// Processor time in the kernel, ns.
    pub system_ns: u64,
    /// Page faults that needed no disk.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
    /// Times that a thread waited for something.
    pub voluntary_switches: u64,
    /// Times that a thread was taken off its processor.
    pub involuntary_switches: u64,
    /// Bytes that were read from the device; none where the system does not say.
    pub device_read_bytes: Option<u64>,
    /// Bytes that were written to the device.
    pub device_written_bytes: Option<u64>,
}

impl ProcessUse {
    /// Processor time, ns.
    pub fn cpu_ns(&self) -> u64 {
        self.user_ns + self.system_ns
    }
}
