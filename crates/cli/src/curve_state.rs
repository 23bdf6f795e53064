//! The file that the training of a curve goes on from.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use relief_hessian::Error;
use relief_models::checkpoint::{Checkpoint, save};

use crate::exit::Failure;

/// A state as it lies in its file: all numbers in double precision, so that not one digit is lost.
#[derive(Debug, Default)]
pub(crate) struct CurveState {
    pub(crate) points: Vec<Vec<f64>>,
    pub(crate) velocities: Vec<Vec<f64>>,
    pub(crate) shares: Vec<f64>,
    pub(crate) losses: Vec<f64>,
    pub(crate) counts: Vec<usize>,
}

impl CurveState {
    pub(crate) fn save(&self, path: &Path, context: &str) -> Result<(), Failure> {
        let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu).map_err(Error::from);
        let mut tensors = BTreeMap::new();
        for (name, all) in [("point", &self.points), ("velocity", &self.velocities)] {
            for (nth, values) in all.iter().enumerate() {
                tensors.insert(format!("{name}.{nth:04}"), tensor(values)?);
            }
        }
        let counts: Vec<f64> = self.counts.iter().map(|n| *n as f64).collect();
        for (name, values) in [("shares", &self.shares), ("losses", &self.losses), ("counts", &counts)] {
            if !values.is_empty() {
                tensors.insert(name.to_string(), tensor(values)?);
            }
        }
        Ok(save(path, &tensors, &[("context".to_string(), context.to_string())].into())?)
    }

    pub(crate) fn load(path: &Path, context: &str) -> Result<Self, Failure> {
        let checkpoint = Checkpoint::load(path)?;
        if checkpoint.metadata.get("context").is_none_or(|found| found != context) {
            return Err(Failure::Input(format!(
                "`{}` is not the state of this curve: resume with the arguments, checkpoints and data that it was begun with",
                path.display()
            )));
        }
        let mut saved = Self::default();
        for (name, tensor) in &checkpoint.tensors {
            let values = tensor
                .to_dtype(DType::F64)
                .and_then(|t| t.flatten_all())
                .and_then(|t| t.to_vec1::<f64>())
                .map_err(Error::from)?;
            match name.split('.').next().unwrap_or_default() {
                "point" => saved.points.push(values),
                "velocity" => saved.velocities.push(values),
                "shares" => saved.shares = values,
                "losses" => saved.losses = values,
                _ => saved.counts = values.iter().map(|n| *n as usize).collect(),
            }
        }
        // A band has three counts, a curve has one; the rest is checked where it is used.
        saved.counts.resize(3, 0);
        Ok(saved)
    }
}
