//! Permutations that leave a function unchanged: that they do, for every operation and for random programs, and that
//! those which are known are found.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use common::case::Case;
use common::cases::{cases, large_cases};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use relief_autodiff::rule::Linear;
use relief_autodiff::{ConvolutionOptions, Error, GraphBuilder, PermutationGroup, Result, Value, permuted};

fn normal(random: &mut ChaCha8Rng, shape: &[usize]) -> Tensor {
    let entries = (0..shape.iter().product()).map(|_| random.sample::<f64, _>(StandardNormal));
    Tensor::from_vec(entries.collect(), shape, &Device::Cpu).unwrap()
}

fn random_permutations(random: &mut ChaCha8Rng, groups: &[PermutationGroup]) -> Vec<Vec<usize>> {
    let shuffled = |group: &PermutationGroup| {
        let mut units: Vec<usize> = (0..group.size).collect();
        units.shuffle(random);
        units
    };
    groups.iter().map(shuffled).collect()
}

/// The value of a graph at some tensors, and at the same ones permuted; with the groups.
fn before_and_after(
    builder: &GraphBuilder,
    value: &Value,
    tensors: &BTreeMap<String, Tensor>,
    inputs: &[Tensor],
    seed: u64,
) -> (f64, f64, Vec<PermutationGroup>) {
    let groups = builder.permutation_groups(value);
    let graph = Arc::new(builder.finish(value, value, |_| true).unwrap());
    let at = |tensors: &BTreeMap<String, Tensor>| {
        let point: Vec<Tensor> = graph.parameter_names().map(|name| tensors[name].clone()).collect();
        graph.evaluate(&point, &BTreeMap::new(), inputs).unwrap().loss
    };
    let permutations = random_permutations(&mut ChaCha8Rng::seed_from_u64(seed), &groups);
    (at(tensors), at(&permuted(tensors, &groups, &permutations).unwrap()), groups)
}

fn law_of(case: &Case) -> Vec<usize> {
    let (builder, value) = case.mixed();
    let random = &mut ChaCha8Rng::seed_from_u64(9);
    let tensors = builder.named().into_iter().map(|(name, shape)| {
        let tensor = if name == "mixed" { normal(random, &shape) } else { case.parameter(&name) };
        (name, tensor)
    });
    let tensors = tensors.collect();
    let mut sizes = vec![];
    for seed in 0..3 {
        let (before, after, groups) = before_and_after(&builder, &value, &tensors, &case.inputs(), seed);
        let error = (before - after).abs();
        assert!(error <= 1e-10 * (1.0 + before.abs()), "{}: {before} becomes {after}", case.name);
        sizes = groups.iter().map(|group| group.size).collect();
    }
    sizes.sort_unstable();
    sizes
}

/// Outputs multiplied with a parameter, so that an operation's own axes may be permuted as well.
#[test]
fn permuting_the_units_of_any_operation_changes_nothing() {
    let mut found = BTreeMap::new();
    for case in cases().iter().chain(&large_cases()) {
        found.insert(case.name.clone(), law_of(case));
    }
    for (name, sizes) in [
        ("matmul", &[2, 3, 4][..]),
        ("matmul of broadcast batches", &[2, 2, 3, 3, 4]),
        ("matmul of transposed views", &[2, 3, 4]),
        ("matmul with itself", &[3]),
        ("linear on tokens", &[2, 2, 3, 4]),
        // Examples, inputs and outputs; rows and columns are ordered.
        ("conv2d", &[2, 2, 3]),
        // Two groups of two channels, each to two.
        ("conv2d, groups", &[2, 2, 2, 2]),
        ("conv2d, depthwise", &[2, 2, 3]),
        ("conv1d", &[2, 2, 3]),
        ("conv_transpose2d", &[2, 2, 3]),
        ("max_pool2d", &[2, 2]),
        ("adaptive_avg_pool2d, one", &[2, 3]),
        // Rows of a table are named by the indices; indices are inputs.
        ("embedding", &[3]),
        // Queries, keys, width, values.
        ("attention", &[2, 2, 3, 3, 4]),
        ("layer_norm over two axes", &[2, 2, 3]),
        ("group_norm", &[2, 2, 2, 3]),
        ("batch_norm_train", &[2, 2, 3, 3]),
        ("softmax, middle axis", &[2, 3, 4]),
        ("flatten_from", &[2, 2, 3]),
        ("reshape of a transposed view", &[2, 2, 3]),
        ("permute", &[2, 3, 4]),
        ("broadcast_as, scattered axes", &[2, 2, 2, 3]),
        ("cat, axis 0", &[2, 3]),
        ("cat, last axis", &[2, 2, 3]),
        // Two rows, two columns; the single columns and rows around them are pinned.
        ("pad_with_zeros", &[2, 2, 3]),
        ("div, a larger right side", &[2, 3, 4]),
        ("var_keepdim, unbiased", &[2, 3, 4]),
    ] {
        assert_eq!(found[name], sizes, "{name}");
    }
}

