//! A lit surface in its box: floor, axes, picture and path.

use super::Surface;
use crate::axis::Scale;
use crate::colour_bar::Colouring;
use crate::contour::iso_lines;
use crate::drawing::{Across, Along, Drawing, Rect, Setting, Stroke};
use crate::levels::Levels;
use crate::ruler::{Ruler, Way};
use crate::style::{FAINT_INK, HAIR, INK, LABEL, TICK, WHITE};
use crate::surface_image::{Camera, HeightField, Picture, Projection, render};
use crate::{Grid, Rgb, text};

/// Nodes that a coarse grid is refined to before it is drawn.
const NODES: usize = 160;
/// The height of the surface's lowest point above the floor, so that contours there can be seen.
const LIFT: f64 = 0.16;
/// Pixels per unit of the picture in the figure.
const DENSITY: f64 = 2.0;
/// Height of the box beside its sides.
const HEIGHT: f64 = 0.62;
/// Room for the numbers and labels around the floor.
const MARGINS: [f64; 4] = [58.0, 6.0, 44.0, 50.0];
const PATH: Rgb = Rgb(0xe6, 0x2b, 0x1e);

/// A surface in its place.
pub(super) struct Scene<'a> {
    surface: &'a Surface,
    pub(super) levels: Levels,
    pub(super) scale: Scale,
    place: Rect,
    projection: Projection,
}

impl<'a> Scene<'a> {
    pub(super) fn new(surface: &'a Surface, levels: Levels, place: Rect) -> Self {
        let scale = if levels.is_log() { Scale::Log } else { Scale::Linear };
        let [azimuth, elevation] = surface.view;
        let camera = Camera { azimuth, elevation, height: HEIGHT };
        let projection = camera.projection([place.w, place.h], MARGINS);
        Self { surface, levels, scale, place, projection }
    }

