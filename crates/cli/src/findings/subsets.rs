//! What the top eigenvalue of a few examples says about that of all.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_hessian::EigenPair;
use relief_plot::{Axis, Figure, Lines, Mark, Panel, Reference, Series};
use serde::{Deserialize, Serialize};

use super::captioned;
use crate::exit::Failure;
use crate::exports::{Array, Sampled};
use crate::saved::{Kind, Lists, Look, Saved, Shown, series_name};

/// The `result` of `relief subset`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subsets {
    /// Of all examples.
    pub(crate) whole: EigenPair,
    pub(crate) sizes: Vec<Size>,
}

/// Samples of one size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) examples: usize,
    /// Largest eigenvalues of the samples over that of all examples.
    pub(crate) ratios: Vec<f64>,
    /// |cos| between their eigenvectors and that of all examples.
    pub(crate) cosines: Vec<f64>,
    pub(crate) ratio: Spread,
    pub(crate) cosine: Spread,
}

/// A mean over draws, its bootstrap range, and the extremes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) mean_low: f64,
    pub(crate) mean_high: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// Resamples of a bootstrap.
const RESAMPLES: usize = 1000;

impl Spread {
    pub(crate) fn new(values: &[f64], seed: u64) -> Self {
        let mean = |of: &mut dyn Iterator<Item = f64>| of.sum::<f64>() / values.len() as f64;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| mean(&mut (0..values.len()).map(|_| values[random.random_range(0..values.len())])))
            .collect();
        means.sort_by(f64::total_cmp);
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // The mean of equal numbers may be rounded to one beside them.
        let inside = |mean: f64| mean.max(min).min(max);
        Self {
            mean: inside(mean(&mut values.iter().copied())),
            mean_low: inside(means[RESAMPLES / 40]),
            mean_high: inside(means[RESAMPLES - 1 - RESAMPLES / 40]),
            min,
            max,
        }
    }
}

impl Lists for Subsets {
    const NAMES: &'static [&'static str] = &["sizes"];

    fn agree(&self) -> bool {
        let draws = self.sizes.first().map_or(0, |size| size.ratios.len());
        draws > 0 && self.sizes.iter().all(|size| size.ratios.len() == draws && size.cosines.len() == draws)
    }
}

impl Subsets {
    fn of(&self, value: impl Fn(&Size) -> f64) -> Vec<f64> {
        self.sizes.iter().map(value).collect()
    }
}

impl Shown for Subsets {
    const KIND: Kind = Kind::Subsets;
    const HEADING: &'static str = "Samples of the data";

    /// Ratios of eigenvalues, and angles between eigenvectors, over the size of the samples.
    fn figure(title: &str, results: &[Saved<Self>], _: Look) -> Result<Figure, Failure> {
        let ratio = panel(results, "λ₁ of the sample / λ₁ of all", |s| s.ratio, |s| &s.ratios);
        let cosine = panel(results, "|cos| with the eigenvector of all", |s| s.cosine, |s| &s.cosines);
        let ratio = ratio.with_reference(Reference::level(1.0, ""));
        let figure = Figure::new(title, vec![Panel::Lines(ratio), Panel::Lines(cosine)]);
        Ok(captioned(figure, results, &["Bands are 95 % bootstrap ranges of the mean."]))
    }

    fn sampled(&self) -> Sampled {
        Sampled {
            axes: vec![("examples", self.of(|s| s.examples as f64))],
            measures: vec![
                ("ratio", self.of(|s| s.ratio.mean)),
                ("ratio_low", self.of(|s| s.ratio.mean_low)),
                ("ratio_high", self.of(|s| s.ratio.mean_high)),
                ("ratio_min", self.of(|s| s.ratio.min)),
                ("ratio_max", self.of(|s| s.ratio.max)),
                ("cosine", self.of(|s| s.cosine.mean)),
                ("cosine_low", self.of(|s| s.cosine.mean_low)),
                ("cosine_high", self.of(|s| s.cosine.mean_high)),
                ("cosine_min", self.of(|s| s.cosine.min)),
                ("cosine_max", self.of(|s| s.cosine.max)),
            ],
        }
    }

    fn arrays(&self) -> Vec<Array> {
        let shape = vec![self.sizes.len(), self.sizes.first().map_or(0, |size| size.ratios.len())];
        let all = |of: fn(&Size) -> &[f64]| self.sizes.iter().flat_map(of).copied().collect::<Vec<f64>>();
        let mut arrays = self.sampled().arrays();
        arrays.push(Array::reals("ratios", shape.clone(), &all(|s| &s.ratios)));
        arrays.push(Array::reals("cosines", shape, &all(|s| &s.cosines)));
        arrays
    }
}

fn panel(
    results: &[Saved<Subsets>],
    label: &str,
    spread: fn(&Size) -> Spread,
    values: fn(&Size) -> &[f64],
) -> Lines {
    let mut panel = Lines::new("", Axis::log("examples of the sample"), Axis::linear(label));
    for (place, saved) in results.iter().enumerate() {
        let result = &saved.result;
        let x = result.of(|s| s.examples as f64);
        let mean = Series::new(series_name(results, saved, "mean"), x, result.of(|s| spread(s).mean));
        let mean = mean.banded(result.of(|s| spread(s).mean_low), result.of(|s| spread(s).mean_high));
        panel = panel.with(mean.coloured(place));
        if results.len() == 1 {
            let dots =
                |size: &Size| values(size).iter().map(|v| (size.examples as f64, *v)).collect::<Vec<_>>();
            let (x, y) = result.sizes.iter().flat_map(dots).unzip();
            panel = panel.with(Series::new("single samples", x, y).marked(Mark::Dots).coloured(1));
        }
    }
    panel
}
