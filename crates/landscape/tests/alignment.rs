//! Assignments against brute force, and matching against permutations that are known.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use relief_autodiff::{PermutationGroup, PermutedAxis, permuted};
use relief_hessian::{Control, Error, Parameters};
use relief_landscape::{Alignment, WeightMatching, best_assignment, between};
use relief_models::architecture::{Architecture, Role};

fn total(score: &[f64], n: usize, permutation: &[usize]) -> f64 {
    permutation.iter().enumerate().map(|(i, &j)| score[i * n + j]).sum()
}

/// The best total over all permutations.
fn brute_force(score: &[f64], n: usize) -> f64 {
    fn extend(score: &[f64], n: usize, row: usize, taken: &mut Vec<bool>) -> f64 {
        if row == n {
            return 0.0;
        }
        let mut best = f64::NEG_INFINITY;
        for column in 0..n {
            if !taken[column] {
                taken[column] = true;
                best = best.max(score[row * n + column] + extend(score, n, row + 1, taken));
                taken[column] = false;
            }
        }
        best
    }
    extend(score, n, 0, &mut vec![false; n])
}

fn is_permutation(permutation: &[usize], n: usize) -> bool {
    let mut sorted = permutation.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..n)
}

fn square(entry: impl Strategy<Value = f64> + 'static) -> impl Strategy<Value = (usize, Vec<f64>)> {
    let entry = entry.boxed();
    (0..=7usize).prop_flat_map(move |n| (Just(n), proptest::collection::vec(entry.clone(), n * n)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn an_assignment_is_the_best_of_all((n, score) in square(-5.0..5.0f64)) {
        let found = best_assignment(&score, n).unwrap();
        prop_assert!(is_permutation(&found, n));
        prop_assert!((total(&score, n, &found) - brute_force(&score, n)).abs() < 1e-12);
    }

    /// Few different numbers, so that many assignments are equally good; sums of these are exact.
    #[test]
    fn ties_are_no_trouble((n, score) in square((-2..=1i32).prop_map(f64::from))) {
        let found = best_assignment(&score, n).unwrap();
        prop_assert!(is_permutation(&found, n));
        prop_assert!((total(&score, n, &found) - brute_force(&score, n)).abs() < 1e-12);
    }

    /// Numbers of very different size.
    #[test]
    fn sizes_are_no_trouble((n, score) in square((-1.0..1.0f64, -12..12i32).prop_map(|(x, e)| x * 10f64.powi(e)))) {
        let found = best_assignment(&score, n).unwrap();
        let largest = score.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        prop_assert!((total(&score, n, &found) - brute_force(&score, n)).abs() <= 1e-14 * largest);
    }
}

#[test]
fn equal_scores_give_the_identity_and_bad_ones_a_reason() {
    assert_eq!(best_assignment(&[3.0; 25], 5).unwrap(), [0, 1, 2, 3, 4]);
    assert!(best_assignment(&[], 0).unwrap().is_empty());
    assert!(matches!(best_assignment(&[1.0; 5], 2), Err(Error::Input(_))));
    let problem = best_assignment(&[1.0, 2.0, f64::NAN, 0.0], 2).unwrap_err().to_string();
    assert!(problem.contains("units 1 and 0 is NaN"), "{problem}");
    // Sums of these overflow; there is an answer all the same.
    assert!(is_permutation(&best_assignment(&[-1e308, 1e308, 1e308, -1e308], 2).unwrap(), 2));
}

/// 512 units: weak duality bounds every assignment by the sum of the rows' best scores, which a planted one reaches.
#[test]
fn a_large_assignment_is_found_where_it_is_planted() {
    let n = 512;
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut planted: Vec<usize> = (0..n).collect();
    planted.shuffle(&mut random);
    let mut score: Vec<f64> = (0..n * n).map(|_| random.random_range(-1.0..1.0)).collect();
    planted.iter().enumerate().for_each(|(i, &j)| score[i * n + j] = 1.5);
    assert_eq!(best_assignment(&score, n).unwrap(), planted);
    // A price on rows and columns changes no assignment's rank.
    let price = |i: usize| (i as f64 * 0.37).sin() * 40.0;
    (0..n * n).for_each(|k| score[k] += price(k / n) + price(3 * (k % n)));
    assert_eq!(best_assignment(&score, n).unwrap(), planted);
}

/// A random network, the same with its units permuted, and what was permuted.
struct Planted {
    a: BTreeMap<String, Tensor>,
    b: BTreeMap<String, Tensor>,
    groups: Vec<PermutationGroup>,
    trainable: Vec<String>,
}

impl Planted {
    fn new(spec: &str, example: &[usize], noise: f64) -> Self {
        let model = Architecture::parse(spec).unwrap();
        let groups = model.permutation_groups(example).unwrap();
        let wanted = model.wanted(example).unwrap();
        let trainable = wanted.into_iter().filter(|w| w.2 == Role::Parameter).map(|w| w.0).collect();
        let mut random = ChaCha8Rng::seed_from_u64(8);
        let start = model.random_parameters(example, 1, DType::F64).unwrap();
        // Norms start at 1 and 0, which tells no channels apart, as after training.
        let a: BTreeMap<String, Tensor> =
            start.into_iter().map(|(name, t)| (name, jittered(&t, 0.05, &mut random))).collect();
        let permutations: Vec<Vec<usize>> = groups
            .iter()
            .map(|group| {
                let mut units: Vec<usize> = (0..group.size).collect();
                units.shuffle(&mut random);
                units
            })
            .collect();
        let b = permuted(&a, &groups, &permutations).unwrap();
        let b = b.into_iter().map(|(name, t)| (name, jittered(&t, noise, &mut random))).collect();
        Self { a, b, groups, trainable }
    }

    fn points(&self) -> [Parameters; 2] {
        [&self.a, &self.b].map(|tensors| {
            let named = self.trainable.iter().map(|name| (name.clone(), tensors[name].clone()));
            Parameters::new(named).unwrap()
        })
    }

    fn align(&self, matching: WeightMatching) -> Alignment {
        let [a, b] = self.points();
        matching.run(&a, &b, &self.groups, &mut |_| Control::Continue).unwrap()
    }

    /// All of b's tensors, running statistics too, with its units permuted as was found.
    fn aligned(&self, found: &Alignment) -> BTreeMap<String, Tensor> {
        permuted(&self.b, &self.groups, &found.permutations).unwrap()
    }
}

/// Every entry moved by a share of its tensor's size.
fn jittered(tensor: &Tensor, share: f64, random: &mut ChaCha8Rng) -> Tensor {
    let entries = tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let size = share * (entries.iter().map(|x| x * x).sum::<f64>() / entries.len() as f64).sqrt().max(0.1);
    let moved = entries.iter().map(|x| x + size * random.sample::<f64, _>(StandardNormal)).collect();
    Tensor::from_vec(moved, tensor.dims(), &Device::Cpu).unwrap()
}

fn entries(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs(), "found {found}, expected {expected}");
}

/// What an alignment says of itself, computed anew from the permuted tensors.
fn assert_consistent(planted: &Planted, found: &Alignment) {
    let aligned = planted.aligned(found);
    let pairs = || {
        planted.trainable.iter().flat_map(|n| entries(&planted.a[n]).into_iter().zip(entries(&aligned[n])))
    };
    assert_close(found.similarity_after, pairs().map(|(a, b)| a * b).sum());
    let distance = pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    assert!((found.distance_after - distance).abs() <= 1e-12 * found.distance_before);
    assert!(found.similarity_after >= found.similarity_before);
    assert_eq!(found.history.len(), found.sweeps + 1);
    let slack = 1e-13 * found.history[found.sweeps].abs();
    assert!(found.history.windows(2).all(|pair| pair[1] >= pair[0] - slack), "{:?} falls", found.history);
}

const NETWORKS: [(&str, &[usize]); 6] = [
    ("mlp:widths=20-48-32-32-10", &[20]),
    ("cnn:channels=8-12-16,batch_norm=true,classes=5", &[3, 16, 16]),
    ("resnet20:width=8", &[3, 16, 16]),
    ("resnet20:width=8,shortcut=B", &[3, 16, 16]),
    ("vgg11_bn:width=4,head=small,classes=10", &[3, 32, 32]),
    ("vit:width=48,depth=4,heads=1,patch=4,image=8,classes=5", &[3, 8, 8]),
];

#[test]
fn planted_permutations_are_found_to_the_last_bit() {
    for (spec, example) in NETWORKS {
        let planted = Planted::new(spec, example, 0.0);
        let found = planted.align(WeightMatching::default());
        assert!(found.converged && found.distance_before > 1.0, "{spec}");
        assert!(
            found.distance_after == 0.0,
            "{spec}: {} of {} is left",
            found.distance_after,
            found.distance_before
        );
        assert_consistent(&planted, &found);
        for (name, tensor) in planted.aligned(&found) {
            assert_eq!(entries(&tensor), entries(&planted.a[&name]), "{spec}: `{name}`");
        }
    }
}

/// Noise of a fifth of the weights' size moves no unit past another.
#[test]
fn planted_permutations_are_found_under_noise() {
    for (spec, example) in NETWORKS {
        let [exact, noisy] = [0.0, 0.2].map(|noise| Planted::new(spec, example, noise));
        let found = noisy.align(WeightMatching::default());
        assert_consistent(&noisy, &found);
        assert!(found.permutations == exact.align(WeightMatching::default()).permutations, "{spec}");
        assert!(found.distance_after > 0.0 && found.distance_after < 0.8 * found.distance_before, "{spec}");
    }
}

/// Where most tensors have units of two permuted groups, a start from where the units are is misled by most orders.
#[test]
fn a_start_from_the_inputs_finds_what_the_other_misses() {
    let orders = 12;
    let matching = WeightMatching { searches: orders, ..WeightMatching::default() };
    for ((spec, example), noise) in [(NETWORKS[5], 0.0), (("resnet20:width=16", &[3, 16, 16][..]), 1.0)] {
        let planted = Planted::new(spec, example, noise);
        let [a, b] = planted.points();
        let mut last = vec![0.0; 2 * orders];
        let found = matching.run(&a, &b, &planted.groups, &mut |sweep| {
            last[sweep.search] = sweep.similarity;
            Control::Continue
        });
        let best = found.unwrap().similarity_after;
        let reach = |first: usize| last.iter().skip(first).step_by(2).filter(|s| **s > 0.99 * best).count();
        assert!(reach(0) < orders, "{spec}: all {orders} orders from the identity find it");
        assert_eq!(reach(1), orders, "{spec}: {last:?}");
    }
}

fn all_permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let shorter = all_permutations(n - 1);
    shorter.iter().flat_map(|p| (0..n).map(|i| [&p[..i], &[n - 1], &p[i..]].concat())).collect()
}

