//! Permuting one network's hidden units so that they lie beside those of another which they resemble.

mod matched;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use relief_autodiff::PermutationGroup;
use relief_hessian::{Control, Parameters, Result};
use serde::{Deserialize, Serialize};

use matched::Matched;

/// Where the search begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the units as they are (Ainsworth et al. 2023, algorithm 1).
    Identity,
    /// From the inputs and outputs inwards: every group is matched once by those tensors whose other axes are in place
    /// already. Where all units are permuted the others would only add noise, and on residual streams they are many.
    Inwards,
}

/// Weight matching (Ainsworth, Hayase & Srinivasa 2023, "Git Re-Basin", algorithm 1): permutations of the hidden units of b
/// that make its weights as similar as possible to those of a.
///
/// One group of units after the other, in random order, is permuted optimally with all others held; a sweep visits every
/// group once. The result is a local optimum; the best of all is NP-hard to find. Heads of attention and the places within
/// them lie along one axis, where a search easily gets stuck.
///
/// The permuted network computes the same function. Averages of it with the other one do not inherit that: batch norm's
/// running statistics have to be computed anew at every average, since the variance of the mean of two networks' channels
/// is smaller than the mean of their variances (Jordan et al. 2023, "REPAIR").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightMatching {
    /// Seed of the orders in which groups are visited.
    pub seed: u64,
    /// Searches from each start, with orders of their own; the most similar result counts.
    pub searches: usize,
    /// Sweeps of a search at most.
    pub sweeps: usize,
}

impl Default for WeightMatching {
    fn default() -> Self {
        Self { seed: 0, searches: 1, sweeps: 100 }
    }
}

/// Where a search stands, told after every sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sweep {
    /// Searches that are done.
    pub search: usize,
    /// Sweeps of this search so far.
    pub sweep: usize,
    /// The inner product of a with b as permuted now.
    pub similarity: f64,
}

/// What weight matching found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// For each group, the unit of b that comes to lie beside each unit of a: what
    /// [`permuted`](relief_autodiff::permuted) takes, with b's tensors.
    pub permutations: Vec<Vec<usize>>,
    /// The inner product of a's and b's parameters.
    pub similarity_before: f64,
    /// The same with b permuted; never less.
    pub similarity_after: f64,
    /// The distance between a and b (L2).
    pub distance_before: f64,
    /// The same with b permuted.
    pub distance_after: f64,
    /// Where the search that counts began.
    pub start: Start,
    /// Its sweeps, the last of which changed nothing if it converged.
    pub sweeps: usize,
    /// The similarity at its start and after each of its sweeps; it never falls.
    pub history: Vec<f64>,
    /// Whether no group can be improved alone. Not so if the sweeps did not suffice, or the search was interrupted.
    pub converged: bool,
}

impl WeightMatching {
    /// Permutes the units of `b` to match `a`, two points of one network; `groups` are those of its architecture. Members
    /// that are no parameters (running statistics) do not count in the match, and have to be permuted with it.
    ///
    /// `told` hears where the search stands after every sweep, and may stop it; the best match so far is the result then.
    ///
    /// # Errors
    /// [`Error::Input`](relief_hessian::Error::Input) where the points are not of one network or groups do not fit
    /// their tensors; [`Error::NonFinite`](relief_hessian::Error::NonFinite) where their entries are not finite.
    pub fn run(
        &self,
        a: &Parameters,
        b: &Parameters,
        groups: &[PermutationGroup],
        told: &mut dyn FnMut(Sweep) -> Control,
    ) -> Result<Alignment> {
        let matched = Matched::new(a, b, groups)?;
        let same = matched.identity();
        let (similarity_before, distance_before) = (matched.similarity(&same), matched.distance(&same));
        let mut best: Option<Alignment> = None;
        'searches: for search in 0..self.searches.max(1) {
            for start in [Start::Identity, Start::Inwards] {
                let nth = 2 * search + usize::from(start == Start::Inwards);
                let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                random.set_stream(nth as u64);
                let mut permutations = same.clone();
                if start == Start::Inwards {
                    inwards(&matched, &mut permutations, &mut random)?;
                }
                let mut history = vec![matched.similarity(&permutations)];
                let (mut converged, mut interrupted) = (false, false);
                while !converged && !interrupted && history.len() <= self.sweeps {
                    converged = !swept(&matched, &mut permutations, &mut random)?;
                    let similarity = matched.similarity(&permutations);
                    history.push(similarity);
                    let stands = Sweep { search: nth, sweep: history.len() - 1, similarity };
                    interrupted = told(stands) == Control::Interrupt;
                }
                let similarity_after = history[history.len() - 1];
                if best.as_ref().is_none_or(|best| similarity_after > best.similarity_after) {
                    best = Some(Alignment {
                        similarity_before,
                        similarity_after,
                        distance_before,
                        distance_after: matched.distance(&permutations),
                        permutations,
                        start,
                        sweeps: history.len() - 1,
                        history,
                        converged,
                    });
                }
                if interrupted {
                    break 'searches;
                }
            }
        }
        best.ok_or_else(|| relief_hessian::Error::Other("no search was made".into()))
    }
}

/// Matches every group once, and says whether any could be improved.
fn swept(matched: &Matched, permutations: &mut [Vec<usize>], random: &mut ChaCha8Rng) -> Result<bool> {
    let mut order: Vec<usize> = (0..permutations.len()).collect();
    order.shuffle(random);
    let mut improved = false;
    for group in order {
        if let Some(better) = matched.improved(group, permutations)? {
            permutations[group] = better;
            improved = true;
        }
    }
    Ok(improved)
}

/// Matches every group once, those first of which some tensor's other axes are in place.
fn inwards(matched: &Matched, permutations: &mut [Vec<usize>], random: &mut ChaCha8Rng) -> Result<()> {
    let mut left: Vec<usize> = (0..permutations.len()).collect();
    left.shuffle(random);
    let mut placed = vec![false; permutations.len()];
    while !left.is_empty() {
        let next = left.iter().position(|&group| matched.touches(group, &placed)).unwrap_or(0);
        let group = left.remove(next);
        permutations[group] = matched.matched(group, permutations, Some(&placed))?;
        placed[group] = true;
    }
    Ok(())
}
