//! Saved surfaces as figures.

use relief_plot::{
    Axis, Field, Figure, Grid, Levels, Overlay, Panel, PointKind, Quadratic, Scale, Surface as Lit,
};
use relief_plot::{studies, terminal};
use serde::Deserialize;

use crate::commands::surface::Show;
use crate::exit::Failure;
use crate::exports::Sampled;
use crate::saved::{Lists, Saved, provenance, subjects};
use crate::{numbers, output};

/// A surface as any version wrote it: what figures and exports need, and no more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Surface {
    plane: Plane,
    axes: [Vec<f64>; 2],
    loss: Vec<Vec<Option<f64>>>,
    accuracy: Option<Vec<Vec<Option<f64>>>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Plane {
    unit: String,
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
    /// An axis' label: which direction, in which unit.
    fn axis(&self, nth: usize) -> String {
        match &self.model {
            Some(model) => {
                let (value, place) = (model.pairs[nth].value, studies::subscript(nth + 1));
                format!("v{place} ({}), λ{place} = {value:.3}", self.unit)
            }
            None => format!("direction {} ({})", nth + 1, self.unit),
        }
    }

    /// The loss to second order around the centre.
    fn quadratic(&self) -> Option<Quadratic> {
        self.model.as_ref().map(|model| {
            let [first, second] = [0, 1].map(|i| model.pairs[i].value);
            let hessian = [first, 0.0, second];
            Quadratic { centre: [0.0, 0.0], value: model.loss, gradient: model.gradient, hessian }
        })
    }
}

/// What the caption says of a map with a quadratic model.
const DASHED: &str = "Dashed: the quadratic model at the same levels.";
/// Bands of a map.
const BANDS: usize = 18;

impl Lists for Surface {
    const NAMES: &'static [&'static str] = &["axes", "loss", "accuracy"];

    fn agree(&self) -> bool {
        let [columns, rows] = [0, 1].map(|i| self.axes[i].len());
        let fits = |table: &Vec<Vec<Option<f64>>>| {
            table.len() == rows && table.iter().all(|row| row.len() == columns)
        };
        columns > 0 && rows > 0 && fits(&self.loss) && self.accuracy.iter().all(fits)
    }
}

impl Surface {
    /// Loss and accuracy, a fraction, over the plane.
    pub(crate) fn sampled(&self) -> Sampled {
        let [x, y] = self.axes.clone();
        let accuracy = self.accuracy.iter().map(|rows| ("accuracy", known(rows, 1.0)));
        let measures = std::iter::once(("loss", known(&self.loss, 1.0))).chain(accuracy).collect();
        Sampled { axes: vec![("x", x), ("y", y)], measures }
    }

    fn grid(&self, show: Show) -> Result<Grid, Failure> {
        let [x, y] = self.axes.clone();
        let values = match show {
            Show::Loss => Some(known(&self.loss, 1.0)),
            Show::Accuracy => self.accuracy.as_ref().map(|rows| known(rows, 100.0)),
        };
        let values =
            values.ok_or_else(|| Failure::Usage("the surface has no accuracy: show the loss".into()))?;
        Ok(Grid::new(x, y, values)?)
    }
}

/// Values row by row in some unit, NaN where unknown.
fn known(rows: &[Vec<Option<f64>>], factor: f64) -> Vec<f64> {
    rows.iter().flatten().map(|v| v.map_or(f64::NAN, |v| factor * v)).collect()
}

fn value_label(show: Show) -> &'static str {
    match show {
        Show::Loss => "loss",
        Show::Accuracy => "accuracy (%)",
    }
}

/// How some surfaces are drawn so that they can be compared.
struct Look {
    show: Show,
    levels: Levels,
    perspective: bool,
    /// From where to where maps reach; each as far as its own points, if absent.
    ranges: Option<[[f64; 2]; 2]>,
}

impl Look {
    fn new(grids: &[Grid], show: Show, perspective: bool) -> Result<Self, Failure> {
        let scale = (show == Show::Accuracy).then_some(Scale::Linear);
        let levels = Levels::chosen(&grids.iter().collect::<Vec<_>>(), BANDS, None, scale)?;
        Ok(Self { show, levels, perspective, ranges: None })
    }

