//! What must hold for every operation: each test runs one law over the whole list of cases.

mod common;

use common::case::Case;
use common::cases::{cases, large_cases};
use common::checks;
use common::devices::devices;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a check on every case on every device and reports all that fail, not only the first.
fn for_every(cases: fn() -> Vec<Case>, check: fn(&Case)) {
    let mut failures = vec![];
    for device in devices() {
        for case in cases() {
            let case = case.on(device);
            if let Err(cause) = catch_unwind(AssertUnwindSafe(|| check(&case))) {
                let message = cause.downcast_ref::<String>().cloned();
                let message = message.unwrap_or_else(|| format!("{}: panicked", case.name));
                failures.push(format!("{:?}: {message}", device.location()));
            }
        }
    }
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn cases_have_names_of_their_own() {
    let cases = cases();
    let names: BTreeSet<_> = cases.iter().chain(&large_cases()).map(|case| case.name.clone()).collect();
    assert_eq!(names.len(), cases.len() + large_cases().len());
}

#[test]
fn gradient_is_the_slope_of_the_loss() {
    for_every(cases, checks::gradient_is_the_slope_of_the_loss);
}

#[test]
fn hessian_product_is_the_slope_of_the_gradient() {
    for_every(cases, checks::hessian_product_is_the_slope_of_the_gradient);
}

#[test]
fn hessian_is_symmetric() {
    for_every(cases, checks::hessian_is_symmetric);
}

#[test]
fn hessian_product_is_linear() {
    for_every(cases, checks::hessian_product_is_linear);
}

#[test]
fn block_products_are_single_products() {
    for_every(cases, checks::block_products_are_single_products);
}

#[test]
fn gauss_newton_product_splits_at_the_outputs() {
    for_every(cases, checks::gauss_newton_product_splits_at_the_outputs);
}

#[test]
fn jacobian_products_are_slopes_and_adjoint() {
    for_every(cases, checks::jacobian_products_are_slopes_and_adjoint);
}

#[test]
fn third_product_is_the_slope_of_hessian_products() {
    for_every(cases, checks::third_product_is_the_slope_of_hessian_products);
}

#[test]
fn single_precision_agrees() {
    for_every(cases, checks::single_precision_agrees);
}

#[test]
fn shared_passes_change_no_digit() {
    for_every(cases, checks::evaluation_has_the_digits_of_linearization);
    for_every(large_cases, checks::evaluation_has_the_digits_of_linearization);
}

#[test]
fn one_trainable_parameter_gives_a_block() {
    for_every(cases, checks::one_trainable_parameter_gives_a_block);
}

#[test]
fn large_sizes_obey_the_same_laws() {
    for_every(large_cases, |case| {
        checks::gradient_is_the_slope_of_the_loss(case);
        checks::hessian_product_is_the_slope_of_the_gradient(case);
        checks::hessian_is_symmetric(case);
        checks::gauss_newton_product_splits_at_the_outputs(case);
        checks::jacobian_products_are_slopes_and_adjoint(case);
    });
}
