//! Where a training stands, in memory and in a file.

use std::path::Path;

use relief_hessian::{Error, Parameters, Result, StateFile};

use crate::Work;
use crate::rule::Memory;

/// What a training changes from step to step. With its settings, all that is needed to go on to the same digits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingState {
    /// Steps taken.
    pub step: usize,
    /// The point, in double precision whatever the gradients'.
    pub point: Vec<f64>,
    /// What the optimiser remembers: the velocity, or Adam's two means.
    pub means: Vec<Vec<f64>>,
    /// What the rule remembers.
    pub memory: Memory,
    /// What was computed so far.
    pub work: Work,
}

const KIND: &str = "relief-training-1";
const POINT: &str = "point";
const MEAN: &str = "mean.";
const MEMORY: &str = "memory.";

impl TrainingState {
    /// Before the first step.
    pub fn new(start: &Parameters) -> Result<Self> {
        Ok(Self { point: start.to_vec()?, ..Self::default() })
    }

    /// Writes the state, whole or not at all; `context` says what it belongs to.
    pub fn save(&self, path: &Path, context: &str) -> Result<()> {
        let counts = [self.step, self.work.gradients, self.work.products].map(|n| n as u64);
        let mut file = StateFile::new("", &counts, [(POINT, self.point.clone())]);
        for (nth, mean) in self.means.iter().enumerate() {
            file.lists.insert(format!("{MEAN}{nth}"), mean.clone());
        }
        for (name, vector) in &self.memory.vectors {
            file.lists.insert(format!("{MEMORY}{name}"), vector.clone());
        }
        file.save(path, KIND, context)
    }

    /// Reads a state that was saved with the same `context`.
    pub fn load(path: &Path, context: &str) -> Result<Self> {
        let mut file = StateFile::load(path, KIND, context)?;
        let [step, gradients, products] = file.counts[..] else {
            return Err(Error::State(format!(
                "`{}` is damaged: it lacks the number of steps",
                path.display()
            )));
        };
        let mut state = Self {
            step: step as usize,
            point: file.take(POINT).unwrap_or_default(),
            work: Work { gradients: gradients as usize, products: products as usize },
            ..Self::default()
        };
        let mut lists: Vec<(String, Vec<f64>)> = file.lists.into_iter().collect();
        lists.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, list) in lists {
            if let Some(name) = name.strip_prefix(MEMORY) {
                state.memory.vectors.insert(name.to_string(), list);
            } else {
                state.means.push(list);
            }
        }
        Ok(state)
    }
}
