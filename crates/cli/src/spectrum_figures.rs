//! Saved spectral densities as figures.

use relief_hessian::{CumulativeCurve, DensityCurve, LogDensityCurve, Outliers, Probe};
use relief_plot::{Axis, Figure, Lines, Mark, Panel, Series, studies, terminal};
use serde::Deserialize;

use crate::exit::Failure;
use crate::exports::{Array, Sampled};
use crate::saved::{Kind, Lists, Look, Saved, Shown, labelled, provenance};
use crate::{numbers, output};

/// A spectral density: what figures and exports need, and no more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Distribution {
    n: usize,
    plan: Plan,
    outliers: Outliers,
    cumulative: CumulativeCurve,
    density: Option<DensityCurve>,
    log_density: Option<LogDensityCurve>,
    probes: Vec<Probe>,
}

#[derive(Debug, Clone, Deserialize)]
struct Plan {
    steps: usize,
    confidence: f64,
}

/// How the positive and the negative side are drawn.
const MARKS: [Mark; 2] = [Mark::Solid, Mark::Dashed];
/// Part of the range in which eigenvalues from the first to the last tenth lie where the spectrum is narrow.
const NARROW: f64 = 0.05;
/// Part of the range that values' neighbours must be away for every character of their labels.
const CHARACTER: f64 = 0.008;

impl Lists for Distribution {
    const NAMES: &'static [&'static str] = &["cumulative", "density", "log_density", "probes"];

    fn agree(&self) -> bool {
        let probe = |p: &Probe| {
            let count = p.values.len();
            count > 0 && p.weights.len() == count && p.residuals.len() == count
        };
        let curve = match (&self.density, &self.log_density) {
            (Some(curve), None) => curve.x.len() == curve.density.len(),
            (None, Some(curve)) => {
                [&curve.positive, &curve.negative].iter().all(|side| side.len() == curve.log10.len())
            }
            _ => false,
        };
        let cumulative = self.cumulative();
        let count = cumulative[0].1.len();
        !self.probes.is_empty()
            && self.probes.iter().all(probe)
            && curve
            && cumulative.iter().all(|(_, column)| column.len() == count)
    }
}

impl Distribution {
    /// The density curve: `x` and `density`, or `log10`, `positive` and `negative`.
    fn curve(&self) -> Sampled {
        let curve = self.density.iter().map(|curve| Sampled {
            axes: vec![("x", curve.x.clone())],
            measures: vec![("density", curve.density.clone())],
        });
        let log = self.log_density.iter().map(|curve| Sampled {
            axes: vec![("log10", curve.log10.clone())],
            measures: vec![("positive", curve.positive.clone()), ("negative", curve.negative.clone())],
        });
        curve.chain(log).next().unwrap_or(Sampled { axes: vec![], measures: vec![] })
    }

