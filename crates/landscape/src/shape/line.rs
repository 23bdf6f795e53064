//! How far a basin reaches along a line through a point.

use super::basin::Extent;
use super::heights::{Heights, Place, crossing};

/// The part of a line along an axis, through a point at or below the level, that is connected to the point at or below it.
pub(super) fn through(heights: &Heights, at: &[f64], place: &Place, axis: usize, level: f64) -> Extent {
    let nodes = &heights.axes()[axis];
    let others = place.fraction.iter().enumerate().filter(|(k, _)| *k != axis);
    // The line passes from one simplex to the next where its fraction equals that along another axis. Fractions are
    // compared and passed on as they are, so that no rounding gives weight to a corner that has none.
    let mut fractions: Vec<f64> = others.map(|(_, fraction)| *fraction).chain([0.0]).collect();
    fractions.sort_by(f64::total_cmp);
    fractions.dedup();
    let stops: Vec<(usize, f64)> = (0..nodes.len())
        .flat_map(|node| fractions.iter().map(move |fraction| (node, *fraction)))
        .filter(|(node, fraction)| *fraction == 0.0 || node + 1 < nodes.len())
        .collect();
    let here = (place.cell[axis], place.fraction[axis]);

    // The last coordinate towards an end, and whether the function is known to rise above the level there.
    let reach = |towards: &mut dyn Iterator<Item = &(usize, f64)>| {
        let (mut x, mut below) = (at[axis], heights.height(place));
        for &(node, fraction) in towards {
            let mut stop = place.clone();
            (stop.cell[axis], stop.fraction[axis]) = (node, fraction);
            let height = heights.height(&stop);
            if height.is_nan() {
                return (x, false);
            }
            let next = match nodes.get(node + 1) {
                Some(end) => nodes[node] + fraction * (end - nodes[node]),
                None => nodes[node],
            };
            if height > level {
                return (x + crossing(below, height, level) * (next - x), true);
            }
            (x, below) = (next, height);
        }
        (x, false)
    };
    let (high, falls_short) = reach(&mut stops.iter().filter(|stop| **stop > here));
    let (low, also) = reach(&mut stops.iter().rev().filter(|stop| **stop < here));
    Extent { low, high, bounded: falls_short && also }
}
