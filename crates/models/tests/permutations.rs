//! Which hidden units of the architectures can be permuted, and that their functions do not change.

#[path = "common/mod.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor};
use common::{cases, logits, relative_error};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relief_autodiff::{PermutationGroup, permuted};
use relief_models::architecture::{Architecture, BatchNormMode, Role};

fn parse(spec: &str) -> Architecture {
    Architecture::parse(spec).unwrap()
}

fn random_permutations(groups: &[PermutationGroup], seed: u64) -> Vec<Vec<usize>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let shuffled = |group: &PermutationGroup| {
        let mut units: Vec<usize> = (0..group.size).collect();
        units.shuffle(&mut random);
        units
    };
    groups.iter().map(shuffled).collect()
}

/// Holds the logits of a network against those of the same network with its units permuted, in both modes of batch norm.
fn assert_unchanged(
    name: &str,
    model: &Architecture,
    tensors: &BTreeMap<String, Tensor>,
    input: &Tensor,
) -> usize {
    let groups = model.permutation_groups(&input.dims()[1..]).unwrap();
    for seed in 0..3 {
        let permutations = random_permutations(&groups, seed);
        let moved = permuted(tensors, &groups, &permutations).unwrap();
        for mode in [BatchNormMode::Eval, BatchNormMode::Batch] {
            let before = logits(model, tensors, input, mode).0;
            let error = relative_error(&logits(model, &moved, input, mode).0, &before);
            assert!(error < 1e-12, "{name}: logits change by {error:e}");
        }
    }
    groups.iter().map(|group| group.size).sum()
}

/// The networks whose logits are held against PyTorch's, with their tensors.
#[test]
fn permuting_the_units_of_an_architecture_changes_nothing() {
    for (spec, case) in cases() {
        let Ok(model) = Architecture::parse(&spec) else { continue };
        let model = if spec.starts_with("mlp") {
            model.infer(&case.shapes()).unwrap()
        } else if spec.starts_with("cnn") && case.input.dims()[1] == 1 {
            parse(&format!("{spec},classes=4"))
        } else {
            model
        };
        let moved = assert_unchanged(&spec, &model, &case.tensors, &case.input);
        assert!(moved > 0, "{spec}: no units are found");
        let groups = model.permutation_groups(&case.input.dims()[1..]).unwrap();
        let tensors = permuted(&case.tensors, &groups, &random_permutations(&groups, 7)).unwrap();
        let expected = [(BatchNormMode::Eval, Some(&case.eval)), (BatchNormMode::Batch, case.train.as_ref())];
        for (mode, expected) in expected.into_iter().filter_map(|(mode, expected)| Some((mode, expected?))) {
            let error = relative_error(&logits(&model, &tensors, &case.input, mode).0, expected);
            assert!(error < 1e-12, "{spec}: {error:e} from PyTorch's logits");
        }
    }
}

fn random_network(model: &Architecture, example: &[usize]) -> (BTreeMap<String, Tensor>, Tensor) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut uniform = |shape: &[usize]| {
        let entries: Vec<f64> = (0..shape.iter().product()).map(|_| random.random_range(0.1..1.1)).collect();
        Tensor::from_vec(entries, shape, &Device::Cpu).unwrap()
    };
    // Every tensor has entries of its own, statistics of norms too; weights are centred.
    let tensor = |(name, shape, _): (String, Vec<usize>, Role)| {
        let fan_in = shape.iter().skip(1).product::<usize>() as f64;
        let entries = uniform(&shape);
        let tensor = if shape.len() > 1 {
            ((entries - 0.6).unwrap() * (3.0 / fan_in.sqrt())).unwrap()
        } else {
            entries
        };
        (name, tensor)
    };
    let tensors = model.wanted(example).unwrap().into_iter().map(tensor).collect();
    let batch: Vec<usize> = [3].iter().chain(example).copied().collect();
    let input = uniform(&batch);
    (tensors, input)
}

/// Wider than the fixtures, so that blocks of one and groups of two do not hide a mistake.
#[test]
fn permuting_the_units_of_wider_networks_changes_nothing() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let (mnist, fashion) = (
        format!("{root}/examples/models/mnist-cnn.toml"),
        format!("{root}/tests/fixtures/fashion-cnn-bn.toml"),
    );
    for (spec, example, units) in [
        ("mlp:widths=12-20-16-10", &[12][..], 36),
        ("cnn:channels=5-6-7,batch_norm=true,head=flatten,classes=4", &[3, 16, 16], 18),
        // Three blocks a stage with channels of their own; one stream of 8 channels, which 8 and then 16 new ones join.
        ("resnet20:width=8", &[3, 16, 16], 3 * (8 + 16 + 32) + 32),
        ("resnet20:width=8,shortcut=B", &[3, 16, 16], 4 * (8 + 16 + 32)),
        ("resnet18:width=4,stem=cifar,classes=10", &[3, 16, 16], 3 * 4 * (1 + 2 + 4 + 8)),
        ("vgg11:width=4,classes=10", &[3, 32, 32], 4 * (1 + 2 + 4 + 4 + 8 * 4) + 2 * 256),
        (&mnist, &[1, 28, 28], 32 + 64 + 128),
        (&fashion, &[1, 28, 28], 12),
    ] {
        let model = parse(spec);
        let (tensors, input) = random_network(&model, example);
        assert_eq!(assert_unchanged(spec, &model, &tensors, &input), units, "{spec}");
    }
}

fn tensors_of(group: &PermutationGroup) -> BTreeSet<(&str, usize)> {
    group.members.iter().map(|member| (member.tensor.as_str(), member.axis)).collect()
}

