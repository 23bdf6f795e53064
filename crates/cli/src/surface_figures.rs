//! Saved surfaces as figures.

use relief_plot::{Axis, Field, Figure, Grid, Levels, Panel, Surface as Lit, terminal};

use crate::commands::surface::Show;
use crate::exit::Failure;
use crate::exports::Sampled;
use crate::saved::{self, Kind, Saved, Shown, provenance, subjects};
use crate::surfaces::{Plane, Surface};
use crate::{numbers, output};

/// What the caption says of a map with a quadratic model.
const DASHED: &str = "Dashed: the quadratic model at the same levels.";
/// Bands of a map.
const BANDS: usize = 18;

/// How some surfaces are drawn so that they can be compared.
struct Look {
    show: Show,
    levels: Levels,
    perspective: bool,
    /// From where to where maps reach; each as far as its own points, if absent.
    ranges: Option<[[f64; 2]; 2]>,
}

impl Shown for Surface {
    const KIND: Kind = Kind::Surface;
    const HEADING: &'static str = "The loss on a plane";

    fn figure(title: &str, results: &[Saved<Self>], look: saved::Look) -> Result<Figure, Failure> {
        figure(title, results, look.show, look.perspective)
    }

    fn in_characters(results: &[Saved<Self>], look: saved::Look) -> Result<String, Failure> {
        in_characters(results, look.show)
    }

    fn sampled(&self) -> Sampled {
        self.sampled()
    }
}

impl Look {
    fn new(grids: &[Grid], show: Show, perspective: bool) -> Result<Self, Failure> {
        let levels = Levels::chosen(&grids.iter().collect::<Vec<_>>(), BANDS, None, show.scale())?;
        Ok(Self { show, levels, perspective, ranges: None })
    }

    fn panel(&self, saved: &Saved<Surface>, grid: Grid) -> Panel {
        let (name, levels) = (saved.name(), Some(self.levels.clone()));
        let plane = &saved.result.plane;
        if self.perspective {
            let [x, y] = plane.labels.clone();
            let labels = [x, y, self.show.label().to_string()];
            return Panel::Surface(Lit { levels, ..Lit::new(name, labels, grid) });
        }
        let [x, y] = [0, 1].map(|nth| Axis {
            range: self.ranges.map(|ranges| ranges[nth]),
            ..Axis::linear(plane.labels[nth].as_str())
        });
        let field = Field {
            scale: self.show.scale(),
            levels,
            equal_aspect: plane.orthonormal,
            model: plane.quadratic().filter(|_| self.show == Show::Loss),
            ..Field::new(name, x, y, self.show.label(), grid)
        };
        Panel::Field(saved.result.overlays(self.show).into_iter().fold(field, Field::with))
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
        let log = show.scale().is_none() && numbers::wide(grid.values().iter().copied());
        let picture = terminal::surface(&grid, log, &output::characters(24));
        out.push(format!("{}: {}\n{}", saved.name(), show.label(), picture.trim_end()));
    }
    Ok(out.join("\n\n"))
}
