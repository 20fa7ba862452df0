//! What collections cost on a machine.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::result::{printable, save_file};
use crate::workload::Diagnostic;

/// What collections cost. All but [`Self::pessimism`] are of a machine: the ones built in were fitted to runs of Flink's
/// heap backend on HotSpot 17.0.15, on two cores of an x86-64 server with 32 MiB of L3 cache.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Constants {
    /// What a young pause takes whatever it copies, ms (fitted).
    pub young_ms: f64,
    /// What it takes for each MiB of heap, ns (fitted).
    pub young_ns_per_heap_mib: f64,
    /// What copying an object takes, ns of CPU (fitted). The card of its holder is scanned in it: each surviving slot is
    /// one old object that was written to.
    pub copy_ns_per_object: f64,
    /// What copying a byte takes, ns of CPU (fitted).
    pub copy_ns_per_byte: f64,
    /// What an old object takes on top where a mixed pause moves it, ns of CPU (fitted).
    pub evacuate_ns_per_object: f64,
    /// A full collection of G1 (fitted).
    pub g1_full: LiveCost,
    /// A full collection of Parallel (fitted).
    pub parallel_full: LiveCost,
    /// A concurrent mark of G1, on a core of its own (fitted); 2 to 5 times that where it has none.
    pub mark: LiveCost,
    /// How much longer G1 expects pauses to be than they are: its prediction counts cards and remembered sets at their
    /// worst (fitted; 3 to 8 fit alike).
    pub pessimism: f64,
}

/// A cost that grows with what is alive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LiveCost {
    /// Whatever is alive, ms.
    pub ms: f64,
    /// For each live object, ns of CPU.
    pub ns_per_object: f64,
    /// For each live byte, ns of CPU.
    pub ns_per_byte: f64,
}

/// What each further collector thread adds to the first: CPU over wall time of pauses that nothing disturbed was 1.8 of
/// 2 threads. Beyond two it is an assumption.
const FURTHER_THREAD: f64 = 0.9;

/// How many times faster than one thread this many collector threads are.
pub(super) fn parallel_speed(threads: u32) -> f64 {
    1.0 + FURTHER_THREAD * (f64::from(threads) - 1.0)
}

/// So many times a cost, with three digits: more was not measured.
pub(super) fn scaled(cost: f64, factor: f64) -> f64 {
    let scaled = cost * factor;
    if scaled <= 0.0 {
        return 0.0;
    }
    let unit = 10_f64.powi(scaled.log10().floor() as i32 - 2);
    // Divided by a whole number where that is exact, so that no digits are left over.
    if unit < 1.0 { (scaled / unit).round() / (1.0 / unit).round() } else { (scaled / unit).round() * unit }
}

impl Default for Constants {
    fn default() -> Self {
        Self {
            young_ms: 1.0,
            young_ns_per_heap_mib: 1_440.0,
            copy_ns_per_object: 319.0,
            copy_ns_per_byte: 0.40,
            evacuate_ns_per_object: 60.0,
            g1_full: LiveCost { ms: 0.0, ns_per_object: 110.0, ns_per_byte: 0.50 },
            parallel_full: LiveCost { ms: 107.0, ns_per_object: 94.0, ns_per_byte: 0.60 },
            mark: LiveCost { ms: 0.0, ns_per_object: 98.0, ns_per_byte: 0.50 },
            pessimism: 4.0,
        }
    }
}

impl Constants {
    /// Reads constants from a file of TOML, as [`Self::save`] writes it.
    ///
    /// # Errors
    /// The file cannot be read, or lacks a constant, or has one that no machine has.
    pub fn load(path: &Path) -> Result<Self, Diagnostic> {
        let text = std::fs::read_to_string(path).map_err(|error| Diagnostic::of_file(path, error))?;
        let constants: Self = toml::from_str(&text)
            .map_err(|error| Diagnostic::at(path, &text, error.span().unwrap_or(0..0), error.message()))?;
        match constants.figures().into_iter().find(|(_, figure)| !(0.0..=1e9).contains(figure)) {
            Some((name, figure)) => {
                let problem = format!("{name}: found {figure}, allowed is a number from 0 to 1e9");
                Err(Diagnostic::of_file(path, problem))
            }
            None => Ok(constants),
        }
    }

