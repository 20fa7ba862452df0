use super::*;
use proptest::prelude::*;

/// A pool whose caches have one shard each, up to 16 times its size.
fn geometry(pool_bytes: u64, high_priority_ratio: f64) -> CacheGeometry {
    CacheGeometry { pool_bytes, write_buffer_ratio: 0.0, high_priority_ratio, write_buffer_size: 64 << 20 }
}

/// A block of its own length for each key.
fn access(event: CacheEvent, key: u64, bytes: u64) -> CacheAccess {
    let key_hash = xxhash_rust::xxh3::xxh3_64(&key.to_le_bytes());
    CacheAccess { event, key_hash, bytes, kind: BlockKind::Data, high_priority: false }
}

fn ask(model: &mut CacheModel, key: u64, bytes: u64) {
    // Whether the real cache has the block makes no difference; here it has none.
    model.hear(access(CacheEvent::Miss, key, 0));
    model.hear(access(CacheEvent::Insert, key, bytes));
}

/// The hits of one list by last use with room for so many bytes, by the book.
fn lru_hits(capacity: u64, asked: &[(u64, u64)]) -> u64 {
    let mut list: Vec<(u64, u64)> = Vec::new();
    let mut hits = 0;
    for &(key, bytes) in asked {
        let bytes = bytes + 96;
        if let Some(position) = list.iter().position(|(known, _)| *known == key) {
            let entry = list.remove(position);
            list.insert(0, entry);
            hits += 1;
            continue;
        }
        let used = |list: &[(u64, u64)]| list.iter().map(|(_, bytes)| bytes).sum::<u64>();
        while used(&list) + bytes > capacity && list.pop().is_some() {}
        if used(&list) + bytes <= capacity {
            list.insert(0, (key, bytes));
        }
    }
    hits
}

proptest! {
    #[test]
    fn each_size_has_the_hits_of_a_list_of_that_size(
        keys in prop::collection::vec(0_u64..60, 1..600),
        capacity in 1_000_u64..40_000,
    ) {
        let asked: Vec<_> = keys.iter().map(|&key| (key, 100 + key * 37 % 900)).collect();
        let mut model = CacheModel::new(&geometry(capacity, 0.0));
        asked.iter().for_each(|&(key, bytes)| ask(&mut model, key, bytes));
        let curve = model.curve();
        prop_assert_eq!(curve.data_asked, keys.len() as u64);
        for point in &curve.points {
            let expected = lru_hits(point.cache_bytes, &asked) as f64 / keys.len() as f64;
            prop_assert!((point.hit_rate - expected).abs() < 1e-9, "{point:?}, expected {expected}");
        }
        // A hit of the real cache tells the same as a miss that is put in.
        let mut told = CacheModel::new(&geometry(capacity, 0.0));
        asked.iter().for_each(|&(key, bytes)| told.hear(access(CacheEvent::Hit, key, bytes)));
        prop_assert_eq!(told.curve(), curve);
    }

    #[test]
    fn nothing_that_is_heard_breaks_the_lists(
        heard in prop::collection::vec((0_u8..5, 0_u64..40, 0_u64..3_000_000, 0_u8..4, any::<bool>()), 0..400),
        pool in 1_u64..200_000_000,
        ratio in 0.0_f64..=1.0,
    ) {
        let geometry = CacheGeometry { write_buffer_ratio: 0.5, ..geometry(pool, ratio) };
        let mut model = CacheModel::new(&geometry);
        for (event, key, bytes, kind, high_priority) in heard {
            let event = [CacheEvent::Hit, CacheEvent::Miss, CacheEvent::Insert, CacheEvent::Reserve, CacheEvent::Release]
                [usize::from(event)];
            let kind =
                [BlockKind::Data, BlockKind::Index, BlockKind::Filter, BlockKind::Other][usize::from(kind)];
            model.hear(CacheAccess { kind, high_priority, ..access(event, key, bytes) });
        }
        for point in model.curve().points {
            prop_assert!((0.0..=1.0).contains(&point.hit_rate), "{point:?}");
        }
    }
}

/// Blocks by a skewed law, more than are followed one by one.
fn skewed(model: &mut CacheModel, blocks: f64, asked: u64) -> Vec<(u64, u64)> {
    let mut state = 7_u64;
    let mut all = Vec::new();
    for _ in 0..asked {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
        let key = (blocks * uniform * uniform) as u64;
        ask(model, key, 4_000);
        all.push((key, 4_000));
    }
    all
}

