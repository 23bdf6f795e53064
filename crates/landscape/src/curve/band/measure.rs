//! Measuring the loss along a band.

use rayon::prelude::*;
use relief_hessian::{Control, Result};

use super::super::{Ending, weight_decay_term};
use super::{BandLoss, BandProfile, BandProgress, BandState, ElasticBand, force};

impl ElasticBand {
    /// The losses along the chain, once a run has finished.
    pub fn profile(&self, state: &BandState) -> Option<BandProfile> {
        let finished = state.cycle == self.cycles.len() && state.losses.len() == self.samples(state);
        finished.then(|| BandProfile::new(state, self.sub_pivots))
    }

    pub(super) fn samples(&self, state: &BandState) -> usize {
        (state.pivots.len() - 1) * (self.sub_pivots + 1) + 1
    }

    /// Measures what is not measured yet of the chain as it is.
    pub(super) fn measure(
        &self,
        state: &mut BandState,
        loss: &dyn BandLoss,
        told: &mut dyn FnMut(&BandProgress, &BandState) -> Control,
    ) -> Result<Ending> {
        let (each, of) = (self.sub_pivots + 1, self.samples(state));
        let together = 2 * rayon::current_num_threads();
        while state.losses.len() < of {
            let first = state.losses.len();
            let next: Vec<usize> = (first..of.min(first + together)).collect();
            let found: Vec<Result<f64>> = next
                .par_iter()
                .map(|&sample| {
                    let (pivot, sub) = (sample / each, sample % each);
                    let here = &state.pivots[pivot];
                    if sub == 0 {
                        return self.whole_loss(loss, here);
                    }
                    let along = sub as f64 / each as f64;
                    self.whole_loss(loss, &force::between(here, &state.pivots[pivot + 1], along))
                })
                .collect();
            for value in found {
                state.losses.push(value?);
            }
            let progress = BandProgress::Measured { cycle: state.cycle, done: state.losses.len(), of };
            let last = state.cycle == self.cycles.len() && state.losses.len() == of;
            if told(&progress, state) == Control::Interrupt && !last {
                return Ok(Ending::Interrupted);
            }
        }
        Ok(Ending::Finished)
    }

    fn whole_loss(&self, loss: &dyn BandLoss, point: &[f64]) -> Result<f64> {
        Ok(loss.loss(point)? + weight_decay_term(self.weight_decay, point))
    }
}
