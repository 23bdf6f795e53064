//! The frame of a plot: a rectangle with a ruler on each of its axes, and the room for numbers and labels around it.

use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::drawing::IntoDrawingArea;
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};

use crate::Rgb;
use crate::axis::Axis;
use crate::drawing::{Across, Along, Drawing, Rect, Setting};
use crate::ruler::{Ruler, Way};
use crate::style::{HAIR, INK, LABEL, MESH, TICK, TICK_MARK, TITLE};
use crate::svg::{Svg, pixels};
use crate::text;

/// Room around a plot's rectangle.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Margins {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Margins {
    /// The larger of two on the left and on the right, so that frames above each other line up.
    pub(crate) fn aligned(self, other: Margins) -> Margins {
        Margins { left: self.left.max(other.left), right: self.right.max(other.right), ..self }
    }

    pub(crate) fn plot(&self, cell: Rect) -> Rect {
        cell.inside([self.left, self.top, self.right, self.bottom])
    }
}

/// An axis with the range that it is drawn over.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    pub(crate) axis: Axis,
    pub(crate) range: [f64; 2],
    /// Names instead of numbers, at 0.5, 1.5, ... .
    names: Option<Vec<String>>,
}

impl Extent {
    pub(crate) fn numbers(axis: Axis, range: [f64; 2]) -> Self {
        Self { axis, range, names: None }
    }

    /// One unit for each name, from the low end to the high one.
    pub(crate) fn names(label: &str, names: Vec<String>) -> Self {
        let range = [0.0, names.len().max(1) as f64];
        Self { axis: Axis::linear(label), range, names: Some(names) }
    }

    fn ruler(&self, room: f64, way: Way) -> Ruler {
        match &self.names {
            Some(names) => Ruler::named(names, room, way),
            None => Ruler::new(self.axis.scale, self.range, room, way),
        }
    }
}

/// What a frame is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) title: String,
    pub(crate) x: Extent,
    pub(crate) y: Extent,
    /// A second y axis on the right.
    pub(crate) right: Option<Extent>,
    /// Whether numbers and label stand below; a panel above one with the same x axis has none.
    pub(crate) below: bool,
}

/// Between a label and the numbers it belongs to.
const APART: f64 = 7.0;
/// Around everything.
const EDGE: f64 = 6.0;

fn label_height() -> f64 {
    (text::CAPITALS + text::DESCENT) * LABEL
}

/// The width of an upright axis' numbers and label.
fn beside(axis: &Axis, ruler: &Ruler) -> f64 {
    let label = if axis.label.is_empty() && ruler.factor.is_none() { 0.0 } else { label_height() + APART };
    label + ruler.widest() + 2.0 * TICK_MARK
}

impl Plan {
    fn title_lines(&self, room: f64) -> Vec<String> {
        text::wrap(&self.title, TITLE, room, 2)
    }

    /// The room that titles, numbers and labels need in a cell, with so much more on the right.
    pub(crate) fn margins(&self, cell: [f64; 2], more_right: f64) -> Margins {
        let lines = self.title_lines(cell[0] - 2.0 * EDGE).len() as f64;
        let top = EDGE + lines * text::LINE * TITLE + 4.0;
        let bottom = if self.below {
            2.0 * TICK_MARK + text::CAPITALS * TICK + APART + label_height() + EDGE
        } else {
            EDGE
        };
        let height = cell[1] - top - bottom;
        let side = |extent: &Extent| EDGE + beside(&extent.axis, &extent.ruler(height, Way::Up));
        let left = side(&self.y);
        let right = self.right.as_ref().map_or(EDGE + 2.0, side) + more_right;
        let room = cell[0] - left - right;
        let [before, beyond] = self.x.ruler(room, Way::Across).overhang(room);
        Margins { left: left.max(before + EDGE), top, right: right.max(beyond + EDGE), bottom }
    }

    /// Lays the frame out in a cell.
    pub(crate) fn frame(&self, cell: Rect, margins: Margins) -> Frame {
        self.around(margins.plot(cell), cell)
    }

    /// Lays the frame out with its plot's rectangle given.
    pub(crate) fn around(&self, plot: Rect, cell: Rect) -> Frame {
        Frame {
            plan: self.clone(),
            cell,
            plot,
            x: self.x.ruler(plot.w, Way::Across),
            y: self.y.ruler(plot.h, Way::Up),
            right: self.right.as_ref().map(|r| r.ruler(plot.h, Way::Up)),
        }
    }
}

/// A frame in its place.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    plan: Plan,
    cell: Rect,
    pub(crate) plot: Rect,
    pub(crate) x: Ruler,
    pub(crate) y: Ruler,
    pub(crate) right: Option<Ruler>,
}

impl Frame {
    /// Where a point of the data lies in the picture.
    pub(crate) fn at(&self, x: f64, y: f64) -> [f64; 2] {
        self.place(x, self.y.fraction(y))
    }

    /// The same with y on the axis on the right.
    pub(crate) fn at_right(&self, x: f64, y: f64) -> [f64; 2] {
        self.place(x, self.right.as_ref().unwrap_or(&self.y).fraction(y))
    }

