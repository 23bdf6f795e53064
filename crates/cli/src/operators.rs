//! The matrix that a command looks at.

use clap::{Args, ValueEnum};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use relief_hessian::{
    Curvature, Error, Matrix, Objective, OuterProducts, RankOne, SymmetricOperator, TangentKernel,
};

use crate::exit::Failure;
use relief_models::task::Task;

/// Which matrix.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OperatorArguments {
    /// The matrix
    #[arg(long, value_enum, default_value = "hessian", help_heading = "Matrix")]
    operator: Operator,

    /// With --operator fisher: targets drawn for every example
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Matrix")]
    fisher_draws: usize,
}

/// The matrices that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Operator {
    /// Second derivatives of the loss
    Hessian,
    /// Their Gauss-Newton part; for a cross-entropy the Fisher matrix over all labels
    GaussNewton,
    /// Hessian less Gauss-Newton part
    Residual,
    /// The Fisher matrix from targets drawn from the network's own predictions (--fisher-draws)
    Fisher,
    /// The mean outer product of the examples' gradients
    EmpiricalFisher,
    /// The covariance of the examples' gradients
    GradientCovariance,
    /// J J' / N, with a row for every output of every example
    TangentKernel,
}

/// The name of the tangent kernel.
pub(crate) const TANGENT_KERNEL: &str = "tangent-kernel";

impl Operator {
    fn name(self) -> &'static str {
        match self {
            Self::Hessian => "hessian",
            Self::GaussNewton => "gauss-newton",
            Self::Residual => "residual",
            Self::Fisher => "fisher",
            Self::EmpiricalFisher => "empirical-fisher",
            Self::GradientCovariance => "gradient-covariance",
            Self::TangentKernel => TANGENT_KERNEL,
        }
    }
}

impl OperatorArguments {
    pub(crate) fn name(&self) -> &'static str {
        self.operator.name()
    }

    /// What a saved state must agree with.
    pub(crate) fn identity(&self) -> String {
        match self.operator {
            Operator::Fisher => format!("fisher {}", self.fisher_draws),
            other => other.name().to_string(),
        }
    }

    /// Whether its rows are the parameters.
    pub(crate) fn is_over_parameters(&self) -> bool {
        self.operator != Operator::TangentKernel
    }

    /// The matrix at the checkpoint.
    pub(crate) fn build<'c>(
        &self,
        curvature: &'c Curvature<'_>,
        task: &Task,
        seed: u64,
    ) -> Result<Box<dyn SymmetricOperator + 'c>, Failure> {
        let of = |matrix| -> Box<dyn SymmetricOperator + 'c> { Box::new(curvature.operator(matrix)) };
        Ok(match self.operator {
            Operator::Hessian => of(Matrix::Hessian),
            Operator::GaussNewton => of(Matrix::GaussNewton),
            Operator::Residual => of(Matrix::Residual),
            Operator::EmpiricalFisher => Box::new(OuterProducts::empirical_fisher(curvature)?),
            Operator::GradientCovariance => {
                let operator = OuterProducts::empirical_fisher(curvature)?;
                Box::new(RankOne { operator, factor: -1.0, vector: data_gradient(curvature, task)? })
            }
            Operator::Fisher => Box::new(sampled_fisher(curvature, task, self.fisher_draws, seed)?),
            Operator::TangentKernel => Box::new(TangentKernel::new(curvature)?),
        })
    }
}

/// The gradient of the loss without weight decay, which outer products of examples' gradients do not have either.
fn data_gradient(curvature: &Curvature<'_>, task: &Task) -> Result<Vec<f64>, Failure> {
    let decay = task.objective.weight_decay();
    let theta = curvature.parameters().to_vec()?;
    Ok(curvature.gradient().iter().zip(theta).map(|(g, x)| g - decay * x).collect())
}

/// The Fisher matrix of so many targets an example, drawn from what the network predicts.
fn sampled_fisher<'c, 'a>(
    curvature: &'c Curvature<'a>,
    task: &Task,
    draws: usize,
    seed: u64,
) -> Result<OuterProducts<'c, 'a>, Failure> {
    if draws == 0 {
        return Err(Failure::Usage("--fisher-draws is 0: give at least 1".into()));
    }
    let loss = task.loss;
    // Every batch has a stream of its own, whichever thread works on it.
    let slopes = |batch: usize, outputs: &candle_core::Tensor| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(batch as u64);
        let draw = |_| loss.sampled_slopes(outputs, &mut random).map_err(|e| Error::Other(e.to_string()));
        (0..draws).map(draw).collect()
    };
    Ok(OuterProducts::new(curvature, slopes)?)
}
