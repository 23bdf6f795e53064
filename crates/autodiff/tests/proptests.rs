//! The laws of derivatives at shapes that nobody chose.
//!
//! The seed is fixed, so that a failure comes back; a larger `cases` searches further.

mod common;

use common::case::{Case, Numbers};
use common::cases::{conv_transpose2d, conv2d};
use common::checks;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::RngSeed;
use relief_autodiff::{ConvolutionOptions, PoolOptions, Value};

fn settings(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// What every draw must satisfy; a failure names the case, whose name holds the draw.
fn obeys_the_laws(case: &Case) {
    checks::gradient_is_the_slope_of_the_loss(case);
    checks::hessian_product_is_the_slope_of_the_gradient(case);
    checks::hessian_is_symmetric(case);
    checks::jacobian_products_are_slopes_and_adjoint(case);
    checks::third_product_is_the_slope_of_hessian_products(case);
}

/// Two numbers of one range: along rows and along columns.
fn pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

/// Options and the sizes that go with them: batch, channels per group on both sides, kernel.
fn convolutions() -> impl Strategy<Value = (ConvolutionOptions, usize, [usize; 2], [usize; 2])> {
    let options = (pair(1..=3), pair(0..=2), pair(1..=2), 1..=3_usize).prop_map(
        |(stride, padding, dilation, groups)| ConvolutionOptions { stride, padding, dilation, groups },
    );
    (options, 1..=3_usize, pair(1..=2), pair(1..=3))
}

/// A shape, and the same shape with leading axes dropped and others shortened to 1.
fn broadcasting(shape: Vec<usize>) -> impl Strategy<Value = Vec<usize>> {
    let rank = shape.len();
    (0..=rank, proptest::collection::vec(any::<bool>(), rank)).prop_map(move |(dropped, short)| {
        (dropped..rank).map(|i| if short[i] { 1 } else { shape[i] }).collect()
    })
}

fn shapes(
    rank: std::ops::RangeInclusive<usize>,
    length: std::ops::RangeInclusive<usize>,
) -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(length, rank)
}

/// Pooling of numbers without ties or near-ties.
fn pooled(
    name: String,
    x: [usize; 4],
    pool: impl Fn(&Value) -> relief_autodiff::Result<Value> + 'static,
) -> Case {
    // Small changes of numbers that lie far apart, magnified afterwards.
    Case::new(name, &[("x", &x)], move |t| pool(&t.p("x")?.scale(0.1)?.add(t.x(0))?)?.scale(10.0))
        .with(Numbers::Apart(0.02), &x)
}

