//! `relief surface`: the loss on a plane around a checkpoint, as a picture.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use relief_landscape::Scan;
use relief_plot::Scale;

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{self, Envelope, Work};
use crate::exit::{self, Failure};
use crate::load::{self, Loaded};
use crate::planes::{Choice, Extent, Planned, Site, Surface};
use crate::points::Point;
use crate::refining::Refining;
use crate::saved::{Kind, Results, Saved};
use crate::scans::{self, DirectionArguments, Job, ScanArguments};
use crate::surfaces::Surface as SavedSurface;
use crate::survey::{Lies, Survey, SurveyArguments};
use crate::{interrupt, output, surface_figures, surface_report};

/// Draw the loss on a plane: of random directions, of the top eigenvectors, through checkpoints
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief surface notebooks-data/digits-sgd.safetensors -o surface.png
  relief surface notebooks-data/digits-sgd.safetensors --perspective -o surface.svg
  relief surface notebooks-data/digits-sgd.safetensors --plane eigen -o eigen.png
  relief surface notebooks-data/digits-sgd.safetensors --plane along:gradient,eigen:1 --with-test -o test.json
  relief surface net.pth --model resnet20 --data cifar/ --limit 1000 --grid 51 -o surface.html
  relief surface notebooks-data/digits-sgd.safetensors --grid 17 --plot
  relief surface notebooks-data/digits-sgd.safetensors -o sgd.vtp    for ParaView
  relief surface notebooks-data/digits-sgd.safetensors -o sgd.json
  relief surface notebooks-data/digits-sam.safetensors -o sam.json
  relief plot sgd.json sam.json -o both.png      with the same levels
  relief plot sgd.json -o sgd.npz                for NumPy")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// random: of two random directions. eigen: of the two top eigenvectors of the Hessian, with the quadratic model dashed.
    /// along:A,B: of two of random, eigen:1, eigen:2, ..., gradient, sam, sam-inf, asam, adam, or safetensors files.
    /// pca:'PATTERN' or pca-mean:'PATTERN': the two principal directions of checkpoints, seen from the last one or from their
    /// mean. through:A,B or through:A,B,C: through the checkpoint and two others, or through three others
    #[arg(long, default_value = "random", help_heading = "Directions")]
    plane: Choice,

    #[command(flatten)]
    drawing: DrawingArguments,

    #[command(flatten)]
    run: RunArguments,
}

/// How a plane is measured and drawn.
#[derive(Debug, Args)]
pub(crate) struct DrawingArguments {
    /// Points along each direction; an odd number has the checkpoint itself among them
    #[arg(long, value_name = "N", default_value_t = 33, help_heading = "Grid")]
    grid: usize,

    /// Points along the second direction, where they are other ones
    #[arg(long, value_name = "N", help_heading = "Grid")]
    grid_y: Option<usize>,

    /// From where to where, in units of the directions [default: -1:1 along random ones; else to where the loss, or its
    /// quadratic model along eigenvectors, has risen by 0.1 or doubled]
    #[arg(long, value_name = "A:B", value_parser = scans::range, allow_hyphen_values = true, help_heading = "Grid")]
    range: Option<[f64; 2]>,

    /// The second direction's range, where it is another one
    #[arg(long, value_name = "A:B", value_parser = scans::range, allow_hyphen_values = true, help_heading = "Grid")]
    range_y: Option<[f64; 2]>,

    #[command(flatten)]
    directions: DirectionArguments,

    /// Make the second direction orthogonal to the first; random ones nearly are
    #[arg(long, help_heading = "Directions")]
    orthogonal: bool,

    /// What the colours show
    #[arg(long, value_enum, default_value = "loss", help_heading = "Output")]
    show: Show,

    /// Draw a lit surface instead of a map
    #[arg(long, help_heading = "Output")]
    perspective: bool,

    /// Draw the map in the terminal as well
    #[arg(long, help_heading = "Output")]
    plot: bool,

    /// Measure a coarse grid first and refine it until the error between its points is estimated below T, in logarithms (base
    /// 10) of the loss; the other points of the grid are interpolated
    #[arg(long, value_name = "T", help_heading = "Grid")]
    tolerance: Option<f64>,

    #[command(flatten)]
    survey: SurveyArguments,

    #[command(flatten)]
    scan: ScanArguments,
}

/// What the colours show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Show {
    Loss,
    Accuracy,
    TestLoss,
    TestAccuracy,
    /// How much negative curvature there is beside the positive.
    Convexity,
}

impl Show {
    /// The values' name, with their unit.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy (%)",
            Self::TestLoss => "test loss",
            Self::TestAccuracy => "test accuracy (%)",
            Self::Convexity => "|min(λmin, 0)| / |λmax|",
        }
    }

    /// How its values are spread over colours; by what they are, if absent.
    pub(crate) fn scale(self) -> Option<Scale> {
        matches!(self, Self::Accuracy | Self::TestAccuracy | Self::Convexity).then_some(Scale::Linear)
    }

    /// Whether it is a share, shown in percent.
    pub(crate) fn is_share(self) -> bool {
        matches!(self, Self::Accuracy | Self::TestAccuracy)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    let loaded = load::load(&arguments.task, None, arguments.run.seed)?;
    arguments.drawing.run(&loaded, &arguments.task, &arguments.run, &arguments.plane, &[])
}

