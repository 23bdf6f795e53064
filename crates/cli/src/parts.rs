//! Work in parts, each of which is done once: what an interruption leaves are the parts that are done, and the search that was
//! under way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use relief_hessian::{
    Eigen, EstimateState, Lanczos, LanczosState, Outcome, SpectrumState, StateFile, SymmetricOperator,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::exit::{self, Failure};
use crate::{interrupt, progress};

/// How a run goes on from an interrupted one.
#[derive(Debug, Clone, Args)]
pub(crate) struct ResumeArguments {
    /// Go on from the state of an interrupted run with the same arguments
    #[arg(long, value_name = "FILE", help_heading = "Computation")]
    pub(crate) resume: Option<PathBuf>,

    /// Where the state to resume from is saved, by Ctrl-C and every ten seconds, and beside it the search that was
    /// interrupted; removed when the result is there [default: the verb's name and .state.safetensors]
    #[arg(long, value_name = "FILE", help_heading = "Computation")]
    pub(crate) state: Option<PathBuf>,
}

/// The parts of one run.
pub(crate) struct Parts {
    kind: String,
    /// What all parts depend on.
    context: String,
    /// Where the state goes.
    path: PathBuf,
    /// The state that it goes on from.
    resumed: Option<PathBuf>,
    done: BTreeMap<String, Part>,
    /// Products of the search that was interrupted.
    under_way: usize,
    /// When the state was written by this run, if it was.
    written: Option<Instant>,
    begun: Instant,
}

/// What a part found: numbers, and vectors of one length.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Part {
    found: serde_json::Value,
    /// Products that it took.
    products: usize,
    /// How many vectors.
    rows: usize,
    #[serde(skip)]
    vectors: Vec<Vec<f64>>,
}

/// A search or an estimation that was interrupted.
pub(crate) trait Unfinished: Sized {
    fn load(path: &Path, context: &str) -> relief_hessian::Result<Self>;
    fn save(&self, path: &Path, context: &str) -> relief_hessian::Result<()>;
    fn products(&self) -> usize;
}

impl Unfinished for LanczosState {
    fn load(path: &Path, context: &str) -> relief_hessian::Result<Self> {
        Self::load(path, context)
    }

    fn save(&self, path: &Path, context: &str) -> relief_hessian::Result<()> {
        self.save(path, context)
    }

    fn products(&self) -> usize {
        self.products()
    }
}

impl Unfinished for SpectrumState {
    fn load(path: &Path, context: &str) -> relief_hessian::Result<Self> {
        Self::load(path, context)
    }

    fn save(&self, path: &Path, context: &str) -> relief_hessian::Result<()> {
        self.save(path, context)
    }

    fn products(&self) -> usize {
        self.products()
    }
}

impl Unfinished for EstimateState {
    fn load(path: &Path, context: &str) -> relief_hessian::Result<Self> {
        Self::load(path, context)
    }

    fn save(&self, path: &Path, context: &str) -> relief_hessian::Result<()> {
        self.save(path, context)
    }

    fn products(&self) -> usize {
        self.products()
    }
}

/// What a part finds, and the products that it took.
pub(crate) struct Found<R> {
    pub(crate) numbers: R,
    pub(crate) vectors: Vec<Vec<f64>>,
    pub(crate) products: usize,
}

/// Between two saved states of a run that nobody interrupts.
const SAVE_EVERY: Duration = Duration::from_secs(10);

impl Parts {
    /// The parts of `verb`, none of them done unless there is a state to go on from. A state of another verb or context is
    /// refused.
    pub(crate) fn begin(verb: &str, context: String, arguments: &ResumeArguments) -> Result<Self, Failure> {
        let (resume, state) = (arguments.resume.as_deref(), arguments.state.as_deref());
        let kind = format!("relief {verb} state 1");
        let path = state.map_or_else(|| format!("{verb}.state.safetensors").into(), Path::to_path_buf);
        let mut done: BTreeMap<String, Part> = BTreeMap::new();
        if let Some(resume) = resume {
            let mut file = StateFile::load(resume, &kind, &context)?;
            let damaged = || {
                let name = resume.display();
                Failure::Input(format!("the state `{name}` is damaged: begin again without --resume"))
            };
            done = serde_json::from_str(&file.settings).map_err(|_| damaged())?;
            for (name, part) in &mut done {
                let flat = file.take(name).unwrap_or_default();
                if part.rows > 0 {
                    if flat.is_empty() || flat.len() % part.rows != 0 {
                        return Err(damaged());
                    }
                    part.vectors = flat.chunks(flat.len() / part.rows).map(<[f64]>::to_vec).collect();
                }
            }
        }
        let resumed = resume.map(Path::to_path_buf);
        Ok(Self { kind, context, path, resumed, done, under_way: 0, written: None, begun: Instant::now() })
    }

