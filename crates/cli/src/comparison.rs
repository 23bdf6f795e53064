//! Two checkpoints' curvature side by side, and between them.

use candle_core::Tensor;
use relief_hessian::{
    Affine, Curvature, Eigen, EstimateState, Frobenius, FrobeniusEstimate, Lanczos, Matrix, Objective,
    Parameters, Sampling, Sum, SymmetricOperator, Target, Wanted, principal_angles,
};
use relief_models::task::Task;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::findings::{Between, Comparison};
use crate::load::{self, Loaded};
use crate::parts::{self, Found, Parts};
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

/// The work of a comparison.
pub(crate) struct Study<'a, 'c> {
    pub(crate) plan: Plan,
    pub(crate) memory: usize,
    pub(crate) seed: u64,
    pub(crate) loaded: &'a Loaded,
    pub(crate) bar: &'a mut progress::Bar,
    /// What is done, point by point.
    pub(crate) parts: Parts<'c>,
}

/// Loss and eigenvalues at a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    loss: f64,
    eigen: Eigen,
}

/// What is known of a point of the segment.
#[derive(Debug)]
struct Norms {
    loss: f64,
    norm: FrobeniusEstimate,
    /// Of the difference from the beginning's matrix; absent at the beginning.
    apart: Option<FrobeniusEstimate>,
}

impl Study<'_, '_> {
    /// Gradients over the data set that it takes.
    pub(crate) fn gradients(&self) -> usize {
        2 + if self.plan.points > 0 { 1 + self.plan.points } else { 0 }
    }

    /// None after Ctrl-C.
    pub(crate) fn compare(&mut self, other: &points::Point) -> Result<Option<Comparison>, Failure> {
        let first = points::Point::own(self.loaded);
        let (Some(a), Some(b)) = (self.end("from", &first)?, self.end("to", other)?) else {
            return Ok(None);
        };
        let Some(segment) = self.segment(&first, other)? else { return Ok(None) };
        let angles = principal_angles(&a.vectors, &b.vectors)?;
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let row = |x: &Vec<f64>| b.vectors.iter().map(|y| dot(x, y).abs()).collect();
        let bounds = [&a, &b].map(|end| end.numbers.eigen.subspace_angle_bound);
        Ok(Some(Comparison {
            to: other.path.display().to_string(),
            to_sha256: other.sha256.clone(),
            principal_angle_bound: bounds[0].zip(bounds[1]).map(|(a, b)| a + b),
            overlap: angles.iter().map(|angle| angle.cos().powi(2)).sum::<f64>() / angles.len() as f64,
            overlap_by_chance: angles.len() as f64 / first.parameters.len() as f64,
            principal_angles: angles,
            cosines: a.vectors.iter().map(row).collect(),
            loss: [a.numbers.loss, b.numbers.loss],
            eigenvalues: [a.numbers.eigen.largest, b.numbers.eigen.largest],
            segment,
        }))
    }

    /// The top eigenvalues at a checkpoint.
    fn end(&mut self, name: &str, point: &points::Point) -> Result<Option<Found<End>>, Failure> {
        let Self { loaded, plan, memory, seed, bar, parts } = self;
        bar.at(format!("compare: eigenvalues of {}", point.name()));
        parts.part(name, bar, |state, bar| {
            let task = task(loaded, point)?;
            let at = task.objective.parameters();
            let curvature = Curvature::new(&task.objective, at, *memory / 2)?;
            let solver = Lanczos {
                wanted: Wanted::Largest { k: plan.k },
                unit_roundoff: load::unit_roundoff(at),
                seed: *seed,
                ..Lanczos::default()
            };
            let outcome = parts::search(&solver, &curvature.operator(plan.matrix), state, bar)?;
            let loss = curvature.loss();
            Ok(outcome.map(|Found { numbers, vectors, products }| Found {
                numbers: End { loss, eigen: numbers },
                vectors,
                products,
            }))
        })
    }

