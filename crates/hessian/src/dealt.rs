//! Batches dealt to several devices of one machine.
//!
//! Batch b of a data set belongs to device b mod D, whatever is asked of it, and what it gives comes back to the point's own
//! device. Gradients are added in the batches' order there, so that the number of devices changes no digit as long as they are
//! alike; products are added on the devices first (`curvature/over_devices.rs`).

use std::ops::Range;
use std::sync::Mutex;

use candle_core::{Device, Tensor};
use relief_autodiff::{Layer, Layers, moved};

use crate::objective::Linearization;
use crate::{Parameters, Result};

/// Copies of a point on the devices that share its work.
#[derive(Debug, Default)]
pub(crate) struct Copies(Mutex<Vec<(Device, Parameters, Parameters)>>);

impl Copies {
    /// The point on the device of a batch, where that is another than the point's own.
    pub(crate) fn of(&self, at: &Parameters, batch: usize) -> Result<Option<Parameters>> {
        match relief_autodiff::sharing(at.device()) {
            None => Ok(None),
            Some(devices) => self.among(&devices, at, batch),
        }
    }

    /// The same among these devices, of which the first is the point's.
    fn among(&self, devices: &[Device], at: &Parameters, batch: usize) -> Result<Option<Parameters>> {
        let number = dealt_to(batch, devices.len());
        if number == 0 {
            return Ok(None);
        }
        let device = &devices[number];
        let mut copies = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let same = |a: &Parameters| a.tensors().iter().zip(at.tensors()).all(|(a, b)| a.id() == b.id());
        let here = |(of, from, _): &&(Device, Parameters, Parameters)| of.same_device(device) && same(from);
        if let Some((_, _, copy)) = copies.iter().find(here) {
            return Ok(Some(copy.clone()));
        }
        let copy = at.to_device(device)?;
        device.synchronize()?;
        copies.retain(|(of, ..)| !of.same_device(device));
        copies.push((device.clone(), at.clone(), copy.clone()));
        Ok(Some(copy))
    }
}

/// The device of a batch, by number.
fn dealt_to(batch: usize, devices: usize) -> usize {
    batch % devices
}

/// The batches of a device, in their order.
pub(crate) fn batches_of(device: usize, devices: usize, batches: usize) -> impl Iterator<Item = usize> {
    (0..batches).filter(move |&batch| dealt_to(batch, devices) == device)
}

/// Tensors on a device.
pub(crate) fn moved_all(tensors: &[Tensor], to: &Device) -> Result<Vec<Tensor>> {
    tensors.iter().map(|tensor| Ok(moved(tensor, to)?)).collect()
}

/// A linearization on another device than the point's: vectors go there, results come back.
pub(crate) struct Away<L> {
    linearization: L,
    there: Device,
    home: Device,
}

impl<L: Linearization> Away<L> {
    /// `there` is where the linearization is, `home` where results are wanted.
    pub(crate) fn new(linearization: L, there: &Device, home: &Device) -> Self {
        Self { linearization, there: there.clone(), home: home.clone() }
    }

    fn products(
        &self,
        block: &[Vec<Tensor>],
        products: impl FnOnce(&[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>>,
    ) -> Result<Vec<Vec<Tensor>>> {
        let block = block.iter().map(|v| moved_all(v, &self.there)).collect::<Result<Vec<_>>>()?;
        products(&block)?.iter().map(|product| moved_all(product, &self.home)).collect()
    }
}

impl<L: Linearization> Linearization for Away<L> {
    fn loss(&self) -> f64 {
        self.linearization.loss()
    }

    fn gradient(&self) -> Result<Vec<Tensor>> {
        moved_all(&self.linearization.gradient()?, &self.home)
    }

    fn hessian_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
        self.products(block, |block| self.linearization.hessian_products(block))
    }

    fn gauss_newton_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
        self.products(block, |block| self.linearization.gauss_newton_products(block))
    }

    fn outputs(&self) -> Result<Tensor> {
        Ok(moved(&self.linearization.outputs()?, &self.home)?)
    }

