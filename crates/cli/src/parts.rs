//! Work in parts, each of which is done once: what an interruption leaves are the parts that are done, and the search that was
//! under way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use relief_hessian::{Control, Eigen, Lanczos, LanczosState, Outcome, StateFile, SymmetricOperator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::exit::{self, Failure};
use crate::interrupt;
use crate::progress::Bar;
use crate::resuming::{Keeper, ResumeArguments, Saved, State};

/// The parts of one run.
pub(crate) struct Parts<'c> {
    keeper: Keeper<'c>,
    /// What all parts depend on.
    context: &'c str,
    /// The state that it goes on from.
    resumed: Option<PathBuf>,
    done: Done,
}

/// The parts that are done, by name.
#[derive(Default, Serialize, Deserialize)]
struct Done {
    parts: BTreeMap<String, Part>,
    /// Products of the search that was under way.
    under_way: usize,
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

/// What a part finds, and the products that it took.
pub(crate) struct Found<R> {
    pub(crate) numbers: R,
    pub(crate) vectors: Vec<Vec<f64>>,
    pub(crate) products: usize,
}

const KIND: &str = "relief parts state 1";

impl State for Done {
    fn products(&self) -> usize {
        self.under_way + self.parts.values().map(|part| part.products).sum::<usize>()
    }

    fn save(&self, path: &Path, context: &str) -> Result<(), Failure> {
        let settings = serde_json::to_string(self).map_err(|e| unwritable(&e))?;
        let lists = self.parts.iter().filter(|(_, part)| part.rows > 0);
        let lists = lists.map(|(name, part)| (name.clone(), part.vectors.concat())).collect();
        Ok(StateFile { settings, counts: vec![], lists }.save(path, KIND, context)?)
    }

    fn load(path: &Path, context: &str) -> Result<Self, Failure> {
        let mut file = StateFile::load(path, KIND, context)?;
        let damaged = || {
            let name = path.display();
            Failure::Input(format!("the state `{name}` is damaged: begin again without --resume"))
        };
        let mut done: Self = serde_json::from_str(&file.settings).map_err(|_| damaged())?;
        for (name, part) in done.parts.iter_mut().filter(|(_, part)| part.rows > 0) {
            let flat = file.take(name).unwrap_or_default();
            if flat.is_empty() || flat.len() % part.rows != 0 {
                return Err(damaged());
            }
            part.vectors = flat.chunks(flat.len() / part.rows).map(<[f64]>::to_vec).collect();
        }
        Ok(done)
    }

    fn files(path: &Path) -> Vec<PathBuf> {
        vec![path.to_owned(), beside(path)]
    }
}

impl<'c> Parts<'c> {
    /// The parts of a verb, whose state has by default this `name`: none of them done unless there is a state to go on from. A
    /// state of another verb or context is refused.
    pub(crate) fn begin(
        name: &str,
        context: &'c str,
        arguments: &ResumeArguments,
        bar: &mut Bar,
    ) -> Result<Self, Failure> {
        let (keeper, done) = arguments.begin(name, context, bar)?;
        let resumed = arguments.resumed().map(Path::to_path_buf);
        Ok(Self { keeper, context, resumed, done: done.unwrap_or_default() })
    }

    /// Whether a part is done.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.done.parts.contains_key(name)
    }

    /// Products of all parts that are done.
    pub(crate) fn products(&self) -> usize {
        self.done.parts.values().map(|part| part.products).sum()
    }

    /// What a part found, now or before; `None` after Ctrl-C, with the state saved. `run` goes on from what an interruption or
    /// a pause left of it.
    pub(crate) fn part<R: Serialize + DeserializeOwned, S: State>(
        &mut self,
        name: &str,
        bar: &mut Bar,
        mut run: impl FnMut(Option<S>, &mut Bar) -> Result<Outcome<Found<R>, S>, Failure>,
    ) -> Result<Option<Found<R>>, Failure> {
        if let Some(part) = self.done.parts.get(name) {
            let numbers = R::deserialize(&part.found).map_err(|e| unwritable(&e))?;
            return Ok(Some(Found { numbers, vectors: part.vectors.clone(), products: part.products }));
        }
        let context = format!("{} {name}", self.context);
        // What was interrupted may have been another part.
        let mut left = self.resumed.as_ref().and_then(|path| S::load(&beside(path), &context).ok());
        let found = loop {
            match run(left, bar) {
                Ok(Outcome::Done(found)) => break found,
                Ok(Outcome::Interrupted(state)) => {
                    if self.pause(Some((&state, &context)), bar)? == Control::Interrupt {
                        return Ok(None);
                    }
                    left = Some(state);
                }
                // What is not a search fails at the next pass over the data.
                Err(_) if interrupt::requested() => {
                    self.interrupted(bar)?;
                    return Ok(None);
                }
                Err(failure) => return Err(failure),
            }
        };
        let part = Part {
            found: serde_json::to_value(&found.numbers).map_err(|e| unwritable(&e))?,
            products: found.products,
            rows: found.vectors.len(),
            vectors: found.vectors.clone(),
        };
        self.done.parts.insert(name.to_string(), part);
        let stopped = bar.control() == Control::Interrupt
            && self.pause::<LanczosState>(None, bar)? == Control::Interrupt;
        Ok((!stopped).then_some(found))
    }

    /// Saves what is done after Ctrl-C, and says how to go on.
    pub(crate) fn interrupted(&mut self, bar: &mut Bar) -> Result<exit::Outcome, Failure> {
        self.pause::<LanczosState>(None, bar)?;
        Ok(exit::Outcome::Interrupted)
    }

    /// The state, to be removed once the result is there.
    pub(crate) fn finish(self) -> Saved {
        self.keeper.finish::<Done>()
    }

    /// Saves what is done, and the search under way with what it depends on.
    fn pause<S: State>(&mut self, next: Option<(&S, &str)>, bar: &mut Bar) -> Result<Control, Failure> {
        let Self { keeper, context, done, .. } = self;
        done.under_way = next.map_or(0, |(state, _)| state.products());
        let products = done.products();
        let save = |path: &Path| {
            // In this order: where a kill comes between, only what is known of the next part is lost.
            done.save(path, context)?;
            if let Some((state, context)) = next {
                state.save(&beside(path), context)?;
            }
            Ok(Done::files(path))
        };
        keeper.paused_with(products, save, bar)
    }
}

/// Searches for eigenvalues, from where an interruption left off.
pub(crate) fn search(
    solver: &Lanczos,
    operator: &dyn SymmetricOperator,
    left: Option<LanczosState>,
    bar: &mut Bar,
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
