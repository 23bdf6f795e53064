//! The permutations of hidden units that leave a network's function unchanged, read off its graph.
//!
//! Hidden units have no order: a network whose neurons or channels are permuted, with all tensors around them, computes
//! the same function (Hecht-Nielsen 1990). Which axes must be permuted together follows from the operations alone: every
//! axis of every value is labelled, and each operation says which of its axes run over the same index
//! ([`Axes`](crate::rule::Axes)). Axes of inputs and outputs keep their order, and so does everything that meets an
//! operation which says nothing.

mod labels;

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Device, Tensor};

use crate::axes::Axes;
use crate::graph::{Id, Kind};
use crate::{Error, Result};
use labels::{Label, Labels};

/// Hidden units that can be permuted among themselves: all permutations of `size` units leave the function unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermutationGroup {
    /// Number of units.
    pub size: usize,
    /// The axes of named tensors along which they lie, in the order in which the model asks for the tensors. Running
    /// statistics and biases are among them.
    pub members: Vec<PermutedAxis>,
}

/// Where the units of a group lie along one axis of a named tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermutedAxis {
    /// Name of the tensor.
    pub tensor: String,
    /// Which of its axes.
    pub axis: usize,
    /// The length of that axis.
    pub length: usize,
    /// For each unit, the indices along the axis that belong to it, as many for every unit: one as a rule; a block of
    /// h w where channels of h x w pixels are flattened.
    pub entries: Vec<Vec<usize>>,
}

impl PermutedAxis {
    /// For each index along the axis, the index it takes its entries from when unit i becomes what unit
    /// `permutation[i]` was. Whatever is no unit stays.
    pub fn sources(&self, permutation: &[usize]) -> Vec<usize> {
        let mut sources: Vec<usize> = (0..self.length).collect();
        for (to, from) in self.entries.iter().zip(permutation) {
            for (&to, &from) in to.iter().zip(self.entries.get(*from).into_iter().flatten()) {
                sources[to] = from;
            }
        }
        sources
    }
}

/// The network with its hidden units permuted: unit i of each group becomes what unit `permutations[group][i]` was.
///
/// It computes the same function to rounding (sums over units run in another order). Tensors that no group moves are
/// given back as they are, in any precision.
///
/// # Errors
/// [`Error::Unavailable`] where a permutation is none of its group's, or a tensor that a group moves is not given;
/// [`Error::Mismatch`] where such a tensor has another shape.
pub fn permuted(
    tensors: &BTreeMap<String, Tensor>,
    groups: &[PermutationGroup],
    permutations: &[Vec<usize>],
) -> Result<BTreeMap<String, Tensor>> {
    if groups.len() != permutations.len() {
        return Err(Error::Unavailable(format!(
            "{} groups of units need as many permutations, not {}",
            groups.len(),
            permutations.len()
        )));
    }
    let mut tensors = tensors.clone();
    for (group, permutation) in groups.iter().zip(permutations) {
        let all: BTreeSet<usize> = permutation.iter().copied().collect();
        if permutation.len() != group.size || !all.into_iter().eq(0..group.size) {
            return Err(Error::Unavailable(format!(
                "a permutation of {0} units must hold every number below {0} once, and nothing else",
                group.size
            )));
        }
        for member in &group.members {
            let sources = member.sources(permutation);
            let tensor = tensors.get_mut(&member.tensor).ok_or_else(|| {
                Error::Unavailable(format!(
                    "the permutations move a tensor `{}`, and none was given: give all that the model asks for",
                    member.tensor
                ))
            })?;
            if tensor.dims().get(member.axis) != Some(&member.length) {
                let mut expected = tensor.dims().to_vec();
                expected.resize(expected.len().max(member.axis + 1), 1);
                expected[member.axis] = member.length;
                let (name, found) = (member.tensor.clone(), tensor.dims().to_vec());
                return Err(Error::Mismatch { name, found, expected });
            }
            let sources = Tensor::from_iter(sources.iter().map(|&i| i as u32), tensor.device())?;
            *tensor = tensor.contiguous()?.index_select(&sources, member.axis)?;
        }
    }
    Ok(tensors)
}

