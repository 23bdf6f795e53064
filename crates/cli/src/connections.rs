//! The loss along a path between two checkpoints: what is measured, and what is saved of it.

use relief_hessian::{AffineSubspace, Control, Error, Objective, Parameters, Result};
use relief_landscape::{Curve, CurveReport, CurveStatistics, Points, Scan};
use relief_models::task::{Measure, Measured, StatisticsPass};
use serde::Serialize;

use crate::curve_training::TrainingArguments;
use crate::exit::Failure;
use crate::load::Loaded;
use crate::scans::Job;
use crate::survey::{Found, KeptLayers, Survey};

/// The `result` of `relief connect`.
#[derive(Debug, Serialize)]
pub(crate) struct Connection {
    /// The checkpoint at t = 1.
    pub(crate) to: String,
    pub(crate) training: TrainingArguments,
    /// Steps that training took.
    pub(crate) steps: usize,
    /// Points between the ends; those of a band are its pivots.
    pub(crate) bends: usize,
    /// Where the paths are measured.
    pub(crate) t: Vec<f64>,
    pub(crate) straight: Path,
    pub(crate) curve: Path,
    /// The network whose weights are the mean over the curve (as in Izmailov et al. 2018).
    pub(crate) average: Answers,
    /// Networks along the curve that answer together (as in Garipov et al. 2018); absent where outputs are no classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ensemble: Option<Answers>,
}

/// The loss along a path.
#[derive(Debug, Serialize)]
pub(crate) struct Path {
    /// Length, extremes, means and barrier of the loss.
    pub(crate) report: CurveReport,
    /// The same of the accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy_report: Option<CurveStatistics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) test_report: Option<CurveReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) test_accuracy_report: Option<CurveStatistics>,
    pub(crate) train: Found<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) test: Option<Found<Vec<f64>>>,
    /// What was computed once for all its points.
    #[serde(skip)]
    pub(crate) kept_layers: Option<KeptLayers>,
}

/// Loss and accuracy of one answerer.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Answers {
    pub(crate) loss: f64,
    pub(crate) accuracy: Option<f64>,
    /// On the test split, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) test_loss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) test_accuracy: Option<f64>,
}

impl Answers {
    fn new(train: &Measured, test: Option<&Measured>) -> Self {
        Self {
            loss: train.loss,
            accuracy: train.accuracy,
            test_loss: test.map(|test| test.loss),
            test_accuracy: test.and_then(|test| test.accuracy),
        }
    }
}

/// The points of a curve at some t.
struct OnCurve<'a> {
    curve: &'a Curve,
    t: &'a [f64],
    /// Its first control point, and where the others lie from it, if they are few.
    origin: Parameters,
    directions: Vec<Vec<f64>>,
}

/// Control points of a curve at most, to take it for a curve on the affine subspace that they span: each of them costs a
/// forward pass of the layers that are kept.
const FEW: usize = 3;

impl<'a> OnCurve<'a> {
    fn new(curve: &'a Curve, t: &'a [f64], like: &Parameters) -> Result<Self> {
        let [first, others @ ..] = curve.points() else {
            return Err(Error::Input("a curve without control points".into()));
        };
        let from_first = |other: &Vec<f64>| other.iter().zip(first).map(|(o, f)| o - f).collect();
        let few = curve.points().len() <= FEW;
        let directions = if few { others.iter().map(from_first).collect() } else { vec![] };
        Ok(Self { curve, t, origin: like.at(first)?, directions })
    }
}

impl Points for OnCurve<'_> {
    fn count(&self) -> usize {
        self.t.len()
    }

    fn point(&self, index: usize) -> Result<Parameters> {
        self.origin.at(&self.curve.at(self.t[index]))
    }

    fn subspace(&self) -> Option<AffineSubspace<'_>> {
        let space = AffineSubspace { origin: &self.origin, directions: &self.directions };
        (!self.directions.is_empty()).then_some(space)
    }

    fn coordinates(&self, index: usize) -> Vec<f64> {
        // The coefficients of all control points together are 1.
        self.curve.coefficients(self.t[index]).split_off(1)
    }
}

/// Measures a curve; none after Ctrl-C.
pub(crate) fn measure(
    curve: &Curve,
    t: &[f64],
    survey: &Survey<'_>,
    what: &str,
) -> Result<Option<Path>, Failure> {
    let like = survey.loaded.task.objective.parameters();
    let points = OnCurve::new(curve, t, like)?;
    let mut scan = Scan::new(&points);
    let job = Job::new(&points, survey, what)?;
    if job.measure(&mut scan, t.len(), &mut |_| Control::Continue)? == Control::Interrupt {
        return Ok(None);
    }
    let (train, test) = survey.found(&scan, &|_, values| Ok(values))?;
    let lengths = curve.lengths(t);
    let report = |found: &Found<Vec<f64>>| CurveReport::new(t, &found.loss, &lengths);
    let accuracies = |found: &Found<Vec<f64>>| {
        found.accuracy.as_ref().map(|accuracy| CurveStatistics::new(t, accuracy, &lengths)).transpose()
    };
    Ok(Some(Path {
        report: report(&train)?,
        accuracy_report: accuracies(&train)?,
        test_report: test.as_ref().map(report).transpose()?,
        test_accuracy_report: test.as_ref().map(accuracies).transpose()?.flatten(),
        train,
        test,
        kept_layers: job.kept_layers(),
    }))
}

/// Points of an ensemble along a curve.
const MEMBERS: usize = 11;

/// The average of a curve's weights, and its ensemble where outputs are classes.
pub(crate) fn together(
    curve: &Curve,
    t: &[f64],
    survey: &Survey<'_>,
) -> Result<(Answers, Option<Answers>), Failure> {
    let Loaded { architecture, tensors, data, options, task, .. } = survey.loaded;
    let pass = StatisticsPass::new(architecture, tensors, data, options)?;
    let member = |point: &[f64]| -> Result<_, Failure> {
        let at = task.objective.parameters().at(point)?;
        let statistics = pass.as_ref().map(|pass| pass.at(&at)).transpose()?;
        Ok((at, statistics))
    };
    let average = member(&curve.average(t)?)?;
    let members = (0..MEMBERS).map(|i| member(&curve.at(i as f64 / (MEMBERS - 1) as f64)));
    let members = members.collect::<Result<Vec<_>, _>>()?;
    let answers = |members: &[_]| -> Result<Option<Answers>, Failure> {
        let Some(train) = task.ensemble(members)? else { return Ok(None) };
        let test = survey.test.as_ref().map(|test| test.task.ensemble(members)).transpose()?.flatten();
        Ok(Some(Answers::new(&train, test.as_ref())))
    };
    let (at, statistics) = &average;
    let how = Measure { statistics: statistics.as_ref(), ..Measure::default() };
    let test = survey.test.as_ref().map(|test| test.task.measure_as(at, &how)).transpose()?;
    Ok((Answers::new(&task.measure_as(at, &how)?, test.as_ref()), answers(&members)?))
}
