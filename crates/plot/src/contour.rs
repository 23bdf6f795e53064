//! Iso-lines of a sampled function, and the regions between them.

mod cells;
mod join;
#[cfg(test)]
mod tests;

use cells::{Cells, Vertex};
use join::Chain;

use crate::Grid;

/// A piece of a line along which a function has one value; higher values lie on its left where y grows upwards.
#[derive(Debug, Clone, PartialEq)]
pub struct IsoLine {
    /// Its vertices. None equals its neighbour.
    pub points: Vec<[f64; 2]>,
    /// Whether the last vertex is joined to the first.
    pub closed: bool,
}

/// The lines along which the function has the value `level`, by marching squares.
///
/// Vertices lie on the edges of the grid, where linear interpolation gives the level. Values equal to the level
/// count as above it. A cell with all four crossings is decided by its mean, and one with a corner that is not
/// finite has no line.
pub fn iso_lines(grid: &Grid, level: f64) -> Vec<IsoLine> {
    let cells = Cells::known(grid, level);
    let crossings =
        cells.outline().into_iter().filter(|step| step.from.is_crossing() && step.to.is_crossing());
    let chains = join::join(crossings.collect()).into_iter();
    chains
        .filter_map(|Chain { vertices, closed }| {
            let points = places(&cells, &vertices, closed);
            // Round a lone node on the level nothing is left, round two neighbours the line between them.
            (points.len() > 1).then_some(IsoLine { closed: closed && points.len() > 2, points })
        })
        .collect()
}

/// Closed rings around where the function is at least `level`, to be filled by the even-odd rule.
///
/// Inside cells they follow [`iso_lines`]; cells with a corner that is not finite are left out.
pub(crate) fn region_above(grid: &Grid, level: f64) -> Vec<Vec<[f64; 2]>> {
    rings(&Cells::known(grid, level))
}

/// Closed rings around the cells with a corner that is not finite, to be filled by the even-odd rule.
pub(crate) fn unknown_region(grid: &Grid) -> Vec<Vec<[f64; 2]>> {
    rings(&Cells::unknown(grid))
}

fn rings(cells: &Cells) -> Vec<Vec<[f64; 2]>> {
    let chains = join::join(cells.outline()).into_iter();
    chains
        .map(|Chain { vertices, .. }| places(cells, &corners(cells, &vertices), true))
        .filter(|ring| ring.len() > 2)
        .collect()
}

/// A ring's vertices without the nodes that it passes straight along a grid line.
fn corners(cells: &Cells, ring: &[Vertex]) -> Vec<Vertex> {
    let n = ring.len();
    let is_corner = |k: &usize| {
        let [before, at, after] = [(k + n - 1) % n, *k, (k + 1) % n].map(|k| ring[k]);
        at.is_crossing() || !cells.share_grid_line([before, at, after])
    };
    (0..n).filter(is_corner).map(|k| ring[k]).collect()
}

/// Where vertices lie; of neighbours at the same place, as crossings at a node on the level are, one stays.
fn places(cells: &Cells, vertices: &[Vertex], closed: bool) -> Vec<[f64; 2]> {
    let mut points: Vec<[f64; 2]> = vertices.iter().map(|v| cells.place(*v)).collect();
    points.dedup();
    while closed && points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    points
}
