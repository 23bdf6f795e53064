//! Directions as they are named on the command line.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use candle_core::DType;
use relief_hessian::{
    Curvature, Eigen, EigenPair, Lanczos, Objective, Outcome, Parameters, Wanted, gradient,
};
use relief_landscape::RandomDirection;
use relief_models::checkpoint::Checkpoint;
use relief_plot::studies;
use relief_sharpness::{Perturbation, Scale};
use relief_training::Adam;

use crate::arguments::RunArguments;
use crate::exit::Failure;
use crate::load::{self, Loaded};
use crate::saved::stem;
use crate::{numbers, progress, scans};

/// A direction's name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Named {
    Random,
    /// An eigenvector of the Hessian; 1 is the one of the largest eigenvalue.
    Eigen(usize),
    /// Along the gradient, or a perturbation of sharpness-aware minimization: a coordinate is its radius rho.
    Ascent(Perturbation),
    /// Adam's first step: a coordinate is the step size.
    Adam,
    /// Tensors under the parameters' names.
    File(PathBuf),
}

/// Every name, for messages and help.
pub(crate) const NAMES: &str = "random, eigen:1, eigen:2, ..., gradient, sam, sam-inf, asam, adam, or a .safetensors file with the parameters' names";

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is no direction: take one of {NAMES}");
        Ok(match text {
            "random" => Self::Random,
            "eigen" => Self::Eigen(1),
            "gradient" | "sam" => Self::Ascent(Perturbation::default()),
            "sam-inf" => Self::Ascent(Perturbation { norm: f64::INFINITY, ..Perturbation::default() }),
            "asam" => Self::Ascent(Perturbation { scale: Scale::Magnitude, ..Perturbation::default() }),
            "adam" => Self::Adam,
            file if file.ends_with(".safetensors") => Self::File(file.into()),
            other => {
                let rank = other.strip_prefix("eigen:").and_then(|rank| rank.parse().ok());
                Self::Eigen(rank.filter(|rank| *rank > 0).ok_or_else(unknown)?)
            }
        })
    }
}

/// A direction with what there is to know about it.
#[derive(Debug)]
pub(crate) struct Direction {
    pub(crate) vector: Vec<f64>,
    /// What it is, as on an axis.
    pub(crate) label: String,
    /// What a coordinate of 1 is.
    pub(crate) unit: &'static str,
    /// Of a random one.
    pub(crate) random: Option<RandomDirection>,
    /// Of an eigenvector: its rank from 1, and its certificate.
    pub(crate) eigen: Option<(usize, EigenPair)>,
}

impl Direction {
    /// An axis' label.
    pub(crate) fn axis(&self) -> String {
        match &self.eigen {
            Some((rank, pair)) => {
                format!("{} ({}), λ{} = {:.3}", self.label, self.unit, studies::subscript(*rank), pair.value)
            }
            None => format!("{} ({})", self.label, self.unit),
        }
    }
}

/// The directions of some names.
pub(crate) struct Made {
    pub(crate) directions: Vec<Direction>,
    /// The gradient at the checkpoint, where one of them needed it.
    pub(crate) gradient: Vec<f64>,
    /// Products and gradients that they took.
    pub(crate) work: (usize, usize),
}

/// Makes directions; random ones are the first, second, ... of a family. `None` after Ctrl-C.
pub(crate) fn make(
    loaded: &Loaded,
    run: &RunArguments,
    family: RandomDirection,
    names: &[Named],
) -> Result<Option<Made>, Failure> {
    let objective = &loaded.task.objective;
    let at = objective.parameters();
    let ranks =
        names.iter().filter_map(|name| if let Named::Eigen(rank) = name { Some(*rank) } else { None });
    let (mut pairs, mut vectors, mut slope, mut work) = (vec![], vec![], vec![], (0, 0));
    if let Some(k) = ranks.max() {
        if at.len() < k {
            return Err(Failure::Usage(format!(
                "there are {} parameters, so there is no eigenvector number {k}: ask for fewer",
                at.len()
            )));
        }
        let curvature = Curvature::new(objective, at, load::memory(run))?;
        let Some(eigen) = eigenvectors(&curvature, run, k)? else { return Ok(None) };
        slope = curvature.gradient().to_vec();
        work = (eigen.products, curvature.gradients());
        (pairs, vectors) = (eigen.largest, eigen.vectors);
    } else if names.iter().any(|name| matches!(name, Named::Ascent(_) | Named::Adam)) {
        slope = gradient(objective, at)?.1;
        work.1 = 1;
    }
    let (mut drawn, mut directions) = (0, vec![]);
    for name in names {
        directions.push(match name {
            Named::Random => {
                let chosen = RandomDirection { nth: family.nth + drawn, ..family };
                drawn += 1;
                Direction {
                    vector: chosen.draw(at)?,
                    label: format!("direction {drawn}"),
                    unit: scans::unit(chosen.normalisation),
                    random: Some(chosen),
                    eigen: None,
                }
            }
            Named::Eigen(rank) => {
                let found = vectors.get(rank - 1).zip(pairs.get(rank - 1));
                let (vector, pair) = found.ok_or_else(|| {
                    Failure::Numbers(format!(
                        "eigenvector number {rank} was not found: ask for a smaller one"
                    ))
                })?;
                Direction {
                    vector: vector.clone(),
                    label: format!("v{}", studies::subscript(*rank)),
                    unit: "L2 distance",
                    random: None,
                    eigen: Some((*rank, pair.clone())),
                }
            }
            Named::Ascent(ascent) => {
                let (label, unit) = match ascent {
                    Perturbation { scale: Scale::Magnitude, .. } => ("adaptive SAM perturbation", "radius ρ"),
                    Perturbation { norm, .. } if norm.is_infinite() => {
                        ("sign of the gradient", "radius ρ in the maximum norm")
                    }
                    _ => ("gradient", "L2 distance"),
                };
                let vector = ascent.direction(&slope, at)?;
                Direction { vector, label: label.into(), unit, random: None, eigen: None }
            }
            Named::Adam if slope.iter().all(|g| *g == 0.0) => {
                return Err(Failure::Numbers(
                    "the gradient is zero here, so that Adam takes no step: take another direction".into(),
                ));
            }
            Named::Adam => Direction {
                vector: Adam::default().first_step(&slope),
                label: "Adam's first step".into(),
                unit: "step size η",
                random: None,
                eigen: None,
            },
            Named::File(path) => Direction {
                vector: read(at, path)?,
                label: stem(&path.display().to_string()),
                unit: "lengths of the file's vector",
                random: None,
                eigen: None,
            },
        });
    }
    Ok(Some(Made { directions, gradient: slope, work }))
}

