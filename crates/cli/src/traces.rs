//! Checkpoints on a plane: where they lie from it, and their own losses beside those of the plane.

use relief_hessian::Objective;
use relief_landscape::Plane;
use serde::Serialize;

use crate::exit::Failure;
use crate::load::Loaded;
use crate::points::Point;

/// Room around what is drawn on a plane, as a share of it.
pub(crate) const MARGIN: f64 = 0.2;

/// What a marked checkpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MarkKind {
    End,
    Bend,
}

/// A checkpoint that the plane goes through.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mark {
    pub(crate) kind: MarkKind,
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) at: [f64; 2],
    /// Distance to the plane.
    pub(crate) residual: f64,
    /// Its own loss, with its own running statistics.
    pub(crate) loss: f64,
    pub(crate) accuracy: Option<f64>,
}

/// A way on a plane, seen from above.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Trace {
    pub(crate) kind: TraceKind,
    pub(crate) names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sha256: Vec<String>,
    pub(crate) at: Vec<[f64; 2]>,
    /// Distance of each point to the plane: what the picture does not show.
    pub(crate) residual: Vec<f64>,
    /// The same over the distance to the plane's origin.
    pub(crate) relative: Vec<f64>,
    /// Each point's own loss, with its own running statistics.
    pub(crate) loss: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy: Option<Vec<f64>>,
    /// The loss on the plane below each point, with the same statistics; absent where the way is not one of checkpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plane_loss: Option<Vec<f64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TraceKind {
    Trajectory,
    Curve,
}

impl Mark {
    pub(crate) fn new(
        loaded: &Loaded,
        plane: &Plane,
        point: &Point,
        kind: MarkKind,
    ) -> Result<Self, Failure> {
        let found = plane.project(&point.parameters.to_vec()?)?;
        let measured = point.measure(loaded)?;
        Ok(Self {
            kind,
            name: point.name(),
            sha256: point.sha256.clone(),
            at: place(&found.coordinates),
            residual: found.residual,
            loss: measured.loss,
            accuracy: measured.accuracy,
        })
    }
}

impl Trace {
    /// Checkpoints in the order of training. Two evaluations each: its own loss, and that below it.
    pub(crate) fn new(loaded: &Loaded, plane: &Plane, path: &[Point]) -> Result<Self, Failure> {
        let mut trace = Self::empty(TraceKind::Trajectory);
        let (mut accuracy, mut below) = (vec![], vec![]);
        for point in path {
            let found = plane.project(&point.parameters.to_vec()?)?;
            let measured = point.measure(loaded)?;
            let shadow = loaded.task.objective.parameters().at(&plane.point(&found.coordinates)?)?;
            below.push(point.at(shadow).measure(loaded)?.loss);
            trace.names.push(point.name());
            trace.sha256.push(point.sha256.clone());
            trace.at.push(place(&found.coordinates));
            trace.residual.push(found.residual);
            trace.relative.push(found.relative);
            trace.loss.push(measured.loss);
            accuracy.extend(measured.accuracy);
        }
        trace.accuracy = loaded.accuracy.map(|_| accuracy);
        trace.plane_loss = Some(below);
        Ok(trace)
    }

    /// A curve at some t with its losses there.
    pub(crate) fn curve(plane: &Plane, points: &[Vec<f64>], loss: Vec<f64>) -> Result<Self, Failure> {
        let mut trace = Self::empty(TraceKind::Curve);
        for point in points {
            let found = plane.project(point)?;
            trace.at.push(place(&found.coordinates));
            trace.residual.push(found.residual);
            trace.relative.push(found.relative);
        }
        trace.loss = loss;
        Ok(trace)
    }

    fn empty(kind: TraceKind) -> Self {
        Self {
            kind,
            names: vec![],
            sha256: vec![],
            at: vec![],
            residual: vec![],
            relative: vec![],
            loss: vec![],
            accuracy: None,
            plane_loss: None,
        }
    }
}

fn place(coordinates: &[f64]) -> [f64; 2] {
    [coordinates[0], coordinates[1]]
}
