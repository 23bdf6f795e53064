//! Pages that gather figures of several kinds.

use relief_plot::{Figure, Report};

use crate::commands::surface::Show;
use crate::exit::Failure;
use crate::saved::Results;
use crate::{connection_figures, eigenvalue_figures, lines, spectrum_figures, surface_figures};

/// A page under construction with one more figure, whose caption stands below it in the page's own letters.
pub(crate) fn with(report: Report, heading: &str, figure: Figure) -> Result<Report, Failure> {
    let caption = figure.caption.clone();
    Ok(report.with(heading, &caption, &Figure { caption: String::new(), ..figure })?)
}

/// A figure for each kind of result that there is, with a heading; `show` is what surfaces show.
pub(crate) fn figures(results: &Results, show: Show) -> Result<Vec<(&'static str, Figure)>, Failure> {
    let mut figures = vec![];
    if !results.surfaces.is_empty() {
        let drawn = |perspective| surface_figures::figure("", &results.surfaces, show, perspective);
        figures.push(("The loss on a plane", drawn(false)?));
        figures.push(("The same as a surface, to be turned", drawn(true)?));
    }
    if !results.lines.is_empty() {
        figures.push(("The loss along a line", lines::figure("", &results.lines)));
    }
    if !results.connections.is_empty() {
        figures.push(("The loss along a curve", connection_figures::figure("", &results.connections)));
    }
    if !results.spectra.is_empty() {
        figures.push(("Eigenvalues", eigenvalue_figures::figure("", &results.spectra)));
    }
    if !results.densities.is_empty() {
        figures.push(("Spectral density", spectrum_figures::figure("", &results.densities)));
    }
    Ok(figures)
}
