//! Minima, the passes where their basins merge, and how persistent they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use relief_hessian::{Error, Result};
use serde::{Deserialize, Serialize};

use super::forest::Forest;
use super::heights::{Heights, Vertex};

/// The merge tree (join tree) of the sets where a function is at or below a level, as the level rises (Carr, Snoeyink &
/// Axen 2003): components are born at minima and merge at saddles.
///
/// It is that of the piecewise linear interpolant (see [`Heights`]), whose sublevel sets have the components of the graph
/// of its vertices and edges at or below the level. A flat floor is one minimum, a flat shelf with a way down is
/// none.
#[derive(Debug, Clone)]
pub struct MergeTree {
    pairs: Vec<Pair>,
    heights: Arc<Heights>,
    forest: Arc<Forest>,
}

/// A minimum and the saddle at which its basin merges with that of a lower one (the elder rule of persistent homology;
/// Edelsbrunner, Letscher & Zomorodian 2002).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The minimum; of a flat floor its point of lowest index.
    pub minimum: Vertex,
    /// The saddle; none for the lowest minimum of every connected part of the known points.
    pub saddle: Option<Vertex>,
    /// The index of the vertex that is the lowest minimum of the basin with which this one merges.
    pub into: Option<usize>,
}

impl Pair {
    /// The height of the minimum.
    pub fn birth(&self) -> f64 {
        self.minimum.height
    }

    /// The height of the saddle.
    pub fn death(&self) -> Option<f64> {
        self.saddle.as_ref().map(|saddle| saddle.height)
    }

    /// Death minus birth: how far one must climb from the minimum to get to a lower one. Infinite without a death.
    pub fn persistence(&self) -> f64 {
        self.death().map_or(f64::INFINITY, |death| death - self.birth())
    }
}

/// How deep minima lie below the first saddle above them (see [`MergeTree::saddle_minimum_distance`]).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SaddleMinimumDistance {
    /// Mean of the height of the saddle minus that of the minimum; 0 without saddles.
    pub mean: f64,
    /// The mean divided by the range of the finite heights; 0 without saddles.
    pub relative: f64,
    /// How many minima have a saddle.
    pub minima: usize,
}

impl MergeTree {
    /// The tree of the sublevel sets, in O(N log N) for N points (for a given number n of axes; 2^(n+1) neighbours each).
    /// That of the superlevel sets is the tree of [`Heights::negated`].
    pub fn sublevel(heights: &Heights) -> Self {
        let values = heights.values();
        let mut known: Vec<usize> = (0..values.len()).filter(|&i| !values[i].is_nan()).collect();
        known.sort_by(|&a, &b| heights.order(a, b));
        let vertex = |index| Vertex { index, coordinates: heights.coordinates(index), height: values[index] };

        let mut forest = Forest::new(values.len());
        let mut reached = vec![false; values.len()];
        // The lowest point of the tree of every root.
        let mut lowest: Vec<usize> = (0..values.len()).collect();
        let (mut pairs, mut roots) = (vec![], vec![]);
        for &point in &known {
            reached[point] = true;
            roots.clear();
            roots.extend(heights.neighbours(point).filter(|&i| reached[i]).map(|i| forest.root(i)));
            roots.sort_by(|&a, &b| heights.order(lowest[a], lowest[b]));
            roots.dedup();
            let Some((&eldest, others)) = roots.split_first() else { continue };
            let minimum = lowest[eldest];
            for &other in others {
                // Where they are equal, only the order by index made them two.
                if values[point] > values[lowest[other]] {
                    pairs.push(Pair {
                        minimum: vertex(lowest[other]),
                        saddle: Some(vertex(point)),
                        into: Some(minimum),
                    });
                }
            }
            let at = (values[point], point);
            let root = roots.iter().fold(point, |root, &other| forest.join(root, other, at));
            lowest[root] = minimum;
        }
        let left = known.iter().filter(|&&i| forest.root(i) == i);
        pairs.extend(left.map(|&root| Pair { minimum: vertex(lowest[root]), saddle: None, into: None }));
        pairs.sort_by(|a, b| {
            let persistence = b.persistence().total_cmp(&a.persistence());
            persistence.then_with(|| heights.order(a.minimum.index, b.minimum.index))
        });
        Self { pairs, heights: Arc::new(heights.clone()), forest: Arc::new(forest) }
    }

