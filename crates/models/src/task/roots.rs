//! What Kronecker factors take from the loss.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use relief_hessian::{Error, OutputRoots};

use super::Task;

/// Which second moments of gradients stand for a layer's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fisher {
    /// Those of the Gauss-Newton matrix, with a backward pass for every output: the Fisher matrix of all labels ("type 2").
    Exact,
    /// Targets drawn from what the model predicts (Martens & Grosse 2015), each with a backward pass.
    Sampled {
        /// Targets for every example.
        draws: usize,
        /// Seed; every example has a stream of its own, so that the batch size changes no target.
        seed: u64,
    },
    /// The examples' own targets: the empirical Fisher matrix.
    Empirical,
}

impl Task {
    /// The columns that give these second moments; weight decay has no part in them.
    ///
    /// Errors: no draws.
    pub fn output_roots(&self, fisher: Fisher) -> relief_hessian::Result<OutputRoots<'_>> {
        let loss = self.loss;
        let fails = |e: super::TaskError| Error::Other(e.to_string());
        Ok(match fisher {
            Fisher::Empirical => OutputRoots::empirical(),
            Fisher::Exact => {
                let outputs = self.objective.output_shape();
                OutputRoots::new(loss.root_columns(&outputs), move |_, linearization, k| {
                    loss.root_column(&linearization.outputs()?, k).map_err(fails)
                })
            }
            Fisher::Sampled { draws: 0, .. } => {
                return Err(Error::Input(
                    "0 targets are to be drawn for every example: give at least 1".into(),
                ));
            }
            Fisher::Sampled { draws, seed } => {
                let begins = |batch: usize| -> usize {
                    (0..batch).map(|earlier| self.objective.batch(earlier).examples).sum()
                };
                OutputRoots::new(draws, move |batch, linearization, k| {
                    let outputs = linearization.outputs()?;
                    let first = begins(batch);
                    let of_example = |i: usize| {
                        let mut random = ChaCha8Rng::seed_from_u64(seed);
                        random.set_stream(((first + i) as u64) << 24 | k as u64);
                        let slopes =
                            loss.sampled_slopes(&outputs.narrow(0, i, 1)?, &mut random).map_err(fails)?;
                        Ok((slopes / (draws as f64).sqrt())?)
                    };
                    let slopes =
                        (0..outputs.dim(0)?).map(of_example).collect::<relief_hessian::Result<Vec<_>>>()?;
                    Ok(candle_core::Tensor::cat(&slopes, 0)?)
                })
            }
        })
    }
}
