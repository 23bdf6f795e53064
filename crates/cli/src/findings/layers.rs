//! The eigenvalues of each layer's own block.

use relief_plot::{Axis, Bars, Figure, Group, Panel};
use serde::Deserialize;

use super::{captioned, distinct};
use crate::eigenvalue_figures::{Pair, Spectrum};
use crate::exit::Failure;
use crate::exports::{Array, Sampled};
use crate::saved::{Kind, Lists, Look, Saved, Shown, labelled, series_name};

/// Blocks by layer, as far as figures and exports need them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ByLayer {
    layers: Vec<Layer>,
}

#[derive(Debug, Clone, Deserialize)]
struct Layer {
    name: String,
    parameters: usize,
    #[serde(flatten)]
    found: Spectrum,
}

impl Lists for ByLayer {
    const NAMES: &'static [&'static str] = &["layers"];

    fn agree(&self) -> bool {
        !self.layers.is_empty()
    }
}

/// A pair with its layer's place, its end of the spectrum, and its rank there from 0.
struct Row<'a> {
    layer: usize,
    which: &'a str,
    rank: usize,
    pair: &'a Pair,
}

impl Row<'_> {
    fn name(&self) -> String {
        format!("{} {}", self.which, self.rank + 1)
    }
}

impl ByLayer {
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.layers.iter().enumerate().flat_map(|(layer, Layer { found, .. })| {
            found.ends().into_iter().flat_map(move |(which, pairs)| {
                pairs.iter().enumerate().map(move |(rank, pair)| Row { layer, which, rank, pair })
            })
        })
    }

    fn of(&self, value: impl Fn(&Row<'_>) -> f64) -> Vec<f64> {
        self.rows().map(|row| value(&row)).collect()
    }
}

impl Shown for ByLayer {
    const KIND: Kind = Kind::Layers;
    const HEADING: &'static str = "Eigenvalues by layer";

    /// A bar for every eigenvalue of every layer.
    fn figure(title: &str, results: &[Saved<Self>], _: Look) -> Result<Figure, Failure> {
        let layers =
            |saved: &Saved<Self>| saved.result.layers.iter().map(|l| l.name.clone()).collect::<Vec<_>>();
        let names = distinct(results.iter().flat_map(layers));
        let mut groups = vec![];
        for saved in results {
            for pair in distinct(saved.result.rows().map(|row| row.name())) {
                let of = |name: &String| {
                    let layer = saved.result.layers.iter().position(|layer| layer.name == *name);
                    let found =
                        saved.result.rows().find(|row| Some(row.layer) == layer && row.name() == pair);
                    found.map_or([f64::NAN; 2], |row| [row.pair.value, row.pair.error_bound])
                };
                let found: Vec<[f64; 2]> = names.iter().map(of).collect();
                groups.push(Group {
                    name: series_name(results, saved, &pair),
                    values: found.iter().map(|[value, _]| *value).collect(),
                    errors: found.iter().map(|[_, bound]| *bound).collect(),
                });
            }
        }
        let label = labelled("eigenvalue of the layer's block", results);
        let wide = crate::numbers::wide(groups.iter().flat_map(|group| group.values.iter().copied()));
        let value = if wide { Axis::log(label) } else { Axis::linear(label) };
        let bars = Bars { title: String::new(), value, names, groups };
        let remark = "Error bars are bounds; those too short to be seen are left out.";
        Ok(captioned(Figure::new(title, vec![Panel::Bars(bars)]), results, &[remark]))
    }

    /// A row for every eigenvalue, with the number of its layer.
    fn sampled(&self) -> Sampled {
        Sampled {
            axes: vec![("row", (0..self.rows().count()).map(|i| i as f64).collect())],
            measures: vec![
                ("layer", self.of(|row| row.layer as f64)),
                ("rank", self.of(|row| (row.rank + 1) as f64)),
                ("eigenvalue", self.of(|row| row.pair.value)),
                ("error_bound", self.of(|row| row.pair.error_bound)),
                ("residual", self.of(|row| row.pair.residual.unwrap_or(f64::NAN))),
            ],
        }
    }

    fn arrays(&self) -> Vec<Array> {
        let rows: Vec<Row<'_>> = self.rows().collect();
        let sizes: Vec<f64> = self.layers.iter().map(|layer| layer.parameters as f64).collect();
        let mut arrays = self.sampled().arrays();
        arrays.extend([
            Array::words("which", rows.iter().map(|row| row.which)),
            Array::words("layer_name", self.layers.iter().map(|layer| layer.name.as_str())),
            Array::list("layer_parameters", &sizes),
        ]);
        arrays
    }
}
