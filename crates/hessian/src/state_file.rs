//! Files of interrupted runs: counts, and lists of numbers to the last digit, as safetensors.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use candle_core::Device;
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};

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
        let counts = self.counts.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let metadata =
            [("kind", kind), ("settings", &self.settings), ("context", context), ("counts", &counts)];
        let metadata = metadata.map(|(k, v)| (k.to_string(), v.to_string())).into();
        let lists = self.lists.into_iter().collect();
        let partial = path.with_extension("partial");
        write(&partial, metadata, &lists).and_then(|()| std::fs::rename(&partial, path)).map_err(|e| {
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

/// Writes a safetensors file list after list, for a state may be as large as what memory is left, and under exactly this
/// name, so that what a kill leaves of it is found again: the library's own function does the first, but with a temporary
/// file of its own whose name nobody knows.
fn write(
    path: &Path,
    metadata: HashMap<String, String>,
    lists: &BTreeMap<String, Vec<f64>>,
) -> io::Result<()> {
    let mut end = 0;
    let infos = lists.iter().map(|(name, list)| {
        let start = end;
        end += size_of_val(list.as_slice());
        let info = TensorInfo { dtype: Dtype::F64, shape: vec![list.len()], data_offsets: (start, end) };
        (name.clone(), info)
    });
    let header = Metadata::new(Some(metadata), infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&header)?;
    // The numbers begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for number in lists.values().flatten() {
        file.write_all(&number.to_le_bytes())?;
    }
    file.flush()
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
