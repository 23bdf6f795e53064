//! Saved eigenvalues as figures.

use relief_plot::terminal;
use relief_plot::{Axis, Bars, Figure, Group, Panel, Scale};
use serde::Deserialize;

use crate::output;
use crate::saved::{Lists, Saved, provenance};

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
    let operators: Vec<&str> = results.iter().map(|r| r.operator.as_str()).collect();
    let label = match operators.split_first() {
        Some((&"hessian", rest)) if rest.iter().all(|o| *o == "hessian") => {
            "eigenvalue of the Hessian".to_string()
        }
        Some((first, rest)) if rest.iter().all(|o| o == first) => format!("eigenvalue ({first})"),
        _ => "eigenvalue".to_string(),
    };
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