    fn place(&self, x: f64, up: f64) -> [f64; 2] {
        // Beyond any picture, where numbers would only grow the file.
        let limited = |v: f64| v.clamp(-1e5, 1e5);
        [
            limited(self.plot.x + self.x.fraction(x) * self.plot.w),
            limited(self.plot.bottom() - up * self.plot.h),
        ]
    }

    /// Draws title, mesh, axes, numbers and labels.
    pub(crate) fn draw(&self, drawing: &mut Drawing, mesh: bool) {
        let (cell, plot) = (self.cell, self.plot);
        let lines = self.plan.title_lines(cell.w - 2.0 * EDGE);
        let count = lines.len();
        // Above the plot; where a title is wider than that, as far to the left as needed.
        let widest = lines.iter().map(|line| text::width(line, TITLE)).fold(0.0, f64::max);
        let x = plot.x.min(cell.right() - EDGE - widest).max(cell.x + EDGE);
        for (i, line) in lines.iter().enumerate() {
            let y = plot.y - 7.0 - (count - 1 - i) as f64 * text::LINE * TITLE;
            drawing.text(line, [x, y], Setting::new(TITLE, Along::Start, Across::Bottom));
        }
        // Labels of plots above each other line up at the cell's edge, unless the plot is far from it.
        let own = beside(&self.plan.y.axis, &self.y);
        let left = Some(plot.x - cell.x - EDGE).filter(|far| (own..own + 45.0).contains(far)).unwrap_or(own);
        let right =
            self.right.as_ref().zip(self.plan.right.as_ref()).map_or(0.0, |(r, e)| beside(&e.axis, r));
        let bottom = if self.plan.below {
            2.0 * TICK_MARK + text::CAPITALS * TICK + APART + label_height()
        } else {
            TICK_MARK
        };
        let [x, y] = [plot.x - left, plot.y].map(pixels);
        let [w, h] = [plot.w + left + right, plot.h + bottom].map(pixels);
        let style = |colour: Rgb, width: f64| line_style(colour, width);
        let ink = rgb(INK);
        let text_style =
            |size: f64| TextStyle::from(("sans-serif", size * crate::svg::SCALE).into_font()).color(&ink);
        let x_ruler = if self.plan.below { self.x.clone() } else { self.x.blank() };
        let draw = || -> Result<(), Box<dyn std::error::Error + '_>> {
            let root = Svg(drawing).into_drawing_area();
            let area = root.shrink((x, y), (w, h));
            let mut chart = ChartBuilder::on(&area);
            chart.set_label_area_size(LabelAreaPosition::Left, pixels(left));
            chart.set_label_area_size(LabelAreaPosition::Bottom, pixels(bottom));
            if self.right.is_some() {
                chart.set_label_area_size(LabelAreaPosition::Right, pixels(right));
            }
            let chart = chart.build_cartesian_2d(x_ruler.clone(), self.y.clone())?;
            let mut chart =
                chart.set_secondary_coord(x_ruler, self.right.clone().unwrap_or_else(|| self.y.clone()));
            let mut primary = chart.configure_mesh();
            primary
                .bold_line_style(style(MESH, if mesh { HAIR } else { 0.0 }))
                .light_line_style(RGBColor(0, 0, 0).mix(0.0))
                .axis_style(style(INK, HAIR))
                .label_style(text_style(TICK))
                .axis_desc_style(text_style(LABEL))
                .set_all_tick_mark_size(pixels(TICK_MARK))
                .y_desc(Self::label(&self.plan.y.axis, &self.y, plot.h));
            if self.plan.below {
                primary.x_desc(Self::label(&self.plan.x.axis, &self.x, plot.w));
            }
            if !mesh {
                primary.disable_mesh();
            }
            // Names are read along their bars.
            if self.plan.y.names.is_some() {
                primary.disable_y_mesh();
            }
            primary.draw()?;
            if let (Some(ruler), Some(extent)) = (&self.right, &self.plan.right) {
                chart
                    .configure_secondary_axes()
                    .axis_style(style(INK, HAIR))
                    .label_style(text_style(TICK))
                    .axis_desc_style(text_style(LABEL))
                    .set_all_tick_mark_size(pixels(TICK_MARK))
                    .y_desc(Self::label(&extent.axis, ruler, plot.h))
                    .draw()?;
            }
            Ok(())
        };
        draw().expect("drawing into a string cannot fail");
    }

    /// An axis' label with the power of ten of its numbers, as long as its axis at most.
    fn label(axis: &Axis, ruler: &Ruler, room: f64) -> String {
        let full = match &ruler.factor {
            Some(factor) if axis.label.is_empty() => factor.clone(),
            Some(factor) => format!("{} ({factor})", axis.label),
            None => axis.label.clone(),
        };
        text::fit(&full, LABEL, room)
    }
}

fn rgb(c: Rgb) -> RGBColor {
    RGBColor(c.0, c.1, c.2)
}

fn line_style(colour: Rgb, width: f64) -> ShapeStyle {
    rgb(colour).stroke_width(pixels(width) as u32)
}
