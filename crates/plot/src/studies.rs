//! The figures of the field, from plain results: spectra, eigenvalues over training, alignment, barriers.

use crate::{Axis, Lines, Mark, Names, Note, Reference, Scale, Series};

/// The density of a spectrum with outliers marked by their values.
///
/// `grid` and `density` are the smoothed density; `outliers` are eigenvalues outside of the bulk, each drawn as a stem
/// at the density's height or its floor, and named where there is room.
pub fn spectral_density(title: &str, grid: &[f64], density: &[f64], outliers: &[f64]) -> Lines {
    let highest = density.iter().copied().filter(|d| d.is_finite()).fold(0.0, f64::max);
    // Six decades below the peak is less than one eigenvalue in any network.
    let floor = highest * 1e-6;
    let shown = density.iter().map(|d| if *d > floor { *d } else { f64::NAN }).collect();
    let heights: Vec<f64> = outliers.iter().map(|v| near(grid, density, *v).max(floor * 10.0)).collect();
    let notes =
        outliers.iter().zip(&heights).map(|(v, h)| Note { at: [*v, *h], text: three_digits(*v) }).collect();
    let mut panel = Lines {
        notes,
        ..Lines::new(title, Axis::linear("eigenvalue"), Axis::log("density").between(floor, highest * 3.0))
    }
    .with(Series::new("bulk", grid.to_vec(), shown).marked(Mark::Area));
    if !outliers.is_empty() {
        panel = panel.with(Series::new("outliers", outliers.to_vec(), heights).marked(Mark::Stems));
    }
    if highest <= 0.0 {
        panel.y = Axis::linear("density");
    }
    panel
}

/// The share of eigenvalues at most as large as each of `values`, with its lower and upper bounds as a band.
pub fn cumulative_spectrum(title: &str, values: &[f64], share: &[f64], [lower, upper]: [&[f64]; 2]) -> Lines {
    let series = Series::new("", values.to_vec(), share.to_vec()).banded(lower.to_vec(), upper.to_vec());
    Lines::new(
        title,
        Axis::linear("eigenvalue"),
        Axis::linear("share of eigenvalues below").between(0.0, 1.02),
    )
    .with(series)
}

/// The top eigenvalues over training; `traces[i]` holds the i-th largest at every step.
pub fn eigenvalue_traces(title: &str, steps: &[f64], traces: &[Vec<f64>], edges: &[(f64, &str)]) -> Lines {
    let mut panel = Lines {
        names: Names::Direct,
        ..Lines::new(title, Axis::linear("step"), Axis::linear("Hessian eigenvalue"))
    };
    for (i, trace) in traces.iter().enumerate() {
        panel = panel.with(Series::new(format!("λ{}", subscript(i + 1)), steps.to_vec(), trace.clone()));
    }
    for (at, label) in edges {
        panel = panel.with_reference(Reference::level(*at, *label));
    }
    panel
}

/// Alignment of a vector with eigenvectors over training, one curve (a mean over runs, with a band) for each.
pub fn alignment(title: &str, curves: Vec<Series>) -> Lines {
    let panel = Lines::new(title, Axis::linear("step"), Axis::linear("|cos|").between(0.0, 1.02));
    curves.into_iter().fold(panel, Lines::with)
}

/// The loss along paths between two minima, at t = 0 and t = 1, each with the height of its barrier above the straight
/// line between the losses at its ends.
pub fn barrier(title: &str, curves: Vec<Series>, scale: Scale) -> Lines {
    let y = Axis { label: "loss".into(), scale, range: None };
    let mut panel = Lines::new(title, Axis::linear("t, from one end to the other"), y);
    for (i, curve) in curves.into_iter().enumerate() {
        panel.notes.extend(barrier_note(&curve));
        panel = panel.with(if i == 0 { curve } else { curve.marked(Mark::Dashed) });
    }
    panel
}

/// How high a curve from t = 0 to t = 1 rises above the straight line between its ends, at its highest point; none where it
/// does not.
pub fn barrier_note(curve: &Series) -> Option<Note> {
    let (first, last) = (*curve.y.first()?, *curve.y.last()?);
    let points = curve.x.iter().copied().zip(curve.y.iter().copied()).filter(|(_, loss)| loss.is_finite());
    let (t, loss) = points.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let height = loss - (first + t * (last - first));
    (height > 0.0).then(|| Note { at: [t, loss], text: format!("barrier {}", three_digits(height)) })
}

/// The density at a value, by the nearest grid point.
fn near(grid: &[f64], density: &[f64], v: f64) -> f64 {
    let nearest = (0..grid.len().min(density.len()))
        .min_by(|a, b| (grid[*a] - v).abs().total_cmp(&(grid[*b] - v).abs()));
    nearest.map_or(0.0, |i| density[i])
}

/// A number with three significant digits.
fn three_digits(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return format!("{v}");
    }
    let power = v.abs().log10().floor() as i32;
    if !(-3..5).contains(&power) {
        return format!("{v:.2e}");
    }
    let decimals = usize::try_from(2 - power).unwrap_or(0);
    format!("{v:.decimals$}").replace('-', "−")
}

/// A number in subscript digits, as in λ₁₂.
pub fn subscript(n: usize) -> String {
    n.to_string().bytes().filter_map(|b| char::from_u32(0x2080 + u32::from(b - b'0'))).collect()
}
