//! The cross-entropy of every row of logits against its label.

use candle_core::Tensor;

use super::rows::{less, marker, of_rows, product, widened};
use super::selection::Pick;
use super::softmax::{self, add_first, add_second, covariance, softmax};
use crate::error::shape;
use crate::host::{Host, for_real, tensor};
use crate::kernels::Real;
use crate::kernels::rows::{each_row, totals, widen};
use crate::rule::{Linear, RowWise};
use crate::{Error, Result, Value, device, pointwise};

/// log-sum-exp(x) - t'x for logits x [n, c] and integer labels `[n]`, in f64, with the target t = (1 - s) at the label + s / c.
///
/// Its gradient is y - t with y the softmax of x, so that higher derivatives are the softmax's.
#[derive(Debug)]
struct CrossEntropy {
    smoothing: f64,
    from: [usize; 2],
}

impl CrossEntropy {
    /// What belongs to the label of each row: the probabilities' place in the flattened rows.
    fn pick(&self) -> Pick {
        Pick { from: self.from }
    }

    /// t'(u - shift) of one row.
    #[inline(always)]
    fn at_target<T: Real>(&self, u: &[T], label: usize, shift: f64) -> f64 {
        let at_label = (1.0 - self.smoothing) * (u[label].into() - shift);
        if self.smoothing == 0.0 {
            // An infinite logit elsewhere must not become 0 * infinity.
            return at_label;
        }
        let [sum] = totals(u, [] as [&[T]; 0], |u, []| [u - shift]);
        at_label + self.smoothing / u.len() as f64 * sum
    }

    /// t'u of all rows of u [n, c], as whole-tensor operations.
    fn composed_at_target(&self, u: &Tensor, places: &Tensor) -> Result<Tensor> {
        let [n, c] = self.from;
        let at_label = pointwise::times(1.0 - self.smoothing, &self.pick().apply(&[Some(u)], Some(places))?)?;
        if self.smoothing == 0.0 {
            return Ok(at_label);
        }
        let sums = of_rows(n, c).reduce(u)?.reshape(n)?;
        pointwise::plus(&at_label, &pointwise::times(self.smoothing / c as f64, &sums)?)
    }

    fn composed_value(&self, x: &Tensor, places: &Tensor) -> Result<(Tensor, Tensor)> {
        let rows = of_rows(self.from[0], self.from[1]);
        let shifted = less(&rows, x, &x.max_keepdim(1)?)?;
        let (y, sums) = softmax::composed(&shifted, &rows)?;
        let logs = pointwise::map(&super::functions::Log, 0, &sums)?.reshape(self.from[0])?;
        let at_target = self.composed_at_target(&shifted, places)?;
        Ok((pointwise::plus(&logs, &pointwise::times(-1.0, &at_target)?)?, y))
    }

    fn composed_tangent(&self, y: &Tensor, places: &Tensor, term: &[&Tensor]) -> Result<Tensor> {
        let rows = of_rows(self.from[0], self.from[1]);
        let wide = term.iter().map(|u| widened(u)).collect::<Result<Vec<_>>>()?;
        match wide.as_slice() {
            [u] => {
                let mean = rows.reduce_product(y, u)?.reshape(self.from[0])?;
                pointwise::plus(&mean, &pointwise::times(-1.0, &self.composed_at_target(u, places)?)?)
            }
            [_, _] => {
                let centred = softmax::composed_centred(y, &wide, &rows)?;
                Ok(rows.reduce_product(y, &product(&centred[0], &centred[1])?)?.reshape(self.from[0])?)
            }
            _ => Err(terms_error()),
        }
    }

    fn composed_cotangent(&self, y: &Tensor, places: &Tensor, term: &[&Tensor]) -> Result<Tensor> {
        let [n, c] = self.from;
        let rows = of_rows(n, c);
        let [g, vectors @ ..] = term else { return Err(terms_error()) };
        let g = g.contiguous()?;
        let column = g.reshape((n, 1))?;
        if !vectors.is_empty() {
            let wide = vectors.iter().map(|u| widened(u)).collect::<Result<Vec<_>>>()?;
            return rows.multiply(&softmax::composed_derivative(y, &wide, &rows)?, &column);
        }
        let at_label = self.pick().adjoint(0, &pointwise::times(self.smoothing - 1.0, &g)?, Some(places))?;
        let sum = pointwise::plus(&rows.multiply(y, &column)?, &at_label)?;
        if self.smoothing == 0.0 {
            return Ok(sum);
        }
        rows.add(&sum, &pointwise::times(-self.smoothing / c as f64, &column)?)
    }
}

fn terms_error() -> Error {
    shape("cross_entropy", "no derivative of this order")
}

