//! A function of two variables as a lit surface, with its floor, its axes and paths on it.

use crate::axis::Scale;
use crate::colour::ColourMap;
use crate::colour_bar::Colouring;
use crate::drawing::{Across, Along, Drawing, Rect, Setting};
use crate::html::{SurfacePoint, SurfaceView};
use crate::levels::Levels;
use crate::style::TITLE;
use crate::{Grid, Result, text};

mod scene;

use scene::Scene;

/// A panel with a surface.
#[derive(Debug, Clone)]
pub struct Surface {
    /// What the panel shows.
    pub title: String,
    /// The coordinates and the value, each with its unit.
    pub labels: [String; 3],
    /// The values.
    pub grid: Grid,
    /// The values at which colours and floor contours change; chosen from the values if absent.
    pub levels: Option<Levels>,
    /// The colours, from low to high.
    pub colours: ColourMap,
    /// A path with its own values, laid over the surface.
    pub path: Vec<[f64; 3]>,
    /// Points with their values, and their names.
    pub points: Vec<([f64; 3], String)>,
    /// Whether the floor shows iso-lines.
    pub floor: bool,
    /// Where the viewer stands: degrees around the vertical axis and above the floor.
    pub view: [f64; 2],
}

/// Bands that are chosen where no levels are given.
const BANDS: usize = 18;

impl Surface {
    /// A surface over the grid's range.
    pub fn new(title: impl Into<String>, labels: [String; 3], grid: Grid) -> Self {
        Self {
            title: title.into(),
            labels,
            grid,
            levels: None,
            colours: ColourMap::Viridis,
            path: vec![],
            points: vec![],
            floor: true,
            view: [-60.0, 32.0],
        }
    }

    fn levels(&self) -> Result<Levels> {
        match &self.levels {
            Some(levels) => Ok(levels.clone().capped_for(&[&self.grid])),
            None => Levels::automatic(&[&self.grid], BANDS, None),
        }
    }

    pub(crate) fn draw(&self, drawing: &mut Drawing, cell: Rect) -> Result<()> {
        let levels = self.levels()?;
        let colouring = Colouring::Bands { levels: levels.clone(), map: self.colours };
        let lines = text::wrap(&self.title, TITLE, cell.w - 12.0, 2);
        for (i, line) in lines.iter().enumerate() {
            let y = cell.y + 6.0 + i as f64 * text::LINE * TITLE;
            drawing.text(line, [cell.x + 10.0, y], Setting::new(TITLE, Along::Start, Across::Top));
        }
        let top = 8.0 + lines.len() as f64 * text::LINE * TITLE;
        let bar = colouring.room(cell.h - top - 70.0);
        let scene = Scene::new(self, levels, cell.inside([4.0, top, bar + 4.0, 4.0]));
        scene.draw(drawing);
        let stand = cell.inside([4.0, top + 24.0, bar, 46.0]);
        colouring.draw(drawing, Rect { w: stand.w - 4.0, ..stand }, &self.labels[2]);
        drawing.surfaces.push((self.title.clone(), self.view(&scene)));
        Ok(())
    }

    fn view(&self, scene: &Scene<'_>) -> SurfaceView {
        let edges = scene.levels.edges();
        let bands = edges.len() - 1;
        SurfaceView {
            x: self.grid.x().to_vec(),
            y: self.grid.y().to_vec(),
            z: self.grid.values().iter().map(|v| v.is_finite().then_some(*v)).collect(),
            labels: self.labels.clone(),
            log: scene.scale == Scale::Log,
            cap: scene.levels.is_capped().then(|| edges[bands]),
            range: [edges[0], edges[bands]],
            colours: scene.samples(),
            path: self.path.clone(),
            points: self
                .points
                .iter()
                .map(|(at, label)| SurfacePoint { at: *at, label: label.clone() })
                .collect(),
        }
    }
}
