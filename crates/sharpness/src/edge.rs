//! Largest Hessian eigenvalues that training stays stable at.

/// 2/eta: gradient descent with step size eta on a quadratic is stable below (Cohen et al. 2021).
pub fn gradient_descent_edge(eta: f64) -> f64 {
    2.0 / eta
}

/// The SAM-edge (Long & Bartlett 2024, section 3): where gradient descent with step size eta on the gradient at
/// theta + rho g/|g| stops being stable on a quadratic, for a gradient of norm |g|. Always below 2/eta.
///
/// Written without the cancellation of the published form |g|/(2 rho) (sqrt(1 + 8 rho/(eta |g|)) - 1).
pub fn sam_edge(eta: f64, rho: f64, gradient_norm: f64) -> f64 {
    if rho == 0.0 {
        return gradient_descent_edge(eta);
    }
    gradient_descent_edge(eta) * 2.0 / (1.0 + (1.0 + 8.0 * rho / (eta * gradient_norm)).sqrt())
}

/// The same for the perturbation rho g, which is not divided by the gradient's norm (Agarwala & Dauphin 2023).
pub fn unnormalised_sam_edge(eta: f64, rho: f64) -> f64 {
    sam_edge(eta, rho, 1.0)
}
