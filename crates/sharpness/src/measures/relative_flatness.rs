//! Relative flatness of a layer.

use std::ops::Range;

use relief_hessian::{
    Error, Lanczos, Parameters, Restricted, Result, Sampling, Silent, SymmetricOperator, Trace, Wanted,
};
use serde::{Deserialize, Serialize};

use super::measure::{Cost, Invariance, Measure, Uncertainty};
use super::spectral::{done, estimate, search};

/// kappa = sum over rows s, s' of W of <`w_s`, `w_s'`> tr H(s, s'), with H(s, s') the block of the Hessian between two rows
/// (Petzka et al. 2021). Rows belong to the layer's units; kernels of a convolution count as rows.
///
/// With W = L Q, Q of orthonormal rows, kappa is the trace of Z -> L' H(L Z), which is estimated as any trace is: exactly
/// where that is cheaper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelativeFlatness {
    /// The name of the weight matrix.
    pub layer: String,
    /// How many products, and which.
    #[serde(default)]
    pub sampling: Sampling,
}

impl RelativeFlatness {
    /// The matrix is that of second derivatives at the point. The layer must have two dimensions or more.
    pub fn measure(&self, hessian: &dyn SymmetricOperator, at: &Parameters) -> Result<Measure> {
        let layer = Layer::new(&self.layer, hessian, at)?;
        let name = format!("relative-flatness {}", self.layer);
        let definition = "sum over rows s, s' of the layer's W of <w_s, w_s'> tr H(s, s')";
        if layer.rank == 0 {
            let uncertainty = Uncertainty::Exact;
            return Ok(Measure::new(name, definition, 0.0, uncertainty, Invariance::Rescaling));
        }
        let settings = Trace { sampling: self.sampling.clone(), ..Trace::default() };
        let found = done(settings.run(&layer, &mut Silent)?)?;
        Ok(estimate(
            (&name, definition, Invariance::Rescaling),
            (found.value, found.error_estimate),
            found.status,
            found.products,
        ))
    }
}

/// `kappa_max` = sum over rows s of W of |`w_s`|^2 `lambda_max`(H(s, s)), from one search for every unit (Petzka et al. 2021, the
/// variant of single neurons). Of the settings, `wanted` is replaced. A unit without weights adds nothing.
pub fn unit_flatness(
    layer: &str,
    hessian: &dyn SymmetricOperator,
    at: &Parameters,
    settings: &Lanczos,
) -> Result<Measure> {
    let Layer { range, rows, columns, .. } = Layer::new(layer, hessian, at)?;
    let weights = at.to_vec()?[range.clone()].to_vec();
    let (mut value, mut size, mut products, mut remedy) = (0.0, 0.0, 0, None);
    for s in 0..rows {
        let square: f64 = weights[s * columns..(s + 1) * columns].iter().map(|w| w * w).sum();
        if square == 0.0 {
            continue;
        }
        let row = range.start + s * columns..range.start + (s + 1) * columns;
        let block = Restricted::new(hessian, vec![row])?;
        let found = search(&block, &Lanczos { wanted: Wanted::Largest { k: 1 }, ..settings.clone() })?;
        let top = &found.largest[0];
        value += square * top.value;
        size += square * top.error_bound;
        products += found.products;
        remedy = remedy.or(found.status.remedy().filter(|_| !top.converged));
    }
    let measure = Measure::new(
        format!("unit-flatness {layer}"),
        "sum over rows s of the layer's W of |w_s|^2 lambda-max(H(s, s))",
        value,
        Uncertainty::Bound { size },
        Invariance::Rescaling,
    );
    Ok(measure.with_cost(Cost::products(products)).with_remedy(remedy))
}

/// Z -> L' H(L Z) on the rows of one layer.
struct Layer<'h> {
    hessian: &'h dyn SymmetricOperator,
    range: Range<usize>,
    rows: usize,
    columns: usize,
    /// L, row by row.
    factor: Vec<f64>,
    /// Columns of L.
    rank: usize,
}

impl<'h> Layer<'h> {
    fn new(name: &str, hessian: &'h dyn SymmetricOperator, at: &Parameters) -> Result<Self> {
        let found = at.ranges().into_iter().zip(at.tensors()).find(|((other, _), _)| *other == name);
        let Some(((_, range), tensor)) = found.filter(|(_, tensor)| tensor.rank() >= 2) else {
            let matrices: Vec<&str> =
                at.iter().filter(|(_, t)| t.rank() >= 2).map(|(name, _)| name).take(5).collect();
            return Err(Error::Input(format!(
                "there is no weight matrix `{name}`: the first ones are {}",
                matrices.join(", ")
            )));
        };
        if hessian.dim() != at.len() {
            return Err(Error::Input(format!(
                "the matrix has {} rows, but there are {} parameters",
                hessian.dim(),
                at.len()
            )));
        }
        let rows = tensor.dims()[0];
        let columns = range.len() / rows.max(1);
        let weights = at.to_vec()?[range.clone()].to_vec();
        let (factor, rank) = lower_factor(&weights, rows, columns);
        Ok(Self { hessian, range, rows, columns, factor, rank })
    }
}

/// L of W = L Q by Gram-Schmidt on the rows: [rows, rank], and the rank.
fn lower_factor(weights: &[f64], rows: usize, columns: usize) -> (Vec<f64>, usize) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut basis: Vec<Vec<f64>> = vec![];
    let mut coefficients: Vec<Vec<f64>> = vec![];
    for row in weights.chunks_exact(columns.max(1)) {
        let mut rest = row.to_vec();
        let mut along = vec![0.0; basis.len()];
        for _ in 0..2 {
            for (c, q) in along.iter_mut().zip(&basis) {
                let more = dot(q, &rest);
                *c += more;
                rest.iter_mut().zip(q).for_each(|(x, q)| *x -= more * q);
            }
        }
        let (length, whole) = (dot(&rest, &rest).sqrt(), dot(row, row).sqrt());
        // Below this a row adds nothing but rounding.
        if length > 1e-13 * whole && basis.len() < columns {
            along.push(length);
            basis.push(rest.iter().map(|x| x / length).collect());
        }
        coefficients.push(along);
    }
    let rank = basis.len();
    let mut factor = vec![0.0; rows * rank];
    for (s, along) in coefficients.iter().enumerate() {
        factor[s * rank..s * rank + along.len()].copy_from_slice(along);
    }
    (factor, rank)
}

impl SymmetricOperator for Layer<'_> {
    fn dim(&self) -> usize {
        self.rank * self.columns
    }

    fn apply(&self, z: &[f64], y: &mut [f64]) -> Result<()> {
        let n = self.hessian.dim();
        let (mut whole, mut product) = (vec![0.0; n], vec![0.0; n]);
        let inside = &mut whole[self.range.clone()];
        for s in 0..self.rows {
            for k in 0..self.rank {
                let l = self.factor[s * self.rank + k];
                let row = &mut inside[s * self.columns..(s + 1) * self.columns];
                row.iter_mut().zip(&z[k * self.columns..]).for_each(|(x, z)| *x += l * z);
            }
        }
        self.hessian.apply(&whole, &mut product)?;
        let inside = &product[self.range.clone()];
        y.fill(0.0);
        for s in 0..self.rows {
            for k in 0..self.rank {
                let l = self.factor[s * self.rank + k];
                let row = &inside[s * self.columns..(s + 1) * self.columns];
                y[k * self.columns..].iter_mut().zip(row).for_each(|(y, p)| *y += l * p);
            }
        }
        Ok(())
    }
}
