//! Saved surfaces as figures.

use relief_plot::terminal;
use relief_plot::{
    Axis, Field, Figure, Grid, Levels, Overlay, Panel, PointKind, Quadratic, Scale, Surface as Lit,
};
use serde::Deserialize;

use crate::commands::surface::Show;
use crate::exit::Failure;
use crate::output;
use crate::saved::{Saved, provenance};

/// A surface as any version wrote it: what a figure needs, and no more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Surface {
    plane: Plane,
    axes: [Vec<f64>; 2],
    loss: Vec<Vec<Option<f64>>>,
    accuracy: Option<Vec<Vec<Option<f64>>>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Plane {
    kind: String,
    labels: [String; 2],
    orthonormal: bool,
    cosine: f64,
    model: Option<Model>,
}

#[derive(Debug, Clone, Deserialize)]
struct Model {
    loss: f64,
    gradient: [f64; 2],
    pairs: [Pair; 2],
}

#[derive(Debug, Clone, Deserialize)]
struct Pair {
    value: f64,
}

impl Plane {
    /// The loss to second order around the centre.
    fn quadratic(&self) -> Option<Quadratic> {
        self.model.as_ref().map(|model| {
            let [first, second] = [0, 1].map(|i| model.pairs[i].value);
            let hessian = [first, 0.0, second];
            Quadratic { centre: [0.0, 0.0], value: model.loss, gradient: model.gradient, hessian }
        })
    }
}

/// Bands of a map.
const BANDS: usize = 18;

impl Surface {
    fn grid(&self, show: Show) -> Result<Grid, Failure> {
        let [x, y] = self.axes.clone();
        let rows = match show {
            Show::Loss => Some(&self.loss),
            Show::Accuracy => self.accuracy.as_ref(),
        };
        let rows = rows.ok_or_else(|| Failure::Usage("the surface has no accuracy: show the loss".into()))?;
        let factor = if show == Show::Accuracy { 100.0 } else { 1.0 };
        let values = rows.iter().flatten().map(|v| v.map_or(f64::NAN, |v| factor * v)).collect();
        Ok(Grid::new(x, y, values)?)
    }
}

fn value_label(show: Show) -> &'static str {
    match show {
        Show::Loss => "loss",
        Show::Accuracy => "accuracy (%)",
    }
}

/// Surfaces side by side with the same levels; as lit surfaces where asked.
pub(crate) fn figure(
    title: &str,
    surfaces: &[Saved<Surface>],
    show: Show,
    perspective: bool,
) -> Result<Figure, Failure> {
    let grids = surfaces.iter().map(|s| s.result.grid(show)).collect::<Result<Vec<_>, _>>()?;
    let scale = (show == Show::Accuracy).then_some(Scale::Linear);
    let levels = Levels::chosen(&grids.iter().collect::<Vec<_>>(), BANDS, None, scale)?;
    let panels = surfaces.iter().zip(grids).map(|(saved, grid)| {
        let name = saved.name();
        let plane = &saved.result.plane;
        if perspective {
            let [x, y] = plane.labels.clone();
            let labels = [x, y, value_label(show).to_string()];
            return Panel::Surface(Lit { levels: Some(levels.clone()), ..Lit::new(name, labels, grid) });
        }
        let [x, y] = [0, 1].map(|nth| Axis::linear(plane.labels[nth].as_str()));
        let field = Field::new(name, x, y, value_label(show), grid);
        let field = Field {
            scale,
            levels: Some(levels.clone()),
            equal_aspect: plane.orthonormal,
            model: plane.quadratic().filter(|_| show == Show::Loss),
            ..field
        };
        Panel::Field(field.with(Overlay::Point {
            kind: PointKind::Centre,
            at: [0.0, 0.0],
            label: String::new(),
        }))
    });
    let mut lines = provenance(surfaces);
    let random: Vec<&Plane> =
        surfaces.iter().map(|s| &s.result.plane).filter(|p| p.kind == "random").collect();
    if !random.is_empty() {
        let cosines: Vec<String> = random.iter().map(|plane| format!("{:.3}", plane.cosine)).collect();
        lines.push(format!("Cosine between the directions: {}.", cosines.join(", ")));
    }
    if surfaces.iter().any(|s| s.result.plane.model.is_some()) && show == Show::Loss && !perspective {
        lines.push("Dashed: the quadratic model at the same levels.".to_string());
    }
    Ok(Figure::new(title, panels.collect()).captioned(lines.join(" ")))
}

/// Surfaces in characters, one below the other.
pub(crate) fn in_characters(surfaces: &[Saved<Surface>], show: Show) -> Result<String, Failure> {
    let mut out = vec![];
    for saved in surfaces {
        let grid = saved.result.grid(show)?;
        let log = show == Show::Loss
            && grid.finite_range().is_some_and(|(low, high)| low > 0.0 && high > 20.0 * low);
        let picture = terminal::surface(&grid, log, &output::characters(24));
        out.push(format!("{}: {}\n{}", saved.name(), value_label(show), picture.trim_end()));
    }
    Ok(out.join("\n\n"))
}
