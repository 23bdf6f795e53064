//! Any candle model as an objective: a closure over candle variables, differentiated twice by candle itself.
//!
//! This is the second, independent way to every number of the engine. It costs more memory and time, and it is exact
//! only where candle's own backward rules are (0.11.1: not for max-pooling, conv1d, fused norms and softmax, nor
//! `candle_nn::loss::cross_entropy`, which has no second derivative: use `log_softmax` with a one-hot target). Hold a
//! new model against [`check`](crate::check) before believing it.

use candle_core::{DType, Device, Tensor, Var, backprop::GradStore};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::graph_objective::Batch;
use crate::objective::{Evaluation, Linearization, Objective};
use crate::{Error, Parameters, Result};

type Loss = dyn Fn(&[Tensor]) -> candle_core::Result<Tensor> + Send + Sync;

/// A closure that computes the mean loss of a batch from variables it has captured.
pub struct CandleObjective {
    parameters: Parameters,
    batches: Vec<Batch>,
    model: Arc<Model>,
}

/// The variables and the closure that reads them. One thread at a time may move the variables.
struct Model {
    variables: Vec<(String, Var)>,
    loss: Box<Loss>,
    moving: Mutex<()>,
}

impl CandleObjective {
    /// `variables` are what `loss` depends on and what is differentiated in (for a `VarMap`, its data); `loss` gets the
    /// tensors of a batch and returns the mean loss over it, one number.
    ///
    /// Fails unless candle keeps graphs of gradients: set the environment variable `CANDLE_GRAD_DO_NOT_DETACH` to 1
    /// before the first backward pass of any thread.
    pub fn new(
        variables: impl IntoIterator<Item = (String, Var)>,
        batches: Vec<Batch>,
        loss: impl Fn(&[Tensor]) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Self> {
        second_order_works()?;
        let variables: BTreeMap<String, Var> = variables.into_iter().collect();
        let point = variables.iter().map(|(n, v)| Ok((n.clone(), v.as_tensor().detach().copy()?)));
        let parameters = Parameters::new(point.collect::<Result<Vec<_>>>()?)?;
        if batches.iter().map(|b| b.examples).sum::<usize>() == 0 {
            return Err(Error::Input("the data set has no examples".into()));
        }
        let variables = variables.into_iter().collect();
        let model = Model { variables, loss: Box::new(loss), moving: Mutex::new(()) };
        Ok(Self { parameters, batches, model: Arc::new(model) })
    }
}

impl Objective for CandleObjective {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn batches(&self) -> usize {
        self.batches.len()
    }

    fn weight(&self, batch: usize) -> f64 {
        let all: usize = self.batches.iter().map(|b| b.examples).sum();
        self.batches[batch].examples as f64 / all as f64
    }

    fn evaluate(&self, at: &Parameters, batch: usize) -> Result<Evaluation> {
        let _held = self.model.move_to(at)?;
        let loss = scalar(&(self.model.loss)(&self.batches[batch].tensors)?)?;
        Ok(Evaluation { loss, outputs: None })
    }

    fn linearize(&self, at: &Parameters, batch: usize) -> Result<Box<dyn Linearization>> {
        second_order_works()?;
        let held = self.model.move_to(at)?;
        let tensors = self.batches[batch].tensors.clone();
        let loss = (self.model.loss)(&tensors)?;
        let gradient = self.model.gather(&loss.backward()?, true)?;
        drop(held);
        let gradient = gradient.iter().map(|g| g.detach().copy()).collect::<candle_core::Result<_>>()?;
        Ok(Box::new(Point {
            model: self.model.clone(),
            at: at.clone(),
            tensors,
            loss: scalar(&loss)?,
            gradient,
        }))
    }
}

impl Model {
    /// Moves the variables; nobody else moves them while the guard lives.
    fn move_to(&self, at: &Parameters) -> Result<MutexGuard<'_, ()>> {
        let guard = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        for ((_, variable), tensor) in self.variables.iter().zip(at.tensors()) {
            variable.set(&tensor.copy()?)?;
        }
        Ok(guard)
    }

    /// One derivative per variable. `required`: a variable that the loss does not reach is an error, not a zero.
    fn gather(&self, gradients: &GradStore, required: bool) -> Result<Vec<Tensor>> {
        self.variables
            .iter()
            .map(|(name, variable)| match gradients.get(variable) {
                Some(g) => Ok(g.clone()),
                None if required => Err(Error::Input(format!(
                    "the loss does not depend on `{name}`: candle cut the graph (a fused norm or softmax?) or the \
                     parameter is unused"
                ))),
                None => Ok(variable.as_tensor().zeros_like()?),
            })
            .collect()
    }
}

/// The loss of one batch near a point. Products run the closure again, because candle's graph would otherwise hold the
/// variables where they are.
struct Point {
    model: Arc<Model>,
    at: Parameters,
    tensors: Vec<Tensor>,
    loss: f64,
    gradient: Vec<Tensor>,
}

impl Linearization for Point {
    fn loss(&self) -> f64 {
        self.loss
    }

    fn gradient(&self) -> Result<Vec<Tensor>> {
        Ok(self.gradient.clone())
    }

    fn hessian_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
        second_order_works()?;
        let _held = self.model.move_to(&self.at)?;
        let gradient = self.model.gather(&(self.model.loss)(&self.tensors)?.backward()?, true)?;
        block
            .iter()
            .map(|v| {
                let mut slope = Tensor::zeros((), self.at.dtype(), self.at.device())?;
                for (g, v) in gradient.iter().zip(v) {
                    slope = (slope + (g * v.detach())?.sum_all()?)?;
                }
                let product = self.model.gather(&slope.backward()?, false)?;
                Ok(product.iter().map(Tensor::detach).collect())
            })
            .collect()
    }

    fn bytes(&self) -> usize {
        self.gradient.iter().map(|g| g.elem_count() * g.dtype().size_in_bytes()).sum()
    }
}

fn scalar(loss: &Tensor) -> Result<f64> {
    Ok(loss.detach().reshape(())?.to_dtype(DType::F64)?.to_scalar::<f64>()?)
}

thread_local! {
    static SECOND_ORDER: OnceCell<bool> = const { OnceCell::new() };
}

/// Measures, once per thread, whether candle differentiates gradients: y = (x x) x must have y'' = 12 at x = 2. With
/// the switch off the second pass does not fail, it gives 8.
fn second_order_works() -> Result<()> {
    let probe = || -> candle_core::Result<bool> {
        let x = Var::new(2f64, &Device::Cpu)?;
        let y = ((x.as_tensor() * x.as_tensor())? * x.as_tensor())?;
        let first = y.backward()?.get(&x).cloned();
        let second = first.map(|g| g.backward()).transpose()?.and_then(|store| store.get(&x).cloned());
        Ok(second.map(|s| s.to_scalar::<f64>()).transpose()?.is_some_and(|s| (s - 12.0).abs() < 1e-9))
    };
    let works = SECOND_ORDER.with(|cell| match cell.get() {
        Some(works) => Ok(*works),
        None => probe().map(|works| *cell.get_or_init(|| works)),
    })?;
    if works {
        return Ok(());
    }
    Err(Error::Input(
        "second derivatives are switched off in candle: set the environment variable CANDLE_GRAD_DO_NOT_DETACH=1 before \
         the first backward pass of the program"
            .into(),
    ))
}
