//! Planes that checkpoints span.

use std::path::PathBuf;

use relief_hessian::{Objective, Parameters};
use relief_landscape::{Centre, Plane as Flat, Principal, Slice, between, principal_plane, ranges};

use super::{Plane, Planned, Site};
use crate::exit::Failure;
use crate::points::Point;
use crate::scans::nodes;
use crate::survey::Lies;
use crate::traces::{MARGIN, Mark, MarkKind, Trace};

/// The plane through the loaded checkpoint and two others, or through three others.
pub(super) fn through(site: &Site<'_>, paths: &[PathBuf]) -> Result<Planned, Failure> {
    let own = (paths.len() == 2).then(|| Ok(Point::own(site.loaded)));
    let others = paths.iter().map(|path| Point::load(site.loaded, path));
    let points: Vec<Point> = own.into_iter().chain(others).collect::<Result<_, _>>()?;
    let kinds = vec![MarkKind::End; points.len()];
    spanned(site, &points, &kinds, None)
}

/// Makes a way on a plane.
pub(crate) type Traced<'a> = dyn Fn(&Flat) -> Result<Trace, Failure> + 'a;

/// The plane through three points in parameter space, which are marked, with a trace on it.
pub(crate) fn spanned(
    site: &Site<'_>,
    points: &[Point],
    kinds: &[MarkKind],
    trace: Option<&Traced<'_>>,
) -> Result<Planned, Failure> {
    let flat = Flat::through(&vectors(points)?)?;
    let marks = points.iter().zip(kinds).map(|(point, kind)| Mark::new(site.loaded, &flat, point, *kind));
    let marks = marks.collect::<Result<Vec<Mark>, _>>()?;
    let mut trace = trace.map(|trace| trace(&flat)).transpose()?;
    let mut evaluations = marks.len();
    if trace.is_none() && !site.path.is_empty() {
        trace = Some(Trace::new(site.loaded, &flat, site.path)?);
        evaluations += 2 * site.path.len();
    }
    let labels = [
        format!("towards {} (L2 distance)", marks[1].name),
        format!("towards {}, orthogonal (L2 distance)", marks[2].name),
    ];
    let plane = flat_plane("through", labels);
    let places: Vec<Vec<f64>> = marks.iter().map(|mark| mark.at.to_vec()).collect();
    let at: Vec<[f64; 2]> = marks.iter().map(|mark| mark.at).collect();
    let mut planned = planned(site, &flat, plane, places, marks, trace, evaluations)?;
    planned.lies = Lies::Between(statistics(points, &at, &planned.axes)?);
    Ok(planned)
}

/// The plane of the two principal directions of a path.
pub(super) fn principal(site: &Site<'_>, centre: Centre) -> Result<Planned, Failure> {
    if site.path.is_empty() {
        return Err(Failure::Usage(
            "principal directions need checkpoints: write --plane pca:'PATTERN', or relief trajectory".into(),
        ));
    }
    let Principal { plane: flat, explained, .. } = principal_plane(&vectors(site.path)?, centre, 2)?;
    let label = |nth: usize| format!("PC{} ({:.1} %), L2 distance", nth + 1, 100.0 * explained[nth]);
    let plane = Plane { centre: Some(centre), ..flat_plane("principal", [label(0), label(1)]) };
    let plane = Plane { explained, ..plane };
    let trace = Trace::new(site.loaded, &flat, site.path)?;
    let places = trace.at.iter().map(|at| at.to_vec()).collect();
    planned(site, &flat, plane, places, vec![], Some(trace), 2 * site.path.len())
}

fn vectors(points: &[Point]) -> Result<Vec<Vec<f64>>, Failure> {
    points.iter().map(|point| Ok(point.parameters.to_vec()?)).collect()
}

/// A plane of orthonormal directions.
fn flat_plane(kind: &'static str, labels: [String; 2]) -> Plane {
    Plane {
        kind,
        labels,
        orthonormal: true,
        directions: None,
        orthogonal: true,
        cosine: 0.0,
        model: None,
        centre: None,
        explained: vec![],
    }
}

fn planned(
    site: &Site<'_>,
    flat: &Flat,
    plane: Plane,
    mut places: Vec<Vec<f64>>,
    marks: Vec<Mark>,
    trace: Option<Trace>,
    evaluations: usize,
) -> Result<Planned, Failure> {
    places.extend(trace.iter().flat_map(|trace| &trace.at).map(|at| at.to_vec()));
    let around = ranges(&places, MARGIN)?;
    let axes =
        [0, 1].map(|nth| nodes(site.extent.ranges[nth].unwrap_or(around[nth]), site.extent.counts[nth]));
    let origin = site.loaded.task.objective.parameters().at(flat.origin())?;
    let slice = Slice::new(&origin, flat.directions().to_vec(), axes.to_vec())?;
    let work = (0, 0, evaluations);
    Ok(Planned { slice, work, plane, axes, marks, trace, lies: Lies::Between(None) })
}

/// The running statistics on a plane through three checkpoints at the places `at`: the linear functions that have the
/// checkpoints' own there.
fn statistics(points: &[Point], at: &[[f64; 2]], axes: &[Vec<f64>; 2]) -> Result<Option<Slice>, Failure> {
    let found: Option<Vec<&Parameters>> = points.iter().map(|point| point.statistics.as_ref()).collect();
    let Some([origin, second, third]) = found.as_deref() else { return Ok(None) };
    let ([length, _], [along, height]) = (at[1], at[2]);
    let mut first: Vec<f64> = between(origin, second)?;
    first.iter_mut().for_each(|d| *d /= length);
    let mut rest: Vec<f64> = between(origin, third)?;
    rest.iter_mut().zip(&first).for_each(|(d, f)| *d = (*d - along * f) / height);
    Ok(Some(Slice::new(origin, vec![first, rest], axes.to_vec())?))
}
