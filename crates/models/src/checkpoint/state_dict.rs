//! Finding the state dict in what `torch.save` wrote, and the tensors it describes.

use std::collections::BTreeMap;
use std::path::Path;

use super::pickle::{Graph, Id, Value};
use super::{CheckpointError, ElementType};

/// Keys that training scripts put a model's state dict under, the surest first.
const USUAL_KEYS: [&str; 10] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
    "params_ema",
];

/// Keys whose contents belong to the training, not to the model.
const TRAINING_KEYS: [&str; 6] =
    ["optimizer", "optimizer_state_dict", "scheduler", "scheduler_state_dict", "lr_scheduler", "scaler"];

/// How many dictionaries deep the state dict may lie.
const DEEPEST: usize = 4;

/// A state dict: descriptions of its tensors, without their numbers.
pub(super) struct StateDict {
    /// The keys that lead to it, joined by dots.
    pub(super) nested_under: Option<String>,
    /// The tensors by name.
    pub(super) tensors: BTreeMap<String, StoredTensor>,
    /// The names, in the file's order.
    pub(super) order: Vec<String>,
    /// Texts and numbers that lie next to it.
    pub(super) metadata: BTreeMap<String, String>,
}

/// A tensor as a view of a storage (a file of the archive); all counts in entries.
#[derive(Debug, Clone)]
pub(super) struct StoredTensor {
    pub(super) element: ElementType,
    /// The name of the storage.
    pub(super) storage: String,
    /// Where in the storage the first entry lies.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// How far apart in the storage neighbours along each dimension lie.
    pub(super) strides: Vec<usize>,
}

/// Finds the one state dict of the pickle.
pub(super) fn find(path: &Path, graph: &Graph) -> Result<StateDict, CheckpointError> {
    let no_tensors =
        || CheckpointError::NoTensors { path: path.into(), holds: description(graph, graph.root()) };
    let (keys, id) = search(graph, graph.root(), DEEPEST)
        .map_err(|keys| CheckpointError::SeveralStateDicts { path: path.into(), keys })?
        .ok_or_else(no_tensors)?;

    let (mut tensors, mut order) = (BTreeMap::new(), vec![]);
    for (name, value) in named_entries(graph, id) {
        if is_tensor(graph, value) {
            let tensor = described_tensor(graph, value).map_err(|found| CheckpointError::Unsupported {
                path: path.into(),
                name: name.into(),
                found,
            })?;
            tensors.insert(name.to_string(), tensor);
            order.push(name.to_string());
        }
    }
    let metadata = if keys.is_empty() { BTreeMap::new() } else { scalars(graph, graph.root()) };
    Ok(StateDict { nested_under: (!keys.is_empty()).then(|| keys.join(".")), tensors, order, metadata })
}

/// The keys that lead to the state dict and its place; `Err` with the keys when there are several.
fn search(graph: &Graph, id: Id, depth: usize) -> Result<Option<(Vec<String>, Id)>, Vec<String>> {
    if depth == 0 {
        return Ok(None);
    }
    let entries: BTreeMap<&str, Id> = named_entries(graph, id).collect();
    let inside = |key: &str, child: Id| {
        search(graph, child, depth - 1).map(|found| {
            found.map(|(mut keys, id)| {
                keys.insert(0, key.to_string());
                (keys, id)
            })
        })
    };
    for key in USUAL_KEYS {
        if let Some(child) = entries.get(key)
            && let Some(found) = inside(key, *child)?
        {
            return Ok(Some(found));
        }
    }
    if entries.values().any(|value| is_tensor(graph, *value)) {
        return Ok(Some((Vec::new(), id)));
    }
    let mut candidates = Vec::new();
    for (key, child) in &entries {
        if !TRAINING_KEYS.contains(key) {
            candidates.extend(inside(key, *child)?);
        }
    }
    if candidates.len() > 1 {
        return Err(candidates.into_iter().map(|(keys, _)| keys.join(".")).collect());
    }
    Ok(candidates.pop())
}

