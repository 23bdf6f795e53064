//! `relief plot`: draws saved results and runs again.

use std::path::{Path, PathBuf};

use clap::Args;
use relief_plot::Report;

use crate::commands::surface::Show;
use crate::exit::{Failure, Outcome};
use crate::runs::{self, Run};
use crate::saved::Results;
use crate::{connection_figures, eigenvalue_figures, lines, output, pages, surfaces};

/// Draw saved results or runs: eigenvalues, lines, surfaces, everything a run recorded
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief eigenvalues notebooks-data/digits-sgd.safetensors -o sgd.json
  relief eigenvalues notebooks-data/digits-sam.safetensors -o sam.json
  relief plot sgd.json sam.json -o minima.png
  relief plot sgd.json -o sgd.svg --title 'After SGD'
  relief plot sgd.json sam.json                  in the terminal
  relief plot runs/sgd runs/sam -o report.html   all that two runs recorded
  relief plot runs/sgd --tensorboard events/     the same for TensorBoard")]
pub(crate) struct Arguments {
    /// JSON results that relief wrote (with --output or --format json), or folders of runs with a metrics.jsonl; several
    /// go into one figure
    #[arg(required = true, value_name = "RESULT|RUN")]
    inputs: Vec<PathBuf>,

    /// The picture: .svg, .png (300 dpi) or .html; without it, results are drawn small in the terminal
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,

    /// Write the runs' numbers and figures as event files for TensorBoard to this folder
    #[arg(long, value_name = "FOLDER", help_heading = "Output")]
    tensorboard: Option<PathBuf>,

    /// What the colours of surfaces show
    #[arg(long, value_enum, default_value = "loss", help_heading = "Output")]
    show: Show,

    /// Draw lit surfaces instead of maps
    #[arg(long, help_heading = "Output")]
    perspective: bool,

    /// The title above the figure
    #[arg(long, default_value = "", help_heading = "Output")]
    title: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    if let Some(path) = &arguments.output {
        output::check_writable(path)?;
    }
    let (folders, files): (Vec<&PathBuf>, Vec<&PathBuf>) =
        arguments.inputs.iter().partition(|path| path.is_dir());
    match (folders.as_slice(), files.as_slice()) {
        ([], files) => results(arguments, files)?,
        (folders, []) => runs(arguments, folders)?,
        ([folder, ..], [file, ..]) => {
            return Err(Failure::Usage(format!(
                "`{}` is a run and `{}` a result, which do not go into one figure: draw them one after the other",
                folder.display(),
                file.display()
            )));
        }
    }
    Ok(Outcome::Done)
}

fn results(arguments: &Arguments, files: &[&PathBuf]) -> Result<(), Failure> {
    if arguments.tensorboard.is_some() {
        return Err(Failure::Usage("--tensorboard is for runs: give folders with a metrics.jsonl".into()));
    }
    let mut results = Results::default();
    for path in files {
        let json = std::fs::read_to_string(path)
            .map_err(|e| Failure::Input(format!("`{}` cannot be read: {e}", path.display())))?;
        results.read(&json, &path.display().to_string())?;
    }
    if let Some(path) = arguments.output.as_ref().filter(|path| is_page(path)) {
        let title = if arguments.title.is_empty() { "Results" } else { &arguments.title };
        let mut report = Report::new(title);
        for (heading, figure) in pages::figures(&results, arguments.show)? {
            report = pages::with(report, heading, figure)?;
        }
        return Ok(report.save(path)?);
    }
    let Results { spectra, surfaces: maps, lines: curves, connections } = results;
    let kinds = [spectra.is_empty(), maps.is_empty(), curves.is_empty(), connections.is_empty()];
    if kinds.iter().filter(|empty| !**empty).count() > 1 {
        return Err(Failure::Usage(
            "results of several kinds do not go into one picture: draw them one after the other, or a page with -o FILE.html"
                .into(),
        ));
    }
    let title = &arguments.title;
    match &arguments.output {
        Some(path) if !spectra.is_empty() => eigenvalue_figures::figure(title, &spectra).save(path)?,
        Some(path) if !curves.is_empty() => lines::figure(title, &curves).save(path)?,
        Some(path) if !connections.is_empty() => {
            connection_figures::figure(title, &connections).save(path)?;
        }
        Some(path) => surfaces::figure(title, &maps, arguments.show, arguments.perspective)?.save(path)?,
        None if !spectra.is_empty() => output::print(&eigenvalue_figures::in_characters(&spectra)),
        None if !curves.is_empty() => output::print(&lines::in_characters(&curves)),
        None if !connections.is_empty() => output::print(&connection_figures::in_characters(&connections)),
        None => output::print(&surfaces::in_characters(&maps, arguments.show)?),
    }
    Ok(())
}

fn runs(arguments: &Arguments, folders: &[&PathBuf]) -> Result<(), Failure> {
    let runs: Vec<Run> = folders.iter().map(|folder| runs::read(folder)).collect::<Result<_, _>>()?;
    if let Some(folder) = &arguments.tensorboard {
        runs::tensorboard(folder, &runs)?;
    }
    match &arguments.output {
        Some(path) if is_page(path) => runs::report(&arguments.title, &runs)?.save(path)?,
        Some(path) => runs::figure(&arguments.title, &runs).save(path)?,
        None if arguments.tensorboard.is_some() => {}
        None => {
            return Err(Failure::Usage(
                "a run needs a picture to be drawn in: give -o FILE or --tensorboard FOLDER".into(),
            ));
        }
    }
    Ok(())
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("html"))
}
