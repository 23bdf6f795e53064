//! What every kind of result can do: be drawn, in pictures and in characters, and become arrays and tables.

use relief_plot::Figure;
use serde::de::DeserializeOwned;

use super::{Kind, Lists, Saved};
use crate::characters;
use crate::commands::surface::Show;
use crate::exit::Failure;
use crate::exports::{Array, Sampled, csv};

/// How surfaces are drawn; other kinds have one look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) show: Show,
    pub(crate) perspective: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { show: Show::Loss, perspective: false }
    }
}

/// A kind of result.
pub(crate) trait Shown: DeserializeOwned + Lists {
    const KIND: Kind;
    /// Above its figure on a page.
    const HEADING: &'static str;

    /// Some results in one figure.
    fn figure(title: &str, results: &[Saved<Self>], look: Look) -> Result<Figure, Failure>;

    /// The same, small, for a terminal.
    fn in_characters(results: &[Saved<Self>], look: Look) -> Result<String, Failure> {
        Ok(characters::figure(&Self::figure("", results, look)?))
    }

    /// The numbers of a table.
    fn sampled(&self) -> Sampled;

    /// All numbers.
    fn arrays(&self) -> Vec<Array> {
        self.sampled().arrays()
    }

    /// Comma-separated values.
    fn table(&self) -> String {
        csv::points(&self.sampled())
    }
}

/// A result as arrays.
pub(crate) struct Entry<'a> {
    /// The checkpoint's name, and the part's.
    pub(crate) name: String,
    pub(crate) arrays: Vec<Array>,
    /// The rest of the document.
    pub(crate) document: &'a serde_json::Value,
}

/// Results of one kind, whichever that is.
pub(crate) trait Group {
    fn kind(&self) -> Kind;
    fn heading(&self) -> &'static str;
    fn count(&self) -> usize;
    fn figure(&self, title: &str, look: Look) -> Result<Figure, Failure>;
    fn in_characters(&self, look: Look) -> Result<String, Failure>;
    fn entries(&self) -> Vec<Entry<'_>>;
    /// Of the first result.
    fn table(&self) -> String;
    /// Of the first result, with the rest of its document.
    fn sampled(&self) -> (Sampled, &serde_json::Value);
}

impl<R: Shown> Group for Vec<Saved<R>> {
    fn kind(&self) -> Kind {
        R::KIND
    }

    fn heading(&self) -> &'static str {
        R::HEADING
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn figure(&self, title: &str, look: Look) -> Result<Figure, Failure> {
        R::figure(title, self, look)
    }

    fn in_characters(&self, look: Look) -> Result<String, Failure> {
        R::in_characters(self, look)
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        self.iter()
            .map(|saved| Entry {
                name: saved.key(),
                arrays: saved.result.arrays(),
                document: &saved.document,
            })
            .collect()
    }

    fn table(&self) -> String {
        self[0].result.table()
    }

    fn sampled(&self) -> (Sampled, &serde_json::Value) {
        (self[0].result.sampled(), &self[0].document)
    }
}
