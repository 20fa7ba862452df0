//! `statebench init`

use std::io::Write;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Failure, Outcome, say};

/// The file that `init` writes.
const STARTER: &str = include_str!("starter.toml");

/// Writes a commented starter workload.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The file to write; an existing one is left alone
    #[arg(default_value = "workload.toml")]
    file: PathBuf,
}

pub(super) fn init(args: &Args) -> Outcome {
    let name = args.file.display();
    let created = std::fs::File::options().write(true).create_new(true).open(&args.file);
    match created.and_then(|mut file| file.write_all(STARTER.as_bytes())) {
        Ok(()) => {
            say(&format!("wrote {name}; run it with: statebench run {name}"));
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Failure::input(format!("{name} exists and is left as it is")))
        }
        Err(error) => Err(Failure::environment(format!("{name}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Document, Plan};
    use std::path::Path;

    #[test]
    fn the_starter_is_a_valid_workload() {
        let document = Document::parse(Path::new("workload.toml"), STARTER.to_owned()).unwrap();
        Plan::of(document, &[], false).unwrap();
    }

    #[test]
    fn what_the_starter_comments_out_is_valid_too() {
        let text: String =
            STARTER.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
        let document = Document::parse(Path::new("workload.toml"), text).unwrap();
        Plan::of(document, &[], false).unwrap();
    }
}