/// Two unrelated networks: no permutation of one group alone is better than the one found, by brute force.
#[test]
fn a_match_is_a_local_optimum() {
    let model = Architecture::parse("mlp:widths=3-5-4-2").unwrap();
    let groups = model.permutation_groups(&[3]).unwrap();
    for seed in 0..20 {
        let [a, b] =
            [2 * seed, 2 * seed + 1].map(|seed| model.random_parameters(&[3], seed, DType::F64).unwrap());
        let trainable = a.keys().cloned().collect();
        let planted = Planted { a, b, groups: groups.clone(), trainable };
        let found = planted.align(WeightMatching { seed, ..WeightMatching::default() });
        assert!(found.converged);
        assert_consistent(&planted, &found);
        for (nth, group) in groups.iter().enumerate() {
            for permutation in all_permutations(group.size) {
                let mut other = found.clone();
                other.permutations[nth] = permutation;
                let moved = planted.aligned(&other);
                let similarity: f64 = planted
                    .a
                    .iter()
                    .flat_map(|(n, a)| entries(a).into_iter().zip(entries(&moved[n])))
                    .map(|(a, b)| a * b)
                    .sum();
                assert!(similarity <= found.similarity_after + 1e-12);
            }
        }
    }
}

fn vector(name: &str, shape: &[usize], random: &mut ChaCha8Rng) -> (String, Tensor) {
    let entries = (0..shape.iter().product()).map(|_| random.sample::<f64, _>(StandardNormal)).collect();
    (name.into(), Tensor::from_vec(entries, shape, &Device::Cpu).unwrap())
}

