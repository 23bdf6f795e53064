//! Truncated polynomials in infinitesimals: what is pushed forward and pulled back.

use candle_core::Tensor;

use crate::graph::Id;

/// One component: first-order, or the product of two earlier ones.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Component {
    First,
    Mixed(usize, usize),
}

/// The components of one node: `None` is zero.
pub(crate) type Jet = Vec<Option<Tensor>>;

/// Which nodes contribute second-order terms in a pull back.
#[derive(Clone, Copy)]
pub(crate) enum Bends {
    All,
    /// Only nodes after the given one: the loss, but not the model (Gauss-Newton).
    After(Id),
    None,
}

impl Bends {
    /// Whether node `id` contributes.
    pub(crate) fn includes(self, id: Id) -> bool {
        match self {
            Self::All => true,
            Self::After(first) => id > first,
            Self::None => false,
        }
    }

    /// Whether a node that contributes may read the tangent of `argument`.
    pub(crate) fn reads_tangent(self, argument: Id) -> bool {
        match self {
            Self::All => true,
            Self::After(first) => argument >= first,
            Self::None => false,
        }
    }
}
