//! Eigenvalues of KFAC and EKFAC beside those of the true blocks.

use relief_plot::{Axis, Bars, Figure, Group, Lines, Mark, Panel, Series};

use super::kronecker::{Blocks, Layer};
use super::{captioned, distinct};
use crate::saved::{Saved, series_name};

/// Layers that have a panel each; of more, the largest eigenvalues share one.
const PANELS: usize = 9;
/// Panels beside each other.
const COLUMNS: usize = 3;

/// A panel for every layer with its eigenvalues by rank; bars where there are several checkpoints, many layers or one
/// eigenvalue.
pub(super) fn figure(title: &str, results: &[Saved<Blocks>]) -> Figure {
    let (first, others) = (&results[0].result.layers, &results[1..]);
    if !others.is_empty() || first.len() > PANELS || first.iter().all(|layer| layer.pairs.len() == 1) {
        return captioned(Figure::new(title, vec![Panel::Bars(bars(results))]), results, &[]);
    }
    let panels: Vec<Panel> = first.iter().map(|layer| Panel::Lines(panel(layer))).collect();
    let columns = panels.len().min(COLUMNS);
    captioned(Figure::new(title, panels).in_columns(columns), results, &[])
}

fn panel(layer: &Layer) -> Lines {
    let ranks: Vec<f64> = (1..=layer.pairs.len()).map(|rank| rank as f64).collect();
    // On a logarithmic axis what is zero to rounding has no place.
    let largest = layer.pairs[0].value;
    let shown = |values: &[f64]| -> Vec<f64> {
        values.iter().map(|v| if *v > 1e-12 * largest { *v } else { f64::NAN }).collect()
    };
    let truth: Vec<f64> = layer.pairs.iter().map(|pair| pair.value).collect();
    let series = |name: &str, values: &[f64]| Series::new(name, ranks.clone(), shown(values));
    Lines::new(format!("layer {}", layer.name), Axis::counts("rank"), Axis::log("eigenvalue of the block"))
        .with(series("true", &truth).marked(Mark::Dots))
        .with(series("KFAC", &layer.kfac.eigenvalues).marked(Mark::Dashed))
        .with(series("EKFAC", &layer.ekfac.eigenvalues))
}

fn bars(results: &[Saved<Blocks>]) -> Bars {
    let of = |saved: &Saved<Blocks>| saved.result.layers.iter().map(|l| l.name.clone()).collect::<Vec<_>>();
    let names = distinct(results.iter().flat_map(of));
    let group = |saved: &Saved<Blocks>, name: &str, value: fn(&Layer) -> [f64; 2]| {
        let found = names.iter().map(|name| {
            let layer = saved.result.layers.iter().find(|layer| layer.name == *name);
            layer.map_or([f64::NAN, 0.0], value)
        });
        let found: Vec<[f64; 2]> = found.collect();
        Group {
            name: series_name(results, saved, name),
            values: found.iter().map(|[value, _]| *value).collect(),
            errors: found.iter().map(|[_, bound]| *bound).collect(),
        }
    };
    let groups = |saved| {
        [
            group(saved, "true", |layer| [layer.pairs[0].value, layer.pairs[0].error_bound]),
            group(saved, "KFAC", |layer| [layer.kfac.eigenvalues[0], 0.0]),
            group(saved, "EKFAC", |layer| [layer.ekfac.eigenvalues[0], 0.0]),
        ]
    };
    Bars {
        title: String::new(),
        value: Axis::linear("largest eigenvalue of the layer's block"),
        groups: results.iter().flat_map(groups).collect(),
        names,
    }
}
