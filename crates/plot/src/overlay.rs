//! What is drawn on a field: paths, points, and their names.

use serde::{Deserialize, Serialize};

use crate::boxes::TextBox;
use crate::colour_bar::Colouring;
use crate::drawing::{Across, Along, Drawing, Setting, Stroke};
use crate::frame::Frame;
use crate::placer::Placer;
use crate::style::{INK, NOTE, WHITE};
use crate::{Rgb, text};

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// A curve of low loss between minima.
    Curve,
    /// The straight line between them.
    Chord,
    /// Where training went, with a dot at each step.
    Trajectory,
}

/// What a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PointKind {
    /// The point around which the plane lies.
    Centre,
    /// An end of a curve: a disc.
    End,
    /// A point that bends a curve: a diamond.
    Bend,
    /// An event on a trajectory, such as a drop of the learning rate.
    Event,
}

/// A thing drawn on a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlay {
    /// A path; dots of a trajectory take the colours of `values`, its own losses, where those are given.
    Path {
        /// What it is.
        kind: PathKind,
        /// Its points.
        points: Vec<[f64; 2]>,
        /// The value at each point, if known: the plane's is another one where the path does not lie in the plane.
        values: Vec<f64>,
    },
    /// A point.
    Point {
        /// What it is.
        kind: PointKind,
        /// Where.
        at: [f64; 2],
        /// Its name; may be empty.
        label: String,
    },
}

const PATH: Rgb = Rgb(0xe6, 0x2b, 0x1e);
const RADIUS: f64 = 4.5;

impl Overlay {
    /// The boxes that numbers on iso-lines should leave alone.
    pub(crate) fn covers(&self, frame: &Frame) -> Vec<TextBox> {
        let around = |p: [f64; 2], r: f64| TextBox::upright(p[0] - r, p[1] - r, p[0] + r, p[1] + r);
        match self {
            Self::Point { at, .. } => vec![around(frame.at(at[0], at[1]), RADIUS + 2.0)],
            Self::Path { points, .. } => points.iter().map(|p| around(frame.at(p[0], p[1]), 4.0)).collect(),
        }
    }

    pub(crate) fn draw(&self, drawing: &mut Drawing, frame: &Frame, colouring: &Colouring) {
        match self {
            Self::Path { kind, points, values } => {
                let line: Vec<[f64; 2]> = points.iter().map(|p| frame.at(p[0], p[1])).collect();
                let (width, dash) = match kind {
                    PathKind::Curve => (2.6, None),
                    PathKind::Chord => (1.6, Some([6.0, 4.0])),
                    PathKind::Trajectory => (1.4, None),
                };
                if dash.is_none() {
                    drawing.path(&line, false, Stroke::solid(WHITE, width + 1.6));
                }
                let colour = if *kind == PathKind::Chord { WHITE } else { PATH };
                drawing.path(&line, false, Stroke { dash, ..Stroke::solid(colour, width) });
                if *kind == PathKind::Trajectory {
                    for (i, p) in line.iter().enumerate() {
                        let own = values.get(i).filter(|v| v.is_finite());
                        let fill = own.map_or(PATH, |v| colouring.of(*v));
                        drawing.circle(*p, 2.8, fill, Some(Stroke::solid(WHITE, 0.9)));
                    }
                }
            }
            Self::Point { kind, at, .. } => {
                let [x, y] = frame.at(at[0], at[1]);
                let rim = Stroke::solid(WHITE, 1.4);
                match kind {
                    PointKind::Centre => {
                        for (stroke, r) in
                            [(Stroke::solid(WHITE, 4.2), RADIUS + 1.0), (Stroke::solid(INK, 1.8), RADIUS)]
                        {
                            drawing.path(&[[x - r, y], [x + r, y]], false, stroke);
                            drawing.path(&[[x, y - r], [x, y + r]], false, stroke);
                        }
                    }
                    PointKind::End => drawing.circle([x, y], RADIUS, INK, Some(rim)),
                    PointKind::Event => drawing.circle([x, y], RADIUS - 0.8, PATH, Some(rim)),
                    PointKind::Bend => {
                        let r = RADIUS + 1.0;
                        let diamond = vec![[x, y - r], [x + r, y], [x, y + r], [x - r, y]];
                        drawing.region(std::slice::from_ref(&diamond), INK, 1.0);
                        drawing.path(&diamond, true, rim);
                    }
                }
            }
        }
    }

    /// Sets a point's name beside it.
    pub(crate) fn name(&self, drawing: &mut Drawing, frame: &Frame, placer: &mut Placer) {
        let Self::Point { at, label, .. } = self else { return };
        let p = frame.at(at[0], at[1]);
        if label.is_empty() || !frame.plot.contains(p) {
            return;
        }
        let label = text::fit(label, NOTE + 1.0, frame.plot.w - 12.0);
        placer.label(drawing, &label, &places(p));
    }
}

/// Places around a point, near ones first, at last in the middle of the plot's width.
fn places([x, y]: [f64; 2]) -> Vec<([f64; 2], Setting)> {
    let setting = |along, across| Setting { halo: true, ..Setting::new(NOTE + 1.0, along, across) };
    [RADIUS + 4.0, 2.0 * RADIUS + 8.0, 3.0 * RADIUS + 14.0]
        .into_iter()
        .flat_map(|d| {
            [
                ([x + d, y], setting(Along::Start, Across::Middle)),
                ([x - d, y], setting(Along::End, Across::Middle)),
                ([x, y - d], setting(Along::Middle, Across::Bottom)),
                ([x, y + d], setting(Along::Middle, Across::Top)),
                ([x + d, y - d], setting(Along::Start, Across::Bottom)),
                ([x - d, y - d], setting(Along::End, Across::Bottom)),
                ([x + d, y + d], setting(Along::Start, Across::Top)),
                ([x - d, y + d], setting(Along::End, Across::Top)),
            ]
        })
        .collect()
}