    /// Whether a part is done.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.done.contains_key(name)
    }

    /// Products of all parts that are done.
    pub(crate) fn products(&self) -> usize {
        self.done.values().map(|part| part.products).sum()
    }

    /// What a part found, now or before; `None` after Ctrl-C. `run` goes on from what an interruption left of it.
    pub(crate) fn part<R: Serialize + DeserializeOwned, S: Unfinished>(
        &mut self,
        name: &str,
        run: impl FnOnce(Option<S>) -> Result<Outcome<Found<R>, S>, Failure>,
    ) -> Result<Option<Found<R>>, Failure> {
        if let Some(part) = self.done.get(name) {
            let numbers = R::deserialize(&part.found).map_err(|e| unwritable(&e))?;
            return Ok(Some(Found { numbers, vectors: part.vectors.clone(), products: part.products }));
        }
        if interrupt::requested() {
            return Ok(None);
        }
        let context = format!("{} {name}", self.context);
        // What was interrupted may have been another part.
        let left = self.resumed.as_ref().and_then(|path| S::load(&beside(path), &context).ok());
        let found = match run(left) {
            Ok(Outcome::Done(found)) => found,
            Ok(Outcome::Interrupted(state)) => {
                state.save(&beside(&self.path), &context)?;
                self.under_way = state.products();
                return Ok(None);
            }
            // What is not a search fails at the next pass over the data.
            Err(_) if interrupt::requested() => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let part = Part {
            found: serde_json::to_value(&found.numbers).map_err(|e| unwritable(&e))?,
            products: found.products,
            rows: found.vectors.len(),
            vectors: found.vectors.clone(),
        };
        self.done.insert(name.to_string(), part);
        if self.written.unwrap_or(self.begun).elapsed() >= SAVE_EVERY {
            self.save()?;
        }
        Ok(Some(found))
    }

    /// Saves what is done, and says how to go on.
    pub(crate) fn interrupted(mut self) -> Result<exit::Outcome, Failure> {
        self.save()?;
        Ok(interrupt::saved(self.products() + self.under_way, &self.path))
    }

    /// Removes the state, which is not needed once the result is there.
    pub(crate) fn finished(self) {
        let own = self.written.is_some() || self.resumed.as_ref() == Some(&self.path);
        let written = own.then_some(&self.path);
        for path in written.into_iter().flat_map(|path| [path.clone(), beside(path)]) {
            // Best effort: what stays behind harms nobody.
            let _ = std::fs::remove_file(path);
        }
    }

    fn save(&mut self) -> Result<(), Failure> {
        let settings = serde_json::to_string(&self.done).map_err(|e| unwritable(&e))?;
        let lists = self.done.iter().filter(|(_, part)| part.rows > 0);
        let lists = lists.map(|(name, part)| (name.clone(), part.vectors.concat())).collect();
        let file = StateFile { settings, counts: vec![], lists };
        file.save(&self.path, &self.kind, &self.context)?;
        self.written = Some(Instant::now());
        Ok(())
    }
}

/// Searches for eigenvalues, from where an interruption left off.
pub(crate) fn search(
    solver: &Lanczos,
    operator: &dyn SymmetricOperator,
    left: Option<LanczosState>,
    bar: &mut progress::Bar,
) -> Result<Outcome<Found<Eigen>, LanczosState>, Failure> {
    let outcome = match left {
        Some(state) => solver.resume(operator, state, bar)?,
        None => solver.run(operator, None, bar)?,
    };
    Ok(outcome.map(|mut eigen| Found {
        vectors: std::mem::take(&mut eigen.vectors),
        products: eigen.products,
        numbers: eigen,
    }))
}

/// Where the search that was interrupted lies, beside the state.
fn beside(state: &Path) -> PathBuf {
    state.with_extension("search.safetensors")
}

fn unwritable(error: &serde_json::Error) -> Failure {
    Failure::Numbers(format!("a part's numbers cannot be kept: {error}"))
}
