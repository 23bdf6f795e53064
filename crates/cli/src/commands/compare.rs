//! `relief compare`: the curvature at two checkpoints of one network, and between them.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use relief_hessian::{EigenPair, Matrix, Objective};

use crate::arguments::{RunArguments, TaskArguments};
use crate::comparison::{Plan, Study};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::findings::{Between, Comparison};
use crate::parts::Parts;
use crate::resuming::ResumeArguments;
use crate::saved::Kind;
use crate::{interrupt, load, numbers, output, points, progress, report, table};

/// Compare two checkpoints' curvature: eigenvalues, angles between the top eigenspaces, how the matrix changes in between
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief compare notebooks-data/digits-sgd.safetensors --to notebooks-data/digits-sam.safetensors
  relief compare notebooks-data/digits-sgd.safetensors --to notebooks-data/digits-sam.safetensors -k 9 --operator gauss-newton -o compare.png
  relief compare step-1000.safetensors --to step-2000.safetensors --points 9 --products 40 --format json
  relief compare step-1000.safetensors --to step-2000.safetensors --resume compare.state.safetensors      after Ctrl-C

Costs two searches for K eigenvalues (some 5 to 10 products for each eigenvalue), and at each point of the segment a gradient and three
times --products, once at its beginning. Keeps 2 K eigenvectors and at most max(100, 4 K + 20) vectors of all parameters in double
precision in a search, two for each product along the segment, and up to --memory of linearized batches. Ctrl-C saves the
searches and points that are done.

Angles are between the spaces of the top k eigenvectors, from 0 (a common direction) to 90 degrees; the overlap is the mean
squared cosine, which is k/n for spaces that have nothing to do with each other. The distance is |H(t) - H(0)| / |H(0)| in the
Frobenius norm at the point (1 - t) A + t B, with its standard error; each takes two products for one.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// The other checkpoint, of the same network
    #[arg(long, value_name = "CHECKPOINT", help_heading = "Comparison")]
    to: PathBuf,

    /// Eigenvectors of each space
    #[arg(short, value_name = "K", default_value_t = 5, help_heading = "Comparison")]
    k: usize,

    /// The matrix
    #[arg(long, value_enum, default_value = "hessian", help_heading = "Comparison")]
    operator: Operator,

    /// Points of the segment at which the matrix is held against that at its beginning, which is not counted; 0 for none
    #[arg(long, value_name = "N", default_value_t = 4, help_heading = "Comparison")]
    points: usize,

    /// Products of each estimate of a distance
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = "Comparison")]
    products: usize,

    #[command(flatten)]
    resume: ResumeArguments,

    #[command(flatten)]
    run: RunArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Operator {
    Hessian,
    GaussNewton,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path, Kind::Comparison)?;
    }
    if arguments.products < 4 {
        return Err(Failure::Usage(format!("--products is {}: give at least 4", arguments.products)));
    }
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("compare");
    bar.say("reading");
    let loaded = load::load(&arguments.task, None, arguments.run.seed)?;
    let n = loaded.task.objective.parameters().len();
    if arguments.k == 0 || arguments.k > n {
        return Err(Failure::Usage(format!("-k is {}: give 1 to {n}", arguments.k)));
    }
    let other = points::Point::load(&loaded, &arguments.to)?;
    let Arguments { k, points, products, .. } = *arguments;
    let plan = Plan { matrix: arguments.matrix(), k, points, products };
    let (memory, seed) = (load::memory(&arguments.run), arguments.run.seed);
    let context = format!(
        "compare {} {} {} k {k} seed {seed} products {products}",
        loaded.identity(),
        other.sha256,
        arguments.name()
    );
    let parts = Parts::begin("compare.state.safetensors", &context, &arguments.resume, &mut bar)?;
    let mut study = Study { plan, memory, seed, loaded: &loaded, bar: &mut bar, parts };
    let Some(comparison) = study.compare(&other)? else {
        return Ok(exit::Outcome::Interrupted);
    };
    let (gradients, products) = (study.gradients(), study.parts.products());
    let Study { parts, .. } = study;
    drop(bar);
    let work = Work { products, gradients, evaluations: 0, seconds: begun.elapsed().as_secs_f64() };
    let point = Point::with_loss(loaded.loss).with_operator(arguments.name());
    let envelope = Envelope::new("relief/compare/1", arguments.run.seed, &loaded, point, (comparison, work));
    output::present_saved(&arguments.run.print, &envelope, || human(&envelope))?;
    parts.finish().remove();
    let converged = envelope.result.eigenvalues.iter().flatten().all(|pair| pair.converged);
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

impl Arguments {
    fn name(&self) -> &'static str {
        match self.operator {
            Operator::Hessian => "hessian",
            Operator::GaussNewton => "gauss-newton",
        }
    }

    fn matrix(&self) -> Matrix {
        match self.operator {
            Operator::Hessian => Matrix::Hessian,
            Operator::GaussNewton => Matrix::GaussNewton,
        }
    }
}

fn human(envelope: &Envelope<Comparison>) -> String {
    let result = &envelope.result;
    let bound = |pair: &EigenPair| numbers::with_bound(pair.value, pair.error_bound);
    let rows: Vec<Vec<String>> = (0..result.principal_angles.len())
        .map(|i| {
            vec![
                (i + 1).to_string(),
                bound(&result.eigenvalues[0][i]),
                bound(&result.eigenvalues[1][i]),
                numbers::plain(result.cosines[i][i]),
                numbers::angle(result.principal_angles[i]),
            ]
        })
        .collect();
    let heads = ["", "eigenvalue", "of the other", "|cos| of the pair", "principal angle"];
    let mut out = vec![
        report::head(envelope),
        format!("  and {}, loss {}", result.to, numbers::plain(result.loss[1])),
        String::new(),
        table::render(&heads, &rows),
        String::new(),
        format!(
            "  overlap of the spaces {:.4}   by chance {}   angles known to {}",
            result.overlap,
            numbers::small(result.overlap_by_chance),
            result.principal_angle_bound.map_or("- (the spaces have no known gap)".into(), numbers::angle)
        ),
    ];
    if !result.segment.is_empty() {
        let row = |b: &Between| {
            vec![
                format!("{:.3}", b.t),
                numbers::plain(b.loss),
                numbers::with_bound(b.norm, b.norm_error),
                numbers::with_bound(b.distance, b.distance_error),
                numbers::small(b.distance_error),
            ]
        };
        let rows: Vec<Vec<String>> = result.segment.iter().map(row).collect();
        let heads = ["t", "loss", "Frobenius norm", "distance to t = 0", "standard error"];
        out.extend([String::new(), table::render(&heads, &rows)]);
    }
    out.extend([String::new(), report::work(envelope)]);
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
