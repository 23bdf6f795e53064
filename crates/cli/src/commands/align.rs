//! `relief align`: one network's hidden units in the order of another's.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use relief_autodiff::permuted;
use relief_hessian::{Control, Error, Objective};
use relief_landscape::{Alignment, Curve, CurveKind, CurveReport, WeightMatching};
use relief_models::checkpoint::{self, Checkpoint};
use serde::Serialize;

use crate::arguments::{RunArguments, TaskArguments};
use crate::connections;
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load::{self, Loaded};
use crate::points;
use crate::scans::nodes;
use crate::survey::{Lies, Survey, SurveyArguments};
use crate::{interrupt, numbers, output, report, table};

/// Permute the hidden units of another checkpoint so that they match this one's, which leaves its function as it is
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief align a.safetensors --to b.safetensors --save b-aligned.safetensors
  relief line a.safetensors --to b-aligned.safetensors -o line.png
  relief align a.safetensors --to b.safetensors --with-test --format json

Weight matching (Ainsworth et al. 2023). The barrier between the two is measured before and after. Networks with batch norm
need their statistics computed anew between the two, which is the default here (--statistics).")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// The checkpoint whose units are permuted
    #[arg(long, value_name = "CHECKPOINT", help_heading = "Alignment")]
    to: PathBuf,

    /// Searches from each of two starts, in random orders of the layers; the best counts
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Alignment")]
    searches: usize,

    /// Points of the straight lines on which barriers are measured
    #[arg(long, value_name = "N", default_value_t = 25, help_heading = "Alignment")]
    points: usize,

    /// Write the permuted checkpoint to this file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    save: Option<PathBuf>,

    #[command(flatten)]
    survey: SurveyArguments,

    #[command(flatten)]
    run: RunArguments,
}

/// The `result` of `relief align`.
#[derive(Debug, Serialize)]
struct Aligned {
    /// The checkpoint that was permuted.
    to: String,
    /// Groups of units that move together, and how many units each has.
    groups: Vec<usize>,
    alignment: Alignment,
    /// The loss of the permuted network minus that before: rounding.
    difference: f64,
    /// Along the straight line to the checkpoint as it was, and as it is permuted.
    before: connections::Path,
    after: connections::Path,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if arguments.points < 3 {
        return Err(Failure::Usage(format!("--points is {}: give at least 3", arguments.points)));
    }
    if let Some(path) = &arguments.save {
        output::check_writable(path)?;
    }
    let begun = Instant::now();
    interrupt::install();
    let seed = arguments.run.seed;
    let loaded = load::load(&arguments.task, None, seed)?;
    let other = Checkpoint::load(&arguments.to)?;
    other.require_finite()?;
    let Loaded { architecture, data, task, .. } = &loaded;
    let tensors = other.fit_model(architecture, data.example_shape())?;
    let groups = architecture.permutation_groups(data.example_shape())?;
    if groups.is_empty() {
        return Err(Failure::Input(format!(
            "the units of `{}` cannot change places: there is nothing to align",
            loaded.model
        )));
    }
    let as_it_was = points::Point::load(&loaded, &arguments.to)?;
    let matching = WeightMatching { seed, searches: arguments.searches, ..WeightMatching::default() };
    let at = task.objective.parameters();
    let alignment = matching.run(at, &as_it_was.parameters, &groups, &mut |_| {
        if interrupt::requested() { Control::Interrupt } else { Control::Continue }
    })?;
    if interrupt::requested() {
        return Ok(interrupt::lost());
    }
    let tensors = permuted(&tensors, &groups, &alignment.permutations).map_err(Error::from)?;
    let aligned = points::Point::from_tensors(&loaded, &arguments.to, other.sha256(), tensors.clone())?;
    // Each with its own statistics: the permuted network is the same function.
    let difference = aligned.measure(&loaded)?.loss - as_it_was.measure(&loaded)?.loss;
    let survey =
        Survey::new(&loaded, &arguments.task, &arguments.survey, &arguments.run, Lies::Between(None))?;
    let t = nodes([0.0, 1.0], arguments.points);
    let line = |to: &points::Point, what: &str| {
        let chord = Curve::straight(CurveKind::Chain, at.to_vec()?, to.parameters.to_vec()?, 0)?;
        connections::measure(&chord, &t, &survey, what)
    };
    let (Some(before), Some(after)) = (line(&as_it_was, "before")?, line(&aligned, "after")?) else {
        return Ok(interrupt::lost());
    };
    if let Some(path) = &arguments.save {
        checkpoint::save(path, &tensors, &other.metadata)?;
    }
    let (converged, kept_layers) = (alignment.converged, after.kept_layers);
    let result = Aligned {
        to: arguments.to.display().to_string(),
        groups: groups.iter().map(|group| group.size).collect(),
        alignment,
        difference,
        before,
        after,
    };
    let evaluations = 2 * survey.passes() * t.len() + 3;
    let work = Work { products: 0, gradients: 0, evaluations, seconds: begun.elapsed().as_secs_f64() };
    let point = Point::with_loss(loaded.loss);
    let mut envelope = Envelope::new("relief/align/1", seed, &loaded, point, (result, work));
    envelope.notes.extend(survey.note());
    envelope.kept_layers = kept_layers;
    output::present(&arguments.run.print, &envelope, || human(&envelope))?;
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

fn human(envelope: &Envelope<Aligned>) -> String {
    let Aligned { to, groups, alignment, difference, before, after } = &envelope.result;
    let row = |name: &str, distance: f64, report: &CurveReport, accuracy: Option<f64>| {
        vec![
            name.to_string(),
            numbers::plain(distance),
            report.barrier.map_or("-".into(), |b| numbers::plain(b.above_line)),
            numbers::plain(report.loss.max),
            accuracy.map_or("-".into(), |a| format!("{:.2} %", 100.0 * a)),
        ]
    };
    let lowest = |path: &connections::Path| path.accuracy_report.as_ref().map(|a| a.min);
    let lowest_test = |path: &connections::Path| path.test_accuracy_report.as_ref().map(|a| a.min);
    let mut rows = vec![
        row("before", alignment.distance_before, &before.report, lowest(before)),
        row("after", alignment.distance_after, &after.report, lowest(after)),
    ];
    if let (Some(a), Some(b)) = (&before.test_report, &after.test_report) {
        rows.push(row("before, test", alignment.distance_before, a, lowest_test(before)));
        rows.push(row("after, test", alignment.distance_after, b, lowest_test(after)));
    }
    let units: usize = groups.iter().sum();
    let mut out = vec![
        report::head(envelope),
        String::new(),
        format!("  {units} units of {to} in {} groups, {} sweeps", groups.len(), alignment.sweeps),
        format!("  its loss changed by {difference:.1e}, which is rounding"),
        String::new(),
        table::render(&["", "distance", "barrier", "highest loss", "lowest accuracy"], &rows),
        String::new(),
    ];
    if !alignment.converged {
        out.push(
            "  not converged: the last sweep still improved the match; begin again with another --seed"
                .into(),
        );
    }
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
