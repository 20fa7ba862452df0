//! State with a TTL over any backend: what Flink's `TtlStateFactory` wraps around a state.
//!
//! Every value of such a state is stored with the time of its last access ([`Timed`]). States without a TTL pass through;
//! a handle knows which kind it is. The time is processing time on the virtual clock.

use std::borrow::Cow;

use crate::state::{
    Aggregate, AggregatingState, Digest, HeapUse, IncrementalCleanup, JvmHeap, Key, KeyedStateBackend, ListState,
    MapState, Namespace, Reduce, ReducingState, StateResult, StateTtl, StateValue, StateVisibility, TimeDomain, Timed,
    Timer, TimerService, UpdateType, UserKey, ValueState,
};

/// What is to become of an entry after a look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not changed.
    Keep,
    /// It was changed.
    Write,
    /// It goes.
    Remove,
}

/// Entries of all states, as they are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Entries that have not expired; of a list each element counts, of a map each entry.
    pub live_entries: u64,
    /// Entries that have expired and are still held.
    pub expired_entries: u64,
    /// Key and value of the live ones, as RocksDB would store them, bytes.
    pub live_bytes: u64,
    /// The same of the expired ones.
    pub expired_bytes: u64,
}

impl Census {
    /// Adds the entries of another state or subtask.
    pub fn add(&mut self, other: Self) {
        self.live_entries += other.live_entries;
        self.expired_entries += other.expired_entries;
        self.live_bytes += other.live_bytes;
        self.expired_bytes += other.expired_bytes;
    }

    /// Counts one entry.
    pub fn count(&mut self, is_expired: bool, bytes: u64) {
        let (entries, sum) = if is_expired {
            (&mut self.expired_entries, &mut self.expired_bytes)
        } else {
            (&mut self.live_entries, &mut self.live_bytes)
        };
        *entries += 1;
        *sum += bytes;
    }
}

/// Expired entries that were removed, by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CleanedEntries {
    /// By the access that met them.
    pub on_access: u64,
    /// By incremental clean-up of the heap.
    pub incremental: u64,
    /// By RocksDB's compactions.
    pub compaction_filter: u64,
}

impl CleanedEntries {
    /// Adds what another operator or subtask has removed.
    pub fn add(&mut self, other: Self) {
        self.on_access += other.on_access;
        self.incremental += other.incremental;
        self.compaction_filter += other.compaction_filter;
    }
}

/// What a backend does for state with a TTL beside [`KeyedStateBackend`]: changes in place, and clean-up.
pub trait ExpiringState<K: Key>: KeyedStateBackend<K> {
    /// The TTL of the state of this name.
    fn ttl_of(&self, name: &str) -> Option<StateTtl>;

    /// Looks at a value and does with it what `change` says; what it answers, if there is a value.
    fn modify<N: Namespace, T: StateValue, R>(
        &mut self,
        s: ValueState<N, T>,
        n: &N,
        change: impl FnOnce(&mut T) -> (Change, R),
    ) -> StateResult<Option<R>>;

    /// The same with one entry of a map.
    fn modify_map_entry<N: Namespace, U: UserKey, T: StateValue, R>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
        change: impl FnOnce(&mut T) -> (Change, R),
    ) -> StateResult<Option<R>>;

    /// The same with every entry of a map.
    fn modify_map<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        change: impl FnMut(&U, &mut T) -> Change,
    ) -> StateResult<()>;

    /// The same with a whole list, if there is one.
    fn modify_list<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        n: &N,
        change: impl FnOnce(&mut Vec<T>) -> Change,
    ) -> StateResult<()>;

    /// Looks at some more entries of a state, by its position, and removes what has expired; only on the heap.
    fn clean_up_step(&mut self, _state: usize, _entries: u32) {}

    /// Counts what is held. It reads everything.
    fn census(&mut self) -> StateResult<Census> {
        Ok(Census::default())
    }

    /// What its background work has removed so far.
    fn cleaned_in_background(&self) -> CleanedEntries {
        CleanedEntries::default()
    }
}

