//! What must hold for every operation, whatever it computes.

use candle_core::Tensor;

use super::case::{Case, single};
use super::vectors::{combine, difference, distance, dot, entries, flat, norm};

/// Step of differences: with four points its error is far below that of rounding, and kinks stay out of reach.
const STEP: f64 = 1e-4;

/// Fails unless `found` is `expected` to a relative tolerance, and `expected` is large enough to mean something.
#[track_caller]
fn close(case: &Case, what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    let error = distance(found, expected);
    assert!(error <= tolerance, "{}: {what} is off by {error:.1e} (relative)", case.name);
    let largest = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    assert!(largest > 1e-6, "{}: {what} is nearly zero, so the case tests nothing", case.name);
}

/// The gradient against differences of the loss: along every axis, or along one direction where there are many.
pub(crate) fn gradient_is_the_slope_of_the_loss(case: &Case) {
    const MANY: usize = 200;
    let graph = case.graph(|_| true);
    let point = case.point(&graph);
    let linearized = case.at(&graph, &point);
    let loss = case.value(&graph, &point);
    close(case, "the loss of `linearize`", &[linearized.loss()], &[loss], 1e-15);
    let gradient = flat(linearized.gradient());
    let slope = |v: &[Tensor]| {
        let at = |s: f64| vec![case.value(&graph, &combine(1.0, &point, s, v))];
        difference(STEP, at)[0]
    };
    if gradient.len() > MANY {
        let v = case.direction(&graph, "v");
        let scale = norm(linearized.gradient());
        let error = (slope(&v) - dot(linearized.gradient(), &v)).abs() / (scale * norm(&v));
        assert!(error <= 1e-9, "{}: the gradient is off by {error:.1e} (relative)", case.name);
        return;
    }
    let zero = combine(0.0, &point, 0.0, &point);
    let mut expected = vec![];
    for (i, tensor) in zero.iter().enumerate() {
        for entry in 0..tensor.elem_count() {
            let mut unit = vec![0.0; tensor.elem_count()];
            unit[entry] = 1.0;
            let mut axis = zero.clone();
            axis[i] = Tensor::from_vec(unit, tensor.dims(), tensor.device()).expect("shaped");
            expected.push(slope(&axis));
        }
    }
    close(case, "the gradient", &gradient, &expected, 1e-8);
}

/// An evaluation, which joins passes over memory, gives the very numbers of a linearization, which does not.
pub(crate) fn evaluation_has_the_digits_of_linearization(case: &Case) {
    let graph = case.graph(|_| true);
    let point = case.point(&graph);
    for point in [single(&point), point] {
        let linearized = case.at(&graph, &point);
        let (kept, batch) = (linearized.outputs().expect("outputs"), case.batch(&graph));
        let evaluated = graph.evaluate(&case.placed(&point), &case.frozen(&graph), &batch).expect("a value");
        let [found, expected] = [&evaluated.outputs, kept].map(entries);
        assert_eq!(found, expected, "{}: the outputs differ", case.name);
        assert_eq!(evaluated.loss.to_bits(), linearized.loss().to_bits(), "{}: the loss differs", case.name);
    }
}

/// H v against differences of gradients.
pub(crate) fn hessian_product_is_the_slope_of_the_gradient(case: &Case) {
    let graph = case.graph(|_| true);
    let point = case.point(&graph);
    let v = case.direction(&graph, "v");
    let found = case.at(&graph, &point).hessian_product(&v).expect("a product");
    let at = |s: f64| flat(case.at(&graph, &combine(1.0, &point, s, &v)).gradient());
    close(case, "H v", &flat(&found), &difference(STEP, at), 1e-8);
}

/// u'Hv = v'Hu.
pub(crate) fn hessian_is_symmetric(case: &Case) {
    let linearized = case.linearized();
    let (u, v) = (case.direction(linearized.graph(), "u"), case.direction(linearized.graph(), "v"));
    let (hu, hv) = (linearized.hessian_product(&u), linearized.hessian_product(&v));
    let (hu, hv) = (hu.expect("a product"), hv.expect("a product"));
    let error = (dot(&u, &hv) - dot(&v, &hu)).abs() / (norm(&u) * norm(&hv));
    assert!(error <= 1e-12, "{}: u'Hv and v'Hu differ by {error:.1e} (relative)", case.name);
}

