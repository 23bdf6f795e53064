//! Spectral densities for people and for programs.

use relief_hessian::{
    Cumulative, CumulativeCurve, DensityCurve, LogDensityCurve, Moment, Outliers, Plan, Probe,
    SpectralDensity, Spectrum, Tail,
};
use serde::Serialize;

use crate::envelope::Envelope;
use crate::exit::Failure;
use crate::{numbers, report, table};

/// The schema of the result.
pub(crate) const SCHEMA: &str = "relief/spectrum/1";
/// The schema of several, layer by layer.
pub(crate) const BY_LAYER: &str = "relief/spectrum-by-layer/1";
/// What [`Distribution::row`] has.
pub(crate) const HEADS: [&str; 6] =
    ["parameters", "smallest", "largest", "mean eigenvalue", "share of negative ones", "outliers above"];
/// Places of the cumulative curve.
const PLACES: usize = 200;
/// Places of a density on an even grid, unless narrow Gaussians need more.
const POINTS: usize = 1000;
/// Places within one standard deviation of the Gaussians, at least.
const POINTS_A_SIGMA: f64 = 4.0;
/// Places of a density, at most.
const MOST_POINTS: usize = 20_000;

/// How the density is drawn.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Curve {
    /// Over log10 of the magnitude.
    pub(crate) log: bool,
    /// Standard deviation of the Gaussians, in decades if `log`.
    pub(crate) sigma: Option<f64>,
}

/// The `result` of `relief spectrum`.
#[derive(Debug, Serialize)]
pub(crate) struct Distribution {
    /// Rows of the matrix, as many as eigenvalues.
    n: usize,
    plan: Planned,
    /// The smallest and the largest Ritz value: inner bounds on the extreme eigenvalues.
    inner_bounds: [f64; 2],
    /// Distance to which eigenvalues are known at all: an allowance for the products' rounding.
    rounding: f64,
    /// tr(A) / n.
    mean_eigenvalue: Moment,
    /// tr(A^2) / n.
    mean_square: Moment,
    trace: Moment,
    /// The share of negative eigenvalues.
    negative: Cumulative,
    outliers: Outliers,
    cumulative: CumulativeCurve,
    /// Share of eigenvalues per unit; this one or the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    density: Option<DensityCurve>,
    /// Shares of positive and of negative eigenvalues per decade of their magnitude.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_density: Option<LogDensityCurve>,
    probes: Vec<Probe>,
}

/// What was done, and what that guaranteed beforehand.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    probes: usize,
    steps: usize,
    /// Wasserstein distance to the true distribution that is not exceeded with this confidence, as a share of the spread.
    distance: f64,
    confidence: f64,
}

impl Distribution {
    /// The numbers of a spectrum that was found by these settings.
    pub(crate) fn new(spectrum: Spectrum, settings: &SpectralDensity, curve: Curve) -> Result<Self, Failure> {
        let Plan { probes, steps, distance } = settings.plan(spectrum.n)?;
        let plan = Planned { probes, steps, distance, confidence: spectrum.confidence };
        let inner_bounds = [spectrum.smallest(), spectrum.largest()];
        let n = spectrum.n as f64;
        let mean_eigenvalue = spectrum.mean_eigenvalue();
        let trace = Moment {
            value: n * mean_eigenvalue.value,
            standard_error: mean_eigenvalue.standard_error.map(|error| n * error),
        };
        let (density, log_density) = if curve.log {
            (None, Some(spectrum.log_density(curve.sigma, POINTS)?))
        } else {
            let sigma = curve.sigma.unwrap_or(spectrum.default_sigma());
            let wanted = POINTS_A_SIGMA * (inner_bounds[1] - inner_bounds[0]) / sigma;
            // A width that makes no sense is for the curve itself to refuse.
            let points = if wanted.is_finite() { wanted.ceil() as usize } else { 0 };
            (Some(spectrum.density(curve.sigma, points.clamp(POINTS, MOST_POINTS))?), None)
        };
        Ok(Self {
            n: spectrum.n,
            plan,
            inner_bounds,
            rounding: spectrum.rounding(),
            mean_eigenvalue,
            mean_square: spectrum.mean_square(),
            trace,
            negative: spectrum.negative(),
            outliers: spectrum.outliers(),
            cumulative: spectrum.cumulative_curve(PLACES)?,
            density,
            log_density,
            probes: spectrum.probes,
        })
    }

