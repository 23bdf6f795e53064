//! The matrix that a command looks at.

use std::ops::Deref;

use clap::{Args, ValueEnum};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use relief_hessian::{
    BlockDiagonal, Curvature, Error, Matrix, Objective, OuterProducts, ParameterGroup, Parameters, RankOne,
    SymmetricOperator, TangentKernel,
};
use relief_models::task::Task;

use crate::arguments::TaskArguments;
use crate::envelope::{Block, Described};
use crate::exit::Failure;
use crate::load::{self, Loaded};
use crate::points::natural;
use crate::preconditioning::{PreconditionArguments, Preconditioner};

/// Which matrix.
#[derive(Debug, Clone, Args)]
pub(crate) struct OperatorArguments {
    /// The matrix
    #[arg(long, value_enum, default_value = "hessian", help_heading = "Matrix")]
    operator: Operator,

    /// With --operator fisher: targets drawn for every example
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Matrix")]
    fisher_draws: usize,

    /// Only blocks on the diagonal: `layer` (for each layer, weight and bias), `tensor` (for each tensor), or patterns, a block
    /// for all parameters that one matches. Those that none matches stay where they are, as with --params. A product costs
    /// one for every block
    #[arg(long, value_name = "GLOB", num_args = 1.., help_heading = "Matrix")]
    blocks: Vec<String>,

    #[command(flatten)]
    preconditioning: PreconditionArguments,

    /// With --device cuda: keep vectors on the host. By default those of a search for eigenvalues and of a spectrum stay on the
    /// card if they fit into half of the memory that is free there. No digit depends on it
    #[cfg(feature = "cuda")]
    #[arg(long, help_heading = "Computation")]
    vectors_on_host: bool,
}

/// A matrix at a checkpoint.
pub(crate) struct Built<'c> {
    operator: Box<dyn SymmetricOperator + 'c>,
    /// What a result says of it.
    pub(crate) described: Described,
    /// What a saved state must agree with.
    pub(crate) identity: String,
}

impl<'c> Deref for Built<'c> {
    type Target = dyn SymmetricOperator + 'c;

    fn deref(&self) -> &Self::Target {
        &*self.operator
    }
}