#[test]
fn a_sample_of_many_blocks_tells_the_rate_of_all() {
    let pool = 64 << 20;
    let mut sampled = CacheModel::with_sizes(&geometry(pool, 0.0), &[16, 128]);
    let asked = skewed(&mut sampled, 200_000.0, 250_000);
    let curve = sampled.curve();
    assert!(sampled.rarity[0] >= 1, "one in {} is followed", 1 << sampled.rarity[0]);
    assert_eq!(curve.data_asked, 250_000);
    assert!(curve.sampled < 240_000, "{}", curve.sampled);
    // Without sampling: the distance of each use is the blocks used since, by a tree of marks.
    for point in &curve.points {
        let room = point.cache_bytes / 4_096;
        let exact = hits_within(&asked, room as usize) as f64 / asked.len() as f64;
        assert!((point.hit_rate - exact).abs() < 0.01, "{point:?}: exact {exact}");
    }
}

/// Uses of a block of which fewer than so many others have been used since its last.
fn hits_within(asked: &[(u64, u64)], room: usize) -> u64 {
    let mut marks = vec![0_i64; asked.len() + 1];
    let add = |marks: &mut Vec<i64>, mut at: usize, by: i64| {
        while at < marks.len() {
            marks[at] += by;
            at += at & at.wrapping_neg();
        }
    };
    let sum = |marks: &[i64], mut at: usize| {
        let mut sum = 0;
        while at > 0 {
            sum += marks[at];
            at &= at - 1;
        }
        sum
    };
    let (mut last, mut hits) = (HashMap::new(), 0);
    for (now, (key, _)) in (1..).zip(asked) {
        if let Some(before) = last.insert(*key, now) {
            let others = sum(&marks, now - 1) - sum(&marks, before);
            hits += u64::from((others as usize) < room);
            add(&mut marks, before, -1);
        }
        add(&mut marks, now, 1);
    }
    hits
}

#[test]
fn only_what_is_asked_behind_the_begin_counts() {
    let mut model = CacheModel::new(&geometry(100_000, 0.0));
    ask(&mut model, 1, 100);
    model.begin_counting();
    assert_eq!(model.curve().data_asked, 0);
    ask(&mut model, 1, 100);
    let curve = model.curve();
    assert_eq!((curve.data_asked, curve.sampled), (1, 1));
    assert!(curve.points.iter().all(|point| (point.hit_rate - 1.0).abs() < 1e-9), "it stayed in the caches");
}

#[test]
fn a_second_use_protects_a_block_from_many_that_are_used_once() {
    let hit_rate = |high_priority_ratio| {
        let mut model = CacheModel::with_sizes(&geometry(100 * 1_096, high_priority_ratio), &[16]);
        (0..50).for_each(|_| ask(&mut model, 0, 1_000));
        // The block would be gone behind a hundred others; it has ten places more to go.
        (1..105).for_each(|key| ask(&mut model, key, 1_000));
        model.begin_counting();
        ask(&mut model, 0, 1_000);
        model.curve().points[0].hit_rate
    };
    assert!(hit_rate(0.0) < 0.5 && hit_rate(0.1) > 0.5);
}

#[test]
fn write_buffers_take_the_room_of_blocks_until_they_are_flushed() {
    let geometry = CacheGeometry { write_buffer_ratio: 0.5, ..geometry(1_200_000, 0.0) };
    let mut model = CacheModel::new(&geometry);
    let held = |model: &mut CacheModel| {
        model.begin_counting();
        (0..200).for_each(|key| ask(model, key, 2_000));
        model.curve().points.iter().map(|point| (point.pool_bytes, point.hit_rate)).collect::<Vec<_>>()
    };
    held(&mut model);
    let before = held(&mut model);
    // The cache has 1,000,000 bytes, its write buffers 350,000 of them.
    (0..3).for_each(|entry| model.hear(access(CacheEvent::Reserve, 1 << 40 | entry, 200_000)));
    held(&mut model);
    let during = held(&mut model);
    (0..3).for_each(|entry| model.hear(access(CacheEvent::Release, 1 << 40 | entry, 200_000)));
    held(&mut model);
    let after = held(&mut model);
    let at = |rates: &[(u64, f64)], pool: u64| rates.iter().find(|(size, _)| *size == pool).unwrap().1;
    assert!(at(&before, 1_200_000) > 0.99 && at(&during, 1_200_000) < 0.5 && at(&after, 1_200_000) > 0.99);
    assert!(at(&during, 2_400_000) > 0.99, "a larger pool has room for both");
    // What was flushed because it was full is as many times larger as the pool is.
    let mut full = CacheModel::new(&CacheGeometry { pool_bytes: 64 << 20, ..geometry });
    (0..80).for_each(|entry| full.hear(access(CacheEvent::Reserve, entry, 256 << 10)));
    let doubled = full.caches.iter().position(|cache| cache.size.pool_bytes == 128 << 20).unwrap();
    let entries: u16 = full.charges.values().map(|entries| entries[doubled]).sum();
    assert!((84..=124).contains(&entries), "{entries}: one for each until they are full, then two");
}
