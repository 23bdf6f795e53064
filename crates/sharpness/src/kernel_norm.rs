//! The kernel norm, which says when the noise of mini-batches destabilises what gradient descent would not.

use relief_hessian::{
    Control, Curvature, Deflated, Error, Lanczos, MissedCopies, Observer, Outcome, Progress, Result,
    SpectralDensity, SpectrumObserver, SpectrumOutcome, SpectrumProgress, SymmetricOperator, Wanted,
};
use serde::{Deserialize, Serialize};

/// How the kernel norm K = eta (1/B - 1/N) / C `sum_a` `lambda_a` / (2 - eta `lambda_a`) is computed: for SGD with step size eta on
/// mini-batches of B of N examples with C outputs each, and `lambda_a` the eigenvalues of the Gauss-Newton matrix.
///
/// With momentum mu, eta lambda / (2 - eta lambda) becomes eta lambda / (1 - mu) (1 + mu) / (2 (1 + mu) - eta lambda), what a unit
/// of noise leaves behind in all steps that follow, squared and summed; with Nesterov's momentum correspondingly.
///
/// For a model that is linear in its parameters, with half the squared error, |residuals|^2 decays on average as long as
/// eta `lambda_1` < 2 and K < 1, and grows beyond; K is infinite from eta `lambda_1` = 2 on. The eigenvectors are taken to be spread
/// over the examples (Agarwala & Pennington 2024 have a stochastic edge of stability of this kind; the formula is
/// derived from the mean squares of the residuals' components, and holds in simulations). For other losses the Gauss-Newton
/// matrix has the loss's curvature in it, and K says how the quadratic model of the loss behaves.
///
/// With up to [`exact_up_to`](Self::exact_up_to) parameters the eigenvalues are those of the explicit matrix. Beyond, the largest
/// are found one by one, and stochastic Lanczos quadrature estimates the sum over the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelNorm {
    /// Parameters up to which the matrix is made explicit, one product for each.
    pub exact_up_to: usize,
    /// Eigenvalues that are found one by one.
    pub top: usize,
    /// Random vectors for the others.
    pub probes: usize,
    /// Products for each of them.
    pub steps: usize,
}

impl Default for KernelNorm {
    fn default() -> Self {
        Self { exact_up_to: 512, top: 16, probes: 8, steps: 24 }
    }
}

/// How SGD goes, and on mini-batches of which size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Step size eta.
    pub eta: f64,
    /// Factor mu of the momentum.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// Examples of a mini-batch B.
    pub batch: usize,
    /// Examples in all, N.
    pub examples: usize,
}

/// A kernel norm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeasuredKernelNorm {
    /// K; infinite where the largest eigenvalue is at the edge of stability without noise or beyond.
    pub value: f64,
    /// Its standard error over the random vectors; none where it is exact or infinite.
    pub standard_error: Option<f64>,
    /// The largest eigenvalue of the Gauss-Newton matrix, without weight decay.
    pub largest: f64,
    /// Outputs of an example, C.
    pub outputs: usize,
    /// Products over all examples.
    pub products: usize,
}

/// K from all eigenvalues; infinite where the largest is at the edge of gradient descent with this momentum or beyond.
pub fn kernel_norm(eigenvalues: &[f64], sgd: Sgd, outputs: usize) -> f64 {
    let sum: f64 = eigenvalues.iter().map(|&lambda| sgd.response(lambda)).sum();
    sgd.factor(outputs) * sum
}

impl Sgd {
    /// x^2 times the sum of all squares of what a unit of noise in one step leaves in this direction, x = eta lambda: without
    /// momentum x / (2 - x). A negative eigenvalue, rounding of 0, does not enter.
    ///
    /// The sum is the variance of an autoregression of order 2; with Nesterov's momentum the noise of the step before enters too.
    fn response(&self, lambda: f64) -> f64 {
        let (x, mu) = ((self.eta * lambda).max(0.0), self.momentum);
        let (ahead, shrunk) = if self.nesterov { (mu, mu * (1.0 - x)) } else { (0.0, mu) };
        let left = 2.0 * (1.0 + mu) - x * (1.0 + 2.0 * ahead);
        if left <= 0.0 {
            return f64::INFINITY;
        }
        let variance = x * (1.0 + shrunk) / ((1.0 - shrunk) * left);
        // Neighbours' correlation, which the noise of two steps at once brings in.
        let correlation = (1.0 + mu) * (1.0 - x) / (1.0 + shrunk);
        let weights = (1.0 + ahead).powi(2) + ahead.powi(2) - 2.0 * ahead * (1.0 + ahead) * correlation;
        variance * weights
    }

    fn factor(&self, outputs: usize) -> f64 {
        (1.0 / self.batch as f64 - 1.0 / self.examples as f64) / outputs as f64
    }
}

