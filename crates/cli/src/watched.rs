//! Ctrl-C for work that has no observer: every pass over the data fails once it was pressed.

use candle_core::{Device, Tensor};
use relief_hessian::{
    Error, Evaluation, FiniteSum, Linearization, Objective, Parameters, Result, SymmetricOperator,
};

use crate::interrupt;

/// What is inside, until Ctrl-C is pressed. What then comes back as an error is not the inside's fault: see
/// [`interrupt::requested`].
pub(crate) struct Watched<T>(pub(crate) T);

impl<T> Watched<T> {
    fn inside(&self) -> Result<&T> {
        go_on().map(|()| &self.0)
    }
}

/// An error once Ctrl-C was pressed.
pub(crate) fn go_on() -> Result<()> {
    if interrupt::requested() { Err(Error::Other("interrupted".into())) } else { Ok(()) }
}

impl<T: Objective> Objective for Watched<&T> {
    fn parameters(&self) -> &Parameters {
        self.0.parameters()
    }

    fn batches(&self) -> usize {
        self.0.batches()
    }

    fn weight(&self, batch: usize) -> f64 {
        self.0.weight(batch)
    }

    fn evaluate(&self, at: &Parameters, batch: usize) -> Result<Evaluation> {
        self.inside()?.evaluate(at, batch)
    }

    fn linearize(&self, at: &Parameters, batch: usize) -> Result<Box<dyn Linearization>> {
        self.inside()?.linearize(at, batch)
    }

    fn gradient(&self, at: &Parameters, batch: usize) -> Result<(f64, Vec<Tensor>)> {
        self.inside()?.gradient(at, batch)
    }

    fn weight_decay(&self) -> f64 {
        self.0.weight_decay()
    }
}

impl<T: FiniteSum> FiniteSum for Watched<T> {
    fn parameters(&self) -> &Parameters {
        self.0.parameters()
    }

    fn examples(&self) -> usize {
        self.0.examples()
    }

    fn over(&self, examples: &[u32]) -> Result<Box<dyn Objective>> {
        self.inside()?.over(examples)
    }
}

impl<T: SymmetricOperator> SymmetricOperator for Watched<T> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.inside()?.apply(x, y)
    }

    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        self.inside()?.apply_block(xs)
    }

    fn device(&self) -> Option<Device> {
        self.0.device()
    }

    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        self.inside()?.apply_on_device(x)
    }
}
