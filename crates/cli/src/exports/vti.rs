//! Surfaces as VTK's images: measures on evenly spaced points.

use serde_json::Value;

use super::{Sampled, vtk};
use crate::exit::Failure;

/// A surface with its metadata.
pub(super) fn image(sampled: &Sampled, metadata: &Value) -> Result<String, Failure> {
    let [(_, x), (_, y)] = sampled.axes.as_slice() else {
        return Err(Failure::Usage("only a surface is an image: write another format".into()));
    };
    let (Some(dx), Some(dy)) = (spacing(x), spacing(y)) else {
        return Err(Failure::Usage(
            "the surface's points are not evenly spaced, as those of a .vti are: write a .vtp".into(),
        ));
    };
    let extent = format!("0 {} 0 {} 0 0", x.len() - 1, y.len() - 1);
    let attributes =
        format!(" WholeExtent=\"{extent}\" Origin=\"{:?} {:?} 0\" Spacing=\"{dx:?} {dy:?} 1\"", x[0], y[0]);
    let places: Vec<usize> = (0..sampled.loss().len()).collect();
    let fields = vtk::element("FieldData", "", &[vtk::text("metadata", &metadata.to_string())]);
    let data = vtk::point_data(sampled, &places, &[]);
    let piece = vtk::element("Piece", &format!(" Extent=\"{extent}\""), &[data]);
    Ok(vtk::file("ImageData", &attributes, &(fields + &piece)))
}

/// The distance between neighbours, where all are as far apart.
fn spacing(nodes: &[f64]) -> Option<f64> {
    let (first, last) = (nodes.first()?, nodes.last()?);
    let step = (last - first) / (nodes.len() as f64 - 1.0);
    let place = |i: usize| first + i as f64 * step;
    let even = nodes.iter().enumerate().all(|(i, v)| (v - place(i)).abs() <= 1e-6 * step);
    (step > 0.0 && even).then_some(step)
}
