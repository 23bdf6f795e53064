//! Pieces of outlines joined end to end.

use super::cells::{Step, Vertex};

/// Vertices in a row.
pub(super) struct Chain {
    pub(super) vertices: Vec<Vertex>,
    /// Whether the last is joined to the first.
    pub(super) closed: bool,
}

/// Joins steps to chains as long as can be: first open ones, then closed ones, each in order of their vertices.
pub(super) fn join(mut steps: Vec<Step>) -> Vec<Chain> {
    steps.sort_unstable();
    let next: Vec<Option<usize>> = steps.iter().map(|step| successor(&steps, *step)).collect();
    let mut first = vec![true; steps.len()];
    for follower in next.iter().flatten() {
        first[*follower] = false;
    }
    let starts = (0..steps.len()).filter(|k| first[*k]).chain((0..steps.len()).filter(|k| !first[*k]));
    let mut used = vec![false; steps.len()];
    let mut chains = Vec::new();
    for start in starts {
        if used[start] {
            continue;
        }
        let mut vertices = Vec::new();
        let mut at = start;
        let closed = loop {
            used[at] = true;
            vertices.push(steps[at].from);
            match next[at] {
                None => {
                    vertices.push(steps[at].to);
                    break false;
                }
                Some(follower) if used[follower] => break true,
                Some(follower) => at = follower,
            }
        };
        chains.push(Chain { vertices, closed });
    }
    chains
}

/// The step that begins where one ends. Where two cells of a region touch at a corner only, two begin: the one
/// in the same cell follows, so that every step follows one other at most.
fn successor(sorted: &[Step], step: Step) -> Option<usize> {
    let first = sorted.partition_point(|other| other.from < step.to);
    let count = sorted[first..].iter().take_while(|other| other.from == step.to).count();
    let mut followers = first..first + count;
    if count > 1 { followers.find(|k| sorted[*k].cell == step.cell) } else { followers.next() }
}