fn member(tensor: &str, axis: usize, size: usize) -> PermutedAxis {
    let entries = (0..size).map(|i| vec![i]).collect();
    PermutedAxis { tensor: tensor.into(), axis, length: size, entries }
}

/// A weight from a residual stream to itself has both axes in one group, which makes the similarity quadratic in it: what
/// the assignment proposes may be worse, and must not be taken then.
#[test]
fn similarity_never_falls_where_a_tensor_has_two_axes_of_one_group() {
    let group =
        PermutationGroup { size: 6, members: vec![member("w", 0, 6), member("w", 1, 6), member("b", 0, 6)] };
    let mut better = 0;
    for seed in 0..40 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut point = || [vector("w", &[6, 6], &mut random), vector("b", &[6], &mut random)];
        let [a, b] = [point(), point()].map(BTreeMap::from);
        let trainable = a.keys().cloned().collect();
        let planted = Planted { a, b, groups: vec![group.clone()], trainable };
        let found = planted.align(WeightMatching::default());
        assert_consistent(&planted, &found);
        better += usize::from(found.similarity_after > found.similarity_before);
    }
    assert!(better > 30, "only {better} of 40 are better");
}

#[test]
fn digits_do_not_depend_on_threads_and_do_on_the_seed() {
    let planted = Planted::new(NETWORKS[3].0, NETWORKS[3].1, 0.5);
    let with = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| planted.align(WeightMatching { seed, ..WeightMatching::default() }))
    };
    let one = with(1, 0);
    let bits = |found: &Alignment| found.history.iter().map(|s| s.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&one), bits(&with(3, 0)));
    assert_eq!(one, with(3, 0));
    assert_ne!(bits(&one)[1], bits(&with(1, 1))[1], "another order");
}