    fn segment(
        &mut self,
        first: &points::Point,
        last: &points::Point,
    ) -> Result<Option<Vec<Between>>, Failure> {
        let (matrix, points, memory) = (self.plan.matrix, self.plan.points, self.memory / 2);
        if points == 0 {
            return Ok(Some(vec![]));
        }
        let (from, to) = (first.parameters.to_vec()?, last.parameters.to_vec()?);
        let names = |step: usize| {
            let name = format!("{step} of {points}");
            [format!("{name}, distance"), name]
        };
        // The beginning's matrix is a part of every other point's work.
        let missing = (0..=points).flat_map(names).any(|name| !self.parts.has(&name));
        let beginning = missing.then(|| task(self.loaded, first)).transpose()?;
        let start = match &beginning {
            Some(task) => Some(Curvature::new(&task.objective, task.objective.parameters(), memory)?),
            None => None,
        };
        let mut found = vec![];
        for step in 0..=points {
            let t = step as f64 / points as f64;
            let [distance, own] = names(step);
            self.bar.at(format!("compare: t = {t:.2}"));
            let unfinished = step > 0 && !(self.parts.has(&own) && self.parts.has(&distance));
            let mixed = || from.iter().zip(&to).map(|(a, b)| (1.0 - t) * a + t * b).collect::<Vec<f64>>();
            let between = match unfinished {
                true if step == points => Some(task(self.loaded, last)?),
                true => Some(task(self.loaded, &points::Point::of(self.loaded, &mixed(), "between")?)?),
                false => None,
            };
            let there = match &between {
                Some(task) => Some(Curvature::new(&task.objective, task.objective.parameters(), memory)?),
                None => None,
            };
            let here = there.as_ref().or(start.as_ref());
            let lost = || Failure::Numbers("a point of the segment was lost".into());
            let Some(norm) = self.frobenius(&own, 1, || {
                let here = here.ok_or_else(lost)?;
                Ok((here.loss(), Box::new(here.operator(matrix))))
            })?
            else {
                return Ok(None);
            };
            let apart = if step == 0 {
                None
            } else {
                let difference = self.frobenius(&distance, 2, || {
                    let (here, start) = (here.ok_or_else(lost)?, start.as_ref().ok_or_else(lost)?);
                    let minus = Affine { operator: start.operator(matrix), factor: -1.0, shift: 0.0 };
                    Ok((here.loss(), Box::new(Sum::new(here.operator(matrix), minus)?)))
                })?;
                let Some(difference) = difference else { return Ok(None) };
                Some(difference.1)
            };
            found.push((t, Norms { loss: norm.0, norm: norm.1, apart }));
        }
        Ok(Some(between(found)))
    }

    /// Loss and the Frobenius norm of a matrix, which is built where it is not known yet, and whose products take so many
    /// `passes` over the data. None after Ctrl-C.
    fn frobenius<'o>(
        &mut self,
        name: &str,
        passes: usize,
        mut build: impl FnMut() -> Result<(f64, Box<dyn SymmetricOperator + 'o>), Failure>,
    ) -> Result<Option<(f64, FrobeniusEstimate)>, Failure> {
        let estimator = self.estimator();
        let found = self.parts.part(name, self.bar, |state: Option<EstimateState>, bar| {
            let (loss, operator) = build()?;
            let outcome = match state {
                Some(state) => estimator.resume(&*operator, state, bar)?,
                None => estimator.run(&*operator, bar)?,
            };
            Ok(outcome.map(|norm| Found {
                products: passes * norm.products,
                numbers: (loss, norm),
                vectors: vec![],
            }))
        })?;
        Ok(found.map(|found| found.numbers))
    }

    fn estimator(&self) -> Frobenius {
        let sampling = Sampling {
            target: Target::Products(self.plan.products),
            unit_roundoff: load::unit_roundoff(self.loaded.task.objective.parameters()),
            seed: self.seed,
            ..Sampling::default()
        };
        Frobenius { sampling, ..Frobenius::default() }
    }
}

/// Distances from the first point, in units of its norm.
fn between(found: Vec<(f64, Norms)>) -> Vec<Between> {
    let relative = |e: &FrobeniusEstimate| e.error_estimate / e.value.max(f64::MIN_POSITIVE);
    let own = found[0].1.norm.clone();
    let point = |(t, Norms { loss, norm, apart }): (f64, Norms)| {
        let distance = apart.as_ref().map_or(0.0, |apart| apart.value / own.value);
        let error = apart.map_or(0.0, |apart| relative(&apart).hypot(relative(&own)));
        Between {
            t,
            loss,
            norm: norm.value,
            norm_error: norm.error_estimate,
            distance,
            distance_error: distance * error,
        }
    };
    found.into_iter().map(point).collect()
}

/// The loaded task at another point, with that point's running statistics.
fn task(loaded: &Loaded, point: &points::Point) -> Result<Task, Failure> {
    let mut tensors = loaded.tensors.clone();
    let named = point.parameters.iter().chain(point.statistics.iter().flat_map(Parameters::iter));
    tensors.extend(named.map(|(name, tensor): (&str, &Tensor)| (name.to_string(), tensor.clone())));
    Ok(Task::new(&loaded.architecture, &tensors, &loaded.data, &loaded.options)?)
}
