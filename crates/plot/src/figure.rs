//! A figure: panels in columns, a title above and a caption below.

use std::path::Path;

use crate::bars::Bars;
use crate::boxes::TextBox;
use crate::drawing::{Across, Along, Drawing, Rect, Setting};
use crate::field::Field;
use crate::frame::Margins;
use crate::lines::Lines;
use crate::matrix::Matrix;
use crate::picture::Pixels;
use crate::report::{Report, write};
use crate::style::{CAPTION, FAINT_INK, FIGURE_TITLE};
use crate::surface::Surface;
use crate::{PlotError, Result, picture, raster, text};

/// One panel of a figure.
#[derive(Debug, Clone)]
pub enum Panel {
    /// Curves.
    Lines(Lines),
    /// A field seen from above.
    Field(Field),
    /// A field as a surface.
    Surface(Surface),
    /// Bars.
    Bars(Bars),
    /// A table of colours.
    Matrix(Matrix),
}

/// A figure, as data.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Above all panels; none if empty.
    pub title: String,
    /// Below all panels, small: where the data come from.
    pub caption: String,
    /// The panels, row by row.
    pub panels: Vec<Panel>,
    /// Panels beside each other.
    pub columns: usize,
    /// Width and height of a panel in units of 1/96 inch; what the panels need if absent.
    pub panel_size: Option<[f64; 2]>,
    /// Whether panels of lines above each other have one x axis, below the lowest.
    pub share_x: bool,
}

/// The height of an x axis' numbers and label, which panels above one with the same axis do without.
const SHARED_AXIS: f64 = 34.0;
/// Pixels per unit in PNG files: 300 to an inch.
const DENSITY: f64 = 3.125;

impl Figure {
    /// A figure of these panels in one row.
    pub fn new(title: impl Into<String>, panels: Vec<Panel>) -> Self {
        Self {
            title: title.into(),
            caption: String::new(),
            columns: panels.len().max(1),
            panels,
            panel_size: None,
            share_x: false,
        }
    }

    /// The same panels in so many columns.
    #[must_use]
    pub fn in_columns(self, columns: usize) -> Self {
        Self { columns: columns.max(1), ..self }
    }

