//! What is differentiated: a finite-sum loss over a fixed data set.

use std::ops::Range;

use candle_core::Tensor;
use rayon::prelude::*;
use relief_autodiff::{Layer, Layers};

use crate::{Error, Parameters, Result};

/// L(theta) = `sum_b` weight(b) `loss_b(theta)` + w/2 |theta|^2 over a fixed data set, as a function of named parameters.
///
/// The point is an argument of every call, so that points can be compared and evaluated side by side.
pub trait Objective: Send + Sync {
    /// The checkpoint's own point.
    fn parameters(&self) -> &Parameters;

    /// Number of batches the data set is cut into.
    fn batches(&self) -> usize;

    /// `N_b` / N: a ragged last batch counts for what it is. The weights sum to 1.
    fn weight(&self, batch: usize) -> f64;

    /// Loss and outputs on a batch.
    fn evaluate(&self, at: &Parameters, batch: usize) -> Result<Evaluation>;

    /// Loss, gradient and derivatives of a batch.
    fn linearize(&self, at: &Parameters, batch: usize) -> Result<Box<dyn Linearization>>;

    /// Loss and gradient of a batch alone, where that is cheaper than [`linearize`](Self::linearize).
    fn gradient(&self, at: &Parameters, batch: usize) -> Result<(f64, Vec<Tensor>)> {
        let linearized = self.linearize(at, batch)?;
        Ok((linearized.loss(), linearized.gradient()?))
    }

    /// The third derivative of a batch's loss applied to pairs of directions (u, v): d/ds H(theta + s u) v at s = 0.
    fn third_products(
        &self,
        _at: &Parameters,
        _batch: usize,
        _pairs: &[(Vec<Tensor>, Vec<Tensor>)],
    ) -> Result<Vec<Vec<Tensor>>> {
        Err(Error::Input("this objective has no third derivative".into()))
    }

    /// The factor w of w/2 |theta|^2, which is added once for the whole data set.
    fn weight_decay(&self) -> f64 {
        0.0
    }
}

/// Loss and outputs of one batch.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Mean loss over the batch.
    pub loss: f64,
    /// The model's outputs, where the objective knows them.
    pub outputs: Option<Tensor>,
}

/// The loss of one batch near a point. Vectors are one tensor per parameter, in the parameters' order.
pub trait Linearization: Send + Sync {
    /// Mean loss over the batch.
    fn loss(&self) -> f64;

    /// Gradient of the mean loss.
    fn gradient(&self) -> Result<Vec<Tensor>>;

    /// H v for every v of a block.
    fn hessian_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>>;

    /// G v for every v of a block, with G the generalised Gauss-Newton matrix.
    fn gauss_newton_products(&self, _block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
        Err(no_outputs())
    }

    /// The outputs, examples along the first axis.
    fn outputs(&self) -> Result<Tensor> {
        Err(no_outputs())
    }

    /// The gradient of the batch's mean loss in the outputs, shaped like them.
    fn output_gradient(&self) -> Result<Tensor> {
        Err(no_outputs())
    }

    /// J v, shaped like the outputs.
    fn jvp(&self, _v: &[Tensor]) -> Result<Tensor> {
        Err(no_outputs())
    }

    /// J'u for u shaped like the outputs.
    fn vjp(&self, _u: &Tensor) -> Result<Vec<Tensor>> {
        Err(no_outputs())
    }

    /// The weights that meet their inputs in one matrix product or convolution, and the other parameters.
    fn layers(&self) -> Result<Layers> {
        Err(no_layers())
    }

    /// The inputs of a layer for some examples of the batch, as
    /// [`Linearized::layer_inputs`](relief_autodiff::Linearized::layer_inputs).
    fn layer_inputs(&self, _layer: &Layer, _examples: Range<usize>) -> Result<Vec<f64>> {
        Err(no_layers())
    }

    /// Cotangents at the outputs of layers, as
    /// [`Linearized::layer_cotangents`](relief_autodiff::Linearized::layer_cotangents).
    fn layer_cotangents(&self, _layers: &[Layer], _u: &Tensor) -> Result<Vec<Vec<f64>>> {
        Err(no_layers())
    }

    /// Bytes held, to decide whether to keep this for later products.
    fn bytes(&self) -> usize;

    /// Where this answers on one device for a linearization on another: that one, which takes and gives tensors there.
    fn here(&self) -> Option<&dyn Linearization> {
        None
    }
}

fn no_outputs() -> Error {
    Error::Input(
        "this objective does not tell outputs from loss, so it has neither Jacobian nor Gauss-Newton matrix"
            .into(),
    )
}

