//! Pages of several figures, and how files are written.

use std::path::Path;

use crate::drawing::Drawing;
use crate::html::{self, Section};
use crate::{Figure, PlotError, Result};

/// Several figures on one page.
#[derive(Debug, Default)]
pub struct Report {
    title: String,
    introduction: String,
    sections: Vec<(String, String, String, Drawing)>,
}

impl Report {
    /// An empty page.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// The same page with some words at its top.
    #[must_use]
    pub fn introduced(self, introduction: impl Into<String>) -> Self {
        Self { introduction: introduction.into(), ..self }
    }

    /// The same page with one more figure, under a heading and with a caption below.
    pub fn with(mut self, heading: &str, caption: &str, figure: &Figure) -> Result<Self> {
        let drawing = figure.draw()?;
        self.sections.push((heading.to_string(), caption.to_string(), drawing.finish(), drawing));
        Ok(self)
    }

    /// The page.
    pub fn html(self) -> Result<String> {
        let Self { title, introduction, sections } = self;
        let sections: Vec<Section<'_>> = sections
            .iter()
            .flat_map(|(heading, caption, svg, drawing)| {
                let mut surfaces = drawing.surfaces.iter();
                let first = surfaces.next().map(|(_, view)| view.clone());
                let whole = Section { heading, caption, svg, hover: drawing.hover.clone(), surface: first };
                // A section turns one surface; further ones of the same figure follow in sections of their own.
                let further = surfaces.map(|(title, view)| Section {
                    heading: title,
                    caption: "",
                    svg: "",
                    hover: vec![],
                    surface: Some(view.clone()),
                });
                std::iter::once(whole).chain(further)
            })
            .collect();
        Ok(html::page(&title, &introduction, &sections))
    }

    /// Writes the page.
    pub fn save(self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        write(path, self.html()?.as_bytes())
    }
}

/// Writes a whole file or none: under a temporary name in the same folder, then renamed.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let failed = |source| PlotError::Write { path: path.to_path_buf(), source };
    std::fs::write(&partial, bytes).map_err(failed)?;
    std::fs::rename(&partial, path).map_err(failed)
}
