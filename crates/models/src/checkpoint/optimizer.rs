//! The state of PyTorch's Adam in what `torch.save` wrote.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Tensor};

use super::archive::Opened;
use super::inspect::TensorRole;
use super::pickle::{Graph, Id, Value};
use super::state_dict::{self, StoredTensor, described_tensor, is_tensor, named_entries};
use super::{AdamMemory, CheckpointError, Result, prefix};

/// Keys under which training scripts put an optimizer's state dict.
const OPTIMIZER_KEYS: [&str; 5] = ["optimizer", "optimizer_state_dict", "optimizer_state", "optim", "opt"];

/// What Adam remembers in a file of `torch.save`; nothing where there is no optimizer's state.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Option<AdamMemory>> {
    let mut opened = Opened::new(path, bytes)?;
    let graph = &opened.graph;
    let refused = |found: String| CheckpointError::NoAdam { path: path.into(), found };
    let Some(optimizer) = optimizer(graph) else { return Ok(None) };
    let groups = entry(graph, optimizer, "param_groups").and_then(|id| graph.sequence(id));
    let groups = groups.unwrap_or_default().to_vec();
    let numbers: Vec<i64> = groups.iter().flat_map(|group| numbers_of(graph, *group)).collect();
    let names = named(graph, &groups);
    if names.is_none() && groups.len() > 1 {
        let found = "several groups of parameters without names (param_names), so that it is not known which is which";
        return Err(refused(found.into()));
    }
    let names = names
        .or_else(|| beside(path, graph))
        .ok_or_else(|| refused("an optimizer's state, but no names of its parameters".into()))?;
    if names.len() != numbers.len() {
        return Err(refused(format!(
            "an optimizer of {} parameters beside {} named ones",
            numbers.len(),
            names.len()
        )));
    }
    let name_of: BTreeMap<i64, &String> = numbers.into_iter().zip(&names).collect();

    let (mut moments, mut counts) = (BTreeMap::new(), BTreeMap::new());
    let mut steps: Vec<usize> = vec![];
    for (number, of) in numbered(graph, entry(graph, optimizer, "state")) {
        let Some(name) = name_of.get(&number) else { continue };
        let moment = entry(graph, of, "max_exp_avg_sq").or_else(|| entry(graph, of, "exp_avg_sq"));
        let Some(moment) = moment.filter(|id| is_tensor(graph, *id)) else { continue };
        let unsupported =
            |found| CheckpointError::Unsupported { path: path.into(), name: (*name).clone(), found };
        moments.insert((*name).clone(), described_tensor(graph, moment).map_err(unsupported)?);
        match entry(graph, of, "step") {
            Some(step) if is_tensor(graph, step) => {
                counts.insert((*name).clone(), described_tensor(graph, step).map_err(unsupported)?);
            }
            Some(step) => steps.extend(number_at(graph, step).map(|step| step as usize)),
            None => (),
        }
    }
    if moments.is_empty() {
        return Err(refused(
            "an optimizer's state without exp_avg_sq: it is not Adam's, or took no step".into(),
        ));
    }
    let settings = Settings::of(graph, &groups);
    let second_moments = tensors(&mut opened, &moments)?;
    for count in tensors(&mut opened, &counts)?.values() {
        steps
            .extend(count.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?.iter().map(|s| *s as usize));
    }
    steps.sort_unstable();
    steps.dedup();
    if let [first, .., last] = steps[..] {
        return Err(refused(format!(
            "parameters that took from {first} to {last} steps, which must be as many for all"
        )));
    }
    let [beta1, beta2, epsilon] = settings.common(path)?;
    Ok(Some(AdamMemory {
        second_moments,
        steps: steps.first().copied(),
        beta1,
        beta2,
        epsilon,
        eta: settings.eta(),
        ..AdamMemory::default()
    }))
}

/// What the groups of an optimizer's parameters are set to.
struct Settings {
    /// beta1, beta2, epsilon and eta of every group.
    groups: Vec<[Option<f64>; 4]>,
}

