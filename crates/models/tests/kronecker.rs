//! Kronecker-factored blocks against curvlinops, closed forms, and explicit matrices.

#[path = "kronecker/nets.rs"]
mod nets;

use faer::{Mat, Side};
use relief_hessian::{
    AssembledBlocks, ConjugateGradients, Curvature, DEFAULT_MEMORY, KroneckerBlock, KroneckerFactors,
    Objective, RelativeDistance, Restricted, Silent, SymmetricOperator,
};
use relief_models::loss::Loss;
use relief_models::task::Fisher;
use serde_json::Value as Json;

use nets::{Net, data, roots, sampled};

fn numbers(json: &Json) -> Vec<f64> {
    match json {
        Json::Array(list) => list.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let difference: Vec<f64> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    let error = norm(&difference) / norm(expected);
    assert!(error <= tolerance, "relative error {error:e}");
}

/// All columns.
fn dense(operator: &dyn SymmetricOperator) -> Vec<Vec<f64>> {
    let n = operator.dim();
    let unit = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>();
    (0..n)
        .map(|i| {
            let mut y = vec![0.0; n];
            operator.apply(&unit(i), &mut y).unwrap();
            y
        })
        .collect()
}

/// KFAC's and EKFAC's blocks of all layers for the exact Gauss-Newton matrix.
fn blocks(curvature: &Curvature<'_>, loss: Loss, outputs: &[usize]) -> Vec<[KroneckerBlock; 2]> {
    let roots = roots(loss, outputs);
    let factors = KroneckerFactors::collect(curvature, &[], &roots).unwrap();
    let kfac: Vec<KroneckerBlock> = factors.iter().map(|f| f.block().unwrap()).collect();
    let ekfac = KroneckerBlock::corrected(&kfac, curvature, &roots).unwrap();
    kfac.into_iter().zip(ekfac).map(Into::into).collect()
}

fn truth<'c>(curvature: &'c Curvature<'_>, block: &KroneckerBlock) -> impl SymmetricOperator + 'c {
    Restricted::new(curvature.gauss_newton(), block.ranges()).unwrap()
}

/// Distances of both blocks from the true one, and its norm.
fn distances(curvature: &Curvature<'_>, [kfac, ekfac]: &[KroneckerBlock; 2]) -> (f64, f64, f64) {
    let truth = truth(curvature, kfac);
    let all = RelativeDistance { products: truth.dim().max(2), seed: 0 };
    let found = all.run(&truth, &[kfac, ekfac], &mut Silent).unwrap().unwrap();
    assert!(found.exact && found.norm_error == 0.0);
    (found.distances[0].0, found.distances[1].0, found.norm)
}

#[test]
fn factors_and_products_are_curvlinops_s() {
    let json = include_str!("fixtures/kronecker.json");
    let cases: Json = serde_json::from_str(json).unwrap();
    for (name, net, loss) in
        [("convolutional", Net::Convolutional, Loss::CrossEntropy), ("shared", Net::Shared, Loss::Mse)]
    {
        let case = &cases[name];
        let objective = nets::from_json(net, case);
        let at = objective.parameters();
        let curvature = Curvature::new(&objective, at, DEFAULT_MEMORY).unwrap();
        for (kind, expected) in case["kinds"].as_object().unwrap() {
            let roots = match kind.as_str() {
                "type-2" => roots(loss, &objective.output_shape()),
                _ => relief_hessian::OutputRoots::empirical(),
            };
            let factors = KroneckerFactors::collect(&curvature, &[], &roots).unwrap();
            assert_eq!(factors.len(), expected["layers"].as_object().unwrap().len());
            for f in &factors {
                let theirs = &expected["layers"][f.weight.strip_suffix(".weight").unwrap()];
                assert_near(&f.inputs, &numbers(&theirs["A"]), 1e-12);
                assert_near(&f.gradients, &numbers(&theirs["B"]), 1e-12);
            }
            let kfac: Vec<KroneckerBlock> = factors.iter().map(|f| f.block().unwrap()).collect();
            let ekfac = KroneckerBlock::corrected(&kfac, &curvature, &roots).unwrap();
            let trace: f64 = ekfac.iter().map(KroneckerBlock::trace).sum();
            assert_near(&[trace], &[expected["ekfac_trace"].as_f64().unwrap()], 1e-12);
            let w = nets::reorder(case, &numbers(&case["w"]), at);
            for (blocks, key) in [(kfac, "kfac_w"), (ekfac, "ekfac_w")] {
                let whole = AssembledBlocks::new(at.len(), blocks, 0.0).unwrap();
                let mut product = vec![0.0; at.len()];
                whole.apply(&w, &mut product).unwrap();
                assert_near(&product, &nets::reorder(case, &numbers(&expected[key]), at), 1e-10);
            }
        }
    }
}

#[test]
fn factors_are_the_means_of_outer_products() {
    // A perceptron 3-4-2 written out, half a squared error: second derivatives in the outputs are the identity.
    let objective = nets::perceptron(5, [3, 4, 2], 7);
    let at = objective.parameters();
    let curvature = Curvature::new(&objective, at, DEFAULT_MEMORY).unwrap();
    let factors = KroneckerFactors::collect(&curvature, &[], &roots(Loss::HalfSquaredError, &[2])).unwrap();
    let [x, w1, b1, w2] = [
        nets::inputs(&objective, 0),
        nets::rows(at, "1.weight"),
        nets::rows(at, "1.bias"),
        nets::rows(at, "2.weight"),
    ];
    let (mut a1, mut b_1, mut a2) = (vec![0.0; 16], vec![0.0; 16], vec![0.0; 25]);
    for x in x.chunks_exact(3) {
        let x1: Vec<f64> = x.iter().copied().chain([1.0]).collect();
        let hidden: Vec<f64> = (0..4)
            .map(|i| (0..3).map(|j| w1[3 * i + j] * x[j]).sum::<f64>() + b1[i])
            .map(f64::tanh)
            .collect();
        let h1: Vec<f64> = hidden.iter().copied().chain([1.0]).collect();
        (0..16).for_each(|e| a1[e] += x1[e / 4] * x1[e % 4] / 5.0);
        (0..25).for_each(|e| a2[e] += h1[e / 5] * h1[e % 5] / 5.0);
        for k in 0..2 {
            let g: Vec<f64> = (0..4).map(|i| w2[4 * k + i] * (1.0 - hidden[i] * hidden[i])).collect();
            (0..16).for_each(|e| b_1[e] += g[e / 4] * g[e % 4] / 5.0);
        }
    }
    assert_near(&factors[0].inputs, &a1, 1e-14);
    assert_near(&factors[0].gradients, &b_1, 1e-14);
    assert_near(&factors[1].inputs, &a2, 1e-14);
    assert_near(&factors[1].gradients, &[1.0, 0.0, 0.0, 1.0], 1e-14);
    // EKFAC's eigenvalues by the definition: mean squares of the gradients' entries in the eigenbasis.
    let kfac = factors[0].block().unwrap();
    let values = kfac.eigenvalues();
    let inputs = Mat::from_fn(4, 4, |i, j| a1[4 * i + j]).self_adjoint_eigenvalues(Side::Lower).unwrap();
    let gradients = Mat::from_fn(4, 4, |i, j| b_1[4 * i + j]).self_adjoint_eigenvalues(Side::Lower).unwrap();
    assert_near(&values[..1], &[inputs[3] * gradients[3]], 1e-13);
}

#[test]
fn one_example_has_an_exact_block() {
    for loss in [Loss::CrossEntropy, Loss::Mse, Loss::HalfSquaredError, Loss::BinaryCrossEntropy] {
        let objective = nets::regression(1, loss, 3);
        let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
        for pair in blocks(&curvature, loss, &[3]) {
            let (kfac, ekfac, _) = distances(&curvature, &pair);
            assert!(kfac < 1e-13 && ekfac < 1e-13, "{loss}: {kfac:e}, {ekfac:e}");
        }
    }
}

#[test]
fn a_deep_linear_network_with_squared_error_has_exact_blocks() {
    // The gradients in the layers' outputs are the same for all examples (Bernacchia et al. 2018), whatever the data.
    let objective = nets::deep_linear(7, [4, 3, 5, 2]);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    for pair in blocks(&curvature, Loss::Mse, &[2]) {
        let (kfac, ekfac, norm) = distances(&curvature, &pair);
        assert!(norm > 1e-3 && kfac < 1e-13 && ekfac < 1e-13, "{kfac:e}, {ekfac:e}");
    }
}

#[test]
fn a_kernel_over_the_whole_image_is_a_linear_layer() {
    let [convolution, linear] = nets::image_and_vector(6);
    let of = |objective: &relief_hessian::GraphObjective| {
        let curvature = Curvature::new(objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
        let [kfac, ekfac] = blocks(&curvature, Loss::CrossEntropy, &[3]).swap_remove(0);
        [dense(&kfac), dense(&ekfac)].map(|m| m.concat())
    };
    let ([a, b], [c, d]) = (of(&convolution), of(&linear));
    assert_near(&a, &c, 1e-13);
    assert_near(&b, &d, 1e-13);
}

#[test]
fn ekfac_is_nearer_and_has_the_true_trace_and_diagonal() {
    for seed in 0..12 {
        let net = if seed % 3 == 0 { Net::Shared } else { Net::Convolutional };
        let (objective, loss) = nets::random(net, seed);
        let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
        for pair in blocks(&curvature, loss, &objective.output_shape()) {
            let (kfac, ekfac, norm) = distances(&curvature, &pair);
            assert!(ekfac <= kfac + 1e-12, "seed {seed}: {ekfac} is above {kfac}");
            let truth = dense(&truth(&curvature, &pair[0]));
            let trace: f64 = truth.iter().enumerate().map(|(i, column)| column[i]).sum();
            assert_near(&[pair[1].trace()], &[trace], 1e-12);
            // Its eigenvalues are a diagonal of the block, so that what is missing is what is beside it.
            let inside = pair[1].frobenius_norm() / norm;
            assert!((ekfac * ekfac - (1.0 - inside * inside)).abs() < 1e-12);
            let (value, vector) = pair[1].eigenpair(0).unwrap();
            let mut product = vec![0.0; vector.len()];
            truth.iter().zip(&vector).for_each(|(column, v)| {
                product.iter_mut().zip(column).for_each(|(p, c)| *p += v * c);
            });
            let along: f64 = product.iter().zip(&vector).map(|(p, v)| p * v).sum();
            assert_near(&[value], &[along], 1e-11);
            assert_near(&[norm_of_columns(&truth)], &[norm], 1e-12);
        }
    }
}

fn norm_of_columns(matrix: &[Vec<f64>]) -> f64 {
    norm(&matrix.concat())
}

#[test]
fn random_probes_hold_the_exact_distance() {
    let (objective, loss) = nets::random(Net::Convolutional, 5);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    let all = blocks(&curvature, loss, &objective.output_shape());
    let pair = &all[2];
    let truth = truth(&curvature, &pair[0]);
    let (kfac, ekfac, norm) = distances(&curvature, pair);
    let (mut beyond, seeds) = (0, 40);
    for seed in 0..seeds {
        let found = RelativeDistance { products: 60, seed };
        let found = found.run(&truth, &[&pair[0], &pair[1]], &mut Silent).unwrap().unwrap();
        assert!(!found.exact && found.products == 60);
        let of = [(found.norm, found.norm_error, norm)].into_iter().chain(
            found.distances.iter().zip([kfac, ekfac]).map(|(&(value, error), exact)| (value, error, exact)),
        );
        beyond += of.filter(|(value, error, exact)| (value - exact).abs() > 2.0 * error).count();
    }
    assert!(beyond <= 3 * seeds as usize / 8, "{beyond} of {} are off by two standard errors", 3 * seeds);
}

#[test]
fn sampled_factors_converge_to_the_exact_ones() {
    let (objective, loss) = nets::random(Net::Convolutional, 2);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    let exact = KroneckerFactors::collect(&curvature, &[], &roots(loss, &objective.output_shape())).unwrap();
    let error = |draws: usize| -> f64 {
        let found = KroneckerFactors::collect(&curvature, &[], &sampled(loss, draws)).unwrap();
        found
            .iter()
            .zip(&exact)
            .map(|(f, e)| {
                assert_eq!(f.inputs, e.inputs);
                let difference: Vec<f64> = f.gradients.iter().zip(&e.gradients).map(|(a, b)| a - b).collect();
                norm(&difference) / norm(&e.gradients)
            })
            .fold(0.0, f64::max)
    };
    let (few, many) = (error(20), error(2000));
    assert!(many < 0.05 && many < 0.5 * few, "{few} with 20 draws, {many} with 2000");
}

#[test]
fn the_batch_size_changes_no_drawn_target() {
    let (data, model, tensors) = data(40);
    let factors = |batch_size: usize| {
        let options = nets::options(Some(batch_size));
        let task = relief_models::task::Task::new(&model, &tensors, &data, &options).unwrap();
        let curvature = Curvature::new(&task.objective, task.objective.parameters(), DEFAULT_MEMORY).unwrap();
        let roots = task.output_roots(Fisher::Sampled { draws: 2, seed: 3 }).unwrap();
        KroneckerFactors::collect(&curvature, &[], &roots).unwrap()
    };
    for (a, b) in factors(40).iter().zip(&factors(7)) {
        assert_near(&a.gradients, &b.gradients, 1e-13);
    }
}

#[test]
fn sequences_have_a_root_for_every_position() {
    let (objective, positions) = nets::sequence();
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    for pair in blocks(&curvature, Loss::NextToken, &[positions, 5]) {
        let truth = dense(&truth(&curvature, &pair[0]));
        let trace: f64 = truth.iter().enumerate().map(|(i, column)| column[i]).sum();
        assert_near(&[pair[1].trace()], &[trace], 1e-12);
    }
}

#[test]
fn every_kind_of_network_has_layers_with_the_true_trace() {
    for (spec, count) in nets::KINDS {
        let task = nets::of_kind(spec);
        let (objective, fisher) = (&task.objective, task.output_roots(Fisher::Exact).unwrap());
        let at = objective.parameters();
        let curvature = Curvature::new(objective, at, DEFAULT_MEMORY).unwrap();
        let factors = KroneckerFactors::collect(&curvature, &[], &fisher).unwrap();
        assert_eq!(factors.len(), count, "{spec}: {:?}", objective.layers().others);
        let kfac: Vec<KroneckerBlock> = factors.iter().map(|f| f.block().unwrap()).collect();
        let ekfac = KroneckerBlock::corrected(&kfac, &curvature, &fisher).unwrap();
        // The squares of the gradients of single examples, by the gradient's own backward pass.
        let linearized = objective.linearize(at, 0).unwrap();
        let examples = linearized.outputs().unwrap().dim(0).unwrap();
        let mut squares = vec![0.0; at.len()];
        for k in 0..fisher.columns() {
            let column = fisher.column(0, &*linearized, k).unwrap();
            for i in 0..examples {
                let mut gradient = vec![0.0; at.len()];
                at.flatten(&linearized.vjp(&nets::of_example(&column, i)).unwrap(), &mut gradient).unwrap();
                squares.iter_mut().zip(&gradient).for_each(|(s, g)| *s += g * g / examples as f64);
            }
        }
        for block in &ekfac {
            let trace: f64 = block.ranges().into_iter().map(|r| squares[r].iter().sum::<f64>()).sum();
            assert!((block.trace() - trace).abs() < 1e-11 * trace, "{spec}: {}", block.weight());
        }
    }
}

#[test]
fn inverses_and_determinants_are_those_of_the_matrix() {
    let (objective, loss) = nets::random(Net::Convolutional, 1);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    for block in blocks(&curvature, loss, &objective.output_shape()).iter().flatten() {
        let matrix = dense(block);
        let n = matrix.len();
        let damped = Mat::from_fn(n, n, |i, j| matrix[j][i] + if i == j { 0.01 } else { 0.0 });
        let values = damped.self_adjoint_eigenvalues(Side::Lower).unwrap();
        let found = block.eigenvalues();
        let largest = values[n - 1];
        for (a, b) in found.iter().zip(values.iter().rev()) {
            assert!((a + 0.01 - b).abs() < 1e-12 * largest);
        }
        assert_near(&[block.log_determinant(0.01).unwrap()], &[values.iter().map(|v| v.ln()).sum()], 1e-12);
        let inverse = block.inverse(0.01).unwrap();
        let (x, mut y, mut z) = (matrix[0].clone(), vec![0.0; n], vec![0.0; n]);
        block.apply(&x, &mut y).unwrap();
        y.iter_mut().zip(&x).for_each(|(y, x)| *y += 0.01 * x);
        inverse.apply(&y, &mut z).unwrap();
        assert_near(&z, &x, 1e-11);
    }
}

#[test]
fn blocks_of_a_trained_network_are_solved_in_fewer_products() {
    let task = nets::trained();
    let at = task.objective.parameters();
    let curvature = Curvature::new(&task.objective, at, DEFAULT_MEMORY).unwrap();
    let roots = task.output_roots(Fisher::Exact).unwrap();
    let factors = KroneckerFactors::collect(&curvature, &[], &roots).unwrap();
    let kfac: Vec<KroneckerBlock> = factors.iter().map(|f| f.block().unwrap()).collect();
    let ekfac = KroneckerBlock::corrected(&kfac, &curvature, &roots).unwrap();
    let solver = ConjugateGradients { damping: 1e-4, tolerance: 1e-6, max_products: 2000 };
    for (kfac, ekfac) in kfac.iter().zip(&ekfac) {
        let truth = truth(&curvature, kfac);
        let slopes = |range: std::ops::Range<usize>| curvature.gradient()[range].to_vec();
        let b: Vec<f64> = kfac.ranges().into_iter().flat_map(slopes).collect();
        let plain = solver.solve(&truth, &b, None).unwrap();
        for block in [kfac, ekfac] {
            let inverse = block.inverse(solver.damping).unwrap();
            let found = solver.solve_preconditioned(&truth, &b, &inverse).unwrap();
            assert!(plain.converged && found.converged);
            assert!(4 * found.products < 3 * plain.products, "{} of {}", found.products, plain.products);
            assert_near(&found.x, &plain.x, 1e-3);
        }
    }
    // Of the whole matrix the solution is the same, but not in fewer products: layers act together, and inverses of the true
    // blocks save none either (72 for 62 at this damping, measured to 1e-8).
    let solver = ConjugateGradients { damping: 1e-2, ..solver };
    let operator = curvature.gauss_newton();
    let plain = solver.solve(&operator, curvature.gradient(), None).unwrap();
    let inverse = AssembledBlocks::inverse(at.len(), &ekfac, solver.damping).unwrap();
    let found = solver.solve_preconditioned(&operator, curvature.gradient(), &inverse).unwrap();
    assert!(found.converged);
    assert_near(&found.x, &plain.x, 1e-4);
}

#[test]
fn what_has_no_factors_is_refused_in_words() {
    for (build, words) in nets::refused() {
        let objective = nets::small(build);
        let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
        let refusal =
            KroneckerFactors::collect(&curvature, &["w".into()], &relief_hessian::OutputRoots::empirical());
        let refusal = refusal.unwrap_err().to_string();
        assert!(refusal.contains(words) && refusal.contains("`w`"), "{refusal}");
    }
    let (objective, loss) = nets::random(Net::Shared, 0);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    let pair = blocks(&curvature, loss, &[2]).swap_remove(0);
    assert!(pair[0].inverse(-1.0).is_err() && pair[0].inverse(f64::NAN).is_err());
    // More inputs than examples.
    let (wide, loss) = nets::random(Net::Convolutional, 0);
    let wide = Curvature::new(&wide, wide.parameters(), DEFAULT_MEMORY).unwrap();
    let singular = &blocks(&wide, loss, &[3])[2][0];
    assert!(singular.inverse(0.0).unwrap_err().to_string().contains("singular"));
    assert!(singular.inverse(1e-3).is_ok());
    assert!(pair[0].eigenpair(pair[0].dim()).is_err());
    assert!(AssembledBlocks::new(3, pair.to_vec(), 1.0).is_err());
    let distance = RelativeDistance { products: 1, seed: 0 };
    assert!(distance.run(&pair[0], &[&pair[1]], &mut Silent).is_err());
}
