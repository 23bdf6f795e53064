//! How convex the loss is at a point: the two ends of the Hessian's spectrum.

use relief_hessian::{
    Curvature, EigenPair, Error, Lanczos, Objective, Observer, Outcome, Parameters, Result, Wanted,
};
use serde::Serialize;

/// The extreme eigenvalues of the Hessian at a point, which belong to all its directions, not only to those of a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Convexity {
    /// The algebraically smallest eigenvalue, `lambda_min`.
    pub smallest: EigenPair,
    /// The algebraically largest eigenvalue, `lambda_max`.
    pub largest: EigenPair,
    /// `|min(lambda_min, 0)| / |lambda_max|`: the negative curvature relative to the positive one, 0 where there is none.
    /// Without any positive curvature it is at least 1, and it is NaN where all eigenvalues are zero.
    ///
    /// It is Li et al.'s ratio (see [`magnitude_ratio`](Self::magnitude_ratio)) wherever `lambda_min` is below zero.
    pub ratio: f64,
    /// Products that finding them took.
    pub products: usize,
}

impl Convexity {
    fn new(smallest: EigenPair, largest: EigenPair, products: usize) -> Self {
        let ratio = smallest.value.min(0.0).abs() / largest.value.abs();
        Self { smallest, largest, ratio, products }
    }

    /// `|lambda_min / lambda_max|`, what Li et al. 2018 map in section 6. It does not tell a convex point, whose ratio is the
    /// inverse of the condition number, from one that is not.
    pub fn magnitude_ratio(&self) -> f64 {
        (self.smallest.value / self.largest.value).abs()
    }
}

/// The convexity at a point, by one run of the solver for both ends, whatever its settings want; `None` if the observer
/// interrupts it. Up to `memory` bytes of linearizations are kept between products.
///
/// Pairs that did not converge say so ([`EigenPair::converged`]).
pub fn convexity(
    objective: &dyn Objective,
    at: &Parameters,
    solver: &Lanczos,
    memory: usize,
    observer: &mut dyn Observer,
) -> Result<Option<Convexity>> {
    let curvature = Curvature::new(objective, at, memory)?;
    // One parameter has one eigenvalue, which is both ends.
    let wanted =
        if at.len() == 1 { Wanted::Largest { k: 1 } } else { Wanted::Both { largest: 1, smallest: 1 } };
    let solver = Lanczos { wanted, ..solver.clone() };
    let Outcome::Done(eigen) = solver.run(&curvature.hessian(), None, observer)? else { return Ok(None) };
    let products = eigen.products;
    let largest = eigen.largest.into_iter().next();
    let smallest = eigen.smallest.into_iter().next().or_else(|| largest.clone());
    match (smallest, largest) {
        (Some(smallest), Some(largest)) => Ok(Some(Convexity::new(smallest, largest, products))),
        _ => Err(Error::Other("the solver returned no eigenvalues".into())),
    }
}