    /// The same figure with a caption.
    #[must_use]
    pub fn captioned(self, caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), ..self }
    }

    /// The figure as SVG.
    pub fn svg(&self) -> Result<String> {
        Ok(self.draw()?.finish())
    }

    /// The figure as a PNG with so many pixels per unit (1 for the screen, 3.125 for 300 dpi).
    pub fn png(&self, density: f64) -> Result<Vec<u8>> {
        Ok(self.png_with_size(density)?.0)
    }

    /// The same with its width and height in pixels.
    pub fn png_with_size(&self, density: f64) -> Result<(Vec<u8>, (u32, u32))> {
        let Pixels { width, height, rgba } = picture::pixels(&self.svg()?, density)?;
        Ok((raster::png(&rgba, width, height)?, (width as u32, height as u32)))
    }

    /// The figure as a page of its own, with values under the pointer and surfaces that turn.
    pub fn html(&self) -> Result<String> {
        Report::new(&self.title).with(&self.title, "", self)?.html()
    }

    /// Writes the figure as what the file's name ends in: `.svg`, `.png` (300 dpi) or `.html`.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => self.svg()?.into_bytes(),
            Some("png") => self.png(DENSITY)?,
            Some("html") => self.html()?.into_bytes(),
            _ => return Err(PlotError::Extension { path: path.to_path_buf() }),
        };
        write(path, &bytes)
    }

    /// Texts that cover each other, leave the figure or have signs that the font lacks, a line each. Where there are any,
    /// data or sizes ask for too much.
    pub fn collisions(&self) -> Result<Vec<String>> {
        let drawing = self.draw()?;
        let frame = Rect { x: 0.0, y: 0.0, w: drawing.size[0], h: drawing.size[1] };
        let outside = |b: &TextBox| !b.corners().iter().all(|c| frame.contains(*c));
        let mut found: Vec<String> = drawing
            .texts
            .iter()
            .filter(|(_, b)| outside(b))
            .map(|(text, _)| format!("\"{text}\" leaves the figure"))
            .collect();
        let undrawable = drawing.texts.iter().filter(|(text, _)| !text::drawable(text));
        found.extend(undrawable.map(|(text, _)| format!("\"{text}\" has signs that the font lacks")));
        for (i, (a, first)) in drawing.texts.iter().enumerate() {
            for (b, _) in drawing.texts[..i].iter().filter(|(_, second)| second.meets(first)) {
                found.push(format!("\"{b}\" and \"{a}\" cover each other"));
            }
        }
        Ok(found)
    }

    /// Shows the figure in a notebook of the evcxr kernel, which calls this on the last value of a cell.
    #[expect(clippy::print_stdout, reason = "the notebook's kernel reads this from standard output")]
    pub fn evcxr_display(&self) {
        match self.svg() {
            Ok(svg) => println!("EVCXR_BEGIN_CONTENT text/html\n{svg}\nEVCXR_END_CONTENT"),
            Err(problem) => println!("EVCXR_BEGIN_CONTENT text/plain\n{problem}\nEVCXR_END_CONTENT"),
        }
    }

    fn cell(&self) -> [f64; 2] {
        self.panel_size.unwrap_or_else(|| {
            let sizes = self.panels.iter().map(|panel| match panel {
                Panel::Lines(_) => [480.0, 330.0],
                Panel::Field(field) => field.size(),
                Panel::Surface(_) => [560.0, 440.0],
                Panel::Bars(bars) => [480.0, bars.height().max(200.0)],
                Panel::Matrix(matrix) => [520.0, matrix.height().max(240.0)],
            });
            sizes.fold([0.0, 0.0], |a: [f64; 2], b| [a[0].max(b[0]), a[1].max(b[1])])
        })
    }

    pub(crate) fn draw(&self) -> Result<Drawing> {
        if self.panels.is_empty() {
            return Err(PlotError::Data("a figure needs at least one panel".into()));
        }
        let [w, h] = self.cell();
        let columns = self.columns.clamp(1, self.panels.len());
        let rows = self.panels.len().div_ceil(columns);
        let width = w * columns as f64;
        let heading = text::wrap(&self.title, FIGURE_TITLE, width - 20.0, 2);
        let caption = text::wrap(&self.caption, CAPTION, width - 20.0, 6);
        let top =
            if heading.is_empty() { 0.0 } else { 10.0 + heading.len() as f64 * text::LINE * FIGURE_TITLE };
        let foot = if caption.is_empty() { 0.0 } else { 10.0 + caption.len() as f64 * text::LINE * CAPTION };
        let lone = |i: usize| self.share_x && i + columns < self.panels.len();
        let saved = if self.share_x { SHARED_AXIS } else { 0.0 };
        let row_top = |row: usize| top + row as f64 * (h - saved);
        let height = row_top(rows - 1) + h + foot;
        let mut drawing = Drawing::new([width, height]);
        for (i, line) in heading.iter().enumerate() {
            let y = 10.0 + i as f64 * text::LINE * FIGURE_TITLE;
            drawing.text(line, [10.0, y], Setting::new(FIGURE_TITLE, Along::Start, Across::Top));
        }
        let panels = self.aligned(columns);
        let margins: Vec<Margins> = (0..panels.len())
            .map(|i| panels[i].margins([w, if lone(i) { h - saved } else { h }], !lone(i)))
            .collect::<Result<_>>()?;
        for (i, panel) in panels.iter().enumerate() {
            let (row, column) = (i / columns, i % columns);
            let cell =
                Rect { x: column as f64 * w, y: row_top(row), w, h: if lone(i) { h - saved } else { h } };
            let mut room = margins[i];
            for other in (column..panels.len()).step_by(columns).filter(|&k| panels[k].lines_up_with(panel)) {
                room = room.aligned(margins[other]);
            }
            panel.draw(&mut drawing, cell, room, !lone(i))?;
        }
        for (i, line) in caption.iter().enumerate() {
            let y = height - foot + 4.0 + i as f64 * text::LINE * CAPTION;
            let setting = Setting { colour: FAINT_INK, ..Setting::new(CAPTION, Along::Start, Across::Top) };
            drawing.text(line, [10.0, y], setting);
        }
        Ok(drawing)
    }

    /// The panels, those of lines in one column with one range along x where they share it.
    fn aligned(&self, columns: usize) -> Vec<Panel> {
        let mut panels = self.panels.clone();
        if self.share_x {
            for column in 0..columns {
                let all: Vec<f64> = (column..panels.len())
                    .step_by(columns)
                    .filter_map(
                        |i| if let Panel::Lines(lines) = &panels[i] { Some(lines.xs()) } else { None },
                    )
                    .flatten()
                    .collect();
                for i in (column..panels.len()).step_by(columns) {
                    if let Panel::Lines(lines) = &mut panels[i] {
                        lines.x.range = Some(lines.x.extent(all.iter().copied(), 0.0));
                    }
                }
            }
        }
        panels
    }
}

impl Panel {
    fn margins(&self, cell: [f64; 2], below: bool) -> Result<Margins> {
        Ok(match self {
            Self::Lines(lines) => lines.margins(cell, below),
            Self::Field(field) => field.margins(cell)?,
            Self::Surface(_) => Margins::default(),
            Self::Bars(bars) => bars.margins(cell),
            Self::Matrix(matrix) => matrix.margins(cell)?,
        })
    }

    fn lines_up_with(&self, other: &Panel) -> bool {
        matches!((self, other), (Self::Lines(_), Self::Lines(_)) | (Self::Field(_), Self::Field(_)))
    }

    fn draw(&self, drawing: &mut Drawing, cell: Rect, margins: Margins, below: bool) -> Result<()> {
        match self {
            Self::Lines(lines) => {
                lines.draw(drawing, cell, margins, below);
                Ok(())
            }
            Self::Field(field) => field.draw(drawing, cell, margins),
            Self::Surface(surface) => surface.draw(drawing, cell),
            Self::Bars(bars) => {
                bars.draw(drawing, cell, margins);
                Ok(())
            }
            Self::Matrix(matrix) => matrix.draw(drawing, cell, margins),
        }
    }
}
