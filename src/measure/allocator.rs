//! The allocator of the program, with a clock on the calls that may stand still.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use tikv_jemallocator::Jemalloc;

use crate::result::AllocatorStalls;

/// A call for more than this goes past jemalloc's cache of the thread, to where memory comes from the system and returns to
/// it, page by page: `opt.tcache_max` is 32 KiB.
const CACHED: usize = 32 << 10;

static CALLS: AtomicU64 = AtomicU64::new(0);
static TOTAL_NS: AtomicU64 = AtomicU64::new(0);
static LONGEST_NS: AtomicU64 = AtomicU64::new(0);

/// jemalloc, with the large calls timed: the others cost a comparison more.
///
/// Small calls are served from the thread's cache in some 20 ns, about what reading the clock takes, so that a watch on them would be
/// most of what it measures. What they stand still for is in the latencies of events.
pub struct WatchedJemalloc;

fn timed<T>(call: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = call();
    let ns = begin.elapsed().as_nanos() as u64;
    CALLS.fetch_add(1, Relaxed);
    TOTAL_NS.fetch_add(ns, Relaxed);
    LONGEST_NS.fetch_max(ns, Relaxed);
    result
}

// SAFETY: every call is handed on to jemalloc as it is; what is added allocates nothing.
unsafe impl GlobalAlloc for WatchedJemalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that jemalloc asks for; so below.
        let call = || unsafe { Jemalloc.alloc(layout) };
        if layout.size() > CACHED { timed(call) } else { call() }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see `alloc`.
        let call = || unsafe { Jemalloc.alloc_zeroed(layout) };
        if layout.size() > CACHED { timed(call) } else { call() }
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: see `alloc`.
        let call = || unsafe { Jemalloc.dealloc(ptr, layout) };
        if layout.size() > CACHED { timed(call) } else { call() }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: see `alloc`.
        let call = || unsafe { Jemalloc.realloc(ptr, layout, new_size) };
        if layout.size().max(new_size) > CACHED { timed(call) } else { call() }
    }
}

/// What this process' large calls of the allocator have taken so far, those of RocksDB left out; none where the program has another
/// allocator.
pub fn allocator_stalls() -> Option<AllocatorStalls> {
    let calls = CALLS.load(Relaxed);
    let (total_ns, longest_ns) = (TOTAL_NS.load(Relaxed), LONGEST_NS.load(Relaxed));
    (calls > 0).then_some(AllocatorStalls { calls, total_ns, longest_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_calls_are_counted_and_small_ones_are_not() {
        // SAFETY: the layouts are not empty, and what is freed was allocated with the same one.
        let take = |bytes: usize| unsafe {
            let layout = Layout::from_size_align(bytes, 8).unwrap();
            let grown = WatchedJemalloc.realloc(WatchedJemalloc.alloc(layout), layout, 2 * bytes);
            assert!(!grown.is_null());
            grown.write_bytes(1, 2 * bytes);
            WatchedJemalloc.dealloc(grown, Layout::from_size_align(2 * bytes, 8).unwrap());
            let zeroed = WatchedJemalloc.alloc_zeroed(layout);
            assert_eq!(*zeroed, 0);
            WatchedJemalloc.dealloc(zeroed, layout);
        };
        take(1 << 10);
        assert_eq!(allocator_stalls(), None, "no other test uses this allocator");
        take(1 << 20);
        let stalls = allocator_stalls().unwrap();
        assert_eq!(stalls.calls, 5);
        assert!(stalls.longest_ns <= stalls.total_ns && stalls.longest_ns > 0);
    }
}