    /// The cumulative share and its bounds by name.
    fn cumulative(&self) -> [(&'static str, &[f64]); 6] {
        let CumulativeCurve { x, value, quadrature_lower, quadrature_upper, lower, upper } = &self.cumulative;
        [
            ("x", x),
            ("value", value),
            ("quadrature_lower", quadrature_lower),
            ("quadrature_upper", quadrature_upper),
            ("lower", lower),
            ("upper", upper),
        ]
    }

    /// What the random vectors saw, one after another: the number of the vector, Ritz values, weights, residuals.
    fn ritz(&self) -> [(&'static str, Vec<f64>); 4] {
        let all = |of: fn(&Probe) -> &[f64]| self.probes.iter().flat_map(of).copied().collect();
        let numbers = self.probes.iter().enumerate().flat_map(|(i, p)| vec![i as f64; p.values.len()]);
        [
            ("probe", numbers.collect()),
            ("ritz_values", all(|p| &p.values)),
            ("ritz_weights", all(|p| &p.weights)),
            ("ritz_residuals", all(|p| &p.residuals)),
        ]
    }

    /// How it was made, in a sentence.
    fn made(&self) -> String {
        let width = self.density.iter().map(|curve| numbers::small(curve.sigma));
        let width = width.chain(self.log_density.iter().map(|curve| format!("{} decades", curve.sigma)));
        format!(
            "{} random vector{} with {} steps each, Gaussians of width {}, bounds at {} %.",
            self.probes.len(),
            if self.probes.len() == 1 { "" } else { "s" },
            self.plan.steps,
            width.collect::<String>(),
            100.0 * self.plan.confidence
        )
    }

    /// The cumulative share at every place, as far as its bounds allow: far out, Ritz values are eigenvalues that count for
    /// more than random vectors see of them.
    fn share(&self) -> Vec<f64> {
        let CumulativeCurve { value, lower, upper, .. } = &self.cumulative;
        value
            .iter()
            .zip(lower)
            .zip(upper)
            .map(|((value, lower), upper)| value.min(*upper).max(*lower))
            .collect()
    }

    /// Whether nearly all eigenvalues lie in a small part of the range, where a linear axis shows one step.
    fn is_narrow(&self) -> bool {
        let CumulativeCurve { x, value, .. } = &self.cumulative;
        let place = |share: f64| value.iter().position(|v| *v >= share).map_or(f64::NAN, |i| x[i]);
        place(0.9) - place(0.1) < NARROW * length(x)
    }

    /// Both tails: the magnitude, and the share of eigenvalues beyond it on that side, with its bounds.
    fn tails(&self) -> [(Vec<f64>, [Vec<f64>; 3]); 2] {
        let CumulativeCurve { x, lower, upper, .. } = &self.cumulative;
        let value = self.share();
        let above: Vec<usize> = (0..x.len()).filter(|i| x[*i] > 0.0).collect();
        let below: Vec<usize> = (0..x.len()).rev().filter(|i| x[*i] < 0.0).collect();
        let rest = |of: &[f64]| above.iter().map(|i| 1.0 - of[*i]).collect::<Vec<f64>>();
        let part = |of: &[f64]| below.iter().map(|i| of[*i]).collect::<Vec<f64>>();
        [
            (above.iter().map(|i| x[*i]).collect(), [rest(&value), rest(upper), rest(lower)]),
            (below.iter().map(|i| -x[*i]).collect(), [part(&value), part(lower), part(upper)]),
        ]
    }
}

impl Shown for Distribution {
    const KIND: Kind = Kind::Spectrum;
    const HEADING: &'static str = "Spectral density";

    fn figure(title: &str, results: &[Saved<Self>], _: Look) -> Result<Figure, Failure> {
        Ok(figure(title, results))
    }

    fn in_characters(results: &[Saved<Self>], _: Look) -> Result<String, Failure> {
        Ok(in_characters(results))
    }

    fn sampled(&self) -> Sampled {
        self.curve()
    }

    /// What each random vector saw, one after another (`probe` has its number), the cumulative share and the density.
    fn arrays(&self) -> Vec<Array> {
        let mut arrays: Vec<Array> =
            self.ritz().iter().map(|(name, values)| Array::list(*name, values)).collect();
        let cumulative = self.cumulative();
        arrays.extend(
            cumulative.iter().map(|(name, values)| Array::list(format!("cumulative_{name}"), values)),
        );
        arrays.extend(self.curve().arrays());
        arrays
    }
}

/// A result's name in a legend; none where it is the only one.
fn name(results: &[Saved<Distribution>], saved: &Saved<Distribution>) -> String {
    if results.len() == 1 { String::new() } else { saved.called(results) }
}

/// Densities and cumulative shares of some results.
///
/// Densities are drawn over the eigenvalue, or, where they were made so, over the logarithm of its magnitude. The cumulative
/// share is drawn over the eigenvalue too, unless nearly all of it rises in one place, as in networks: then each tail is
/// drawn over the magnitude, on logarithmic scales.
pub(crate) fn figure(title: &str, results: &[Saved<Distribution>]) -> Figure {
    let (linear, log): (Vec<_>, Vec<_>) =
        results.iter().cloned().partition(|saved| saved.result.density.is_some());
    let mut panels = vec![];
    if !linear.is_empty() {
        panels.push(densities(&linear));
    }
    if !log.is_empty() {
        panels.push(log_densities(&log));
    }
    let by_magnitude = !log.is_empty() || linear.iter().any(|saved| saved.result.is_narrow());
    panels.push(if by_magnitude { tails(results) } else { cumulative(results) });
    let made: Vec<String> = results.iter().map(|saved| saved.result.made()).collect();
    let mut caption = provenance(results);
    if made.iter().all(|one| *one == made[0]) {
        caption.extend(made.into_iter().take(1));
    } else {
        caption.extend(results.iter().zip(made).map(|(saved, made)| format!("{}: {made}", saved.name())));
    }
    caption.push("Bands are bounds that hold at all places at once with this probability.".to_string());
    let panels = panels.into_iter().map(Panel::Lines).collect();
    Figure::new(title, panels).captioned(caption.join(" "))
}

/// Densities on a logarithmic scale. What stands apart from the bulk of a single one is drawn as stems, with its value where
/// there is room; those of several would cover each other.
fn densities(results: &[Saved<Distribution>]) -> Lines {
    let mut all = Lines::default();
    for saved in results {
        let Some(curve) = &saved.result.density else { continue };
        let Outliers { below, above } = &saved.result.outliers;
        let apart: Vec<f64> = below.values.iter().chain(&above.values).copied().collect();
        let shown = if results.len() == 1 { apart.as_slice() } else { &[] };
        let mut panel = studies::spectral_density("", &curve.x, &curve.density, shown);
        panel.x.label = labelled("eigenvalue", results);
        if results.len() == 1 {
            let range = length(&curve.x);
            for note in &mut panel.notes {
                note.text = numbers::with_bound(note.at[0], 1e-3 * range).replace('-', "\u{2212}");
            }
            panel.notes.retain(|note| {
                let room = CHARACTER * note.text.chars().count() as f64 * range;
                apart.iter().filter(|other| (*other - note.at[0]).abs() < room).count() <= 1
            });
            return panel;
        }
        for series in &mut panel.series {
            series.name = saved.called(results);
            series.mark = Mark::Solid;
        }
        let range = match (all.y.range, panel.y.range) {
            (Some([a, b]), Some([c, d])) => Some([a.min(c), b.max(d)]),
            (None, range) | (range, None) => range,
        };
        let series = [all.series, panel.series].concat();
        all = Lines { y: Axis { range, ..panel.y.clone() }, series, ..panel };
    }
    all
}

/// From the first to the last of some places.
fn length(places: &[f64]) -> f64 {
    places.last().zip(places.first()).map_or(0.0, |(last, first)| last - first)
}

/// Cumulative shares within their bounds.
fn cumulative(results: &[Saved<Distribution>]) -> Lines {
    let mut all = Lines::default();
    for saved in results {
        let CumulativeCurve { x, lower, upper, .. } = &saved.result.cumulative;
        let panel = studies::cumulative_spectrum("", x, &saved.result.share(), [lower, upper]);
        let series =
            panel.series.iter().cloned().map(|series| Series { name: name(results, saved), ..series });
        all = Lines { series: all.series.into_iter().chain(series).collect(), ..panel };
    }
    all.x.label = labelled("eigenvalue", results);
    all
}

/// The names of both sides, with the result's where there are several.
fn sides(results: &[Saved<Distribution>], saved: &Saved<Distribution>) -> [String; 2] {
    let name = name(results, saved);
    ["positive", "negative"].map(|side| format!("{name} {side}").trim().to_string())
}

/// Densities of positive eigenvalues, and of negative ones dashed, over their magnitude.
fn log_densities(results: &[Saved<Distribution>]) -> Lines {
    let mut all = Lines::new("", magnitude(results), Axis::log("share per decade"));
    let mut highest = 0.0f64;
    for (place, saved) in results.iter().enumerate() {
        let Some(curve) = &saved.result.log_density else { continue };
        let x: Vec<f64> = curve.log10.iter().map(|l| 10f64.powf(*l)).collect();
        for ((name, y), mark) in
            sides(results, saved).into_iter().zip([&curve.positive, &curve.negative]).zip(MARKS)
        {
            if y.iter().all(|share| *share <= 0.0) {
                continue;
            }
            highest = y.iter().copied().fold(highest, f64::max);
            all = all.with(Series::new(name, x.clone(), y.clone()).marked(mark).coloured(place));
        }
    }
    // A tenth of what one eigenvalue amounts to.
    let least = 0.1 / results.iter().map(|saved| saved.result.n).max().unwrap_or(1) as f64;
    if highest > least {
        // Many names stand in a legend of many lines, above the curves.
        let room = if all.series.len() > 4 { 100.0 } else { 3.0 };
        all.y = all.y.between(least, room * highest);
    }
    all
}

/// The share of eigenvalues beyond a magnitude on either side, within bounds.
fn tails(results: &[Saved<Distribution>]) -> Lines {
    let least = 0.5 / results.iter().map(|saved| saved.result.n).max().unwrap_or(1) as f64;
    let y = Axis::log("share of eigenvalues beyond").between(least, 1.5);
    let mut all = Lines::new("", magnitude(results), y);
    for (place, saved) in results.iter().enumerate() {
        let both = sides(results, saved).into_iter().zip(saved.result.tails()).zip(MARKS);
        for ((name, (x, [share, lower, upper])), mark) in both {
            if upper.iter().all(|share| *share < least) {
                continue;
            }
            let series = Series::new(name, x, share).banded(lower, upper);
            all = all.with(series.marked(mark).coloured(place));
        }
    }
    all
}

fn magnitude(results: &[Saved<Distribution>]) -> Axis {
    Axis::log(labelled("|eigenvalue|", results))
}

/// The densities in characters.
pub(crate) fn in_characters(results: &[Saved<Distribution>]) -> String {
    let mut curves: Vec<(String, Vec<f64>, Vec<f64>)> = vec![];
    for saved in results {
        let sampled = saved.result.curve();
        let Some((_, x)) = sampled.axes.into_iter().next() else { continue };
        let several = sampled.measures.len() > 1;
        for (side, y) in sampled.measures {
            let name = if several { format!("{} {side}", saved.name()) } else { saved.name() };
            // Less than one eigenvalue amounts to is not worth a decade of the picture.
            let floor = y.iter().copied().fold(0.0, f64::max) * 0.1 / saved.result.n as f64;
            let shown = y.into_iter().map(|v| v.max(floor)).collect();
            curves.push((name, x.clone(), shown));
        }
    }
    let series: Vec<(&str, &[f64], &[f64])> =
        curves.iter().map(|(name, x, y)| (name.as_str(), x.as_slice(), y.as_slice())).collect();
    let picture = terminal::lines(&series, true, &output::characters(18));
    let over = if results.iter().any(|saved| saved.result.log_density.is_some()) {
        "log10 of the magnitude"
    } else {
        "the eigenvalue"
    };
    format!("density over {over}\n{}", picture.trim_end())
}
