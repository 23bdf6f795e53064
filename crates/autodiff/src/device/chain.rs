//! Entry-by-entry operations that share a pass over memory, as one kernel.
//!
//! The text of a kernel follows from the operations and from which leaves are repeated, not from sizes or constants, so that a
//! network has few, and a text is compiled once. Digits are those of the operations one after the other.

use candle_core::Tensor;
use parking_lot::Mutex;
use std::fmt::Write;

use super::{Call, INPUTS, NUMBERS, pointwise};
use crate::Result;
use crate::kernels::chain::{Operand, Step};
use crate::kernels::channels::View;

/// The texts of all chains so far; a chain's module is called after its place.
static TEXTS: Mutex<Vec<String>> = Mutex::new(vec![]);
/// How a chain's module is called, before its place.
const NAME: &str = "chain_";

/// The last step's result for all entries of a tensor of shape `dims`, given contiguous leaves: whole ones, or smaller ones that are
/// repeated as their views say. The last leaf has the pieces, if steps read any.
pub(crate) fn chain(steps: &[Step], leaves: &[(Tensor, Option<View>)], dims: &[usize]) -> Result<Tensor> {
    let repeated: Vec<bool> = leaves.iter().map(|(_, view)| view.is_some()).collect();
    let (Some((body, numbers)), Some(sizes)) = (body(steps, &repeated), sizes(leaves)) else {
        return one_by_one(steps, leaves, dims);
    };
    let kernel = name_of(&body);
    let inputs: Vec<&Tensor> = leaves.iter().map(|(leaf, _)| leaf).collect();
    let real = inputs[0].dtype();
    let (kernel, outputs) = (kernel.as_str(), [real]);
    Call {
        module: kernel,
        kernel,
        inputs: &inputs,
        shape: dims,
        outputs: &outputs,
        sizes: &sizes,
        numbers: &numbers,
        threads: 0,
    }
    .one(real)
}

/// The text of a module that [`chain`] made.
#[cfg(any(feature = "cuda", all(test, unix)))]
pub(super) fn text(module: &str) -> Option<String> {
    let place: usize = module.strip_prefix(NAME)?.parse().ok()?;
    Some(format!("KERNEL({module})\n{}", TEXTS.lock().get(place)?))
}

fn name_of(body: &str) -> String {
    let mut texts = TEXTS.lock();
    let place = texts.iter().position(|known| known == body).unwrap_or_else(|| {
        texts.push(body.to_owned());
        texts.len() - 1
    });
    format!("{NAME}{place}")
}

/// outer, channel and inner of every leaf; none where there are more leaves than kernels read.
fn sizes(leaves: &[(Tensor, Option<View>)]) -> Option<Vec<usize>> {
    let of = |view: &Option<View>| view.map_or([1; 3], |view| [view.outer, view.channel, view.inner]);
    (leaves.len() <= INPUTS).then(|| leaves.iter().flat_map(|(_, view)| of(view)).collect())
}

/// A kernel's body and its constants; none where a function has no kernel, or there are too many constants.
fn body(steps: &[Step], repeated: &[bool]) -> Option<(String, Vec<f64>)> {
    let (mut text, mut numbers) = (String::from("{\n    EACH(i)\n    {\n"), vec![]);
    for (k, &repeated) in repeated.iter().enumerate() {
        let [outer, channel, inner] = [3 * k, 3 * k + 1, 3 * k + 2].map(|at| format!("SIZE({at})"));
        let at = format!("i / ({inner} * {channel} * {outer}) * {channel} + i / {inner} % {channel}");
        let at = if repeated { at.as_str() } else { "i" };
        writeln!(text, "        REAL g{k} = IN({k})[{at}];").ok()?;
    }
    let read = |operand: Operand| match operand {
        Operand::Given(leaf) => format!("g{leaf}"),
        Operand::Piece => format!("g{}", repeated.len() - 1),
        Operand::Step(step) => format!("s{step}"),
    };
    for (k, step) in steps.iter().enumerate() {
        let value = match step {
            Step::Sum([a, b]) => format!("{} + {}", read(*a), read(*b)),
            Step::Difference([a, b]) => format!("{} - {}", read(*a), read(*b)),
            Step::Product([a, b]) => format!("{} * {}", read(*a), read(*b)),
            Step::Scale(x, factor) => {
                numbers.push(*factor);
                format!("(REAL)NUMBER({}) * {}", numbers.len() - 1, read(*x))
            }
            Step::Map(x, rule) => {
                let (p, q) = (numbers.len(), numbers.len() + 1);
                numbers.extend(rule.kernel_constants()?);
                let call = format!("(d{k}, (double){}, NUMBER({p}), NUMBER({q}));", read(*x));
                writeln!(text, "        double d{k}[4];\n        NAME(taylor_{}){call}", rule.name()).ok()?;
                format!("(REAL)d{k}[0]")
            }
        };
        writeln!(text, "        REAL s{k} = {value};").ok()?;
    }
    writeln!(text, "        OUT(0)[i] = s{};\n    }}\n}}", steps.len() - 1).ok()?;
    (numbers.len() <= NUMBERS).then_some((text, numbers))
}