impl RowWise for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn value(&self, arguments: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let x = arguments[0].contiguous()?;
        let places = self.pick().fix(arguments)?.ok_or_else(terms_error)?;
        if device::holds(&x) {
            let (losses, y) = self.composed_value(&widened(&x)?, &places)?;
            return Ok((losses, vec![y, places, marker(&x)?]));
        }
        let [n, c] = self.from;
        let (y, losses) = for_real!("cross_entropy", x, T => {
            let (host, places) = (Host::open("cross_entropy", &x)?, Host::open("cross_entropy", &places)?);
            let (entries, places) = (host.slice::<T>()?, places.slice::<u32>()?);
            Ok::<_, Error>(each_row(
                n,
                c,
                #[inline(always)]
                |i, y: &mut [f64]| {
                    let x = &entries[i * c..][..c];
                    widen(x, y);
                    let (largest, sum) = softmax(y);
                    sum.ln() - self.at_target(x, places[i] as usize - i * c, largest)
                },
            ))
        })?;
        Ok((tensor(losses, &[n])?, vec![tensor(y, &self.from)?, places, marker(&x)?]))
    }

    fn tangent(&self, kept: &[Tensor], terms: &[&[&Tensor]]) -> Result<Tensor> {
        let [y, places, _] = kept else { return Err(terms_error()) };
        let [n, c] = self.from;
        let mut sum = None;
        for term in terms {
            if device::holds(y) {
                pointwise::add(&mut sum, self.composed_tangent(y, places, term)?)?;
                continue;
            }
            let packed = term.iter().map(|u| Ok(u.contiguous()?)).collect::<Result<Vec<_>>>()?;
            let open = |t| Host::open("cross_entropy", t);
            let (y, places) = (open(y)?, open(places)?);
            let (y, places) = (y.slice::<f64>()?, places.slice::<u32>()?);
            let part = for_real!("cross_entropy", packed[0], T => {
                let hosts = packed.iter().map(open).collect::<Result<Vec<_>>>()?;
                let slices = hosts.iter().map(Host::slice::<T>).collect::<Result<Vec<_>>>()?;
                let (part, _) = each_row(
                    n,
                    1,
                    #[inline(always)]
                    |i, out: &mut [f64]| {
                        let row = i * c..(i + 1) * c;
                        let y = &y[row.clone()];
                        out[0] = if let [u, v] = slices[..] {
                            covariance(y, [u, v].map(|u| &u[row.clone()])).0
                        } else {
                            let u = &slices[0][row];
                            softmax::mean(y, u) - self.at_target(u, places[i] as usize - i * c, 0.0)
                        };
                        0.0
                    },
                );
                tensor(part, &[n])
            })?;
            pointwise::add(&mut sum, part)?;
        }
        sum.ok_or_else(terms_error)
    }

    fn cotangent(&self, kept: &[Tensor], terms: &[&[&Tensor]]) -> Result<Tensor> {
        let [y, places, marker] = kept else { return Err(terms_error()) };
        let [n, c] = self.from;
        let mut sum = None;
        for term in terms {
            if device::holds(y) {
                let part = self.composed_cotangent(y, places, term)?.to_dtype(marker.dtype())?;
                pointwise::add(&mut sum, part)?;
                continue;
            }
            let packed = term.iter().map(|u| Ok(u.contiguous()?)).collect::<Result<Vec<_>>>()?;
            let open = |t| Host::open("cross_entropy", t);
            let (y, places, g) = (open(y)?, open(places)?, open(&packed[0])?);
            let (y, places, g) = (y.slice::<f64>()?, places.slice::<u32>()?, g.slice::<f64>()?);
            let part = for_real!("cross_entropy", marker, T => {
                let hosts = packed[1..].iter().map(open).collect::<Result<Vec<_>>>()?;
                let slices = hosts.iter().map(Host::slice::<T>).collect::<Result<Vec<_>>>()?;
                let (part, _) = each_row(
                    n,
                    c,
                    #[inline(always)]
                    |i, out: &mut [T]| {
                        let row = i * c..(i + 1) * c;
                        let (y, g) = (&y[row.clone()], g[i]);
                        match slices[..] {
                            [u] => add_first(g, y, &u[row], out),
                            [u, v] => add_second(g, y, [u, v].map(|u| &u[row.clone()]), out),
                            _ => self.write_gradient(g, y, places[i] as usize - i * c, out),
                        }
                        0.0
                    },
                );
                tensor(part, &self.from)
            })?;
            pointwise::add(&mut sum, part)?;
        }
        sum.ok_or_else(terms_error)
    }
}

impl CrossEntropy {
    /// g (y - t).
    #[inline(always)]
    fn write_gradient<T: Real>(&self, g: f64, y: &[f64], label: usize, out: &mut [T]) {
        let everywhere = self.smoothing / y.len() as f64;
        for (o, &y) in out.iter_mut().zip(y) {
            *o = T::round_from(g * (y - everywhere));
        }
        out[label] = T::round_from(g * (y[label] - everywhere - (1.0 - self.smoothing)));
    }
}

impl Value {
    /// The cross-entropy of every row of logits [n, c] against integer labels `[n]`, in nats and f64: `[n]`.
    pub(super) fn cross_entropies(&self, labels: &Value, smoothing: f64) -> Result<Value> {
        let &[n, c] = self.dims() else {
            let problem = format!("logits must be [n, classes], found shape {:?}", self.dims());
            return Err(shape("cross_entropy", problem));
        };
        if labels.dims() != [n] {
            let problem = format!("{n} rows need {n} labels, found shape {:?}", labels.dims());
            return Err(shape("cross_entropy", problem));
        }
        Ok(self.builder.row_wise(CrossEntropy { smoothing, from: [n, c] }, &[self, labels], &[n]))
    }
}
