//! Random probe vectors, whole or piece by piece: what is drawn again need not be kept.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Rows that are worked on at once: pieces of some dozens of vectors then fit into the cache together.
const PIECE: usize = 2048;

/// How the entries of probes are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entries {
    /// Standard normal: the direction is uniform on the sphere, also in any subspace.
    Normal,
    /// 1 or -1, equally likely.
    Sign,
}

/// The probes `first..first + count` of a seed; probe number i is what stream i of
/// [`ChaCha8Rng`] draws, first row first.
#[derive(Debug)]
pub(crate) struct Probes {
    entries: Entries,
    generators: Vec<ChaCha8Rng>,
    rows: usize,
    drawn: usize,
}

/// Some rows of all probes.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The rows' range.
    pub(crate) rows: std::ops::Range<usize>,
    /// Those rows of every probe.
    pub(crate) probes: Vec<Vec<f64>>,
}

impl Probes {
    pub(crate) fn new(entries: Entries, seed: u64, first: u64, count: usize, rows: usize) -> Self {
        let generators = (first..first + count as u64)
            .map(|number| {
                let mut generator = ChaCha8Rng::seed_from_u64(seed);
                generator.set_stream(number);
                generator
            })
            .collect();
        Self { entries, generators, rows, drawn: 0 }
    }

    /// The probes as whole vectors.
    pub(crate) fn whole(mut self) -> Vec<Vec<f64>> {
        self.draw(self.rows)
    }

    fn draw(&mut self, rows: usize) -> Vec<Vec<f64>> {
        let entries = self.entries;
        self.generators
            .par_iter_mut()
            .map(|generator| match entries {
                Entries::Normal => (0..rows).map(|_| StandardNormal.sample(generator)).collect(),
                Entries::Sign => (0..rows).map(|_| if generator.random() { 1.0 } else { -1.0 }).collect(),
            })
            .collect()
    }
}

impl Iterator for Probes {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let rows = self.drawn..self.rows.min(self.drawn + PIECE);
        if rows.is_empty() {
            return None;
        }
        self.drawn = rows.end;
        Some(Piece { probes: self.draw(rows.len()), rows })
    }
}
