//! A vector on the host or on a device. The arithmetic has the same digits on both.

use std::borrow::Cow;

use candle_core::{Device, Tensor};
use relief_autodiff::vectors::tensors;

use super::vectors;
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

/// A vector of R^n. Those that work together lie in one place.
#[derive(Debug, Clone)]
pub(crate) enum Vector {
    Host(Vec<f64>),
    /// One axis of doubles, contiguous; never changed in place, so that copies are cheap.
    Device(Tensor),
}

impl Vector {
    /// The vector on this device, or on the host where there is none.
    pub(crate) fn placed(self, device: Option<&Device>) -> Result<Self> {
        Ok(match (self, device) {
            (Self::Host(x), Some(device)) => Self::Device(Tensor::new(x, device)?),
            (Self::Device(x), None) => Self::Host(x.to_vec1()?),
            (Self::Device(x), Some(device)) => Self::Device(x.to_device(device)?),
            (host, None) => host,
        })
    }

    /// Its entries, on the host.
    pub(crate) fn entries(&self) -> Result<Cow<'_, [f64]>> {
        Ok(match self {
            Self::Host(x) => Cow::Borrowed(x),
            Self::Device(x) => Cow::Owned(x.to_vec1()?),
        })
    }

    /// The same without a copy, for a vector that is not needed any more.
    pub(crate) fn into_entries(self) -> Result<Vec<f64>> {
        Ok(match self {
            Self::Host(x) => x,
            Self::Device(x) => x.to_vec1()?,
        })
    }

    fn slice(&self) -> Option<&[f64]> {
        if let Self::Host(x) = self { Some(x) } else { None }
    }

    fn slice_mut(&mut self) -> Option<&mut [f64]> {
        if let Self::Host(x) = self { Some(x) } else { None }
    }

    fn tensor(&self) -> Option<&Tensor> {
        if let Self::Device(x) = self { Some(x) } else { None }
    }

    /// A v.
    pub(crate) fn multiplied(&self, operator: &dyn SymmetricOperator) -> Result<Self> {
        Ok(match self {
            Self::Host(x) => {
                let mut product = vec![0.0; x.len()];
                operator.apply(x, &mut product)?;
                Self::Host(product)
            }
            Self::Device(x) => Self::Device(operator.apply_on_device(x)?),
        })
    }

    /// |v|.
    pub(crate) fn norm(&self) -> Result<f64> {
        Ok(match self {
            Self::Host(x) => vectors::norm(x),
            Self::Device(x) => tensors::norm(x)?,
        })
    }

    /// The first entry that is not finite, and where, of a vector with this norm.
    pub(crate) fn not_finite(&self, norm: f64) -> Result<Option<(usize, f64)>> {
        if norm.is_finite() {
            return Ok(None);
        }
        Ok(self.entries()?.iter().copied().enumerate().find(|(_, x)| !x.is_finite()))
    }

    /// v <- factor v.
    pub(crate) fn scale(&mut self, factor: f64) -> Result<()> {
        match self {
            Self::Host(x) => vectors::scale(x, factor),
            Self::Device(x) => *x = tensors::scale(x, factor)?,
        }
        Ok(())
    }

    /// The inner products with every vector of a basis.
    pub(crate) fn coefficients(&self, basis: &[Self]) -> Result<Vec<f64>> {
        Ok(match self {
            Self::Host(x) => vectors::coefficients(&slices(basis)?, x),
            Self::Device(x) => tensors::coefficients(&held(basis)?, x)?,
        })
    }

    /// v <- v - sum of `coefficients[i] * basis[i]`.
    pub(crate) fn subtract(&mut self, basis: &[Self], coefficients: &[f64]) -> Result<()> {
        match self {
            Self::Host(x) => vectors::subtract(&slices(basis)?, coefficients, x),
            Self::Device(x) => {
                let used = &basis[..coefficients.len()];
                *x = tensors::subtract(&held(used)?, coefficients, x)?;
            }
        }
        Ok(())
    }

    /// The sum of `coefficients[i] * basis[i]`, for a basis that is not empty.
    pub(crate) fn combination(basis: &[Self], coefficients: &[f64]) -> Result<Self> {
        let negative: Vec<f64> = coefficients.iter().map(|c| -c).collect();
        let mut sum = match basis.first() {
            Some(Self::Host(x)) => Self::Host(vec![0.0; x.len()]),
            Some(Self::Device(x)) => Self::Device(x.zeros_like()?),
            None => return Err(Error::Other("a combination of no vectors was asked for".into())),
        };
        sum.subtract(basis, &negative)?;
        Ok(sum)
    }
}

/// Makes the first vectors of a basis combinations of all of it, by `columns` of coefficients, which are no more than they.
pub(crate) fn recombine(basis: &mut [Vector], columns: &[&[f64]]) -> Result<()> {
    if basis.iter().all(|v| v.slice().is_some()) {
        let mut slices: Vec<&mut [f64]> = basis.iter_mut().filter_map(Vector::slice_mut).collect();
        vectors::recombine(&mut slices, columns);
        return Ok(());
    }
    let combined = columns.iter().map(|column| Vector::combination(basis, column));
    let combined = combined.collect::<Result<Vec<_>>>()?;
    basis.iter_mut().zip(combined).for_each(|(v, sum)| *v = sum);
    Ok(())
}

fn slices(basis: &[Vector]) -> Result<Vec<&[f64]>> {
    basis.iter().map(Vector::slice).collect::<Option<_>>().ok_or_else(apart)
}

fn held(basis: &[Vector]) -> Result<Vec<&Tensor>> {
    basis.iter().map(Vector::tensor).collect::<Option<_>>().ok_or_else(apart)
}

fn apart() -> Error {
    Error::Other("vectors that work together lie in different places".into())
}
