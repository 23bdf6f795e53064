//! Directions, slices and scans against closed forms.

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use relief_hessian::{Control, Parameters};
use relief_landscape::{
    Barrier, Measures, Normalisation, Points, RandomDirection, Scan, Slice, Vectors, between, cosine,
    orthogonalised, scan,
};

fn whole(slice: &Slice, measures: &Measures<'_>) -> Scan {
    let mut found = Scan::new(slice);
    scan(&mut found, slice.count(), measures, &mut |_| Control::Continue).unwrap();
    found
}

fn network(scale: f64) -> Parameters {
    let tensor = |shape: &[usize], start: f64| {
        let n: usize = shape.iter().product();
        let values: Vec<f64> = (0..n).map(|i| scale * (start + (i as f64 * 0.7).sin())).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    Parameters::new([
        ("conv.weight".into(), tensor(&[6, 3, 3, 3], 0.1)),
        ("conv.bias".into(), tensor(&[6], 0.5)),
        ("linear.weight".into(), tensor(&[40, 50], 0.02)),
        ("scalar".into(), tensor(&[], 2.0)),
    ])
    .unwrap()
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn part<'a>(at: &Parameters, vector: &'a [f64], name: &str) -> &'a [f64] {
    let range = at.ranges().into_iter().find(|(n, _)| *n == name).unwrap().1;
    &vector[range]
}

#[test]
fn filters_have_the_norm_of_the_networks_filters() {
    let at = network(1.0);
    let weights = at.to_vec().unwrap();
    let direction = RandomDirection { seed: 3, ..RandomDirection::default() }.draw(&at).unwrap();
    for (name, filter) in [("conv.weight", 27), ("linear.weight", 50)] {
        let (d, w) = (part(&at, &direction, name), part(&at, &weights, name));
        for (d, w) in d.chunks(filter).zip(w.chunks(filter)) {
            assert!((norm(d) / norm(w) - 1.0).abs() < 1e-12);
        }
    }
    assert!(part(&at, &direction, "conv.bias").iter().all(|d| *d == 0.0), "biases stay");
    assert_eq!(part(&at, &direction, "scalar"), [0.0]);
}

#[test]
fn layers_and_vectors_follow_what_is_asked() {
    let at = network(1.0);
    let weights = at.to_vec().unwrap();
    let layer =
        RandomDirection { normalisation: Normalisation::Layer, vectors: Vectors::Move, ..Default::default() };
    let direction = layer.draw(&at).unwrap();
    for name in ["conv.weight", "conv.bias", "linear.weight", "scalar"] {
        let ratio = norm(part(&at, &direction, name)) / norm(part(&at, &weights, name));
        assert!((ratio - 1.0).abs() < 1e-12, "{name}");
    }
    let weight = RandomDirection { normalisation: Normalisation::Weight, ..RandomDirection::default() };
    let raw = RandomDirection { normalisation: Normalisation::None, ..weight };
    let (scaled, raw) = (weight.draw(&at).unwrap(), raw.draw(&at).unwrap());
    let product =
        |name: &str| part(&at, &raw, name).iter().zip(part(&at, &weights, name)).map(|(d, w)| d * w);
    assert!(product("linear.weight").eq(part(&at, &scaled, "linear.weight").iter().copied()));
    let whole =
        Parameters::new([("bias".to_string(), Tensor::ones(5, DType::F64, &Device::Cpu).unwrap())]).unwrap();
    let problem = RandomDirection::default().draw(&whole).unwrap_err().to_string();
    assert!(problem.contains("biases"), "{problem}");
}

#[test]
fn raw_directions_are_gaussian_and_nearly_orthogonal() {
    let tensor = Tensor::ones((200, 500), DType::F64, &Device::Cpu).unwrap();
    let at = Parameters::new([("w".to_string(), tensor)]).unwrap();
    let raw =
        |nth| RandomDirection { normalisation: Normalisation::None, seed: 1, nth, ..Default::default() };
    let (a, b) = (raw(0).draw(&at).unwrap(), raw(1).draw(&at).unwrap());
    let n = a.len() as f64;
    let moment = |k: i32| a.iter().map(|x| x.powi(k)).sum::<f64>() / n;
    // Standard errors of the moments are sqrt(1, 2, 96 / n).
    assert!(moment(1).abs() < 5.0 / n.sqrt());
    assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
    assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "not uniform, whose fourth moment is 1.8");
    assert!(cosine(&a, &b).abs() < 5.0 / n.sqrt());
    let c = orthogonalised(&b, &a);
    assert!(cosine(&a, &c).abs() < 1e-12 && (norm(&c) / norm(&b) - 1.0).abs() < 1e-12);
    assert_eq!(a, raw(0).draw(&at).unwrap(), "the same seed, the same digits");
}

proptest! {
    /// Nearly parallel directions are where a careless projection fails.
    #[test]
    fn orthogonal_is_orthogonal(angle in 1e-7..1.5f64, n in 2..60usize) {
        let a: Vec<f64> = (0..n).map(|i| (i as f64 + 1.0).sin() + 1.1).collect();
        let other: Vec<f64> = (0..n).map(|i| (3.0 * i as f64).cos()).collect();
        let b: Vec<f64> = a.iter().zip(&other).map(|(a, o)| a + angle * o).collect();
        prop_assert!(cosine(&a, &orthogonalised(&b, &a)).abs() < 1e-12);
    }
}

