//! `statebench report` and `statebench chart`

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args as ClapArgs, ValueEnum};

use super::{Failure, Outcome, print, say, show};
use crate::flink::export;
use crate::report::{
    Book, ChartError, FlinkConfiguration, PageOptions, ResultFile, Theme, chart_picture, page, report_markdown,
};
use crate::result::{RunResult, save_file};
use crate::workload::{FlinkVersion, folder_of};

/// Writes results as one page that needs no network: verdict, tables, charts, and configurations to paste.
///
/// Several results are shown side by side; the first is the baseline that the others are held against.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The result files
    #[arg(required = true, value_name = "RESULT")]
    results: Vec<PathBuf>,
    /// The file that is written; stdout where it is not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// What is written
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    format: ReportFormat,
    /// Leave out when the page was made: the same results give the same bytes
    #[arg(long)]
    reproducible: bool,
    /// Keep the names of users in paths to their folders
    #[arg(long)]
    include_host: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// A page for a browser
    Html,
    /// For a comment or a document
    Markdown,
}

/// Draws one chart of results as a picture for slides and pull requests.
#[derive(Debug, ClapArgs)]
pub struct ChartArgs {
    /// The result files
    #[arg(required = true, value_name = "RESULT")]
    results: Vec<PathBuf>,
    /// The chart; `list charts` names them
    #[arg(long, value_name = "NAME")]
    chart: String,
    /// The file that is written: NAME.svg, or NAME.png with 2400 × 1350 pixels; an SVG on stdout where it is not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// Its colours
    #[arg(long, value_enum, default_value_t = Theme::Light)]
    theme: Theme,
}

pub(super) fn report(args: &Args) -> Outcome {
    check_output(args.output.as_deref(), args.force)?;
    let results = load(&args.results)?;
    let text = match args.format {
        ReportFormat::Html => {
            let made = if args.reproducible { None } else { Some(now()) };
            html(&results, &args.results, args.output.as_deref(), made, args.include_host)
        }
        ReportFormat::Markdown => report_markdown(&Book::new(&results)),
    };
    write(args.output.as_deref(), text.as_bytes())
}

pub(super) fn chart(args: &ChartArgs) -> Outcome {
    let is_png = match args.output.as_deref().and_then(Path::extension).map(OsStr::to_ascii_lowercase) {
        Some(extension) if extension == "png" => true,
        Some(extension) if extension == "svg" => false,
        None if args.output.is_none() => false,
        _ => {
            let output = args.output.as_deref().unwrap_or(Path::new("")).display();
            return Err(Failure::input(format!("{output}: a chart is a .svg or a .png")));
        }
    };
    check_output(args.output.as_deref(), args.force)?;
    let results = load(&args.results)?;
    let picture = chart_picture(&Book::new(&results), &args.chart, args.theme).map_err(of_chart)?;
    let bytes = if is_png { picture.png().map_err(of_chart)? } else { picture.svg.into_bytes() };
    write(args.output.as_deref(), &bytes)
}

/// Writes the page of a result that has just been saved, and tells where it is.
pub(super) fn write_page(result: &RunResult, saved: &Path, output: &Path, quiet: bool) -> Outcome {
    let results = [(label(saved), result.clone())];
    let text = html(&results, &[saved.to_owned()], Some(output), Some(now()), false);
    write(Some(output), text.as_bytes())?;
    if !quiet {
        say(&format!("report: {}", output.display()));
    }
    Ok(())
}

/// The page beside a result file: the same name with another ending.
pub(super) fn page_beside(result: &Path) -> PathBuf {
    result.with_file_name(label(result) + ".html")
}

/// Refuses a file that is there, and a folder that is not, before anything is spent.
pub(super) fn check_output(output: Option<&Path>, force: bool) -> Outcome {
    let Some(output) = output else { return Ok(()) };
    if output.exists() && !force {
        return Err(Failure::input(format!("{} exists; --force overwrites it", output.display())));
    }
    match std::fs::metadata(folder_of(output)) {
        Ok(folder) if folder.is_dir() => Ok(()),
        Ok(_) => Err(Failure::environment(format!("{}: its folder is a file", output.display()))),
        Err(error) => Err(Failure::environment(format!("{}: its folder cannot be used: {error}", output.display()))),
    }
}

fn html(
    results: &[(String, RunResult)],
    paths: &[PathBuf],
    output: Option<&Path>,
    made: Option<String>,
    include_host: bool,
) -> String {
    let folder = |path: &Path| folder_of(path).canonicalize().ok();
    let file = |path: &PathBuf| ResultFile {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        is_beside: output.is_some_and(|output| folder(output).is_some() && folder(output) == folder(path)),
    };
    let configurations = results.iter().flat_map(|(label, result)| {
        let label = if results.len() > 1 { format!("{label}: ") } else { String::new() };
        configurations(result).into_iter().map(move |one| FlinkConfiguration { name: label.clone() + &one.name, ..one })
    });
    let options = PageOptions {
        made,
        include_host,
        files: paths.iter().map(file).collect(),
        configurations: configurations.collect(),
    };
    page(&Book::new(results), &options)
}

/// The configurations of a result, each once, as what is to be pasted into Flink's file.
fn configurations(result: &RunResult) -> Vec<FlinkConfiguration> {
    let mut told = BTreeSet::new();
    let own = result.trials.iter().filter(|trial| trial.run.engine.is_statebench());
    let names = own.map(|trial| trial.configuration.as_str()).filter(|name| told.insert(*name));
    let names: Vec<_> = names.collect();
    let one = |name: &str| FlinkConfiguration {
        name: name.to_owned(),
        file: export(result, name, FlinkVersion::V2_3).map(|exported| exported.file()).map_err(|why| why.to_string()),
    };
    names.into_iter().map(one).collect()
}

/// Loads results with the names that tell them apart.
fn load(paths: &[PathBuf]) -> Result<Vec<(String, RunResult)>, Failure> {
    let mut results: Vec<(String, RunResult)> = Vec::new();
    for path in paths {
        let result = show::load(path)?;
        let name = label(path);
        let same =
            results.iter().filter(|(other, _)| *other == name || other.starts_with(&format!("{name} #"))).count();
        results.push((if same > 0 { format!("{name} #{}", same + 1) } else { name }, result));
    }
    Ok(results)
}

/// The name of a result file without its endings.
fn label(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.strip_suffix(".json").unwrap_or(&name);
    name.strip_suffix(".result").unwrap_or(name).to_owned()
}

fn write(output: Option<&Path>, bytes: &[u8]) -> Outcome {
    match output {
        None => print(&String::from_utf8_lossy(bytes)),
        Some(path) => save_file(path, |file| file.write_all(bytes))
            .map_err(|error| Failure::environment(format!("{}: {error}", path.display()))),
    }
}

fn of_chart(error: ChartError) -> Failure {
    match error {
        ChartError::Unknown { .. } | ChartError::Empty(..) => Failure::input(error),
        ChartError::Pixels(_) => Failure::environment(error),
    }
}

fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    format!("made {}", crate::report::utc(now))
}
