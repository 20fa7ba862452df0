//! The Java heap that the subtasks of a TaskManager would share: whether their state fits it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::state::{HeapUse, JvmHeap, StateError, StateResult};

/// The heap of one TaskManager, with what the state of its subtasks takes of it.
#[derive(Debug)]
struct TaskManagerHeap {
    heap: JvmHeap,
    live_bytes: AtomicU64,
}

/// A subtask's part in the heap of its TaskManager.
#[derive(Debug)]
pub struct HeapShare {
    manager: Arc<TaskManagerHeap>,
    /// What this subtask has put into the sum.
    own_bytes: u64,
}

impl HeapShare {
    /// One for each subtask. Subtasks fill the slots of one TaskManager before those of the next.
    pub fn of_subtasks(parallelism: u16, task_slots: u16, heap: JvmHeap) -> impl Iterator<Item = Self> {
        let managers = parallelism.div_ceil(task_slots.max(1));
        let manager = || Arc::new(TaskManagerHeap { heap, live_bytes: AtomicU64::new(0) });
        let managers: Vec<_> = std::iter::repeat_with(manager).take(managers.into()).collect();
        (0..parallelism).map(move |subtask| Self {
            manager: Arc::clone(&managers[usize::from(subtask / task_slots.max(1))]),
            own_bytes: 0,
        })
    }

    /// The heap.
    pub fn heap(&self) -> JvmHeap {
        self.manager.heap
    }

    /// Notes what the subtask's state takes now.
    ///
    /// # Errors
    /// [`StateError::OutOfHeap`] where the state of all subtasks leaves the Java virtual machine too little to work.
    pub fn note(&mut self, used: HeapUse) -> StateResult<()> {
        let change = used.live_bytes.wrapping_sub(self.own_bytes);
        let before = self.manager.live_bytes.fetch_add(change, Ordering::Relaxed);
        self.own_bytes = used.live_bytes;
        let (live_bytes, heap) = (before.wrapping_add(change), self.manager.heap);
        if live_bytes > heap.room() { Err(StateError::OutOfHeap { live_bytes, heap }) } else { Ok(()) }
    }
}

impl Drop for HeapShare {
    fn drop(&mut self) {
        self.manager.live_bytes.fetch_sub(self.own_bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtasks_of_one_task_manager_share_its_heap() {
        let heap = JvmHeap { bytes: 100 << 20 };
        let used = |mib: u64| HeapUse { live_bytes: mib << 20, ..HeapUse::default() };
        assert_eq!(heap.room(), 87 << 20, "less 11 MiB and two regions of 1 MiB");
        let mut shares: Vec<_> = HeapShare::of_subtasks(3, 2, heap).collect();
        assert!(shares[0].note(used(50)).is_ok());
        assert!(shares[2].note(used(87)).is_ok(), "has a heap of its own");
        assert!(shares[1].note(used(37)).is_ok());
        let error = shares[1].note(used(38)).unwrap_err();
        assert!(matches!(error, StateError::OutOfHeap { live_bytes, .. } if live_bytes == 88 << 20), "{error}");
        assert!(shares[0].note(used(49)).is_ok(), "state may shrink");
        drop(shares.remove(0));
        assert!(shares[0].note(used(80)).is_ok(), "what a subtask took is given back");
    }
}
