//! How the output of a convolution is cut into tiles.

use std::array::from_fn;
use std::ops::Range;

use super::geometry::Geometry;
use super::transform::{Place, TILE};

/// Tiles that a block has at least, so that its products are not too flat.
const TILES: usize = 96;

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

    /// Rows of tiles of a block of some `entries`, where a tile has `per_tile`.
    pub(super) fn block_rows(&self, per_tile: usize, entries: usize) -> usize {
        (entries / per_tile).max(TILES).div_ceil(self.columns).min(self.all_rows()).max(1)
    }

    /// First line, over all images, of a row of tiles.
    pub(super) fn line(&self, row: usize) -> usize {
        row / self.rows * self.to[0] + (row % self.rows * TILE).min(self.to[0])
    }

    /// Where the outputs of a tile lie in memory that starts at line `first`.
    pub(super) fn outputs(
        &self,
        (image, line, column): (usize, usize, usize),
        first: usize,
        channels: usize,
    ) -> Place<TILE> {
        let [height, width] = self.to;
        let start = image * height;
        Place {
            rows: from_fn(|i| (line + i < height).then(|| (start + line + i - first) * width * channels)),
            columns: from_fn(|j| (column + j < width).then(|| (column + j) * channels)),
        }
    }

    /// The tiles of some rows: image, and first line and column of the output.
    pub(super) fn tiles(self, rows: Range<usize>) -> impl Iterator<Item = (usize, usize, usize)> {
        rows.flat_map(move |row| {
            (0..self.columns).map(move |column| (row / self.rows, row % self.rows * TILE, column * TILE))
        })
    }
}
