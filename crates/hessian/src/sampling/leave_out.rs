//! Probes of a sketch as tests of what the others found (Epperly, Tropp & Webber 2024).
//!
//! Q R = A W with the k probes as the columns of W. The products of all probes but some span what Q spans, but for some
//! orthonormal directions S: that of probe i alone, see [`directions`], or two where another one is left out besides. With P
//! the projection onto the rest, (I - P) A (I - P) is independent of probe i, which can sample it. All that is needed of the
//! long vectors is in a few small matrices. With H = Q'AQ, E = AQ - QH, w the probe, r its column of R, v = Q'w, c = S'v:
//!
//! (I - P) A (I - P) w = E (S c - v) + Q S (S'(r - H v) + S'H S c).

use faer::Mat;
use rayon::prelude::*;

use super::directions::directions;
use super::probes::Piece;
use super::sketch::Sketch;
use crate::lanczos::vectors::{self, dot};

/// The small matrices of a sketch, and the directions that its probes contribute.
pub(crate) struct LeaveOut<'a> {
    pub(crate) sketch: &'a Sketch,
    /// H = Q'AQ.
    pub(crate) projected: Mat<f64>,
    /// tr(PA) and 2 |AP|^2 - |PAP|^2 where P is the projection onto all of Q: exact if that is A's range.
    pub(crate) inside: Sample,
    /// Each probe's own; `None` where the other products span the same space without this one.
    directions: Vec<Option<Direction>>,
    probes: Vec<Seen>,
}

/// A unit vector s in the coordinates of Q.
#[derive(Debug, Clone)]
pub(crate) struct Direction {
    pub(crate) vector: Vec<f64>,
    /// H s.
    image: Vec<f64>,
    /// E'E s.
    rest: Vec<f64>,
}

/// What the small matrices know of a probe w.
struct Seen {
    /// v = Q'w.
    along: Vec<f64>,
    /// Q'A (w - Q v).
    across: Vec<f64>,
    /// E'E v.
    rest: Vec<f64>,
    /// (w - Q v)' A (w - Q v) = -w'E v.
    form: f64,
    /// |w - Q v|^2.
    length: f64,
}

/// A probe, and what P lacks when it tests.
pub(crate) struct Test {
    probe: usize,
    /// S.
    pub(crate) lacking: Vec<Direction>,
    /// c.
    share: Vec<f64>,
    /// S'(r - H v + H S c).
    back: Vec<f64>,
    /// S'H S.
    pub(crate) lost: Vec<Vec<f64>>,
}

/// Estimates from one probe.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Of tr A.
    pub(crate) trace: f64,
    /// Of |A|_F^2.
    pub(crate) square: f64,
}

impl<'a> LeaveOut<'a> {
    pub(crate) fn new(sketch: &'a Sketch) -> Self {
        let (r, k) = (sketch.basis.rank(), sketch.probes());
        let projected = sketch.projected();
        let (mut along, mut beyond) = (vec![vec![0.0; r]; k], vec![vec![0.0; r]; k]);
        let (mut squares, mut rest) = (vec![0.0; k], vec![vec![0.0; r]; r]);
        for piece in sketch.draw() {
            let outside = outside(sketch, &projected, &piece);
            let sums = along.par_iter_mut().zip(&mut beyond).zip(&mut squares);
            sums.zip(&piece.probes).for_each(|(((along, beyond), square), w)| {
                for (j, q) in sketch.basis.vectors.iter().enumerate() {
                    along[j] += dot(&q[piece.rows.clone()], w);
                    beyond[j] += dot(&outside[j], w);
                }
                *square += dot(w, w);
            });
            rest.par_iter_mut().enumerate().for_each(|(i, rest)| {
                for (rest, e) in rest.iter_mut().zip(&outside).take(i + 1) {
                    *rest += dot(e, &outside[i]);
                }
            });
        }
        let rest = Mat::from_fn(r, r, |i, j| rest[i.max(j)][i.min(j)]);
        let probes = (along.into_iter().zip(beyond).zip(squares).zip(&sketch.basis.factor))
            .map(|(((along, beyond), square), column)| {
                let mut across: Vec<f64> = times(&projected, &along).iter().map(|x| -x).collect();
                across.iter_mut().zip(column).for_each(|(a, r)| *a += r);
                Seen {
                    across,
                    rest: times(&rest, &along),
                    form: -dot(&beyond, &along),
                    length: square - dot(&along, &along),
                    along,
                }
            })
            .collect();
        let direction = |vector: Vec<f64>| {
            let (image, rest) = (times(&projected, &vector), times(&rest, &vector));
            Direction { vector, image, rest }
        };
        let directions = directions(&sketch.basis).into_iter().map(|s| s.map(direction)).collect();
        let trace = |m: &Mat<f64>| (0..r).map(|i| m[(i, i)]).sum::<f64>();
        let inside =
            Sample { trace: trace(&projected), square: 2.0 * trace(&rest) + projected.squared_norm_l2() };
        Self { sketch, projected, inside, directions, probes }
    }