impl Settings {
    fn of(graph: &Graph, groups: &[Id]) -> Self {
        let of = |group: &Id| {
            let number = |key: &str| entry(graph, *group, key).and_then(|id| number_at(graph, id));
            let betas = entry(graph, *group, "betas").and_then(|id| graph.sequence(id));
            let beta = |nth: usize| number_at(graph, *betas?.get(nth)?);
            [beta(0), beta(1), number("eps"), number("lr")]
        };
        Self { groups: groups.iter().map(of).collect() }
    }

    /// beta1, beta2 and epsilon, which all groups must share.
    fn common(&self, path: &Path) -> Result<[Option<f64>; 3]> {
        let first = self.groups.first().map_or([None; 4], |group| *group);
        if self.groups.iter().any(|group| group[..3] != first[..3]) {
            let found =
                "groups of parameters with different betas or eps, which must be one for all".to_string();
            return Err(CheckpointError::NoAdam { path: path.into(), found });
        }
        Ok([first[0], first[1], first[2]])
    }

    /// The step size, where all groups share it.
    fn eta(&self) -> Option<f64> {
        let first = self.groups.first()?[3];
        if self.groups.iter().all(|group| group[3] == first) { first } else { None }
    }
}

/// The dictionary of an optimizer: the whole file, or what is under one of the usual keys.
fn optimizer(graph: &Graph) -> Option<Id> {
    let usual = OPTIMIZER_KEYS.iter().filter_map(|key| entry(graph, graph.root(), key));
    let mut candidates = std::iter::once(graph.root()).chain(usual);
    candidates.find(|id| entry(graph, *id, "param_groups").is_some() && entry(graph, *id, "state").is_some())
}

/// The parameters' names in the groups themselves, which newer versions of PyTorch can write.
fn named(graph: &Graph, groups: &[Id]) -> Option<Vec<String>> {
    let mut all = vec![];
    for group in groups {
        let names = graph.sequence(entry(graph, *group, "param_names")?)?;
        all.extend(names.iter().map(|name| graph.text(*name).map(String::from)).collect::<Option<Vec<_>>>()?);
    }
    Some(stripped(all))
}

/// The names of the parameters in the model's own state dict in the same file, in its order, which is the optimizer's.
fn beside(path: &Path, graph: &Graph) -> Option<Vec<String>> {
    let model = state_dict::find(path, graph).ok().filter(|model| model.nested_under.is_some())?;
    let trained = |name: &String| {
        TensorRole::of(name, model.tensors[name].element.is_integer()) == TensorRole::Parameter
    };
    Some(stripped(model.order.into_iter().filter(trained).collect()))
}

/// Names without what wrappers put before each, in their order.
fn stripped(names: Vec<String>) -> Vec<String> {
    let (taken, _) = prefix::strip(names.iter().map(|name| (name.clone(), ())).collect());
    let length = taken.map_or(0, |prefix| prefix.len());
    names.into_iter().map(|name| name[length..].to_string()).collect()
}

/// The numbers by which a group knows its parameters.
fn numbers_of(graph: &Graph, group: Id) -> Vec<i64> {
    let numbers = entry(graph, group, "params").and_then(|id| graph.sequence(id)).unwrap_or_default();
    let integer = |id: &Id| match graph.value(*id) {
        Value::Integer(integer) => Some(*integer),
        _ => None,
    };
    numbers.iter().filter_map(integer).collect()
}

/// The entries of a dictionary whose keys are integers.
fn numbered(graph: &Graph, id: Option<Id>) -> Vec<(i64, Id)> {
    let Some(Value::Dictionary(entries)) = id.map(|id| graph.value(id)) else { return vec![] };
    let integer = |(key, value): &(Id, Id)| match graph.value(*key) {
        Value::Integer(integer) => Some((*integer, *value)),
        _ => None,
    };
    entries.iter().filter_map(integer).collect()
}

fn entry(graph: &Graph, dictionary: Id, key: &str) -> Option<Id> {
    named_entries(graph, dictionary).find(|(name, _)| *name == key).map(|(_, value)| value)
}

fn number_at(graph: &Graph, id: Id) -> Option<f64> {
    match graph.value(id) {
        Value::Integer(integer) => Some(*integer as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn tensors(
    opened: &mut Opened<'_>,
    described: &BTreeMap<String, StoredTensor>,
) -> Result<BTreeMap<String, Tensor>> {
    Ok(opened.tensors(described)?.into_iter().map(|(name, (tensor, _))| (name, tensor)).collect())
}
