//! The figure of what runs recorded.

use relief_plot::{Axis, Figure, Lines, Mark, Panel, Reference, Series};

use super::groups::{Curve, Group, groups};
use super::{Run, tags};
use crate::numbers;

/// How much of what was recorded a figure shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// What is looked for first.
    Usual,
    /// All that has a panel.
    Everything,
}

/// One panel for every group of tags over the steps. Runs of one recipe are one curve with its 95 % band.
pub(crate) fn figure(title: &str, runs: &[Run], shown: Shown) -> Figure {
    let groups = groups(runs);
    let mut names: Vec<&str> = groups.iter().flat_map(Group::tags).filter_map(tags::panel).collect();
    names.sort_unstable_by_key(|name| (tags::rank(name), *name));
    names.dedup();
    names.retain(|name| match *name {
        "eta" => changes(&groups),
        name => shown == Shown::Everything || !tags::is_aside(name),
    });
    let panels: Vec<Panel> = names.iter().map(|name| Panel::Lines(panel(name, &groups, runs))).collect();
    let columns = if panels.len() > 3 { 2 } else { 1 };
    let size = if columns == 1 { [620.0, 260.0] } else { [520.0, 270.0] };
    let figure = Figure { panel_size: Some(size), ..Figure::new(title, panels).in_columns(columns) };
    let banded = groups.iter().any(|group| group.runs.len() > 1);
    let caption = "Bands: 95 % confidence intervals of the means over seeds (Student's t), cut where the number cannot be.";
    if banded { figure.captioned(caption) } else { Figure { share_x: true, ..figure } }
}

/// Whether a step size changes over a run.
fn changes(groups: &[Group<'_>]) -> bool {
    groups.iter().filter_map(|group| group.curve("eta")).any(|curve| {
        curve.mean.iter().any(|eta| *eta < 0.999 * curve.mean[0] || *eta > 1.001 * curve.mean[0])
    })
}

fn panel(wanted: &str, groups: &[Group<'_>], runs: &[Run]) -> Lines {
    let alone = groups.len() == 1;
    let mut series = vec![];
    let mut all: Vec<(Tagged, Tagged)> = groups.iter().map(|group| chosen(wanted, group, alone)).collect();
    if groups.len() > 2 && matches!(wanted, "alignment" | "subspace") {
        // Of many groups only what was followed upwards: the perturbation, or the gradient where that is its direction.
        for (curves, _) in &mut all {
            let perturbed = curves.iter().any(|(tag, _)| tag.starts_with("align/eps_"));
            curves.retain(|(tag, _)| tag.starts_with(if perturbed { "align/eps_" } else { "align/g_" }));
        }
    }
    let lone = all.iter().all(|(curves, edges)| curves.len() <= 1 && edges.is_empty());
    for (place, (group, (curves, edges))) in groups.iter().zip(all).enumerate() {
        for (nth, curve) in curves.into_iter().enumerate() {
            let mark = match (alone, nth) {
                (true, _) | (false, 0) => Mark::Solid,
                (false, _) if curve.0.starts_with("align/eps_") => Mark::Dashed,
                (false, _) => Mark::Dotted,
            };
            series.push(drawn(curve, mark, (group, alone, lone), (!alone).then_some(place)));
        }
        for (nth, edge) in edges.into_iter().enumerate() {
            // Orange and light blue, which no eigenvalue of a usual figure has.
            let colour = if alone { [6, 5][nth.min(1)] } else { place };
            series.push(drawn(edge, Mark::Dashed, (group, alone, false), Some(colour)));
        }
    }
    let y = axis(wanted, &series);
    let lines = Lines { series, ..Lines::new("", Axis::linear("step"), y) };
    let mut events: Vec<&(f64, String)> = runs.iter().flat_map(|run| &run.events).collect();
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    events.dedup();
    events.into_iter().fold(lines, |lines, (step, text)| {
        let brief = text.split_once(':').map_or(text.as_str(), |(before, _)| before);
        lines.with_reference(Reference::event(*step, brief))
    })
}

type Tagged<'a> = Vec<(&'a str, Curve)>;

/// The curves of a panel, and the edges in it. Beside other groups, a group shows the first eigenvalue and the edge that binds.
fn chosen<'a>(wanted: &str, group: &'a Group<'_>, alone: bool) -> (Tagged<'a>, Tagged<'a>) {
    let curves = group.tags().into_iter().filter(|tag| tags::panel(tag) == Some(wanted));
    let curves = curves.filter_map(|tag| Some((tag, group.curve(tag)?)));
    let (mut edges, mut curves): (Tagged, Tagged) = curves.partition(|(tag, _)| tag.starts_with("edge/"));
    // λ₁₀ comes after λ₉.
    curves.sort_by_key(|(tag, _)| (tag.len(), *tag));
    if let Some(own) =
        curves.iter().find(|(tag, _)| tag.starts_with("align/g_")).map(|(_, curve)| curve.mean.clone())
    {
        // Along the gradient itself there is nothing new to see.
        let same = |a: &[f64]| a.len() == own.len() && a.iter().zip(&own).all(|(a, b)| (a - b).abs() < 1e-4);
        curves.retain(|(tag, curve)| !tag.starts_with("align/eps_") || !same(&curve.mean));
    }
    // The edge without perturbation is worth its place beside the one with it where it does not dwarf everything.
    if edges.iter().any(|(tag, _)| *tag == "edge/momentum") {
        edges.retain(|(tag, _)| *tag != "edge/gd");
    }
    let binding = ["edge/adam", "edge/sam", "edge/momentum", "edge/gd"];
    let rank = |tag: &str| binding.iter().position(|known| *known == tag).unwrap_or(binding.len());
    edges.sort_by_key(|(tag, _)| rank(tag));
    let highest = |curve: &Curve| curve.mean.iter().copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
    let top = curves.iter().chain(edges.first()).map(|(_, curve)| highest(curve)).fold(0.0, f64::max);
    let mut nth = 0;
    edges.retain(|(_, curve)| {
        nth += 1;
        nth == 1 || (alone && highest(curve) < 4.0 * top)
    });
    if !alone && wanted == "hessian" {
        curves.retain(|(tag, _)| !tag.starts_with("hessian/") || *tag == "hessian/lambda_1");
    }
    if curves.iter().any(|(tag, _)| *tag == "loss/train") {
        curves.retain(|(tag, _)| *tag != "loss/batch");
    }
    if wanted == "loss" || wanted == "accuracy" {
        let order = |tag: &str| ["train", "test"].iter().position(|split| tag.ends_with(split)).unwrap_or(2);
        curves.sort_by_key(|(tag, _)| order(tag));
    }
    (curves, edges)
}

