//! Numbers that tell jobs and databases apart.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// A number that no other call draws again, in this process or another.
pub fn unique_number() -> u64 {
    RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()))
}
