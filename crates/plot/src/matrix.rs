//! A table of values as coloured cells: layers against steps, say.

use crate::axis::{Axis, Scale};
use crate::colour::ColourMap;
use crate::colour_bar::Colouring;
use crate::drawing::{Drawing, Rect, Stroke};
use crate::frame::{Extent, Margins, Plan};
use crate::raster;
use crate::style::{HAIR, INK};
use crate::{PlotError, Result};

/// A panel with a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// What the panel shows.
    pub title: String,
    /// Rows' names, from the top.
    pub rows: Vec<String>,
    /// Columns' names.
    pub columns: Vec<String>,
    /// What the columns are, with their unit.
    pub columns_label: String,
    /// What the colours mean, with its unit.
    pub value: Axis,
    /// The values, row by row; NaN leaves a cell blank.
    pub values: Vec<f64>,
    /// The colours; signed values take blue and red around zero whatever is given here.
    pub colours: ColourMap,
}

impl Matrix {
    /// The height that all rows need.
    pub(crate) fn height(&self) -> f64 {
        100.0 + self.rows.len() as f64 * 15.0
    }

    fn colouring(&self) -> Result<Colouring> {
        if self.values.len() != self.rows.len() * self.columns.len() || self.values.is_empty() {
            return Err(PlotError::Data(format!(
                "a table of {} rows and {} columns has {} values",
                self.rows.len(),
                self.columns.len(),
                self.values.len()
            )));
        }
        let range = self.value.extent(self.values.iter().copied(), 0.0);
        let signed = self.value.scale == Scale::Linear && range[0] < 0.0 && range[1] > 0.0;
        let (range, map) = if signed {
            let most = range[1].max(-range[0]);
            ([-most, most], ColourMap::BlueRed)
        } else {
            (range, self.colours)
        };
        Ok(Colouring::Smooth { scale: self.value.scale, range, map })
    }

    fn plan(&self) -> Plan {
        Plan {
            title: self.title.clone(),
            x: Extent::names(&self.columns_label, self.columns.clone()),
            y: Extent::names("", self.rows.iter().rev().cloned().collect()),
            right: None,
            below: true,
        }
    }

    pub(crate) fn margins(&self, cell: [f64; 2]) -> Result<Margins> {
        Ok(self.plan().margins(cell, self.colouring()?.room(cell[1] - 90.0)))
    }

    pub(crate) fn draw(&self, drawing: &mut Drawing, cell: Rect, margins: Margins) -> Result<()> {
        let colouring = self.colouring()?;
        let frame = self.plan().frame(cell, margins);
        let Colouring::Smooth { scale, .. } = &colouring else { return Ok(()) };
        let shown: Vec<f64> =
            self.values.iter().map(|v| if scale.shows(*v) { *v } else { f64::NAN }).collect();
        let png = raster::blocks(&shown, self.columns.len(), |v| colouring.of(v))?;
        drawing.image(frame.plot, &png);
        frame.draw(drawing, false);
        drawing.outline(frame.plot, Stroke::solid(INK, HAIR));
        colouring.draw(drawing, frame.plot, &self.value.label);
        Ok(())
    }
}
