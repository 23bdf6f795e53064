//! Planes in parameter space: how they are made, and what a surface on one is.

use std::str::FromStr;

use relief_hessian::{EigenPair, Objective};
use relief_landscape::{RandomDirection, Slice, cosine, orthogonalised};
use serde::Serialize;

use crate::arguments::RunArguments;
use crate::directions::{self, Direction, Named};
use crate::exit::Failure;
use crate::load::Loaded;
use crate::numbers;
use crate::scans::nodes;
use crate::survey::{Found, FoundClass};

/// Which plane, as it is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Of two directions.
    Along([Named; 2]),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(pair) = text.strip_prefix("along:") {
            let names = pair.split(',').map(str::parse).collect::<Result<Vec<Named>, _>>()?;
            return match <[Named; 2]>::try_from(names) {
                Ok(names) => Ok(Self::Along(names)),
                Err(names) => {
                    Err(format!("a plane has two directions, not {}: write along:A,B", names.len()))
                }
            };
        }
        match text {
            "random" => Ok(Self::Along([Named::Random, Named::Random])),
            "eigen" => Ok(Self::Along([Named::Eigen(1), Named::Eigen(2)])),
            _ => Err(format!(
                "`{text}` is no plane: take random, eigen or along:A,B with two of {}",
                directions::NAMES
            )),
        }
    }
}

/// The `result` of `relief surface`.
#[derive(Debug, Serialize)]
pub(crate) struct Surface {
    pub(crate) plane: Plane,
    /// The coordinates along each direction.
    pub(crate) axes: [Vec<f64>; 2],
    /// Rows of one second coordinate each; null where the loss is not finite, the cap where it is at least that.
    pub(crate) loss: Rows,
    /// As `loss`; absent where outputs are no classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy: Option<Rows>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) standard_error: Option<Rows>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) classes: Option<Vec<FoundClass<Rows>>>,
    /// The same on the test split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) test: Option<Found<Rows>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cap: Option<f64>,
}

/// A grid's values, one row for each second coordinate.
pub(crate) type Rows = Vec<Vec<f64>>;

/// How a plane was made.
#[derive(Debug, Serialize)]
pub(crate) struct Plane {
    /// `random`, `eigen` or `along`.
    pub(crate) kind: &'static str,
    /// What each axis is, with its unit.
    pub(crate) labels: [String; 2],
    /// Whether the directions are orthonormal, so that distances on the plane are distances between networks.
    pub(crate) orthonormal: bool,
    /// The first of two random directions of a family.
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
    /// Their eigenvalues of the Hessian.
    pub(crate) pairs: [EigenPair; 2],
}

/// Where the points of a plane lie, as far as that was said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Points along each direction.
    pub(crate) counts: [usize; 2],
    /// From where to where along each direction.
    pub(crate) ranges: [Option<[f64; 2]>; 2],
}

/// A plane before it is measured.
pub(crate) struct Planned {
    pub(crate) slice: Slice,
    /// Products, gradients and evaluations that it took.
    pub(crate) work: (usize, usize, usize),
    pub(crate) plane: Plane,
    pub(crate) axes: [Vec<f64>; 2],
}

impl Planned {
    /// The plane of a choice around the loaded checkpoint; none after Ctrl-C.
    pub(crate) fn new(
        loaded: &Loaded,
        run: &RunArguments,
        choice: &Choice,
        family: RandomDirection,
        orthogonal: bool,
        extent: &Extent,
    ) -> Result<Option<Self>, Failure> {
        match choice {
            Choice::Along(names) => Self::along(loaded, run, names, family, orthogonal, extent),
        }
    }

    fn along(
        loaded: &Loaded,
        run: &RunArguments,
        names: &[Named; 2],
        family: RandomDirection,
        orthogonal: bool,
        extent: &Extent,
    ) -> Result<Option<Self>, Failure> {
        let objective = &loaded.task.objective;
        if objective.parameters().len() < 2 {
            return Err(Failure::Usage(
                "a plane needs two parameters, but there is only one: draw a line".into(),
            ));
        }
        let Some(made) = directions::make(loaded, run, family, names)? else { return Ok(None) };
        let (products, gradients) = made.work;
        let [first, mut second]: [Direction; 2] =
            made.directions.try_into().expect("a direction for each name");
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
        let mut axis = |nth: usize, direction: &Direction| {
            let range = match extent.ranges[nth] {
                Some(range) => range,
                None => {
                    let (range, spent) =
                        directions::range(loaded, direction, model.as_ref().map(Model::reach))?;
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
        };
        let slice = Slice::new(objective.parameters(), vec![first.vector, second.vector], axes.to_vec())?;
        Ok(Some(Self { slice, work: (products, gradients, evaluations), plane, axes }))
    }

    /// What tells this plane from others: for the state of a scan.
    pub(crate) fn context(&self) -> String {
        let Plane { kind, labels, directions, orthogonal, cosine, .. } = &self.plane;
        format!("{kind} {labels:?} {directions:?} {orthogonal} {cosine:e} {:?}", self.axes)
    }

    /// The result, once it is measured.
    pub(crate) fn found(
        self,
        (train, test): (Found<Rows>, Option<Found<Rows>>),
        cap: Option<f64>,
    ) -> Surface {
        let Found { loss, accuracy, standard_error, classes } = train;
        let Self { plane, axes, .. } = self;
        Surface { plane, axes, loss, accuracy, standard_error, classes, test, cap }
    }
}

impl Model {
    /// How far along either vector the model has risen by 0.1, or by the loss if that is more, along the flatter one.
    fn reach(&self) -> Option<f64> {
        let rise = self.loss.abs().max(0.1);
        let flatter = self.pairs[0].value.min(self.pairs[1].value);
        (flatter > 0.0).then(|| numbers::two_digits((2.0 * rise / flatter).sqrt()))
    }
}

impl Plane {
    /// Whether the eigenvectors, if the plane has them, met their tolerance.
    pub(crate) fn converged(&self) -> bool {
        self.model.as_ref().is_none_or(|model| model.pairs.iter().all(|pair| pair.converged))
    }
}
