//! Largest Hessian eigenvalues that training stays stable at.
//!
//! Each is derived on a quadratic: along an eigenvector of eigenvalue lambda the step is a linear map, and the edge is the lambda
//! at which its spectral radius reaches 1.

/// 2/eta: gradient descent with step size eta on a quadratic is stable below (Cohen et al. 2021).
pub fn gradient_descent_edge(eta: f64) -> f64 {
    2.0 / eta
}

/// (2 + 2 mu)/eta: the same with heavy-ball momentum mu, v <- mu v + g (Polyak 1964; Cohen et al. 2021).
pub fn heavy_ball_edge(eta: f64, momentum: f64) -> f64 {
    (2.0 + 2.0 * momentum) / eta
}

/// (2 + 2 mu)/(eta (1 + 2 mu)): the same with Nesterov's momentum, where the step is g + mu v (same paper).
pub fn nesterov_edge(eta: f64, momentum: f64) -> f64 {
    heavy_ball_edge(eta, momentum) / (1.0 + 2.0 * momentum)
}

/// (2 + 2 beta1)/((1 - beta1) eta): Adam's edge for the largest eigenvalue of P^-1/2 H P^-1/2, P its preconditioner, taken
/// as constant (Cohen et al. 2022). 38/eta at beta1 = 0.9.
pub fn adam_edge(eta: f64, beta1: f64) -> f64 {
    heavy_ball_edge(eta, beta1) / (1.0 - beta1)
}

/// The SAM-edge (Long & Bartlett 2024, section 3): where gradient descent with step size eta on the gradient at
/// theta + rho g/|g| stops being stable on a quadratic, for a gradient of norm |g|. Always below 2/eta.
pub fn sam_edge(eta: f64, rho: f64, gradient_norm: f64) -> f64 {
    sam_edge_below(gradient_descent_edge(eta), rho, gradient_norm)
}

/// The same for the perturbation rho g, which is not divided by the gradient's norm (Agarwala & Dauphin 2023).
pub fn unnormalised_sam_edge(eta: f64, rho: f64) -> f64 {
    sam_edge(eta, rho, 1.0)
}

/// The SAM-edge of an optimiser whose own edge is `edge`: the lambda with lambda (1 + rho lambda/|g|) = `edge`.
///
/// The perturbation turns the gradient lambda w along an eigenvector into lambda (1 + rho lambda/|g|) w, with |g| taken as constant, so
/// that every optimiser whose step is linear in gradients is stable as long as that factor lies below its own edge. With
/// momentum this is an extension of Long & Bartlett's formula, which is for gradient descent. It does not extend to Adam, whose
/// preconditioner does not commute with the Hessian.
///
/// Written without the cancellation of the published form |g|/(2 rho) (sqrt(1 + 8 rho/(eta |g|)) - 1).
pub fn sam_edge_below(edge: f64, rho: f64, gradient_norm: f64) -> f64 {
    if rho == 0.0 {
        return edge;
    }
    edge * 2.0 / (1.0 + (1.0 + 4.0 * rho * edge / gradient_norm).sqrt())
}
