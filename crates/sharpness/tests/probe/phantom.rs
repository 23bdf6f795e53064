//! The examples' weights in the gradient.

use candle_core::DType;
use relief_hessian::{FiniteSum, gradient};
use relief_models::loss::Loss;
use relief_models::task::TaskOptions;
use relief_sharpness::{Perturbation, Phantom, gini, output_slopes};

use super::{assert_close, digits, options};

#[test]
fn the_coefficient_is_that_of_lorenz_curves() {
    assert_eq!(gini(&[]), None);
    assert_eq!(gini(&[0.0, 0.0]), None);
    assert_close(gini(&[2.0, 2.0, 2.0]).unwrap() + 1.0, 1.0, 1e-14);
    assert_close(gini(&[0.0, 0.0, 0.0, 5.0]).unwrap(), 0.75, 1e-14);
    // By the definition: half the mean absolute difference over the mean.
    let values: [f64; 5] = [3.0, 1.0, 4.0, 1.5, 9.0];
    let differences: f64 = values.iter().flat_map(|a| values.iter().map(move |b| (a - b).abs())).sum();
    assert_close(gini(&values).unwrap(), differences / (2.0 * 25.0 * 3.7), 1e-13);
}

#[test]
fn slopes_are_those_of_the_loss() {
    // Batches of different size, whose examples must weigh the same.
    let options = TaskOptions { batch_size: Some(16), ..options(Loss::CrossEntropy) };
    let sum = digits("mlp:widths=64-12-10,activation=tanh", 40, &options);
    let whole = sum.whole().unwrap();
    let found = output_slopes(&*whole, sum.parameters()).unwrap();
    assert_eq!(found.len(), 40);
    for (i, found) in found.iter().enumerate() {
        let one = sum.over(&[i as u32]).unwrap();
        let outputs = one.evaluate(sum.parameters(), 0).unwrap().outputs.unwrap();
        let logits: Vec<f64> =
            outputs.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap();
        let loss = one.evaluate(sum.parameters(), 0).unwrap().loss;
        let partition = logits.iter().map(|x| x.exp()).sum::<f64>();
        let shares: Vec<f64> = logits.iter().map(|x| x.exp() / partition).collect();
        // |p - e_y|, where the loss -log p_y tells which y is the label.
        let y = (0..10).min_by(|a, b| {
            let gap = |c: usize| (-shares[c].ln() - loss).abs();
            gap(*a).total_cmp(&gap(*b))
        });
        let slope = |c: usize| shares[c] - f64::from(u8::from(Some(c) == y));
        let expected = (0..10).map(|c| slope(c).powi(2)).sum::<f64>().sqrt() / 40.0;
        assert_close(*found, expected, 1e-10);
    }
    let slope = gradient(&*whole, sum.parameters()).unwrap().1;
    let direction = Perturbation::default().direction(&slope, sum.parameters()).unwrap();
    let epsilon: Vec<f64> = direction.iter().map(|d| 0.1 * d).collect();
    let phantom = Phantom::new(&*whole, sum.parameters(), &epsilon).unwrap().unwrap();
    assert_close(phantom.at_point, gini(&found).unwrap(), 1e-12);
    assert!(phantom.at_phantom > 0.0 && phantom.at_phantom < 1.0);
}