/// x'Ax/2 + b'x with an asymmetric look: exact at every coordinate of a non-square grid away from the origin.
#[test]
fn a_quadratic_is_exact_at_every_labelled_coordinate() {
    let at = Parameters::new([("x".to_string(), Tensor::new(&[0.3f64, -1.2, 2.0], &Device::Cpu).unwrap())])
        .unwrap();
    let (u, v) = (vec![1.0, 2.0, -0.5], vec![0.0, -1.0, 3.0]);
    let axes = vec![vec![-0.5, 0.25, 1.0, 1.5], vec![2.0, 2.5, 4.0]];
    let slice = Slice::new(&at, vec![u.clone(), v.clone()], axes.clone()).unwrap();
    let quadratic =
        |x: &[f64]| 0.5 * (3.0 * x[0] * x[0] + x[1] * x[1] + 7.0 * x[2] * x[2]) + x[0] * x[1] - 2.0 * x[2];
    let measure = |i: usize| Ok(vec![quadratic(&slice.point(i)?.to_vec()?)]);
    let found = whole(&slice, &measure);
    assert!(found.is_complete() && found.values().len() == 12);
    for (j, b) in axes[1].iter().enumerate() {
        for (i, a) in axes[0].iter().enumerate() {
            let x: Vec<f64> = (0..3).map(|k| [0.3, -1.2, 2.0][k] + a * u[k] + b * v[k]).collect();
            let (value, truth) = (found.measure(0)[j * 4 + i], quadratic(&x));
            assert!((value - truth).abs() <= 1e-12 * truth.abs(), "at ({a}, {b})");
            assert_eq!(slice.coordinates(j * 4 + i), [*a, *b]);
        }
    }
}

#[test]
fn an_interrupted_scan_goes_on_to_the_same_digits() {
    let at = network(1.0);
    let direction = RandomDirection::default().draw(&at).unwrap();
    let axis: Vec<f64> = (0..41).map(|i| f64::from(i) / 20.0 - 1.0).collect();
    let slice = Slice::new(&at, vec![direction], vec![axis]).unwrap();
    let measure = |i: usize| Ok(vec![slice.point(i)?.to_vec()?.iter().map(|x| x.tanh()).sum::<f64>()]);
    let mut part = Scan::new(&slice);
    let stopped = scan(&mut part, 41, &measure, &mut |_| Control::Interrupt).unwrap();
    assert!(stopped == Control::Interrupt && !part.is_complete() && !part.values().is_empty());
    assert!(part.measure(0)[40].is_nan(), "what is not measured is not known");
    let mut resumed = Scan::new(&slice).with_values(part.values().to_vec());
    scan(&mut resumed, 41, &measure, &mut |_| Control::Continue).unwrap();
    assert_eq!(resumed, whole(&slice, &measure));
}

/// In any order, with stops, after an error: every point is the same number at its own place.
#[test]
fn order_stops_and_errors_change_no_digit() {
    let at = network(1.0);
    let direction = RandomDirection::default().draw(&at).unwrap();
    let slice = Slice::new(&at, vec![direction], vec![(0..17).map(f64::from).collect()]).unwrap();
    let measure = |point: usize| {
        Ok(vec![slice.point(point)?.to_vec()?.iter().map(|x| x.tanh()).sum::<f64>(), point as f64])
    };
    let truth = whole(&slice, &measure);
    let order: Vec<usize> = (0..17).map(|i| i * 5 % 17).collect();
    let mut found = Scan::in_order(&slice, order.clone());
    scan(&mut found, 6, &measure, &mut |_| Control::Continue).unwrap();
    assert_eq!(found.values().len(), 6);
    let known: Vec<usize> = (0..17).filter(|i| !found.measure(1)[*i].is_nan()).collect();
    let mut expected = order[..6].to_vec();
    expected.sort_unstable();
    assert_eq!(known, expected);
    let failing = |point: usize| {
        if point == 7 { Err(relief_hessian::Error::Other("out of luck".into())) } else { measure(point) }
    };
    let problem = scan(&mut found, 17, &failing, &mut |_| Control::Continue);
    assert!(problem.unwrap_err().to_string().contains("out of luck"));
    scan(&mut found, 17, &measure, &mut |_| Control::Continue).unwrap();
    for which in 0..2 {
        assert_eq!(found.measure(which), truth.measure(which));
    }
}

#[test]
fn ends_of_a_line_are_the_two_points() {
    let (a, b) = (network(1.0), network(-0.4));
    let slice = Slice::new(&a, vec![between(&a, &b).unwrap()], vec![vec![0.0, 1.0]]).unwrap();
    assert_eq!(slice.point(0).unwrap().to_vec().unwrap(), a.to_vec().unwrap(), "to the last bit");
    let (end, truth) = (slice.point(1).unwrap().to_vec().unwrap(), b.to_vec().unwrap());
    assert!(end.iter().zip(&truth).all(|(x, y)| (x - y).abs() <= 1e-15 * (1.0 + y.abs())));
    let other =
        Parameters::new([("x".to_string(), Tensor::ones(3, DType::F64, &Device::Cpu).unwrap())]).unwrap();
    assert!(between(&a, &other).is_err());
}

#[test]
fn barriers_follow_their_definitions() {
    let t = [-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5];
    let loss = [9.0, 1.0, 2.0, 5.0, 4.0, 3.0, 9.0];
    let barrier = Barrier::new(&t, &loss).unwrap();
    assert_eq!(
        barrier,
        Barrier { above_line: 3.0, above_mean: 3.0, above_ends: 2.0, mode_connectivity: -3.0, at: 0.5 }
    );
    assert!(Barrier::new(&t[2..], &loss[2..]).is_none(), "without an end there is no barrier");
}
