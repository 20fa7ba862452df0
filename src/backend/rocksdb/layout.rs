//! The bytes of every kind of state in the raw store, against those that a Flink 2.3 database holds.

use rocksdb::{ColumnFamilyDescriptor, DB, IteratorMode, Options as DbOptions};

use super::{OpenMode, RocksDbBackend};
use crate::operator::Average;
use crate::state::{
    Codec, Key, KeyGroups, KeyedStateBackend, Payload, Reduce, StateTtls, StringKey, TextNamespace, TimeDomain,
    VoidNamespace,
};
use crate::workload::Options;

struct Latest;
impl Reduce for Latest {
    type Value = i64;
    fn reduce(_: &i64, added: i64) -> i64 {
        added
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Fills a backend, closes it, and reads the raw entries of every column family with RocksDB alone.
fn raw<K: Key>(max_parallelism: u16, fill: impl Fn(&mut RocksDbBackend<K>)) -> Vec<(String, String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let groups = KeyGroups { max_parallelism, parallelism: 1 };
    let mut backend = RocksDbBackend::open(
        folder.path(),
        &Options::default(),
        (groups, 0),
        None,
        OpenMode::default(),
        StateTtls::new(),
    )
    .unwrap();
    fill(&mut backend);
    backend.flush().unwrap();
    drop(backend);
    let options = DbOptions::default().get_options_from_string("merge_operator=stringappendtest").unwrap();
    let names = DB::list_cf(&options, folder.path()).unwrap();
    // Every family has the merge operator, which joins the elements of a list.
    let descriptors = names.iter().map(|name| ColumnFamilyDescriptor::new(name, options.clone()));
    let db = DB::open_cf_descriptors_read_only(&options, folder.path(), descriptors, false).unwrap();
    let mut entries = Vec::new();
    for name in names {
        let family = db.cf_handle(&name).unwrap();
        for entry in db.iterator_cf(family, IteratorMode::Start) {
            let (key, value) = entry.unwrap();
            entries.push((name.clone(), hex(&key), hex(&value)));
        }
    }
    entries.sort();
    entries
}

#[track_caller]
fn assert_raw(found: &[(String, String, String)], expected: &[(&str, &str, &str)]) {
    let found: Vec<_> = found.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(found, expected);
}

/// Long key 42 lies in key group 29 of 128. A namespace of a plain keyed state is one byte 0.
#[test]
fn plain_states_of_a_long_key_are_stored_as_in_flink() {
    let found = raw::<i64>(128, |backend| {
        let n = &VoidNamespace;
        let value = backend.value_state::<VoidNamespace, i64>("value").unwrap();
        let bytes = backend.value_state::<VoidNamespace, Payload>("bytes").unwrap();
        let list = backend.list_state::<VoidNamespace, i64>("list").unwrap();
        let map = backend.map_state::<VoidNamespace, String, i64>("map").unwrap();
        let reducing = backend.reducing_state::<VoidNamespace, Latest>("reducing").unwrap();
        let aggregating = backend.aggregating_state::<VoidNamespace, Average>("aggregating").unwrap();
        backend.set_current_key(&42);
        backend.update(value, n, 1_001).unwrap();
        backend.update(bytes, n, Payload(vec![0xaa, 0xbb].into())).unwrap();
        (1..=3).for_each(|element| backend.list_add(list, n, element).unwrap());
        backend.map_put(map, n, "k1".to_owned(), 7).unwrap();
        backend.reducing_add(reducing, n, -1).unwrap();
        backend.aggregating_add(aggregating, n, 5).unwrap();
    });
    let key = "1d000000000000002a00";
    let map_key = format!("{key}036b31");
    assert_raw(
        &found,
        &[
            ("aggregating", key, "00000000000000010000000000000005"),
            ("bytes", key, "00000002aabb"),
            ("list", key, "00000000000000012c00000000000000022c0000000000000003"),
            ("map", &map_key, "000000000000000007"),
            ("reducing", key, "ffffffffffffffff"),
            ("value", key, "00000000000003e9"),
        ],
    );
}

/// Beyond 128 key groups the group takes two bytes.
#[test]
fn a_large_max_parallelism_takes_two_bytes() {
    let found = raw::<i64>(32_768, |backend| {
        let value = backend.value_state::<VoidNamespace, i64>("value").unwrap();
        backend.set_current_key(&42);
        backend.update(value, &VoidNamespace, 1_001).unwrap();
    });
    assert_raw(&found, &[("value", "6e1d000000000000002a00", "00000000000003e9")]);
}

/// A string key beside a string namespace: both lengths stand behind what they measure, without the key group's byte.
#[test]
fn keys_of_variable_length_carry_their_lengths_only_beside_a_namespace_of_variable_length() {
    let found = raw::<StringKey>(128, |backend| {
        let plain = backend.value_state::<VoidNamespace, i64>("plain").unwrap();
        let named = backend.value_state::<TextNamespace, i64>("named").unwrap();
        backend.set_current_key(&StringKey::new("key"));
        backend.update(plain, &VoidNamespace, 1).unwrap();
        backend.update(named, &TextNamespace("NS".to_owned()), 1).unwrap();
    });
    assert_raw(
        &found,
        &[("named", "48046b657904034e5303", "0000000000000001"), ("plain", "48046b657900", "0000000000000001")],
    );
}

/// A timer is a key alone: key group, time with its sign flipped so that bytes sort as times do, key, namespace. Each
/// clock has a family of its own. What varies in length ends by itself, so no lengths follow.
#[test]
fn timers_are_stored_as_in_flink() {
    let (event, processing) = (TimeDomain::EventTime, TimeDomain::ProcessingTime);
    let found = raw::<i64>(128, |backend| {
        let timers = backend.timer_service::<VoidNamespace>("user-timers").unwrap();
        backend.set_current_key(&42);
        for (domain, time_ms) in [(event, 1_000), (event, -5), (event, 1_000), (processing, 7), (processing, 8)] {
            backend.register_timer(timers, domain, &VoidNamespace, time_ms).unwrap();
        }
        backend.delete_timer(timers, processing, &VoidNamespace, 7).unwrap();
    });
    let (event_family, processing_family) = ("_timer_state/event_user-timers", "_timer_state/processing_user-timers");
    assert_raw(
        &found,
        &[
            (event_family, "1d7ffffffffffffffb000000000000002a00", ""),
            (event_family, "1d80000000000003e8000000000000002a00", ""),
            (processing_family, "1d8000000000000008000000000000002a00", ""),
        ],
    );
    let found = raw::<StringKey>(128, |backend| {
        let timers = backend.timer_service::<TextNamespace>("user-timers").unwrap();
        backend.set_current_key(&StringKey::new("key"));
        backend.register_timer(timers, event, &TextNamespace("NS".to_owned()), 0).unwrap();
    });
    assert_raw(&found, &[(event_family, "488000000000000000046b6579034e53", "")]);
}

/// Flink's serializers: a string's units as variable integers behind its length plus one.
#[test]
fn strings_are_written_as_flink_writes_them() {
    let written = |text: &str| {
        let mut out = Vec::new();
        text.to_owned().encode(&mut out);
        hex(&out)
    };
    assert_eq!([written(""), written("é"), written("中")], ["01", "02e901", "02ad9c01"]);
}