/// A backend whose states may expire.
pub struct TtlBackend<B> {
    /// The backend that holds the values with their times.
    pub inner: B,
    now_ms: i64,
    /// The TTL of each state, by position.
    ttls: Vec<Option<StateTtl>>,
    /// States that every record cleans up a little.
    every_record: Vec<(usize, IncrementalCleanup)>,
    removed_on_access: u64,
}

impl<B> TtlBackend<B> {
    /// Wraps a backend.
    pub fn new(inner: B) -> Self {
        Self { inner, now_ms: i64::MIN, ttls: Vec::new(), every_record: Vec::new(), removed_on_access: 0 }
    }

    /// The TTL of a state whose handle says that it has one.
    #[expect(clippy::expect_used, reason = "a handle is marked only where its state has a TTL")]
    fn ttl(&self, state: usize) -> StateTtl {
        self.ttls.get(state).copied().flatten().expect("the TTL of a timed state")
    }

    fn now<T>(&self, value: T) -> Timed<T> {
        Timed { last_access_ms: self.now_ms, value }
    }
}

impl<B> TtlBackend<B> {
    /// Notes the TTL of a state, by its position in the backend: timers may have positions of their own there.
    fn note(&mut self, state: usize, ttl: StateTtl) {
        if self.ttls.len() <= state {
            self.ttls.resize(state + 1, None);
        }
        self.ttls[state] = Some(ttl);
        let incremental = ttl.cleanup.incremental.filter(|cleanup| cleanup.every_record);
        self.every_record.extend(incremental.map(|cleanup| (state, cleanup)));
    }

    /// Every access to a state cleans up a little, where its TTL, which is returned, says so.
    #[inline]
    fn accessed<K: Key>(&mut self, state: usize) -> StateTtl
    where
        B: ExpiringState<K>,
    {
        let ttl = self.ttl(state);
        if let Some(cleanup) = ttl.cleanup.incremental {
            self.inner.clean_up_step(state, cleanup.size);
        }
        ttl
    }

    /// `AbstractTtlDecorator.getWithTtlCheckAndUpdate` over a value that a read lends.
    ///
    /// The borrow of the backend lasts as long as what is returned, in every branch, by the rules of the language as
    /// they are; the raw pointer says that it ends where nothing is returned.
    #[inline(never)]
    fn timed_value<K: Key, N: Namespace, T: StateValue>(
        &mut self,
        s: ValueState<N, Timed<T>>,
        n: &N,
    ) -> StateResult<Option<Cow<'_, T>>>
    where
        B: ExpiringState<K>,
    {
        let ttl = self.accessed(s.index);
        let now_ms = self.now_ms;
        if ttl.update_type == UpdateType::OnReadAndWrite {
            let seen = self.inner.modify(s, n, |timed: &mut Timed<T>| look_and_renew(&ttl, now_ms, timed))?;
            return Ok(self.seen(&ttl, seen).map(Cow::Owned));
        }
        let inner: *mut B = &raw mut self.inner;
        // SAFETY: `found` is either returned, and then `self` is not touched again, or dropped before it is.
        let Some(found) = unsafe { &mut *inner }.value(s, n)? else { return Ok(None) };
        if !ttl.has_expired(found.last_access_ms, now_ms) {
            return Ok(Some(user_value(found)));
        }
        let expired = returns_expired(&ttl).then(|| found.into_owned().value);
        self.removed_on_access += 1;
        self.inner.clear_value(s, n)?;
        Ok(expired.map(Cow::Owned))
    }

