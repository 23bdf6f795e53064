//! A function sampled on a rectangular grid.

use crate::{PlotError, Result};

/// Values on the nodes of a rectangular grid; NaN where nothing is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    x: Vec<f64>,
    y: Vec<f64>,
    values: Vec<f64>,
}

impl Grid {
    /// `values[j * x.len() + i]` belongs to (`x[i]`, `y[j]`); both axes increase strictly and have at least two nodes.
    pub fn new(x: Vec<f64>, y: Vec<f64>, values: Vec<f64>) -> Result<Self> {
        for (name, axis) in [("x", &x), ("y", &y)] {
            if axis.len() < 2 || !axis.windows(2).all(|w| w[0] < w[1]) || !axis.iter().all(|v| v.is_finite())
            {
                return Err(PlotError::Data(format!(
                    "the {name} axis of a grid must have at least two finite nodes, each larger than the one before"
                )));
            }
        }
        if values.len() != x.len() * y.len() {
            return Err(PlotError::Data(format!(
                "a grid of {} x {} nodes has {} values, not {}",
                x.len(),
                y.len(),
                x.len() * y.len(),
                values.len()
            )));
        }
        Ok(Self { x, y, values })
    }

    /// Nodes along x.
    pub fn x(&self) -> &[f64] {
        &self.x
    }

    /// Nodes along y.
    pub fn y(&self) -> &[f64] {
        &self.y
    }

    /// All values, rows of constant y one after another.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The value at (`x[i]`, `y[j]`).
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.values[j * self.x.len() + i]
    }

    /// The lowest and the highest finite value.
    pub fn finite_range(&self) -> Option<(f64, f64)> {
        self.values.iter().filter(|v| v.is_finite()).fold(None, |range, &v| {
            let (low, high) = range.unwrap_or((v, v));
            Some((v.min(low), v.max(high)))
        })
    }

    /// The same nodes with `f` of every value.
    #[must_use]
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { x: self.x.clone(), y: self.y.clone(), values: self.values.iter().map(|v| f(*v)).collect() }
    }

    /// The bilinear interpolation at (`x`, `y`); NaN outside the grid and where a value it needs is NaN.
    pub fn sample(&self, x: f64, y: f64) -> f64 {
        let (Some((i, u)), Some((j, v))) = (locate(&self.x, x), locate(&self.y, y)) else {
            return f64::NAN;
        };
        let in_row = |j| mix(self.at(i, j), self.at(i + 1, j), u);
        mix(in_row(j), in_row(j + 1), v)
    }

    /// The grid with equally spaced nodes inserted in every interval, at least `nodes` along each axis.
    ///
    /// Old nodes stay, to the last bit. New values are bicubic, with slopes limited so that every value lies
    /// between those at the corners of its cell. Next to an unknown value they are linear, and inside cells
    /// with an unknown corner unknown.
    #[must_use]
    pub fn refined(&self, nodes: usize) -> Self {
        let (x, y) = (FineAxis::new(&self.x, nodes), FineAxis::new(&self.y, nodes));
        let across = transposed(&self.values, self.x.len());
        let x_first = transposed(&y.rows(&transposed(&x.rows(&self.values), x.len())), y.len());
        let y_first = x.rows(&transposed(&y.rows(&across), y.len()));
        // Limited slopes make the order of the axes matter a little: the mean prefers neither.
        let values = x_first.iter().zip(&y_first).map(|(a, b)| f64::midpoint(*a, *b)).collect();
        Self { x: x.coordinates(), y: y.coordinates(), values }
    }
}

/// An axis with nodes inserted: each is the coarse node it follows, and the fraction of the way to the next.
struct FineAxis<'a> {
    coarse: &'a [f64],
    nodes: Vec<(usize, f64)>,
}

impl<'a> FineAxis<'a> {
    fn new(coarse: &'a [f64], nodes: usize) -> Self {
        let intervals = coarse.len() - 1;
        let parts = nodes.saturating_sub(1).div_ceil(intervals).max(1);
        let mut fine = Vec::with_capacity(intervals * parts + 1);
        for (i, ends) in coarse.windows(2).enumerate() {
            fine.push((i, 0.0));
            let mut last = ends[0];
            for part in 1..parts {
                let fraction = part as f64 / parts as f64;
                let coordinate = mix(ends[0], ends[1], fraction);
                // Between neighbouring floating-point numbers there is no room.
                if last < coordinate && coordinate < ends[1] {
                    fine.push((i, fraction));
                    last = coordinate;
                }
            }
        }
        fine.push((intervals, 0.0));
        Self { coarse, nodes: fine }
    }

