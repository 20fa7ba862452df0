//! How a run is repeated: configurations to paste, the workload, the circumstances.

use std::fmt::Write;

use maud::{Markup, html};

use super::{PageOptions, ResultFile};
use crate::report::Book;
use crate::report::book::Entry;
use crate::report::table::with_unit;
use crate::result::{Manifest, RunResult, Unit, printable_lines};

/// Labels of a matrix's workloads that are listed.
const MOST_VARIANTS: usize = 200;

/// Configurations, workloads and manifests.
pub(super) fn config(book: &Book<'_>, options: &PageOptions) -> Markup {
    html! {
        h3 { "Configurations as Flink keys" }
        p.muted { "What differs from Flink's defaults, for the config.yaml of Flink 2.3." }
        @if options.configurations.is_empty() { p.missing { "No configuration has trials." } }
        @for configuration in &options.configurations {
            details open[options.configurations.len() <= 3] {
                summary { (configuration.name) }
                @match &configuration.file {
                    Ok(file) => pre.copy tabindex="0" { (printable_lines(file)) },
                    Err(why) => p.missing { (why) },
                }
            }
        }
        @for (at, entry) in book.entries.iter().enumerate() {
            (run(entry, options.files.get(at)))
        }
    }
}

fn run(entry: &Entry<'_>, file: Option<&ResultFile>) -> Markup {
    let result = entry.result;
    html! {
        h3 { "Run" @if !entry.label.is_empty() { ": " (entry.label) } }
        @if let Some(file) = file {
            p {
                "Every figure with all its digits: "
                @if file.is_beside { a href=(link(&file.name)) { (file.name) } } @else { code { (file.name) } }
            }
        }
        details {
            summary { "Machine, program and seed" }
            (circumstances(&result.manifest))
        }
        details {
            summary { "The workload with every default filled in" }
            @match workload(result) {
                Ok(text) => {
                    p.muted { "To run it again, save it as a file and give it to " code { "statebench run" } "." }
                    pre.copy tabindex="0" { (text) }
                },
                Err(why) => p.missing { "The workload cannot be written as TOML: " (why) },
            }
        }
        @let labels: Vec<_> = result.variants.iter().map(|v| v.label.as_str()).filter(|label| !label.is_empty()).collect();
        @if !labels.is_empty() {
            details {
                summary { (labels.len()) " workloads of the matrix" }
                ul { @for label in labels.iter().take(MOST_VARIANTS) { li { (label) } } }
                @if labels.len() > MOST_VARIANTS { p.missing { (labels.len() - MOST_VARIANTS) " more are in the result file." } }
            }
        }
    }
}

/// A file beside the page, as a link that is never anything else.
fn link(file: &str) -> String {
    let mut out = String::from("./");
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn workload(result: &RunResult) -> Result<String, String> {
    toml::to_string(&result.workload).map(|text| printable_lines(&text)).map_err(|error| error.to_string())
}

fn circumstances(manifest: &Manifest) -> Markup {
    let (host, build) = (&manifest.host, &manifest.build);
    let bytes = |bytes: u64| with_unit(bytes as f64, Unit::Bytes);
    let rows: [(&str, String); 13] = [
        ("began", utc(manifest.started_epoch_s)),
        ("operating system", host.os.clone()),
        ("kernel", host.kernel.clone()),
        ("CPU", host.cpu.clone()),
        ("cores", host.cores.to_string()),
        ("memory", bytes(host.memory_bytes)),
        ("file system of the state", host.state_file_system.clone()),
        ("space left on it", host.state_free_bytes.map_or_else(|| "unknown".to_owned(), bytes)),
        ("statebench", format!("{} ({} build, {})", build.statebench, build.profile, build.target)),
        ("RocksDB", build.rocksdb.clone().unwrap_or_else(|| "built without".to_owned())),
        ("allocator", build.allocator.clone()),
        ("seed", manifest.seed.to_string()),
        (
            "quick",
            if manifest.quick { "yes: a check that the workload runs, not a measurement" } else { "no" }.to_owned(),
        ),
    ];
    html! { dl { @for (what, value) in rows { dt { (what) } dd { (value) } } } }
}

/// Seconds since 1970 as date and time, UTC (the civil calendar of Howard Hinnant's `civil_from_days`).
pub fn utc(epoch_s: u64) -> String {
    const DAY_S: u64 = 86_400;
    // Later than the year 9999 is no time of a run.
    let (days, second) = ((epoch_s / DAY_S).min(2_932_896) as i64, epoch_s % DAY_S);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3600, second / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_linked_as_a_file_whatever_it_is_called() {
        assert_eq!(link("javascript:alert(1).json"), "./javascript%3Aalert%281%29.json");
        assert_eq!(link("a b/ü.json"), "./a%20b%2F%C3%BC.json");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_795_711_920), "2026-11-26 16:52 UTC");
        assert!(utc(u64::MAX).starts_with("9999-12-31"));
    }
}
