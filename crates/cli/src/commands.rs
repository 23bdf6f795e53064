//! One module a verb.

pub(crate) mod align;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod connect;
pub(crate) mod diagonal;
pub(crate) mod eigenvalues;
pub(crate) mod inspect;
mod layer_spectra;
mod layers;
pub(crate) mod line;
pub(crate) mod models;
pub(crate) mod outliers;
pub(crate) mod plot;
pub(crate) mod quickstart;
pub(crate) mod shape;
pub(crate) mod sharpness;
pub(crate) mod spectrum;
pub(crate) mod subset;
pub(crate) mod surface;
pub(crate) mod trace;
pub(crate) mod track;
pub(crate) mod train;
pub(crate) mod trajectory;
mod vectors;
