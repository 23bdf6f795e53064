//! A function of two variables, seen from above: filled bands with labelled iso-lines, or smooth colours.

use crate::axis::{Axis, Scale};
use crate::boxes::TextBox;
use crate::colour::ColourMap;
use crate::colour_bar::{BEYOND, Colouring};
use crate::contour::{iso_lines, region_above, unknown_region};
use crate::drawing::{Across, Along, Drawing, Rect, Setting, Stroke};
use crate::frame::{Extent, Frame, Margins, Plan};
use crate::iso_labels;
use crate::levels::Levels;
use crate::overlay::Overlay;
use crate::placer::Placer;
use crate::raster;
use crate::style::{HAIR, INK, WHITE};
use crate::{Grid, Result};

/// How a field's values become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shading {
    /// Bands of one colour between levels, with iso-lines.
    #[default]
    Bands,
    /// Colours without steps.
    Smooth,
}

/// A quadratic function of a plane's two coordinates: value + g.d + d.H d/2 with d from its centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quadratic {
    /// The point around which it is expanded.
    pub centre: [f64; 2],
    /// Its value there.
    pub value: f64,
    /// Its gradient there.
    pub gradient: [f64; 2],
    /// Its second derivatives xx, xy, yy.
    pub hessian: [f64; 3],
}

impl Quadratic {
    /// The value at a point.
    pub fn at(&self, [x, y]: [f64; 2]) -> f64 {
        let [dx, dy] = [x - self.centre[0], y - self.centre[1]];
        let [xx, xy, yy] = self.hessian;
        self.value
            + self.gradient[0] * dx
            + self.gradient[1] * dy
            + 0.5 * (xx * dx * dx + 2.0 * xy * dx * dy + yy * dy * dy)
    }
}

/// A panel with a field.
#[derive(Debug, Clone)]
pub struct Field {
    /// What the panel shows.
    pub title: String,
    /// The first coordinate with its unit.
    pub x: Axis,
    /// The second one.
    pub y: Axis,
    /// What the colours mean, with its unit.
    pub value: String,
    /// The values.
    pub grid: Grid,
    /// Whether colours follow values or their logarithms; the latter for positive values over more than a decade or so,
    /// if absent. Levels that are given say it themselves.
    pub scale: Option<Scale>,
    /// Where bands end; chosen from the values if absent.
    pub levels: Option<Levels>,
    /// Bands or smooth colours.
    pub shading: Shading,
    /// The colours, from low to high.
    pub colours: ColourMap,
    /// Paths and points.
    pub overlays: Vec<Overlay>,
    /// Whether a unit is as long along x as along y.
    pub equal_aspect: bool,
    /// A model of the field whose iso-lines are drawn dashed at the same levels.
    pub model: Option<Quadratic>,
}

/// Nodes that a coarse grid is refined to before it is drawn.
const NODES: usize = 140;
/// Bands that are chosen where none are given.
const BANDS: usize = 18;
/// Every so many levels an iso-line carries its number.
const LABELLED: usize = 3;

