//! States that long work goes on from: saved by Ctrl-C and every so often, so that a run that is killed loses little.
//!
//! A run is stopped where its solver can be resumed, its state is written, and it goes on: saved or not, the digits are the
//! same.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use relief_hessian::{Control, EstimateState, LanczosState, Outcome, SpectrumState};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::interrupt;
use crate::progress::Bar;

/// Where a state comes from and where it goes.
#[derive(Debug, Args)]
pub(crate) struct ResumeArguments {
    /// Go on from the state of a run with the same arguments that was interrupted or killed
    #[arg(long, value_name = "FILE", help_heading = "Interruption")]
    resume: Option<PathBuf>,

    /// Where the state to resume from is saved, by Ctrl-C and every so often; removed when the result is there [default: that
    /// of --resume, or the verb's name and .state.safetensors; where a file has that name already, one with -2 and so on]
    #[arg(long, value_name = "FILE", help_heading = "Interruption")]
    state: Option<PathBuf>,

    /// Seconds between two saved states, at least: saving takes no more than a twentieth of the time, and 30 MB a second
    #[arg(long, value_name = "S", default_value_t = 5.0, help_heading = "Interruption")]
    save_every: f64,
}

/// Work that can be written down between two products.
pub(crate) trait State: Sized {
    /// Products so far.
    fn products(&self) -> usize;

    /// Writes it, whole or not at all; `context` says what it belongs to.
    fn save(&self, path: &Path, context: &str) -> Result<(), Failure>;

    /// Reads what was saved with the same context.
    fn load(path: &Path, context: &str) -> Result<Self, Failure>;

    /// The files that a state under this name consists of.
    fn files(path: &Path) -> Vec<PathBuf> {
        vec![path.to_owned()]
    }
}

macro_rules! state {
    ($name:ident) => {
        impl State for $name {
            fn products(&self) -> usize {
                self.products()
            }

            fn save(&self, path: &Path, context: &str) -> Result<(), Failure> {
                Ok(self.save(path, context)?)
            }

            fn load(path: &Path, context: &str) -> Result<Self, Failure> {
                Ok(Self::load(path, context)?)
            }
        }
    };
}

state!(LanczosState);
state!(SpectrumState);
state!(EstimateState);

/// The files of a state that is not needed any more once the result is written.
#[must_use]
pub(crate) struct Saved(Vec<PathBuf>);

impl Saved {
    /// Removes them. One that cannot be removed does no harm.
    pub(crate) fn remove(self) {
        for file in self.0 {
            // What a kill in the middle of saving leaves.
            let _ = std::fs::remove_file(file.with_extension("partial"));
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Share of the time that saving takes at most.
const SHARE: u32 = 20;
/// Bytes a second that are written at most, for the disk's sake.
const RATE: f64 = 3e7;

impl ResumeArguments {
    /// Does some work to its end, from the beginning or from a saved state, with a state saved every so often, by default under
    /// `name`. `None` after Ctrl-C, with the state saved. `go_on` begins where no state is given, and stops where the bar says
    /// so.
    pub(crate) fn run<T, S: State>(
        &self,
        name: &str,
        context: &str,
        bar: &mut Bar,
        mut go_on: impl FnMut(Option<S>, &mut Bar) -> Result<Outcome<T, S>, Failure>,
    ) -> Result<Option<(T, Saved)>, Failure> {
        let (mut keeper, mut state) = self.begin(name, context, bar)?;
        loop {
            match go_on(state, bar)? {
                Outcome::Done(result) => return Ok(Some((result, keeper.finish::<S>()))),
                Outcome::Interrupted(stopped) => {
                    if keeper.paused(&stopped, bar)? == Control::Interrupt {
                        return Ok(None);
                    }
                    state = Some(stopped);
                }
            }
        }
    }

    /// The state to go on from, if there is one.
    pub(crate) fn resumed(&self) -> Option<&Path> {
        self.resume.as_deref()
    }

    /// What saves the states of some work, and the one to go on from.
    pub(crate) fn begin<'c, S: State>(
        &self,
        name: &str,
        context: &'c str,
        bar: &mut Bar,
    ) -> Result<(Keeper<'c>, Option<S>), Failure> {
        let every = Duration::try_from_secs_f64(self.save_every).map_err(|_| {
            let found = self.save_every;
            Failure::Usage(format!("--save-every is {found}: give a number of seconds from 0 on"))
        })?;
        let path = self.state.clone().or(self.resume.clone()).unwrap_or_else(|| name.into());
        let state = self.resume.as_ref().map(|path| S::load(path, context)).transpose()?;
        match (&state, &self.resume) {
            (Some(state), Some(path)) => {
                bar.note(&format!("going on after {} products ({})", state.products(), path.display()));
            }
            _ if path.exists() => bar.note(&format!(
                "note: `{0}` is there already; if it is the state of such a run, --resume {0} goes on from it",
                path.display()
            )),
            _ => (),
        }
        bar.pause_after(every);
        let own = self.resume.as_ref() == Some(&path);
        Ok((Keeper { context, path, own, every, refused: false }, state))
    }
}

/// Saves the states of some work.
pub(crate) struct Keeper<'c> {
    context: &'c str,
    path: PathBuf,
    /// Whether the file there is this work's: no other is overwritten.
    own: bool,
    every: Duration,
    /// Whether a state could not be written.
    refused: bool,
}

impl Keeper<'_> {
    /// Saves the state of work that the bar has stopped, and says whether it goes on: not after Ctrl-C.
    pub(crate) fn paused<S: State>(&mut self, state: &S, bar: &mut Bar) -> Result<Control, Failure> {
        let context = self.context;
        let save = |path: &Path| {
            state.save(path, context)?;
            Ok(S::files(path))
        };
        self.paused_with(state.products(), save, bar)
    }

