//! Files of interrupted runs: counts, and lists of numbers to the last digit, as safetensors.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use crate::{Error, Result};

/// What a file of an interrupted run holds.
#[derive(Debug, Clone, Default)]
pub struct StateFile {
    /// The run's settings in words; a run with others must not go on from here.
    pub settings: String,
    /// Counts such as steps.
    pub counts: Vec<u64>,
    /// Lists of numbers by name.
    pub lists: HashMap<String, Vec<f64>>,
}

impl StateFile {
    /// A file with some lists.
    pub fn new<const N: usize>(settings: &str, counts: &[u64], lists: [(&str, Vec<f64>); N]) -> Self {
        let lists = lists.map(|(name, list)| (name.to_string(), list)).into();
        Self { settings: settings.to_string(), counts: counts.to_vec(), lists }
    }

    /// Writes the file, whole or not at all: under a temporary name in the same folder, then renamed. `kind` says what
    /// wrote it, `context` what the operator was, so that [`load`](Self::load) can refuse others.
    pub fn save(self, path: &Path, kind: &str, context: &str) -> Result<()> {
        let tensors = self
            .lists
            .into_iter()
            .map(|(name, list)| Ok((name, Tensor::new(list, &Device::Cpu)?)))
            .collect::<Result<HashMap<_, _>>>()?;
        let counts = self.counts.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let metadata =
            [("kind", kind), ("settings", &self.settings), ("context", context), ("counts", &counts)];
        let metadata = metadata.map(|(k, v)| (k.to_string(), v.to_string())).into();
        let partial = path.with_extension("partial");
        // List after list: a state may be as large as what memory is left.
        let written = safetensors::serialize_to_file(&tensors, Some(metadata), &partial);
        let written = written.map_err(|e| e.to_string());
        written.and_then(|()| std::fs::rename(&partial, path).map_err(|e| e.to_string())).map_err(|e| {
            // Best effort: the state could not be written, and neither must half of it stay.
            let _ = std::fs::remove_file(&partial);
            Error::State(format!("the state cannot be written to `{}`: {e}", path.display()))
        })
    }

    /// Reads a file that was saved with the same `kind` and `context`.
    pub fn load(path: &Path, kind: &str, context: &str) -> Result<Self> {
        let name = path.display();
        let bytes = std::fs::read(path)
            .map_err(|e| Error::State(format!("the state `{name}` cannot be read: {e}")))?;
        let none = || no_state(path);
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|_| none())?;
        let metadata = header
            .metadata()
            .as_ref()
            .filter(|m| m.get("kind").is_some_and(|k| k == kind))
            .ok_or_else(none)?;
        if metadata.get("context").map(String::as_str) != Some(context) {
            return Err(Error::State(format!(
                "the state `{name}` belongs to another checkpoint, data set or operator: repeat the interrupted command"
            )));
        }
        let counts = metadata.get("counts").ok_or_else(none)?;
        Ok(Self {
            settings: metadata.get("settings").ok_or_else(none)?.clone(),
            counts: counts.split(' ').map_while(|c| c.parse().ok()).collect(),
            lists: candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?
                .into_iter()
                .map(|(name, list)| Ok((name, list.to_vec1()?)))
                .collect::<Result<_>>()?,
        })
    }

    /// A list by its name, which leaves the file.
    pub fn take(&mut self, name: &str) -> Option<Vec<f64>> {
        self.lists.remove(name)
    }
}

/// The file is of something else, or damaged.
pub(crate) fn no_state(path: &Path) -> Error {
    Error::State(format!(
        "`{}` is not the state of an interrupted run: give the file that it named",
        path.display()
    ))
}

/// Refuses to go on with another problem or other settings than the state was made with.
pub(crate) fn belongs_to(state: (&str, usize), settings: &str, n: usize) -> Result<()> {
    if state.1 != n {
        return Err(Error::State(format!(
            "the state is of a problem with {} parameters, this one has {n}",
            state.1
        )));
    }
    if state.0 != settings {
        return Err(Error::State(format!(
            "the state was made with other settings ({} instead of {settings}): repeat the interrupted command",
            state.0
        )));
    }
    Ok(())
}