impl DrawingArguments {
    /// Measures and draws a plane, with a path of checkpoints on it.
    pub(crate) fn run(
        &self,
        loaded: &Loaded,
        task: &TaskArguments,
        run: &RunArguments,
        plane: &Choice,
        path: &[Point],
    ) -> Result<exit::Outcome, Failure> {
        let counts = [self.grid, self.grid_y.unwrap_or(self.grid)];
        if let Some(few) = counts.into_iter().find(|n| *n < 2) {
            return Err(Failure::Usage(format!("--grid is {few}: give at least 2 points")));
        }
        if let Some(output) = &run.print.output {
            output::check_picture(output, Kind::Surface)?;
        }
        if self.show.is_share() && loaded.accuracy.is_none() {
            return Err(Failure::Usage(
                "--show accuracy needs classes, which these targets are not: leave it out".into(),
            ));
        }
        if matches!(self.show, Show::TestLoss | Show::TestAccuracy) && !self.survey.with_test {
            return Err(Failure::Usage(
                "the test split is shown where it is measured: add --with-test".into(),
            ));
        }
        if self.show == Show::Convexity && !self.survey.convexity {
            return Err(Failure::Usage("convexity is shown where it is measured: add --convexity".into()));
        }
        let begun = Instant::now();
        interrupt::install();
        let site = Site {
            loaded,
            run,
            family: self.directions.direction(run.seed, 0),
            orthogonal: self.orthogonal,
            extent: Extent { counts, ranges: [self.range, self.range_y.or(self.range)] },
            path,
        };
        let Some(mut planned) = Planned::new(&site, plane)? else {
            eprintln!("interrupted before the first point: there is nothing to resume");
            return Ok(exit::Outcome::Interrupted);
        };
        let lies = std::mem::replace(&mut planned.lies, Lies::Around);
        let survey = Survey::new(loaded, task, &self.survey, run, lies)?;
        let mut refining = Refining::new(&planned.axes, self.tolerance)?;
        let job = Job::new(&planned.slice, &survey, "surface")?;
        let drawn = |surface: Surface, scan: &Scan| -> Result<Drawn, Failure> {
            let mut envelope = envelope(run.seed, &survey, &planned, surface, scan, begun);
            envelope.kept_layers = job.kept_layers();
            let json =
                serde_json::to_string_pretty(&envelope).map_err(|e| Failure::Numbers(e.to_string()))?;
            let saved = Results::of(&json, "the result")?.surfaces;
            Ok(Drawn { envelope, json, saved })
        };
        let figure = |drawn: &Drawn| surface_figures::figure("", &drawn.saved, self.show, self.perspective);
        let context = format!("{} {}", loaded.identity(), planned.context());
        let (order, stops) = (refining.order(), refining.stops());
        let mut previewed = Instant::now();
        let found = job.run(&self.scan, &context, order, &stops, &mut |scan| {
            let enough = refining.look(scan)?;
            let picture = run.print.output.as_ref().filter(|path| output::is_picture(path));
            // A coarse picture first; the finer ones replace it.
            if let Some(path) =
                picture.filter(|_| !enough && !scan.is_complete() && previewed.elapsed() > PREVIEW)
            {
                let rows = survey.found(scan, &|_, values| Ok(refining.coarse(&values)))?;
                let axes = refining.coarse_axes(&planned.axes);
                let curvature = survey.curvature(scan, &|_, values| Ok(refining.coarse(&values)))?;
                let surface = Surface { axes, curvature, ..planned.found(rows, survey.cap) };
                figure(&drawn(surface, scan)?)?.save(path)?;
                previewed = Instant::now();
            }
            Ok(enough)
        })?;
        let Some(scan) = found else { return Ok(exit::Outcome::Interrupted) };
        let rows = survey.found(&scan, &|column, values| refining.filled(column, values))?;
        let curvature = survey.curvature(&scan, &|column, values| refining.filled(column, values))?;
        let refinement = refining.found();
        let surface = Surface { curvature, refinement, ..planned.found(rows, survey.cap) };
        let drawn = drawn(surface, &scan)?;
        let characters =
            self.plot.then(|| surface_figures::in_characters(&drawn.saved, self.show)).transpose()?;
        output::present_drawn(
            &run.print,
            &drawn.json,
            || surface_report::human(&drawn.envelope),
            || figure(&drawn),
            characters,
        )?;
        let Surface { plane, refinement, curvature, .. } = &drawn.envelope.result;
        let converged = plane.converged()
            && refinement.is_none_or(|refinement| refinement.converged)
            && curvature.as_ref().is_none_or(|found| found.unconverged == 0);
        Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
    }
}

/// Between two coarse pictures of a surface that is still being measured.
const PREVIEW: Duration = Duration::from_secs(3);

/// A surface as it is printed and as it is drawn.
struct Drawn {
    envelope: Envelope<Surface>,
    json: String,
    saved: Vec<Saved<SavedSurface>>,
}

/// A measured surface with where it comes from.
pub(crate) fn envelope(
    seed: u64,
    survey: &Survey<'_>,
    planned: &Planned,
    surface: Surface,
    scan: &Scan,
    begun: Instant,
) -> Envelope<Surface> {
    let (products, gradients, evaluations) = planned.work;
    let evaluations = evaluations + survey.passes() * scan.values().len() + 1;
    let products = products + surface.curvature.as_ref().map_or(0, |found| found.products);
    let work = Work { products, gradients, evaluations, seconds: begun.elapsed().as_secs_f64() };
    let point = envelope::Point::with_loss(survey.loaded.loss);
    let mut envelope = Envelope::new("relief/surface/1", seed, survey.loaded, point, (surface, work));
    envelope.notes.extend(survey.note());
    envelope
}
