//! What the page's scripts are told. NaN and infinities become `null`, which is "unknown" there.

use serde::Serialize;

/// Where a panel of lines lies in its SVG's user units, how data map to it, and the data.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HoverPanel {
    /// Left, top, width and height of the area inside the axes.
    pub frame: [f64; 4],
    /// From left to right.
    pub x: HoverAxis,
    /// From bottom to top.
    pub y: HoverAxis,
    /// The axis on the right.
    pub y2: Option<HoverAxis>,
    /// The lines.
    pub series: Vec<HoverSeries>,
}

/// How data map to one side of a panel.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HoverAxis {
    /// Logarithmic?
    pub log: bool,
    /// The data at the two ends.
    pub range: [f64; 2],
    /// The axis's name.
    pub label: String,
}

/// One line.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HoverSeries {
    /// What the legend calls it.
    pub name: String,
    /// `#rrggbb`.
    pub colour: String,
    /// Need not be sorted.
    pub x: Vec<Option<f64>>,
    /// As many as `x`.
    pub y: Vec<Option<f64>>,
    /// On the second y axis?
    pub axis2: bool,
}

/// A function on a rectangular grid, to be seen from any side.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SurfaceView {
    /// Increasing nodes; at least two.
    pub x: Vec<f64>,
    /// Increasing nodes; at least two.
    pub y: Vec<f64>,
    /// Row by row of constant y; unknown values are holes.
    pub z: Vec<Option<f64>>,
    /// Names of x, y and the value.
    pub labels: [String; 3],
    /// Are height and colour logarithmic in the value?
    pub log: bool,
    /// Values above are drawn at this height, and read off as they are.
    pub cap: Option<f64>,
    /// The values at the bottom and the top of box and colour map.
    pub range: [f64; 2],
    /// `#rrggbb`, low to high, at equal distances (of logarithms, if `log`): a sampled map, or bands.
    pub colours: Vec<String>,
    /// A polyline through these points that follows the surface between them.
    pub path: Vec<[f64; 3]>,
    /// Marked points.
    pub points: Vec<SurfacePoint>,
}

/// A marked point of a surface.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SurfacePoint {
    /// x, y and the value; a value that is not finite puts the point onto the surface.
    pub at: [f64; 3],
    /// What stands beside it.
    pub label: String,
}