impl Built<'_> {
    /// Passes over the data that one product takes.
    pub(crate) fn passes(&self) -> usize {
        self.described.blocks.len().max(1)
    }
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
    /// What results call it.
    pub(crate) fn name(&self) -> String {
        let blocks = if self.blocks.is_empty() { "" } else { "block-diagonal " };
        format!("{blocks}{}", self.name_of_a_block())
    }

    /// What results call one block of it.
    pub(crate) fn name_of_a_block(&self) -> String {
        format!("{}{}", self.preconditioning.prefix(), self.operator.name())
    }

    /// Whether its rows are the parameters.
    pub(crate) fn is_over_parameters(&self) -> bool {
        self.operator != Operator::TangentKernel
    }

    /// Refuses what no checkpoint could make right.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if !self.is_over_parameters() && (!self.blocks.is_empty() || self.preconditioning.is_given()) {
            return Err(Failure::Usage(
                "the tangent kernel is over outputs, not parameters: leave out --blocks and --precondition"
                    .into(),
            ));
        }
        if self.operator == Operator::Fisher && self.fisher_draws == 0 {
            return Err(Failure::Usage("--fisher-draws is 0: give at least 1".into()));
        }
        self.preconditioning.check()
    }

    /// Loads checkpoint and data, differentiated in the parameters that the matrix is over.
    pub(crate) fn load(&self, task: &TaskArguments, seed: u64) -> Result<Loaded, Failure> {
        self.check()?;
        let mut loaded = load::load(task, None, seed)?;
        let parameters = loaded.task.objective.parameters().clone();
        let named: Vec<String> = self.groups(&parameters)?.into_iter().flat_map(|g| g.parameters).collect();
        let others = parameters.names().len() - named.len();
        if !named.is_empty() && others > 0 {
            loaded.narrow(named)?;
            let tensors = if others == 1 { "1 tensor is" } else { &format!("{others} tensors are") };
            loaded.task.notes.push(format!("{tensors} in no block: what no block has stays where it is"));
        }
        if let Some(preconditioner) = self.preconditioner()? {
            // A file that does not fit is refused before the work.
            preconditioner.diagonal(loaded.task.objective.parameters())?;
        }
        Ok(loaded)
    }

    /// The blocks that are asked for, in the order of the layers' numbers or as they are named; none where the matrix is whole.
    pub(crate) fn groups(&self, parameters: &Parameters) -> Result<Vec<ParameterGroup>, Failure> {
        let in_order = |mut groups: Vec<ParameterGroup>| {
            groups.sort_by_cached_key(|group| natural(&group.name));
            groups
        };
        Ok(match self.blocks.as_slice() {
            [one] if one == "layer" => in_order(ParameterGroup::layers(parameters)),
            [one] if one == "tensor" => in_order(ParameterGroup::tensors(parameters)),
            patterns => ParameterGroup::matching(parameters, patterns)?,
        })
    }

    /// The blocks that are asked for, or the layers.
    pub(crate) fn groups_or_layers(&self, parameters: &Parameters) -> Result<Vec<ParameterGroup>, Failure> {
        let mut groups = self.groups(parameters)?;
        if groups.is_empty() {
            groups = ParameterGroup::layers(parameters);
            groups.sort_by_cached_key(|group| natural(&group.name));
        }
        Ok(groups)
    }

    /// The preconditioner, if there is one.
    pub(crate) fn preconditioner(&self) -> Result<Option<Preconditioner>, Failure> {
        self.preconditioning.read()
    }

    /// The matrix at the checkpoint.
    pub(crate) fn build<'c>(
        &self,
        curvature: &'c Curvature<'_>,
        task: &Task,
        seed: u64,
    ) -> Result<Built<'c>, Failure> {
        let preconditioner = self.preconditioner()?;
        let mut operator = self.plain(curvature, task, seed)?;
        let at = curvature.parameters();
        let groups = self.groups(at)?;
        if !groups.is_empty() {
            let ranges = groups.iter().map(|group| group.ranges(at)).collect();
            operator = Box::new(BlockDiagonal::new(operator, ranges)?);
        }
        let mut described = Described::new(self.name(), preconditioner.as_ref());
        described.blocks = groups.iter().map(|group| Block::new(group, at)).collect();
        let identity = self.identity(preconditioner.as_ref());
        if let Some(preconditioner) = preconditioner {
            operator = preconditioner.apply(operator, at)?;
        }
        Ok(Built { operator, described, identity })
    }

    /// The matrix of a task that is itself one block.
    pub(crate) fn build_block<'c>(
        &self,
        curvature: &'c Curvature<'_>,
        task: &Task,
        seed: u64,
        preconditioner: Option<&Preconditioner>,
    ) -> Result<Box<dyn SymmetricOperator + 'c>, Failure> {
        let operator = self.plain(curvature, task, seed)?;
        match preconditioner {
            Some(preconditioner) => preconditioner.apply(operator, curvature.parameters()),
            None => Ok(operator),
        }
    }

    /// The matrix as it is, whole.
    fn plain<'c>(
        &self,
        curvature: &'c Curvature<'_>,
        task: &Task,
        seed: u64,
    ) -> Result<Box<dyn SymmetricOperator + 'c>, Failure> {
        let of = |matrix| -> Box<dyn SymmetricOperator + 'c> {
            let operator = curvature.operator(matrix);
            #[cfg(feature = "cuda")]
            if self.vectors_on_host {
                return Box::new(relief_hessian::OnHost(operator));
            }
            Box::new(operator)
        };
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

    /// What a saved state must agree with.
    pub(crate) fn identity(&self, preconditioner: Option<&Preconditioner>) -> String {
        let preconditioner = preconditioner.map(|p| p.described().identity());
        let draws = if self.operator == Operator::Fisher { self.fisher_draws } else { 0 };
        format!("{} {draws} {:?} {preconditioner:?}", self.operator.name(), self.blocks)
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
