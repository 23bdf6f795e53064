//! Products where several devices share the batches: each adds up its own in their order, then the devices' sums are added.
//!
//! Digits depend on how many devices there are, and not on which of them is faster.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use relief_autodiff::{moved, sum_over_devices};

use super::{Curvature, Matrix, multiplied};
use crate::Result;
use crate::dealt::{batches_of, moved_all};

impl Curvature<'_> {
    /// The weighted sums over all batches of the products of a block, without weight decay: flat vectors of doubles on the first
    /// of the devices, where the directions are, too.
    pub(super) fn products_over(
        &self,
        devices: &[Device],
        matrix: Matrix,
        directions: &[Vec<Tensor>],
    ) -> Result<Vec<Tensor>> {
        let shares: Vec<Result<Vec<Tensor>>> = (devices.par_iter().enumerate())
            .map(|(number, device)| {
                self.share(device, batches_of(number, devices.len(), self.kept.len()), matrix, directions)
            })
            .collect();
        let shares = shares.into_iter().collect::<Result<Vec<_>>>()?;
        let of_all = |vector: usize| shares.iter().map(|share| share[vector].clone()).collect::<Vec<_>>();
        (0..directions.len()).map(|vector| Ok(sum_over_devices(&of_all(vector))?)).collect()
    }

    /// A device's part of the sums, on that device.
    fn share(
        &self,
        device: &Device,
        batches: impl Iterator<Item = usize>,
        matrix: Matrix,
        directions: &[Vec<Tensor>],
    ) -> Result<Vec<Tensor>> {
        let there = directions.iter().map(|v| moved_all(v, device)).collect::<Result<Vec<_>>>()?;
        let zero = || Ok(Tensor::zeros(self.at.len(), DType::F64, device)?);
        let mut sums = directions.iter().map(|_| zero()).collect::<Result<Vec<_>>>()?;
        for batch in batches {
            let weight = self.objective.weight(batch);
            let products = self.with_linearization(batch, |linearization| match linearization.here() {
                Some(itself) => multiplied(matrix, itself, &there),
                None => multiplied(matrix, linearization, directions),
            })?;
            for (sum, product) in sums.iter_mut().zip(products) {
                let flat =
                    product.iter().map(Tensor::flatten_all).collect::<candle_core::Result<Vec<_>>>()?;
                let flat = moved(&Tensor::cat(&flat, 0)?, device)?.to_dtype(DType::F64)?;
                *sum = (&*sum + flat.affine(weight, 0.0)?)?;
            }
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Evaluation, Linearization, Objective, Parameters, SymmetricOperator};

    /// Quadratic losses x'Ax / 2, a matrix for each batch, of as many batches as there are weights.
    struct Quadratics {
        parameters: Parameters,
        weights: Vec<f64>,
    }

    struct Quadratic(Tensor);

    impl Linearization for Quadratic {
        fn loss(&self) -> f64 {
            1.0
        }

        fn gradient(&self) -> Result<Vec<Tensor>> {
            Ok(vec![Tensor::ones(3, DType::F64, &Device::Cpu)?])
        }

        fn hessian_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
            block.iter().map(|v| Ok(vec![self.0.matmul(&v[0].unsqueeze(1)?)?.squeeze(1)?])).collect()
        }

        fn bytes(&self) -> usize {
            0
        }
    }

    /// A symmetric matrix of thirds, so that sums round.
    fn entry(batch: usize, i: usize, j: usize) -> f64 {
        ((batch + 1) * (i + j + 1)) as f64 / 3.0
    }

    impl Objective for Quadratics {
        fn parameters(&self) -> &Parameters {
            &self.parameters
        }

        fn batches(&self) -> usize {
            self.weights.len()
        }

        fn weight(&self, batch: usize) -> f64 {
            self.weights[batch]
        }

        fn evaluate(&self, _: &Parameters, _: usize) -> Result<Evaluation> {
            Ok(Evaluation { loss: 1.0, outputs: None })
        }

        fn linearize(&self, _: &Parameters, batch: usize) -> Result<Box<dyn Linearization>> {
            let entries: Vec<f64> = (0..9).map(|k| entry(batch, k / 3, k % 3)).collect();
            Ok(Box::new(Quadratic(Tensor::from_vec(entries, (3, 3), &Device::Cpu)?)))
        }
    }

    #[test]
    fn devices_add_their_batches_and_then_each_other() {
        let tensor = Tensor::zeros(3, DType::F64, &Device::Cpu).expect("a tensor");
        let parameters = Parameters::new([("w".to_owned(), tensor)]).expect("parameters");
        let weights = vec![0.3, 0.3, 0.2, 0.1, 0.1];
        let objective = Quadratics { parameters: parameters.clone(), weights: weights.clone() };
        let curvature = Curvature::new(&objective, &parameters, 1 << 20).expect("a curvature");
        let block = [[1.0, 0.5, -0.25], [0.0, 2.0, 0.7]];
        for devices in [1, 2, 3, 7] {
            let directions: Vec<_> =
                block.iter().map(|v| vec![Tensor::new(v, &Device::Cpu).expect("a vector")]).collect();
            let found = curvature.products_over(&vec![Device::Cpu; devices], Matrix::Hessian, &directions);
            for (v, found) in block.iter().zip(found.expect("products")) {
                let mut alone = vec![0.0; 3];
                curvature.hessian().apply(v, &mut alone).expect("a product");
                let found = found.to_vec1::<f64>().expect("numbers");
                for (i, (&found, alone)) in found.iter().zip(alone).enumerate() {
                    let exact: f64 =
                        (0..5).map(|b| weights[b] * (0..3).map(|j| entry(b, i, j) * v[j]).sum::<f64>()).sum();
                    assert!(
                        (found - exact).abs() < 1e-14 && (alone - exact).abs() < 1e-14,
                        "{devices} devices"
                    );
                    // Device by device, batch by batch.
                    let product = |b: usize| {
                        weights[b] * v.iter().enumerate().fold(0.0, |s, (j, x)| s + entry(b, i, j) * x)
                    };
                    let share = |d: usize| (d..5).step_by(devices).fold(0.0, |sum, b| sum + product(b));
                    let expected = (1..devices).fold(share(0), |sum, d| sum + share(d));
                    assert!((found - expected).abs() <= 4.0 * f64::EPSILON * expected.abs());
                }
            }
        }
    }
}
