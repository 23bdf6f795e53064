//! Where a flow stands, in memory and in a file.

use std::path::Path;

use relief_hessian::{Error, Parameters, Result, StateFile};

/// What a flow changes from step to step. With its settings, all that is needed to go on to the same digits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FlowState {
    /// Steps taken.
    pub step: usize,
    /// The time, in units in which a step of gradient descent takes eta.
    pub time: f64,
    /// The point, in double precision.
    pub point: Vec<f64>,
    /// The Hessian's largest eigenvalue when it was last computed; NaN before.
    pub sharpness: f64,
    /// Eigenvectors where the next search begins.
    pub vectors: Vec<Vec<f64>>,
}

const KIND: &str = "relief-flow-1";
const POINT: &str = "point";
const NUMBERS: &str = "numbers";
const VECTORS: &str = "vectors";

impl FlowState {
    /// Before the first step.
    pub fn new(start: &Parameters) -> Result<Self> {
        Ok(Self { point: start.to_vec()?, sharpness: f64::NAN, ..Self::default() })
    }

    /// Writes the state, whole or not at all; `context` says what it belongs to.
    pub fn save(&self, path: &Path, context: &str) -> Result<()> {
        let lists = [
            (POINT, self.point.clone()),
            (NUMBERS, vec![self.time, self.sharpness]),
            (VECTORS, self.vectors.concat()),
        ];
        StateFile::new("", &[self.step as u64], lists).save(path, KIND, context)
    }

    /// Reads a state that was saved with the same `context`.
    pub fn load(path: &Path, context: &str) -> Result<Self> {
        let mut file = StateFile::load(path, KIND, context)?;
        let damaged =
            || Error::State(format!("`{}` is damaged: it lacks the point or the time", path.display()));
        let (&[step], Some(point), Some(numbers)) =
            (&file.counts.clone()[..], file.take(POINT), file.take(NUMBERS))
        else {
            return Err(damaged());
        };
        let (&[time, sharpness], false) = (&numbers[..], point.is_empty()) else { return Err(damaged()) };
        let vectors = file.take(VECTORS).unwrap_or_default();
        let vectors = vectors.chunks(point.len()).map(<[f64]>::to_vec).collect();
        Ok(Self { step: step as usize, time, point, sharpness, vectors })
    }
}
