//! A graph under construction whose tensors are named by scopes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::rc::Rc;

use relief_autodiff::{GraphBuilder, Value};
use serde::{Deserialize, Serialize};

use super::error::{ArchitectureError, Result};
use super::initial::Initial;

/// Which statistics batch norm normalises with. The two are different functions with different curvature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchNormMode {
    /// The checkpoint's running statistics, which are constants (PyTorch's `eval()`).
    #[default]
    Eval,
    /// Mean and biased variance of the given batch, differentiated through (PyTorch's `train()`).
    Batch,
}

/// What a named tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Trained, and differentiated in.
    Parameter,
    /// Not trained: a running statistic.
    Buffer,
}

/// What is remembered of the tensors asked for, across all scopes.
#[derive(Debug, Default)]
struct Record {
    roles: BTreeMap<String, (Role, Initial)>,
    batch_norm: bool,
    notes: Vec<String>,
    /// Statistics of the batch under the names of the running ones, where they are to be recorded.
    statistics: Option<Vec<(String, Value)>>,
}

/// A scoped view of a graph under construction, like candle's `VarBuilder`: `net.pp("layer1").pp(0)` names tensors
/// `layer1.0.*`. Clones and scopes share one graph and one record.
#[derive(Clone)]
pub struct Net {
    graph: GraphBuilder,
    prefix: String,
    mode: BatchNormMode,
    record: Rc<RefCell<Record>>,
}

impl Net {
    /// The outermost scope.
    pub fn new(graph: &GraphBuilder, mode: BatchNormMode) -> Self {
        Self { graph: graph.clone(), prefix: String::new(), mode, record: Rc::default() }
    }

    /// The same, which remembers what every batch norm normalises with; for [`BatchNormMode::Batch`].
    #[must_use]
    pub fn recording_statistics(self) -> Self {
        self.record.borrow_mut().statistics = Some(vec![]);
        self
    }

    /// The statistics recorded so far, in order of appearance: mean and biased variance `[c]` of each batch norm under
    /// the names of the running ones.
    pub fn statistics(&self) -> Vec<(String, Value)> {
        self.record.borrow().statistics.clone().unwrap_or_default()
    }

    /// Remembers statistics of this scope, if that was asked for; whether it was.
    pub(super) fn record_statistics(
        &self,
        statistics: impl FnOnce() -> Result<[Value; 2]>,
    ) -> Result<Option<[Value; 2]>> {
        if self.record.borrow().statistics.is_none() {
            return Ok(None);
        }
        let found = statistics()?;
        let named =
            ["running_mean", "running_var"].map(|name| self.path(name)).into_iter().zip(found.clone());
        if let Some(all) = &mut self.record.borrow_mut().statistics {
            all.extend(named);
        }
        Ok(Some(found))
    }

    /// The scope `part` within this one ("push prefix").
    #[must_use]
    pub fn pp(&self, part: impl Display) -> Self {
        Self { prefix: self.path(&part.to_string()), ..self.clone() }
    }

    /// Full name of `name` in this scope.
    pub fn path(&self, name: &str) -> String {
        match (self.prefix.as_str(), name) {
            ("", name) => name.into(),
            (prefix, "") => prefix.into(),
            (prefix, name) => format!("{prefix}.{name}"),
        }
    }

    /// A trained tensor; starts uniform within 1 / sqrt(fan in), or at 0 where it has one axis.
    pub fn parameter(&self, name: &str, shape: &[usize]) -> Result<Value> {
        let initial = if shape.len() < 2 { Initial::Constant(0.0) } else { Initial::fan_in(shape) };
        self.parameter_from(name, shape, initial)
    }

    /// A trained tensor with its own starting values.
    pub fn parameter_from(&self, name: &str, shape: &[usize], initial: Initial) -> Result<Value> {
        self.named(name, shape, Role::Parameter, initial)
    }

    /// A tensor that is never trained, with its value before any training.
    pub fn buffer(&self, name: &str, shape: &[usize], start: f64) -> Result<Value> {
        self.named(name, shape, Role::Buffer, Initial::Constant(start))
    }

    fn named(&self, name: &str, shape: &[usize], role: Role, initial: Initial) -> Result<Value> {
        let path = self.path(name);
        let value = self.in_layer(self.graph.parameter(&path, shape))?;
        self.record.borrow_mut().roles.entry(path).or_insert((role, initial));
        Ok(value)
    }

    /// The graph under construction.
    pub fn graph(&self) -> &GraphBuilder {
        &self.graph
    }

    /// Which statistics batch norm normalises with.
    pub fn batch_norm_mode(&self) -> BatchNormMode {
        self.mode
    }

    /// Whether batch norm has occurred so far.
    pub fn has_batch_norm(&self) -> bool {
        self.record.borrow().batch_norm
    }

    /// What the reader of a result should know, such as that dropout is off; in order of appearance, each once.
    pub fn notes(&self) -> Vec<String> {
        self.record.borrow().notes.clone()
    }

    /// Adds a note, once.
    pub fn note(&self, note: impl Into<String>) {
        let (note, mut record) = (note.into(), self.record.borrow_mut());
        if !record.notes.contains(&note) {
            record.notes.push(note);
        }
    }

    /// Every tensor asked for so far: name, shape and role, sorted by name.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Role)> {
        self.initials().into_iter().map(|(name, shape, role, _)| (name, shape, role)).collect()
    }

    pub(super) fn initials(&self) -> Vec<(String, Vec<usize>, Role, Initial)> {
        let record = self.record.borrow();
        let known = |(name, shape): (String, Vec<usize>)| {
            let &(role, initial) = record.roles.get(&name)?;
            Some((name, shape, role, initial))
        };
        self.graph.named().into_iter().filter_map(known).collect()
    }

    pub(super) fn saw_batch_norm(&self) {
        self.record.borrow_mut().batch_norm = true;
    }

    /// Names this scope in an error of the engine.
    pub(super) fn in_layer<T>(&self, result: relief_autodiff::Result<T>) -> Result<T> {
        result.map_err(|source| match self.prefix.as_str() {
            "" => ArchitectureError::Engine(source),
            layer => ArchitectureError::Layer { layer: layer.into(), source },
        })
    }
}