/// A curve of a group, which may be alone in the figure, or or one of groups with only one curve each in the panel.
fn drawn(
    (tag, curve): (&str, Curve),
    mark: Mark,
    (group, alone, lone): (&Group<'_>, bool, bool),
    colour: Option<usize>,
) -> Series {
    let Curve { steps, mean, half_width } = curve;
    let name = match (alone, lone) {
        (true, _) => tags::shown(tag),
        (false, true) => group.name.clone(),
        (false, false) => format!("{}: {}", group.name, tags::shown(tag)),
    };
    let [least, most] = tags::range(tag);
    let band = half_width.map(|widths| {
        let edge =
            |sign: f64| mean.iter().zip(&widths).map(|(m, w)| (m + sign * w).clamp(least, most)).collect();
        [edge(-1.0), edge(1.0)]
    });
    Series { band, colour, ..Series::new(name, steps, mean).marked(mark) }
}

/// The axis of a panel; logarithmic where equal ratios show more.
fn axis(wanted: &str, series: &[Series]) -> Axis {
    let label = tags::axis(wanted);
    match wanted {
        "alignment" | "subspace" => return Axis::linear(label).between(0.0, 1.02),
        "accuracy" => return Axis::linear(label),
        _ => {}
    }
    let values = || series.iter().flat_map(|s| s.y.iter().copied()).filter(|v| v.is_finite());
    if !numbers::wide(values()) {
        return Axis::linear(label);
    }
    // A band may reach down to nothing, and a step size at the end of a cosine does.
    let above = series.iter().filter_map(|s| s.band.as_ref()).flat_map(|[_, high]| high.iter().copied());
    let low = values().fold(f64::INFINITY, f64::min);
    let low = if wanted == "eta" { low.max(1e-4 * values().fold(0.0, f64::max)) } else { low };
    let high = values().chain(above).filter(|v| v.is_finite()).fold(0.0, f64::max);
    if wanted == "eta" || series.iter().any(|s| s.band.is_some()) {
        Axis::log(label).between(0.7 * low, 1.3 * high)
    } else {
        Axis::log(label)
    }
}
