//! Figures in characters, as far as characters go: curves and bars.

use std::fmt::Write;

use relief_plot::{Bars, Figure, Lines, Mark, Panel, Scale, Series, terminal};

use crate::{numbers, output};

/// The widest bar.
const BAR: usize = 30;

/// The panels of a figure below each other.
pub(crate) fn figure(figure: &Figure) -> String {
    let panels: Vec<String> = figure
        .panels
        .iter()
        .filter_map(|panel| match panel {
            Panel::Lines(panel) => Some(lines(panel)),
            Panel::Bars(panel) => Some(bars(panel)),
            _ => None,
        })
        .collect();
    panels.join("\n\n")
}

fn lines(panel: &Lines) -> String {
    let (x, log) = (panel.x.scale == Scale::Log, panel.y.scale == Scale::Log);
    let places = |xs: &[f64]| xs.iter().map(|v| if x { v.log10() } else { *v }).collect::<Vec<f64>>();
    // Dots without a name only mark the points of a curve.
    let marks = |series: &&Series| !(series.name.is_empty() && series.mark == Mark::Dots);
    let shown: Vec<&Series> = panel.series.iter().filter(marks).collect();
    let curves: Vec<Vec<f64>> = shown.iter().map(|series| places(&series.x)).collect();
    let series: Vec<(&str, &[f64], &[f64])> = shown
        .iter()
        .zip(&curves)
        .map(|(series, x)| (series.name.as_str(), x.as_slice(), series.y.as_slice()))
        .collect();
    let over = if x { format!("log10 of {}", panel.x.label) } else { panel.x.label.clone() };
    let picture = terminal::lines(&series, log, &output::characters(14));
    format!("{} over {over}\n{}", panel.y.label, picture.trim_end())
}

fn bars(panel: &Bars) -> String {
    let width = panel.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let all = || panel.groups.iter().flat_map(|group| &group.values).filter(|v| v.is_finite());
    let most = all().fold(0.0, |most: f64, v| most.max(v.abs()));
    let mut out = panel.value.label.clone();
    for (i, name) in panel.names.iter().enumerate() {
        for (k, group) in panel.groups.iter().enumerate() {
            let name = if k == 0 { name.as_str() } else { "" };
            let value = group.values[i];
            let length = if most > 0.0 { (value.abs() / most * BAR as f64).round() as usize } else { 0 };
            let bar = if value < 0.0 { "-" } else { "=" }.repeat(length);
            let value = numbers::with_bound(value, 1e-3 * value.abs());
            let group = if panel.groups.len() == 1 { "" } else { &group.name };
            let _ = write!(out, "\n  {name:<width$}  {bar:<BAR$}  {value}  {group}");
        }
    }
    out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