/// A random program on parameters of few small shapes.
fn program(random: &mut ChaCha8Rng, builder: &GraphBuilder) -> Result<Value> {
    let lengths = [1, 2, 2, 3, 3, 4, 6];
    let parameter = |random: &mut ChaCha8Rng, shape: &[usize]| {
        // Names are taken up again, for tied weights.
        let nth = random.random_range(0..3);
        builder.parameter(&format!("{nth} {shape:?}"), shape)
    };
    let shape: Vec<usize> =
        (0..random.random_range(1..4)).map(|_| *lengths.choose(random).unwrap()).collect();
    let mut x = parameter(random, &shape)?;
    for _ in 0..random.random_range(3..12) {
        let (shape, rank) = (x.dims().to_vec(), x.rank());
        let axis = random.random_range(0..rank);
        x = match random.random_range(0..14) {
            0 => {
                let mut axes: Vec<usize> = (0..rank).collect();
                axes.shuffle(random);
                x.permute(&axes)?
            }
            1 => {
                // Another shape of the same number of entries.
                let (mut left, mut dims) = (x.elem_count(), vec![]);
                while left > 1 && dims.len() < 3 {
                    let divisors: Vec<usize> = (2..=left).filter(|d| left % d == 0).collect();
                    dims.push(*divisors.choose(random).unwrap());
                    left /= dims[dims.len() - 1];
                }
                dims.push(left);
                x.reshape(&dims)?
            }
            2 if shape[axis] > 1 => {
                let start = random.random_range(0..shape[axis]);
                x.narrow(axis, start, random.random_range(1..=shape[axis] - start))?
            }
            3 => x.pad_with_zeros(axis, random.random_range(0..3), random.random_range(0..3))?,
            4 => Value::cat(&[&x, &x.sin()?], axis)?,
            5 => {
                let mut other = shape.clone();
                other[axis] = *lengths.choose(random).unwrap();
                let other = parameter(random, &other)?;
                if random.random() {
                    Value::cat(&[&x, &other], axis)?
                } else {
                    Value::cat(&[&other, &x], axis)?
                }
            }
            6 => x.add(&parameter(random, &shape)?)?,
            7 => {
                let mut other = shape.clone();
                other[axis] = 1;
                x.mul(&parameter(random, &other)?)?
            }
            8 => {
                let out = *lengths.choose(random).unwrap();
                x.linear(&parameter(random, &[out, shape[rank - 1]])?, None)?
            }
            9 => x.softmax(axis)?,
            10 if rank > 1 => x.mean(&[axis])?,
            11 => x.stride(axis, 2)?,
            // The way in which a residual branch comes back.
            12 => {
                let wide = parameter(random, &[3, shape[rank - 1]])?;
                let narrow = parameter(random, &[shape[rank - 1], 3])?;
                x.add(&x.linear(&wide, None)?.sin()?.linear(&narrow, None)?)?
            }
            // Blocks along the last axis that may be cut elsewhere, or otherwise.
            13 if shape[rank - 1] > 1 => {
                let divisors: Vec<usize> =
                    (1..shape[rank - 1]).filter(|d| shape[rank - 1] % d == 0).collect();
                let blocks = *divisors.choose(random).unwrap();
                x.reshape(&[x.elem_count() / shape[rank - 1] * blocks, shape[rank - 1] / blocks])?
                    .softmax(1)?
                    .reshape(&shape)?
                    .mul(&parameter(random, &shape)?)?
            }
            _ => x.sin()?,
        };
        if x.elem_count() > 600 {
            break;
        }
    }
    x.sin()?.mul(&builder.parameter("mixed", x.dims())?)?.sum_all()
}

