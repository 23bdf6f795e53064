//! What a probe found.

use relief_hessian::{EigenPair, Status, TraceEstimate};

use super::Setting;
use crate::alignment::{Alignment, HessianGradient};
use crate::edge::{adam_edge, gradient_descent_edge, heavy_ball_edge, nesterov_edge, sam_edge_below};
use crate::kernel_norm::MeasuredKernelNorm;
use crate::noise::MeasuredNoise;
use crate::phantom::Phantom;

/// What a probe found at a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// The mean loss over all examples, with its weight decay term.
    pub loss: f64,
    /// |g| of its gradient g.
    pub gradient_norm: f64,
    /// The largest eigenvalues of the Hessian, descending.
    pub eigenvalues: Vec<EigenPair>,
    /// How their search ended.
    pub status: Status,
    /// The largest eigenvalue of Adam's P^-1/2 H P^-1/2.
    pub preconditioned: Option<EigenPair>,
    /// The trace of the Hessian.
    pub trace: Option<TraceEstimate>,
    /// Eigenvalues at which training stops being stable.
    pub edges: Edges,
    /// How the gradient lies to the top eigenvectors.
    pub gradient: Option<Alignment>,
    /// How the sharpness-aware perturbation does.
    pub perturbation: Option<Alignment>,
    /// How the gradient at the perturbed point does.
    pub perturbed_gradient: Option<Alignment>,
    /// How the gradient lies to the Hessian.
    pub hessian_gradient: Option<HessianGradient>,
    /// Third derivatives.
    pub third: ThirdOrder,
    /// What the noise of mini-batches does.
    pub noise: Option<MeasuredNoise>,
    /// Whether it destabilises training.
    pub kernel_norm: Option<MeasuredKernelNorm>,
    /// How evenly examples weigh in the gradient.
    pub phantom: Option<Phantom>,
    /// Matrix-vector products over the whole data set, besides those on mini-batches.
    pub products: usize,
    /// Gradients over the whole data set, besides those on mini-batches.
    pub gradients: usize,
    /// What the next probe may start from: the Hessian's eigenvectors, then that of P^-1/2 H P^-1/2 where there is one.
    pub vectors: Vec<Vec<f64>>,
}

/// Largest eigenvalues at which training is stable on a quadratic, as far as they are known. Of Adam's edge the matrix is
/// P^-1/2 H P^-1/2, of the others the Hessian.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Edges {
    /// 2/eta.
    pub gradient_descent: Option<f64>,
    /// With momentum, where there is any.
    pub momentum: Option<f64>,
    /// Of Adam.
    pub adam: Option<f64>,
    /// With the sharpness-aware perturbation, and momentum where there is any.
    pub sam: Option<f64>,
}

impl Edges {
    /// What follows from the setting at a point whose gradient has this norm.
    pub fn new(setting: &Setting<'_>, gradient_norm: f64) -> Self {
        let Some(eta) = setting.eta else { return Self::default() };
        if let Some(adam) = setting.adam {
            return Self { adam: Some(adam_edge(eta, adam.beta1)), ..Self::default() };
        }
        let gradient_descent = gradient_descent_edge(eta);
        let momentum = (setting.momentum > 0.0).then(|| {
            let edge = if setting.nesterov { nesterov_edge } else { heavy_ball_edge };
            edge(eta, setting.momentum)
        });
        let sam = setting.rho.filter(|rho| *rho > 0.0).map(|rho| {
            let length = if setting.unnormalised { 1.0 } else { gradient_norm };
            sam_edge_below(momentum.unwrap_or(gradient_descent), rho, length)
        });
        Self { gradient_descent: Some(gradient_descent), momentum, adam: None, sam }
    }

    /// The one that holds for the training at hand.
    pub fn binding(&self) -> Option<f64> {
        self.adam.or(self.sam).or(self.momentum).or(self.gradient_descent)
    }
}

/// Third derivatives D3f(u, u), a vector, of the loss f.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ThirdOrder {
    /// |D3f(epsilon, epsilon)|/2 of the perturbation epsilon: the size of what the gradient at theta + epsilon has in second order
    /// of epsilon.
    pub perturbation: Option<f64>,
    /// The part of that vector along the gradient's direction.
    pub perturbation_along_gradient: Option<f64>,
    /// D3f(v, v) along the gradient's direction, v the first eigenvector: where the largest eigenvalue is simple, its slope in that
    /// direction. Gradient descent raises the eigenvalue where this is negative.
    pub largest_along_gradient: Option<f64>,
}

