//! Saved surfaces as figures.

use relief_plot::terminal;
use relief_plot::{
    Axis, Field, Figure, Grid, Levels, Overlay, Panel, PathKind, PointKind, Quadratic, Scale, Surface as Lit,
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
    test: Option<Test>,
    curvature: Option<Curvature>,
    refinement: Option<Refinement>,
    #[serde(default)]
    marks: Vec<Mark>,
    trace: Option<Trace>,
}

#[derive(Debug, Clone, Deserialize)]
struct Test {
    loss: Vec<Vec<Option<f64>>>,
    accuracy: Option<Vec<Vec<Option<f64>>>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Curvature {
    smallest: Vec<Vec<Option<f64>>>,
    largest: Vec<Vec<Option<f64>>>,
}

impl Curvature {
    /// Negative curvature relative to positive curvature (see `relief_landscape::Convexity::ratio`).
    fn ratios(&self) -> Vec<Vec<Option<f64>>> {
        let rows = self.smallest.iter().zip(&self.largest);
        let ratio = |(low, high): (&Option<f64>, &Option<f64>)| Some((*low)?.min(0.0).abs() / (*high)?.abs());
        rows.map(|(low, high)| low.iter().zip(high).map(ratio).collect()).collect()
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Refinement {
    stride: usize,
    measured: usize,
    error: Option<Errors>,
}

#[derive(Debug, Clone, Deserialize)]
struct Errors {
    largest: f64,
}

#[derive(Debug, Clone, Deserialize)]
struct Mark {
    kind: String,
    name: String,
    at: [f64; 2],
}

#[derive(Debug, Clone, Deserialize)]
struct Trace {
    kind: String,
    at: Vec<[f64; 2]>,
    residual: Vec<f64>,
    loss: Vec<Option<f64>>,
}

impl Trace {
    /// The way, and whether its dots have colours of their own.
    fn overlay(&self, show: Show) -> Overlay {
        let trajectory = self.kind == "trajectory";
        // Colours are losses: on a map of accuracies they would say something else.
        let values = if trajectory && show == Show::Loss {
            self.loss.iter().map(|v| v.unwrap_or(f64::NAN)).collect()
        } else {
            vec![]
        };
        let kind = if trajectory { PathKind::Trajectory } else { PathKind::Curve };
        Overlay::Path { kind, points: self.at.clone(), values }
    }

    /// How far the points are from the plane at most: what the picture does not show.
    fn remark(&self) -> Option<String> {
        let farthest = self.residual.iter().copied().fold(0.0, f64::max);
        let longest =
            self.at.iter().flat_map(|a| self.at.iter().map(move |b| (a[0] - b[0]).hypot(a[1] - b[1])));
        let longest = longest.fold(0.0, f64::max);
        (self.kind == "trajectory").then(|| {
            format!(
                "Dots have the colours of their own losses; they lie up to {farthest:.2} off the plane, on which they span \
                 {longest:.2}."
            )
        })
    }
}

impl Surface {
    /// The way and the checkpoints on the plane; the centre where there are none.
    fn overlays(&self, show: Show) -> Vec<Overlay> {
        let mut all = vec![];
        let ends: Vec<[f64; 2]> = self.marks.iter().filter(|m| m.kind == "end").map(|m| m.at).collect();
        if let (Some(trace), [first, .., last]) = (&self.trace, ends.as_slice())
            && trace.kind == "curve"
        {
            all.push(Overlay::Path { kind: PathKind::Chord, points: vec![*first, *last], values: vec![] });
        }
        all.extend(self.trace.as_ref().map(|trace| trace.overlay(show)));
        all.extend(self.marks.iter().map(|mark| Overlay::Point {
            kind: if mark.kind == "bend" { PointKind::Bend } else { PointKind::End },
            at: mark.at,
            label: mark.name.clone(),
        }));
        if all.is_empty() {
            all.push(Overlay::Point { kind: PointKind::Centre, at: [0.0, 0.0], label: String::new() });
        }
        all
    }
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

impl Surface {
    /// The coordinates along both axes, and the losses with the first axis fastest; NaN where one is not known.
    pub(crate) fn losses(&self) -> (Vec<Vec<f64>>, Vec<f64>) {
        let loss = self.loss.iter().flatten().map(|v| v.unwrap_or(f64::NAN)).collect();
        (self.axes.to_vec(), loss)
    }
}

/// Bands of a map.
const BANDS: usize = 18;

impl Surface {
    fn grid(&self, show: Show) -> Result<Grid, Failure> {
        let [x, y] = self.axes.clone();
        let test = self.test.as_ref();
        let ratios = self.curvature.as_ref().filter(|_| show == Show::Convexity).map(Curvature::ratios);
        let rows = match show {
            Show::Loss => Some(&self.loss),
            Show::Accuracy => self.accuracy.as_ref(),
            Show::TestLoss => test.map(|test| &test.loss),
            Show::TestAccuracy => test.and_then(|test| test.accuracy.as_ref()),
            Show::Convexity => ratios.as_ref(),
        };
        let rows = rows.ok_or_else(|| {
            Failure::Usage(format!(
                "the surface has no {}: show the loss",
                show.label().trim_end_matches(" (%)")
            ))
        })?;
        let factor = if show.is_share() { 100.0 } else { 1.0 };
        let values = rows.iter().flatten().map(|v| v.map_or(f64::NAN, |v| factor * v)).collect();
        Ok(Grid::new(x, y, values)?)
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
    let scale = (show.is_share() || show == Show::Convexity).then_some(Scale::Linear);
    let levels = Levels::chosen(&grids.iter().collect::<Vec<_>>(), BANDS, None, scale)?;
    let panels = surfaces.iter().zip(grids).map(|(saved, grid)| {
        let name = saved.name();
        let plane = &saved.result.plane;
        if perspective {
            let [x, y] = plane.labels.clone();
            let labels = [x, y, show.label().to_string()];
            return Panel::Surface(Lit { levels: Some(levels.clone()), ..Lit::new(name, labels, grid) });
        }
        let [x, y] = [0, 1].map(|nth| Axis::linear(plane.labels[nth].as_str()));
        let field = Field::new(name, x, y, show.label(), grid);
        let field = Field {
            scale,
            levels: Some(levels.clone()),
            equal_aspect: plane.orthonormal,
            model: plane.quadratic().filter(|_| show == Show::Loss),
            ..field
        };
        Panel::Field(saved.result.overlays(show).into_iter().fold(field, Field::with))
    });
    let mut lines = provenance(surfaces);
    let random: Vec<&Plane> =
        surfaces.iter().map(|s| &s.result.plane).filter(|p| p.kind == "random").collect();
    if !random.is_empty() {
        let cosines: Vec<String> = random.iter().map(|plane| format!("{:.3}", plane.cosine)).collect();
        lines.push(format!("Cosine between the directions: {}.", cosines.join(", ")));
    }
    let results = || surfaces.iter().map(|saved| &saved.result);
    lines.extend(results().filter_map(|surface| surface.trace.as_ref()?.remark()));
    lines.extend(results().filter_map(|surface| surface.refinement.as_ref()).filter(|r| r.stride > 1).map(
        |r| {
            let error = r
                .error
                .as_ref()
                .map_or(String::new(), |e| format!(", error of log10(loss) about {:.0e}", e.largest));
            format!("{} points measured, the others interpolated{error}.", r.measured)
        },
    ));
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
        let log =
            !show.is_share() && grid.finite_range().is_some_and(|(low, high)| low > 0.0 && high > 20.0 * low);
        let picture = terminal::surface(&grid, log, &output::characters(24));
        out.push(format!("{}: {}\n{}", saved.name(), show.label(), picture.trim_end()));
    }
    Ok(out.join("\n\n"))
}
