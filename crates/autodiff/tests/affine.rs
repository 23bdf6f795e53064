//! Evaluations on an affine subspace against the usual ones, for every operation; what is kept, by counts.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use common::case::{Case, single};
use common::cases::cases;
use common::vectors::{combine, distance, entries};
use relief_autodiff::{AffineCost, Evaluated, Graph, GraphBuilder, Motion, NUMBER_COST};

const PLACES: [[f64; 2]; 3] = [[0.0, 0.0], [0.7, 0.0], [-1.3, 0.4]];

/// Both ways to a point: all parameters named in `moved` move along both directions, the others stay.
fn both(case: &Case, moved: &[&str], place: [f64; 2], numbers: DType) -> [Evaluated; 2] {
    let graph = case.graph(|_| true);
    let to = |tensors: Vec<Tensor>| if numbers == DType::F32 { single(&tensors) } else { tensors };
    let names: Vec<String> = graph.parameter_names().map(String::from).collect();
    let direction = |label: &str| -> Vec<Tensor> {
        let drawn = case.direction(&graph, label);
        let stays = |name: &String| !moved.contains(&name.as_str());
        drawn
            .iter()
            .zip(&names)
            .map(|(d, n)| if stays(n) { d.zeros_like().unwrap() } else { d.clone() })
            .collect()
    };
    let (origin, directions) = (case.point(&graph), [direction("one"), direction("two")]);
    let point = combine(1.0, &combine(1.0, &origin, place[0], &directions[0]), place[1], &directions[1]);
    let (batch, constants) = (case.batch(&graph), BTreeMap::new());
    let motion = |name: &str| {
        if moved.contains(&name) { Motion::Affine(BTreeSet::from([0, 1])) } else { Motion::Fixed }
    };
    let section = graph.on_affine(&motion, 0).unwrap();
    let directions = directions.map(to);
    let kept = section.keep(&to(origin), &directions, &constants, &batch).unwrap();
    let point = to(point);
    let read: Vec<Tensor> = section
        .parameter_names()
        .map(|name| point[names.iter().position(|n| n == name).unwrap()].clone())
        .collect();
    let found = section.evaluate(&kept, &place, &read, &constants, &batch).unwrap();
    [found, graph.evaluate(&point, &constants, &batch).unwrap()]
}

