//! Layer, RMS, group and batch normalisation.

use crate::error::shape;
use crate::{Result, Value};

impl Value {
    /// (x - mean) / sqrt(var + eps) over the last `axes` axes, then weight and bias of those axes' shape.
    ///
    /// The variance is the biased one, as in PyTorch (Ba et al. 2016).
    pub fn layer_norm(
        &self,
        axes: usize,
        weight: Option<&Value>,
        bias: Option<&Value>,
        eps: f64,
    ) -> Result<Value> {
        if axes == 0 || axes > self.rank() {
            return Err(shape("layer_norm", format!("{axes} trailing axes of shape {:?}", self.dims())));
        }
        let flat = self.flatten_from(self.rank() - axes)?;
        flat.standardised_rows(true, eps)?.reshape(self.dims())?.scaled_and_shifted(weight, bias)
    }

    /// x / sqrt(mean(x^2) + eps) over the last axis, times `weight` (Zhang & Sennrich 2019).
    pub fn rms_norm(&self, weight: Option<&Value>, eps: f64) -> Result<Value> {
        self.standardised_rows(false, eps)?.scaled_and_shifted(weight, None)
    }

    /// Normalises each of `groups` groups of channels (axis 1) of every example (Wu & He 2018).
    pub fn group_norm(
        &self,
        groups: usize,
        weight: Option<&Value>,
        bias: Option<&Value>,
        eps: f64,
    ) -> Result<Value> {
        let (n, channels) = (self.dim(0)?, self.dim(1)?);
        if groups == 0 || channels % groups != 0 {
            return Err(shape(
                "group_norm",
                format!("{channels} channels do not divide into {groups} groups"),
            ));
        }
        let grouped = self.reshape(&[n, groups, self.elem_count() / (n * groups)])?;
        let normal = grouped.standardised_rows(true, eps)?.reshape(self.dims())?;
        normal.scaled_and_shifted(self.per_channel(weight)?.as_ref(), self.per_channel(bias)?.as_ref())
    }

    /// Batch normalisation with given statistics of each channel (axis 1): running ones, which are constants.
    pub fn batch_norm(
        &self,
        mean: &Value,
        variance: &Value,
        weight: Option<&Value>,
        bias: Option<&Value>,
        eps: f64,
    ) -> Result<Value> {
        // One multiplication and one addition per entry: y = x s + (b - mean s) with s = weight / sqrt(var + eps).
        let mut scale = variance.affine(1.0, eps)?.rsqrt()?;
        if let Some(weight) = weight {
            scale = scale.mul(weight)?;
        }
        let mut shift = mean.mul(&scale)?.neg()?;
        if let Some(bias) = bias {
            shift = shift.add(bias)?;
        }
        self.scaled_and_shifted(
            self.per_channel(Some(&scale))?.as_ref(),
            self.per_channel(Some(&shift))?.as_ref(),
        )
    }

    /// Batch normalisation with the statistics of this batch, differentiated through (Ioffe & Szegedy 2015); the
    /// variance is the biased one, as PyTorch normalises with.
    pub fn batch_norm_train(&self, weight: Option<&Value>, bias: Option<&Value>, eps: f64) -> Result<Value> {
        self.dim(1)?;
        let over: Vec<usize> = (0..self.rank()).filter(|&i| i != 1).collect();
        let normal = self.standardised(&over, eps)?;
        normal.scaled_and_shifted(self.per_channel(weight)?.as_ref(), self.per_channel(bias)?.as_ref())
    }

    /// Mean and biased variance `[c]` of each channel (axis 1) over all other axes.
    pub fn channel_statistics(&self) -> Result<[Value; 2]> {
        let channels = [self.dim(1)?];
        let over: Vec<usize> = (0..self.rank()).filter(|&i| i != 1).collect();
        let mean = self.mean_keepdim(&over)?;
        let variance = self.sub(&mean)?.sqr()?.mean_keepdim(&over)?;
        Ok([mean.reshape(&channels)?, variance.reshape(&channels)?])
    }

    fn standardised(&self, axes: &[usize], eps: f64) -> Result<Value> {
        let centred = self.sub(&self.mean_keepdim(axes)?)?;
        let variance = centred.sqr()?.mean_keepdim(axes)?;
        centred.mul(&variance.affine(1.0, eps)?.rsqrt()?)
    }

    fn scaled_and_shifted(&self, weight: Option<&Value>, bias: Option<&Value>) -> Result<Value> {
        let scaled = weight.map_or_else(|| Ok(self.clone()), |w| self.mul(w))?;
        bias.map_or_else(|| Ok(scaled.clone()), |b| scaled.add(b))
    }

    /// A vector of one entry per channel, shaped to broadcast along axis 1 of `self`.
    fn per_channel(&self, vector: Option<&Value>) -> Result<Option<Value>> {
        let mut dims = vec![1; self.rank()];
        dims[1] = self.dim(1)?;
        vector.map(|v| v.reshape(&dims)).transpose()
    }
}
