//! `relief compare`: the curvature at two checkpoints of one network, and between them.

use std::path::PathBuf;
use std::time::Instant;

use candle_core::Tensor;
use clap::{Args, ValueEnum};
use relief_hessian::{
    Affine, Curvature, Eigen, EigenPair, Frobenius, FrobeniusEstimate, Lanczos, Matrix, Objective, Outcome,
    Parameters, Sampling, Sum, Target, Wanted, principal_angles,
};
use relief_models::task::Task;
use relief_plot::{Axis, ColourMap, Figure, Lines, Panel, Series};
use serde::Serialize;

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::exports::Sampled;
use crate::load::{self, Loaded};
use crate::points;
use crate::saved::stem;
use crate::{interrupt, numbers, output, progress, report, table};

/// Compare two checkpoints' curvature: eigenvalues, angles between the top eigenspaces, how the matrix changes in between
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief compare notebooks-data/digits-sgd.safetensors --to notebooks-data/digits-sam.safetensors
  relief compare notebooks-data/digits-sgd.safetensors --to notebooks-data/digits-sam.safetensors -k 9 --operator gauss-newton -o compare.png
  relief compare step-1000.safetensors --to step-2000.safetensors --points 9 --products 40 --format json

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
    run: RunArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Operator {
    Hessian,
    GaussNewton,
}

/// The `result` of `relief compare`.
#[derive(Debug, Serialize)]
struct Comparison {
    to: String,
    to_sha256: String,
    /// Loss and eigenvalues of both, largest first.
    loss: [f64; 2],
    eigenvalues: [Vec<EigenPair>; 2],
    /// Principal angles between the top eigenspaces in radians, ascending.
    principal_angles: Vec<f64>,
    /// How far each of these may be off, in radians: the sum of the bounds on the computed spaces. None where the gap below one
    /// of the spaces is not known.
    principal_angle_bound: Option<f64>,
    /// Mean squared cosine of the principal angles, and what it is for unrelated spaces: k/n.
    overlap: f64,
    overlap_by_chance: f64,
    /// |cos| between the eigenvectors of both: a row for each of the first checkpoint's.
    cosines: Vec<Vec<f64>>,
    /// Along the segment from the first to the second.
    segment: Vec<Between>,
}