    fn len(&self) -> usize {
        self.nodes.len()
    }

    fn coordinates(&self) -> Vec<f64> {
        let coordinate = |&(i, u): &(usize, f64)| {
            if u > 0.0 { mix(self.coarse[i], self.coarse[i + 1], u) } else { self.coarse[i] }
        };
        self.nodes.iter().map(coordinate).collect()
    }

    /// Rows of values on the coarse nodes, interpolated onto the fine ones.
    fn rows(&self, values: &[f64]) -> Vec<f64> {
        let mut fine = Vec::with_capacity(values.len() / self.coarse.len() * self.len());
        for row in values.chunks_exact(self.coarse.len()) {
            let slopes = limited_slopes(self.coarse, row);
            fine.extend(self.nodes.iter().map(|&(i, u)| {
                if u > 0.0 {
                    let width = self.coarse[i + 1] - self.coarse[i];
                    hermite([row[i], row[i + 1]], [slopes[i] * width, slopes[i + 1] * width], u)
                } else {
                    row[i]
                }
            }));
        }
        fine
    }
}

/// Slopes at the nodes by three-point differences, limited as Fritsch and Carlson do so that the cubics between
/// are monotone; NaN where a neighbour is unknown.
fn limited_slopes(nodes: &[f64], values: &[f64]) -> Vec<f64> {
    let width = |i: usize| nodes[i + 1] - nodes[i];
    let secant = |i: usize| (values[i + 1] - values[i]) / width(i);
    let at_end = |i: usize, next: usize| {
        let (near, far) = (secant(i), secant(next));
        let slope = ((2.0 * width(i) + width(next)) * near - width(i) * far) / (width(i) + width(next));
        limited(slope, near, near)
    };
    let last = nodes.len() - 1;
    (0..=last)
        .map(|i| match i {
            _ if last == 1 => secant(0),
            0 => at_end(0, 1),
            _ if i == last => at_end(last - 1, last - 2),
            _ => {
                let (before, after) = (secant(i - 1), secant(i));
                let slope = (width(i) * before + width(i - 1) * after) / (width(i - 1) + width(i));
                limited(slope, before, after)
            }
        })
        .collect()
}

fn limited(slope: f64, before: f64, after: f64) -> f64 {
    if !slope.is_finite() {
        return f64::NAN;
    }
    let bound = 3.0 * before.abs().min(after.abs());
    if before * after > 0.0 && slope * before > 0.0 { slope.clamp(-bound, bound) } else { 0.0 }
}

/// The cubic with the given end values and rises per interval; linear where a rise is unknown.
fn hermite([a, b]: [f64; 2], [rise_a, rise_b]: [f64; 2], u: f64) -> f64 {
    if !(a.is_finite() && b.is_finite()) {
        return f64::NAN;
    }
    let v = 1.0 - u;
    let cubic = a + (b - a) * u * u * (3.0 - 2.0 * u) + u * v * (v * rise_a - u * rise_b);
    // Rounding alone may leave the interval.
    if cubic.is_finite() { cubic } else { mix(a, b, u) }.clamp(a.min(b), a.max(b))
}

/// The cell of an axis that holds `at`, and where in it.
fn locate(axis: &[f64], at: f64) -> Option<(usize, f64)> {
    if !(axis[0]..=axis[axis.len() - 1]).contains(&at) {
        return None;
    }
    let i = axis.partition_point(|node| *node <= at).clamp(1, axis.len() - 1) - 1;
    Some((i, (at - axis[i]) / (axis[i + 1] - axis[i])))
}

/// From `a` to `b`; at the ends the other value does not count, not even a NaN.
fn mix(a: f64, b: f64, u: f64) -> f64 {
    if u <= 0.0 {
        a
    } else if u >= 1.0 {
        b
    } else {
        a * (1.0 - u) + b * u
    }
}

fn transposed(values: &[f64], width: usize) -> Vec<f64> {
    let height = values.len() / width;
    (0..values.len()).map(|k| values[k % height * width + k / height]).collect()
}
