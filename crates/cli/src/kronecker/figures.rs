//! Eigenvalues of KFAC and EKFAC beside those of the true blocks.

use relief_plot::{Axis, Bars, Figure, Group, Lines, Mark, Panel, Series};

use super::{Blocks, Layer};

/// Layers that have a panel each; of more, the largest eigenvalues share one.
const PANELS: usize = 9;
/// Panels beside each other.
const COLUMNS: usize = 3;

/// A panel for every layer with its eigenvalues by rank, or bars where there are many layers or one eigenvalue.
pub(crate) fn figure(result: &Blocks) -> Figure {
    let layers = &result.layers;
    if layers.len() > PANELS || layers.iter().all(|layer| layer.pairs.len() == 1) {
        return Figure::new("", vec![Panel::Bars(bars(layers))]);
    }
    let panels: Vec<Panel> = layers.iter().map(|layer| Panel::Lines(panel(layer))).collect();
    let columns = panels.len().min(COLUMNS);
    Figure::new("", panels).in_columns(columns)
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
    Lines::new(format!("layer {}", layer.name), Axis::linear("rank"), Axis::log("eigenvalue of the block"))
        .with(series("true", &truth).marked(Mark::Dots))
        .with(series("KFAC", &layer.kfac.eigenvalues).marked(Mark::Dashed))
        .with(series("EKFAC", &layer.ekfac.eigenvalues))
}

fn bars(layers: &[Layer]) -> Bars {
    let group = |name: &str, value: &dyn Fn(&Layer) -> (f64, f64)| {
        let (values, errors) = layers.iter().map(value).unzip();
        Group { name: name.into(), values, errors }
    };
    Bars {
        title: String::new(),
        value: Axis::linear("largest eigenvalue of the layer's block"),
        names: layers.iter().map(|layer| layer.name.clone()).collect(),
        groups: vec![
            group("true", &|layer| (layer.pairs[0].value, layer.pairs[0].error_bound)),
            group("KFAC", &|layer| (layer.kfac.eigenvalues[0], 0.0)),
            group("EKFAC", &|layer| (layer.ekfac.eigenvalues[0], 0.0)),
        ],
    }
}
