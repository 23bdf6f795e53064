//! Losses, as means over the examples of a batch unless said otherwise.

use candle_core::Tensor;

use crate::error::shape;
use crate::{Result, Value};

impl Value {
    /// Mean cross-entropy of logits [n, c] against integer labels `[n]`, in nats.
    ///
    /// With label smoothing s the target is (1 - s) at the label plus s / c everywhere (Szegedy et al. 2016), as in
    /// PyTorch. Computed in f64 from the logits on: where the loss is small, a probability's distance from 1 is lost in f32.
    pub fn cross_entropy(&self, labels: &Value, smoothing: f64) -> Result<Value> {
        self.cross_entropies(labels, smoothing)?.mean_all()
    }

    /// Mean over all entries of (x - target)^2 (PyTorch's `MSELoss`).
    pub fn mse(&self, target: &Value) -> Result<Value> {
        self.same_shape("mse", target)?;
        self.sub(target)?.sqr()?.mean_all()
    }

    /// Mean over examples (axis 0) of half the squared distance, |x - target|^2 / 2.
    pub fn half_squared_error(&self, target: &Value) -> Result<Value> {
        self.same_shape("half_squared_error", target)?;
        let examples = self.dim(0)?;
        self.sub(target)?.sqr()?.sum_all()?.scale(0.5 / examples as f64)
    }

    /// Mean over all entries of the binary cross-entropy of logits against targets in 0..=1, in nats.
    pub fn binary_cross_entropy_with_logits(&self, target: &Value) -> Result<Value> {
        self.same_shape("binary_cross_entropy_with_logits", target)?;
        self.softplus()?.sub(&self.mul(target)?)?.mean_all()
    }

    /// Mean cross-entropy over all positions of logits [n, t, c] against integer labels [n, t].
    pub fn token_cross_entropy(&self, labels: &Value, smoothing: f64) -> Result<Value> {
        let &[n, t, c] = self.dims() else {
            let problem = format!("logits must be [n, positions, vocabulary], found shape {:?}", self.dims());
            return Err(shape("token_cross_entropy", problem));
        };
        if labels.dims() != [n, t] {
            return Err(shape(
                "token_cross_entropy",
                format!("labels must be [{n}, {t}], found {:?}", labels.dims()),
            ));
        }
        self.reshape(&[n * t, c])?.cross_entropy(&labels.as_indices(&[n * t]), smoothing)
    }

    fn same_shape(&self, operation: &'static str, target: &Value) -> Result<()> {
        if self.dims() == target.dims() {
            return Ok(());
        }
        // Broadcasting here is PyTorch's classic silent mistake ([n, 1] against [n]).
        Err(shape(
            operation,
            format!("outputs {:?} and targets {:?} differ in shape", self.dims(), target.dims()),
        ))
    }

    /// Integer values in another shape.
    fn as_indices(&self, dims: &[usize]) -> Value {
        self.builder.frozen(Reshaped(dims.to_vec()), &[self], dims)
    }
}

/// A reshape of integers, which have no derivative.
#[derive(Debug)]
struct Reshaped(Vec<usize>);

impl crate::rule::Frozen for Reshaped {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn value(&self, arguments: &[&Tensor]) -> Result<Tensor> {
        Ok(arguments[0].contiguous()?.reshape(self.0.as_slice())?)
    }
}
