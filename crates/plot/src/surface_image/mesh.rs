//! The height field as a mesh so fine that its facets are not seen, lit at every vertex.

use super::HeightField;
use super::camera::Projection;
use super::light::{Light, Shade};

/// Largest side of a facet, in pixels: shading is interpolated linearly across it.
const FACET: f64 = 4.0;
/// Largest number of facets between two nodes, for pictures of absurd size.
const MOST_PARTS: usize = 512;

/// A vertex in the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vertex {
    /// x, y and depth in pixels.
    pub(super) at: [f64; 3],
    pub(super) height: f64,
    /// Light on the upper and on the lower side.
    pub(super) above: Shade,
    pub(super) below: Shade,
}

/// Vertices of the bilinear interpolant, in rows of constant v.
pub(super) struct Mesh {
    columns: usize,
    vertices: Vec<Vertex>,
    /// Per facet: whether it belongs to a cell with an unknown corner.
    hole: Vec<bool>,
}

impl Mesh {
    pub(super) fn new(field: &HeightField<'_>, projection: &Projection, light: &Light) -> Self {
        let along_u = subdivide(field.u, |u| projection.at([u, 0.0, 0.0]));
        let along_v = subdivide(field.v, |v| projection.at([0.0, v, 0.0]));
        let slopes = slopes(field);

        let mut vertices = Vec::with_capacity(along_u.len() * along_v.len());
        for v in &along_v {
            for u in &along_u {
                let height = bilinear(field, *u, *v, |node| field.height[node]);
                let slope_u = bilinear(field, *u, *v, |node| slopes[node][0]);
                let slope_v = bilinear(field, *u, *v, |node| slopes[node][1]);
                let normal = projection.as_seen(normal(projection.rise(), slope_u, slope_v));
                vertices.push(Vertex {
                    at: projection.at([u.value, v.value, height]),
                    height,
                    above: light.on(normal),
                    below: light.underneath(normal.map(|n| -n)),
                });
            }
        }

        let columns = along_u.len();
        let mut hole = Vec::with_capacity(vertices.len());
        for v in &along_v[..along_v.len().saturating_sub(1)] {
            for u in &along_u[..columns.saturating_sub(1)] {
                let corner = v.node * field.u.len() + u.node;
                let cell = [corner, corner + 1, corner + field.u.len(), corner + field.u.len() + 1];
                hole.push(!cell.iter().all(|&node| field.height[node].is_finite()));
            }
        }
        Self { columns, vertices, hole }
    }

    /// Number of facets (quadrilaterals), holes included.
    pub(super) fn facets(&self) -> usize {
        self.hole.len()
    }

    /// Corners of a facet, counted row by row, in the order (0,0), (1,0), (0,1), (1,1); none in a hole.
    pub(super) fn facet(&self, index: usize) -> Option<[&Vertex; 4]> {
        if self.hole[index] {
            return None;
        }
        let corner = index / (self.columns - 1) * self.columns + index % (self.columns - 1);
        let corners = [corner, corner + 1, corner + self.columns, corner + self.columns + 1];
        Some(corners.map(|vertex| &self.vertices[vertex]))
    }
}

/// A coordinate of the refined axis: `part` of the way from `node` to the next.
#[derive(Clone, Copy)]
struct Station {
    value: f64,
    node: usize,
    part: f64,
}

/// The axis with enough stations between its nodes. Holes are counted by the node a facet starts from, so a station on
/// a node belongs to the interval after it.
fn subdivide(nodes: &[f64], appears: impl Fn(f64) -> [f64; 3]) -> Vec<Station> {
    let mut stations = Vec::new();
    for (node, pair) in nodes.windows(2).enumerate() {
        let (from, to) = (appears(pair[0]), appears(pair[1]));
        // Depth counts too: an axis that points at the viewer is short in the picture, but slopes on it are not.
        let length = from.iter().zip(to).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let parts = ((length / FACET).ceil() as usize).clamp(1, MOST_PARTS);
        stations.extend((0..parts).map(|step| {
            let part = step as f64 / parts as f64;
            Station { value: pair[0] + (pair[1] - pair[0]) * part, node, part }
        }));
    }
    if let Some(&value) = nodes.last() {
        stations.push(Station { value, node: nodes.len() - 1, part: 0.0 });
    }
    stations
}

