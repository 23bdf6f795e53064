//! Long vectors of doubles, with the digits that they have on the host.

use candle_core::{DType, Tensor};

use super::Call;
use crate::Result;
use crate::vectors::{LANES, PIECE};

/// The inner products of `x` with every vector of a basis that is not empty; they alone go to the host.
pub(crate) fn coefficients(basis: &[&Tensor], x: &Tensor) -> Result<Vec<f64>> {
    let (n, vectors) = (x.elem_count(), basis.len());
    let pieces = n.div_ceil(PIECE);
    let of = |kernel: &'static str, inputs: &[&Tensor], list: &[&Tensor], count: usize| {
        let call = Call { kernel, inputs, shape: &[count], sizes: &[n, PIECE, pieces], ..DOUBLES };
        call.one_with(list, DType::F64)
    };
    let lanes = of("lane_sums", &[x], basis, vectors * pieces * LANES)?;
    let sums = of("piece_sums", &[&lanes, x], basis, vectors * pieces)?;
    Ok(of("vector_sums", &[&sums], &[], vectors)?.to_vec1()?)
}

/// x less the sum of `coefficients[i] * basis[i]`.
pub(crate) fn subtract(basis: &[&Tensor], coefficients: &[f64], x: &Tensor) -> Result<Tensor> {
    let coefficients = Tensor::new(coefficients, x.device())?;
    let (inputs, sizes) = ([x, &coefficients], [basis.len()]);
    let call = Call { inputs: &inputs, shape: x.dims(), sizes: &sizes, ..DOUBLES };
    Call { kernel: "subtract_vectors", ..call }.one_with(basis, DType::F64)
}

/// sum + weight x, with x in single or double precision.
pub(crate) fn add(sum: &Tensor, weight: f64, x: &Tensor) -> Result<Tensor> {
    let (inputs, numbers) = ([sum, x], [weight]);
    let call = Call { inputs: &inputs, shape: sum.dims(), numbers: &numbers, ..DOUBLES };
    Call { kernel: "add_weighted", ..call }.one(x.dtype())
}

/// A call with one result in double precision.
const DOUBLES: Call<'static> = Call {
    module: "vectors",
    kernel: "",
    inputs: &[],
    shape: &[],
    outputs: &[DType::F64],
    sizes: &[],
    numbers: &[],
    threads: 0,
};

#[cfg(all(test, unix))]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use crate::device::emulated::on_the_device;
    use crate::vectors::{self, PIECE, tensors};

    fn vector(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 10_007) as f64 / 5003.0 - 1.0).collect()
    }

    fn tensor(x: &[f64]) -> Tensor {
        Tensor::new(x, &Device::Cpu).expect("a tensor")
    }

    /// Slices on the host, tensors on the host, and tensors on the emulated device: the same digits, at every length.
    #[test]
    fn vectors_have_the_digits_of_the_host_wherever_they_lie() {
        for n in [1, 7, 8, 9, 127, 1000, PIECE - 1, PIECE, PIECE + 5, 3 * PIECE + 777] {
            let slices: Vec<Vec<f64>> = (1..6).map(|seed| vector(n, seed)).collect();
            let (x, held): (_, Vec<Tensor>) = (vector(n, 0), slices.iter().map(|v| tensor(v)).collect());
            let (basis, x_held): (Vec<&Tensor>, _) = (held.iter().collect(), tensor(&x));
            let numbers = [0.3, -1.7, 1e-3, 12.0, 0.1];
            let single = x_held.to_dtype(DType::F32).expect("a tensor");
            let mut less = x.clone();
            vectors::subtract(&slices, &numbers, &mut less);
            let all = || {
                let read = |x: crate::Result<Tensor>| x.expect("a vector").to_vec1::<f64>().expect("entries");
                (
                    tensors::coefficients(&basis, &x_held).expect("coefficients"),
                    tensors::norm(&x_held).expect("a norm"),
                    read(tensors::subtract(&basis, &numbers, &x_held)),
                    read(tensors::scale(&x_held, 0.7)),
                    read(tensors::multiply(basis[0], &x_held)),
                    [read(tensors::add(basis[0], 0.3, &x_held)), read(tensors::add(basis[0], 0.3, &single))],
                )
            };
            let (found, launched) = on_the_device(all);
            assert_eq!(found, all(), "{n} entries");
            assert_eq!(found.0, vectors::coefficients(&slices, &x), "{n} entries");
            assert!(found.1.to_bits() == vectors::norm(&x).to_bits() && found.2 == less, "{n} entries");
            for kernel in ["lane_sums", "piece_sums", "vector_sums", "subtract_vectors", "add_weighted"] {
                assert!(launched.contains(&format!("{kernel}_f64")), "{kernel} was not launched");
            }
        }
    }

    #[test]
    fn vectors_that_do_not_fit_together_are_refused() {
        let (short, long) = (tensor(&[1.0, 2.0]), tensor(&[1.0, 2.0, 3.0]));
        let single = short.to_dtype(DType::F32).expect("a tensor");
        assert!(tensors::coefficients(&[&long], &short).is_err());
        assert!(tensors::coefficients(&[&single], &short).is_err());
        assert!(tensors::subtract(&[&short], &[], &short).is_err());
        assert!(tensors::add(&short, 1.0, &long).is_err());
        assert_eq!(tensors::coefficients(&[], &short).expect("none"), Vec::<f64>::new());
    }
}
