//! Figures of loss landscapes and spectra that go straight into a paper: SVG, PNG from it, and self-contained HTML.
//!
//! A [`Figure`] is data: panels with series, grids, levels and labels. It knows no network, reads no file and needs no
//! font of the system. plotters draws axes and meshes through a backend of our own that keeps hundredths of a unit;
//! resvg turns the SVG into pixels.
//!
//! ```
//! use relief_plot::{Axis, Figure, Lines, Panel, Reference, Series};
//!
//! let steps: Vec<f64> = (0..50).map(f64::from).collect();
//! let sharpness = steps.iter().map(|s| 20.0 * (1.0 - (-s / 9.0).exp())).collect();
//! let panel = Lines::new("Gradient descent", Axis::linear("step"), Axis::linear("λ₁"))
//!     .with(Series::new("λ₁", steps, sharpness))
//!     .with_reference(Reference::level(20.0, "2/η"));
//! let svg = Figure::new("", vec![Panel::Lines(panel)]).svg()?;
//! assert!(svg.contains("2/η"));
//! # Ok::<(), relief_plot::PlotError>(())
//! ```

mod animation;
mod axis;
mod bars;
mod boxes;
mod colour;
mod colour_bar;
mod contour;
mod drawing;
mod error;
mod events;
mod field;
mod figure;
mod frame;
mod grid;
mod html;
mod iso_labels;
mod legend;
mod levels;
mod lines;
mod matrix;
mod overlay;
mod palette;
mod picture;
mod placer;
mod raster;
mod report;
mod ruler;
pub mod studies;
mod style;
mod surface;
mod surface_image;
mod svg;
pub mod terminal;
mod text;

pub use animation::Animation;
pub use axis::{Axis, Scale};
pub use bars::{Bars, Group};
pub use colour::{ColourMap, Rgb};
pub use contour::{IsoLine, iso_lines};
pub use error::PlotError;
pub use events::EventWriter;
pub use field::{Field, Quadratic, Shading};
pub use figure::{Figure, Panel};
pub use grid::Grid;
pub use levels::Levels;
pub use lines::{Lines, Mark, Names, Note, Reference, Series};
pub use matrix::Matrix;
pub use overlay::{Overlay, PathKind, PointKind};
pub use report::Report;
pub use surface::Surface;

/// Result with this crate's error.
pub type Result<T, E = PlotError> = std::result::Result<T, E>;