    /// Probe i, left out, and probe j as if it had never been there.
    pub(crate) fn test(&self, i: usize, without: Option<usize>) -> Test {
        let own = self.directions[i].as_ref();
        let other = without.filter(|j| *j != i).and_then(|j| self.directions[j].as_ref());
        let lacking: Vec<Direction> = match (own, other) {
            (Some(own), Some(other)) => vec![other.clone(), own.orthogonal(other)],
            (own, other) => own.or(other).into_iter().cloned().collect(),
        };
        let probe = &self.probes[i];
        let share: Vec<f64> = lacking.iter().map(|s| dot(&s.vector, &probe.along)).collect();
        let lost: Vec<Vec<f64>> =
            lacking.iter().map(|s| lacking.iter().map(|o| dot(&s.vector, &o.image)).collect()).collect();
        let back = lacking.iter().zip(&lost);
        let back = back.map(|(s, lost)| dot(&s.vector, &probe.across) + dot(lost, &share)).collect();
        Test { probe: i, lacking, share, back, lost }
    }

    /// The estimates from a test by a normal probe: what P holds is computed, and what is left of the probe is brought to
    /// the length that it has on average. For symmetric A, |A|^2 = 2 |AP|^2 - |PAP|^2 + |(I - P) A (I - P)|^2.
    pub(crate) fn sample(&self, test: &Test) -> Sample {
        let probe = &self.probes[test.probe];
        let (mut form, mut square) = (probe.form, dot(&probe.along, &probe.rest));
        let mut inside = self.inside;
        for (a, s) in test.lacking.iter().enumerate() {
            form += test.share[a] * (dot(&s.vector, &probe.across) + test.back[a]);
            square += test.back[a] * test.back[a] - 2.0 * test.share[a] * dot(&s.vector, &probe.rest);
            for (b, other) in test.lacking.iter().enumerate() {
                square += test.share[a] * test.share[b] * dot(&s.vector, &other.rest);
            }
            inside.trace -= test.lost[a][a];
            inside.square -= 2.0 * dot(&s.vector, &s.rest) + dot(&test.lost[a], &test.lost[a]);
        }
        let dimensions = self.sketch.n - (self.sketch.basis.rank() - test.lacking.len());
        let scale = dimensions as f64 / (probe.length + dot(&test.share, &test.share));
        Sample { trace: inside.trace + scale * form, square: inside.square + scale * square }
    }

    /// The estimates from every probe, and in row i and column j those from probe i had probe j never been there.
    pub(crate) fn samples(&self) -> (Vec<Sample>, Vec<Vec<Sample>>) {
        let k = self.probes.len();
        let sample = |i: usize, j: Option<usize>| self.sample(&self.test(i, j));
        (0..k)
            .into_par_iter()
            .map(|i| (sample(i, None), (0..k).map(|j| sample(i, Some(j))).collect::<Vec<_>>()))
            .unzip()
    }

    /// The coefficients of E and of Q in (I - P) A (I - P) w.
    pub(crate) fn coefficients(&self, test: &Test) -> (Vec<f64>, Vec<f64>) {
        let mut outside: Vec<f64> = self.probes[test.probe].along.iter().map(|v| -v).collect();
        let mut inside = vec![0.0; outside.len()];
        for ((s, share), back) in test.lacking.iter().zip(&test.share).zip(&test.back) {
            outside.iter_mut().zip(&s.vector).for_each(|(o, s)| *o += share * s);
            inside.iter_mut().zip(&s.vector).for_each(|(i, s)| *i += back * s);
        }
        (outside, inside)
    }
}

impl Direction {
    /// The part that is orthogonal to another direction, as a unit vector.
    fn orthogonal(&self, other: &Self) -> Self {
        let mut vector = self.vector.clone();
        let mut along = 0.0;
        for _ in 0..2 {
            let c = dot(&vector, &other.vector);
            vector.iter_mut().zip(&other.vector).for_each(|(v, o)| *v -= c * o);
            along += c;
        }
        let left = vectors::norm(&vector);
        vector.iter_mut().for_each(|v| *v /= left);
        let combine = |s: &[f64], o: &[f64]| s.iter().zip(o).map(|(s, o)| (s - along * o) / left).collect();
        Self { vector, image: combine(&self.image, &other.image), rest: combine(&self.rest, &other.rest) }
    }
}

/// Rows of E = AQ - QH, column by column.
pub(crate) fn outside(sketch: &Sketch, projected: &Mat<f64>, piece: &Piece) -> Vec<Vec<f64>> {
    let column = |j: usize| {
        let mut e = sketch.images[j][piece.rows.clone()].to_vec();
        for (i, q) in sketch.basis.vectors.iter().enumerate() {
            let h = projected[(i, j)];
            e.iter_mut().zip(&q[piece.rows.clone()]).for_each(|(e, q)| *e -= h * q);
        }
        e
    };
    (0..sketch.basis.rank()).into_par_iter().map(column).collect()
}

fn times(matrix: &Mat<f64>, v: &[f64]) -> Vec<f64> {
    (0..matrix.nrows()).map(|i| v.iter().enumerate().map(|(j, v)| matrix[(i, j)] * v).sum()).collect()
}
