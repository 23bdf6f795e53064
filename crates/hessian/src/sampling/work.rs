//! The products done, in the form in which a method keeps them.

use super::columns::Columns;
use super::independent::{Forms, SignProducts};
use super::packed::Packed;
use super::run::Task;
use super::sketch::Sketch;
use crate::Error;
use crate::spectral_sum::Quadrature;
use crate::trace::{HutchPlusPlus, Nystrom};

/// One method's work.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    Columns(Columns),
    Forms(Forms),
    SignProducts(SignProducts),
    Sketch(Sketch),
    HutchPlusPlus(HutchPlusPlus),
    Nystrom(Nystrom),
    Quadrature(Quadrature),
}

impl Work {
    pub(super) fn task(&self) -> &dyn Task {
        match self {
            Self::Columns(task) => task,
            Self::Forms(task) => task,
            Self::SignProducts(task) => task,
            Self::Sketch(task) => task,
            Self::HutchPlusPlus(task) => task,
            Self::Nystrom(task) => task,
            Self::Quadrature(task) => task,
        }
    }

    pub(super) fn task_mut(&mut self) -> &mut dyn Task {
        match self {
            Self::Columns(task) => task,
            Self::Forms(task) => task,
            Self::SignProducts(task) => task,
            Self::Sketch(task) => task,
            Self::HutchPlusPlus(task) => task,
            Self::Nystrom(task) => task,
            Self::Quadrature(task) => task,
        }
    }

    /// The work that was packed, of a matrix with n rows; `None` where the parts do not fit together.
    pub(super) fn unpack(packed: &Packed, n: usize) -> Option<Self> {
        Some(match packed.kind.as_str() {
            "columns" => Self::Columns(Columns::unpack(packed, n)?),
            "forms" => Self::Forms(Forms::unpack(packed, n)?),
            "sign products" => Self::SignProducts(SignProducts::unpack(packed, n)?),
            "sketch" => Self::Sketch(Sketch::unpack(packed, n)?),
            "hutch++" => Self::HutchPlusPlus(HutchPlusPlus::unpack(packed, n)?),
            "nystrom" => Self::Nystrom(Nystrom::unpack(packed, n)?),
            "quadrature" => Self::Quadrature(Quadrature::unpack(packed, n)?),
            _ => return None,
        })
    }
}

/// The error of an estimator that is given another's work, which only a state that was tampered with can do.
pub(crate) fn misplaced() -> Error {
    Error::State("the state belongs to another estimator: repeat the interrupted command".into())
}
