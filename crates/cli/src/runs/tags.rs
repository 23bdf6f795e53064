//! Tags of the metrics: which panel they belong to, and how the field writes them.

use relief_plot::studies;

/// The panels of what `relief train` and `relief track` record, in the order in which they are looked for; others follow by
/// name.
const PANELS: [&str; 7] =
    ["loss", "hessian", "preconditioned", "alignment", "subspace", "accuracy", "gradient/norm"];

/// Where a panel stands in a figure.
pub(super) fn rank(panel: &str) -> usize {
    PANELS.iter().position(|known| *known == panel).unwrap_or(PANELS.len())
}

/// Whether a panel is one of those that only a page with everything shows.
pub(super) fn is_aside(panel: &str) -> bool {
    let known = PANELS.contains(&panel);
    !known && ["align/", "gradient/", "third/", "noise/"].iter().any(|group| panel.starts_with(group))
}

/// The panel that a tag belongs to: with the edges beside the eigenvalues that they bound; none where it is no curve of its own,
/// such as an error bound, a count of work or a number that two others make up.
pub(super) fn panel(tag: &str) -> Option<&str> {
    let (group, name) = tag.split_once('/').unwrap_or((tag, tag));
    let beside = tag.ends_with("_bound") || tag.ends_with("_error") || matches!(group, "work" | "epoch");
    match (group, name) {
        _ if beside => None,
        ("edge", "distance")
        | ("hessian", "lambda_1_over_loss")
        | ("loss", "probe")
        | ("noise", "draws" | "batch_sharpness_of_means") => None,
        ("edge", "adam") | ("hessian", "preconditioned_lambda_1") => Some("preconditioned"),
        // The batch sharpness saturates where 2/eta is.
        ("edge", _) | ("noise", "batch_sharpness") => Some("hessian"),
        ("hessian", name) if !name.starts_with("lambda_") => Some(tag),
        ("align", "hessian_gradient") | ("gradient" | "third" | "noise", _) => Some(tag),
        ("align", name) if name.ends_with("_top") => Some("subspace"),
        ("align", _) => Some("alignment"),
        _ => Some(group),
    }
}

/// Between which numbers the values of a tag lie, whatever they are.
pub(super) fn range(tag: &str) -> [f64; 2] {
    match tag.split_once('/').unwrap_or((tag, tag)) {
        ("accuracy", _) => [0.0, 1.0],
        ("align", name) if name.ends_with("_v1") || name.ends_with("_top") => [0.0, 1.0],
        ("loss", _) | ("gradient", "norm") => [0.0, f64::INFINITY],
        _ => [f64::NEG_INFINITY, f64::INFINITY],
    }
}

/// What a panel's axis says.
pub(super) fn axis(panel: &str) -> String {
    match panel {
        "hessian" => "Hessian eigenvalue".into(),
        "preconditioned" => "preconditioned eigenvalue".into(),
        "alignment" => "|cos| with v₁".into(),
        "subspace" => "share in the top eigenspace".into(),
        "eta" => "step size".into(),
        "hessian/trace" => "trace of the Hessian".into(),
        "gradient/norm" => "norm of the gradient".into(),
        "gradient/curvature" => "curvature along the gradient".into(),
        "align/hessian_gradient" => "cos(g, Hg)".into(),
        "noise/kernel_norm" => "kernel norm (1 at the edge)".into(),
        "noise/gni" => "gradient-noise interaction".into(),
        "noise/scale" => "gradient-noise scale".into(),
        "noise/hessian_scale" => "gradient-noise scale with the Hessian".into(),
        "phantom" => "Gini of the examples' weights".into(),
        other => other.split_once('/').map_or(other, |(_, name)| name).replace('_', " "),
    }
}

/// A tag as the field writes it.
pub(super) fn shown(tag: &str) -> String {
    let name = tag.split_once('/').map_or(tag, |(_, name)| name);
    let place = name.strip_prefix("lambda_").and_then(|place| place.parse().ok());
    match (tag, place) {
        ("edge/gd", _) => "2/η".into(),
        ("edge/sam", _) => "SAM-edge".into(),
        ("edge/momentum", _) => "edge with momentum".into(),
        ("edge/adam", _) => "Adam's edge".into(),
        ("hessian/preconditioned_lambda_1", _) => "preconditioned λ₁".into(),
        ("align/g_v1" | "align/g_top", _) => "gradient".into(),
        ("align/eps_v1" | "align/eps_top", _) => "perturbation".into(),
        ("align/sg_v1" | "align/sg_top", _) => "perturbed gradient".into(),
        (_, Some(place)) => format!("λ{}", studies::subscript(place)),
        _ => name.replace('_', " "),
    }
}
