//! The algebra of operators: each adapter against the matrix it stands for.

use proptest::prelude::*;
use relief_hessian::{
    Affine, BlockDiagonal, Counted, Deflated, Dense, Restricted, Result, Scaled, Sum, SymmetricOperator,
};

/// A symmetric matrix with entries in -1..1.
fn symmetric(n: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1.0..1.0, n * n)
        .prop_map(move |a| (0..n * n).map(|i| 0.5 * (a[i] + a[i % n * n + i / n])).collect())
}

fn columns(operator: &dyn SymmetricOperator) -> Vec<Vec<f64>> {
    let n = operator.dim();
    let units: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    operator.apply_block(&units).unwrap()
}

fn close(a: &[Vec<f64>], b: impl Fn(usize, usize) -> f64) -> bool {
    a.iter()
        .enumerate()
        .all(|(j, column)| column.iter().enumerate().all(|(i, x)| (x - b(i, j)).abs() < 1e-13))
}

const N: usize = 7;

proptest! {
    #[test]
    fn adapters_are_the_matrices_they_stand_for(a in symmetric(N), b in symmetric(N), factor in -3.0..3.0, shift in -3.0..3.0) {
        let (left, right) = (Dense::new(N, a.clone()).unwrap(), Dense::new(N, b.clone()).unwrap());
        let unit = |i, j| if i == j { 1.0 } else { 0.0 };
        let affine = Affine { operator: &left, factor, shift };
        prop_assert!(close(&columns(&affine), |i, j| factor * a[i * N + j] + shift * unit(i, j)));
        let sum = Sum::new(&left, &right).unwrap();
        prop_assert!(close(&columns(&sum), |i, j| a[i * N + j] + b[i * N + j]));
        let scaled = Scaled::new(&left, b[..N].to_vec()).unwrap();
        prop_assert!(close(&columns(&scaled), |i, j| b[i] * a[i * N + j] * b[j]));
        let kept = [1, 2, 5];
        let block = Restricted::new(&left, vec![1..3, 5..6]).unwrap();
        prop_assert!(close(&columns(&block), |i, j| a[kept[i] * N + kept[j]]));
        // Rows 0, 1, 5 and 6 are one block, the others another.
        let part = BlockDiagonal::new(&left, vec![vec![0..2, 5..7], vec![2..5]]).unwrap();
        let inside = |i: usize| (2..5).contains(&i);
        let kept = |i, j| if inside(i) == inside(j) { a[i * N + j] } else { 0.0 };
        prop_assert!(close(&columns(&part), kept));
        let mut image = vec![0.0; N];
        part.apply(&b[..N], &mut image).unwrap();
        let sums = |i: usize| (0..N).map(|j| kept(i, j) * b[j]).sum::<f64>();
        prop_assert!(image.iter().enumerate().all(|(i, y)| (y - sums(i)).abs() < 1e-13));
    }

    #[test]
    fn deflation_removes_its_vectors_and_stays_symmetric(a in symmetric(N), v in prop::collection::vec(-1.0f64..1.0, N)) {
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        prop_assume!(length > 0.1);
        let v: Vec<f64> = v.iter().map(|x| x / length).collect();
        let deflated = Deflated::new(Dense::new(N, a).unwrap(), vec![v.clone()]).unwrap();
        let all = columns(&deflated);
        prop_assert!(close(&all, |i, j| all[i][j]));
        let mut image = vec![0.0; N];
        deflated.apply(&v, &mut image).unwrap();
        prop_assert!(image.iter().all(|x| x.abs() < 1e-13));
    }
}

#[test]
fn products_are_counted_also_in_blocks() -> Result<()> {
    let counted = Counted::new(Dense::new(2, vec![1.0, 0.5, 0.5, 2.0])?);
    counted.apply(&[1.0, 0.0], &mut [0.0, 0.0])?;
    counted.apply_block(&vec![vec![0.0, 1.0]; 3])?;
    assert_eq!(counted.products(), 4);
    Ok(())
}

#[test]
fn what_is_no_symmetric_operator_is_refused() {
    let two = Dense::new(2, vec![1.0, 0.5, 0.5, 2.0]).unwrap();
    let three = Dense::new(3, vec![0.0; 9]).unwrap();
    let refused = [
        Dense::new(2, vec![1.0, 0.5, 0.4, 2.0]).map(drop),
        Dense::new(2, vec![1.0; 3]).map(drop),
        Dense::new(2, vec![1.0, f64::NAN, f64::NAN, 2.0]).map(drop),
        Sum::new(&two, &three).map(drop),
        Restricted::new(&three, vec![0..1, 1..4]).map(drop),
        Restricted::new(&three, vec![1..2, 0..1]).map(drop),
        BlockDiagonal::new(&three, vec![vec![0..1], vec![2..3]]).map(drop),
        BlockDiagonal::new(&three, vec![vec![0..2], vec![1..3]]).map(drop),
        BlockDiagonal::new(&three, vec![vec![0..2], vec![2..4]]).map(drop),
        BlockDiagonal::new(&three, vec![vec![0..3], vec![]]).map(drop),
        Scaled::new(&two, vec![1.0; 3]).map(drop),
        Scaled::new(&two, vec![1.0, f64::NAN]).map(drop),
        Deflated::new(&two, vec![vec![1.0, 1.0]]).map(drop),
        Deflated::new(&two, vec![vec![1.0, 0.0, 0.0]]).map(drop),
    ];
    for (i, result) in refused.into_iter().enumerate() {
        let message = result.unwrap_err().to_string();
        assert!(message.len() > 20, "{i}: {message}");
    }
}