    /// A value's height, from the lift at the lowest level to 1 at the highest.
    fn height(&self, value: f64) -> f64 {
        let edges = self.levels.edges();
        let [low, high] = [edges[0], edges[edges.len() - 1]].map(|v| self.scale.length(v));
        if !value.is_finite() {
            return f64::NAN;
        }
        if !self.scale.shows(value) {
            return LIFT;
        }
        LIFT + (1.0 - LIFT) * ((self.scale.length(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    fn value(&self, height: f64) -> f64 {
        let edges = self.levels.edges();
        let [low, high] = [edges[0], edges[edges.len() - 1]].map(|v| self.scale.length(v));
        self.scale.value_at(low + (height - LIFT) / (1.0 - LIFT) * (high - low))
    }

    /// The colours at equal distances along the range, which need not be those of equally many bands.
    pub(super) fn samples(&self) -> Vec<String> {
        let colouring = Colouring::Bands { levels: self.levels.clone(), map: self.surface.colours };
        let count = 256;
        let heights = (0..count).map(|k| LIFT + (1.0 - LIFT) * (f64::from(k) + 0.5) / f64::from(count));
        heights.map(|h| colouring.of(self.value(h)).hex()).collect()
    }

    fn unit(nodes: &[f64], v: f64) -> f64 {
        let (first, last) = (nodes[0], nodes[nodes.len() - 1]);
        (v - first) / (last - first)
    }

    fn at(&self, u: f64, v: f64, h: f64) -> [f64; 2] {
        let [x, y, _] = self.projection.at([u, v, h]);
        [self.place.x + x, self.place.y + y]
    }

    pub(super) fn draw(&self, drawing: &mut Drawing) {
        let grid = &self.surface.grid;
        let heights = grid.map(|v| self.height(v)).refined(NODES);
        let units = |nodes: &[f64]| -> Vec<f64> { nodes.iter().map(|v| Self::unit(nodes, *v)).collect() };
        let (u, v) = (units(heights.x()), units(heights.y()));
        self.floor(drawing, &heights);
        self.axes(drawing);
        let field = HeightField { u: &u, v: &v, height: heights.values() };
        let size = [self.place.w, self.place.h].map(|s| (s * DENSITY).round().max(1.0));
        let camera =
            Camera { azimuth: self.surface.view[0], elevation: self.surface.view[1], height: HEIGHT };
        let fine = camera.projection(size, MARGINS.map(|m| m * DENSITY));
        let bands = self.levels.edges().len() - 1;
        let colour = |h: f64| {
            // Bands as in the bar; what is above the last level is cut off flat and has its colour.
            if h >= 1.0 && self.levels.is_capped() {
                return Colouring::band(&self.levels, self.surface.colours, bands);
            }
            let value = self.value(h) * (1.0 + 1e-12);
            let k = self.levels.edges().iter().skip(1).filter(|edge| value >= **edge).count().min(bands - 1);
            Colouring::band(&self.levels, self.surface.colours, k)
        };
        let picture = render(&field, &fine, (size[0] as usize, size[1] as usize), &colour);
        if let Ok(png) = picture.png() {
            drawing.image(self.place, &png);
        }
        self.path(drawing, &picture, &fine);
    }

    /// The square below the surface with its iso-lines.
    fn floor(&self, drawing: &mut Drawing, heights: &Grid) {
        let corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]].map(|[u, v]| self.at(u, v, 0.0));
        drawing.region(&[corners.to_vec()], Rgb(0xf7, 0xf7, 0xf7), 1.0);
        if self.surface.floor {
            for (k, edge) in self.levels.edges().iter().enumerate().skip(1) {
                let colour =
                    Colouring::band(&self.levels, self.surface.colours, k.min(self.levels.edges().len() - 2));
                for line in iso_lines(heights, self.height(*edge)) {
                    let place = |p: &[f64; 2]| {
                        self.at(Self::unit(heights.x(), p[0]), Self::unit(heights.y(), p[1]), 0.0)
                    };
                    let points: Vec<[f64; 2]> = line.points.iter().map(place).collect();
                    drawing.path(&points, line.closed, Stroke::solid(colour, 0.9));
                }
            }
        }
        drawing.path(&corners, true, Stroke::solid(INK, HAIR));
    }

    fn axes(&self, drawing: &mut Drawing) {
        let grid = &self.surface.grid;
        let ends = |nodes: &[f64]| [nodes[0], nodes[nodes.len() - 1]];
        // The edges of the floor that are nearer to the viewer are lower in the picture.
        let lower = |a: [f64; 2], b: [f64; 2]| a[1] > b[1];
        let v = if lower(self.at(0.5, 0.0, 0.0), self.at(0.5, 1.0, 0.0)) { 0.0 } else { 1.0 };
        let u = if lower(self.at(0.0, 0.5, 0.0), self.at(1.0, 0.5, 0.0)) { 0.0 } else { 1.0 };
        self.edge(drawing, &self.surface.labels[0], ends(grid.x()), |t| self.at(t, v, 0.0));
        self.edge(drawing, &self.surface.labels[1], ends(grid.y()), |t| self.at(u, t, 0.0));
        let corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        let leftmost = corners
            .into_iter()
            .min_by(|a, b| self.at(a[0], a[1], 0.0)[0].total_cmp(&self.at(b[0], b[1], 0.0)[0]));
        let [u, v] = leftmost.expect("a square has corners");
        let (bottom, top) = (self.at(u, v, LIFT), self.at(u, v, 1.0));
        drawing.path(&[self.at(u, v, 0.0), top], false, Stroke::solid(INK, HAIR));
        let edges = self.levels.edges();
        let range = [edges[0], edges[edges.len() - 1]];
        let ruler = Ruler::new(self.scale, range, bottom[1] - top[1], Way::Up);
        for (value, label) in &ruler.ticks {
            let [x, y] = self.at(u, v, self.height(*value));
            drawing.path(&[[x, y], [x - 4.0, y]], false, Stroke::solid(INK, HAIR));
            drawing.text(label, [x - 7.0, y], Setting::new(TICK, Along::End, Across::Middle));
        }
        if let Some(factor) = &ruler.factor {
            drawing.text(factor, [top[0], top[1] - 8.0], Setting::new(TICK, Along::Middle, Across::Bottom));
        }
    }

    /// Ticks, numbers and label along an edge of the floor.
    fn edge(&self, drawing: &mut Drawing, label: &str, range: [f64; 2], at: impl Fn(f64) -> [f64; 2]) {
        let (from, to) = (at(0.0), at(1.0));
        let middle = self.at(0.5, 0.5, 0.0);
        let half = at(0.5);
        let along = [to[0] - from[0], to[1] - from[1]];
        let length = along[0].hypot(along[1]).max(1e-9);
        // Away from the floor, at right angles to the edge.
        let mut out = [-along[1] / length, along[0] / length];
        if out[0] * (half[0] - middle[0]) + out[1] * (half[1] - middle[1]) < 0.0 {
            out = out.map(|o| -o);
        }
        let side = if out[0] < 0.0 { Along::End } else { Along::Start };
        // Numbers on a slope stand apart by their height or by their width, whichever needs less of the edge.
        let ruler = Ruler::new(Scale::Linear, range, along[0].abs().max(along[1].abs()), Way::Across);
        let mut reach: f64 = 0.0;
        for (value, number) in &ruler.ticks {
            let [x, y] = at(ruler.fraction(*value));
            drawing.path(&[[x, y], [x + 4.0 * out[0], y + 4.0 * out[1]]], false, Stroke::solid(INK, HAIR));
            drawing.text(
                number,
                [x + 8.0 * out[0], y + 10.0 * out[1]],
                Setting::new(TICK, side, Across::Middle),
            );
            reach = reach.max(text::width(number, TICK));
        }
        let label = match &ruler.factor {
            Some(factor) => format!("{label} ({factor})"),
            None => label.to_string(),
        };
        let mut angle = along[1].atan2(along[0]).to_degrees();
        if angle.abs() > 90.0 {
            angle -= 180.0 * angle.signum();
        }
        // Beyond the numbers, which reach out sideways.
        let d = 14.0 + reach * out[0].abs() + TICK * out[1].abs();
        let setting = Setting { angle, ..Setting::new(LABEL, Along::Middle, Across::Middle) };
        let place = [half[0] + d * out[0], half[1] + (d + 2.0) * out[1]];
        drawing.text(&text::fit(&label, LABEL, length), place, setting);
    }

    /// The path: where the surface hides it, faint.
    fn path(&self, drawing: &mut Drawing, picture: &Picture, fine: &Projection) {
        let grid = &self.surface.grid;
        let place = |p: &[f64; 3]| {
            [Self::unit(grid.x(), p[0]), Self::unit(grid.y(), p[1]), self.height(p[2]) + 0.004]
        };
        // In short steps, so that it disappears where the surface covers it and not at its next point.
        let fine_points: Vec<[f64; 3]> = self
            .surface
            .path
            .windows(2)
            .flat_map(|w| {
                let (a, b) = (place(&w[0]), place(&w[1]));
                (0..8).map(move |i| [0, 1, 2].map(|k| a[k] + f64::from(i) / 8.0 * (b[k] - a[k])))
            })
            .chain(self.surface.path.last().map(place))
            .collect();
        let seen: Vec<([f64; 2], bool)> =
            fine_points.iter().map(|p| (self.at(p[0], p[1], p[2]), !picture.hides(fine, *p))).collect();
        let mut start = 0;
        while start + 1 < seen.len() {
            let visible = seen[start].1;
            let end = (start + 1..seen.len()).find(|&i| seen[i].1 != visible).unwrap_or(seen.len() - 1);
            let run: Vec<[f64; 2]> = seen[start..=end].iter().map(|(p, _)| *p).collect();
            let opacity = if visible { 1.0 } else { 0.25 };
            drawing.path(&run, false, Stroke { opacity, ..Stroke::solid(PATH, 2.0) });
            start = end;
        }
        for (point, name) in &self.surface.points {
            let p = place(point);
            let [x, y] = self.at(p[0], p[1], p[2]);
            let fill = if picture.hides(fine, p) { FAINT_INK } else { INK };
            drawing.circle([x, y], 4.0, fill, Some(Stroke::solid(WHITE, 1.2)));
            let setting = Setting { halo: true, ..Setting::new(TICK, Along::Start, Across::Middle) };
            let covers = setting.covers(name, [x + 8.0, y]);
            if !drawing.texts.iter().any(|(_, b)| b.meets(&covers)) {
                drawing.text(name, [x + 8.0, y], setting);
            }
        }
    }
}