impl KernelNorm {
    /// K at the point of `curvature`, which is of the loss over all examples. Random numbers follow from the seed; the observer is told of
    /// products, and may stop.
    pub fn run(
        &self,
        curvature: &Curvature<'_>,
        sgd: Sgd,
        (tolerance, unit_roundoff, seed): (f64, f64, u64),
        observer: &mut dyn Observer,
    ) -> Result<Outcome<MeasuredKernelNorm, ()>> {
        if sgd.batch == 0 || sgd.batch > sgd.examples {
            return Err(Error::Input(format!(
                "mini-batches of {} examples cannot be drawn from {}: give at least 1 and at most that many",
                sgd.batch, sgd.examples
            )));
        }
        let outputs = outputs(curvature)?;
        let decay = curvature.objective().weight_decay();
        let matrix = curvature.gauss_newton();
        let n = matrix.dim();
        let scale = sgd.factor(outputs);
        if n <= self.exact_up_to {
            let values: Vec<f64> = explicit(&matrix)?.iter().map(|x| x - decay).collect();
            let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let value = kernel_norm(&values, sgd, outputs);
            return Ok(Outcome::Done(MeasuredKernelNorm {
                value,
                standard_error: None,
                largest,
                outputs,
                products: n,
            }));
        }
        let solver = Lanczos {
            wanted: Wanted::Largest { k: self.top.clamp(1, n) },
            tolerance,
            unit_roundoff,
            check: MissedCopies::Auto,
            seed,
            ..Lanczos::default()
        };
        let Outcome::Done(eigen) = solver.run(&matrix, None, observer)? else {
            return Ok(Outcome::Interrupted(()));
        };
        let mut products = eigen.products;
        let known: Vec<f64> = eigen.largest.iter().map(|pair| pair.value - decay).collect();
        let largest = known.first().copied().unwrap_or(0.0);
        let found: f64 = known.iter().map(|&lambda| sgd.response(lambda)).sum();
        if !found.is_finite() {
            let value = f64::INFINITY;
            return Ok(Outcome::Done(MeasuredKernelNorm {
                value,
                standard_error: None,
                largest,
                outputs,
                products,
            }));
        }
        let rest = Deflated::new(&matrix, eigen.vectors)?;
        let density = SpectralDensity {
            probes: Some(self.probes.max(2)),
            steps: Some(self.steps.clamp(1, n)),
            seed,
            unit_roundoff,
            ..SpectralDensity::default()
        };
        let mut told = Told { observer, before: products };
        let SpectrumOutcome::Done(spectrum) = density.run(&rest, &mut told)? else {
            return Ok(Outcome::Interrupted(()));
        };
        products += spectrum.products;
        let sums: Vec<f64> = spectrum
            .probes
            .iter()
            .map(|probe| {
                let terms = probe.values.iter().zip(&probe.weights);
                // Deflated directions are eigenvectors of the eigenvalue 0, where weight decay must not be taken off again.
                n as f64 * terms.map(|(x, w)| w * sgd.response((x - decay).max(0.0))).sum::<f64>()
            })
            .collect();
        let count = sums.len() as f64;
        let mean = sums.iter().sum::<f64>() / count;
        let squares: f64 = sums.iter().map(|s| (s - mean).powi(2)).sum();
        Ok(Outcome::Done(MeasuredKernelNorm {
            value: scale * (found + mean),
            standard_error: Some(scale * (squares / (count - 1.0) / count).sqrt()),
            largest,
            outputs,
            products,
        }))
    }
}

/// All eigenvalues of an operator, by its explicit matrix.
fn explicit(operator: &dyn SymmetricOperator) -> Result<Vec<f64>> {
    let n = operator.dim();
    let mut columns: Vec<Vec<f64>> = vec![];
    for i in 0..n {
        let mut unit = vec![0.0; n];
        unit[i] = 1.0;
        let mut column = vec![0.0; n];
        operator.apply(&unit, &mut column)?;
        columns.push(column);
    }
    if columns.iter().flatten().any(|x| !x.is_finite()) {
        return Err(Error::NonFinite("the Gauss-Newton matrix has an entry that is not finite".into()));
    }
    let matrix = faer::Mat::from_fn(n, n, |i, j| columns[i.min(j)][i.max(j)]);
    matrix
        .self_adjoint_eigenvalues(faer::Side::Lower)
        .map_err(|e| Error::Other(format!("the Gauss-Newton matrix could not be diagonalised: {e:?}")))
}

/// How many outputs an example has.
fn outputs(curvature: &Curvature<'_>) -> Result<usize> {
    let outputs = curvature.objective().evaluate(curvature.parameters(), 0)?.outputs;
    let outputs = outputs.ok_or_else(|| {
        Error::Input("the kernel norm needs the model's outputs, which this objective does not tell".into())
    })?;
    let examples = outputs.dims().first().copied().unwrap_or(1).max(1);
    Ok((outputs.elem_count() / examples).max(1))
}

/// Passes the progress of a quadrature on.
struct Told<'a> {
    observer: &'a mut dyn Observer,
    before: usize,
}

impl SpectrumObserver for Told<'_> {
    fn product(&mut self, progress: &SpectrumProgress) -> Control {
        self.observer.product(&Progress {
            products: self.before + progress.products,
            max_products: self.before + progress.max_products,
            leading_value: None,
            leading_residual: f64::INFINITY,
            converged: 0,
            wanted: 1,
        })
    }
}
