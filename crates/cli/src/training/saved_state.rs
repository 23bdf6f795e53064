//! The file that a training goes on from: the optimiser's state, and what was recorded with it.

use std::path::Path;

use relief_training::TrainingState;

use crate::exit::Failure;

/// What the rows depend on besides the training's own state.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Recorded {
    /// The step of the last row.
    pub(crate) row: Option<usize>,
    /// Sum of the mini-batches' losses since then, and how many they are.
    pub(crate) losses: [f64; 2],
    /// Eigenvectors that the last probe found, where the next begins.
    pub(crate) vectors: Vec<Vec<f64>>,
}

const ROW: &str = "recorded.row";
const LOSSES: &str = "recorded.losses";
const VECTOR: &str = "recorded.vector.";

/// Writes both, whole or not at all.
pub(crate) fn save(
    path: &Path,
    context: &str,
    state: &TrainingState,
    recorded: &Recorded,
) -> Result<(), Failure> {
    let mut all = state.clone();
    let lists = &mut all.memory.vectors;
    lists.insert(ROW.into(), recorded.row.iter().map(|row| *row as f64).collect());
    lists.insert(LOSSES.into(), recorded.losses.to_vec());
    for (nth, vector) in recorded.vectors.iter().enumerate() {
        lists.insert(format!("{VECTOR}{nth:03}"), vector.clone());
    }
    Ok(all.save(path, context)?)
}

/// Reads both.
pub(crate) fn load(path: &Path, context: &str) -> Result<(TrainingState, Recorded), Failure> {
    let mut state = TrainingState::load(path, context)?;
    let lists = &mut state.memory.vectors;
    let row = lists.remove(ROW).and_then(|row| Some(*row.first()? as usize));
    let losses = lists.remove(LOSSES).and_then(|losses| losses.try_into().ok()).unwrap_or_default();
    let named: Vec<String> = lists.keys().filter(|name| name.starts_with(VECTOR)).cloned().collect();
    let vectors = named.iter().filter_map(|name| lists.remove(name)).collect();
    Ok((state, Recorded { row, losses, vectors }))
}
