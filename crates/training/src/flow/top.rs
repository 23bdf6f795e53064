//! The largest Hessian eigenvalues along a flow.

use relief_hessian::{Curvature, Error, Lanczos, Outcome, Result, Silent, Wanted};

/// Relative residual of the eigenvectors: the eigenvalues are then right to its square over their gaps.
const TOLERANCE: f64 = 1e-7;

/// Eigenvalues, descending, and their eigenvectors.
pub(super) struct Top {
    pub(super) values: Vec<f64>,
    pub(super) vectors: Vec<Vec<f64>>,
}

/// The `count` largest, searched from `start`: eigenvectors at a point nearby.
pub(super) fn top(curvature: &Curvature<'_>, count: usize, start: &[Vec<f64>], seed: u64) -> Result<Top> {
    let wanted = Wanted::Largest { k: count.min(curvature.parameters().len()) };
    let lanczos = Lanczos { wanted, tolerance: TOLERANCE, seed, ..Lanczos::default() };
    let start = (!start.is_empty()).then_some(start);
    let Outcome::Done(eigen) = lanczos.run(&curvature.hessian(), start, &mut Silent)? else {
        return Err(Error::Other("the search for the largest eigenvalue was interrupted".into()));
    };
    if let Some(remedy) = eigen.status.remedy() {
        let found = eigen.largest.iter().map(|p| p.residual).fold(0.0, f64::max);
        return Err(Error::Other(format!(
            "an eigenvector along the flow has a residual of {found:.1e}, but {:.1e} was wanted: {remedy}",
            TOLERANCE * eigen.scale
        )));
    }
    Ok(Top { values: eigen.largest.iter().map(|p| p.value).collect(), vectors: eigen.vectors })
}
