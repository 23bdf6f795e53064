//! Scaled dot-product attention.

use candle_core::{Device, Tensor};

use crate::{Result, Value};

impl Value {
    /// softmax(q k' * scale + mask) v over the last two axes: queries [.., T, d], keys [.., S, d], values [.., S, e].
    ///
    /// `mask` is added to the scores and broadcasts to [.., T, S] (0 keeps a pair, -infinity drops it); the scale is
    /// 1 / sqrt(d) unless given (Vaswani et al. 2017, equation 1).
    pub fn attention(
        &self,
        keys: &Value,
        values: &Value,
        mask: Option<&Value>,
        scale: Option<f64>,
    ) -> Result<Value> {
        let rank = self.rank();
        let width = self.dim(rank.saturating_sub(1))?;
        let scale = scale.unwrap_or(1.0 / (width as f64).sqrt());
        let scores = self.matmul_transposed(keys)?;
        if scores.elem_count() > 0
            && let Some(shares) = scores.masked_softmax(scale, mask)
        {
            return shares.matmul(values);
        }
        let mut scores = scores.scale(scale)?;
        if let Some(mask) = mask {
            scores = scores.add(mask)?;
        }
        scores.softmax(scores.rank() - 1)?.matmul(values)
    }

    /// The mask with which query t sees keys 0 ..= t, for [`attention`](Self::attention): [length, length].
    pub fn causal_mask(&self, length: usize) -> Result<Value> {
        let mask: Vec<f64> = (0..length * length)
            .map(|i| if i % length > i / length { f64::NEG_INFINITY } else { 0.0 })
            .collect();
        self.builder.constant(&Tensor::from_vec(mask, (length, length), &Device::Cpu)?)
    }
}
