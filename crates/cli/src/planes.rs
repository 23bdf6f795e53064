//! Planes in parameter space: how they are made, and what a surface on one is.

use relief_hessian::{Curvature, EigenPair, Lanczos, Objective, Outcome, Wanted};
use relief_landscape::{RandomDirection, Scan, Slice, cosine, orthogonalised};
use serde::Serialize;

use crate::arguments::RunArguments;
use crate::exit::Failure;
use crate::load::{self, Loaded};
use crate::scans::{self, nodes};
use crate::{numbers, progress};

/// The `result` of `relief surface`.
#[derive(Debug, Serialize)]
pub(crate) struct Surface {
    pub(crate) plane: Plane,
    /// The coordinates along each direction.
    pub(crate) axes: [Vec<f64>; 2],
    /// Rows of one second coordinate each; null where the loss is not finite.
    pub(crate) loss: Vec<Vec<f64>>,
    /// As `loss`; absent where outputs are no classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy: Option<Vec<Vec<f64>>>,
}

/// How a plane was made.
#[derive(Debug, Serialize)]
pub(crate) struct Plane {
    /// `random` or `eigen`.
    pub(crate) kind: &'static str,
    /// What a coordinate of 1 is.
    pub(crate) unit: &'static str,
    /// Of a random plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    directions: Option<RandomDirection>,
    /// Whether the second direction was made orthogonal to the first.
    orthogonal: bool,
    /// Cosine of the angle between the two directions.
    pub(crate) cosine: f64,
    /// Of a plane of eigenvectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<Model>,
}

/// The loss to second order on a plane of two eigenvectors.
#[derive(Debug, Serialize)]
pub(crate) struct Model {
    /// The loss at the centre.
    loss: f64,
    /// The gradient's components along the two vectors.
    gradient: [f64; 2],
    /// The two largest eigenvalues of the Hessian.
    pub(crate) pairs: Vec<EigenPair>,
}

/// A plane before it is measured.
pub(crate) struct Planned {
    pub(crate) slice: Slice,
    /// Products and gradients that it took.
    pub(crate) work: (usize, usize),
    plane: Plane,
    axes: [Vec<f64>; 2],
    classes: bool,
}

impl Planned {
    /// The plane of the first two random directions of a family.
    pub(crate) fn random(
        loaded: &Loaded,
        chosen: RandomDirection,
        axes: [Vec<f64>; 2],
        orthogonal: bool,
    ) -> Result<Self, Failure> {
        let at = loaded.task.objective.parameters();
        let first = chosen.draw(at)?;
        let mut second = RandomDirection { nth: chosen.nth + 1, ..chosen }.draw(at)?;
        if orthogonal {
            second = orthogonalised(&second, &first);
        }
        let plane = Plane {
            kind: "random",
            unit: scans::unit(chosen.normalisation),
            directions: Some(chosen),
            orthogonal,
            cosine: cosine(&first, &second),
            model: None,
        };
        Self::new(loaded, plane, [first, second], axes, (0, 0))
    }

    /// The plane of the two top eigenvectors, of length 1 and never rescaled; none after Ctrl-C. Where no ranges are
    /// given, both axes reach to where the quadratic model has risen by 0.1, or by the loss itself, along the second one.
    pub(crate) fn eigen(
        loaded: &Loaded,
        run: &RunArguments,
        grid: usize,
        ranges: Option<[[f64; 2]; 2]>,
    ) -> Result<Option<Self>, Failure> {
        let objective = &loaded.task.objective;
        let at = objective.parameters();
        if at.len() < 2 {
            return Err(Failure::Usage(
                "a plane needs two parameters, but there is only one: draw a line".into(),
            ));
        }
        let curvature = Curvature::new(objective, at, load::memory(run))?;
        let solver = Lanczos {
            wanted: Wanted::Largest { k: 2 },
            unit_roundoff: load::unit_roundoff(at),
            seed: run.seed,
            ..Lanczos::default()
        };
        let mut bar = progress::Bar::new("eigenvectors");
        let Outcome::Done(eigen) = solver.run(&curvature.hessian(), None, &mut bar)? else { return Ok(None) };
        drop(bar);
        let [first, second]: [Vec<f64>; 2] = eigen.vectors.try_into().expect("two vectors were asked for");
        let slope = |v: &[f64]| curvature.gradient().iter().zip(v).map(|(g, v)| g * v).sum();
        let rise = curvature.loss().abs().max(0.1);
        let curved = eigen.largest.last().map(|pair| pair.value).filter(|value| *value > 0.0);
        let reach = curved.map_or(1.0, |value| numbers::two_digits((2.0 * rise / value).sqrt()));
        let axes = ranges.unwrap_or([[-reach, reach]; 2]).map(|range| nodes(range, grid));
        let model =
            Model { loss: curvature.loss(), gradient: [slope(&first), slope(&second)], pairs: eigen.largest };
        let plane = Plane {
            kind: "eigen",
            unit: "L2 distance",
            directions: None,
            orthogonal: true,
            cosine: cosine(&first, &second),
            model: Some(model),
        };
        let work = (eigen.products, curvature.gradients());
        Self::new(loaded, plane, [first, second], axes, work).map(Some)
    }

    fn new(
        loaded: &Loaded,
        plane: Plane,
        directions: [Vec<f64>; 2],
        axes: [Vec<f64>; 2],
        work: (usize, usize),
    ) -> Result<Self, Failure> {
        let slice = Slice::new(loaded.task.objective.parameters(), directions.to_vec(), axes.to_vec())?;
        Ok(Self { slice, work, plane, axes, classes: loaded.accuracy.is_some() })
    }

    /// What else tells this plane from others: for the state of a scan.
    pub(crate) fn context(&self) -> String {
        let Plane { kind, directions, orthogonal, .. } = &self.plane;
        format!("{kind} {directions:?} {orthogonal} {:?}", self.axes)
    }

    /// The result, once it is measured.
    pub(crate) fn found(self, scan: &Scan) -> Surface {
        let columns = self.axes[0].len();
        let rows = |which: usize| -> Vec<Vec<f64>> {
            scan.measure(which).chunks(columns).map(<[f64]>::to_vec).collect()
        };
        Surface { loss: rows(0), accuracy: self.classes.then(|| rows(1)), plane: self.plane, axes: self.axes }
    }
}

impl Plane {
    /// Whether the eigenvectors, if the plane has them, met their tolerance.
    pub(crate) fn converged(&self) -> bool {
        self.model.as_ref().is_none_or(|model| model.pairs.iter().all(|pair| pair.converged))
    }
}
