//! The diagonal of a curvature matrix, tensor by tensor.

use relief_hessian::{DiagonalEstimate, EstimateStatus, Parameters};
use relief_plot::{Axis, Bars, Figure, Group, Panel};
use serde::{Deserialize, Serialize};

use super::{captioned, distinct};
use crate::exit::Failure;
use crate::exports::{Array, Sampled};
use crate::numbers;
use crate::saved::{Kind, Lists, Look, Saved, Shown, labelled};

/// The `result` of `relief diagonal`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Diagonal {
    pub(crate) tensors: Vec<OfTensor>,
    /// Root mean square of the whole vector's error over its norm.
    pub(crate) relative_error: f64,
    pub(crate) products: usize,
    pub(crate) status: EstimateStatus,
}

/// The entries of one tensor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OfTensor {
    pub(crate) name: String,
    pub(crate) parameters: usize,
    /// What the tensor adds to the trace.
    pub(crate) sum: f64,
    pub(crate) mean: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Root mean square of the entries' standard errors.
    pub(crate) standard_error: f64,
}

impl Diagonal {
    pub(crate) fn new(at: &Parameters, estimate: &DiagonalEstimate) -> Self {
        let tensors = at.ranges().into_iter().map(|(name, range)| {
            let (values, errors) = (&estimate.values[range.clone()], &estimate.standard_errors[range]);
            let count = values.len();
            let sum: f64 = values.iter().sum();
            OfTensor {
                name: name.to_string(),
                parameters: count,
                sum,
                mean: sum / count as f64,
                min: values.iter().copied().fold(f64::INFINITY, f64::min),
                max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                standard_error: (errors.iter().map(|e| e * e).sum::<f64>() / count as f64).sqrt(),
            }
        });
        let norm = estimate.values.iter().map(|v| v * v).sum::<f64>().sqrt();
        Self {
            tensors: tensors.collect(),
            relative_error: estimate.error_estimate / norm,
            products: estimate.products,
            status: estimate.status,
        }
    }

    fn of(&self, value: impl Fn(&OfTensor) -> f64) -> Vec<f64> {
        self.tensors.iter().map(value).collect()
    }
}

impl Lists for Diagonal {
    const NAMES: &'static [&'static str] = &["tensors"];

    fn agree(&self) -> bool {
        !self.tensors.is_empty()
    }
}

impl Shown for Diagonal {
    const KIND: Kind = Kind::Diagonal;
    const HEADING: &'static str = "Diagonals";

    /// The mean entry of every tensor, and what it adds to the trace.
    fn figure(title: &str, results: &[Saved<Self>], _: Look) -> Result<Figure, Failure> {
        let names = results.iter().flat_map(|saved| saved.result.tensors.iter().map(|t| t.name.clone()));
        let names = distinct(names);
        let panel = |label: String, value: fn(&OfTensor) -> f64| {
            let groups: Vec<Group> = results
                .iter()
                .map(|saved| {
                    let of = |name: &String| saved.result.tensors.iter().find(|t| t.name == *name);
                    let values = names.iter().map(|name| of(name).map_or(f64::NAN, value)).collect();
                    Group { name: saved.name(), values, errors: vec![] }
                })
                .collect();
            let wide = numbers::wide(groups.iter().flat_map(|group| group.values.iter().copied()));
            let value = if wide { Axis::log(label) } else { Axis::linear(label) };
            Panel::Bars(Bars { title: String::new(), value, names: names.clone(), groups })
        };
        let panels = vec![
            panel(labelled("mean diagonal entry", results), |t| t.mean),
            panel("sum over the tensor (its part of the trace)".into(), |t| t.sum),
        ];
        let errors: Vec<String> =
            results.iter().map(|r| format!("{:.2} %", 100.0 * r.result.relative_error)).collect();
        let remark = format!("Root-mean-square error of the whole diagonal: {}.", errors.join(", "));
        Ok(captioned(Figure::new(title, panels), results, &[&remark]))
    }

    fn sampled(&self) -> Sampled {
        Sampled {
            axes: vec![("tensor", (0..self.tensors.len()).map(|i| i as f64).collect())],
            measures: vec![
                ("parameters", self.of(|t| t.parameters as f64)),
                ("sum", self.of(|t| t.sum)),
                ("mean", self.of(|t| t.mean)),
                ("min", self.of(|t| t.min)),
                ("max", self.of(|t| t.max)),
                ("standard_error", self.of(|t| t.standard_error)),
            ],
        }
    }

    fn arrays(&self) -> Vec<Array> {
        let mut arrays = self.sampled().arrays();
        arrays.push(Array::words("name", self.tensors.iter().map(|t| t.name.as_str())));
        arrays
    }
}