    /// The most of it in a row: see [`HEADS`].
    pub(crate) fn row(&self) -> Vec<String> {
        let [smallest, largest] = self.inner_bounds.map(|v| numbers::with_bound(v, 1e-4 * v.abs()));
        let Moment { value, standard_error } = self.mean_eigenvalue;
        let mean = match standard_error {
            Some(error) => {
                format!("{} +- {}", numbers::with_bound(value, error / 10.0), numbers::small(error))
            }
            None => numbers::small(value),
        };
        let Cumulative { value: negative, lower, upper, .. } = self.negative;
        let outliers = numbers::count(self.outliers.above.values.len());
        let negative = format!("{negative:.4} ({lower:.4} to {upper:.4})");
        vec![numbers::count(self.n), smallest, largest, mean, negative, outliers]
    }

    /// What was done, in a sentence.
    fn planned(&self) -> String {
        let Planned { probes, steps, distance, confidence } = self.plan;
        let exact = self.probes.iter().filter(|probe| probe.exact).count();
        let exact = match exact {
            0 => String::new(),
            _ if exact == probes => ", exact for each of them".to_string(),
            _ => format!(", exact for {exact} of them"),
        };
        format!(
            "  {probes} random vector{}, {steps} steps each{exact}: within a Wasserstein distance of {} % of the spread\n  from \
             the true distribution, with a probability of {} %",
            if probes == 1 { "" } else { "s" },
            numbers::two_digits(100.0 * distance),
            100.0 * confidence
        )
    }
}

/// The whole result as text.
pub(crate) fn human(envelope: &Envelope<Distribution>) -> String {
    let result = &envelope.result;
    let mut out = vec![report::head(envelope), String::new(), numbers(result), String::new()];
    out.push(result.planned());
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}

/// The table of numbers.
pub(crate) fn numbers(result: &Distribution) -> String {
    let percent = format!("{} %", 100.0 * result.plan.confidence);
    let [smallest, largest] =
        result.inner_bounds.map(|v| numbers::with_bound(v, result.rounding.max(1e-6 * v.abs())));
    let row = |cells: [&str; 5]| cells.map(String::from).to_vec();
    let mut rows = vec![
        row(["largest eigenvalue", &largest, &largest, "-", "certain"]),
        row(["smallest eigenvalue", &smallest, "-", &smallest, "certain"]),
    ];
    for (name, moment) in [
        ("mean eigenvalue", result.mean_eigenvalue),
        ("mean square", result.mean_square),
        ("trace", result.trace),
    ] {
        let error = moment.standard_error;
        let value =
            error.map_or(numbers::small(moment.value), |e| numbers::with_bound(moment.value, e / 10.0));
        let error = error.map_or("unknown".to_string(), |e| format!("+- {}", numbers::small(e)));
        rows.push(vec![name.to_string(), value, String::new(), String::new(), error]);
    }
    let share = |share: f64| format!("{share:.4}");
    let negative = result.negative;
    rows.push(vec![
        "share of negative ones".to_string(),
        share(negative.value),
        share(negative.lower),
        share(negative.upper),
        percent.clone(),
    ]);
    rows.push(vec![
        "  as the vectors see it".to_string(),
        share(negative.value),
        share(negative.quadrature_lower),
        share(negative.quadrature_upper),
        "certain".to_string(),
    ]);
    for (side, tail) in [("above", &result.outliers.above), ("below", &result.outliers.below)] {
        let Tail { edge, values, at_least, at_most } = tail;
        // The edge is the middle of a gap: any place inside it would do.
        let gap = values.last().map_or(result.rounding, |value| (value - edge).abs());
        let place =
            format!("outliers {side} {}", numbers::with_bound(*edge, (0.5 * gap).max(1e-6 * edge.abs())));
        let counts = [values.len(), *at_least, *at_most].map(numbers::count);
        rows.push(std::iter::once(place).chain(counts).chain([percent.clone()]).collect());
    }
    table::render(&["", "estimate", "at least", "at most", ""], &rows)
}

/// The trace with its standard error.
pub(crate) fn trace(result: &Distribution) -> String {
    let Moment { value, standard_error } = result.trace;
    match standard_error {
        Some(error) => format!("{} +- {}", numbers::with_bound(value, error / 10.0), numbers::small(error)),
        None => numbers::small(value),
    }
}