impl Field {
    /// A field in bands over the grid's range.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis, value: impl Into<String>, grid: Grid) -> Self {
        Self {
            title: title.into(),
            x,
            y,
            value: value.into(),
            grid,
            scale: None,
            levels: None,
            shading: Shading::Bands,
            colours: ColourMap::Viridis,
            overlays: vec![],
            equal_aspect: false,
            model: None,
        }
    }

    /// The same with one more thing on it.
    #[must_use]
    pub fn with(mut self, overlay: Overlay) -> Self {
        self.overlays.push(overlay);
        self
    }

    /// The size of a panel that leaves no empty room around a plot of equal aspect.
    pub(crate) fn size(&self) -> [f64; 2] {
        let [w, h] = [&self.plan().x, &self.plan().y].map(|e| e.range[1] - e.range[0]);
        if !self.equal_aspect {
            return [500.0, 420.0];
        }
        // What margins and colour bar take of either side.
        [500.0, (80.0 + 345.0 * h / w).clamp(230.0, 640.0)]
    }

    pub(crate) fn colouring(&self) -> Result<Colouring> {
        let levels = match &self.levels {
            Some(levels) => levels.clone().capped_for(&[&self.grid]),
            None => Levels::chosen(&[&self.grid], BANDS, None, self.scale)?,
        };
        Ok(match self.shading {
            Shading::Bands => Colouring::Bands { levels, map: self.colours },
            Shading::Smooth => {
                let edges = levels.edges();
                let scale = if levels.is_log() { Scale::Log } else { Scale::Linear };
                Colouring::Smooth { scale, range: [edges[0], edges[edges.len() - 1]], map: self.colours }
            }
        })
    }

    fn plan(&self) -> Plan {
        let over = |axis: &Axis, nodes: &[f64]| {
            let range = axis.range.unwrap_or([nodes[0], nodes[nodes.len() - 1]]);
            // A grid has its nodes at equal lengths.
            Extent::numbers(Axis { scale: Scale::Linear, ..axis.clone() }, range)
        };
        Plan {
            title: self.title.clone(),
            x: over(&self.x, self.grid.x()),
            y: over(&self.y, self.grid.y()),
            right: None,
            below: true,
        }
    }

    pub(crate) fn margins(&self, cell: [f64; 2]) -> Result<Margins> {
        Ok(self.plan().margins(cell, self.colouring()?.room(cell[1] - 90.0)))
    }

    pub(crate) fn draw(&self, drawing: &mut Drawing, cell: Rect, margins: Margins) -> Result<()> {
        let colouring = self.colouring()?;
        let plan = self.plan();
        let mut plot = margins.plot(cell);
        if self.equal_aspect {
            let [w, h] = [&plan.x, &plan.y].map(|e| e.range[1] - e.range[0]);
            let unit = (plot.w / w).min(plot.h / h);
            let (x, y) = (plot.x + (plot.w - unit * w) / 2.0, plot.y + (plot.h - unit * h) / 2.0);
            plot = Rect { x, y, w: unit * w, h: unit * h };
        }
        let frame = plan.around(plot, cell);
        let log = matches!(&colouring, Colouring::Bands { levels, .. } if levels.is_log())
            || matches!(colouring, Colouring::Smooth { scale: Scale::Log, .. });
        let scale = if log { Scale::Log } else { Scale::Linear };
        // Smooth between the nodes in the lengths that are shown; positive values only have a logarithm.
        let lengths =
            self.grid.map(|v| if scale.shows(v) { scale.length(v) } else { f64::NAN }).refined(NODES);
        drawing.clipped(plot, |drawing| {
            let known = place(&frame, &lengths);
            if !unknown_region(&lengths).is_empty() || !known.covers(plot) {
                hatch(drawing, plot);
            }
            match &colouring {
                Colouring::Bands { levels, map } => bands(drawing, &frame, &lengths, levels, *map, scale),
                Colouring::Smooth { .. } => {
                    let picture = raster::smooth(&lengths, |l| colouring.of(scale.value_at(l)));
                    drawing.image(known, &picture);
                }
            }
            self.model(drawing, &frame, &lengths, &colouring);
        });
        let mut spots = vec![];
        if let Colouring::Bands { levels, .. } = &colouring {
            spots = self.numbers(drawing, &frame, &lengths, levels, scale);
        }
        drawing.clipped(plot, |drawing| {
            self.overlays.iter().for_each(|o| o.draw(drawing, &frame, &colouring));
        });
        let mut placer = Placer::new(plot);
        spots.into_iter().for_each(|spot| placer.take(spot));
        self.overlays.iter().flat_map(|o| o.covers(&frame)).for_each(|b| placer.take(b.grown(-2.5)));
        self.overlays.iter().for_each(|o| o.name(drawing, &frame, &mut placer));
        frame.draw(drawing, false);
        drawing.outline(plot, Stroke::solid(INK, HAIR));
        colouring.draw(drawing, plot, &self.value);
        Ok(())
    }

    /// Numbers on some iso-lines; the boxes that they cover.
    fn numbers(
        &self,
        drawing: &mut Drawing,
        frame: &Frame,
        lengths: &Grid,
        levels: &Levels,
        scale: Scale,
    ) -> Vec<TextBox> {
        let taken: Vec<[f64; 4]> = self
            .overlays
            .iter()
            .flat_map(|o| o.covers(frame))
            .map(|b| {
                [
                    b.centre[0] - b.half[0],
                    b.centre[1] - b.half[1],
                    b.centre[0] + b.half[0],
                    b.centre[1] + b.half[1],
                ]
            })
            .collect();
        let plot = frame.plot;
        let mut placed = vec![];
        let mut boxes = vec![];
        for (i, edge) in levels.edges().iter().enumerate().filter(|(i, _)| i % LABELLED == 0) {
            let label = levels.label(i);
            let setting = Setting { halo: true, ..Setting::new(8.5, Along::Middle, Across::Middle) };
            let half = setting.covers(&label, [0.0, 0.0]).half;
            let lines: Vec<Vec<[f64; 2]>> = iso_lines(lengths, scale.length(*edge))
                .into_iter()
                .map(|line| {
                    let again = line.points.first().copied().filter(|_| line.closed);
                    line.points.into_iter().chain(again).map(|p| frame.at(p[0], p[1])).collect()
                })
                .collect();
            let bounds = [plot.x, plot.y, plot.right(), plot.bottom()];
            for spot in iso_labels::spots(&lines, half.map(|h| 2.0 * h), bounds, &taken, &mut placed) {
                let setting = Setting { angle: spot.angle, ..setting };
                drawing.text(&label, spot.centre, setting);
                boxes.push(setting.covers(&label, spot.centre));
            }
        }
        boxes
    }

    fn model(&self, drawing: &mut Drawing, frame: &Frame, lengths: &Grid, colouring: &Colouring) {
        let (Some(model), Colouring::Bands { levels, .. }) = (&self.model, colouring) else { return };
        let (x, y) = (lengths.x().to_vec(), lengths.y().to_vec());
        let values = y.iter().flat_map(|&y| x.iter().map(move |&x| model.at([x, y]))).collect();
        let Ok(grid) = Grid::new(x, y, values) else { return };
        for edge in levels.edges() {
            for line in iso_lines(&grid, *edge) {
                let points: Vec<[f64; 2]> = line.points.iter().map(|p| frame.at(p[0], p[1])).collect();
                drawing.path(&points, line.closed, Stroke::dashed(WHITE, 1.3, [4.0, 3.0]));
            }
        }
    }
}