/// A point of the segment.
#[derive(Debug, Clone, Copy, Serialize)]
struct Between {
    t: f64,
    loss: f64,
    /// |H(t)|, in the Frobenius norm.
    norm: f64,
    norm_error: f64,
    /// |H(t) - H(0)| / |H(0)|.
    distance: f64,
    /// Standard error, with H(0)'s own.
    distance_error: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    if let Some(path) = &arguments.run.print.output {
        output::check_numbers(path)?;
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
    let mut study = Study { arguments, loaded: &loaded, bar: &mut bar, products: 0, gradients: 0 };
    let Some(comparison) = study.compare(&other)? else {
        eprintln!("interrupted: nothing was saved, begin again");
        return Ok(exit::Outcome::Interrupted);
    };
    let (products, gradients) = (study.products, study.gradients);
    drop(bar);
    let work = Work { products, gradients, evaluations: 0, seconds: begun.elapsed().as_secs_f64() };
    let point = Point::with_loss(loaded.loss).with_operator(arguments.name());
    let envelope = Envelope::new("relief/compare/1", arguments.run.seed, &loaded, point, (comparison, work));
    let result = &envelope.result;
    let names = [stem(&loaded.checkpoint_path), stem(&result.to)];
    output::present_numbers(
        &arguments.run.print,
        &envelope,
        || human(&envelope),
        || figure(result, &names),
        || sampled(result),
    )?;
    let converged = result.eigenvalues.iter().flatten().all(|pair| pair.converged);
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

/// The work of a comparison.
struct Study<'a> {
    arguments: &'a Arguments,
    loaded: &'a Loaded,
    bar: &'a mut progress::Bar,
    products: usize,
    gradients: usize,
}

impl Study<'_> {
    /// None after Ctrl-C.
    fn compare(&mut self, other: &points::Point) -> Result<Option<Comparison>, Failure> {
        let first = points::Point::own(self.loaded);
        let tasks = [task(self.loaded, &first)?, task(self.loaded, other)?];
        let (mut eigen, mut losses) = (vec![], vec![]);
        for task in &tasks {
            let curvature = self.curvature(task)?;
            let Some(found) = self.eigen(&curvature)? else { return Ok(None) };
            losses.push(curvature.loss());
            eigen.push(found);
        }
        let Some(segment) = self.segment(&tasks[0], &first, other)? else { return Ok(None) };
        let [a, b] = &eigen[..] else { return Err(Failure::Numbers("a checkpoint was lost".into())) };
        let angles = principal_angles(&a.vectors, &b.vectors)?;
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let row = |x: &Vec<f64>| b.vectors.iter().map(|y| dot(x, y).abs()).collect();
        Ok(Some(Comparison {
            to: other.path.display().to_string(),
            to_sha256: other.sha256.clone(),
            loss: [losses[0], losses[1]],
            principal_angle_bound: a.subspace_angle_bound.zip(b.subspace_angle_bound).map(|(a, b)| a + b),
            overlap: angles.iter().map(|angle| angle.cos().powi(2)).sum::<f64>() / angles.len() as f64,
            overlap_by_chance: angles.len() as f64 / first.parameters.len() as f64,
            principal_angles: angles,
            cosines: a.vectors.iter().map(row).collect(),
            eigenvalues: [a.largest.clone(), b.largest.clone()],
            segment,
        }))
    }

    fn curvature<'t>(&mut self, task: &'t Task) -> Result<Curvature<'t>, Failure> {
        self.gradients += 1;
        let memory = load::memory(&self.arguments.run) / 2;
        Ok(Curvature::new(&task.objective, task.objective.parameters(), memory)?)
    }

    fn eigen(&mut self, curvature: &Curvature<'_>) -> Result<Option<Eigen>, Failure> {
        let solver = Lanczos {
            wanted: Wanted::Largest { k: self.arguments.k },
            unit_roundoff: load::unit_roundoff(curvature.parameters()),
            seed: self.arguments.run.seed,
            ..Lanczos::default()
        };
        let operator = curvature.operator(self.arguments.matrix());
        Ok(match solver.run(&operator, None, self.bar)? {
            Outcome::Done(eigen) => {
                self.products += eigen.products;
                Some(eigen)
            }
            Outcome::Interrupted(_) => None,
        })
    }

    fn segment(
        &mut self,
        beginning: &Task,
        first: &points::Point,
        last: &points::Point,
    ) -> Result<Option<Vec<Between>>, Failure> {
        let points = self.arguments.points;
        if points == 0 {
            return Ok(Some(vec![]));
        }
        let (from, to) = (first.parameters.to_vec()?, last.parameters.to_vec()?);
        let start = self.curvature(beginning)?;
        let matrix = self.arguments.matrix();
        let Some(own) = self.frobenius(&start.operator(matrix))? else { return Ok(None) };
        let mut segment = vec![Between {
            t: 0.0,
            loss: start.loss(),
            norm: own.value,
            norm_error: own.error_estimate,
            distance: 0.0,
            distance_error: 0.0,
        }];
        for step in 1..=points {
            let t = step as f64 / points as f64;
            let mixed: Vec<f64> = from.iter().zip(&to).map(|(a, b)| (1.0 - t) * a + t * b).collect();
            let point = if step == points {
                last.clone()
            } else {
                points::Point::of(self.loaded, &mixed, "between")?
            };
            let task = task(self.loaded, &point)?;
            let here = self.curvature(&task)?;
            let Some(norm) = self.frobenius(&here.operator(matrix))? else { return Ok(None) };
            let minus = Affine { operator: start.operator(matrix), factor: -1.0, shift: 0.0 };
            let Some(apart) = self.frobenius(&Sum::new(here.operator(matrix), minus)?)? else {
                return Ok(None);
            };
            // The difference's products took two each.
            self.products += apart.products;
            let relative = |e: &FrobeniusEstimate| e.error_estimate / e.value.max(f64::MIN_POSITIVE);
            let distance = apart.value / own.value;
            segment.push(Between {
                t,
                loss: here.loss(),
                norm: norm.value,
                norm_error: norm.error_estimate,
                distance,
                distance_error: distance * relative(&apart).hypot(relative(&own)),
            });
        }
        Ok(Some(segment))
    }

    fn frobenius(
        &mut self,
        operator: &dyn relief_hessian::SymmetricOperator,
    ) -> Result<Option<FrobeniusEstimate>, Failure> {
        let sampling = Sampling {
            target: Target::Products(self.arguments.products),
            unit_roundoff: load::unit_roundoff(self.loaded.task.objective.parameters()),
            seed: self.arguments.run.seed,
            ..Sampling::default()
        };
        let norm = Frobenius { sampling, ..Frobenius::default() };
        Ok(match norm.run(operator, self.bar)? {
            Outcome::Done(estimate) => {
                self.products += estimate.products;
                Some(estimate)
            }
            Outcome::Interrupted(_) => None,
        })
    }
}