/// The groups of the graph that leads to `outputs`.
pub(crate) fn groups(nodes: &[(Kind, Vec<usize>)], outputs: Id) -> Vec<PermutationGroup> {
    let mut needed = vec![false; nodes.len()];
    needed[outputs] = true;
    for id in (0..=outputs).rev() {
        if needed[id] {
            nodes[id].0.arguments().into_iter().for_each(|a| needed[a] = true);
        }
    }
    let mut labels = Labels::default();
    let mut of: Vec<Vec<Label>> = vec![vec![]; nodes.len()];
    for id in (0..=outputs).filter(|&id| needed[id]) {
        of[id] = labelled(&mut labels, nodes, id, &of);
    }
    of[outputs].iter().for_each(|label| labels.pin(label));
    collected(&labels, nodes, &of)
}

/// The labels of a node's axes.
fn labelled(labels: &mut Labels, nodes: &[(Kind, Vec<usize>)], id: Id, of: &[Vec<Label>]) -> Vec<Label> {
    let (kind, shape) = &nodes[id];
    let arguments = kind.arguments();
    let shapes: Vec<&[usize]> = arguments.iter().map(|&a| nodes[a].1.as_slice()).collect();
    let axes = match kind {
        Kind::Named(_) => return shape.iter().map(|&n| labels.fresh(n, false)).collect(),
        Kind::Input(_) => return shape.iter().map(|&n| labels.fresh(n, true)).collect(),
        Kind::Constant(tensor) => {
            let pinned = !is_uniform(tensor).unwrap_or(false);
            return shape.iter().map(|&n| labels.fresh(n, pinned)).collect();
        }
        Kind::Elementwise(_, x) => return of[*x].clone(),
        Kind::Linear(rule, _) => rule.axes(&shapes, shape),
        Kind::Bilinear(rule, ..) => rule.axes([shapes[0], shapes[1]], shape),
        Kind::RowWise(rule, _) => rule.axes(&shapes, shape),
        Kind::Frozen(rule, _) => rule.axes(&shapes, shape),
    };
    let given: Vec<&[Label]> = arguments.iter().map(|&a| of[a].as_slice()).collect();
    if let Some(axes) = axes.filter(|axes: &Axes| axes.fit(&shapes, shape)) {
        return labels.result(&axes, &given);
    }
    given.iter().copied().flatten().for_each(|label| labels.pin(label));
    shape.iter().map(|&n| labels.fresh(n, true)).collect()
}

/// Whether all entries are one number, so that permuting them changes nothing.
fn is_uniform(tensor: &Tensor) -> Result<bool> {
    let entries = tensor.to_dtype(DType::F64)?.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f64>()?;
    Ok(entries.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits()))
}

/// The classes of units that lie along axes of named tensors, in the order in which those are met.
fn collected(labels: &Labels, nodes: &[(Kind, Vec<usize>)], of: &[Vec<Label>]) -> Vec<PermutationGroup> {
    let classes = labels.classes(of.iter().flatten());
    let mut groups: Vec<PermutationGroup> = vec![];
    let mut position = vec![None; classes.sizes.len()];
    for ((kind, shape), axes) in nodes.iter().zip(of) {
        let Kind::Named(name) = kind else { continue };
        for (axis, label) in axes.iter().enumerate() {
            let factors = labels.leaves(label);
            let (mut outer, mut inner) = (1, shape[axis]);
            for factor in factors {
                let length = labels.length(factor);
                inner /= length;
                let mut entries: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
                for (i, place) in labels.places(factor, &classes).into_iter().enumerate() {
                    let Some((class, unit)) = place.filter(|(class, _)| classes.sizes[*class] > 1) else {
                        continue;
                    };
                    let own = (0..outer).flat_map(|o| (0..inner).map(move |k| (o * length + i) * inner + k));
                    let units = entries.entry(class).or_insert_with(|| vec![vec![]; classes.sizes[class]]);
                    units[unit] = own.collect();
                }
                outer *= length;
                for (class, entries) in entries {
                    let group = *position[class].get_or_insert_with(|| {
                        groups.push(PermutationGroup { size: classes.sizes[class], members: vec![] });
                        groups.len() - 1
                    });
                    let (tensor, length) = (name.clone(), shape[axis]);
                    groups[group].members.push(PermutedAxis { tensor, axis, length, entries });
                }
            }
        }
    }
    groups
}
