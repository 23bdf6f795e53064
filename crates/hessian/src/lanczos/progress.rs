//! Being told of a run's progress, and stopping it.

/// Told of every product (or of every few, where products come in blocks), with progress as the work at hand measures it.
pub trait Observer<P = Progress> {
    /// Called after each product or block.
    fn product(&mut self, progress: &P) -> Control;
}

/// What an observer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop now, resumably.
    Interrupt,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Products so far.
    pub products: usize,
    /// Products at most.
    pub max_products: usize,
    /// The first wanted Ritz value.
    pub leading_value: Option<f64>,
    /// Its residual.
    pub leading_residual: f64,
    /// How many wanted pairs have converged.
    pub converged: usize,
    /// How many are wanted.
    pub wanted: usize,
}

/// An observer that lets everything pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl<P> Observer<P> for Silent {
    fn product(&mut self, _: &P) -> Control {
        Control::Continue
    }
}