#[test]
fn permuting_the_units_of_random_programs_changes_nothing() {
    let (mut with_units, mut moved) = (0, 0);
    for seed in 0..3000 {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let builder = GraphBuilder::new();
        let value = program(random, &builder).unwrap();
        let tensors =
            builder.named().into_iter().map(|(name, shape)| (name, normal(random, &shape))).collect();
        let (before, after, groups) = before_and_after(&builder, &value, &tensors, &[], seed);
        assert!(
            (before - after).abs() <= 1e-9 * (1.0 + before.abs()),
            "program {seed}: {before} becomes {after}"
        );
        with_units += usize::from(!groups.is_empty());
        moved += groups.iter().map(|group| group.size).sum::<usize>();
    }
    assert!(with_units > 2000 && moved > 10_000, "too few units to prove anything: {moved} in {with_units}");
}

fn members(group: &PermutationGroup) -> Vec<(&str, usize)> {
    group.members.iter().map(|member| (member.tensor.as_str(), member.axis)).collect()
}

#[test]
fn channels_that_are_flattened_move_as_blocks() {
    let g = GraphBuilder::new();
    let x = g.input(&[5, 2, 4, 4]);
    let (kernel, bias) = (g.parameter("k", &[3, 2, 3, 3]).unwrap(), g.parameter("b", &[3]).unwrap());
    let hidden = x.conv2d(&kernel, Some(&bias), ConvolutionOptions::default()).unwrap().relu().unwrap();
    let logits = hidden.flatten_from(1).unwrap().linear(&g.parameter("w", &[7, 12]).unwrap(), None).unwrap();
    let groups = g.permutation_groups(&logits);
    assert_eq!(groups.len(), 1);
    assert_eq!(members(&groups[0]), [("k", 0), ("b", 0), ("w", 1)]);
    let blocks = vec![vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9, 10, 11]];
    assert_eq!(groups[0].members[2].entries, blocks);
    assert_eq!(groups[0].members[0].entries, [[0], [1], [2]]);
    let sources = groups[0].members[2].sources(&[2, 0, 1]);
    assert_eq!(sources, [8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7]);
}

/// The shortcut of the first residual networks: zero channels around those that are there.
#[test]
fn channels_that_are_padded_keep_their_own_group() {
    let g = GraphBuilder::new();
    let stem = g.input(&[5, 3]).linear(&g.parameter("stem", &[4, 3]).unwrap(), None).unwrap();
    let main = stem.tanh().unwrap().linear(&g.parameter("main", &[8, 4]).unwrap(), None).unwrap();
    let wide = main.add(&stem.pad_with_zeros(1, 2, 2).unwrap()).unwrap();
    let logits = wide.linear(&g.parameter("head", &[6, 8]).unwrap(), None).unwrap();
    let groups = g.permutation_groups(&logits);
    assert_eq!(groups.iter().map(|group| group.size).collect::<Vec<_>>(), [4, 4]);
    assert_eq!(members(&groups[0]), [("stem", 0), ("main", 0), ("main", 1), ("head", 1)]);
    assert_eq!(groups[0].members[1].entries, [[2], [3], [4], [5]]);
    // New channels before and after are alike.
    assert_eq!(members(&groups[1]), [("main", 0), ("head", 1)]);
    assert_eq!(groups[1].members[0].entries, [[0], [1], [6], [7]]);
}

#[test]
fn units_whose_order_matters_keep_it() {
    let g = GraphBuilder::new();
    let x = g.input(&[5, 4]);
    let hidden = x.linear(&g.parameter("w", &[6, 4]).unwrap(), None).unwrap();
    assert!(g.permutation_groups(&hidden).is_empty(), "axes of inputs and outputs");
    // Every unit beside the next one.
    let shifted = hidden.narrow(1, 1, 5).unwrap().mul(&hidden.narrow(1, 0, 5).unwrap()).unwrap();
    let logits = shifted.linear(&g.parameter("v", &[3, 5]).unwrap(), None).unwrap();
    assert!(g.permutation_groups(&logits).is_empty());
    // Numbers that belong to the architecture.
    let ramp = g.constant(&Tensor::arange(0f64, 6.0, &Device::Cpu).unwrap()).unwrap();
    let ones = g.constant(&Tensor::ones(6, DType::F64, &Device::Cpu).unwrap()).unwrap();
    let head = g.parameter("h", &[3, 6]).unwrap();
    let sizes = |constant: &Value| {
        let logits = hidden.tanh().unwrap().mul(constant).unwrap().linear(&head, None).unwrap();
        g.permutation_groups(&logits).iter().map(|group| group.size).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&ones), [6]);
    assert!(sizes(&ramp).is_empty());
}

