//! Surfaces and lines as VTK's polygons: points with heights, quadrilaterals or polylines between them.

use serde_json::Value;

use super::height::Height;
use super::{Sampled, vtk};
use crate::exit::Failure;

/// A surface over its plane, or a line with its loss upright, with metadata. Points without a loss are left out, and so
/// is what would join them to others.
pub(super) fn polygons(sampled: &Sampled, metadata: &Value) -> Result<String, Failure> {
    let height = Height::new(sampled)?;
    let z: Vec<f64> = sampled.loss().iter().map(|loss| height.of(*loss)).collect();
    let known: Vec<usize> = (0..z.len()).filter(|i| z[*i].is_finite()).collect();
    let mut number = vec![None; z.len()];
    for (new, old) in known.iter().enumerate() {
        number[*old] = Some(new);
    }
    let (x, y): (&[f64], &[f64]) = match sampled.axes.as_slice() {
        [(_, x), (_, y)] => (x, y),
        axes => (&axes[0].1, &[0.0]),
    };
    let points = known.iter().flat_map(|&i| [x[i % x.len()], y[i / x.len()], z[i]]);
    let points = vtk::element("Points", "", &[vtk::reals("Points", 3, points)]);
    let (lines, quads, normals) = if y.len() > 1 {
        let field = Field { x, y, z: &z };
        let normals = known.iter().flat_map(|&i| field.normal(i % x.len(), i / x.len()));
        (vec![], quadrilaterals(&number, x.len()), vec![vtk::reals("Normals", 3, normals)])
    } else {
        (polylines(&number), vec![], vec![])
    };
    let counts = format!(
        " NumberOfPoints=\"{}\" NumberOfVerts=\"0\" NumberOfLines=\"{}\" NumberOfStrips=\"0\" NumberOfPolys=\"{}\"",
        known.len(),
        lines.len(),
        quads.len()
    );
    let data = vtk::point_data(sampled, &known, &normals);
    let piece =
        vtk::element("Piece", &counts, &[points, data, cells("Lines", &lines), cells("Polys", &quads)]);
    let fields = [vtk::text("metadata", &metadata.to_string()), vtk::text("height", &height.formula())];
    Ok(vtk::file("PolyData", "", &(vtk::element("FieldData", "", &fields) + &piece)))
}

/// Cells of a grid all of whose corners are known, counterclockwise seen from above.
fn quadrilaterals(number: &[Option<usize>], columns: usize) -> Vec<Vec<usize>> {
    let lower = (0..number.len() - columns).filter(|i| (i + 1) % columns != 0);
    lower
        .filter_map(|i| [i, i + 1, i + columns + 1, i + columns].map(|k| number[k]).into_iter().collect())
        .collect()
}

/// Runs of two and more known points.
fn polylines(number: &[Option<usize>]) -> Vec<Vec<usize>> {
    let runs = number.split(Option::is_none).filter(|run| run.len() > 1);
    runs.map(|run| run.iter().copied().flatten().collect()).collect()
}

/// Cells as VTK wants them: all their points one after another, and where each cell ends.
fn cells(name: &str, cells: &[Vec<usize>]) -> String {
    let ends: Vec<usize> = cells
        .iter()
        .scan(0, |end, cell| {
            *end += cell.len();
            Some(*end)
        })
        .collect();
    vtk::element(name, "", &[vtk::integers("connectivity", &cells.concat()), vtk::integers("offsets", &ends)])
}

/// Heights over a grid, NaN where unknown.
struct Field<'a> {
    x: &'a [f64],
    y: &'a [f64],
    z: &'a [f64],
}

impl Field<'_> {
    /// The unit normal, upwards, at a node: viewers light the surface by it.
    fn normal(&self, i: usize, j: usize) -> [f64; 3] {
        let columns = self.x.len();
        let along_x = slope(self.x, i, |k| self.z[j * columns + k]);
        let along_y = slope(self.y, j, |k| self.z[k * columns + i]);
        let length = (along_x * along_x + along_y * along_y + 1.0).sqrt();
        [-along_x / length, -along_y / length, 1.0 / length]
    }
}

/// The slope between a node's known neighbours, or from it to the only one; none without any.
fn slope(nodes: &[f64], at: usize, height: impl Fn(usize) -> f64) -> f64 {
    let known = |k: &usize| *k < nodes.len() && height(*k).is_finite();
    let before = at.checked_sub(1).filter(known).unwrap_or(at);
    let after = Some(at + 1).filter(known).unwrap_or(at);
    if before == after { 0.0 } else { (height(after) - height(before)) / (nodes[after] - nodes[before]) }
}
