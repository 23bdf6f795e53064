//! Operators made of operators.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor};
use relief_autodiff::vectors::tensors;

use crate::operator::SymmetricOperator;
use crate::{Error, Result};

/// a A + s I: scaled by `factor`, then shifted by `shift`.
///
/// ```
/// use relief_hessian::{Affine, Dense, Lanczos, Outcome, Silent};
/// // What a damping of 0.1 adds to every eigenvalue.
/// let damped = Affine { operator: Dense::new(2, vec![2.0, 0.0, 0.0, 1.0])?, factor: 1.0, shift: 0.1 };
/// let Outcome::Done(found) = Lanczos::default().run(&damped, None, &mut Silent)? else { unreachable!() };
/// assert!((found.largest[0].value - 2.1).abs() < 1e-12);
/// # Ok::<(), relief_hessian::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Affine<A> {
    /// A.
    pub operator: A,
    /// a.
    pub factor: f64,
    /// s.
    pub shift: f64,
}

impl<A: SymmetricOperator> SymmetricOperator for Affine<A> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.operator.apply(x, y)?;
        y.iter_mut().zip(x).for_each(|(y, x)| *y = self.factor * *y + self.shift * x);
        Ok(())
    }

    fn device(&self) -> Option<Device> {
        self.operator.device()
    }

    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        let scaled = tensors::scale(&self.operator.apply_on_device(x)?, self.factor)?;
        Ok(tensors::add(&scaled, self.shift, x)?)
    }
}

/// A + B.
///
/// ```
/// use relief_hessian::{Affine, Dense, Sum, SymmetricOperator};
/// let (a, b) = (Dense::new(1, vec![5.0])?, Dense::new(1, vec![3.0])?);
/// let difference = Sum::new(a, Affine { operator: b, factor: -1.0, shift: 0.0 })?;
/// let mut y = [0.0];
/// difference.apply(&[1.0], &mut y)?;
/// assert_eq!(y, [2.0]);
/// # Ok::<(), relief_hessian::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sum<A, B> {
    left: A,
    right: B,
}

impl<A: SymmetricOperator, B: SymmetricOperator> Sum<A, B> {
    /// Both must have the same number of rows.
    pub fn new(left: A, right: B) -> Result<Self> {
        let (a, b) = (left.dim(), right.dim());
        if a == b {
            return Ok(Self { left, right });
        }
        Err(Error::Input(format!("operators of {a} and {b} rows cannot be added")))
    }
}

impl<A: SymmetricOperator, B: SymmetricOperator> SymmetricOperator for Sum<A, B> {
    fn dim(&self) -> usize {
        self.left.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let mut right = vec![0.0; x.len()];
        self.left.apply(x, y)?;
        self.right.apply(x, &mut right)?;
        y.iter_mut().zip(right).for_each(|(y, r)| *y += r);
        Ok(())
    }

    fn device(&self) -> Option<Device> {
        self.left.device().or_else(|| self.right.device())
    }

    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        Ok(tensors::add(&self.left.apply_on_device(x)?, 1.0, &self.right.apply_on_device(x)?)?)
    }
}

/// P A P with P the projection onto the complement of given orthonormal vectors: A with known eigenvectors moved to 0.
///
/// ```
/// use relief_hessian::{Deflated, Dense, Lanczos, Outcome, Silent};
/// let a = Dense::new(2, vec![4.0, 0.0, 0.0, 1.0])?;
/// let Outcome::Done(first) = Lanczos::default().run(&a, None, &mut Silent)? else { unreachable!() };
/// let rest = Deflated::new(a, first.vectors)?;
/// let Outcome::Done(second) = Lanczos::default().run(&rest, None, &mut Silent)? else { unreachable!() };
/// assert!((second.largest[0].value - 1.0).abs() < 1e-9);
/// # Ok::<(), relief_hessian::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Deflated<A> {
    operator: A,
    vectors: Vec<Vec<f64>>,
}