/// Two threes against three twos: there is no permutation of six units that keeps both.
#[test]
fn blocks_that_do_not_nest_are_pinned() {
    let g = GraphBuilder::new();
    let blocks = |name: &str, shape: [usize; 2]| {
        let x = g.parameter(name, &[6]).unwrap();
        x.reshape(&shape).unwrap().softmax(1).unwrap().reshape(&[6]).unwrap()
    };
    let [p, q, r] = [blocks("p", [2, 3]), blocks("q", [3, 2]), blocks("r", [2, 3])];
    let sizes = |groups: Vec<PermutationGroup>| groups.iter().map(|group| group.size).collect::<Vec<_>>();
    assert_eq!(sizes(g.permutation_groups(&p.mul(&r).unwrap().sum_all().unwrap())), [2, 3]);
    assert!(g.permutation_groups(&p.mul(&q).unwrap().sum_all().unwrap()).is_empty());
}

/// An operation from elsewhere that says nothing of its axes: the sum of neighbours.
#[derive(Debug)]
struct Running;

impl Linear for Running {
    fn name(&self) -> &'static str {
        "running"
    }
    fn apply(&self, arguments: &[Option<&Tensor>], _: Option<&Tensor>) -> Result<Tensor> {
        Ok(arguments[0].unwrap().contiguous()?.cumsum(1)?)
    }
    fn adjoint(&self, _: usize, _: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        unreachable!("nothing is differentiated here")
    }
}

#[test]
fn an_operation_that_says_nothing_pins_what_it_meets() {
    let g = GraphBuilder::new();
    let layer =
        |x: &Value, name: &str| x.linear(&g.parameter(name, &[6, 6]).unwrap(), None).unwrap().tanh().unwrap();
    let first = layer(&g.input(&[5, 6]), "a");
    let second = layer(&first, "b");
    let running = g.linear(Running, &[&second], &[5, 6]);
    let third = layer(&running, "c");
    let logits = third.linear(&g.parameter("d", &[2, 6]).unwrap(), None).unwrap();
    let groups = g.permutation_groups(&logits);
    assert_eq!(groups.iter().map(members).collect::<Vec<_>>(), [[("a", 0), ("b", 1)], [("c", 0), ("d", 1)]]);
}

#[test]
fn what_is_no_permutation_is_refused() {
    let g = GraphBuilder::new();
    let hidden = g.input(&[5, 2]).linear(&g.parameter("a", &[3, 2]).unwrap(), None).unwrap().tanh().unwrap();
    let logits = hidden.linear(&g.parameter("b", &[4, 3]).unwrap(), None).unwrap();
    let groups = g.permutation_groups(&logits);
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let tensors: BTreeMap<_, _> =
        [("a", zeros(&[3, 2])), ("b", zeros(&[4, 3]))].map(|(n, t)| (n.to_string(), t)).into();
    let message = |tensors: &BTreeMap<String, Tensor>, permutations: &[Vec<usize>]| {
        permuted(tensors, &groups, permutations).unwrap_err().to_string()
    };
    assert!(permuted(&tensors, &groups, &[vec![2, 0, 1]]).is_ok());
    for wrong in [vec![0, 1], vec![0, 1, 1], vec![0, 1, 3], vec![0, 1, 2, 2], vec![0, 1, 2, 3]] {
        assert!(message(&tensors, &[wrong]).contains("every number below 3 once"));
    }
    assert!(message(&tensors, &[]).contains("as many permutations, not 0"));
    let mut less = tensors.clone();
    less.remove("b");
    assert!(message(&less, &[vec![0, 1, 2]]).contains("`b`"));
    less.insert("b".into(), zeros(&[4]));
    assert!(matches!(permuted(&less, &groups, &[vec![0, 1, 2]]), Err(Error::Mismatch { .. })));
}
