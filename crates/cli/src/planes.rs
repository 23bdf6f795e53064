//! Planes in parameter space: how they are chosen and made, and what a surface on one is.

mod along;
mod checkpoints;

pub(crate) use checkpoints::spanned;

use std::path::PathBuf;
use std::str::FromStr;

use relief_hessian::{EigenPair, Objective};
use relief_landscape::{Centre, Errors, RandomDirection, Slice};
use serde::Serialize;

use crate::arguments::RunArguments;
use crate::directions::{self, Named};
use crate::exit::Failure;
use crate::load::Loaded;
use crate::points::{self, Point};
use crate::survey::{Found, FoundClass, FoundCurvature, Lies};
use crate::traces::{Mark, Trace};

/// Which plane, as it is named on the command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Choice {
    /// Of two directions.
    Along([Named; 2]),
    /// Of the two principal directions of the files that match a pattern, or of those at hand where there is none.
    Principal(Option<String>, Centre),
    /// Through three checkpoints, or the loaded one and two.
    Through(Vec<PathBuf>),
}

/// Every plane, for messages.
const PLANES: &str =
    "random, eigen, pca:'PATTERN', pca-mean:'PATTERN', through:A,B,C, or along:A,B with two directions";

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, list) = text.split_once(':').map_or((text, None), |(kind, list)| (kind, Some(list)));
        let parts = || list.unwrap_or_default().split(',').filter(|part| !part.is_empty());
        match (kind, list) {
            ("random", None) => Ok(Self::Along([Named::Random, Named::Random])),
            ("eigen", None) => Ok(Self::Along([Named::Eigen(1), Named::Eigen(2)])),
            ("pca", pattern) => Ok(Self::Principal(pattern.map(String::from), Centre::Last)),
            ("pca-mean", pattern) => Ok(Self::Principal(pattern.map(String::from), Centre::Mean)),
            ("along", Some(_)) => {
                let names = parts().map(str::parse).collect::<Result<Vec<Named>, _>>()?;
                <[Named; 2]>::try_from(names).map(Self::Along).map_err(|names| {
                    format!("a plane has two directions, not {}: write along:A,B", names.len())
                })
            }
            ("through", Some(_)) => match parts().map(PathBuf::from).collect::<Vec<_>>() {
                paths if matches!(paths.len(), 2 | 3) => Ok(Self::Through(paths)),
                paths => Err(format!(
                    "a plane goes through the checkpoint and two more, or through three, not {}: write through:A,B or \
                     through:A,B,C",
                    paths.len()
                )),
            },
            _ => Err(format!(
                "`{text}` is no plane: take one of {PLANES}; a direction is one of {}",
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
    /// The Hessian's extreme eigenvalues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) curvature: Option<FoundCurvature<Rows>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cap: Option<f64>,
    /// Where not every point was measured, or grids were refined to a tolerance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refinement: Option<Refinement>,
    /// Checkpoints on the plane.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) marks: Vec<Mark>,
    /// A way on the plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<Trace>,
}

/// How far a surface was refined, in logarithms (base 10) of the loss.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Refinement {
    /// The error that was asked for.
    pub(crate) tolerance: f64,
    /// Nodes between two measured ones; 1 where all are measured. The others are interpolated.
    pub(crate) stride: usize,
    /// Points measured.
    pub(crate) measured: usize,
    /// The largest and the mean error of the interpolated points, estimated; absent with too few levels to tell.
    pub(crate) error: Option<Errors>,
    /// How far the level before was off at the points of the last.
    pub(crate) holdout: Option<Errors>,
    /// Observed order of convergence.
    pub(crate) order: Option<f64>,
    /// Whether the tolerance is met.
    pub(crate) converged: bool,
}

/// A grid's values, one row for each second coordinate.
pub(crate) type Rows = Vec<Vec<f64>>;

/// How a plane was made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plane {
    /// `random`, `eigen`, `along`, `principal` or `through`.
    pub(crate) kind: &'static str,
    /// What each axis is, with its unit.
    pub(crate) labels: [String; 2],
    /// Whether the directions are orthonormal, so that distances on the plane are distances between networks.
    pub(crate) orthonormal: bool,
    /// The first of two random directions of a family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) directions: Option<RandomDirection>,
    /// Whether the second direction was made orthogonal to the first.
    pub(crate) orthogonal: bool,
    /// Cosine of the angle between the two directions.
    pub(crate) cosine: f64,
    /// Of a plane of eigenvectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<Model>,
    /// Of a principal plane: where the checkpoints are seen from, and the share of their squared distances from there that
    /// each component explains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) centre: Option<Centre>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) explained: Vec<f64>,
}

