//! Products whose vectors stay where the parameters are.

use candle_core::{DType, Tensor};
use relief_autodiff::{sharing, vectors::tensors};

use super::{Curvature, Matrix};
use crate::{Error, Result};

impl Curvature<'_> {
    /// The products with a block of vectors: doubles on the parameters' device, and so are the results. The digits are those
    /// of vectors on the host: entries are rounded to the parameters' type alike, and batches are added in their order.
    pub(super) fn products_on_device(&self, matrix: Matrix, block: &[Tensor]) -> Result<Vec<Tensor>> {
        let directions = block.iter().map(|x| self.shaped(x)).collect::<Result<Vec<_>>>()?;
        let sums = match sharing(self.at.device()) {
            Some(devices) => self.products_over(&devices, matrix, &directions)?,
            None => self.products_here(matrix, &directions)?,
        };
        self.count_product();
        let decay = self.decay(matrix);
        let decayed =
            |(sum, x): (Tensor, &Tensor)| Ok(if decay == 0.0 { sum } else { tensors::add(&sum, decay, x)? });
        sums.into_iter().zip(block).map(decayed).collect()
    }

    /// The weighted sums over all batches on one device, without weight decay: flat vectors of doubles.
    fn products_here(&self, matrix: Matrix, directions: &[Vec<Tensor>]) -> Result<Vec<Tensor>> {
        let zeros = |like: &Tensor| Ok(Tensor::zeros(like.elem_count(), DType::F64, like.device())?);
        let start = self.at.tensors().iter().map(zeros).collect::<Result<Vec<_>>>()?;
        let mut sums = vec![start; directions.len()];
        for batch in 0..self.kept.len() {
            let weight = self.objective.weight(batch);
            let parts = self.batch_products(matrix, batch, directions)?;
            for (sum, part) in sums.iter_mut().flatten().zip(parts.iter().flatten()) {
                *sum = tensors::add(sum, weight, part)?;
            }
        }
        Ok(sums.iter().map(|sum| Tensor::cat(sum, 0)).collect::<candle_core::Result<_>>()?)
    }

    /// A flat vector as tensors shaped and typed like the parameters.
    fn shaped(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let (n, found) = (self.at.len(), x.elem_count());
        if found != n {
            return Err(Error::Input(format!("a vector has {found} entries, but there are {n} parameters")));
        }
        let part = |(like, (_, range)): (&Tensor, (&str, std::ops::Range<usize>))| {
            Ok(x.narrow(0, range.start, range.len())?.to_dtype(like.dtype())?.reshape(like.shape())?)
        };
        self.at.tensors().iter().zip(self.at.ranges()).map(part).collect()
    }
}