impl Probed {
    /// Largest eigenvalue over the edge that binds: 1 at the edge of stability.
    pub fn distance(&self) -> Option<f64> {
        let pair = self.preconditioned.as_ref().or(self.eigenvalues.first())?;
        Some(pair.value / self.edges.binding()?)
    }

    /// All that is known, by the tags of `metrics.jsonl`. What is not known is left out; a number may be infinite.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let mut list = vec![];
        let mut put =
            |tag: &str, value: Option<f64>| list.extend(value.map(|value| (tag.to_string(), value)));
        put("loss/train", Some(self.loss));
        put("gradient/norm", Some(self.gradient_norm));
        for (i, pair) in self.eigenvalues.iter().enumerate() {
            put(&format!("hessian/lambda_{}", i + 1), Some(pair.value));
        }
        let first = self.eigenvalues.first();
        put("hessian/lambda_1_bound", first.map(|pair| pair.error_bound));
        put("hessian/lambda_1_over_loss", first.map(|pair| pair.value / self.loss));
        put("hessian/preconditioned_lambda_1", self.preconditioned.as_ref().map(|pair| pair.value));
        put(
            "hessian/preconditioned_lambda_1_bound",
            self.preconditioned.as_ref().map(|pair| pair.error_bound),
        );
        put("hessian/trace", self.trace.as_ref().map(|trace| trace.value));
        put("hessian/trace_error", self.trace.as_ref().map(|trace| trace.error_estimate));
        put("edge/gd", self.edges.gradient_descent);
        put("edge/momentum", self.edges.momentum);
        put("edge/adam", self.edges.adam);
        put("edge/sam", self.edges.sam);
        put("edge/distance", self.distance());
        for (name, alignment) in
            [("g", self.gradient), ("eps", self.perturbation), ("sg", self.perturbed_gradient)]
        {
            put(&format!("align/{name}_v1"), alignment.map(|a| a.first));
            put(&format!("align/{name}_v1_bound"), alignment.and_then(|a| a.first_bound));
            put(&format!("align/{name}_top"), alignment.map(|a| a.top));
            put(&format!("align/{name}_top_bound"), alignment.and_then(|a| a.top_bound));
        }
        put("align/hessian_gradient", self.hessian_gradient.map(|h| h.cosine));
        put("gradient/curvature", self.hessian_gradient.map(|h| h.rayleigh));
        put("third/perturbation", self.third.perturbation);
        put("third/perturbation_along_gradient", self.third.perturbation_along_gradient);
        put("third/lambda_1_along_gradient", self.third.largest_along_gradient);
        if let Some(noise) = &self.noise {
            put("noise/batch_sharpness", Some(noise.batch_sharpness.value));
            put("noise/batch_sharpness_error", noise.batch_sharpness.standard_error);
            put("noise/batch_sharpness_of_means", Some(noise.ratio_of_means.value));
            put("noise/gni", noise.interaction.map(|mean| mean.value));
            put("noise/gni_error", noise.interaction.and_then(|mean| mean.standard_error));
            put("noise/scale", noise.scale.map(|mean| mean.value));
            put("noise/scale_error", noise.scale.and_then(|mean| mean.standard_error));
            let scale = self.hessian_gradient.and_then(|h| noise.hessian_scale(h.rayleigh));
            put("noise/hessian_scale", scale.map(|mean| mean.value));
            put("noise/hessian_scale_error", scale.and_then(|mean| mean.standard_error));
            put("noise/draws", Some(noise.draws as f64));
        }
        put("noise/kernel_norm", self.kernel_norm.map(|norm| norm.value));
        put("noise/kernel_norm_error", self.kernel_norm.and_then(|norm| norm.standard_error));
        put("phantom/gini_at_point", self.phantom.map(|phantom| phantom.at_point));
        put("phantom/gini_at_phantom", self.phantom.map(|phantom| phantom.at_phantom));
        put("work/products", Some(self.products as f64));
        put("work/gradients", Some(self.gradients as f64));
        list
    }
}
