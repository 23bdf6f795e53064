//! Scans of slices: progress, Ctrl-C, and the state to go on from.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use relief_hessian::{Control, Error, Parameters};
use relief_landscape::{Normalisation, RandomDirection, Scan, Slice, Vectors, scan};
use relief_models::task::Task;

use crate::exit::Failure;
use crate::load::Loaded;
use crate::{interrupt, output};

/// Options of a scan that can be interrupted.
#[derive(Debug, Args)]
pub(crate) struct ScanArguments {
    /// Go on from the state of an interrupted scan with the same arguments
    #[arg(long, value_name = "FILE", help_heading = "Computation")]
    pub(crate) resume: Option<PathBuf>,

    /// Where Ctrl-C saves the state to resume from
    #[arg(long, value_name = "FILE", default_value = "scan.state", help_heading = "Computation")]
    pub(crate) state: PathBuf,
}

/// Options of random directions.
#[derive(Debug, Args)]
pub(crate) struct DirectionArguments {
    /// How a random direction is scaled to the network: every filter (neuron), every layer, or not
    #[arg(long, value_enum, default_value = "filter", help_heading = "Directions")]
    pub(crate) normalisation: NormalisationArgument,

    /// Let random directions move biases and norms too, which stay where they are otherwise
    #[arg(long, help_heading = "Directions")]
    pub(crate) move_vectors: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NormalisationArgument {
    Filter,
    Layer,
    None,
}

impl DirectionArguments {
    pub(crate) fn direction(&self, seed: u64, nth: u64) -> RandomDirection {
        RandomDirection {
            normalisation: match self.normalisation {
                NormalisationArgument::Filter => Normalisation::Filter,
                NormalisationArgument::Layer => Normalisation::Layer,
                NormalisationArgument::None => Normalisation::None,
            },
            vectors: if self.move_vectors { Vectors::Move } else { Vectors::Zero },
            seed,
            nth,
        }
    }
}

/// The unit of a coordinate along a direction.
pub(crate) fn unit(normalisation: Normalisation) -> &'static str {
    match normalisation {
        Normalisation::Filter => "filter-norm units",
        Normalisation::Layer => "layer-norm units",
        Normalisation::None => "Gaussian units",
    }
}

/// `A:B` with A below B.
pub(crate) fn range(text: &str) -> Result<[f64; 2], String> {
    let ends: Vec<f64> =
        text.split(':').filter_map(|end| end.trim().parse().ok()).filter(|e: &f64| e.is_finite()).collect();
    match ends.as_slice() {
        [low, high] if low < high && text.matches(':').count() == 1 => Ok([*low, *high]),
        _ => Err(format!("`{text}` is not a range: write two numbers, the lower one first, such as -1:1")),
    }
}

/// So many coordinates from one end to the other. Zero and one are hit exactly where they are among them.
pub(crate) fn nodes([low, high]: [f64; 2], count: usize) -> Vec<f64> {
    (0..count)
        .map(|i| {
            let last = (count - 1) as f64;
            let v = (low * (last - i as f64) + high * i as f64) / last;
            let whole = v.round();
            if (v - whole).abs() < 1e-12 * (high - low) { whole } else { v }
        })
        .collect()
}

/// Measures loss and accuracy at every point of a slice. `Ok(None)` after Ctrl-C, with the state saved.
pub(crate) fn run(
    slice: &Slice,
    task: &Task,
    arguments: &ScanArguments,
    context: &str,
    what: &str,
) -> Result<Option<Scan>, Failure> {
    let begun = match &arguments.resume {
        Some(path) => load(path, context, slice.len())?,
        None => Scan::default(),
    };
    let found = measure(slice, task, begun, what)?;
    if found.covers(slice) {
        return Ok(Some(found));
    }
    save(&arguments.state, context, &found)?;
    eprintln!(
        "interrupted after {} of {} points; go on with --resume {}",
        found.values.len(),
        slice.len(),
        arguments.state.display()
    );
    Ok(None)
}

/// Measures the points that a scan lacks, with a bar; fewer where Ctrl-C was pressed.
pub(crate) fn measure(slice: &Slice, task: &Task, begun: Scan, what: &str) -> Result<Scan, Failure> {
    let bar = ProgressBar::new(slice.len() as u64).with_prefix(what.to_string());
    let style = "{prefix}  {bar:30} {pos}/{len} points  {elapsed} elapsed, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let measure = |at: &Parameters| {
        let measured = task.measure(at).map_err(|e| Error::Input(e.to_string()))?;
        Ok(vec![measured.loss, measured.accuracy.unwrap_or(f64::NAN)])
    };
    let found = scan(slice, begun, &measure, &mut |done| {
        bar.set_position(done as u64);
        if interrupt::requested() { Control::Interrupt } else { Control::Continue }
    });
    bar.finish_and_clear();
    Ok(found?)
}

/// What a saved state must agree with: input, data, and all that makes the slice.
pub(crate) fn context(loaded: &Loaded, slice: &str) -> String {
    let task = &loaded.task;
    format!(
        "relief-scan-1 {} {} {:?} {:?} {} {:?} {} {slice}",
        loaded.checkpoint_sha256,
        loaded.model,
        loaded.data_sha256,
        task.batch_norm,
        task.batch_size,
        task.loss,
        loaded.dtype_name(),
    )
}

/// Numbers as their bits, so that not one is lost on the way.
fn save(path: &Path, context: &str, scan: &Scan) -> Result<(), Failure> {
    let mut text = format!("{context}\n");
    for point in &scan.values {
        let bits: Vec<String> = point.iter().map(|v| format!("{:016x}", v.to_bits())).collect();
        let _ = writeln!(text, "{}", bits.join(" "));
    }
    output::write(path, text.as_bytes())
}

fn load(path: &Path, context: &str, points: usize) -> Result<Scan, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::Input(format!("`{}` cannot be read: {e}", path.display())))?;
    let mut lines = text.lines();
    if lines.next() != Some(context) {
        return Err(Failure::Input(format!(
            "`{}` is not the state of this scan: resume with the arguments, checkpoint and data that it was begun with",
            path.display()
        )));
    }
    let point = |line: &str| -> Option<Vec<f64>> {
        line.split(' ').map(|bits| u64::from_str_radix(bits, 16).ok().map(f64::from_bits)).collect()
    };
    let values: Option<Vec<Vec<f64>>> = lines.map(point).collect();
    // Loss and accuracy of each point, and no more points than there are.
    let values = values.filter(|v| v.len() <= points && v.iter().all(|point| point.len() == 2));
    let values = values
        .ok_or_else(|| Failure::Input(format!("`{}` is damaged: begin the scan anew", path.display())))?;
    Ok(Scan { values })
}
