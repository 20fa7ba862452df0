//! The order in which keys came last, for reuse distances.

use super::keys::Entry;

/// The latest rows of all keys in order of time, as a Fenwick tree over positions: a 1 where a key's latest row is.
/// Positions that are used up are taken back by [`Stack::compact`].
pub(super) struct Stack {
    /// Tree over the positions from 1.
    tree: Vec<u32>,
    next: usize,
    keys: u32,
}

impl Stack {
    const SMALLEST: usize = 1 << 16;

    pub(super) fn new() -> Self {
        Self { tree: vec![0; Self::SMALLEST], next: 1, keys: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.next == self.tree.len()
    }

    /// Number of keys whose latest row came behind that position.
    #[inline]
    pub(super) fn distance(&self, position: u32) -> u64 {
        let (mut at, mut before) = (position as usize, 0);
        while at > 0 {
            before += self.tree[at];
            at &= at - 1;
        }
        u64::from(self.keys - before)
    }

    /// Puts a row behind all others, in the place of an earlier one of its key.
    #[inline]
    pub(super) fn push(&mut self, earlier: Option<u32>) -> u32 {
        match earlier {
            Some(position) => self.add(position as usize, u32::MAX),
            None => self.keys += 1,
        }
        self.add(self.next, 1);
        self.next += 1;
        (self.next - 1) as u32
    }

    #[inline]
    fn add(&mut self, mut at: usize, amount: u32) {
        while at < self.tree.len() {
            self.tree[at] = self.tree[at].wrapping_add(amount);
            at += at & at.wrapping_neg();
        }
    }

    /// Numbers the latest rows of these keys anew from 1, with room for three times as many behind them.
    #[cold]
    pub(super) fn compact(&mut self, entries: &mut [Entry]) {
        let mut order: Vec<_> = entries.iter_mut().collect();
        order.sort_unstable_by_key(|entry| entry.last);
        for (i, entry) in order.into_iter().enumerate() {
            entry.last = i as u32 + 1;
        }
        let keys = entries.len();
        let len = (keys * 4).next_power_of_two().max(Self::SMALLEST);
        let ones = |at: usize| at.min(keys) as u32;
        self.tree.clear();
        self.tree.extend((0..len).map(|at| ones(at) - ones(at & at.wrapping_sub(1))));
        (self.next, self.keys) = (keys + 1, keys as u32);
    }
}