/// The loaded task at another point, with that point's running statistics.
fn task(loaded: &Loaded, point: &points::Point) -> Result<Task, Failure> {
    let mut tensors = loaded.tensors.clone();
    let named = point.parameters.iter().chain(point.statistics.iter().flat_map(Parameters::iter));
    tensors.extend(named.map(|(name, tensor): (&str, &Tensor)| (name.to_string(), tensor.clone())));
    Ok(Task::new(&loaded.architecture, &tensors, &loaded.data, &loaded.options)?)
}

fn figure(result: &Comparison, names: &[String; 2]) -> Figure {
    let k = result.cosines.len();
    let cosines = relief_plot::Matrix {
        title: "|cos| between the eigenvectors".into(),
        rows: (1..=k).map(|i| format!("{}: v{i}", names[0])).collect(),
        columns: (1..=k).map(|i| i.to_string()).collect(),
        columns_label: format!("eigenvector of {}", names[1]),
        value: Axis::linear("|cos|").between(0.0, 1.0),
        values: result.cosines.iter().flatten().copied().collect(),
        colours: ColourMap::default(),
    };
    let mut panels = vec![Panel::Matrix(cosines)];
    if !result.segment.is_empty() {
        let of = |value: &dyn Fn(&Between) -> f64| result.segment.iter().map(value).collect::<Vec<f64>>();
        let distance = Series {
            band: Some([
                of(&|b| (b.distance - 2.0 * b.distance_error).max(0.0)),
                of(&|b| b.distance + 2.0 * b.distance_error),
            ]),
            ..Series::new("distance, with two standard errors", of(&|b| b.t), of(&|b| b.distance))
        };
        let axis = Axis::linear(format!("t, from {} to {}", names[0], names[1]));
        let lines = Lines::new("", axis, Axis::linear("|H(t) - H(0)| / |H(0)|"));
        panels.push(Panel::Lines(lines.with(distance)));
    }
    Figure::new("", panels)
}

fn sampled(result: &Comparison) -> Sampled {
    let of = |value: &dyn Fn(&Between) -> f64| result.segment.iter().map(value).collect::<Vec<f64>>();
    Sampled {
        axes: vec![("t", of(&|b| b.t))],
        measures: vec![
            ("loss", of(&|b| b.loss)),
            ("norm", of(&|b| b.norm)),
            ("norm_error", of(&|b| b.norm_error)),
            ("distance", of(&|b| b.distance)),
            ("distance_error", of(&|b| b.distance_error)),
        ],
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
