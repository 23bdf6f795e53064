//! `relief plot`: draws saved results and runs again, and hands results to other programs.

use std::path::{Path, PathBuf};

use clap::Args;
use relief_plot::{Animation, Report};

use crate::commands::surface::Show;
use crate::exit::{Failure, Outcome};
use crate::exports::{self, DataFormat};
use crate::runs::{self, Run, Shown};
use crate::saved::{Kind, Look, Results};
use crate::{lines, output, pages, surface_figures};

/// Draw saved results of any verb or runs again, or convert results
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief eigenvalues notebooks-data/digits-sgd.safetensors -o sgd.json
  relief eigenvalues notebooks-data/digits-sam.safetensors -o sam.json
  relief plot sgd.json sam.json -o minima.png
  relief plot sgd.json -o sgd.svg --title 'After SGD'
  relief plot sgd.json sam.json                  in the terminal
  relief plot spectrum-sgd.json spectrum-sam.json -o spectra.png
  relief plot trace-sgd.json trace-sam.json -o traces.svg   and so for diagonal, compare, outliers, subset
  relief plot step*.json -o training.gif         surfaces or lines one after another
  relief plot surface.json -o surface.vtp        for ParaView; .npz for NumPy, .csv for tables
  relief plot runs/sgd runs/sam -o report.html   all that two runs recorded
  relief plot runs/sam-seed* -o sam.png          runs that differ in their seeds: means with 95 % bands
  relief plot runs/sam -o metrics.csv            its numbers
  relief plot runs/sgd --tensorboard events/     the same for TensorBoard")]
pub(crate) struct Arguments {
    /// JSON results that relief wrote (with --output or --format json), or folders of runs with a metrics.jsonl; several
    /// go into one figure
    #[arg(required = true, value_name = "RESULT|RUN")]
    inputs: Vec<PathBuf>,

    /// A picture: .svg, .png (300 dpi) or .html; an animation with a frame for each result: .gif or .apng; or data: .npz
    /// (NumPy arrays), .csv (a row for each point), .vtp and .vti (VTK, for ParaView). Without it, results are drawn small
    /// in the terminal
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

    /// Frames per second of an animation [default: 4]
    #[arg(long, value_name = "N", help_heading = "Output")]
    rate: Option<f64>,

    /// The title above the figure
    #[arg(long, default_value = "", help_heading = "Output")]
    title: String,
}

/// Pictures of results.
const PICTURES: [&str; 5] = ["svg", "png", "html", "gif", "apng"];
/// Frames per second where nothing is said.
const RATE: f64 = 4.0;

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    if let Some(path) = &arguments.output {
        output::check_writable(path)?;
    }
    let moving = arguments.output.as_ref().is_some_and(|path| is_animation(path));
    match arguments.rate {
        Some(rate) if !(0.1..=50.0).contains(&rate) => {
            return Err(Failure::Usage(format!("--rate is {rate}: give a number from 0.1 to 50")));
        }
        Some(_) if !moving => {
            return Err(Failure::Usage("--rate is for animations: give -o FILE.gif or FILE.apng".into()));
        }
        _ => {}
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
    if let Some(path) = &arguments.output {
        check(path)?;
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
    if let Some((path, format)) =
        arguments.output.as_ref().and_then(|path| Some((path, DataFormat::of(path)?)))
    {
        return exports::save(path, format, &results);
    }
    let group = results.group()?;
    let Arguments { title, show, perspective, .. } = arguments;
    let look = Look { show: *show, perspective: *perspective };
    match &arguments.output {
        Some(path) if is_animation(path) => {
            let frames = match group.kind() {
                Kind::Line => lines::frames(title, &results.lines),
                Kind::Surface => surface_figures::frames(title, &results.surfaces, *show, *perspective)?,
                kind => {
                    return Err(Failure::Usage(format!(
                        "`{}` shows surfaces or lines one after another, not {}: draw a .png",
                        path.display(),
                        kind.name()
                    )));
                }
            };
            let rate = arguments.rate.unwrap_or(RATE);
            Animation { rate, ..Animation::new(frames) }.save(path)?;
        }
        Some(path) => group.figure(title, look)?.save(path)?,
        None => output::print(&group.in_characters(look)?),
    }
    Ok(())
}

/// Refuses a name that results cannot be written to.
fn check(path: &Path) -> Result<(), Failure> {
    let extension = output::extension(path);
    if DataFormat::of(path).is_some() || PICTURES.contains(&extension.as_str()) {
        return Ok(());
    }
    let data = DataFormat::ALL.iter().map(|format| format.extension());
    let all: Vec<&str> = PICTURES.into_iter().chain(data).collect();
    Err(Failure::Usage(format!(
        "`{}` ends in none of {}: give the file one of them",
        path.display(),
        output::endings(&all)
    )))
}

fn runs(arguments: &Arguments, folders: &[&PathBuf]) -> Result<(), Failure> {
    let runs: Vec<Run> = folders.iter().map(|folder| runs::read(folder)).collect::<Result<_, _>>()?;
    if let Some(folder) = &arguments.tensorboard {
        runs::tensorboard(folder, &runs)?;
    }
    match &arguments.output {
        Some(path) if is_page(path) => runs::report(&arguments.title, &runs)?.save(path)?,
        Some(path) if output::extension(path) == "csv" => {
            output::write(path, runs::csv(&runs).as_bytes())?;
        }
        Some(path) => runs::figure(&arguments.title, &runs, Shown::Usual).save(path)?,
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
    output::extension(path) == "html"
}

fn is_animation(path: &Path) -> bool {
    ["gif", "apng"].contains(&output::extension(path).as_str())
}