impl<A: SymmetricOperator> Deflated<A> {
    /// The vectors must be orthonormal to within 1e-8.
    pub fn new(operator: A, vectors: Vec<Vec<f64>>) -> Result<Self> {
        for (i, v) in vectors.iter().enumerate() {
            if v.len() != operator.dim() {
                let (found, n) = (v.len(), operator.dim());
                return Err(Error::Input(format!(
                    "a vector has {found} entries, but the operator has {n} rows"
                )));
            }
            for (j, w) in vectors.iter().enumerate().take(i + 1) {
                let expected = if i == j { 1.0 } else { 0.0 };
                if (dot(v, w) - expected).abs() > 1e-8 {
                    return Err(Error::Input(format!("vectors {j} and {i} are not orthonormal")));
                }
            }
        }
        Ok(Self { operator, vectors })
    }

    fn project(&self, x: &mut [f64]) {
        for v in &self.vectors {
            let along = dot(v, x);
            x.iter_mut().zip(v).for_each(|(x, v)| *x -= along * v);
        }
    }
}

impl<A: SymmetricOperator> SymmetricOperator for Deflated<A> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let mut inside = x.to_vec();
        self.project(&mut inside);
        self.operator.apply(&inside, y)?;
        self.project(y);
        Ok(())
    }
}

/// The block of A that belongs to some ranges of entries.
///
/// ```
/// use relief_hessian::{Dense, Restricted, SymmetricOperator};
/// let a = Dense::new(3, vec![2.0, 1.0, 5.0, 1.0, 3.0, 7.0, 5.0, 7.0, 4.0])?;
/// let corners = Restricted::new(a, vec![0..1, 2..3])?;
/// let mut y = [0.0; 2];
/// corners.apply(&[1.0, 1.0], &mut y)?;
/// assert_eq!(y, [7.0, 9.0]);
/// # Ok::<(), relief_hessian::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Restricted<A> {
    operator: A,
    ranges: Vec<Range<usize>>,
}

impl<A: SymmetricOperator> Restricted<A> {
    /// The ranges must be ascending, disjoint and inside the operator.
    pub fn new(operator: A, ranges: Vec<Range<usize>>) -> Result<Self> {
        let ordered = ranges.windows(2).all(|pair| pair[0].end <= pair[1].start);
        let inside = ranges.iter().all(|r| r.start < r.end && r.end <= operator.dim());
        if ordered && inside && !ranges.is_empty() {
            return Ok(Self { operator, ranges });
        }
        Err(Error::Input(format!("{ranges:?} are not ascending, disjoint ranges below {}", operator.dim())))
    }
}

impl<A: SymmetricOperator> SymmetricOperator for Restricted<A> {
    fn dim(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let n = self.operator.dim();
        let (mut whole, mut product) = (vec![0.0; n], vec![0.0; n]);
        let mut rest = x;
        for range in &self.ranges {
            let (head, tail) = rest.split_at(range.len());
            whole[range.clone()].copy_from_slice(head);
            rest = tail;
        }
        self.operator.apply(&whole, &mut product)?;
        let gathered = self.ranges.iter().flat_map(|range| &product[range.clone()]);
        y.iter_mut().zip(gathered).for_each(|(y, p)| *y = *p);
        Ok(())
    }

    fn device(&self) -> Option<Device> {
        self.operator.device()
    }

    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        // A card has no memory of no bytes.
        let zeros = |range: Range<usize>| {
            (!range.is_empty()).then(|| Tensor::zeros(range.len(), DType::F64, x.device()))
        };
        let (mut parts, mut taken, mut end) = (vec![], 0, 0);
        for range in &self.ranges {
            parts.extend(zeros(end..range.start));
            parts.push(x.narrow(0, taken, range.len()));
            (taken, end) = (taken + range.len(), range.end);
        }
        parts.extend(zeros(end..self.operator.dim()));
        let parts = parts.into_iter().collect::<candle_core::Result<Vec<_>>>()?;
        let product = self.operator.apply_on_device(&Tensor::cat(&parts, 0)?)?;
        let kept = self.ranges.iter().map(|range| product.narrow(0, range.start, range.len()));
        Ok(Tensor::cat(&kept.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
    }
}

/// D A D with D the diagonal matrix of given scales: A in other units.
///
/// ```
/// use relief_hessian::{Dense, Scaled, SymmetricOperator};
/// let a = Dense::new(2, vec![2.0, 1.0, 1.0, 3.0])?;
/// let preconditioned = Scaled::preconditioned(a, &[4.0, 1.0])?;
/// let mut y = [0.0; 2];
/// preconditioned.apply(&[1.0, 0.0], &mut y)?;
/// assert_eq!(y, [0.5, 0.5]);
/// # Ok::<(), relief_hessian::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scaled<A> {
    operator: A,
    scales: Vec<f64>,
    /// Where they were needed first, if that is a device.
    scales_on_device: OnceLock<Tensor>,
}