/// H (a u + b v) = a H u + b H v.
pub(crate) fn hessian_product_is_linear(case: &Case) {
    let linearized = case.linearized();
    let (u, v) = (case.direction(linearized.graph(), "u"), case.direction(linearized.graph(), "v"));
    let product = |v: &[Tensor]| linearized.hessian_product(v).expect("a product");
    let found = product(&combine(0.7, &u, -1.9, &v));
    let expected = combine(0.7, &product(&u), -1.9, &product(&v));
    close(case, "H (a u + b v)", &flat(&found), &flat(&expected), 1e-11);
}

/// A block of products has the digits of one product after the other, for the Hessian and Gauss-Newton.
pub(crate) fn block_products_are_single_products(case: &Case) {
    let linearized = case.linearized();
    let block: Vec<_> = ["u", "v", "w"].map(|label| case.direction(linearized.graph(), label)).into();
    let bits = |v: &[Tensor]| flat(v).into_iter().map(f64::to_bits).collect::<Vec<_>>();
    let hessian = linearized.hessian_products(&block).expect("a product");
    let gauss_newton = linearized.gauss_newton_products(&block).expect("a product");
    assert_eq!((hessian.len(), gauss_newton.len()), (3, 3), "{}", case.name);
    for (i, v) in block.iter().enumerate() {
        let one = linearized.hessian_product(v).expect("a product");
        assert!(bits(&hessian[i]) == bits(&one), "{}: H v differs in a block", case.name);
        let one = linearized.gauss_newton_product(v).expect("a product");
        assert!(bits(&gauss_newton[i]) == bits(&one), "{}: G v differs in a block", case.name);
    }
}

/// G is symmetric and positive semidefinite, and equals J'(H of the loss in the outputs) J.
pub(crate) fn gauss_newton_product_splits_at_the_outputs(case: &Case) {
    let linearized = case.linearized();
    let graph = linearized.graph();
    let (u, v) = (case.direction(graph, "u"), case.direction(graph, "v"));
    let product = |v: &[Tensor]| linearized.gauss_newton_product(v).expect("a product");
    let (gu, gv) = (product(&u), product(&v));
    let error = (dot(&u, &gv) - dot(&v, &gu)).abs() / (norm(&u) * norm(&gv));
    assert!(error <= 1e-12, "{}: u'Gv and v'Gu differ by {error:.1e} (relative)", case.name);
    for (w, gw) in [(&u, &gu), (&v, &gv)] {
        let curvature = dot(w, gw);
        let floor = -1e-12 * norm(w) * norm(gw);
        assert!(curvature >= floor, "{}: v'Gv is {curvature:.1e}", case.name);
    }
    let outputs = linearized.outputs().expect("outputs").clone();
    let head = case.head(outputs.dims());
    let head =
        head.linearize(&case.placed(&[outputs]), &std::collections::BTreeMap::new(), &case.batch(graph));
    let head = head.unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let jv = linearized.jvp(&v).expect("a product");
    let curved = head.hessian_product(&[jv]).expect("a product");
    let expected = linearized.vjp(&curved[0]).expect("a product");
    close(case, "G v", &flat(&gv), &flat(&expected), 1e-11);
    // The chain rule of the gradient splits at the same place.
    let expected = linearized.vjp(&head.gradient()[0]).expect("a product");
    close(case, "J' (dloss / doutputs)", &flat(linearized.gradient()), &flat(&expected), 1e-12);
}

/// J v against differences of the outputs, and u'(J v) = v'(J'u).
pub(crate) fn jacobian_products_are_slopes_and_adjoint(case: &Case) {
    let graph = case.graph(|_| true);
    let point = case.point(&graph);
    let v = case.direction(&graph, "v");
    let linearized = case.at(&graph, &point);
    let jv = linearized.jvp(&v).expect("a product");
    assert_eq!(jv.dims(), graph.output_shape(), "{}: shape of J v", case.name);
    let at = |s: f64| entries(case.at(&graph, &combine(1.0, &point, s, &v)).outputs().expect("outputs"));
    close(case, "J v", &entries(&jv), &difference(STEP, at), 1e-8);
    // Any vector over the outputs will do; this one depends on nothing but its length.
    let u: Vec<f64> = (0..jv.elem_count()).map(|i| ((i * i) as f64 + 0.3).sin()).collect();
    let u = Tensor::from_vec(u, jv.dims(), jv.device()).expect("shaped");
    let ju = linearized.vjp(&u).expect("a product");
    let (u, jv) = ([u], [jv]);
    let error = (dot(&u, &jv) - dot(&v, &ju)).abs() / (norm(&u) * norm(&jv));
    assert!(error <= 1e-12, "{}: u'(Jv) and v'(J'u) differ by {error:.1e} (relative)", case.name);
}

