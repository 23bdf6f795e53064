//! How the output of a convolution is cut into tiles.

use std::array::from_fn;
use std::ops::Range;

use super::geometry::Geometry;
use super::transform::TILE;

/// Tiles of 4x4 outputs in rows and columns, image after image.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    batch: usize,
    /// Size of an image that is read, and of one that is cut into tiles.
    pub(super) from: [usize; 2],
    pub(super) to: [usize; 2],
    pub(super) padding: [usize; 2],
    /// Rows and columns of tiles of one image.
    rows: usize,
    pub(super) columns: usize,
}

impl Tiling {
    pub(super) fn of(geometry: &Geometry) -> Self {
        Self::new(geometry.batch, geometry.input, geometry.output(), geometry.padding)
    }

    pub(super) fn new(batch: usize, from: [usize; 2], to: [usize; 2], padding: [usize; 2]) -> Self {
        let (rows, columns) = (to[0].div_ceil(TILE), to[1].div_ceil(TILE));
        Self { batch, from, to, padding, rows, columns }
    }

    /// Rows of tiles of all images.
    pub(super) fn all_rows(&self) -> usize {
        self.batch * self.rows
    }

    /// Rows of tiles of a block of about this many tiles. Blocks are alike, and an even number if there are several.
    pub(super) fn block_rows(&self, tiles: usize) -> usize {
        let blocks = self.all_rows().div_ceil(tiles.div_ceil(self.columns).max(1));
        let blocks = if blocks > 1 { blocks.next_multiple_of(2) } else { 1 };
        self.all_rows().div_ceil(blocks).max(1)
    }

    /// First line, over all images, of a row of tiles.
    pub(super) fn line(&self, row: usize) -> usize {
        row / self.rows * self.to[0] + (row % self.rows * TILE).min(self.to[0])
    }

    /// The rows of tiles in `rows`: image, and first line of the output.
    pub(super) fn corners(self, rows: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
        rows.map(move |row| (row / self.rows, row % self.rows * TILE))
    }
}

/// The lines of an image from `first` on, counted from the upper edge of a border; `zeros` where they lie in it.
pub(super) fn lines<'a, T, const N: usize>(
    images: (&'a [T], [usize; 2]),
    (image, first, border): (usize, usize, usize),
    zeros: &'a [T],
) -> [&'a [T]; N] {
    let (x, [height, _]) = images;
    let line = zeros.len();
    from_fn(|k| match (first + k).checked_sub(border).filter(|&y| y < height) {
        Some(y) => &x[(image * height + y) * line..][..line],
        None => zeros,
    })
}
