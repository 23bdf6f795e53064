//! What the verbs about curvature find: numbers, their figures, their arrays.

mod comparison;
mod diagonal;
mod estimate;
mod layers;
mod outliers;
mod subsets;

use relief_plot::Figure;

pub(crate) use comparison::{Between, Comparison};
pub(crate) use diagonal::{Diagonal, OfTensor};
pub(crate) use estimate::{Estimate, Quantity};
pub(crate) use layers::ByLayer;
pub(crate) use outliers::{Explained, Outliers};
pub(crate) use subsets::{Size, Spread, Subsets};

use crate::saved::{Saved, provenance};

/// A figure with where its results come from, and what else is to be said, below it.
fn captioned<R>(figure: Figure, results: &[Saved<R>], remarks: &[&str]) -> Figure {
    let remarks = remarks.iter().map(ToString::to_string);
    let lines: Vec<String> = provenance(results).into_iter().chain(remarks).collect();
    figure.captioned(lines.join(" "))
}

/// Numbers from 1.
fn ranks(count: usize) -> Vec<f64> {
    (1..=count).map(|rank| rank as f64).collect()
}

/// Names in the order in which they come, each once.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    for name in names {
        if !out.contains(&name) {
            out.push(name);
        }
    }
    out
}