    fn panel(&self, saved: &Saved<Surface>, grid: Grid) -> Panel {
        let (name, levels) = (saved.name(), Some(self.levels.clone()));
        let plane = &saved.result.plane;
        if self.perspective {
            let labels = [plane.axis(0), plane.axis(1), value_label(self.show).to_string()];
            return Panel::Surface(Lit { levels, ..Lit::new(name, labels, grid) });
        }
        let [x, y] = [0, 1].map(|nth| Axis {
            range: self.ranges.map(|ranges| ranges[nth]),
            ..Axis::linear(plane.axis(nth))
        });
        let field = Field {
            scale: (self.show == Show::Accuracy).then_some(Scale::Linear),
            levels,
            // Both axes are distances along unit vectors.
            equal_aspect: plane.model.is_some(),
            model: plane.quadratic().filter(|_| self.show == Show::Loss),
            ..Field::new(name, x, y, value_label(self.show), grid)
        };
        let centre = Overlay::Point { kind: PointKind::Centre, at: [0.0, 0.0], label: String::new() };
        Panel::Field(field.with(centre))
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
    let look = Look::new(&grids, show, perspective)?;
    let panels = surfaces.iter().zip(grids).map(|(saved, grid)| look.panel(saved, grid));
    let mut lines = provenance(surfaces);
    let random: Vec<&Plane> =
        surfaces.iter().map(|s| &s.result.plane).filter(|p| p.model.is_none()).collect();
    if !random.is_empty() {
        let cosines: Vec<String> = random.iter().map(|plane| format!("{:.3}", plane.cosine)).collect();
        lines.push(format!("Cosine between the directions: {}.", cosines.join(", ")));
    }
    if random.len() < surfaces.len() && show == Show::Loss && !perspective {
        lines.push(DASHED.to_string());
    }
    Ok(Figure::new(title, panels.collect()).captioned(lines.join(" ")))
}

/// A figure of each surface, all with the same levels and axes.
pub(crate) fn frames(
    title: &str,
    surfaces: &[Saved<Surface>],
    show: Show,
    perspective: bool,
) -> Result<Vec<Figure>, Failure> {
    let grids = surfaces.iter().map(|s| s.result.grid(show)).collect::<Result<Vec<_>, _>>()?;
    let reaches = |nth: usize| {
        let nodes = grids.iter().map(move |grid| [grid.x(), grid.y()][nth]);
        nodes.map(|nodes| [nodes[0], nodes[nodes.len() - 1]])
    };
    let all = [0, 1].map(|nth| {
        let ends = [f64::INFINITY, f64::NEG_INFINITY];
        reaches(nth).fold(ends, |[low, high], [l, h]| [low.min(l), high.max(h)])
    });
    let falls_short = |nth: usize| {
        let [low, high] = all[nth];
        reaches(nth).any(|[l, h]| (l - low).max(high - h) > 1e-9 * (high - low))
    };
    if perspective && (falls_short(0) || falls_short(1)) {
        return Err(Failure::Usage(
            "the surfaces reach over different ranges, and lit ones would each fill the whole box: draw maps, or measure \
             them with the same --range"
                .into(),
        ));
    }
    let look = Look { ranges: Some(all), ..Look::new(&grids, show, perspective)? };
    let mut caption = subjects(surfaces);
    if surfaces.iter().any(|s| s.result.plane.model.is_some()) && show == Show::Loss && !perspective {
        caption.push(DASHED.to_string());
    }
    let frame =
        |(saved, grid)| Figure::new(title, vec![look.panel(saved, grid)]).captioned(caption.join(" "));
    Ok(surfaces.iter().zip(grids).map(frame).collect())
}

/// Surfaces in characters, one below the other.
pub(crate) fn in_characters(surfaces: &[Saved<Surface>], show: Show) -> Result<String, Failure> {
    let mut out = vec![];
    for saved in surfaces {
        let grid = saved.result.grid(show)?;
        let log = show == Show::Loss && numbers::wide(grid.values().iter().copied());
        let picture = terminal::surface(&grid, log, &output::characters(24));
        out.push(format!("{}: {}\n{}", saved.name(), value_label(show), picture.trim_end()));
    }
    Ok(out.join("\n\n"))
}
