//! The classes behind a Gauss-Newton matrix's outliers, against the definition example by example.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use relief_hessian::{
    ClassStructure, Curvature, DEFAULT_MEMORY, Dense, FiniteSum, Lanczos, Outcome, Silent, SymmetricOperator,
    Wanted,
};
use relief_models::architecture::Architecture;
use relief_models::data::{DataOptions, Dataset, Targets};
use relief_models::task::{Minibatches, TaskOptions};

fn sum(examples: usize) -> (Minibatches, Vec<u32>) {
    let model = Architecture::parse("mlp:widths=64-5-10,activation=tanh").unwrap();
    let options = DataOptions { limit: Some(examples), dtype: DType::F64, ..DataOptions::default() };
    let data = Dataset::load("digits", &options).unwrap();
    let tensors: BTreeMap<String, Tensor> =
        model.random_parameters(data.example_shape(), 4, DType::F64).unwrap();
    let Targets::Classes(labels) = &data.targets else { panic!("digits have classes") };
    let options = TaskOptions { dtype: DType::F64, ..TaskOptions::default() };
    (Minibatches::new(&model, &tensors, &data, &options).unwrap(), labels.to_vec1().unwrap())
}

/// (weight, gradient) of every example and label.
fn gradients(sum: &Minibatches, labels: &[u32]) -> Vec<(usize, usize, f64, Vec<f64>)> {
    let mut all = vec![];
    for (i, class) in labels.iter().enumerate() {
        let objective = sum.over(&[i as u32]).unwrap();
        let at = objective.parameters();
        let linearized = objective.linearize(at, 0).unwrap();
        let z = linearized.outputs().unwrap().get(0).unwrap().to_vec1::<f64>().unwrap();
        let partition: f64 = z.iter().map(|z| z.exp()).sum();
        let p: Vec<f64> = z.iter().map(|z| z.exp() / partition).collect();
        for y in 0..10 {
            let slope: Vec<f64> =
                p.iter().enumerate().map(|(c, p)| p - f64::from(u8::from(c == y))).collect();
            let u = Tensor::from_vec(slope, (1, 10), &Device::Cpu).unwrap();
            let mut g = vec![0.0; at.len()];
            at.flatten(&linearized.vjp(&u).unwrap(), &mut g).unwrap();
            all.push((*class as usize, y, p[y] / labels.len() as f64, g));
        }
    }
    all
}

fn mean(of: &[&(usize, usize, f64, Vec<f64>)]) -> (f64, Vec<f64>) {
    let weight: f64 = of.iter().map(|g| g.2).sum();
    let mut vector = vec![0.0; of[0].3.len()];
    for g in of {
        vector.iter_mut().zip(&g.3).for_each(|(v, x)| *v += g.2 / weight * x);
    }
    (weight, vector)
}

fn square(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-11 * b.abs().max(1e-3), "{a} is not {b}");
}

#[test]
fn four_parts_make_up_the_gauss_newton_matrix() {
    let (sum, labels) = sum(37);
    let whole = sum.whole().unwrap();
    let curvature = Curvature::new(&*whole, whole.parameters(), DEFAULT_MEMORY).unwrap();
    let n = sum.parameters().len();
    let column = |i: usize| {
        let (mut unit, mut column) = (vec![0.0; n], vec![0.0; n]);
        unit[i] = 1.0;
        curvature.gauss_newton().apply(&unit, &mut column).unwrap();
        column
    };
    let trace: f64 = (0..n).map(|i| column(i)[i]).sum();
    let found = ClassStructure::new(&sum, sum.parameters(), &labels, Some(trace)).unwrap();

    let all = gradients(&sum, &labels);
    let (mut between, mut cross, mut own, mut within) = (0.0, 0.0, 0.0, 0.0);
    let mut centres = vec![];
    for class in 0..10 {
        let of = |y: usize| all.iter().filter(|g| g.0 == class && g.1 == y).collect::<Vec<_>>();
        let others: Vec<_> = all.iter().filter(|g| g.0 == class && g.1 != class).collect();
        let (weight, centre) = mean(&others);
        between += weight * square(&centre);
        for y in 0..10 {
            let (w, g) = mean(&of(y));
            for one in of(y) {
                let left: Vec<f64> = one.3.iter().zip(&g).map(|(a, b)| a - b).collect();
                within += one.2 * square(&left);
            }
            if y == class {
                own += w * square(&g);
            } else {
                let left: Vec<f64> = g.iter().zip(&centre).map(|(a, b)| a - b).collect();
                cross += w * square(&left);
            }
        }
        centres.push((weight, centre));
    }
    close(found.traces.between, between);
    close(found.traces.cross, cross);
    close(found.traces.own, own);
    close(found.traces.within, within);
    close(found.traces.within + between + cross + own, trace);
    close(found.between.iter().sum(), between);
    close(found.cross.iter().sum(), cross);
    // The largest eigenvalue of the part between classes, from its matrix.
    let entry = |i: usize, j: usize| centres.iter().map(|(w, c)| w * c[i] * c[j]).sum::<f64>();
    let part = Dense::new(n, (0..n * n).map(|e| entry(e / n, e % n)).collect()).unwrap();
    let Outcome::Done(eigen) = Lanczos::default().run(&part, None, &mut Silent).unwrap() else {
        panic!("nobody interrupts")
    };
    close(found.between[0], eigen.largest[0].value);
    let (inside, of_all) = found.shares(&eigen.vectors[0]);
    assert!((inside - 1.0).abs() < 1e-9 && (of_all - 1.0).abs() < 1e-9, "{inside}, {of_all}");
}

#[test]
fn the_classes_explain_a_trained_network_s_outliers() {
    let (sum, labels) = sum(300);
    let mut at = sum.parameters().clone();
    let whole = sum.whole().unwrap();
    for _ in 0..150 {
        let (_, g) = relief_hessian::gradient(&*whole, &at).unwrap();
        at = at.displaced(&g, -1.0).unwrap();
    }
    let structure = ClassStructure::new(&sum, &at, &labels, None).unwrap();
    let curvature = Curvature::new(&*whole, &at, DEFAULT_MEMORY).unwrap();
    let solver = Lanczos { wanted: Wanted::Largest { k: 3 }, ..Lanczos::default() };
    let Outcome::Done(eigen) = solver.run(&curvature.gauss_newton(), None, &mut Silent).unwrap() else {
        panic!("nobody interrupts")
    };
    for vector in &eigen.vectors {
        let (_, all) = structure.shares(vector);
        assert!(all > 0.8, "an outlier's share in the means of classes and labels is {all}");
    }
    assert!(structure.traces.within.is_nan());
    assert!(ClassStructure::new(&sum, &at, &labels[1..], None).is_err());
}