    /// The same of a value that is about to be changed: the object itself, where the backend has one.
    #[inline(never)]
    fn timed_value_for_update<K: Key, N: Namespace, T: StateValue + Default>(
        &mut self,
        s: ValueState<N, Timed<T>>,
        n: &N,
    ) -> StateResult<Option<T>>
    where
        B: ExpiringState<K>,
    {
        if self.ttl(s.index).update_type == UpdateType::OnReadAndWrite {
            return Ok(self.timed_value::<K, N, T>(s, n)?.map(Cow::into_owned));
        }
        let ttl = self.accessed(s.index);
        let Some(found) = self.inner.value_for_update(s, n)? else { return Ok(None) };
        if !ttl.has_expired(found.last_access_ms, self.now_ms) {
            return Ok(Some(found.value));
        }
        self.removed_on_access += 1;
        self.inner.clear_value(s, n)?;
        Ok(returns_expired(&ttl).then_some(found.value))
    }

    /// The same for an entry of a map.
    #[inline(never)]
    fn timed_map_get<K: Key, N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, Timed<T>>,
        n: &N,
        key: &U,
    ) -> StateResult<Option<Cow<'_, T>>>
    where
        B: ExpiringState<K>,
    {
        let ttl = self.accessed(s.index);
        let now_ms = self.now_ms;
        if ttl.update_type == UpdateType::OnReadAndWrite {
            let seen =
                self.inner.modify_map_entry(s, n, key, |timed: &mut Timed<T>| look_and_renew(&ttl, now_ms, timed))?;
            return Ok(self.seen(&ttl, seen).map(Cow::Owned));
        }
        let inner: *mut B = &raw mut self.inner;
        // SAFETY: as in `timed_value`.
        let Some(found) = unsafe { &mut *inner }.map_get(s, n, key)? else { return Ok(None) };
        if !ttl.has_expired(found.last_access_ms, now_ms) {
            return Ok(Some(user_value(found)));
        }
        let expired = returns_expired(&ttl).then(|| found.into_owned().value);
        self.removed_on_access += 1;
        self.inner.map_remove(s, n, key)?;
        Ok(expired.map(Cow::Owned))
    }

    /// What a look that renews or removes has seen.
    fn seen<T>(&mut self, ttl: &StateTtl, seen: Option<(bool, T)>) -> Option<T> {
        let (is_expired, value) = seen?;
        self.removed_on_access += u64::from(is_expired);
        (!is_expired || returns_expired(ttl)).then_some(value)
    }

    /// `TtlListState.get`: shows what has not expired, and removes a list of which nothing is left. What has expired
    /// beside live elements stays.
    #[inline(never)]
    fn timed_list_scan<K: Key, N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, Timed<T>>,
        n: &N,
        mut visit: impl FnMut(&T),
    ) -> StateResult<()>
    where
        B: ExpiringState<K>,
    {
        let ttl = self.accessed(s.index);
        let now_ms = self.now_ms;
        let (mut elements, mut live) = (0_u64, 0_u64);
        let mut look = |timed: &Timed<T>| {
            let is_live = !ttl.has_expired(timed.last_access_ms, now_ms);
            elements += 1;
            live += u64::from(is_live);
            if is_live || returns_expired(&ttl) {
                visit(&timed.value);
            }
            is_live
        };
        if ttl.update_type == UpdateType::OnReadAndWrite {
            let mut renew = |list: &mut Vec<Timed<T>>| {
                list.retain_mut(|timed| {
                    timed.last_access_ms = if look(timed) { now_ms } else { return false };
                    true
                });
                if list.is_empty() { Change::Remove } else { Change::Write }
            };
            self.inner.modify_list(s, n, &mut renew)?;
            self.removed_on_access += elements - live;
            return Ok(());
        }
        self.inner.list_scan(s, n, |timed| {
            look(timed);
        })?;
        if elements > 0 && live == 0 {
            self.removed_on_access += elements;
            self.inner.clear_list(s, n)?;
        }
        Ok(())
    }

    /// `TtlMapState.entries`, walked to the end: what has expired is removed as it is met.
    #[inline(never)]
    fn timed_map_scan<K: Key, N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, Timed<T>>,
        n: &N,
        mut visit: impl FnMut(&U, &T),
    ) -> StateResult<()>
    where
        B: ExpiringState<K>,
    {
        let ttl = self.accessed(s.index);
        let (now_ms, mut removed) = (self.now_ms, 0);
        self.inner.modify_map(s, n, |key, timed: &mut Timed<T>| {
            let is_expired = ttl.has_expired(timed.last_access_ms, now_ms);
            if !is_expired || returns_expired(&ttl) {
                visit(key, &timed.value);
            }
            if is_expired {
                removed += 1;
                return Change::Remove;
            }
            if ttl.update_type == UpdateType::OnReadAndWrite {
                timed.last_access_ms = now_ms;
                return Change::Write;
            }
            Change::Keep
        })?;
        self.removed_on_access += removed;
        Ok(())
    }

    /// Adds to a value with its time: what is kept has expired or is combined with what is added.
    fn timed_add<K: Key, N: Namespace, T: StateValue, A>(
        &mut self,
        s: ValueState<N, Timed<T>>,
        n: &N,
        added: A,
        combine: impl FnOnce(Option<&mut T>, A) -> Option<T>,
    ) -> StateResult<()>
    where
        B: ExpiringState<K>,
    {
        let ttl = self.accessed(s.index);
        let now_ms = self.now_ms;
        let mut waiting = Some((added, combine));
        self.inner.modify(s, n, |timed: &mut Timed<T>| {
            if let Some((added, combine)) = waiting.take() {
                let kept = (!ttl.has_expired(timed.last_access_ms, now_ms)).then_some(&mut timed.value);
                if let Some(value) = combine(kept, added) {
                    timed.value = value;
                }
                timed.last_access_ms = now_ms;
            }
            (Change::Write, ())
        })?;
        match waiting.and_then(|(added, combine)| combine(None, added)) {
            Some(value) => self.inner.update(s, n, Timed { last_access_ms: now_ms, value }),
            None => Ok(()),
        }
    }

    /// Merges the values of some namespaces into that of another one, as `TtlReduceFunction` and `TtlAggregateFunction`
    /// do: what has expired is left out, and what comes of two values has the present time. A value that meets no other
    /// one is moved as it is. Flink makes no step of clean-up here.
    fn timed_merge<K: Key, N: Namespace, T: StateValue>(
        &mut self,
        s: ValueState<N, Timed<T>>,
        target: &N,
        sources: &[N],
        merge: impl Fn(&mut T, T),
    ) -> StateResult<()>
    where
        B: ExpiringState<K>,
    {
        let (ttl, now_ms) = (self.ttl(s.index), self.now_ms);
        let is_live = |timed: &Timed<T>| !ttl.has_expired(timed.last_access_ms, now_ms);
        let both = |kept: Timed<T>, other: Timed<T>| {
            let value = match (is_live(&kept), is_live(&other)) {
                (true, true) => {
                    let mut value = kept.value;
                    merge(&mut value, other.value);
                    value
                }
                (true, false) => kept.value,
                (false, true) => other.value,
                (false, false) => return None,
            };
            Some(Timed { last_access_ms: now_ms, value })
        };
        let mut merged = None;
        for source in sources {
            let taken = self.inner.modify(s, source, |timed: &mut Timed<T>| (Change::Remove, timed.clone()))?;
            merged = match (merged, taken) {
                (Some(kept), Some(taken)) => both(kept, taken),
                (kept, taken) => kept.or(taken),
            };
        }
        let Some(merged) = merged else { return Ok(()) };
        let mut waiting = Some(merged);
        self.inner.modify(s, target, |timed: &mut Timed<T>| {
            match waiting.take().and_then(|merged| both(timed.clone(), merged)) {
                Some(value) => {
                    *timed = value;
                    (Change::Write, ())
                }
                None => (Change::Remove, ()),
            }
        })?;
        waiting.map_or(Ok(()), |merged| self.inner.update(s, target, merged))
    }
}

