//! Planes of two directions around the loaded checkpoint.

use relief_hessian::Objective;
use relief_landscape::{Plane as Flat, Slice, cosine, orthogonalised, ranges};

use super::{Model, Plane, Planned, Site};
use crate::directions::{self, Direction, Named};
use crate::exit::Failure;
use crate::numbers;
use crate::scans::nodes;
use crate::survey::Lies;
use crate::traces::{MARGIN, Trace};

/// The plane of two named directions; none after Ctrl-C.
pub(super) fn plan(site: &Site<'_>, names: &[Named; 2]) -> Result<Option<Planned>, Failure> {
    let Site { loaded, run, family, orthogonal, extent, path } = *site;
    let objective = &loaded.task.objective;
    let at = objective.parameters();
    let Some(made) = directions::make(loaded, run, family, names)? else { return Ok(None) };
    let (products, gradients) = made.work;
    let [first, mut second]: [Direction; 2] = made.directions.try_into().expect("a direction for each name");
    let angle = cosine(&first.vector, &second.vector);
    if angle.abs() > 1.0 - 1e-12 {
        return Err(Failure::Usage(format!(
            "the two directions of the plane, {} and {}, are parallel: take two that differ",
            first.label, second.label
        )));
    }
    if orthogonal {
        second.vector = orthogonalised(&second.vector, &first.vector);
    }
    let model = match (&first.eigen, &second.eigen) {
        (Some((_, a)), Some((_, b))) => {
            let along = |v: &[f64]| made.gradient.iter().zip(v).map(|(g, v)| g * v).sum();
            let gradient = [along(&first.vector), along(&second.vector)];
            Some(Model { loss: loaded.loss, gradient, pairs: [a.clone(), b.clone()] })
        }
        _ => None,
    };
    let mut evaluations = 0;
    let mut trace = None;
    let mut around = None;
    if !path.is_empty() {
        let flat = Flat::new(at.to_vec()?, vec![first.vector.clone(), second.vector.clone()])?;
        let traced = Trace::new(loaded, &flat, path)?;
        evaluations += 2 * path.len();
        let places: Vec<Vec<f64>> = traced.at.iter().map(|at| at.to_vec()).chain([vec![0.0; 2]]).collect();
        around = Some(ranges(&places, MARGIN)?);
        trace = Some(traced);
    }
    let mut axis = |nth: usize, direction: &Direction| {
        let range = match (extent.ranges[nth], &around) {
            (Some(range), _) => range,
            (None, Some(around)) => around[nth],
            (None, None) if model.is_some() => {
                let reach = model.as_ref().and_then(reach).unwrap_or(1.0);
                [-reach, reach]
            }
            (None, None) => {
                let (range, spent) = directions::range(loaded, direction)?;
                evaluations += spent;
                range
            }
        };
        Ok::<_, Failure>(nodes(range, extent.counts[nth]))
    };
    let axes = [axis(0, &first)?, axis(1, &second)?];
    let plane = Plane {
        kind: match names {
            [Named::Random, Named::Random] => "random",
            [Named::Eigen(_), Named::Eigen(_)] => "eigen",
            _ => "along",
        },
        labels: [first.axis(), second.axis()],
        orthonormal: model.is_some(),
        directions: first.random,
        orthogonal: orthogonal || model.is_some(),
        cosine: cosine(&first.vector, &second.vector),
        model,
        centre: None,
        explained: vec![],
    };
    let slice = Slice::new(at, vec![first.vector, second.vector], axes.to_vec())?;
    let work = (products, gradients, evaluations);
    Ok(Some(Planned { slice, work, plane, axes, marks: vec![], trace, lies: Lies::Around }))
}

/// How far along either vector the model has risen by 0.1, or by the loss if that is more, along the flatter one.
fn reach(model: &Model) -> Option<f64> {
    let rise = model.loss.abs().max(0.1);
    let flatter = model.pairs[0].value.min(model.pairs[1].value);
    (flatter > 0.0).then(|| numbers::two_digits((2.0 * rise / flatter).sqrt()))
}