fn group_with<'a>(groups: &'a [PermutationGroup], tensor: &str, axis: usize) -> &'a PermutationGroup {
    groups.iter().find(|group| tensors_of(group).contains(&(tensor, axis))).unwrap()
}

/// As written down by hand for perceptrons, and for residual networks in the way of "Git Re-Basin".
#[test]
fn groups_are_those_of_the_literature() {
    let groups = parse("mlp:widths=64-20-16-10").permutation_groups(&[64]).unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(tensors_of(&groups[0]), [("0.weight", 0), ("0.bias", 0), ("2.weight", 1)].into());
    assert_eq!(tensors_of(&groups[1]), [("2.weight", 0), ("2.bias", 0), ("4.weight", 1)].into());
    assert_eq!([groups[0].size, groups[1].size], [20, 16]);

    let groups = parse("resnet18:stem=cifar,classes=10").permutation_groups(&[3, 32, 32]).unwrap();
    // Four streams, and the inner channels of eight blocks.
    assert_eq!(groups.len(), 12);
    let inner = group_with(&groups, "layer3.1.conv1.weight", 0);
    let norm = |layer: &'static str| {
        ["weight", "bias", "running_mean", "running_var"].map(|part| (format!("{layer}.{part}"), 0))
    };
    let mut expected: BTreeSet<(String, usize)> = norm("layer3.1.bn1").into();
    expected.extend([("layer3.1.conv1.weight".into(), 0), ("layer3.1.conv2.weight".into(), 1)]);
    let found = tensors_of(inner).into_iter().map(|(name, axis)| (name.to_string(), axis)).collect();
    assert_eq!(expected, found);

    let stream = tensors_of(group_with(&groups, "layer2.0.conv2.weight", 0));
    let reads = ["layer2.1.conv1.weight", "layer3.0.conv1.weight", "layer3.0.downsample.0.weight"];
    let writes = ["layer2.0.conv2.weight", "layer2.0.downsample.0.weight", "layer2.1.conv2.weight"];
    assert!(reads.iter().all(|name| stream.contains(&(name, 1))));
    assert!(writes.iter().all(|name| stream.contains(&(name, 0))));
    assert_eq!(stream.len(), 3 + 3 + 3 * 4, "and three norms of four tensors");
}

/// A transformer's stream and inner units; heads, and what lies at one place in all heads, in queries, keys and values.
#[test]
fn heads_are_permuted_with_their_queries_keys_and_values() {
    let model = parse("vit:width=12,depth=1,heads=3,patch=4,image=8,classes=5");
    let groups = model.permutation_groups(&[3, 8, 8]).unwrap();
    let mut sizes: Vec<usize> = groups.iter().map(|group| group.size).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [3, 4, 12, 48]);
    let heads = groups.iter().find(|group| group.size == 3).unwrap();
    assert_eq!(
        tensors_of(heads),
        [("blocks.0.attn.qkv.weight", 0), ("blocks.0.attn.qkv.bias", 0), ("blocks.0.attn.proj.weight", 1)]
            .into()
    );
    let rows = &heads.members.iter().find(|member| member.tensor.ends_with("qkv.weight")).unwrap().entries;
    assert_eq!(rows[1], [4, 5, 6, 7, 16, 17, 18, 19, 28, 29, 30, 31]);
    let (tensors, input) = random_network(&model, &[3, 8, 8]);
    assert_unchanged("vit", &model, &tensors, &input);
}

/// Layers that built-in models lack: groups of channels, transposed convolutions, and a residual branch whose weight has
/// both axes on the stream.
const FILE: &str = r#"
input = [2, 6, 6]

[[layers]]
type = "conv2d"
name = "stem"
out_channels = 6
kernel_size = 3
padding = 1

[[layers]]
type = "group_norm"
name = "norm"
num_groups = 3

[[layers]]
type = "residual"

[[layers.layers]]
type = "conv2d"
name = "branch"
out_channels = 6
kernel_size = 3
padding = 1

[[layers.layers]]
type = "relu"

[[layers]]
type = "conv_transpose2d"
name = "up"
out_channels = 8
kernel_size = 2
stride = 2

[[layers]]
type = "tanh"

[[layers]]
type = "conv2d"
name = "depthwise"
out_channels = 8
kernel_size = 3
groups = 8

[[layers]]
type = "relu"

[[layers]]
type = "flatten"

[[layers]]
type = "linear"
name = "head"
out_features = 5
"#;

#[test]
fn model_files_tell_their_units_too() {
    let model = Architecture::from_model_file("file.toml", FILE).unwrap();
    let groups = model.permutation_groups(&[2, 6, 6]).unwrap();
    // Groups of two channels as wholes, and the two within all of them; channels of the transposed convolution.
    assert_eq!(groups.iter().map(|group| group.size).collect::<Vec<_>>(), [3, 2, 8]);
    let stream = tensors_of(&groups[0]);
    assert!(stream.contains(&("branch.weight", 0)) && stream.contains(&("branch.weight", 1)));
    assert!(stream.contains(&("norm.bias", 0)) && stream.contains(&("up.weight", 0)));
    assert_eq!(
        tensors_of(&groups[2]),
        [
            ("up.weight", 1),
            ("up.bias", 0),
            ("depthwise.weight", 0),
            ("depthwise.bias", 0),
            ("head.weight", 1)
        ]
        .into()
    );
    let (tensors, input) = random_network(&model, &[2, 6, 6]);
    assert_unchanged("model file", &model, &tensors, &input);
}