/// The loss to second order on a plane of two eigenvectors.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Model {
    /// The loss at the centre.
    pub(crate) loss: f64,
    /// The gradient's components along the two vectors.
    pub(crate) gradient: [f64; 2],
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
    /// What is drawn on it.
    pub(crate) marks: Vec<Mark>,
    pub(crate) trace: Option<Trace>,
    /// Whether it lies between checkpoints, and their statistics on it.
    pub(crate) lies: Lies,
}

/// What a plane is made from.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) loaded: &'a Loaded,
    pub(crate) run: &'a RunArguments,
    /// The first of the random directions.
    pub(crate) family: RandomDirection,
    /// Whether the second direction is made orthogonal to the first.
    pub(crate) orthogonal: bool,
    pub(crate) extent: Extent,
    /// Checkpoints in the order of training, to be drawn on the plane.
    pub(crate) path: &'a [Point],
}

impl Planned {
    /// The plane of a choice; none after Ctrl-C.
    pub(crate) fn new(site: &Site<'_>, choice: &Choice) -> Result<Option<Self>, Failure> {
        if site.loaded.task.objective.parameters().len() < 2 {
            return Err(Failure::Usage(
                "a plane needs two parameters, but there is only one: draw a line".into(),
            ));
        }
        match choice {
            Choice::Along(names) => along::plan(site, names),
            Choice::Principal(None, centre) => checkpoints::principal(site, *centre).map(Some),
            Choice::Principal(Some(pattern), centre) => {
                let path = points::matching(pattern)?;
                let path: Vec<Point> =
                    path.iter().map(|file| Point::load(site.loaded, file)).collect::<Result<_, _>>()?;
                checkpoints::principal(&Site { path: &path, ..*site }, *centre).map(Some)
            }
            Choice::Through(paths) => checkpoints::through(site, paths).map(Some),
        }
    }

    /// What tells this plane from others: for the state of a scan.
    pub(crate) fn context(&self) -> String {
        let Plane { kind, labels, directions, orthogonal, cosine, .. } = &self.plane;
        let marks: Vec<&str> = self.marks.iter().map(|mark| mark.sha256.as_str()).collect();
        let trace = self.trace.as_ref().map(|trace| &trace.sha256);
        format!(
            "{kind} {labels:?} {directions:?} {orthogonal} {cosine:e} {:?} {marks:?} {trace:?}",
            self.axes
        )
    }

    /// The result, once it is measured.
    pub(crate) fn found(
        &self,
        (train, test): (Found<Rows>, Option<Found<Rows>>),
        cap: Option<f64>,
    ) -> Surface {
        let Found { loss, accuracy, standard_error, classes } = train;
        Surface {
            plane: self.plane.clone(),
            axes: self.axes.clone(),
            loss,
            accuracy,
            standard_error,
            classes,
            test,
            curvature: None,
            cap,
            refinement: None,
            marks: self.marks.clone(),
            trace: self.trace.clone(),
        }
    }
}

impl Plane {
    /// Whether the eigenvectors, if the plane has them, met their tolerance.
    pub(crate) fn converged(&self) -> bool {
        self.model.as_ref().is_none_or(|model| model.pairs.iter().all(|pair| pair.converged))
    }
}