#[test]
fn every_operation_agrees_with_the_usual_evaluation() {
    for case in cases() {
        let names: Vec<&str> = case.parameters.iter().map(|(name, _)| *name).collect();
        let mut choices: Vec<Vec<&str>> = names.iter().map(|name| vec![*name]).collect();
        choices.extend([names, vec![]]);
        for moved in &choices {
            for place in PLACES {
                let [found, expected] = both(&case, moved, place, DType::F64);
                let apart = distance(&entries(&found.outputs), &entries(&expected.outputs));
                let loss = (found.loss - expected.loss).abs() / expected.loss.abs().max(1.0);
                assert!(
                    apart < 1e-11 && loss < 1e-11,
                    "{}, {moved:?} at {place:?}: {apart:e}, {loss:e}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn single_precision_agrees_to_its_rounding() {
    for case in cases() {
        let names: Vec<&str> = case.parameters.iter().map(|(name, _)| *name).collect();
        let [found, expected] = both(&case, &names, [-1.3, 0.4], DType::F32);
        let [_, exact] = both(&case, &names, [-1.3, 0.4], DType::F64);
        let error = |outputs: &Tensor| distance(&entries(outputs), &entries(&exact.outputs));
        let (found, usual) = (error(&found.outputs), error(&expected.outputs));
        assert!(found < 4.0 * usual + 1e-5, "{}: {found:e}, usually {usual:e}", case.name);
    }
}

/// relu(x w1' + b1) w2' + b2, x [n, inputs].
fn perceptron(n: usize, widths: [usize; 3]) -> Arc<Graph> {
    let g = GraphBuilder::new();
    let [a, b, c] = widths;
    let (x, y) = (g.input(&[n, a]), g.input(&[n]));
    let parameter = |name: &str, shape: &[usize]| g.parameter(name, shape).unwrap();
    let hidden = x.linear(&parameter("w1", &[b, a]), Some(&parameter("b1", &[b]))).unwrap().relu().unwrap();
    let logits = hidden.linear(&parameter("w2", &[c, b]), Some(&parameter("b2", &[c]))).unwrap();
    Arc::new(g.finish(&logits, &logits.cross_entropy(&y, 0.0).unwrap(), |_| true).unwrap())
}

fn moving(directions: usize) -> impl Fn(&str) -> Motion {
    move |_| Motion::Affine((0..directions).collect())
}

#[test]
fn the_first_layer_is_kept_where_that_is_less_work() {
    let (n, widths) = (100, [3072, 512, 10]);
    let [inputs, hidden, outputs] = widths;
    let section = perceptron(n, widths).on_affine(&moving(2), NUMBER_COST).unwrap();
    assert_eq!(section.parameter_names().collect::<Vec<_>>(), ["b2", "w2"]);
    let AffineCost { whole, rest, numbers, once, entries } = section.cost();
    assert_eq!(
        numbers,
        3 * n * hidden,
        "values of the biased product at the origin and along two directions"
    );
    assert_eq!(entries, numbers);
    assert_eq!(whole - rest, n * hidden * (inputs + 1));
    assert_eq!(once, 3 * (whole - rest));
    assert!(rest > n * hidden * outputs && rest < n * hidden * (outputs + 2), "{rest}");
    assert!(section.cost().pays(4) && !section.cost().pays(3), "three points cost as much as what is kept");

    // 16 numbers cost more than they save.
    let narrow = perceptron(n, [40, 512, 10]).on_affine(&moving(2), NUMBER_COST).unwrap();
    assert_eq!(narrow.cost().numbers, 0);
    assert_eq!(narrow.cost().rest, narrow.cost().whole);
    assert!(!narrow.cost().pays(usize::MAX >> 20));

    // A small share of the work is left alone, although it would be saved.
    let deep = perceptron(n, [64, 32, 20_000]).on_affine(&moving(2), NUMBER_COST).unwrap();
    assert_eq!(deep.cost().numbers, 3 * n * 32);
    assert!(deep.cost().point() < deep.cost().whole && !deep.cost().pays(1000));
}

#[test]
fn what_does_not_move_is_kept_without_being_read() {
    let graph = perceptron(50, [30, 2, 10]);
    let last = |name: &str| match name {
        "w2" | "b2" => Motion::Affine(BTreeSet::from([1])),
        _ => Motion::Fixed,
    };
    let section = graph.on_affine(&last, NUMBER_COST).unwrap();
    let cost = section.cost();
    assert_eq!((cost.numbers, cost.entries), (0, 50 * 2), "the hidden layer");
    assert_eq!(section.parameter_names().collect::<Vec<_>>(), ["b2", "w2"]);
    // Where that is more work, the outputs themselves are kept, along the one direction that moves them.
    let section = perceptron(50, [30, 20, 10]).on_affine(&last, NUMBER_COST).unwrap();
    assert_eq!((section.cost().numbers, section.cost().entries), (2 * 50 * 10, 2 * 50 * 10));
    assert_eq!(section.parameter_names().count(), 0);
}

#[test]
fn choices_and_products_of_moving_values_are_not_affine() {
    let g = GraphBuilder::new();
    let (x, w) = (g.input(&[1, 2, 4, 4]), g.parameter("w", &[3, 2, 3, 3]).unwrap());
    let y = x.conv2d(&w, None, relief_autodiff::ConvolutionOptions::default()).unwrap();
    let pooled = y.max_pool2d(relief_autodiff::PoolOptions::square(2)).unwrap();
    let graph = Arc::new(g.finish(&pooled, &pooled.sum_all().unwrap(), |_| true).unwrap());
    let section = graph.on_affine(&moving(1), 0).unwrap();
    assert_eq!(section.cost().numbers, 2 * 3 * 2 * 2, "the convolution is kept, its maxima are not");

    let g = GraphBuilder::new();
    let (a, b) = (g.parameter("a", &[3]).unwrap(), g.parameter("b", &[3]).unwrap());
    let loss = a.mul(&b).unwrap().sum_all().unwrap();
    let graph = Arc::new(g.finish(&loss, &loss, |_| true).unwrap());
    let apart = |name: &str| Motion::Affine(BTreeSet::from([usize::from(name == "b")]));
    assert_eq!(graph.on_affine(&apart, 0).unwrap().cost().entries, 0);
    let free = |name: &str| if name == "b" { Motion::Free } else { Motion::Fixed };
    assert_eq!(graph.on_affine(&free, 0).unwrap().cost().entries, 0);
}

#[test]
fn wrong_arguments_are_refused() {
    let graph = perceptron(4, [3, 2, 2]);
    let section = graph.on_affine(&moving(2), 0).unwrap();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
    let point: Vec<Tensor> = [&[2][..], &[2], &[2, 3], &[2, 2]].map(zeros).into();
    let batch = [zeros(&[4, 3]), Tensor::zeros(4, DType::U32, &Device::Cpu).unwrap()];
    let none = BTreeMap::new();
    let problem = section.keep(&point, std::slice::from_ref(&point), &none, &batch).unwrap_err().to_string();
    assert!(problem.contains("1 directions"), "{problem}");
    let kept = section.keep(&point, &[point.clone(), point.clone()], &none, &batch).unwrap();
    assert_eq!(kept.bytes(), 3 * 4 * 2 * 8);
    let rest = &[point[1].clone(), point[3].clone()];
    assert!(section.evaluate(&kept, &[1.0], rest, &none, &batch).is_err());
    assert!(section.evaluate(&kept, &[1.0, 2.0], &point, &none, &batch).is_err());
    assert!(
        (section.evaluate(&kept, &[1.0, 2.0], rest, &none, &batch).unwrap().loss - 2f64.ln()).abs() < 1e-15
    );
}