    fn output_gradient(&self) -> Result<Tensor> {
        Ok(moved(&self.linearization.output_gradient()?, &self.home)?)
    }

    fn jvp(&self, v: &[Tensor]) -> Result<Tensor> {
        Ok(moved(&self.linearization.jvp(&moved_all(v, &self.there)?)?, &self.home)?)
    }

    fn vjp(&self, u: &Tensor) -> Result<Vec<Tensor>> {
        moved_all(&self.linearization.vjp(&moved(u, &self.there)?)?, &self.home)
    }

    fn layers(&self) -> Result<Layers> {
        self.linearization.layers()
    }

    fn layer_inputs(&self, layer: &Layer, examples: Range<usize>) -> Result<Vec<f64>> {
        self.linearization.layer_inputs(layer, examples)
    }

    fn layer_cotangents(&self, layers: &[Layer], u: &Tensor) -> Result<Vec<Vec<f64>>> {
        self.linearization.layer_cotangents(layers, &moved(u, &self.there)?)
    }

    fn bytes(&self) -> usize {
        self.linearization.bytes()
    }

    fn here(&self) -> Option<&dyn Linearization> {
        Some(&self.linearization)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    fn point(entries: &[f64]) -> Parameters {
        let tensor = Tensor::new(entries, &Device::Cpu).expect("a tensor");
        Parameters::new([("w".to_owned(), tensor)]).expect("parameters")
    }

    #[test]
    fn batches_are_dealt_in_turn() {
        let dealt: Vec<usize> = (0..8).map(|batch| dealt_to(batch, 3)).collect();
        assert_eq!(dealt, [0, 1, 2, 0, 1, 2, 0, 1]);
        assert!((0..8).all(|batch| dealt_to(batch, 1) == 0));
        assert_eq!(batches_of(1, 3, 8).collect::<Vec<_>>(), [1, 4, 7]);
        assert_eq!(batches_of(2, 3, 2).count(), 0);
    }

    #[test]
    fn a_point_is_copied_once_for_every_device() {
        let (copies, devices) = (Copies::default(), [Device::Cpu, Device::Cpu]);
        let (a, b) = (point(&[1.0, 2.0]), point(&[3.0]));
        let of = |at: &Parameters, batch| copies.among(&devices, at, batch).expect("a copy");
        assert!(of(&a, 0).is_none() && of(&a, 2).is_none(), "the first device has the point itself");
        let copy = of(&a, 1).expect("a copy");
        assert_eq!(copy.to_vec().expect("numbers"), [1.0, 2.0]);
        let again = of(&a, 3).expect("a copy");
        assert_eq!(again.tensors()[0].id(), copy.tensors()[0].id());
        assert_eq!(of(&b, 1).expect("a copy").to_vec().expect("numbers"), [3.0]);
    }

    /// A quadratic loss x'Ax / 2 with a fixed matrix.
    struct Quadratic(Tensor);

    impl Linearization for Quadratic {
        fn loss(&self) -> f64 {
            0.5
        }

        fn gradient(&self) -> Result<Vec<Tensor>> {
            Ok(vec![Tensor::ones(2, DType::F64, &Device::Cpu)?])
        }

        fn hessian_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
            block.iter().map(|v| Ok(vec![self.0.matmul(&v[0].unsqueeze(1)?)?.squeeze(1)?])).collect()
        }

        fn bytes(&self) -> usize {
            32
        }
    }

    #[test]
    fn a_linearization_that_is_away_answers_like_itself() {
        let matrix = Tensor::new(&[[2.0, 1.0], [1.0, 3.0]], &Device::Cpu).expect("a matrix");
        let away = Away::new(Quadratic(matrix), &Device::Cpu, &Device::Cpu);
        let block = [vec![Tensor::new(&[1.0, 0.0], &Device::Cpu).expect("a vector")]];
        let product = away.hessian_products(&block).expect("a product");
        assert_eq!(product[0][0].to_vec1::<f64>().expect("numbers"), [2.0, 1.0]);
        assert_eq!((away.loss(), away.bytes()), (0.5, 32));
        assert!(away.jvp(&block[0]).is_err(), "a quadratic has no outputs");
    }
}
