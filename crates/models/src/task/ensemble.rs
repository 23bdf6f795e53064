//! Several networks that answer together.

use candle_core::DType;
use relief_hessian::{Evaluation, Objective, Parameters};

use super::{Measured, Task, TaskError};
use crate::loss::Loss;

impl Task {
    /// Loss and accuracy of the mean of several networks' softmax probabilities (the ensembles of Garipov et al. 2018,
    /// section 4): -ln of the mean probability of the label, without weight decay. `None` unless the loss is a
    /// cross-entropy of class labels. Members are a point each, with running statistics where they are not the
    /// checkpoint's.
    pub fn ensemble(
        &self,
        members: &[(Parameters, Option<Parameters>)],
    ) -> Result<Option<Measured>, TaskError> {
        let Some(labels) = self.labels.as_ref().filter(|_| self.loss == Loss::CrossEntropy) else {
            return Ok(None);
        };
        if members.is_empty() {
            return Err(TaskError::Option("an ensemble has no members: give one network or more".into()));
        }
        let (mut loss, mut right, mut first) = (0.0, 0, 0);
        for batch in 0..self.objective.batches() {
            let mut sum: Vec<f64> = vec![];
            let mut classes = 1;
            for (at, statistics) in members {
                let Evaluation { outputs, .. } = match statistics {
                    Some(statistics) => self.objective.evaluate_with(at, statistics, batch)?,
                    None => self.objective.evaluate(at, batch)?,
                };
                let Some(outputs) = outputs else { return Ok(None) };
                classes = outputs.dims().last().copied().unwrap_or(1);
                let logits = outputs.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
                sum.resize(logits.len(), 0.0);
                sum.chunks_exact_mut(classes)
                    .zip(logits.chunks_exact(classes))
                    .for_each(|(sum, row)| add_softmax(sum, row));
            }
            for (row, label) in sum.chunks_exact(classes).zip(&labels[first..]) {
                loss -= (row[*label as usize] / members.len() as f64).ln();
                let best = (0..classes).fold(0, |best, i| if row[i] > row[best] { i } else { best });
                right += usize::from(best == *label as usize);
                first += 1;
            }
        }
        let n = labels.len() as f64;
        let accuracy = Some(right as f64 / n);
        Ok(Some(Measured { loss: loss / n, accuracy, standard_error: None, classes: vec![] }))
    }
}

fn add_softmax(sum: &mut [f64], logits: &[f64]) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let partition: f64 = logits.iter().map(|z| (z - largest).exp()).sum();
    sum.iter_mut().zip(logits).for_each(|(sum, z)| *sum += (z - largest).exp() / partition);
}