impl<A: SymmetricOperator> Scaled<A> {
    /// A finite scale for every row.
    pub fn new(operator: A, scales: Vec<f64>) -> Result<Self> {
        let (found, n) = (scales.len(), operator.dim());
        if found != n {
            return Err(Error::Input(format!("there are {found} scales, but the operator has {n} rows")));
        }
        if let Some(bad) = scales.iter().find(|s| !s.is_finite()) {
            return Err(Error::Input(format!("a scale is {bad}, but must be finite")));
        }
        Ok(Self { operator, scales, scales_on_device: OnceLock::new() })
    }

    /// P^-1/2 A P^-1/2 with a positive diagonal P: it has the eigenvalues of P^-1 A, and is symmetric.
    pub fn preconditioned(operator: A, diagonal: &[f64]) -> Result<Self> {
        if let Some(bad) = diagonal.iter().find(|p| !(p.is_finite() && **p > 0.0)) {
            return Err(Error::Input(format!(
                "an entry of the preconditioner is {bad}, but all must be positive and finite"
            )));
        }
        Self::new(operator, diagonal.iter().map(|p| 1.0 / p.sqrt()).collect())
    }

    fn scale(&self, x: &mut [f64]) {
        x.iter_mut().zip(&self.scales).for_each(|(x, s)| *x *= s);
    }
}

impl<A: SymmetricOperator> SymmetricOperator for Scaled<A> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let mut scaled = x.to_vec();
        self.scale(&mut scaled);
        self.operator.apply(&scaled, y)?;
        self.scale(y);
        Ok(())
    }

    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let mut scaled = xs.to_vec();
        scaled.iter_mut().for_each(|x| self.scale(x));
        let mut products = self.operator.apply_block(&scaled)?;
        products.iter_mut().for_each(|y| self.scale(y));
        Ok(products)
    }

    fn device(&self) -> Option<Device> {
        self.operator.device()
    }

    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        let there = self.scales_on_device.get().filter(|scales| scales.device().same_device(x.device()));
        let scales =
            there.map_or_else(|| Tensor::new(self.scales.as_slice(), x.device()), |s| Ok(s.clone()))?;
        let _ = self.scales_on_device.set(scales.clone());
        let product = self.operator.apply_on_device(&tensors::multiply(x, &scales)?)?;
        Ok(tensors::multiply(&product, &scales)?)
    }
}

/// Counts products.
#[derive(Debug)]
pub struct Counted<A> {
    operator: A,
    products: AtomicUsize,
}

impl<A: SymmetricOperator> Counted<A> {
    /// Starts at zero.
    pub fn new(operator: A) -> Self {
        Self { operator, products: AtomicUsize::new(0) }
    }

    /// Products so far; every vector of a block counts.
    pub fn products(&self) -> usize {
        self.products.load(Ordering::Relaxed)
    }
}

impl<A: SymmetricOperator> SymmetricOperator for Counted<A> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.products.fetch_add(1, Ordering::Relaxed);
        self.operator.apply(x, y)
    }

    fn apply_block(&self, xs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        self.products.fetch_add(xs.len(), Ordering::Relaxed);
        self.operator.apply_block(xs)
    }

    fn device(&self) -> Option<Device> {
        self.operator.device()
    }

    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        self.products.fetch_add(1, Ordering::Relaxed);
        self.operator.apply_on_device(x)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