    /// Every minimum with its saddle, by falling persistence; equally persistent ones from the lowest on, so that the
    /// lowest minimum of all comes first.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The minima, in the order of the pairs.
    pub fn minima(&self) -> impl Iterator<Item = &Vertex> {
        self.pairs.iter().map(|pair| &pair.minimum)
    }

    /// The saddles, in the order of the pairs; one where three basins meet occurs twice.
    pub fn saddles(&self) -> impl Iterator<Item = &Vertex> {
        self.pairs.iter().filter_map(|pair| pair.saddle.as_ref())
    }

    /// The tree without the pairs whose persistence is not above a threshold: their basins become part of those that they
    /// merge with. Heights of passes stay as they are.
    #[must_use]
    pub fn simplified(&self, persistence: f64) -> Self {
        let pairs = self.pairs.iter().filter(|pair| pair.persistence() > persistence).cloned().collect();
        Self { pairs, ..self.clone() }
    }

    /// The number of components of the set at or below a level; of a simplified tree those that its pairs stand for.
    pub fn components_below(&self, level: f64) -> usize {
        let lives = |pair: &&Pair| pair.birth() <= level && pair.death().is_none_or(|death| level < death);
        self.pairs.iter().filter(lives).count()
    }

    /// The lowest level at or below which two vertices are connected: the least that the highest point of a path from one
    /// to the other can be. `None` where one is unknown or unknown points separate them. O(log N).
    pub fn pass_height(&self, a: usize, b: usize) -> Result<Option<f64>> {
        let (from, to) = (self.known_height(a)?, self.known_height(b)?);
        if from.is_nan() || to.is_nan() {
            return Ok(None);
        }
        Ok(if a == b { Some(from) } else { self.forest.last_link(a, b) })
    }

    /// Whether two vertices are connected at or below a level.
    pub fn connected_below(&self, a: usize, b: usize, level: f64) -> Result<bool> {
        Ok(self.pass_height(a, b)?.is_some_and(|pass| pass <= level))
    }

    /// The saddle-minimum average distance (SMAD; Chen, Hadler et al. 2026, arXiv 2602.07135): the mean, over the tree's
    /// edges from a minimum to the saddle right above it, of the difference of their heights.
    ///
    /// The saddle of an edge is the first at which the minimum's basin merges with any other, so that both of two minima
    /// that meet count; persistence counts only the higher one. The paper's program takes the edges from a contour tree on
    /// an empty region graph, ours are those of the merge tree of the interpolant: numbers of the two are comparable, not
    /// equal.
    pub fn saddle_minimum_distance(&self) -> SaddleMinimumDistance {
        let mut first: BTreeMap<usize, f64> = BTreeMap::new();
        for pair in &self.pairs {
            let (Some(death), Some(into)) = (pair.death(), pair.into) else { continue };
            for minimum in [pair.minimum.index, into] {
                first.entry(minimum).and_modify(|saddle| *saddle = saddle.min(death)).or_insert(death);
            }
        }
        if first.is_empty() {
            return SaddleMinimumDistance { mean: 0.0, relative: 0.0, minima: 0 };
        }
        let values = self.heights.values();
        let mean =
            first.iter().map(|(minimum, saddle)| saddle - values[*minimum]).sum::<f64>() / first.len() as f64;
        SaddleMinimumDistance { mean, relative: mean / self.heights.range(), minima: first.len() }
    }

    fn known_height(&self, index: usize) -> Result<f64> {
        let values = self.heights.values();
        values.get(index).copied().ok_or_else(|| {
            Error::Input(format!("there is no vertex {index} on a grid of {} points", values.len()))
        })
    }
}
