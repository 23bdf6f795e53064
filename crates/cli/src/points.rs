//! Other checkpoints of the same network, as points.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::Tensor;

use relief_hessian::{Objective, Parameters};
use relief_models::checkpoint::Checkpoint;
use relief_models::task::{Measure, Measured, StatisticsPass};

use crate::exit::Failure;
use crate::load::{DATA_KEY, Loaded, MODEL_KEY};
use crate::saved::stem;

/// A checkpoint's parameters and running statistics, for the network and data that are loaded.
#[derive(Clone)]
pub(crate) struct Point {
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
    pub(crate) parameters: Parameters,
    pub(crate) statistics: Option<Parameters>,
}

impl Point {
    /// Reads a checkpoint of the loaded network, whatever it says of itself.
    pub(crate) fn load(loaded: &Loaded, path: &Path) -> Result<Self, Failure> {
        let checkpoint = Checkpoint::load(path)?;
        checkpoint.require_finite()?;
        let tensors = checkpoint.fit_model(&loaded.architecture, loaded.data.example_shape())?;
        Self::from_tensors(loaded, path, checkpoint.sha256(), tensors)
    }

    /// From all tensors that the loaded network wants, and what they come from.
    pub(crate) fn from_tensors(
        loaded: &Loaded,
        path: &Path,
        sha256: &str,
        mut tensors: BTreeMap<String, Tensor>,
    ) -> Result<Self, Failure> {
        let at = loaded.task.objective.parameters();
        let mut like = |named: &Parameters| -> Result<Parameters, Failure> {
            let taken = named.names().iter().filter_map(|name| Some((name.clone(), tensors.remove(name)?)));
            let converted =
                taken.map(|(name, tensor)| Ok((name, tensor.to_dtype(at.dtype())?.to_device(at.device())?)));
            let converted: Result<Vec<_>, relief_hessian::Error> = converted.collect();
            Ok(Parameters::new(converted?)?)
        };
        let parameters = like(at)?;
        let statistics = loaded.task.statistics().map(&mut like).transpose()?;
        Ok(Self { path: path.to_owned(), sha256: sha256.to_string(), parameters, statistics })
    }

    /// A point that is no file, with its own statistics of the training data where it has batch norm.
    pub(crate) fn of(loaded: &Loaded, point: &[f64], name: &str) -> Result<Self, Failure> {
        let parameters = loaded.task.objective.parameters().at(point)?;
        let Loaded { architecture, tensors, data, options, .. } = loaded;
        let pass = StatisticsPass::new(architecture, tensors, data, options)?;
        let statistics = pass.map(|pass| pass.at(&parameters)).transpose()?;
        Ok(Self { path: name.into(), sha256: String::new(), parameters, statistics })
    }

    /// The loaded checkpoint itself.
    pub(crate) fn own(loaded: &Loaded) -> Self {
        Self {
            path: loaded.checkpoint_path.clone().into(),
            sha256: loaded.checkpoint_sha256.clone(),
            parameters: loaded.task.objective.parameters().clone(),
            statistics: loaded.task.statistics().cloned(),
        }
    }

    /// Another point with the same statistics.
    pub(crate) fn at(&self, parameters: Parameters) -> Self {
        let Self { path, sha256, statistics, .. } = self;
        Self { path: path.clone(), sha256: sha256.clone(), parameters, statistics: statistics.clone() }
    }

    /// The file's name without folder and extension.
    pub(crate) fn name(&self) -> String {
        stem(&self.path.display().to_string())
    }

    /// What it has on the loaded data, with its own statistics.
    pub(crate) fn measure(&self, loaded: &Loaded) -> Result<Measured, Failure> {
        let how = Measure { statistics: self.statistics.as_ref(), ..Measure::default() };
        Ok(loaded.task.measure_as(&self.parameters, &how)?)
    }
}

/// Saves a point as a checkpoint of the loaded network, with its own statistics of the training data where it has batch
/// norm.
pub(crate) fn save(loaded: &Loaded, point: &[f64], path: &Path) -> Result<(), Failure> {
    let Point { parameters, statistics, .. } = Point::of(loaded, point, "")?;
    let metadata = [(MODEL_KEY, &loaded.model), (DATA_KEY, &loaded.data.source)];
    let metadata = metadata.map(|(key, value)| (key.to_string(), value.clone())).into();
    write(path, loaded.tensors.clone(), &parameters, statistics.as_ref(), &metadata)
}

/// Writes a network's tensors with these parameters and statistics instead of their own.
pub(crate) fn write(
    path: &Path,
    mut tensors: BTreeMap<String, Tensor>,
    parameters: &Parameters,
    statistics: Option<&Parameters>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    for (name, tensor) in parameters.iter().chain(statistics.into_iter().flat_map(Parameters::iter)) {
        tensors.insert(name.to_string(), tensor.clone());
    }
    Ok(relief_models::checkpoint::save(path, &tensors, metadata)?)
}

/// The files that match a pattern such as 'run/step-*.safetensors', in the order of the numbers in their names.
pub(crate) fn matching(pattern: &str) -> Result<Vec<PathBuf>, Failure> {
    let found = glob::glob(pattern)
        .map_err(|e| Failure::Usage(format!("`{pattern}` is not a pattern of files: {e}")))?;
    let mut paths: Vec<PathBuf> = found.filter_map(Result::ok).filter(|path| path.is_file()).collect();
    if paths.is_empty() {
        return Err(Failure::Input(format!("no file matches `{pattern}`: name checkpoints that exist")));
    }
    paths.sort_by_cached_key(|path| natural(&path.display().to_string()));
    Ok(paths)
}

/// A key by which `step-9` comes before `step-10`: pieces of text, and numbers by length and digits.
pub(crate) fn natural(text: &str) -> Vec<(usize, String)> {
    let mut pieces: Vec<(usize, String)> = vec![];
    let mut digits = false;
    for c in text.chars() {
        match pieces.last_mut() {
            Some((_, piece)) if c.is_ascii_digit() == digits => piece.push(c),
            _ => pieces.push((0, c.to_string())),
        }
        digits = c.is_ascii_digit();
    }
    for (length, piece) in &mut pieces {
        if piece.starts_with(|c: char| c.is_ascii_digit()) {
            *piece = piece.trim_start_matches('0').to_string();
            *length = piece.len() + 1;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::natural;

    #[test]
    fn numbers_in_names_are_counted() {
        let mut names = ["step-10", "step-9", "step-0100", "step-99", "start"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["start", "step-9", "step-10", "step-99", "step-0100"]);
    }
}