/// The third derivative against differences of H v, and its symmetry.
pub(crate) fn third_product_is_the_slope_of_hessian_products(case: &Case) {
    let graph = case.graph(|_| true);
    let point = case.point(&graph);
    let (u, v) = (case.direction(&graph, "u"), case.direction(&graph, "v"));
    let linearized = case.at(&graph, &point);
    let found = flat(&linearized.third_product(&u, &v).expect("a product"));
    let at =
        |s: f64| flat(&case.at(&graph, &combine(1.0, &point, s, &u)).hessian_product(&v).expect("a product"));
    close(case, "the third derivative", &found, &difference(STEP, at), 1e-7);
    let exchanged = flat(&linearized.third_product(&v, &u).expect("a product"));
    close(case, "the third derivative in exchanged directions", &found, &exchanged, 1e-11);
}

/// Loss, gradient and products in single precision are those in double precision, rounded.
pub(crate) fn single_precision_agrees(case: &Case) {
    let graph = case.graph(|_| true);
    let (point, v) = (case.point(&graph), case.direction(&graph, "v"));
    let w = case.direction(&graph, "u");
    let double = case.at(&graph, &point);
    let float = case.at(&graph, &single(&point));
    let products = [&double, &float].map(|l| {
        let (u, v) =
            (l.hessian_product(&v).expect("a product"), l.gauss_newton_product(&v).expect("a product"));
        let third = l.third_product(&w, &v).expect("a product");
        for t in l.gradient().iter().chain(&u).chain(&v).chain(&third) {
            assert_eq!(t.dtype(), l.outputs().expect("outputs").dtype(), "{}", case.name);
        }
        (flat(&u), flat(&v), flat(&third))
    });
    let [(h, g, t), (h32, g32, t32)] = products;
    close(case, "the loss in f32", &[float.loss()], &[double.loss()], 1e-5);
    close(case, "the gradient in f32", &flat(float.gradient()), &flat(double.gradient()), 1e-4);
    close(case, "H v in f32", &h32, &h, 1e-4);
    close(case, "G v in f32", &g32, &g, 1e-4);
    close(case, "the third derivative in f32", &t32, &t, 1e-3);
}

/// With one parameter trainable alone, gradient and products are the full ones' part for that parameter.
pub(crate) fn one_trainable_parameter_gives_a_block(case: &Case) {
    let full = case.linearized();
    for (i, name) in full.graph().parameter_names().enumerate() {
        let graph = case.graph(|n| n == name);
        let part = case.at(&graph, &case.point(&graph));
        let v = case.direction(&graph, "v");
        let mut padded: Vec<_> = full.gradient().iter().map(|g| g.zeros_like().expect("zeros")).collect();
        padded[i] = v[0].clone();
        let agree = |what: &str, found: &[Tensor], expected: &[Tensor]| {
            let error = distance(&flat(found), &entries(&expected[i]));
            // A bias may have an exactly vanishing block; both sides are then rounding.
            let vanishes = norm(&expected[i..=i]) < 1e-12 && norm(found) < 1e-12;
            let case = &case.name;
            assert!(vanishes || error <= 1e-11, "{case}: {what} in `{name}` alone is off by {error:.1e}");
        };
        agree("the gradient", part.gradient(), full.gradient());
        let product =
            |l: &relief_autodiff::Linearized, v: &[Tensor]| l.hessian_product(v).expect("a product");
        agree("H v", &product(&part, &v), &product(&full, &padded));
        let product =
            |l: &relief_autodiff::Linearized, v: &[Tensor]| l.gauss_newton_product(v).expect("a product");
        agree("G v", &product(&part, &v), &product(&full, &padded));
        let product =
            |l: &relief_autodiff::Linearized, v: &[Tensor]| l.third_product(v, v).expect("a product");
        agree("the third derivative", &product(&part, &v), &product(&full, &padded));
    }
}