    /// The same for a state that `save` writes, telling its files.
    pub(crate) fn paused_with(
        &mut self,
        products: usize,
        save: impl FnOnce(&Path) -> Result<Vec<PathBuf>, Failure>,
        bar: &mut Bar,
    ) -> Result<Control, Failure> {
        if !self.own {
            self.path = free(&self.path);
        }
        if interrupt::requested() {
            save(&self.path)?;
            bar.clear();
            interrupt::saved(products, &self.path);
            return Ok(Control::Interrupt);
        }
        let begun = Instant::now();
        let mut wait = Duration::MAX;
        if !self.refused {
            match save(&self.path) {
                Ok(files) => {
                    self.own = true;
                    let bytes: u64 = files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
                    let gentle = Duration::from_secs_f64(bytes as f64 / RATE);
                    wait = self.every.max(SHARE * begun.elapsed()).max(gentle);
                }
                // The work is worth more than its state.
                Err(failure) => {
                    bar.note(&format!("note: no state is saved before Ctrl-C: {failure}"));
                    self.refused = true;
                }
            }
        }
        bar.pause_after(wait);
        Ok(Control::Continue)
    }

    /// The files that are left when the work is done.
    pub(crate) fn finish<S: State>(self) -> Saved {
        Saved(if self.own { S::files(&self.path) } else { vec![] })
    }
}

/// Results that are there, and what they belong to.
#[derive(Serialize, Deserialize)]
struct Document<S> {
    context: String,
    #[serde(flatten)]
    state: S,
}

/// Writes a state of few numbers as JSON, whole or not at all: under a temporary name in the same folder, which is the same
/// every time, then renamed.
pub(crate) fn save_json<S: Serialize>(path: &Path, context: &str, state: &S) -> Result<(), Failure> {
    let json = serde_json::to_string(&Document { context: context.into(), state })
        .map_err(|e| Failure::Numbers(format!("the state cannot be written as JSON: {e}")))?;
    let partial = path.with_extension("partial");
    std::fs::write(&partial, json).and_then(|()| std::fs::rename(&partial, path)).map_err(|e| {
        // Best effort: the state could not be written, and neither must half of it stay.
        let _ = std::fs::remove_file(&partial);
        Failure::Input(format!("the state cannot be written to `{}`: {e}", path.display()))
    })
}

/// Reads what was saved as JSON with the same context.
pub(crate) fn load_json<S: DeserializeOwned>(path: &Path, context: &str) -> Result<S, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::Input(format!("the state `{name}` cannot be read: {e}")))?;
    let found: Document<S> = serde_json::from_str(&text).map_err(|_| {
        Failure::Input(format!(
            "`{name}` is not the state of an interrupted run: give the file that it named"
        ))
    })?;
    if found.context == context {
        return Ok(found.state);
    }
    Err(Failure::Input(format!(
        "the state `{name}` belongs to another checkpoint, data set, operator or other settings: repeat the interrupted command"
    )))
}

/// The name, or the first like it that no file has: `name-2.safetensors` and so on.
fn free(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let numbered = |n: usize| {
        let mut name = format!("{stem}-{n}");
        if let Some(extension) = path.extension() {
            name = format!("{name}.{}", extension.to_string_lossy());
        }
        path.with_file_name(name)
    };
    let mut names = std::iter::once(path.to_owned()).chain((2..).map(numbered));
    names.find(|name| !name.exists()).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::free;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eigenvalues.state.safetensors");
        assert_eq!(free(&path), path);
        std::fs::write(&path, "").unwrap();
        let second = folder.path().join("eigenvalues.state-2.safetensors");
        assert_eq!(free(&path), second);
        std::fs::write(&second, "").unwrap();
        assert_eq!(free(&path), folder.path().join("eigenvalues.state-3.safetensors"));
    }
}