#[test]
fn a_search_stops_when_told_to() {
    let planted = Planted::new(NETWORKS[0].0, NETWORKS[0].1, 0.0);
    let [a, b] = planted.points();
    let mut sweeps = 0;
    let stopped = WeightMatching::default().run(&a, &b, &planted.groups, &mut |_| {
        sweeps += 1;
        Control::Interrupt
    });
    let stopped = stopped.unwrap();
    assert_eq!((sweeps, stopped.sweeps, stopped.converged), (1, 1, false));
    assert!(stopped.similarity_after > stopped.similarity_before);
    assert_consistent(&planted, &stopped);
    let none = planted.align(WeightMatching { sweeps: 0, ..WeightMatching::default() });
    assert!(none.sweeps == 0 && !none.converged);
}

#[test]
fn networks_that_cannot_be_matched_are_refused() {
    let planted = Planted::new(NETWORKS[0].0, NETWORKS[0].1, 0.0);
    let [a, b] = planted.points();
    let refuse = |b: &Parameters, groups: &[PermutationGroup], words: &str| {
        let found = WeightMatching::default().run(&a, b, groups, &mut |_| Control::Continue);
        let message = found.unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    let other = Planted::new("mlp:widths=20-48-32-31-10", &[20], 0.0);
    refuse(&other.points()[1], &planted.groups, "not of one network");
    refuse(&b, &other.groups, "does not fit axis");
    let mut x = b.to_vec().unwrap();
    x[7] = f64::NAN;
    refuse(&b.at(&x).unwrap(), &planted.groups, "an entry of `0.bias` is NaN");
    let mut overlong = planted.groups.clone();
    overlong[0].members[0].entries[3] = vec![48];
    refuse(&b, &overlong, "does not fit axis");
    let mut ragged = planted.groups.clone();
    ragged[0].members[0].entries[3] = vec![3, 4];
    refuse(&b, &ragged, "does not fit axis");
    // Nothing to permute is no mistake.
    let same = WeightMatching::default().run(&a, &b, &[], &mut |_| Control::Continue).unwrap();
    assert!(same.converged && same.permutations.is_empty());
    assert_eq!(same.similarity_before.to_bits(), same.similarity_after.to_bits());
    let difference = between(&a, &b).unwrap().iter().map(|d| d * d).sum::<f64>().sqrt();
    assert_close(same.distance_after, difference);
}
