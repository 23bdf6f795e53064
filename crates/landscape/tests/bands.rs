//! Elastic bands against known saddle points, closed forms and forces worked out by hand.

use relief_hessian::{Control, Result};
use relief_landscape::{
    BandLoss, BandState, Curve, CurveKind, Cycle, ElasticBand, Ending, Insertion, LossAndGradient, Spacing,
};

/// The potential of Mueller & Brown (1979), with two saddle points between its two deepest minima.
struct MuellerBrown;

impl BandLoss for MuellerBrown {
    fn gradient(&self, _: usize, _: usize, point: &[f64]) -> Result<LossAndGradient> {
        let terms = [
            (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
            (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
            (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
            (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
        ];
        let (mut loss, mut gradient) = (0.0, vec![0.0; 2]);
        for (height, a, b, c, x, y) in terms {
            let (dx, dy) = (point[0] - x, point[1] - y);
            let term = height * f64::exp(a * dx * dx + b * dx * dy + c * dy * dy);
            loss += term;
            gradient[0] += term * (2.0 * a * dx + b * dy);
            gradient[1] += term * (b * dx + 2.0 * c * dy);
        }
        Ok((loss, gradient))
    }

    fn loss(&self, point: &[f64]) -> Result<f64> {
        Ok(self.gradient(0, 0, point)?.0)
    }
}

fn straight(start: &[f64], end: &[f64]) -> BandState {
    BandState::new(Curve::straight(CurveKind::Chain, start.to_vec(), end.to_vec(), 0).unwrap()).unwrap()
}

#[test]
fn explore() {
    for (steps, eta, cycles, threshold) in
        [(300, 1e-4, 14, 0.1), (300, 1e-4, 14, 0.01), (300, 1e-4, 14, 0.001), (300, 1e-4, 20, 0.001)]
    {
        for spacing in [Spacing::Redistributed, Spacing::Springs(100.0)] {
            let mut list = vec![Cycle { insertion: Insertion::Equal(3), steps, eta }];
            list.extend(vec![Cycle { insertion: Insertion::Highest(2), steps, eta }; cycles]);
            let band =
                ElasticBand { cycles: list, spacing, weight_decay: 0.0, threshold, ..ElasticBand::default() };
            let mut state = straight(&[-0.558, 1.442], &[0.623, 0.028]);
            let r = band.run(&mut state, &MuellerBrown, &mut |_, _| Control::Continue);
            eprintln!("{r:?}");
            let Some(p) = band.profile(&state) else { continue };
            eprintln!(
                "{} pivots, highest {} {} at {:?}, report {:?}",
                state.pivots.len(),
                p.highest_pivot,
                p.highest_pivot_loss,
                state.pivots[p.highest_pivot],
                p.report().unwrap()
            );
        }
    }
}
