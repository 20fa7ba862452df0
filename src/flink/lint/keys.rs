//! Keys and values: whether Flink has them, under this name, in this version.

use super::{Context, Draft, Rule, Scope, error, note, rule, warning};
use crate::flink::yaml;
use crate::workload::{Bytes, Dialect, KeyKind, OptionRow, Options, Time, Versions};

pub(super) static RULES: &[Rule] = &[
    rule("never-existed", "keys that no version of Flink had", Scope::Cluster, never_existed),
    rule("unknown-key", "keys that Flink does not know", Scope::Cluster, unknown),
    rule("old-name", "deprecated names of keys", Scope::Options, old_name),
    rule("two-names", "one option under two names", Scope::Cluster, two_names),
    rule("wrong-version", "keys of another version", Scope::Cluster, wrong_version),
    rule("bad-value", "values that Flink refuses", Scope::Cluster, bad_value),
    rule("bare-number", "sizes and times without a unit", Scope::Cluster, bare_number),
    rule("not-modelled", "what statebench has not", Scope::Cluster, not_modelled),
];

const BLOCK_BASED: &str = "state.backend.rocksdb.bloom-filter.block-based";

fn never_existed(context: &Context) -> Vec<Draft> {
    let mistaken = context.given.iter().filter_map(|given| Some((given, Options::mistaken(&given.key)?)));
    mistaken
        .map(|(given, real)| {
            let does = format!("no version has this key, so it sets nothing and nobody says so; the real key is {real}");
            let write = if given.key == BLOCK_BASED {
                format!("state.backend.rocksdb.use-bloom-filter: true, which turns filters on, and {real}: false, or not at all")
            } else {
                format!("{real}: {}", yaml::value(&clipped(&given.value)))
            };
            error(&given.key, does, write)
        })
        .collect()
}

fn unknown(context: &Context) -> Vec<Draft> {
    let is_unknown = |kind| matches!(kind, KeyKind::Unknown);
    let unknown =
        context.given.iter().filter(|given| is_unknown(given.kind) && Options::mistaken(&given.key).is_none());
    unknown
        .map(|given| {
            let write = match Options::nearest_key(&given.key) {
                Some(near) => format!("{near}: {}, if that is meant", yaml::value(&clipped(&given.value))),
                None => "leave it out".to_owned(),
            };
            error(&given.key, "it does not know this key, so it sets nothing and nobody says so", write)
        })
        .collect()
}

fn old_name(context: &Context) -> Vec<Draft> {
    let old =
        context.given.iter().filter(|given| !given.is_shadowed && given.row().is_some() && given.key != given.name);
    old.map(|given| {
        let does = "still reads this name, with a warning in the log; it is deprecated";
        warning(&given.name, does, format_args!("{}: {}", given.name, yaml::value(&clipped(&given.value))))
    })
    .collect()
}

fn two_names(context: &Context) -> Vec<Draft> {
    let shadowed = context.given.iter().filter(|given| given.is_shadowed);
    shadowed
        .map(|given| {
            let first = context.find(&given.name).map_or(given.name.as_str(), |first| first.key.as_str());
            let does = format!("never reads this value: {first} is the same option and goes before it");
            error(&given.key, does, format_args!("one of the two; the current name is {}", given.name))
        })
        .collect()
}

fn wrong_version(context: &Context) -> Vec<Draft> {
    let version = context.version;
    let is_other = |row: &OptionRow| !row.versions.has(version);
    let other = context.given.iter().filter(|given| given.row().is_some_and(is_other));
    let mut found: Vec<_> = other
        .map(|given| {
            let since = if given.row().is_some_and(|row| row.versions == Versions::Only2_3) { "2.x" } else { "1.x" };
            let does = format!("{version} does not know this key, which is one of {since}, so it sets nothing");
            error(&given.name, does, "leave it out, or look with --flink-version for the version that will read it")
        })
        .collect();
    if is_forst(context) && version == crate::workload::FlinkVersion::V1_20 {
        found.push(error(BACKEND, "1.20 has no forst backend", format_args!("{BACKEND}: rocksdb")));
    }
    found
}

const BACKEND: &str = "state.backend.type";

fn is_forst(context: &Context) -> bool {
    context.find(BACKEND).is_some_and(|given| given.value.eq_ignore_ascii_case("forst"))
}

/// Whether a value is refused by what statebench has rather than by Flink.
fn is_own_limit(allowed: &str) -> bool {
    allowed.contains("statebench") || allowed == "one directory"
}

fn bad_value(context: &Context) -> Vec<Draft> {
    let refused = context.given.iter().filter_map(|given| Some((given, given.refused.as_ref()?)));
    refused
        .filter(|(given, invalid)| {
            if given.name == BACKEND {
                !is_forst(context)
            } else {
                !is_own_limit(&invalid.allowed) || given.value.is_empty()
            }
        })
        .map(|(given, invalid)| {
            let quoted = given.value.starts_with(['"', '\'']) && context.dialect == Some(Dialect::Flat);
            let quotes = if quoted { ", without quotes: flink-conf.yaml is not YAML" } else { "" };
            let found =
                if given.value.is_empty() { "nothing".to_owned() } else { format!("`{}`", clipped(&given.value)) };
            let allowed = if given.name == BACKEND { "hashmap, rocksdb or, in 2.x, forst" } else { &invalid.allowed };
            error(
                &given.name,
                format_args!("refuses {found} when the job or the cluster starts"),
                format_args!("{allowed}{quotes}"),
            )
        })
        .collect()
}

fn bare_number(context: &Context) -> Vec<Draft> {
    let is_bare = |value: &str| value.parse::<u64>().is_ok_and(|number| (1..1000).contains(&number));
    let given = context.given.iter().filter(|given| given.refused.is_none() && is_bare(&given.value));
    given
        .filter_map(|given| {
            let allowed = given.row()?.allowed;
            let (counts, example) = if allowed.starts_with("a size") {
                (given.value.parse::<Bytes>().ok()?.to_string(), "mb")
            } else if allowed.starts_with("a time") {
                (given.value.parse::<Time>().ok()?.to_string(), "s")
            } else {
                return None;
            };
            let does = format!("takes a number without a unit for {counts}");
            Some(warning(&given.name, does, format_args!("a unit, as in {}: {} {example}", given.name, given.value)))
        })
        .collect()
}

fn not_modelled(context: &Context) -> Vec<Draft> {
    let beyond = context.given.iter().filter(|given| {
        let by_value = given.refused.as_ref().is_some_and(|invalid| is_own_limit(&invalid.allowed));
        let by_key = matches!(given.kind, KeyKind::NotModelled);
        by_key
            || (given.name == BACKEND && is_forst(context))
            || (by_value && given.name != BACKEND && !given.value.is_empty())
    });
    beyond
        .map(|given| {
            note(
                &given.name,
                "does what this sets; statebench has not that part of Flink",
                "as it is: it is not looked at here",
            )
        })
        .collect()
}

/// A value, or the beginning of a long one.
fn clipped(value: &str) -> String {
    const SHOWN_CHARS: usize = 100;
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
