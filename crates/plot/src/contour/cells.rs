//! The outline of a region, cell by cell.

use crate::Grid;

/// A vertex of an outline. It is told by integers, so that what coordinates round to decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Vertex {
    /// A node of the grid.
    Node(usize),
    /// The crossing between a node and its neighbour along x.
    AlongX(usize),
    /// The crossing between a node and its neighbour along y.
    AlongY(usize),
}

impl Vertex {
    pub(super) fn is_crossing(self) -> bool {
        !matches!(self, Self::Node(_))
    }
}

/// A piece of an outline inside or along a cell; the region lies on its left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    pub(super) from: Vertex,
    pub(super) cell: usize,
    pub(super) to: Vertex,
}

/// The cells a region may lie in, and the nodes inside it.
pub(super) struct Cells<'a> {
    grid: &'a Grid,
    level: f64,
    chosen: Vec<bool>,
    inside: Vec<bool>,
}

impl<'a> Cells<'a> {
    /// Cells with four finite corners, nodes with at least `level`.
    pub(super) fn known(grid: &'a Grid, level: f64) -> Self {
        let inside = grid.values().iter().map(|v| *v >= level).collect();
        Self { grid, level, chosen: known(grid), inside }
    }

    /// All of the other cells.
    pub(super) fn unknown(grid: &'a Grid) -> Self {
        let chosen = known(grid).into_iter().map(|known| !known).collect();
        Self { grid, level: f64::NEG_INFINITY, chosen, inside: vec![true; grid.values().len()] }
    }

    /// All pieces of the region's outline: the level's crossings of cells, and the sides of cells inside the
    /// region next to which no cell is chosen.
    pub(super) fn outline(&self) -> Vec<Step> {
        let (nx, ny) = (self.grid.x().len(), self.grid.y().len());
        let mut steps = Vec::new();
        for cell in (0..self.chosen.len()).filter(|cell| self.chosen[*cell]) {
            let (i, j) = (cell % (nx - 1), cell / (nx - 1));
            // Corners counter-clockwise, and the sides that begin at them.
            let nodes = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)].map(|(i, j)| j * nx + i);
            let crossings = [
                Vertex::AlongX(nodes[0]),
                Vertex::AlongY(nodes[1]),
                Vertex::AlongX(nodes[3]),
                Vertex::AlongY(nodes[0]),
            ];
            let open = [
                j == 0 || !self.chosen[cell + 1 - nx],
                i + 2 == nx || !self.chosen[cell + 1],
                j + 2 == ny || !self.chosen[cell + nx - 1],
                i == 0 || !self.chosen[cell - 1],
            ];
            let inside = nodes.map(|node| self.inside[node]);
            let mut step = |from, to| steps.push(Step { from, cell, to });
            for side in 0..4 {
                let next = (side + 1) % 4;
                let (from, to) = (Vertex::Node(nodes[side]), Vertex::Node(nodes[next]));
                match (inside[side], inside[next]) {
                    (true, true) if open[side] => step(from, to),
                    (true, false) => {
                        if open[side] {
                            step(from, crossings[side]);
                        }
                        step(crossings[side], crossings[self.way_back(nodes, inside, side)]);
                    }
                    (false, true) if open[side] => step(crossings[side], to),
                    _ => {}
                }
            }
        }
        steps
    }

    /// The side at which an outline that leaves a cell's border at side `out` comes back to it.
    fn way_back(&self, nodes: [usize; 4], inside: [bool; 4], out: usize) -> usize {
        let saddle = inside[0] == inside[2] && inside[1] == inside[3];
        if saddle && nodes.iter().map(|node| 0.25 * self.grid.values()[*node]).sum::<f64>() < self.level {
            // Outside in the middle: back round the same corner.
            return (out + 3) % 4;
        }
        let mut sides = (1..4).map(|ahead| (out + ahead) % 4);
        sides
            .find(|side| !inside[*side] && inside[(side + 1) % 4])
            .expect("who leaves a closed region enters it again")
    }

    /// Whether vertices lie on one line of the grid.
    pub(super) fn share_grid_line(&self, vertices: [Vertex; 3]) -> bool {
        let nx = self.grid.x().len();
        let column = |v: &Vertex| match v {
            Vertex::Node(node) | Vertex::AlongY(node) => Some(node % nx),
            Vertex::AlongX(_) => None,
        };
        let row = |v: &Vertex| match v {
            Vertex::Node(node) | Vertex::AlongX(node) => Some(node / nx),
            Vertex::AlongY(_) => None,
        };
        let agree =
            |lines: [Option<usize>; 3]| lines[0].is_some() && lines.iter().all(|line| *line == lines[0]);
        agree(vertices.each_ref().map(column)) || agree(vertices.each_ref().map(row))
    }

    /// The coordinates of a vertex.
    pub(super) fn place(&self, vertex: Vertex) -> [f64; 2] {
        let (x, y, values) = (self.grid.x(), self.grid.y(), self.grid.values());
        let nx = x.len();
        match vertex {
            Vertex::Node(n) => [x[n % nx], y[n / nx]],
            Vertex::AlongX(n) => {
                let i = n % nx;
                [crossing([x[i], x[i + 1]], [values[n], values[n + 1]], self.level), y[n / nx]]
            }
            Vertex::AlongY(n) => {
                let j = n / nx;
                [x[n % nx], crossing([y[j], y[j + 1]], [values[n], values[n + nx]], self.level)]
            }
        }
    }
}

/// For every cell, row by row, whether its four corners are finite.
fn known(grid: &Grid) -> Vec<bool> {
    let (nx, ny) = (grid.x().len(), grid.y().len());
    let finite = |i, j| grid.at(i, j).is_finite();
    (0..(nx - 1) * (ny - 1))
        .map(|cell| (cell % (nx - 1), cell / (nx - 1)))
        .map(|(i, j)| finite(i, j) && finite(i + 1, j) && finite(i, j + 1) && finite(i + 1, j + 1))
        .collect()
}

/// Where the straight line through two values reaches the level, seen from the end that is nearer to it.
fn crossing([start, end]: [f64; 2], [a, b]: [f64; 2], level: f64) -> f64 {
    // Differences of the largest numbers overflow.
    let scale = if (b - a).is_finite() { 1.0 } else { 0.5 };
    let [a, b, level] = [a, b, level].map(|v| scale * v);
    let width = end - start;
    let place = if (level - a).abs() <= (b - level).abs() {
        start + (level - a) / (b - a) * width
    } else {
        end - (b - level) / (b - a) * width
    };
    place.clamp(start, end)
}
