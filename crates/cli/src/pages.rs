//! Pages that gather figures of several kinds.

use relief_plot::{Figure, Report};

use crate::commands::surface::Show;
use crate::exit::Failure;
use crate::saved::{Kind, Look, Results};

/// A page under construction with one more figure, whose caption stands below it in the page's own letters.
pub(crate) fn with(report: Report, heading: &str, figure: Figure) -> Result<Report, Failure> {
    let caption = figure.caption.clone();
    Ok(report.with(heading, &caption, &Figure { caption: String::new(), ..figure })?)
}

/// A figure for each kind of result that there is, with a heading; `show` is what surfaces show.
pub(crate) fn figures(results: &Results, show: Show) -> Result<Vec<(&'static str, Figure)>, Failure> {
    let mut figures = vec![];
    for group in results.groups() {
        figures.push((group.heading(), group.figure("", Look { show, perspective: false })?));
        if group.kind() == Kind::Surface {
            let turned = group.figure("", Look { show, perspective: true })?;
            figures.push(("The same as a surface, to be turned", turned));
        }
    }
    Ok(figures)
}
