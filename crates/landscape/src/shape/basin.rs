//! How wide a basin is at a level.

use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use super::heights::{Heights, Vertex, crossing};
use super::line::through;
use super::volume::volume;

/// The part of the set at or below a level that is connected to a point, on the piecewise linear interpolant of
/// [`Heights`]: all numbers are exact for that, and converge at second order in the grid's spacing for a smooth function.
///
/// Where the basin touches the grid's border or unknown points, it may go on there: its extents and its volume are then
/// lower bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Basin {
    /// The level.
    pub level: f64,
    /// The interpolant at the given point.
    pub height: f64,
    /// The lowest point of the grid in the basin.
    pub lowest: Vertex,
    /// How many points of the grid are in the basin.
    pub points: usize,
    /// From where to where the basin goes along every axis.
    pub extents: Vec<Extent>,
    /// How far one can go from the given point along every axis and back without rising above the level.
    pub lines: Vec<Extent>,
    /// Length on one axis, area on two, volume on more, in units of the coordinates.
    pub volume: f64,
    /// Whether a point of the basin lies on the border of the grid.
    pub touches_border: bool,
    /// Whether a point of the basin has a neighbour that is unknown (see [`Heights`]).
    pub touches_unknown: bool,
}

/// A range of one coordinate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    /// Least coordinate.
    pub low: f64,
    /// Largest coordinate.
    pub high: f64,
    /// Whether the function is known to rise above the level at both ends; if not, the width is a lower bound.
    pub bounded: bool,
}

impl Extent {
    /// From the least to the largest coordinate.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }
}

impl Basin {
    /// The basin around a point inside the grid, which need not be a point of the grid; `None` where the interpolant is
    /// above the level there, or unknown. O(N) for N points.
    pub fn around(heights: &Heights, at: &[f64], level: f64) -> Result<Option<Self>> {
        if level.is_nan() {
            return Err(Error::Input("the level is NaN: give a number".into()));
        }
        let place = heights.place(at)?;
        let height = heights.height(&place);
        if height.is_nan() || height > level {
            return Ok(None);
        }
        // Of the corners of one simplex those below the level are connected through it.
        let support = heights.support(&place);
        let corners = support.into_iter().map(|(index, _)| index).filter(|&i| heights.values()[i] <= level);
        let flood = Flood::new(heights, corners.collect(), level);
        let touches_border = flood.points.iter().any(|&i| {
            let (up, down) = heights.room(i);
            up & down != (1 << heights.axes().len()) - 1
        });
        let bounded = !touches_border && !flood.touches_unknown;
        let lowest = flood.points.iter().copied().min_by(|&a, &b| heights.order(a, b));
        // The height is no lower than the lowest corner, so that there is a corner below the level.
        let Some(lowest) = lowest else { return Ok(None) };
        Ok(Some(Self {
            level,
            height,
            lowest: heights.vertex(lowest)?,
            points: flood.points.len(),
            extents: flood.extents(heights, level, bounded),
            lines: (0..at.len()).map(|axis| through(heights, at, &place, axis, level)).collect(),
            volume: volume(heights, &flood.inside, level),
            touches_border,
            touches_unknown: flood.touches_unknown,
        }))
    }
}

/// The points of the grid in a basin.
struct Flood {
    points: Vec<usize>,
    inside: Vec<bool>,
    touches_unknown: bool,
}

impl Flood {
    /// All points that are connected to some at or below the level.
    fn new(heights: &Heights, mut points: Vec<usize>, level: f64) -> Self {
        let mut inside = vec![false; heights.len()];
        points.iter().for_each(|&i| inside[i] = true);
        let (mut next, mut touches_unknown) = (0, false);
        while next < points.len() {
            for neighbour in heights.neighbours(points[next]) {
                let height = heights.values()[neighbour];
                touches_unknown |= height.is_nan();
                if height <= level && !inside[neighbour] {
                    inside[neighbour] = true;
                    points.push(neighbour);
                }
            }
            next += 1;
        }
        Self { points, inside, touches_unknown }
    }

    /// The corners of a linear function's sublevel set in a simplex are corners of the simplex and crossings of its edges.
    fn extents(&self, heights: &Heights, level: f64, bounded: bool) -> Vec<Extent> {
        let mut extents =
            vec![Extent { low: f64::INFINITY, high: f64::NEG_INFINITY, bounded }; heights.axes().len()];
        let mut include = |k: usize, x: f64| {
            extents[k].low = extents[k].low.min(x);
            extents[k].high = extents[k].high.max(x);
        };
        for &point in &self.points {
            let (here, below) = (heights.coordinates(point), heights.values()[point]);
            here.iter().enumerate().for_each(|(k, x)| include(k, *x));
            for neighbour in heights.neighbours(point) {
                let above = heights.values()[neighbour];
                if above > level {
                    let t = crossing(below, above, level);
                    for (k, (x, y)) in here.iter().zip(heights.coordinates(neighbour)).enumerate() {
                        include(k, x + t * (y - x));
                    }
                }
            }
        }
        extents
    }
}
