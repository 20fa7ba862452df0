//! What a storage has done so far, and the delays of a remote store that can be imposed on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::StorageError;

/// The longest that one wait can be; arithmetic ends there.
const FOREVER: Duration = Duration::from_hours(365 * 24);
/// Objects that one page of a listing, or one request to delete, holds in S3.
const PAGE: u64 = 1000;

/// A remote store to forecast: its bandwidth and latency are imposed by waiting, on top of what the storage itself
/// takes. What is measured under a profile is modelled, and to be shown as such.
///
/// A request waits `latency` once. A file of up to one part (8 MiB) is one request; a larger one is three in a row
/// (begin, its parts side by side, complete). The bandwidth is one for all threads and both directions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageProfile {
    /// Bandwidth, bytes per second; none: not limited.
    pub bandwidth_bytes_per_s: Option<u64>,
    /// Wait of each request.
    pub latency: Duration,
}

/// What a storage has done since it was opened, its children included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StorageCounters {
    /// Requests: for an object store those that were sent, repeated ones included; for a directory those that an
    /// object store would have taken.
    pub requests: u64,
    /// Requests among them that repeated one which had failed. Always 0 for a directory.
    pub retries: u64,
    /// Content stored, bytes; without what failed.
    pub uploaded_bytes: u64,
    /// Content read back, bytes. A hard-linked file is not among it.
    pub downloaded_bytes: u64,
}

/// Counts and delays, for a storage and all its clones.
#[derive(Debug)]
pub(super) struct Meter {
    requests: AtomicU64,
    retries: AtomicU64,
    uploaded_bytes: AtomicU64,
    downloaded_bytes: AtomicU64,
    imposed: Option<Imposed>,
}

#[derive(Debug)]
struct Imposed {
    profile: StorageProfile,
    /// When the modelled line has passed on all that it was given.
    free_at: Mutex<Instant>,
}

impl Meter {
    pub fn new(profile: Option<StorageProfile>) -> Result<Self, StorageError> {
        if profile.is_some_and(|profile| profile.bandwidth_bytes_per_s == Some(0)) {
            return Err(StorageError::BadProfile);
        }
        let imposed = profile.map(|profile| Imposed { profile, free_at: Mutex::new(Instant::now()) });
        Ok(Self {
            requests: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            uploaded_bytes: AtomicU64::new(0),
            downloaded_bytes: AtomicU64::new(0),
            imposed,
        })
    }

    /// Whether delays are imposed.
    pub fn is_modelled(&self) -> bool {
        self.imposed.is_some()
    }

    /// Requests in a row that a directory answers: counted, and waited for.
    pub fn local_requests(&self, requests: u64) {
        self.requests.fetch_add(requests, Ordering::Relaxed);
        self.wait_latency(requests);
    }

    /// Waits as for requests in a row.
    pub fn wait_latency(&self, requests: u64) {
        if let Some(imposed) = &self.imposed {
            let latency = imposed.profile.latency.saturating_mul(u32::try_from(requests).unwrap_or(u32::MAX));
            thread::sleep(latency.min(FOREVER));
        }
    }

    /// One request that was really sent.
    pub fn request(&self, is_retry: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(is_retry), Ordering::Relaxed);
    }

    /// Waits until the modelled line has passed on some bytes.
    pub fn pass(&self, bytes: u64) {
        let Some(imposed) = &self.imposed else { return };
        let Some(bandwidth) = imposed.profile.bandwidth_bytes_per_s else { return };
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(bandwidth.max(1));
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(FOREVER);
        let until = {
            let mut free_at = imposed.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let begins = Instant::now().max(*free_at);
            *free_at = begins.checked_add(takes).unwrap_or(begins);
            *free_at
        };
        thread::sleep(until.saturating_duration_since(Instant::now()));
    }

    pub fn uploaded(&self, bytes: u64) {
        self.uploaded_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn downloaded(&self, bytes: u64) {
        self.downloaded_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn counters(&self) -> StorageCounters {
        StorageCounters {
            requests: self.requests.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            uploaded_bytes: self.uploaded_bytes.load(Ordering::Relaxed),
            downloaded_bytes: self.downloaded_bytes.load(Ordering::Relaxed),
        }
    }
}

/// Requests in a row that a file of this size takes in an object store.
pub(super) fn upload_requests(bytes: u64) -> u64 {
    if bytes <= super::remote::PART as u64 { 1 } else { 3 }
}

/// Requests that listing or deleting so many objects takes, at least one.
pub(super) fn page_requests(objects: u64) -> u64 {
    objects.div_ceil(PAGE).max(1)
}
