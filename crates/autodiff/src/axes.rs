//! Which axes of an operation's arguments and result run over the same index.
//!
//! This is what the engine needs to know of an operation to find the permutations that leave a network's function
//! unchanged (see [`PermutationGroup`](crate::PermutationGroup)): `c_ij = sum_k a_ik b_kj` stays the same under a
//! permutation of k, and has its rows permuted under one of i. Notation and idea are those of einsum.

/// An index of an operation: a name that is the operation's own, and how far it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Places with one name run together.
    pub name: usize,
    /// Number of values it takes.
    pub length: usize,
    /// Whether neighbours matter, as they do for rows and columns of an image: an ordered index must not be permuted.
    pub ordered: bool,
}

impl Index {
    /// An index whose values can be permuted.
    pub fn free(name: usize, length: usize) -> Self {
        Self { name, length, ordered: false }
    }

    /// An index whose order matters.
    pub fn ordered(name: usize, length: usize) -> Self {
        Self { name, length, ordered: true }
    }
}

/// What one axis of a tensor runs over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Axis {
    /// Several indices at once, the last one fastest; none for an axis of length 1.
    Product(Vec<Index>),
    /// One index after the other. Indices that occur nowhere else count as one: their values are alike.
    Sum(Vec<Index>),
}

/// What all axes of an operation's arguments and of its result run over.
///
/// It promises: permute the values of any indices that are not ordered, the same way wherever their names occur, and
/// the operation takes the permuted arguments to the permuted result. An index of the arguments alone is summed over, or
/// the like (a maximum); along one of the result alone, the result repeats itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axes {
    /// The axes of each argument.
    pub arguments: Vec<Vec<Axis>>,
    /// The axes of the result.
    pub result: Vec<Axis>,
}

impl Axes {
    /// Axes that line up from the last one on and agree or are of length 1 (NumPy's rule): entrywise operations,
    /// repetition, and sums that keep their axes.
    pub fn aligned(arguments: &[&[usize]], result: &[usize]) -> Self {
        Self { arguments: arguments.iter().map(|shape| lined_up(shape)).collect(), result: lined_up(result) }
    }

    /// As [`aligned`](Self::aligned), with one axis of some tensors replaced; tensors have one rank.
    pub(crate) fn aligned_but(
        arguments: &[&[usize]],
        result: &[usize],
        axis: usize,
        mut replacement: impl FnMut(Option<usize>) -> Axis,
    ) -> Self {
        let mut axes = Self::aligned(arguments, result);
        for (k, argument) in axes.arguments.iter_mut().enumerate() {
            argument[axis] = replacement(Some(k));
        }
        axes.result[axis] = replacement(None);
        axes
    }

    /// Whether ranks and lengths are those of the tensors, and no tensor is empty.
    pub(crate) fn fit(&self, arguments: &[&[usize]], result: &[usize]) -> bool {
        let length = |axis: &Axis| match axis {
            Axis::Product(indices) => indices.iter().map(|i| i.length).product::<usize>(),
            Axis::Sum(indices) => indices.iter().map(|i| i.length).sum(),
        };
        let fits = |axes: &[Axis], shape: &[usize]| {
            axes.len() == shape.len() && axes.iter().zip(shape).all(|(axis, &n)| n > 0 && length(axis) == n)
        };
        self.arguments.len() == arguments.len()
            && self.arguments.iter().zip(arguments).all(|(axes, shape)| fits(axes, shape))
            && fits(&self.result, result)
    }
}

/// One index for each axis, named by its distance from the end.
fn lined_up(shape: &[usize]) -> Vec<Axis> {
    let rank = shape.len();
    let axis = |(i, &length): (usize, &usize)| match length {
        1 => Axis::Product(vec![]),
        _ => Axis::Product(vec![Index::free(rank - i, length)]),
    };
    shape.iter().enumerate().map(axis).collect()
}

/// The axes of a reshape: both shapes cut where either is; `None` where the cuts do not nest.
pub(crate) fn reshaped(from: &[usize], to: &[usize]) -> Option<Axes> {
    let mut indices = vec![];
    let (mut from_cuts, mut to_cuts) = (vec![vec![]; from.len()], vec![vec![]; to.len()]);
    let (mut i, mut j, mut left, mut right) = (0, 0, 1, 1);
    loop {
        while left == 1 && i < from.len() {
            (left, i) = (from[i], i + 1);
        }
        while right == 1 && j < to.len() {
            (right, j) = (to[j], j + 1);
        }
        if left == 1 && right == 1 {
            break;
        }
        let length = left.min(right);
        if length == 0 || left % length != 0 || right % length != 0 {
            return None;
        }
        let index = Index::free(indices.len(), length);
        indices.push(index);
        from_cuts[i - 1].push(index);
        to_cuts[j - 1].push(index);
        (left, right) = (left / length, right / length);
    }
    let products = |cuts: Vec<Vec<Index>>| cuts.into_iter().map(Axis::Product).collect();
    Some(Axes { arguments: vec![products(from_cuts)], result: products(to_cuts) })
}
