//! Tables with a header, numbers as short as they can be read back to the last bit, nothing where nothing is known.

use std::fmt::Write;

use super::Sampled;
use crate::eigenvalue_figures::Spectrum;

/// A row for every point, the first coordinate varying fastest.
pub(crate) fn points(sampled: &Sampled) -> String {
    let names: Vec<&str> = sampled.axes.iter().chain(&sampled.measures).map(|(name, _)| *name).collect();
    let mut out = names.join(",") + "\n";
    for place in 0..sampled.loss().len() {
        let mut stride = 1;
        let mut row = vec![];
        for (_, nodes) in &sampled.axes {
            row.push(number(nodes[place / stride % nodes.len()]));
            stride *= nodes.len();
        }
        row.extend(sampled.measures.iter().map(|(_, values)| number(values[place])));
        let _ = writeln!(out, "{}", row.join(","));
    }
    out
}

/// A row for every eigenvalue: which end of the spectrum, and its rank there.
pub(crate) fn eigenvalues(spectrum: &Spectrum) -> String {
    let mut out = "which,rank,value,residual,error_bound,angle_bound,converged\n".to_string();
    for (which, pairs) in spectrum.ends() {
        for (i, pair) in pairs.iter().enumerate() {
            let [residual, angle] = [pair.residual, pair.angle_bound].map(|v| number(v.unwrap_or(f64::NAN)));
            let (value, bound) = (number(pair.value), number(pair.error_bound));
            let _ = writeln!(out, "{which},{},{value},{residual},{bound},{angle},{}", i + 1, pair.converged);
        }
    }
    out
}

fn number(v: f64) -> String {
    if v.is_finite() { format!("{v:?}") } else { String::new() }
}
