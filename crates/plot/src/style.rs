//! Sizes and colours that all figures share, in SVG units (1/96 inch).

use crate::Rgb;

pub(crate) const INK: Rgb = Rgb(0x22, 0x22, 0x22);
pub(crate) const FAINT_INK: Rgb = Rgb(0x6a, 0x6a, 0x6a);
pub(crate) const MESH: Rgb = Rgb(0xe3, 0xe3, 0xe3);
pub(crate) const WHITE: Rgb = Rgb(0xff, 0xff, 0xff);

pub(crate) const FIGURE_TITLE: f64 = 16.0;
pub(crate) const TITLE: f64 = 13.0;
pub(crate) const LABEL: f64 = 12.0;
pub(crate) const TICK: f64 = 10.5;
pub(crate) const NOTE: f64 = 10.0;
pub(crate) const CAPTION: f64 = 9.5;

/// Length of a tick mark, and the distance of its label from the axis (twice that, as plotters draws them).
pub(crate) const TICK_MARK: f64 = 3.5;
/// Width of a curve.
pub(crate) const CURVE: f64 = 1.7;
pub(crate) const HAIR: f64 = 0.7;

/// Colours for series (Okabe & Ito 2008): told apart by colour-blind people, of different lightness in grey. The
/// yellow is left out, because it cannot be seen on white.
pub(crate) const SERIES: [Rgb; 7] = [
    Rgb(0x00, 0x72, 0xb2),
    Rgb(0xd5, 0x5e, 0x00),
    Rgb(0x00, 0x9e, 0x73),
    Rgb(0xcc, 0x79, 0xa7),
    Rgb(0x22, 0x22, 0x22),
    Rgb(0x56, 0xb4, 0xe9),
    Rgb(0xe6, 0x9f, 0x00),
];
