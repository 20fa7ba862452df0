//! The windows of a key that merge where they meet: Flink's `MergingWindowSet`.

use super::pane::Pane;
use crate::state::{Key, KeyedStateBackend, ListState, StateResult, TimeWindow, VoidNamespace};

/// The panes of the current key: read from its state with every event and timer, and written back where they have
/// changed.
pub struct MergingWindowSet {
    state: ListState<VoidNamespace, Pane>,
    /// Sorted. They do not touch each other.
    panes: Vec<Pane>,
    /// What the state holds.
    stored: Vec<Pane>,
    absorbed: Vec<Pane>,
}

impl MergingWindowSet {
    /// Registers the state.
    pub fn open<K: Key, B: KeyedStateBackend<K>>(backend: &mut B) -> StateResult<Self> {
        Ok(Self {
            state: backend.list_state("merging-window-set")?,
            panes: Vec::new(),
            stored: Vec::new(),
            absorbed: Vec::new(),
        })
    }

    /// Reads the set of the current key.
    pub fn load<K: Key, B: KeyedStateBackend<K>>(&mut self, backend: &mut B) -> StateResult<()> {
        self.panes.clear();
        backend.list_scan(self.state, &VoidNamespace, |pane| self.panes.push(*pane))?;
        self.stored.clone_from(&self.panes);
        Ok(())
    }

    /// Writes the set, where it is not what was read.
    pub fn persist<K: Key, B: KeyedStateBackend<K>>(&self, backend: &mut B) -> StateResult<()> {
        if self.panes == self.stored {
            return Ok(());
        }
        backend.list_update(self.state, &VoidNamespace, self.panes.clone())
    }

    /// The pane of a window, if it is in the set.
    pub fn pane_of(&self, window: &TimeWindow) -> Option<Pane> {
        self.panes.iter().find(|pane| pane.window == *window).copied()
    }

    /// Adds a window and returns the pane that it has come to be in: its own, or one that covers it and all that it
    /// touches, with the contents of the earliest of them (Flink takes any). Then [`absorbed`](Self::absorbed) has the
    /// panes that are no more.
    pub fn add(&mut self, window: TimeWindow) -> Pane {
        let first = self.panes.partition_point(|pane| pane.window.end_ms < window.start_ms);
        let touched = self.panes.iter().skip(first).take_while(|pane| pane.window.start_ms <= window.end_ms);
        self.absorbed.clear();
        self.absorbed.extend(touched);
        let pane = Pane {
            window: self.absorbed.iter().fold(window, |cover, pane| cover.cover(&pane.window)),
            state_window: self.absorbed.first().map_or(window, |pane| pane.state_window),
        };
        self.panes.splice(first..first + self.absorbed.len(), [pane]);
        if self.absorbed == [pane] {
            self.absorbed.clear(); // it was there, as large as it is now
        }
        pane
    }

    /// The panes that the last window added has merged.
    pub fn absorbed(&self) -> &[Pane] {
        &self.absorbed
    }

    /// Removes a window.
    pub fn retire(&mut self, window: &TimeWindow) {
        self.panes.retain(|pane| pane.window != *window);
    }
}
