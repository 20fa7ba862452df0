//! What a heap stands still for beside the work on its entries: hash tables that grow, and the allocator.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The parts of a rehash that one event waits for: a larger array of buckets is allocated, and the old one is freed at the end.
/// In between entries move some with each access, which takes nobody long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RehashStalls {
    /// Arrays that were allocated because a map was full.
    pub rehashes: u64,
    /// Time that it took to allocate them, ns.
    pub allocating_ns: u64,
    /// The longest of these times, ns.
    pub longest_allocating_ns: u64,
    /// Time that it took to free the old arrays, ns.
    pub freeing_ns: u64,
    /// The longest of these times, ns.
    pub longest_freeing_ns: u64,
}

impl RehashStalls {
    /// An array was allocated.
    pub fn begun(&mut self, allocating: Duration) {
        let ns = allocating.as_nanos() as u64;
        self.rehashes += 1;
        self.allocating_ns += ns;
        self.longest_allocating_ns = self.longest_allocating_ns.max(ns);
    }

    /// An array was freed.
    pub fn ended(&mut self, freeing: Duration) {
        let ns = freeing.as_nanos() as u64;
        self.freeing_ns += ns;
        self.longest_freeing_ns = self.longest_freeing_ns.max(ns);
    }

    /// Those of two tables together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            rehashes: self.rehashes + other.rehashes,
            allocating_ns: self.allocating_ns + other.allocating_ns,
            longest_allocating_ns: self.longest_allocating_ns.max(other.longest_allocating_ns),
            freeing_ns: self.freeing_ns + other.freeing_ns,
            longest_freeing_ns: self.longest_freeing_ns.max(other.longest_freeing_ns),
        }
    }
}

/// What the allocator stood still for: calls of the trial's process for more than 32 KiB, from its begin to the end of the
/// measured part, those of the harness included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllocatorStalls {
    /// Calls that allocated, grew or freed so much.
    pub calls: u64,
    /// Time that all of them took, ns.
    pub total_ns: u64,
    /// The longest of them, ns.
    pub longest_ns: u64,
}
