//! Two checkpoints' curvature side by side, and between them.

use candle_core::Tensor;
use relief_hessian::{
    Affine, Curvature, Eigen, EigenPair, Frobenius, FrobeniusEstimate, Lanczos, Matrix, Objective, Outcome,
    Parameters, Sampling, Sum, SymmetricOperator, Target, Wanted, principal_angles,
};
use relief_models::task::Task;
use serde::Serialize;

use crate::exit::Failure;
use crate::load::{self, Loaded};
use crate::{points, progress};

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) matrix: Matrix,
    /// Eigenvectors of each space.
    pub(crate) k: usize,
    /// Points of the segment after its beginning.
    pub(crate) points: usize,
    /// Products of each Frobenius norm.
    pub(crate) products: usize,
}

/// The `result` of `relief compare`.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) to: String,
    pub(crate) to_sha256: String,
    /// Loss and eigenvalues of both, largest first.
    pub(crate) loss: [f64; 2],
    pub(crate) eigenvalues: [Vec<EigenPair>; 2],
    /// Principal angles between the top eigenspaces in radians, ascending.
    pub(crate) principal_angles: Vec<f64>,
    /// How far each of these may be off, in radians: the sum of the bounds on the computed spaces. None where the gap below one
    /// of the spaces is not known.
    pub(crate) principal_angle_bound: Option<f64>,
    /// Mean squared cosine of the principal angles, and what it is for unrelated spaces: k/n.
    pub(crate) overlap: f64,
    pub(crate) overlap_by_chance: f64,
    /// |cos| between the eigenvectors of both: a row for each of the first checkpoint's.
    pub(crate) cosines: Vec<Vec<f64>>,
    /// Along the segment from the first to the second.
    pub(crate) segment: Vec<Between>,
}

/// A point of the segment.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Between {
    pub(crate) t: f64,
    pub(crate) loss: f64,
    /// |H(t)|, in the Frobenius norm.
    pub(crate) norm: f64,
    pub(crate) norm_error: f64,
    /// |H(t) - H(0)| / |H(0)|.
    pub(crate) distance: f64,
    /// Standard error, with H(0)'s own.
    pub(crate) distance_error: f64,
}

/// The work of a comparison.
pub(crate) struct Study<'a> {
    pub(crate) plan: Plan,
    pub(crate) memory: usize,
    pub(crate) seed: u64,
    pub(crate) loaded: &'a Loaded,
    pub(crate) bar: &'a mut progress::Bar,
    /// Products and gradients so far.
    pub(crate) products: usize,
    pub(crate) gradients: usize,
}

impl Study<'_> {
    /// None after Ctrl-C.
    pub(crate) fn compare(&mut self, other: &points::Point) -> Result<Option<Comparison>, Failure> {
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
        let memory = self.memory / 2;
        Ok(Curvature::new(&task.objective, task.objective.parameters(), memory)?)
    }

    fn eigen(&mut self, curvature: &Curvature<'_>) -> Result<Option<Eigen>, Failure> {
        let solver = Lanczos {
            wanted: Wanted::Largest { k: self.plan.k },
            unit_roundoff: load::unit_roundoff(curvature.parameters()),
            seed: self.seed,
            ..Lanczos::default()
        };
        let operator = curvature.operator(self.plan.matrix);
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
        let points = self.plan.points;
        if points == 0 {
            return Ok(Some(vec![]));
        }
        let (from, to) = (first.parameters.to_vec()?, last.parameters.to_vec()?);
        let start = self.curvature(beginning)?;
        let matrix = self.plan.matrix;
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

    fn frobenius(&mut self, operator: &dyn SymmetricOperator) -> Result<Option<FrobeniusEstimate>, Failure> {
        let sampling = Sampling {
            target: Target::Products(self.plan.products),
            unit_roundoff: load::unit_roundoff(self.loaded.task.objective.parameters()),
            seed: self.seed,
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
