//! Scans of slices: progress, Ctrl-C, and the state to go on from.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use relief_hessian::Control;
use relief_landscape::{Normalisation, Points, RandomDirection, Scan, Vectors, scan};

use crate::exit::Failure;
use crate::survey::{KeptLayers, Sections, Survey};
use crate::{interrupt, output};

/// Options of a scan that can be interrupted.
#[derive(Debug, Args)]
pub(crate) struct ScanArguments {
    /// Go on from the state of an interrupted scan with the same arguments
    #[arg(long, value_name = "FILE", help_heading = "Computation")]
    pub(crate) resume: Option<PathBuf>,

    /// Where the state to resume from is saved, by Ctrl-C and every few seconds; removed when the scan is complete
    #[arg(long, value_name = "FILE", default_value = "scan.state", help_heading = "Computation")]
    pub(crate) state: PathBuf,

    /// Seconds between two saved states
    #[arg(long, value_name = "S", default_value_t = 5.0, help_heading = "Computation")]
    pub(crate) save_every: f64,
}

/// Options of random directions.
#[derive(Debug, Args)]
pub(crate) struct DirectionArguments {
    /// How a random direction is scaled to the network: every filter (neuron), every layer, every weight, or not
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
    Weight,
    None,
}

impl DirectionArguments {
    pub(crate) fn direction(&self, seed: u64, nth: u64) -> RandomDirection {
        RandomDirection {
            normalisation: match self.normalisation {
                NormalisationArgument::Filter => Normalisation::Filter,
                NormalisationArgument::Layer => Normalisation::Layer,
                NormalisationArgument::Weight => Normalisation::Weight,
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
        Normalisation::Weight => "weight units",
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

/// A scan to be made: of which points, what is measured, and what tells it from others.
pub(crate) struct Job<'a> {
    points: &'a dyn Points,
    survey: &'a Survey<'a>,
    sections: Sections,
    /// In front of the progress bar.
    what: &'a str,
}

/// What a job does when it has come to one of its stops: whether it is done.
pub(crate) type AtStop<'a> = dyn FnMut(&Scan) -> Result<bool, Failure> + 'a;

impl<'a> Job<'a> {
    /// Computes what all points have in common; `what` stands in front of the progress bar.
    pub(crate) fn new(
        points: &'a dyn Points,
        survey: &'a Survey<'a>,
        what: &'a str,
    ) -> Result<Self, Failure> {
        Ok(Self { points, survey, sections: survey.sections(points)?, what })
    }

    /// Layers that are computed once for all points, if there are any.
    pub(crate) fn kept_layers(&self) -> Option<KeptLayers> {
        self.sections.kept()
    }

    /// Measures points in an order, with stops where `at_stop` may say that it is enough, and saves the state every few
    /// seconds. `Ok(None)` after Ctrl-C, with the state saved.
    pub(crate) fn run(
        &self,
        arguments: &ScanArguments,
        context: &str,
        order: Vec<usize>,
        stops: &[usize],
        at_stop: &mut AtStop<'_>,
    ) -> Result<Option<Scan>, Failure> {
        let context = format!("relief-scan-2 {context} {}{}", self.survey.context(), self.sections.context());
        let mut found = Scan::in_order(self.points, order);
        if let Some(path) = &arguments.resume {
            found = found.with_values(load(path, &context, self.points.count(), self.survey.columns())?);
        }
        let every = Duration::try_from_secs_f64(arguments.save_every).map_err(|_| {
            Failure::Usage(format!(
                "--save-every is {}: give a number of seconds from 0 on",
                arguments.save_every
            ))
        })?;
        let (mut saved, mut written, mut failure) = (Instant::now(), false, None);
        for &stop in stops {
            let control = self.measure(&mut found, stop, &mut |scan| {
                if saved.elapsed() >= every {
                    match save(&arguments.state, &context, scan) {
                        Ok(()) => written = true,
                        Err(problem) => {
                            failure = Some(problem);
                            return Control::Interrupt;
                        }
                    }
                    saved = Instant::now();
                }
                Control::Continue
            });
            if let Some(problem) = failure {
                return Err(problem);
            }
            if control? == Control::Interrupt {
                save(&arguments.state, &context, &found)?;
                eprintln!(
                    "interrupted after {} of {} points; go on with --resume {}",
                    found.values().len(),
                    stops.last().copied().unwrap_or(0),
                    arguments.state.display()
                );
                return Ok(None);
            }
            if at_stop(&found)? {
                break;
            }
        }
        if written {
            // What is complete needs no state; one that cannot be removed does no harm.
            let _ = std::fs::remove_file(&arguments.state);
        }
        Ok(Some(found))
    }

    /// Measures the first `until` points, with a bar; fewer where Ctrl-C was pressed or `told` asked to stop.
    pub(crate) fn measure(
        &self,
        found: &mut Scan,
        until: usize,
        told: &mut dyn FnMut(&Scan) -> Control,
    ) -> Result<Control, Failure> {
        let bar = ProgressBar::new(until as u64).with_prefix(self.what.to_string());
        let style = "{prefix}  {bar:30} {pos}/{len} points  {elapsed} elapsed, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_position(found.values().len() as u64);
        bar.reset_eta();
        let measures = |point: usize| self.survey.measure(self.points, &self.sections, point);
        let control = scan(found, until, &measures, &mut |found| {
            bar.set_position(found.values().len() as u64);
            let asked = told(found);
            if interrupt::requested() { Control::Interrupt } else { asked }
        });
        bar.finish_and_clear();
        Ok(control?)
    }
}

/// Numbers as their bits, so that not one is lost on the way.
fn save(path: &Path, context: &str, scan: &Scan) -> Result<(), Failure> {
    let mut text = format!("{context}\n");
    for point in scan.values() {
        let bits: Vec<String> = point.iter().map(|v| format!("{:016x}", v.to_bits())).collect();
        let _ = writeln!(text, "{}", bits.join(" "));
    }
    output::write(path, text.as_bytes())
}

fn load(path: &Path, context: &str, points: usize, columns: usize) -> Result<Vec<Vec<f64>>, Failure> {
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
    let values = values.filter(|v| v.len() <= points && v.iter().all(|point| point.len() == columns));
    values.ok_or_else(|| Failure::Input(format!("`{}` is damaged: begin the scan anew", path.display())))
}