/// The rectangle that a grid covers in the picture.
fn place(frame: &Frame, grid: &Grid) -> Rect {
    let (x, y) = (grid.x(), grid.y());
    let [left, bottom] = frame.at(x[0], y[0]);
    let [right, top] = frame.at(x[x.len() - 1], y[y.len() - 1]);
    Rect { x: left, y: top, w: right - left, h: bottom - top }
}

/// Every band from its lower level up, each over the one before, so that no seam shows between neighbours.
fn bands(
    drawing: &mut Drawing,
    frame: &Frame,
    lengths: &Grid,
    levels: &Levels,
    map: ColourMap,
    scale: Scale,
) {
    let rings = |level: f64| -> Vec<Vec<[f64; 2]>> {
        let rings = region_above(lengths, level);
        rings.into_iter().map(|ring| ring.into_iter().map(|p| frame.at(p[0], p[1])).collect()).collect()
    };
    drawing.region(&rings(f64::NEG_INFINITY), Colouring::band(levels, map, 0), 1.0);
    let last = levels.edges().len() - 1;
    for (k, edge) in levels.edges().iter().enumerate().skip(1) {
        if k == last && !levels.is_capped() {
            break;
        }
        let strong = k % LABELLED == 0;
        let line = Stroke {
            opacity: if strong { 0.6 } else { 0.28 },
            ..Stroke::solid(INK, if strong { 0.8 } else { 0.6 })
        };
        let fill = if k == last { BEYOND } else { Colouring::band(levels, map, k) };
        drawing.lined_region(&rings(scale.length(*edge)), fill, line);
    }
}

/// Fills what nothing is known of, before anything known is drawn over it.
fn hatch(drawing: &mut Drawing, plot: Rect) {
    drawing.rect(plot, WHITE, 1.0);
    let count = ((plot.w + plot.h) / 7.0) as usize;
    let lines: Vec<[[f64; 2]; 2]> = (1..=count)
        .map(|i| {
            let d = i as f64 * 7.0;
            [[plot.x + d, plot.y], [plot.x + d - plot.h, plot.bottom()]]
        })
        .collect();
    drawing.segments(&lines, Stroke::solid(crate::Rgb(0xb5, 0xb5, 0xb5), 0.8));
}
