//! What a survey finds, in the shape of its grid.

use serde::Serialize;

/// What a column of numbers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// Losses and their errors.
    Positive,
    /// Accuracies, from 0 to 1.
    Share,
    /// Eigenvalues.
    Signed,
}

/// Everything measured on one split, in the shape `T` of the grid; absent what was not asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Found<T> {
    /// null where it is not finite; at most the cap.
    pub(crate) loss: T,
    /// null above the cap; absent where outputs are no classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy: Option<T>,
    /// Of the loss, where the examples are a random sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) standard_error: Option<T>,
    /// Each class by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) classes: Option<Vec<FoundClass<T>>>,
}

/// Numbers that the eigenvalues of a point take.
pub(super) const EIGENVALUES: usize = 4;

/// The Hessian's extreme eigenvalues over a grid.
#[derive(Debug, Serialize)]
pub(crate) struct FoundCurvature<T> {
    pub(crate) smallest: T,
    pub(crate) largest: T,
    /// Every eigenvalue that converged lies within this distance of the one given.
    pub(crate) error_bound: f64,
    /// Points at which one of them did not converge.
    pub(crate) unconverged: usize,
    /// Products that they took, over the points that are not above the cap.
    pub(crate) products: usize,
}

/// Loss and accuracy on the examples of one class.
#[derive(Debug, Serialize)]
pub(crate) struct FoundClass<T> {
    pub(super) name: String,
    pub(super) loss: T,
    pub(super) accuracy: T,
}