fn no_layers() -> Error {
    Error::Input("this objective does not show its layers: make it a `GraphObjective`".into())
}

/// The mean loss over all batches with the weight decay term: one forward pass over the data.
pub fn loss(objective: &dyn Objective, at: &Parameters) -> Result<f64> {
    let mut sum = 0.0;
    for batch in 0..objective.batches() {
        sum += objective.weight(batch) * objective.evaluate(at, batch)?.loss;
    }
    Ok(sum + weight_decay_term(objective, at)?)
}

/// The weight decay term of the loss, w/2 |theta|^2.
pub fn weight_decay_term(objective: &dyn Objective, at: &Parameters) -> Result<f64> {
    match objective.weight_decay() {
        0.0 => Ok(0.0),
        weight => Ok(0.5 * weight * at.to_vec()?.iter().map(|x| x * x).sum::<f64>()),
    }
}

/// The mean loss over all batches and its gradient as a flat vector, with the weight decay term: one pass over the data.
///
/// Batches are worked on in parallel on the CPU, one by one on a device, and added in their order, as in
/// [`Curvature`](crate::Curvature).
pub fn gradient(objective: &dyn Objective, at: &Parameters) -> Result<(f64, Vec<f64>)> {
    let (mut loss, mut sum) = (0.0, vec![]);
    let all: Vec<usize> = (0..objective.batches()).collect();
    for group in all.chunks(together(at)) {
        for (&batch, part) in group.iter().zip(side_by_side(group, |batch| objective.gradient(at, batch))) {
            let (value, part) = part?;
            loss += objective.weight(batch) * value;
            add_part(at, objective.weight(batch), &part, &mut sum)?;
        }
    }
    sum.resize(at.len(), 0.0);
    add_weight_decay(objective, at, &mut loss, &mut sum)?;
    Ok((loss, sum))
}

/// Adds a batch's part to a flat vector, which is empty before the first.
pub(crate) fn add_part(at: &Parameters, weight: f64, part: &[Tensor], sum: &mut Vec<f64>) -> Result<()> {
    if sum.is_empty() {
        *sum = at.weighted(weight, part)?;
        return Ok(());
    }
    at.accumulate(weight, part, sum)
}

/// The third derivative of the mean loss over all batches applied to pairs of directions (u, v), which is symmetric in u, v
/// and whatever it is multiplied with: d/ds H(theta + s u) v at s = 0. Weight decay has none.
///
/// Batches are worked on in parallel on the CPU, one by one on a device, and added in their order.
pub fn third_products(
    objective: &dyn Objective,
    at: &Parameters,
    pairs: &[(&[f64], &[f64])],
) -> Result<Vec<Vec<f64>>> {
    let pairs =
        pairs.iter().map(|(u, v)| Ok((at.unflatten(u)?, at.unflatten(v)?))).collect::<Result<Vec<_>>>()?;
    let mut sums = vec![vec![0.0; at.len()]; pairs.len()];
    let all: Vec<usize> = (0..objective.batches()).collect();
    for group in all.chunks(together(at)) {
        let parts = side_by_side(group, |batch| objective.third_products(at, batch, &pairs));
        for (&batch, parts) in group.iter().zip(parts) {
            for (sum, part) in sums.iter_mut().zip(parts?) {
                at.accumulate(objective.weight(batch), &part, sum)?;
            }
        }
    }
    Ok(sums)
}

/// Adds the weight decay term to a loss and its gradient.
pub(crate) fn add_weight_decay(
    objective: &dyn Objective,
    at: &Parameters,
    loss: &mut f64,
    gradient: &mut [f64],
) -> Result<()> {
    let decay = objective.weight_decay();
    if decay != 0.0 {
        let theta = at.to_vec()?;
        *loss += 0.5 * decay * theta.iter().map(|x| x * x).sum::<f64>();
        gradient.iter_mut().zip(&theta).for_each(|(g, x)| *g += decay * x);
    }
    Ok(())
}

/// How many batches are worked on side by side: on a device one, which fills it, and whose work goes through one stream; where
/// several devices share the work, one on each.
pub(crate) fn together(at: &Parameters) -> usize {
    let devices = || relief_autodiff::sharing(at.device()).map_or(1, |devices| devices.len());
    if at.device().is_cpu() { rayon::current_num_threads() } else { devices() }
}

/// Works on some batches in parallel, inside rayon's pool: from outside of it every kernel of a lone batch would wait for
/// a thread to wake up.
pub(crate) fn side_by_side<R: Send>(batches: &[usize], work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    rayon::scope(|_| batches.par_iter().map(|&batch| work(batch)).collect())
}