/// From where to where a scan along a direction goes if nothing is said: -1 to 1 for random ones, else to where the loss has risen by 0.1 or doubled on either side, in steps of
/// doubling from a thousandth of the network's own length, and no farther than that length. Also the evaluations it took.
pub(crate) fn range(loaded: &Loaded, direction: &Direction) -> Result<([f64; 2], usize), Failure> {
    if direction.random.is_some() {
        return Ok(([-1.0, 1.0], 0));
    }
    let at = loaded.task.objective.parameters();
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let longest = norm(&at.to_vec()?) / norm(&direction.vector);
    let high = loaded.loss + loaded.loss.abs().max(0.1);
    let (mut reach, mut evaluations) = (1e-3 * longest, 0);
    while 2.0 * reach < longest {
        evaluations += 2;
        let mut risen = false;
        for side in [-reach, reach] {
            let loss = loaded.task.measure(&at.displaced(&direction.vector, side)?)?.loss;
            // A loss that is not finite is high enough.
            risen |= loss.is_nan() || loss >= high;
        }
        if risen {
            break;
        }
        reach *= 2.0;
    }
    let reach = numbers::two_digits(reach);
    Ok(([-reach, reach], evaluations))
}

/// The top eigenpairs of the Hessian; none after Ctrl-C.
fn eigenvectors(curvature: &Curvature<'_>, run: &RunArguments, k: usize) -> Result<Option<Eigen>, Failure> {
    let solver = Lanczos {
        wanted: Wanted::Largest { k },
        unit_roundoff: load::unit_roundoff(curvature.parameters()),
        seed: run.seed,
        ..Lanczos::default()
    };
    let mut bar = progress::Bar::new("eigenvectors");
    Ok(match solver.run(&curvature.hessian(), None, &mut bar)? {
        Outcome::Done(eigen) => Some(eigen),
        Outcome::Interrupted(_) => None,
    })
}

/// A vector saved under the parameters' names, all of them and no others.
fn read(at: &Parameters, path: &Path) -> Result<Vec<f64>, Failure> {
    let found = Checkpoint::load(path)?.tensors;
    let mut vector = vec![0.0; at.len()];
    for ((name, range), (_, like)) in at.ranges().into_iter().zip(at.iter()) {
        let tensor = found.get(name).ok_or_else(|| {
            Failure::Input(format!(
                "`{}` has no tensor `{name}`: a direction has all parameters",
                path.display()
            ))
        })?;
        if tensor.dims() != like.dims() {
            return Err(Failure::Input(format!(
                "`{name}` in `{}` has shape {:?}, but the parameter has {:?}",
                path.display(),
                tensor.dims(),
                like.dims()
            )));
        }
        let entries =
            tensor.flatten_all().and_then(|t| t.to_dtype(DType::F64)).and_then(|t| t.to_vec1::<f64>());
        vector[range].copy_from_slice(&entries.map_err(relief_hessian::Error::from)?);
    }
    if vector.iter().any(|v| !v.is_finite()) || vector.iter().all(|v| *v == 0.0) {
        return Err(Failure::Input(format!(
            "`{}` is no direction: it is zero, or has numbers that are not finite",
            path.display()
        )));
    }
    Ok(vector)
}