    /// Writes the constants to a file, over one that is there, behind a line that says where they are from.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, path: &Path, origin: &str) -> std::io::Result<()> {
        let constants = toml::to_string(self).map_err(std::io::Error::other)?;
        save_file(path, |file| write!(file, "# {}\n{constants}", printable(origin)))
    }

    /// Every constant with its name in the file.
    fn figures(&self) -> Vec<(String, f64)> {
        let Self {
            young_ms,
            young_ns_per_heap_mib,
            copy_ns_per_object,
            copy_ns_per_byte,
            evacuate_ns_per_object,
            g1_full,
            parallel_full,
            mark,
            pessimism,
        } = *self;
        let mut figures = vec![
            ("young-ms".to_owned(), young_ms),
            ("young-ns-per-heap-mib".to_owned(), young_ns_per_heap_mib),
            ("copy-ns-per-object".to_owned(), copy_ns_per_object),
            ("copy-ns-per-byte".to_owned(), copy_ns_per_byte),
            ("evacuate-ns-per-object".to_owned(), evacuate_ns_per_object),
            ("pessimism".to_owned(), pessimism),
        ];
        for (name, LiveCost { ms, ns_per_object, ns_per_byte }) in
            [("g1-full", g1_full), ("parallel-full", parallel_full), ("mark", mark)]
        {
            let of_part = [("ms", ms), ("ns-per-object", ns_per_object), ("ns-per-byte", ns_per_byte)];
            figures.extend(of_part.map(|(part, figure)| (format!("{name}.{part}"), figure)));
        }
        figures
    }
}

impl LiveCost {
    /// So many times as much.
    pub(super) fn scaled(self, factor: f64) -> Self {
        Self {
            ms: scaled(self.ms, factor),
            ns_per_object: scaled(self.ns_per_object, factor),
            ns_per_byte: scaled(self.ns_per_byte, factor),
        }
    }

    /// What it takes at a speed, that of one thread being 1; ms.
    pub(super) fn of(&self, objects: f64, bytes: f64, speed: f64) -> f64 {
        self.ms + (self.ns_per_object * objects + self.ns_per_byte * bytes) / speed / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_scaled_to_three_digits() {
        let scale = |cost| format!("{}", scaled(cost, 1.474_723_7));
        assert_eq!(
            [319.0, 0.4, 1_440.0, 60.0, 0.0, 1e-5].map(scale),
            ["470", "0.59", "2120", "88.5", "0", "0.0000147"]
        );
    }

    #[test]
    fn constants_come_back_from_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("constants.toml");
        let constants = Constants { young_ms: 0.125, ..Constants::default() };
        constants.save(&path, "a machine\nof two lines").unwrap();
        assert_eq!(Constants::load(&path).unwrap(), constants);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# a machine\\nof two lines\nyoung-ms = 0.125\n"), "{text}");
        for (from, to, problem) in [
            ("young-ms = 0.125", "young-ms = -1.0", "young-ms: found -1, allowed is a number from 0 to 1e9"),
            ("young-ms = 0.125", "young-ms = nan", "young-ms: found NaN, allowed is a number from 0 to 1e9"),
            ("young-ms = 0.125\n", "", "missing field `young-ms`"),
            ("young-ms = 0.125", "young-ms = \"fast\"", "invalid type: string \"fast\", expected f64"),
            ("[mark]", "[mask]", "unknown field `mask`"),
        ] {
            std::fs::write(&path, text.replace(from, to)).unwrap();
            let said = Constants::load(&path).unwrap_err().to_string();
            assert!(said.contains(problem) && said.contains("constants.toml"), "{said}");
        }
        assert!(Constants::load(folder.path()).is_err());
    }
}
