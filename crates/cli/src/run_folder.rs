//! The folder of a run: settings, rows of measures, checkpoints, and the state to go on from.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::exit::Failure;

/// A row for every measurement, a JSON object a line.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// The key that every row has.
pub(crate) const STEP: &str = "step";
/// The key of a remark.
pub(crate) const EVENT: &str = "event";
/// What a run goes on from.
pub(crate) const STATE: &str = "state.safetensors";

/// One row of the metrics.
pub(crate) type Row = Map<String, Value>;

/// The folder of a run with its rows, which are only ever added: a row whose step was there before, as after an interruption,
/// takes the place of it and of all that came after.
pub(crate) struct RunFolder {
    path: PathBuf,
    metrics: File,
    /// Step and first byte of every row.
    starts: Vec<(usize, u64)>,
    end: u64,
}

impl RunFolder {
    /// A folder that holds no rows yet.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        if path.join(METRICS).metadata().is_ok_and(|file| file.len() > 0) {
            return Err(Failure::Usage(format!(
                "`{}` holds a run already: go on with it with --resume, or name another folder with --run",
                path.display()
            )));
        }
        std::fs::create_dir_all(path).map_err(|e| {
            Failure::Usage(format!(
                "the folder `{}` cannot be made ({e}): choose one that can",
                path.display()
            ))
        })?;
        Self::open(path)
    }

    /// A folder that may hold the rows of a run; a last line that was not finished is dropped.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let file = path.join(METRICS);
        let refused = |e: std::io::Error| cannot_write(&file, &e);
        let text = match std::fs::read(&file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Failure::Input(format!("`{}` cannot be read: {e}", file.display()))),
        };
        let (mut starts, mut end) = (vec![], 0);
        for line in text.split_inclusive('\n') {
            let Some(step) = step_of(line).filter(|_| line.ends_with('\n')) else { break };
            starts.push((step, end));
            end += line.len() as u64;
        }
        let metrics = OpenOptions::new().create(true).append(true).open(&file).map_err(refused)?;
        metrics.set_len(end).map_err(refused)?;
        Ok(Self { path: path.to_path_buf(), metrics, starts, end })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a folder in it.
    pub(crate) fn subfolder(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.file(name);
        std::fs::create_dir_all(&path).map_err(|e| cannot_write(&path, &e))?;
        Ok(path)
    }

    /// Adds the row of a step, and drops those of this step and later ones.
    pub(crate) fn record(&mut self, step: usize, mut row: Row) -> Result<(), Failure> {
        let kept = self.starts.partition_point(|(before, _)| *before < step);
        if let Some((_, start)) = self.starts.get(kept) {
            self.end = *start;
            let refused = |e: std::io::Error| cannot_write(&self.file(METRICS), &e);
            self.metrics.set_len(self.end).map_err(refused)?;
            self.starts.truncate(kept);
        }
        row.insert(STEP.into(), step.into());
        self.append(step, row)
    }

    /// Adds a remark about a step, unless it is the last row already.
    pub(crate) fn remark(&mut self, step: usize, text: &str) -> Result<(), Failure> {
        let row = [(STEP.to_string(), step.into()), (EVENT.to_string(), text.into())];
        let row: Row = row.into_iter().collect();
        if self.rows()?.last() == Some(&row) { Ok(()) } else { self.append(step, row) }
    }

    /// All rows, in their order.
    pub(crate) fn rows(&self) -> Result<Vec<Row>, Failure> {
        let file = self.file(METRICS);
        let text = std::fs::read_to_string(&file)
            .map_err(|e| Failure::Input(format!("`{}` cannot be read: {e}", file.display())))?;
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Waits until the rows are on the disk, before a state is saved that builds on them.
    pub(crate) fn settle(&self) -> Result<(), Failure> {
        self.metrics.sync_data().map_err(|e| cannot_write(&self.file(METRICS), &e))
    }

    fn append(&mut self, step: usize, row: Row) -> Result<(), Failure> {
        let line = format!("{}\n", Value::Object(row));
        self.metrics.write_all(line.as_bytes()).map_err(|e| cannot_write(&self.file(METRICS), &e))?;
        self.starts.push((step, self.end));
        self.end += line.len() as u64;
        Ok(())
    }
}

fn step_of(line: &str) -> Option<usize> {
    let row: Row = serde_json::from_str(line).ok()?;
    Some(row.get(STEP)?.as_u64()? as usize)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!(
        "`{}` cannot be written ({error}): choose a folder that exists and is yours",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(folder: &RunFolder) -> Vec<u64> {
        folder.rows().unwrap().iter().map(|row| row[STEP].as_u64().unwrap()).collect()
    }

    #[test]
    fn a_step_that_comes_again_takes_the_place_of_what_followed() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = RunFolder::create(folder.path()).unwrap();
        for step in [0, 10, 20, 30] {
            run.record(step, Row::new()).unwrap();
        }
        std::fs::OpenOptions::new()
            .append(true)
            .open(run.file(METRICS))
            .and_then(|mut file| file.write_all(b"{\"step\": 40, \"lo"))
            .unwrap();
        assert!(RunFolder::create(folder.path()).is_err());
        let mut again = RunFolder::open(folder.path()).unwrap();
        assert_eq!(steps(&again), [0, 10, 20, 30]);
        again.record(20, Row::new()).unwrap();
        again.remark(20, "eta halved").unwrap();
        again.record(25, Row::new()).unwrap();
        assert_eq!(steps(&again), [0, 10, 20, 20, 25]);
    }
}
