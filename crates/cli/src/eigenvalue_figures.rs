//! Saved eigenvalues as figures.

use relief_plot::terminal;
use relief_plot::{Axis, Bars, Figure, Group, Panel, Scale};
use serde::Deserialize;

use crate::exit::Failure;
use crate::exports::{Array, Sampled, csv};
use crate::output;
use crate::saved::{Kind, Lists, Look, Saved, Shown, labelled, provenance};

/// The eigenvalues of a result.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Spectrum {
    pairs: Vec<Pair>,
    #[serde(default)]
    smallest: Vec<Pair>,
    which: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Pair {
    pub(crate) value: f64,
    pub(crate) residual: Option<f64>,
    pub(crate) error_bound: f64,
    pub(crate) angle_bound: Option<f64>,
    pub(crate) converged: bool,
}

impl Lists for Spectrum {
    const NAMES: &'static [&'static str] = &["pairs", "smallest"];

    fn agree(&self) -> bool {
        true
    }
}

impl Spectrum {
    /// The pairs that were asked for, and those of the other end of the spectrum, if any, each with their name.
    pub(crate) fn ends(&self) -> [(&str, &[Pair]); 2] {
        [(&self.which, &self.pairs), ("smallest", &self.smallest)]
    }

    /// Names, values and bounds, in their order.
    fn named(&self) -> Vec<(String, f64, f64)> {
        let named = |which: &str, pairs: &[Pair]| -> Vec<(String, f64, f64)> {
            let name = |i: usize| format!("{which} {}", i + 1);
            pairs.iter().enumerate().map(|(i, p)| (name(i), p.value, p.error_bound)).collect()
        };
        self.ends().into_iter().flat_map(|(which, pairs)| named(which, pairs)).collect()
    }
}

impl Shown for Spectrum {
    const KIND: Kind = Kind::Eigenvalues;
    const HEADING: &'static str = "Eigenvalues";

    fn figure(title: &str, results: &[Saved<Self>], _: Look) -> Result<Figure, Failure> {
        Ok(figure(title, results))
    }

    fn in_characters(results: &[Saved<Self>], _: Look) -> Result<String, Failure> {
        Ok(in_characters(results))
    }

    fn sampled(&self) -> Sampled {
        let values: Vec<f64> = self.named().iter().map(|(_, value, _)| *value).collect();
        let rows = (0..values.len()).map(|i| i as f64).collect();
        Sampled { axes: vec![("row", rows)], measures: vec![("value", values)] }
    }

    /// The eigenvalues asked for and what is known of each; those of the other end of the spectrum as `smallest_...`.
    fn arrays(&self) -> Vec<Array> {
        let mut arrays = arrays("", &self.pairs);
        if !self.smallest.is_empty() {
            arrays.extend(self::arrays("smallest_", &self.smallest));
        }
        arrays
    }

    fn table(&self) -> String {
        csv::eigenvalues(self)
    }
}

fn arrays(prefix: &str, pairs: &[Pair]) -> Vec<Array> {
    let reals = |name: &str, of: fn(&Pair) -> f64| {
        Array::list(format!("{prefix}{name}"), &pairs.iter().map(of).collect::<Vec<f64>>())
    };
    vec![
        reals("eigenvalues", |p| p.value),
        reals("residuals", |p| p.residual.unwrap_or(f64::NAN)),
        reals("error_bounds", |p| p.error_bound),
        reals("angle_bounds", |p| p.angle_bound.unwrap_or(f64::NAN)),
        Array::flags(format!("{prefix}converged"), pairs.iter().map(|p| p.converged)),
    ]
}

/// The eigenvalues of some results side by side, with their error bounds.
pub(crate) fn figure(title: &str, results: &[Saved<Spectrum>]) -> Figure {
    let mut names: Vec<String> = vec![];
    for (name, ..) in results.iter().flat_map(|saved| saved.result.named()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let groups = results.iter().map(|saved| {
        let own = saved.result.named();
        let of = |name: &String| {
            own.iter().find(|(n, ..)| n == name).map_or((f64::NAN, f64::NAN), |(_, v, e)| (*v, *e))
        };
        Group {
            name: saved.name(),
            values: names.iter().map(|n| of(n).0).collect(),
            errors: names.iter().map(|n| of(n).1).collect(),
        }
    });
    let groups: Vec<Group> = groups.collect();
    let label = labelled("eigenvalue", results);
    let value = Axis { label, scale: Scale::Linear, range: None };
    let bars = Bars { title: String::new(), value, names, groups };
    let mut caption = provenance(results);
    caption.push("Error bars are bounds; those too short to be seen are left out.".to_string());
    Figure::new(title, vec![Panel::Bars(bars)]).captioned(caption.join(" "))
}

/// The eigenvalues of some results in characters, against their rank.
pub(crate) fn in_characters(results: &[Saved<Spectrum>]) -> String {
    let curves: Vec<(String, Vec<f64>, Vec<f64>)> = results
        .iter()
        .map(|saved| {
            let values: Vec<f64> = saved.result.pairs.iter().map(|p| p.value).collect();
            (saved.name(), (1..=values.len()).map(|i| i as f64).collect(), values)
        })
        .collect();
    let series: Vec<(&str, &[f64], &[f64])> =
        curves.iter().map(|(name, x, y)| (name.as_str(), x.as_slice(), y.as_slice())).collect();
    let picture = terminal::lines(&series, false, &output::characters(14));
    format!("eigenvalues by rank\n{}", picture.trim_end())
}
