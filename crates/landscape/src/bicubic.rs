//! Interpolation on a uniform grid.

use relief_hessian::{Error, Result};

/// The tensor product of not-a-knot cubic splines through values on a uniform grid.
///
/// It reproduces polynomials of degree 3 in each variable, and its error falls with the fourth power of the spacing where
/// the values are smooth. In Hermite form, so that every cell depends on its own corners only: their values, slopes and
/// mixed slopes (de Boor 1962; the end condition is that of de Boor, "A Practical Guide to Splines", chapter IV).
///
/// Nodes without a finite value are holes. Each run of finite values along a line gets a spline of its own (a parabola
/// through three, a straight line through two), a cell with a hole at one of its corners is NaN inside, and everything
/// around it stays as smooth as elsewhere.
#[derive(Debug, Clone)]
pub struct Bicubic {
    counts: [usize; 2],
    /// Values, slopes along either axis, and mixed slopes: `tables[along_y][along_x]`, per node spacing.
    tables: [[Vec<f64>; 2]; 2],
}

impl Bicubic {
    /// Through `counts[0]` * `counts[1]` values, the first axis fastest.
    pub fn new(counts: [usize; 2], values: &[f64]) -> Result<Self> {
        if values.len() != counts[0] * counts[1] || values.is_empty() {
            return Err(Error::Input(format!(
                "a grid of {} x {} nodes needs as many values, one or more, not {}",
                counts[0],
                counts[1],
                values.len()
            )));
        }
        let along_x = slopes(counts, values, 0);
        let along_y = slopes(counts, values, 1);
        // Equal but for rounding without holes; with holes neither order of the axes is to be preferred.
        let mixed = slopes(counts, &along_x, 1)
            .iter()
            .zip(slopes(counts, &along_y, 0))
            .map(|(a, b)| f64::midpoint(*a, b))
            .collect();
        Ok(Self { counts, tables: [[values.to_vec(), along_x], [along_y, mixed]] })
    }

    /// The value at a position in spacings from the first node; at a node that node's value to the bit. NaN outside the
    /// grid and beside holes.
    pub fn at(&self, position: [f64; 2]) -> f64 {
        let inside = |axis: usize| (0.0..=(self.counts[axis] - 1) as f64).contains(&position[axis]);
        if !(inside(0) && inside(1)) {
            return f64::NAN;
        }
        let [across, up] = position.map(Basis::at);
        let entry = |dx: usize, dy: usize, i, j| self.tables[dy][dx][j * self.counts[0] + i];
        if across.fraction == 0.0 && up.fraction == 0.0 {
            return entry(0, 0, across.node, up.node);
        }
        let mut sum = 0.0;
        for (j, dy, v) in up.terms() {
            for (i, dx, u) in across.terms() {
                sum += u * v * entry(dx, dy, i, j);
            }
        }
        if sum.is_finite() { sum } else { f64::NAN }
    }
}

/// The four cubic Hermite functions of a cell along one axis.
struct Basis {
    node: usize,
    fraction: f64,
}

impl Basis {
    fn at(position: f64) -> Self {
        Self { node: position as usize, fraction: position.fract() }
    }

    /// (node, 0 for its value and 1 for its slope, weight); at a node only its own value.
    fn terms(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let (i, t) = (self.node, self.fraction);
        let s = 1.0 - t;
        let all = [
            (i, 0, s * s * (1.0 + 2.0 * t)),
            (i, 1, t * s * s),
            (i + 1, 0, t * t * (1.0 + 2.0 * s)),
            (i + 1, 1, -t * t * s),
        ];
        all.into_iter().take(if t == 0.0 { 1 } else { 4 })
    }
}

/// Slopes along one axis at every node, per spacing; NaN where no neighbour along it is finite.
fn slopes(counts: [usize; 2], values: &[f64], axis: usize) -> Vec<f64> {
    let (step, across) = if axis == 0 { (1, counts[0]) } else { (counts[0], 1) };
    let mut out = vec![f64::NAN; values.len()];
    for line in 0..counts[1 - axis] {
        let node = |k: usize| line * across + k * step;
        let mut start = 0;
        while start < counts[axis] {
            let run: Vec<f64> =
                (start..counts[axis]).map(|k| values[node(k)]).take_while(|v| v.is_finite()).collect();
            spline_slopes(&run).iter().enumerate().for_each(|(k, slope)| out[node(start + k)] = *slope);
            start += run.len() + 1;
        }
    }
    out
}

/// Slopes of the not-a-knot cubic spline through values at unit spacing.
fn spline_slopes(f: &[f64]) -> Vec<f64> {
    let n = f.len();
    match n {
        0 => vec![],
        1 => vec![f64::NAN],
        2 => vec![f[1] - f[0]; 2],
        3 => vec![
            2.0 * (f[1] - f[0]) - 0.5 * (f[2] - f[0]),
            0.5 * (f[2] - f[0]),
            2.0 * (f[2] - f[1]) - 0.5 * (f[2] - f[0]),
        ],
        _ => {
            // d0 + 2 d1 at either end, d(k-1) + 4 dk + d(k+1) between: continuous second derivatives, and third ones
            // at the last nodes but one.
            let end = |a: f64, b: f64, c: f64| 2.5 * (b - a) + 0.5 * (c - b);
            let mut d: Vec<f64> = (0..n)
                .map(|k| match k {
                    0 => end(f[0], f[1], f[2]),
                    k if k == n - 1 => -end(f[n - 1], f[n - 2], f[n - 3]),
                    k => 3.0 * (f[k + 1] - f[k - 1]),
                })
                .collect();
            let mut upper = vec![2.0; n];
            for k in 1..n {
                let (lower, diagonal) = if k == n - 1 { (2.0, 1.0) } else { (1.0, 4.0) };
                let pivot = diagonal - lower * upper[k - 1];
                upper[k] = 1.0 / pivot;
                d[k] = (d[k] - lower * d[k - 1]) / pivot;
            }
            for k in (0..n - 1).rev() {
                d[k] -= upper[k] * d[k + 1];
            }
            d
        }
    }
}