proptest! {
    #![proptest_config(settings(256))]

    #[test]
    fn conv2d_of_any_shape((options, batch, [per_in, per_out], kernel) in convolutions(), room in pair(0..=3)) {
        let size = |i: usize| {
            let span = options.dilation[i] * (kernel[i] - 1) + 1;
            span.saturating_sub(2 * options.padding[i]).max(1) + room[i]
        };
        let x = [batch, per_in * options.groups, size(0), size(1)];
        let w = [per_out * options.groups, per_in, kernel[0], kernel[1]];
        obeys_the_laws(&conv2d(&format!("conv2d {x:?} {w:?} {options:?}"), x, w, options));
    }

    #[test]
    fn conv_transpose2d_of_any_shape(
        (mut options, batch, [per_in, per_out], kernel) in convolutions(),
        size in pair(1..=3),
        extra in pair(0..=2),
    ) {
        let output_padding = [extra[0] % options.stride[0], extra[1] % options.stride[1]];
        for i in 0..2 {
            let full = (size[i] - 1) * options.stride[i] + options.dilation[i] * (kernel[i] - 1) + output_padding[i];
            options.padding[i] = options.padding[i].min(full / 2);
        }
        let x = [batch, per_in * options.groups, size[0], size[1]];
        let w = [per_in * options.groups, per_out, kernel[0], kernel[1]];
        let name = format!("conv_transpose2d {x:?} {w:?} {options:?} {output_padding:?}");
        obeys_the_laws(&conv_transpose2d(&name, x, w, options, output_padding));
    }

    #[test]
    fn pools_of_any_shape(
        planes in pair(1..=2),
        kernel in pair(1..=3),
        stride in pair(1..=3),
        border in pair(0..=1),
        room in pair(0..=4),
        count_include_pad: bool,
        average: bool,
    ) {
        let padding = [border[0].min(kernel[0] / 2), border[1].min(kernel[1] / 2)];
        let x = [planes[0], planes[1], kernel[0] + room[0], kernel[1] + room[1]];
        let options = PoolOptions { kernel, stride, padding, count_include_pad };
        obeys_the_laws(&pooled(format!("pool {x:?} {options:?} {average}"), x, move |x| {
            if average { x.avg_pool2d(options) } else { x.max_pool2d(options) }
        }));
    }

    #[test]
    fn adaptive_pools_of_any_shape(planes in pair(1..=2), size in pair(1..=6), out in pair(1..=5), average: bool) {
        let x = [planes[0], planes[1], size[0], size[1]];
        obeys_the_laws(&pooled(format!("adaptive pool {x:?} {out:?} {average}"), x, move |x| {
            if average { x.adaptive_avg_pool2d(out) } else { x.adaptive_max_pool2d(out) }
        }));
    }

    #[test]
    fn matmul_of_any_shape(
        (left, right) in shapes(0..=2, 1..=3).prop_flat_map(|s| (broadcasting(s.clone()), broadcasting(s))),
        [m, k, n] in [1..=4_usize, 1..=4, 1..=4],
        [turn_left, turn_right] in [any::<bool>(), any::<bool>()],
    ) {
        let matrix = |batch: &[usize], rows: usize, columns: usize, turned: bool| -> Vec<usize> {
            let last = if turned { [columns, rows] } else { [rows, columns] };
            batch.iter().copied().chain(last).collect()
        };
        let (a, b) = (matrix(&left, m, k, turn_left), matrix(&right, k, n, turn_right));
        let name = format!("matmul {a:?} {turn_left} {b:?} {turn_right}");
        obeys_the_laws(&Case::new(name, &[("a", &a), ("b", &b)], move |t| {
            let side = |x: Value, turned: bool| if turned { x.t() } else { Ok(x) };
            side(t.p("a")?, turn_left)?.matmul(&side(t.p("b")?, turn_right)?)
        }));
    }

    #[test]
    fn broadcasts_of_any_shape(
        (a, b) in shapes(0..=4, 1..=3).prop_flat_map(|s| (broadcasting(s.clone()), broadcasting(s))),
        operation in 0..4_usize,
    ) {
        obeys_the_laws(&Case::new(format!("broadcast {a:?} {b:?} {operation}"), &[("a", &a), ("b", &b)], move |t| {
            let (a, b) = (t.p("a")?, t.p("b")?);
            match operation {
                0 => a.add(&b),
                1 => a.sub(&b),
                2 => a.mul(&b),
                _ => a.div(&b.sqr()?.affine(0.4, 0.5)?),
            }
        }));
    }

    #[test]
    fn reductions_over_any_axes(
        (shape, axes) in shapes(1..=4, 1..=3).prop_flat_map(|s| {
            let axes: Vec<usize> = (0..s.len()).collect();
            (Just(s), subsequence(axes.clone(), 0..=axes.len()))
        }),
        keep: bool,
    ) {
        obeys_the_laws(&Case::new(format!("reduce {shape:?} {axes:?} {keep}"), &[("x", &shape)], move |t| {
            let x = t.p("x")?.sin()?;
            if keep { x.sum_keepdim(&axes)?.mul(&x) } else { x.mean(&axes) }
        }));
    }

    #[test]
    fn normalisations_of_any_shape(
        kind in 0..4_usize,
        [batch, groups, width] in [2..=3_usize, 1..=2, 2..=3],
        inner in shapes(1..=2, 2..=3),
    ) {
        let channels = groups * width;
        let mut shape = vec![batch, channels];
        shape.extend(inner);
        let weights: Vec<usize> = match kind {
            0 => shape[2..].to_vec(),
            1 => vec![shape[shape.len() - 1]],
            _ => vec![channels],
        };
        let name = format!("norm {kind} {shape:?} {groups}");
        obeys_the_laws(&Case::new(name, &[("b", &weights), ("w", &weights), ("x", &shape)], move |t| {
            let (x, w, b) = (t.p("x")?, t.p("w")?, t.p("b")?);
            match kind {
                0 => x.layer_norm(x.rank() - 2, Some(&w), Some(&b), 0.1),
                1 => x.rms_norm(Some(&w), 0.1)?.add(&b),
                2 => x.group_norm(groups, Some(&w), Some(&b), 0.1),
                _ => x.batch_norm_train(Some(&w), Some(&b), 0.1),
            }
        }));
    }

    #[test]
    fn layouts_of_any_shape(
        (shape, order, axis) in shapes(1..=4, 1..=3).prop_flat_map(|s| {
            let axes: Vec<usize> = (0..s.len()).collect();
            (Just(s.clone()), Just(axes).prop_shuffle(), 0..s.len())
        }),
        other in 1..=3_usize,
        [start, length, step] in [0..=2_usize, 1..=3, 1..=3],
    ) {
        let mut second = shape.clone();
        second[axis] = other;
        let total = shape[axis] + other;
        let start = start.min(total - 1);
        let length = length.min(total - start);
        let name = format!("layout {shape:?} {order:?} {axis} {other} {start} {length} {step}");
        obeys_the_laws(&Case::new(name, &[("a", &shape), ("b", &second)], move |t| {
            let (a, b) = (t.p("a")?, t.p("b")?);
            let joined = Value::cat(&[&a, &b, &a.sin()?], axis)?;
            let part = joined.narrow(axis, start, length)?.pad_with_zeros(axis, 1, 2)?.add(&joined.narrow(axis, 0, 1)?)?;
            let permuted = part.permute(&order)?.stride(0, step)?;
            permuted.reshape(&[permuted.elem_count()])?.sin()
        }));
    }
}