fn returns_expired(ttl: &StateTtl) -> bool {
    ttl.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp
}

/// Renews the time of what is live and removes what is not; whether it has expired, and the value.
fn look_and_renew<T: Clone>(ttl: &StateTtl, now_ms: i64, timed: &mut Timed<T>) -> (Change, (bool, T)) {
    let is_expired = ttl.has_expired(timed.last_access_ms, now_ms);
    if !is_expired {
        timed.last_access_ms = now_ms;
    }
    (if is_expired { Change::Remove } else { Change::Write }, (is_expired, timed.value.clone()))
}

/// The user's value of a value with its time.
fn user_value<T: Clone>(timed: Cow<'_, Timed<T>>) -> Cow<'_, T> {
    match timed {
        Cow::Borrowed(timed) => Cow::Borrowed(&timed.value),
        Cow::Owned(timed) => Cow::Owned(timed.value),
    }
}

/// The handle of the values with their times.
macro_rules! raw {
    ($handle:ident, $state:expr) => {
        $handle::timed($state.index)
    };
}

/// A state of its own kind where it has no TTL, of values with their times where it has.
macro_rules! register {
    ($($method:ident -> $handle:ident [$($generics:tt)*] plain $plain:ty, timed $timed_method:ident $timed:ty;)*) => {$(
        fn $method<$($generics)*>(&mut self, name: &str) -> StateResult<$plain> {
            let Some(ttl) = self.inner.ttl_of(name) else { return self.inner.$method(name) };
            let state: $timed = self.inner.$timed_method(name)?;
            self.note(state.index, ttl);
            Ok($handle::timed(state.index))
        }
    )*};
}

impl<K: Key, B: ExpiringState<K>> KeyedStateBackend<K> for TtlBackend<B> {
    register! {
        value_state -> ValueState [N: Namespace, T: StateValue] plain ValueState<N, T>, timed value_state ValueState<N, Timed<T>>;
        list_state -> ListState [N: Namespace, T: StateValue] plain ListState<N, T>, timed list_state ListState<N, Timed<T>>;
        map_state -> MapState [N: Namespace, U: UserKey, T: StateValue] plain MapState<N, U, T>, timed map_state MapState<N, U, Timed<T>>;
        reducing_state -> ReducingState [N: Namespace, F: Reduce] plain ReducingState<N, F>, timed value_state ValueState<N, Timed<F::Value>>;
        aggregating_state -> AggregatingState [N: Namespace, F: Aggregate] plain AggregatingState<N, F>, timed value_state ValueState<N, Timed<F::Accumulator>>;
    }
    fn timer_service<N: Namespace>(&mut self, name: &str) -> StateResult<TimerService<N>> {
        self.inner.timer_service(name)
    }

    #[inline(always)]
    fn set_current_time(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        self.inner.set_current_time(now_ms);
    }

    #[inline(always)]
    fn set_current_key(&mut self, key: &K) {
        self.inner.set_current_key(key);
        for &(state, cleanup) in &self.every_record {
            self.inner.clean_up_step(state, cleanup.size);
        }
    }

    #[inline(always)]
    fn value<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N) -> StateResult<Option<Cow<'_, T>>> {
        if s.is_timed { self.timed_value(raw!(ValueState, s), n) } else { self.inner.value(s, n) }
    }
    #[inline(always)]
    fn value_for_update<N: Namespace, T: StateValue + Default>(
        &mut self,
        s: ValueState<N, T>,
        n: &N,
    ) -> StateResult<Option<T>> {
        if s.is_timed {
            return self.timed_value_for_update(raw!(ValueState, s), n);
        }
        self.inner.value_for_update(s, n)
    }
    #[inline(always)]
    fn update<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N, value: T) -> StateResult<()> {
        if s.is_timed {
            self.accessed(s.index);
            return self.inner.update(raw!(ValueState, s), n, self.now(value));
        }
        self.inner.update(s, n, value)
    }
    #[inline(always)]
    fn clear_value<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N) -> StateResult<()> {
        if s.is_timed {
            self.accessed(s.index);
            return self.inner.clear_value::<N, Timed<T>>(raw!(ValueState, s), n);
        }
        self.inner.clear_value(s, n)
    }

    #[inline(always)]
    fn list_add<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, element: T) -> StateResult<()> {
        if s.is_timed {
            self.accessed(s.index);
            return self.inner.list_add(raw!(ListState, s), n, self.now(element));
        }
        self.inner.list_add(s, n, element)
    }
    #[inline(always)]
    fn list_scan<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        n: &N,
        visit: impl FnMut(&T),
    ) -> StateResult<()> {
        if s.is_timed {
            return self.timed_list_scan(raw!(ListState, s), n, visit);
        }
        self.inner.list_scan(s, n, visit)
    }
    fn list_update<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, list: Vec<T>) -> StateResult<()> {
        if s.is_timed {
            self.accessed(s.index);
            let list = list.into_iter().map(|element| self.now(element)).collect();
            return self.inner.list_update(raw!(ListState, s), n, list);
        }
        self.inner.list_update(s, n, list)
    }
    #[inline(always)]
    fn clear_list<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N) -> StateResult<()> {
        if s.is_timed {
            self.accessed(s.index);
            return self.inner.clear_list::<N, Timed<T>>(raw!(ListState, s), n);
        }
        self.inner.clear_list(s, n)
    }
    /// Elements keep their times.
    fn merge_list<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        if s.is_timed {
            return self.inner.merge_list::<N, Timed<T>>(raw!(ListState, s), target, sources);
        }
        self.inner.merge_list(s, target, sources)
    }

    #[inline(always)]
    fn map_get<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<Option<Cow<'_, T>>> {
        if s.is_timed { self.timed_map_get(raw!(MapState, s), n, key) } else { self.inner.map_get(s, n, key) }
    }
    /// A full read where there is a TTL, as in Flink.
    #[inline(always)]
    fn map_contains<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<bool> {
        if s.is_timed {
            return Ok(self.timed_map_get::<K, N, U, T>(raw!(MapState, s), n, key)?.is_some());
        }
        self.inner.map_contains(s, n, key)
    }
    #[inline(always)]
    fn map_put<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: U,
        value: T,
    ) -> StateResult<()> {
        if s.is_timed {
            self.accessed(s.index);
            return self.inner.map_put(raw!(MapState, s), n, key, self.now(value));
        }
        self.inner.map_put(s, n, key, value)
    }
    #[inline(always)]
    fn map_remove<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<()> {
        if s.is_timed {
            self.accessed(s.index);
            return self.inner.map_remove::<N, U, Timed<T>>(raw!(MapState, s), n, key);
        }
        self.inner.map_remove(s, n, key)
    }
    #[inline(always)]
    fn map_scan<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        visit: impl FnMut(&U, &T),
    ) -> StateResult<()> {
        if s.is_timed {
            return self.timed_map_scan(raw!(MapState, s), n, visit);
        }
        self.inner.map_scan(s, n, visit)
    }
    /// Entries that have expired and are still held count, as in Flink's `TtlMapState.isEmpty`.
    #[inline(always)]
    fn map_is_empty<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
    ) -> StateResult<bool> {
        if s.is_timed {
            self.accessed(s.index);
            return self.inner.map_is_empty::<N, U, Timed<T>>(raw!(MapState, s), n);
        }
        self.inner.map_is_empty(s, n)
    }
    #[inline(always)]
    fn clear_map<N: Namespace, U: UserKey, T: StateValue>(&mut self, s: MapState<N, U, T>, n: &N) -> StateResult<()> {
        if s.is_timed {
            self.accessed(s.index);
            return self.inner.clear_map::<N, U, Timed<T>>(raw!(MapState, s), n);
        }
        self.inner.clear_map(s, n)
    }

    #[inline(always)]
    fn reducing_get<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
    ) -> StateResult<Option<Cow<'_, F::Value>>> {
        if s.is_timed { self.timed_value(raw!(ValueState, s), n) } else { self.inner.reducing_get(s, n) }
    }
    #[inline(always)]
    fn reducing_add<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
        value: F::Value,
    ) -> StateResult<()> {
        if s.is_timed {
            return self.timed_add(raw!(ValueState, s), n, value, |kept, value| {
                Some(match kept {
                    Some(kept) => F::reduce(kept, value),
                    None => value,
                })
            });
        }
        self.inner.reducing_add(s, n, value)
    }
    #[inline(always)]
    fn clear_reducing<N: Namespace, F: Reduce>(&mut self, s: ReducingState<N, F>, n: &N) -> StateResult<()> {
        if s.is_timed {
            self.accessed(s.index);
            return self.inner.clear_value::<N, Timed<F::Value>>(raw!(ValueState, s), n);
        }
        self.inner.clear_reducing(s, n)
    }
    fn merge_reducing<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        if s.is_timed {
            let reduce = |kept: &mut F::Value, other| *kept = F::reduce(kept, other);
            return self.timed_merge(raw!(ValueState, s), target, sources, reduce);
        }
        self.inner.merge_reducing(s, target, sources)
    }

    #[inline(always)]
    fn aggregating_get<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
    ) -> StateResult<Option<F::Out>> {
        if s.is_timed {
            let accumulator = self.timed_value::<K, N, F::Accumulator>(raw!(ValueState, s), n)?;
            return Ok(accumulator.map(|accumulator| F::result(&accumulator)));
        }
        self.inner.aggregating_get(s, n)
    }
    #[inline(always)]
    fn aggregating_add<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
        element: F::In,
    ) -> StateResult<()> {
        if s.is_timed {
            return self.timed_add(raw!(ValueState, s), n, element, |kept, element| {
                if let Some(kept) = kept {
                    F::add(kept, element);
                    return None;
                }
                let mut accumulator = F::create();
                F::add(&mut accumulator, element);
                Some(accumulator)
            });
        }
        self.inner.aggregating_add(s, n, element)
    }
    #[inline(always)]
    fn clear_aggregating<N: Namespace, F: Aggregate>(&mut self, s: AggregatingState<N, F>, n: &N) -> StateResult<()> {
        if s.is_timed {
            self.accessed(s.index);
            return self.inner.clear_value::<N, Timed<F::Accumulator>>(raw!(ValueState, s), n);
        }
        self.inner.clear_aggregating(s, n)
    }
    fn merge_aggregating<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        if s.is_timed {
            return self.timed_merge(raw!(ValueState, s), target, sources, F::merge);
        }
        self.inner.merge_aggregating(s, target, sources)
    }

    #[inline]
    fn register_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        n: &N,
        time_ms: i64,
    ) -> StateResult<()> {
        self.inner.register_timer(t, domain, n, time_ms)
    }
    #[inline]
    fn delete_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        n: &N,
        time_ms: i64,
    ) -> StateResult<()> {
        self.inner.delete_timer(t, domain, n, time_ms)
    }
    #[inline]
    fn take_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        until_ms: i64,
    ) -> StateResult<Option<Timer<K, N>>> {
        self.inner.take_timer(t, domain, until_ms)
    }

    fn settle(&mut self) -> StateResult<()> {
        self.inner.settle()
    }
    fn heap_use(&self, heap: JvmHeap) -> Option<HeapUse> {
        self.inner.heap_use(heap)
    }
    fn heap_objects(&self) -> Option<u64> {
        self.inner.heap_objects()
    }
    fn state_digest(&mut self) -> StateResult<Digest> {
        self.inner.state_digest()
    }
}

impl<B> TtlBackend<B> {
    /// What was removed so far, by whom.
    pub fn cleaned<K: Key>(&self) -> CleanedEntries
    where
        B: ExpiringState<K>,
    {
        CleanedEntries { on_access: self.removed_on_access, ..self.inner.cleaned_in_background() }
    }
}