/// The same, an operation at a time.
fn one_by_one(steps: &[Step], leaves: &[(Tensor, Option<View>)], dims: &[usize]) -> Result<Tensor> {
    let whole = |(leaf, view): &(Tensor, Option<View>)| -> Result<Tensor> {
        let Some(v) = view else { return Ok(leaf.clone()) };
        let repeated = leaf.reshape((v.repeat, 1, v.channel, 1))?;
        let repeated = repeated.broadcast_as((v.repeat, v.outer, v.channel, v.inner))?;
        Ok(repeated.contiguous()?.reshape(dims)?)
    };
    let leaves = leaves.iter().map(whole).collect::<Result<Vec<_>>>()?;
    let mut results: Vec<Tensor> = vec![];
    for step in steps {
        let read = |operand: &Operand| match *operand {
            Operand::Given(leaf) => &leaves[leaf],
            Operand::Piece => &leaves[leaves.len() - 1],
            Operand::Step(step) => &results[step],
        };
        let result = match step {
            Step::Sum([a, b]) => pointwise::plus(read(a), read(b))?,
            Step::Difference([a, b]) => pointwise::plus(read(a), &pointwise::times(-1.0, read(b))?)?,
            Step::Product([a, b]) => pointwise::sum_of_products(&[(read(a), read(b))])?,
            Step::Scale(x, factor) => pointwise::times(*factor, read(x))?,
            Step::Map(x, rule) => pointwise::map(rule.as_ref(), 0, read(x))?,
        };
        results.push(result);
    }
    results.pop().ok_or_else(|| crate::Error::Unavailable("a chain of no operations has no result".into()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::device::emulated::on_the_device;
    use crate::rule::Elementwise;
    use candle_core::{DType, Device};
    use std::sync::Arc;

    /// Leaky ReLU, which has a constant.
    #[derive(Debug)]
    struct Leaky(f64);

    impl Elementwise for Leaky {
        fn name(&self) -> &'static str {
            "leaky_relu"
        }

        fn derivative(&self, order: usize, x: f64) -> f64 {
            let slope = if x > 0.0 { 1.0 } else { self.0 };
            [slope * x, slope, 0.0, 0.0][order]
        }

        fn kernel_constants(&self) -> Option<[f64; 2]> {
            Some([self.0, 0.0])
        }
    }

    fn leaf(dtype: DType, shape: &[usize], large: &[usize], from: usize) -> (Tensor, Option<View>) {
        let entries: Vec<f64> =
            (0..shape.iter().product()).map(|k| ((from + k) as f64 * 0.7311).sin()).collect();
        let tensor = Tensor::from_vec(entries, shape, &Device::Cpu).and_then(|t| t.to_dtype(dtype));
        let view = (shape != large).then(|| View::new(shape, large).expect("a view"));
        (tensor.expect("a leaf"), view)
    }

    fn entries(result: Result<Tensor>) -> Vec<f64> {
        let flat = result.and_then(|t| Ok(t.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?));
        flat.expect("entries")
    }

    /// Scale and shift of channels, a residual, a difference and two functions, as after a convolution.
    fn steps() -> Vec<Step> {
        use Operand::{Given, Piece, Step as Earlier};
        vec![
            Step::Product([Given(0), Given(1)]),
            Step::Sum([Earlier(0), Given(2)]),
            Step::Map(Earlier(1), Arc::new(Leaky(0.1))),
            Step::Scale(Piece, 0.3),
            Step::Difference([Earlier(2), Earlier(3)]),
            Step::Product([Earlier(4), Earlier(4)]),
            Step::Map(Earlier(5), Arc::new(Leaky(-0.7))),
        ]
    }

    #[test]
    fn a_chain_has_the_digits_of_its_operations_one_after_the_other() {
        for dtype in [DType::F32, DType::F64] {
            // Channels last, channels first, and a tensor that is repeated over examples.
            for (dims, small) in
                [([2, 5, 7, 3], [1, 1, 1, 3]), ([2, 3, 5, 7], [1, 3, 1, 1]), ([4, 3, 5, 7], [1, 3, 5, 7])]
            {
                let leaves = [
                    leaf(dtype, &dims, &dims, 0),
                    leaf(dtype, &small, &dims, 1000),
                    leaf(dtype, &small, &dims, 2000),
                    leaf(dtype, &dims, &dims, 3000),
                ];
                let (fused, launched) = on_the_device(|| entries(chain(&steps(), &leaves, &dims)));
                let (apart, more) = on_the_device(|| entries(one_by_one(&steps(), &leaves, &dims)));
                assert_eq!(fused, apart, "{dims:?}");
                assert!(
                    launched.len() == 1 && launched.iter().all(|name| name.starts_with(NAME)),
                    "{launched:?}"
                );
                assert!(more.len() > 3);
                // Against the formula, in the precision of the numbers.
                let at = |k: usize, i: usize| {
                    let ([_, a, b, c], [_, p, q, r]) = (dims, small);
                    let place = [i / (b * c) % a, i / c % b, i % c];
                    let place = [p, q, r]
                        .iter()
                        .zip(place)
                        .fold(0, |at, (&n, i)| at * n + if n == 1 { 0 } else { i });
                    ((1000 * k + place) as f64 * 0.7311).sin()
                };
                let full = |k: usize, i: usize| ((1000 * k + i) as f64 * 0.7311).sin();
                for (i, &found) in fused.iter().enumerate() {
                    let x = full(0, i) * at(1, i) + at(2, i);
                    let x = if x > 0.0 { x } else { 0.1 * x } - 0.3 * full(3, i);
                    let error = (found - x * x).abs();
                    assert!(
                        error < if dtype == DType::F32 { 1e-6 } else { 1e-14 },
                        "entry {i} is off by {error:.1e}"
                    );
                }
            }
        }
    }

    #[test]
    fn chains_of_one_form_share_a_kernel() {
        let run = |factor: f64, dims: [usize; 2]| {
            let leaves = [leaf(DType::F64, &dims, &dims, 0), leaf(DType::F64, &[1, dims[1]], &dims, 9)];
            let steps =
                [Step::Sum([Operand::Given(0), Operand::Given(1)]), Step::Scale(Operand::Step(0), factor)];
            on_the_device(|| entries(chain(&steps, &leaves, &dims))).1
        };
        assert_eq!(run(0.5, [2, 3]), run(-1.5, [4, 5]));
    }

    #[test]
    fn chains_that_no_kernel_takes_are_computed_one_by_one() {
        let dims = [3, 4];
        let leaves: Vec<_> = (0..=INPUTS).map(|k| leaf(DType::F64, &dims, &dims, 100 * k)).collect();
        let mut steps = vec![Step::Sum([Operand::Given(0), Operand::Given(1)])];
        steps.extend((2..=INPUTS).map(|k| Step::Sum([Operand::Step(k - 2), Operand::Given(k)])));
        let (found, launched) = on_the_device(|| entries(chain(&steps, &leaves, &dims)));
        assert!(launched.contains("add_f64") && launched.len() == 1, "{launched:?}");
        for (i, found) in found.iter().enumerate() {
            let expected: f64 = (0..=INPUTS).map(|k| ((100 * k + i) as f64 * 0.7311).sin()).sum();
            assert!((found - expected).abs() < 1e-14);
        }
    }
}