fn bilinear(field: &HeightField<'_>, u: Station, v: Station, at: impl Fn(usize) -> f64) -> f64 {
    // A weight of zero must not fetch an unknown neighbour (nor one beyond the border).
    let along = |from: usize, part: f64, step: usize, at: &dyn Fn(usize) -> f64| {
        if part == 0.0 { at(from) } else { at(from) * (1.0 - part) + at(from + step) * part }
    };
    let row = |start: usize| along(start + u.node, u.part, 1, &at);
    along(v.node * field.u.len(), v.part, field.u.len(), &row)
}

/// Derivatives of the height along u and v at every node.
fn slopes(field: &HeightField<'_>) -> Vec<[f64; 2]> {
    let columns = field.u.len();
    let mut slopes = Vec::with_capacity(field.height.len());
    for j in 0..field.v.len() {
        for i in 0..columns {
            slopes.push([
                slope(field.u, i, |k| field.height[j * columns + k]),
                slope(field.v, j, |k| field.height[k * columns + i]),
            ]);
        }
    }
    slopes
}

/// Central difference at node `k`, one-sided where only one neighbour is known, flat where none is.
fn slope(axis: &[f64], k: usize, height: impl Fn(usize) -> f64) -> f64 {
    let toward = |other: Option<usize>| {
        let other = other.filter(|&o| o < axis.len() && height(o).is_finite())?;
        let step = axis[other] - axis[k];
        Some((step.abs(), (height(other) - height(k)) / step))
    };
    match (toward(k.checked_sub(1)), toward(Some(k + 1))) {
        // The nearer neighbour tells more: this is the slope of the parabola through the three.
        (Some((left, before)), Some((right, after))) => (right * before + left * after) / (left + right),
        (Some((_, slope)), None) | (None, Some((_, slope))) => slope,
        (None, None) => 0.0,
    }
}

/// Upward unit normal of a surface `rise` times as high as its heights say.
fn normal(rise: f64, slope_u: f64, slope_v: f64) -> [f64; 3] {
    let (x, y) = (-rise * slope_u, -rise * slope_v);
    let length = (x * x + y * y + 1.0).sqrt();
    [x / length, y / length, 1.0 / length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_exact_for_parabolas_on_uneven_axes() {
        let axis = [0.0, 0.1, 0.35, 0.7, 1.0_f64];
        for k in 1..4 {
            let found = slope(&axis, k, |i| 3.0 * axis[i].powi(2) - axis[i]);
            assert!((found - (6.0 * axis[k] - 1.0)).abs() < 1e-12);
        }
    }

    #[test]
    fn slopes_beside_unknown_heights_are_one_sided() {
        let axis = [0.0, 0.5, 1.0];
        let height = [f64::NAN, 0.2, 0.6];
        assert!((slope(&axis, 1, |i| height[i]) - 0.8).abs() < 1e-12);
        assert!(slope(&axis, 0, |i| [0.0, f64::NAN, 0.0][i]).abs() < 1e-12);
    }

    #[test]
    fn axes_keep_their_nodes_when_subdivided() {
        let stations = subdivide(&[0.0, 0.25, 1.0], |u| [u * 100.0, 0.0, 0.0]);
        assert_eq!(stations.len(), 7 + 19 + 1);
        assert!(stations.windows(2).all(|w| w[0].value < w[1].value));
        let on_nodes: Vec<f64> = stations.iter().filter(|s| s.part == 0.0).map(|s| s.value).collect();
        assert_eq!(on_nodes, [0.0, 0.25, 1.0]);
    }
}
