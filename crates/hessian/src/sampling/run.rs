//! Which products next, and when to stop.

use super::columns::Columns;
use super::packed::Packed;
use super::state::EstimateState;
use super::work::Work;
use super::{EstimateStatus, Estimating, Interim, Sampling, Target};
use crate::lanczos::{Control, Observer, Outcome};
use crate::operator::SymmetricOperator;
use crate::{Error, Result};

/// Vectors that are multiplied together; an observer can interrupt between blocks.
pub(crate) const BLOCK: usize = 8;

/// Products before the first conclusion, where an error is the target.
const FIRST: usize = 16;

/// Products that one method wants, in blocks.
pub(crate) trait Task: Send + Sync {
    /// Plans that many products in all; never fewer than before.
    fn plan(&mut self, products: usize);

    /// The next vectors to multiply, at most [`BLOCK`]; none once all that was planned is done.
    fn inputs(&self) -> Result<Vec<Vec<f64>>>;

    /// Takes the products of the vectors that [`inputs`](Self::inputs) has just given.
    fn absorb(&mut self, inputs: &[Vec<f64>], products: Vec<Vec<f64>>) -> Result<()>;

    /// All that it knows; each task has a function `unpack` that takes it back.
    fn pack(&self) -> Packed;

    /// Whether the products done leave nothing to estimate.
    fn exact(&self) -> bool {
        false
    }
}

/// What can be concluded from the products of a task.
pub(crate) trait Conclusion: Send {
    /// The value; of a vector, its norm.
    fn value(&self) -> f64;

    /// The error estimate.
    fn error(&self) -> f64;
}

/// How a run ended.
pub(crate) struct Ending<T> {
    pub(crate) conclusion: T,
    pub(crate) status: EstimateStatus,
    pub(crate) products: usize,
    pub(crate) history: Vec<Interim>,
}

/// A method, as far as planning it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// Fewest products from which there is a conclusion with an error estimate.
    pub(crate) least: usize,
    /// Whether it keeps a vector for each product.
    pub(crate) keeps_vectors: bool,
    /// Whether the matrix's columns give the result exactly.
    pub(crate) by_columns: bool,
    /// Whether it needs twice as many rows as probes, for random vectors that are far from dependent.
    pub(crate) tall: bool,
}

impl Method {
    /// Products at most for a matrix of n rows, short of computing all its columns.
    fn most(&self, n: usize) -> usize {
        match (self.by_columns, self.tall) {
            (false, _) => usize::MAX,
            (true, false) => n - 1,
            (true, true) => self.least.max(n / 2),
        }
    }
}

impl Sampling {
    fn validate(&self, method: &Method, n: usize) -> Result<()> {
        let (first, room) = (self.first(method, n), self.room(method, n));
        let least = if method.by_columns { method.least.min(n) } else { method.least };
        let (name, bytes) = (method.name, self.memory);
        let problem = match self.target {
            _ if n == 0 => "the matrix has no rows: select at least one parameter".to_string(),
            Target::RelativeError(error) if !(error > 0.0 && error < 1.0) => {
                format!("the relative error asked for is {error}, but must lie between 0 and 1")
            }
            _ if !(self.deviations > 0.0 && self.deviations.is_finite()) => {
                let found = self.deviations;
                format!("{found} error estimates shall fit into the target: give a finite number above 0")
            }
            _ if first < least => {
                format!("{name} needs at least {least} products, and {first} are allowed: allow more")
            }
            Target::Products(m) if first < n && first > room => format!(
                "{name} keeps a vector of {n} numbers for each of {m} products, and {bytes} bytes hold {room}: allow more \
                 memory or fewer products, or use a method that keeps none"
            ),
            Target::RelativeError(_) if first < n && room < least => format!(
                "{name} keeps at least {least} vectors of {n} numbers, and {bytes} bytes hold {room}: allow more memory, \
                 or use a method that keeps none"
            ),
            _ => return Ok(()),
        };
        Err(Error::Input(problem))
    }

    /// Products that the memory has room for.
    fn room(&self, method: &Method, n: usize) -> usize {
        if method.keeps_vectors { self.memory / (size_of::<f64>() * n.max(1)) } else { usize::MAX }
    }