/// The entries of a dictionary whose keys are texts; nothing for other values.
pub(super) fn named_entries(graph: &Graph, id: Id) -> impl Iterator<Item = (&str, Id)> {
    let entries = match graph.value(id) {
        Value::Dictionary(entries) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().filter_map(|(key, value)| Some((graph.text(*key)?, *value)))
}

/// The texts, numbers and truth values of a dictionary.
fn scalars(graph: &Graph, id: Id) -> BTreeMap<String, String> {
    named_entries(graph, id)
        .filter_map(|(name, value)| {
            let text = match graph.value(value) {
                Value::Text(text) => text.clone(),
                Value::Integer(integer) => integer.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                _ => return None,
            };
            Some((name.to_string(), text))
        })
        .collect()
}

/// What a value is, for a message.
fn description(graph: &Graph, id: Id) -> String {
    match graph.value(id) {
        Value::Dictionary(_) => {
            let keys: Vec<String> =
                named_entries(graph, id).take(8).map(|(key, _)| format!("`{key}`")).collect();
            if keys.is_empty() {
                "an empty dictionary".into()
            } else {
                format!("a dictionary of {}", keys.join(", "))
            }
        }
        Value::Sequence(_) => "a list".into(),
        Value::Call(..) if is_tensor(graph, id) => "a single tensor without a name".into(),
        Value::Call(callable, _) => match graph.global(*callable) {
            // Python's way to make an object of the class that is the first argument.
            Some((module, name)) => format!("a whole pickled object of class `{module}.{name}`"),
            None => "a pickled object".into(),
        },
        _ => "a plain value".into(),
    }
}

/// Whether a value is the rebuilding of a tensor (of any kind).
pub(super) fn is_tensor(graph: &Graph, id: Id) -> bool {
    let Value::Call(callable, _) = graph.value(id) else { return false };
    graph.global(*callable).is_some_and(|(module, name)| {
        matches!(module, "torch._utils" | "torch._tensor") && name.starts_with("_rebuild")
    })
}

/// The description of a tensor, or what it is in place of a dense one.
pub(super) fn described_tensor(graph: &Graph, id: Id) -> Result<StoredTensor, String> {
    let Value::Call(callable, arguments) = graph.value(id) else {
        return Err("a value that is not a tensor".into());
    };
    let (mut function, mut arguments) = (*callable, *arguments);
    // Parameters and subclasses wrap the rebuilding of a plain tensor; a few wraps are all there ever are.
    for _ in 0..DEEPEST {
        let name = graph.global(function).map_or("", |(_, name)| name);
        let items = graph.sequence(arguments).unwrap_or_default();
        match (name, items) {
            ("_rebuild_tensor_v2", [storage, offset, shape, strides, ..]) => {
                return plain_tensor(graph, None, [*storage, *offset, *shape, *strides]);
            }
            ("_rebuild_tensor_v3", [storage, offset, shape, strides, _, _, dtype, ..]) => {
                return plain_tensor(graph, Some(*dtype), [*storage, *offset, *shape, *strides]);
            }
            ("_rebuild_parameter" | "_rebuild_parameter_with_state", [inner, ..]) => {
                match graph.value(*inner) {
                    Value::Call(callable, inner) => (function, arguments) = (*callable, *inner),
                    _ => break,
                }
            }
            ("_rebuild_from_type_v2", [inner, _, inner_arguments, ..]) => {
                (function, arguments) = (*inner, *inner_arguments);
            }
            _ => break,
        }
    }
    Err(format!("a tensor made by `{}`", graph.global(function).map_or("?", |(_, name)| name)))
}

/// A view of a storage; `dtype` where the storage itself has no type.
fn plain_tensor(
    graph: &Graph,
    dtype: Option<Id>,
    [storage, offset, shape, strides]: [Id; 4],
) -> Result<StoredTensor, String> {
    let unclear = || "a description that makes no sense".to_string();
    let Value::External(identifier) = graph.value(storage) else { return Err(unclear()) };
    // ("storage", class, name, device, number of entries)
    let [_, class, name, ..] = graph.sequence(*identifier).ok_or_else(unclear)? else {
        return Err(unclear());
    };
    let (_, type_name) = graph.global(dtype.unwrap_or(*class)).ok_or_else(unclear)?;
    let sizes =
        |id: Id| -> Option<Vec<usize>> { graph.sequence(id)?.iter().map(|item| graph.size(*item)).collect() };
    let (shape, strides) = sizes(shape).zip(sizes(strides)).ok_or_else(unclear)?;
    if shape.len() != strides.len() {
        return Err(unclear());
    }
    Ok(StoredTensor {
        element: ElementType::from_torch(type_name)
            .ok_or_else(|| format!("entries of type `{type_name}`"))?,
        storage: graph.text(*name).ok_or_else(unclear)?.to_string(),
        offset: graph.size(offset).ok_or_else(unclear)?,
        shape,
        strides,
    })
}
