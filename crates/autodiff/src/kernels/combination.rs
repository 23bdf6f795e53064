//! Linear combinations of kept values.

use rayon::prelude::*;

use super::{Real, vectorised};

/// Entries that a thread takes at once.
const PIECE: usize = 1 << 14;

/// base + sum of factor * term, all as long as `base`; summed in double precision and rounded once.
pub(crate) fn combination<T: Real>(base: &[T], terms: &[(f64, &[T])]) -> Vec<T> {
    let mut out = base.to_vec();
    let piece = |(nth, out): (usize, &mut [T])| {
        let part = |term: &'_ (f64, &[T])| (term.0, nth * PIECE);
        match terms {
            [] => {}
            [one] => {
                let (a, start) = part(one);
                let x = &one.1[start..][..out.len()];
                vectorised(
                    #[inline(always)]
                    || {
                        for (o, &x) in out.iter_mut().zip(x) {
                            *o = T::round_from((*o).into() + a * x.into());
                        }
                    },
                );
            }
            [one, two] => {
                let ((a, start), (b, _)) = (part(one), part(two));
                let (x, y) = (&one.1[start..][..out.len()], &two.1[start..][..out.len()]);
                vectorised(
                    #[inline(always)]
                    || {
                        for ((o, &x), &y) in out.iter_mut().zip(x).zip(y) {
                            *o = T::round_from((*o).into() + a * x.into() + b * y.into());
                        }
                    },
                );
            }
            many => {
                let mut sums: Vec<f64> = out.iter().map(|&o| o.into()).collect();
                for term in many {
                    let (a, start) = part(term);
                    let x = &term.1[start..][..out.len()];
                    vectorised(
                        #[inline(always)]
                        || sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += a * x.into()),
                    );
                }
                out.iter_mut().zip(sums).for_each(|(o, sum)| *o = T::round_from(sum));
            }
        }
    };
    if out.len() <= PIECE {
        piece((0, &mut out));
    } else {
        out.par_chunks_mut(PIECE).enumerate().for_each(piece);
    }
    out
}