    /// Products planned at first, if memory allows.
    fn first(&self, method: &Method, n: usize) -> usize {
        let wanted = match self.target {
            Target::RelativeError(_) => FIRST,
            Target::Products(m) => m,
        };
        let useful = if method.by_columns { n } else { usize::MAX };
        wanted.min(self.max_products).min(useful)
    }

    /// Begins with `work`, or with the columns where the products suffice for all.
    pub(crate) fn begin(
        &self,
        method: &Method,
        settings: String,
        n: usize,
        work: Work,
    ) -> Result<EstimateState> {
        self.validate(method, n)?;
        let first = self.first(method, n);
        if method.by_columns && first == n {
            return Ok(EstimateState::new(settings, n, n, Work::Columns(Columns::new(n))));
        }
        let planned = first.min(self.room(method, n)).min(method.most(n));
        let mut state = EstimateState::new(settings, n, planned, work);
        state.work.task_mut().plan(planned);
        Ok(state)
    }

    /// Multiplies, concludes and plans more, until a conclusion is final.
    pub(crate) fn run<T: Conclusion>(
        &self,
        method: &Method,
        operator: &dyn SymmetricOperator,
        mut state: EstimateState,
        observer: &mut dyn Observer<Estimating>,
        conclude: impl Fn(&Work) -> Result<T> + Sync,
    ) -> Result<Outcome<Ending<T>, EstimateState>> {
        loop {
            // Inside rayon's pool from the start, so that each step over long vectors need not wake it up.
            let inputs = rayon::scope(|_| state.work.task().inputs())?;
            if inputs.is_empty() {
                let conclusion = rayon::scope(|_| conclude(&state.work))?;
                let (value, error) = (conclusion.value(), conclusion.error());
                if !value.is_finite() || !error.is_finite() {
                    return Err(Error::NonFinite(format!(
                        "the products are finite, but what follows from them is {value} +- {error}: scale the matrix"
                    )));
                }
                state.history.push(Interim { products: state.products, value, error_estimate: error });
                if let Some(status) = self.plan_more(method, &mut state, value.abs(), error) {
                    let EstimateState { products, history, .. } = state;
                    return Ok(Outcome::Done(Ending { conclusion, status, products, history }));
                }
                continue;
            }
            let products = operator.apply_block(&inputs)?;
            if products.iter().flatten().any(|x| !x.is_finite()) {
                return Err(Error::NonFinite(
                    "a matrix-vector product is not finite: the numbers overflow at this point; try f64"
                        .into(),
                ));
            }
            state.products += products.len();
            rayon::scope(|_| state.work.task_mut().absorb(&inputs, products))?;
            let last = state.history.last();
            let progress = Estimating {
                products: state.products,
                planned: state.planned,
                max_products: self.max_products,
                value: last.map(|last| last.value.abs()),
                error_estimate: last.map(|last| last.error_estimate),
            };
            if observer.product(&progress) == Control::Interrupt {
                return Ok(Outcome::Interrupted(state));
            }
        }
    }

    /// How it ended with a value of that size and error, or `None` after planning more.
    fn plan_more(
        &self,
        method: &Method,
        state: &mut EstimateState,
        size: f64,
        error: f64,
    ) -> Option<EstimateStatus> {
        if state.work.task().exact() {
            return Some(EstimateStatus::Exact);
        }
        match self.target {
            Target::Products(m) if m <= self.max_products => return Some(EstimateStatus::Reached),
            Target::Products(_) => return Some(EstimateStatus::BudgetSpent),
            Target::RelativeError(target) if self.deviations * error <= target * size => {
                return Some(EstimateStatus::Reached);
            }
            Target::RelativeError(_) => (),
        }
        let n = state.n;
        let wanted = 2 * state.planned;
        if method.by_columns && wanted >= n && state.products + n <= self.max_products {
            state.work = Work::Columns(Columns::new(n));
            state.planned = state.products + n;
            return None;
        }
        let room = self.room(method, n);
        let allowed = wanted.min(self.max_products).min(method.most(n));
        let planned = allowed.min(room);
        if planned < state.planned + method.least {
            return Some(if room < allowed {
                EstimateStatus::MemorySpent
            } else {
                EstimateStatus::BudgetSpent
            });
        }
        state.planned = planned;
        state.work.task_mut().plan(planned);
        None
    }
}
