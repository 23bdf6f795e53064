//! Products with several vectors at once have the digits of those with each, whatever is kept and however many threads work.

mod common;

use candle_core::DType;
use common::Fixture;
use relief_hessian::{Curvature, DEFAULT_MEMORY, Matrix, Objective, SymmetricOperator, gradient};

fn block(n: usize) -> Vec<Vec<f64>> {
    let entry =
        |seed: usize, i: usize| 2.0 * (0.618_033_988_749_895 * (i + 7919 * seed) as f64).fract() - 1.0;
    (1..6).map(|seed| (1..=n).map(|i| entry(seed, i)).collect()).collect()
}

fn on<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn a_block_has_the_digits_of_single_products() {
    let fixture = Fixture::new("digits-mlp-tanh");
    for (dtype, batch_size) in [(DType::F32, 1000), (DType::F32, 300), (DType::F64, 1000), (DType::F64, 300)]
    {
        let objective = fixture.objective(dtype, batch_size, false).with_weight_decay(0.1);
        let at = objective.parameters();
        let block = block(at.len());
        for memory in [DEFAULT_MEMORY, 0] {
            let curvature = Curvature::new(&objective, at, memory).unwrap();
            for matrix in [Matrix::Hessian, Matrix::GaussNewton, Matrix::Residual] {
                let operator = curvature.operator(matrix);
                let together = on(3, || operator.apply_block(&block).unwrap());
                assert_eq!(together, on(1, || operator.apply_block(&block).unwrap()));
                for (x, product) in block.iter().zip(&together) {
                    // What was there before must not count.
                    let mut single = vec![f64::NAN; x.len()];
                    on(2, || operator.apply(x, &mut single).unwrap());
                    assert_eq!(&single, product, "{matrix:?}, {dtype:?}, batches of {batch_size}");
                }
            }
        }
    }
}

#[test]
fn gradients_do_not_depend_on_threads() {
    let fixture = Fixture::new("digits-mlp-relu");
    for dtype in [DType::F32, DType::F64] {
        let objective = fixture.objective(dtype, 300, false).with_weight_decay(0.1);
        let at = objective.parameters();
        let one = on(1, || gradient(&objective, at).unwrap());
        assert_eq!(one, on(3, || gradient(&objective, at).unwrap()));
        assert_eq!(one.1, Curvature::new(&objective, at, 0).unwrap().gradient());
    }
}

#[test]
fn a_vector_of_another_length_is_refused() {
    let fixture = Fixture::new("digits-mlp-relu");
    let objective = fixture.objective(DType::F32, 1000, false);
    let at = objective.parameters();
    let curvature = Curvature::new(&objective, at, DEFAULT_MEMORY).unwrap();
    let short = vec![1.0; at.len() - 1];
    assert!(curvature.hessian().apply_block(std::slice::from_ref(&short)).is_err());
    let few = at.tensors()[1..].to_vec();
    let error = at.flatten(&few, &mut vec![0.0; at.len()]).unwrap_err().to_string();
    assert!(error.contains("parameters"), "{error}");
}
