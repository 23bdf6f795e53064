//! Planes of trajectories and through checkpoints, against explicit decompositions and closed forms.

use faer::Mat;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use relief_landscape::{Centre, Plane, principal_plane, ranges};

fn gaussian(n: usize, seed: u64) -> Vec<f64> {
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| StandardNormal.sample(random)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// The point a + s u + t v.
fn combined(a: &[f64], s: f64, u: &[f64], t: f64, v: &[f64]) -> Vec<f64> {
    a.iter().zip(u.iter().zip(v)).map(|(a, (u, v))| a + s * u + t * v).collect()
}

/// A random walk towards a point, with steps that shrink.
fn walk(points: usize, n: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut at = gaussian(n, seed);
    (0..points as u64)
        .map(|k| {
            let step = gaussian(n, 1000 * seed + k + 1);
            at.iter_mut().zip(&step).for_each(|(x, s)| *x = 0.8 * *x + 0.3 * s);
            at.clone()
        })
        .collect()
}

/// Singular values and right singular vectors of the explicit matrix of rows.
fn decomposed(points: &[Vec<f64>], origin: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = origin.len();
    let matrix = Mat::from_fn(points.len(), n, |i, j| points[i][j] - origin[j]);
    let svd = matrix.thin_svd().unwrap();
    let count = points.len().min(n);
    let values = (0..count).map(|k| svd.S()[k]).collect();
    (values, (0..count).map(|k| (0..n).map(|j| svd.V()[(j, k)]).collect()).collect())
}

#[test]
fn directions_are_the_right_singular_vectors_of_the_explicit_matrix() {
    for (points, n, seed) in [(7, 30, 1), (40, 12, 2), (25, 25, 3), (3, 6, 4)] {
        let walk = walk(points, n, seed);
        for centre in [Centre::Last, Centre::Mean] {
            let found = principal_plane(&walk, centre, 2).unwrap();
            let origin = found.plane.origin();
            let (values, vectors) = decomposed(&walk, origin);
            let all: f64 = values.iter().map(|s| s * s).sum();
            assert_eq!(found.explained.len(), (points - 1).min(n));
            for (share, value) in found.explained.iter().zip(&values) {
                assert!((share - value * value / all).abs() < 1e-13);
            }
            assert!((found.explained.iter().sum::<f64>() - 1.0).abs() < 1e-13);
            for (mine, theirs) in found.plane.directions().iter().zip(&vectors) {
                assert!((dot(mine, theirs).abs() - 1.0).abs() < 1e-12, "{points} points in R^{n}");
            }
        }
    }
}

/// Eigenvectors of the covariance matrix, n by n, are the directions about the mean.
#[test]
fn directions_about_the_mean_are_eigenvectors_of_the_covariance() {
    let walk = walk(30, 8, 5);
    let found = principal_plane(&walk, Centre::Mean, 3).unwrap();
    let mean: Vec<f64> = (0..8).map(|j| walk.iter().map(|p| p[j]).sum::<f64>() / 30.0).collect();
    assert!(distance(found.plane.origin(), &mean) < 1e-14);
    let covariance = Mat::from_fn(8, 8, |i, j| {
        walk.iter().map(|p| (p[i] - mean[i]) * (p[j] - mean[j])).sum::<f64>() / 30.0
    });
    let eigenvalues = covariance.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
    let trace: f64 = eigenvalues.iter().sum();
    for (k, direction) in found.plane.directions().iter().enumerate() {
        let value = eigenvalues[7 - k];
        assert!((found.explained[k] - value / trace).abs() < 1e-13);
        for i in 0..8 {
            let product: f64 = (0..8).map(|j| covariance[(i, j)] * direction[j]).sum();
            assert!((product - value * direction[i]).abs() < 1e-12);
        }
    }
}

/// The Gram matrix squares the condition: with singular values of 1, 1e-6 and 1e-7 its own eigenvectors would be good to
/// some 1e-2.
#[test]
fn small_components_are_as_accurate_as_the_matrix_allows() {
    let n = 5000;
    let [a, b, c] = [1, 2, 3].map(|seed| gaussian(n, seed));
    let plane = Plane::through(&[vec![0.0; n], a, b]).unwrap();
    let [u, v] = [0, 1].map(|k| plane.directions()[k].clone());
    let off = plane.project(&c).unwrap();
    let rest = combined(&c, -off.coordinates[0], &u, -off.coordinates[1], &v);
    let w: Vec<f64> = rest.iter().map(|x| x / norm(&rest)).collect();
    // Columns of a Hadamard matrix, and a row of zeros for the centre.
    let signs = [[1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [0.0, 0.0, 0.0]];
    let points =
        signs.map(|[s, t, r]| combined(&combined(&vec![0.0; n], s, &u, 1e-6 * t, &v), 1e-7 * r, &w, 0.0, &w));
    let found = principal_plane(&points, Centre::Last, 3).unwrap();
    for (mine, truth) in found.plane.directions().iter().zip([&u, &v, &w]) {
        let angle = distance(mine, truth).min(distance(mine, &truth.iter().map(|x| -x).collect::<Vec<_>>()));
        assert!(angle < 1e-8, "{angle}");
    }
    for (i, a) in found.plane.directions().iter().enumerate() {
        for (j, b) in found.plane.directions().iter().enumerate() {
            let expected = f64::from(u8::from(i == j));
            assert!((dot(a, b) - expected).abs() < 1e-13);
        }
    }
}

#[test]
fn a_trajectory_in_a_plane_lies_in_it() {
    let n = 20_000;
    let [a, u, v] = [1, 2, 3].map(|seed| gaussian(n, seed));
    let points: Vec<Vec<f64>> = (0..30)
        .map(|k| {
            let t = f64::from(k) / 5.0;
            combined(&a, (-t).exp() * t.cos(), &u, (-t).exp() * t.sin() + 0.1, &v)
        })
        .collect();
    for centre in [Centre::Last, Centre::Mean] {
        let found = principal_plane(&points, centre, 2).unwrap();
        assert!((found.explained[0] + found.explained[1] - 1.0).abs() < 1e-12);
        for point in &points {
            let projection = found.plane.project(point).unwrap();
            assert!(projection.residual < 1e-12 * norm(point), "{projection:?}");
            let back = found.plane.point(&projection.coordinates).unwrap();
            assert!(distance(&back, point) < 1e-12 * norm(point));
        }
        let third = principal_plane(&points, centre, 3).unwrap_err().to_string();
        assert!(third.contains("span 2 directions only, not 3"), "{third}");
    }
}

/// Points a + t u on a line beside a last one off it: seen from the mean the line is the first direction nearly alone,
/// seen from the last point its distance counts as well. Closed form: with unit u, orthogonal unit w, t = -1, 0, 1 and the
/// last point at a + h w, the matrix from the last point has the squares 2 and 3 h^2.
#[test]
fn a_shifted_line_tells_the_two_centres_apart() {
    let n = 10;
    let unit = |k: usize| (0..n).map(|i| f64::from(u8::from(i == k))).collect::<Vec<f64>>();
    let (a, u, w) = (gaussian(n, 9), unit(2), unit(7));
    let h = 5.0;
    let mut points: Vec<Vec<f64>> = [-1.0, 0.0, 1.0].iter().map(|t| combined(&a, *t, &u, 0.0, &w)).collect();
    points.push(combined(&a, h, &w, 0.0, &u));
    let last = principal_plane(&points, Centre::Last, 2).unwrap();
    let all = 2.0 + 3.0 * h * h;
    assert!(
        (last.explained[0] - 3.0 * h * h / all).abs() < 1e-14
            && (last.explained[1] - 2.0 / all).abs() < 1e-14
    );
    assert!(
        (dot(&last.plane.directions()[0], &w) + 1.0).abs() < 1e-13,
        "the first points are on the positive side"
    );
    // From the mean at a + h/4 w: 3 (h/4)^2 + (3h/4)^2 = 3/4 h^2.
    let mean = principal_plane(&points, Centre::Mean, 2).unwrap();
    let all = 2.0 + 0.75 * h * h;
    assert!(
        (mean.explained[0] - 0.75 * h * h / all).abs() < 1e-14
            && (mean.explained[1] - 2.0 / all).abs() < 1e-14
    );
    assert!(mean.explained[0] < last.explained[0]);
    assert_eq!(mean.centre, Centre::Mean);
    // A line far from the origin of parameter space is a line from either, and a plane from neither.
    for centre in [Centre::Last, Centre::Mean] {
        let line = principal_plane(&points[..3], centre, 1).unwrap();
        assert!((line.explained[0] - 1.0).abs() < 1e-14);
        let problem = principal_plane(&points[..3], centre, 2).unwrap_err().to_string();
        assert!(problem.contains("span 1 direction only"), "{problem}");
    }
}

/// A point's distance from the origin is its coordinates' and its residual's together, whatever the rows were centred at:
/// rows from one point and projections from another would not add up.
#[test]
fn pythagoras_holds_from_the_stated_origin() {
    let walk = walk(12, 300, 6);
    for centre in [Centre::Last, Centre::Mean] {
        let found = principal_plane(&walk, centre, 2).unwrap();
        let (mut within, mut whole) = (0.0, 0.0);
        for point in &walk {
            let projection = found.plane.project(point).unwrap();
            let square = distance(point, found.plane.origin()).powi(2);
            let inside = dot(&projection.coordinates, &projection.coordinates);
            assert!((inside + projection.residual.powi(2) - square).abs() < 1e-12 * (1.0 + square));
            (within, whole) = (within + inside, whole + square);
        }
        let share = found.explained[0] + found.explained[1];
        assert!((within / whole - share).abs() < 1e-12, "what the plane explains is what it shows");
    }
    let last = principal_plane(&walk, Centre::Last, 2).unwrap().plane.project(&walk[11]).unwrap();
    assert!(last.coordinates.iter().all(|c| c.abs() < 1e-300) && last.relative.abs() < 1e-300);
}

#[test]
fn signs_do_not_depend_on_the_sign_of_the_data() {
    let walk = walk(9, 200, 7);
    let turned: Vec<Vec<f64>> = walk.iter().map(|p| p.iter().map(|x| -x).collect()).collect();
    for centre in [Centre::Last, Centre::Mean] {
        let (a, b) =
            (principal_plane(&walk, centre, 2).unwrap(), principal_plane(&turned, centre, 2).unwrap());
        for (d, e) in a.plane.directions().iter().zip(b.plane.directions()) {
            assert!(
                d.iter().zip(e).all(|(d, e)| (d + e).abs() < 1e-12),
                "the points turn, their coordinates do not"
            );
        }
    }
    for seed in 100..130 {
        let walk = self::walk(6, 20, seed);
        let plane = principal_plane(&walk, Centre::Mean, 3).unwrap().plane;
        let places: Vec<Vec<f64>> = walk.iter().map(|p| plane.project(p).unwrap().coordinates).collect();
        for k in 0..3 {
            let far = places.iter().map(|c| c[k].abs()).fold(0.0, f64::max);
            assert!(places.iter().find(|c| c[k].abs() >= 0.5 * far).unwrap()[k] > 0.0, "seed {seed}");
        }
    }
    // Both ends of a line are as far from its mean: a tie that rounding must not decide.
    let line = |shift: f64| (-3..=3).map(|t| vec![shift + 0.1 * f64::from(t), 0.3]).collect::<Vec<_>>();
    for shift in [0.0, 0.1, 1.0 / 3.0, 7.7] {
        let direction = principal_plane(&line(shift), Centre::Mean, 1).unwrap().plane.directions()[0].clone();
        assert!((direction[0] + 1.0).abs() < 1e-14, "the first point is positive: {direction:?}");
    }
}

#[test]
fn digits_do_not_depend_on_the_number_of_threads() {
    let walk = walk(5, 50_000, 8);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| principal_plane(&walk, Centre::Mean, 2)).unwrap()
    };
    let (one, three) = (on(1), on(3));
    assert_eq!(one.explained, three.explained);
    assert_eq!(one.plane.directions(), three.plane.directions());
}

#[test]
fn a_plane_through_three_checkpoints_shows_their_distances() {
    let points: Vec<Vec<f64>> = (0..3).map(|k| gaussian(1000, 20 + k)).collect();
    let plane = Plane::through(&points).unwrap();
    let [a, b, c] = [0, 1, 2].map(|k| plane.project(&points[k]).unwrap());
    assert!(a.coordinates.iter().all(|x| x.abs() < 1e-300));
    let across = distance(&points[0], &points[1]);
    assert!((b.coordinates[0] - across).abs() < 1e-11 && b.coordinates[1].abs() < 1e-12);
    assert!(c.coordinates[1] > 0.0 && c.relative < 1e-14);
    // Garipov's coordinates: along u, and what is left.
    let u: Vec<f64> = points[1].iter().zip(&points[0]).map(|(w, o)| (w - o) / across).collect();
    let away: Vec<f64> = points[2].iter().zip(&points[0]).map(|(w, o)| w - o).collect();
    let along = dot(&u, &away);
    assert!((c.coordinates[0] - along).abs() < 1e-11);
    assert!((c.coordinates[1] - (dot(&away, &away) - along * along).sqrt()).abs() < 1e-11);
    for (p, q, expected) in
        [(&a, &c, distance(&points[0], &points[2])), (&b, &c, distance(&points[1], &points[2]))]
    {
        assert!((distance(&p.coordinates, &q.coordinates) - expected).abs() < 1e-11);
    }
    let d = plane.directions();
    assert!(
        dot(&d[0], &d[1]).abs() < 1e-13
            && (norm(&d[0]) - 1.0).abs() < 1e-13
            && (norm(&d[1]) - 1.0).abs() < 1e-13
    );
    let line = Plane::through(&points[..2]).unwrap();
    assert_eq!(line.directions().len(), 1);
    assert!((line.project(&points[1]).unwrap().coordinates[0] - across).abs() < 1e-11);
}

#[test]
fn checkpoints_that_make_no_plane_are_refused() {
    let [a, b] = [gaussian(500, 1), gaussian(500, 2)];
    let between = combined(&a, 0.4, &b, -0.4, &a);
    let single: Vec<f64> = between.iter().map(|x| f64::from(*x as f32)).collect();
    let message = |points: &[Vec<f64>]| Plane::through(points).unwrap_err().to_string();
    assert!(message(&[a.clone(), a.clone()]).contains("checkpoints 1 and 2 are the same"));
    assert!(message(&[a.clone(), b.clone(), a.clone()]).contains("checkpoints 1 and 3 are the same"));
    assert!(message(&[a.clone(), b.clone(), b.clone()]).contains("checkpoints 2 and 3 are the same"));
    for point in [between, single] {
        assert!(message(&[a.clone(), b.clone(), point]).contains("on one line"));
    }
    assert!(message(std::slice::from_ref(&a)).contains("two or three checkpoints, not 1"));
    assert!(message(&[a.clone(), vec![0.0; 3]]).contains("checkpoint 2 has 3 entries where others have 500"));
    assert!(message(&[a.clone(), vec![f64::NAN; 500]]).contains("not a finite number"));
    let same = principal_plane(&[a.clone(), a.clone(), a.clone()], Centre::Mean, 1).unwrap_err().to_string();
    assert!(same.contains("all checkpoints are the same"), "{same}");
    assert!(principal_plane(&[], Centre::Last, 2).is_err());
    let few = principal_plane(&[a.clone(), b.clone()], Centre::Last, 2).unwrap_err().to_string();
    assert!(few.contains("2 checkpoints have 1 to 1"), "{few}");
    assert!(principal_plane(&[a.clone(), b], Centre::Last, 0).is_err());
    let plane = |directions| Plane::new(a.clone(), directions).unwrap_err().to_string();
    assert!(plane(vec![a.clone(), a.iter().map(|x| -3.0 * x).collect()]).contains("not independent"));
    assert!(plane(vec![vec![0.0; 500]]).contains("direction 1 is zero"));
    assert!(plane(vec![]).contains("a direction or more"));
}

#[test]
fn ranges_hold_all_points_with_one_unit_on_all_axes() {
    let points = [vec![1.0, -2.0], vec![5.0, -1.0], vec![2.0, -1.5]];
    let found = ranges(&points, 0.25).unwrap();
    assert_eq!(found, [[0.0, 6.0], [-4.5, 1.5]]);
    assert_eq!(ranges(&points, 0.0).unwrap(), [[1.0, 5.0], [-3.5, 0.5]]);
    assert!(ranges(&[vec![1.0, 1.0]], 0.1).unwrap_err().to_string().contains("one place"));
    assert!(ranges(&points, -0.1).is_err() && ranges(&[], 0.1).is_err());
    assert!(ranges(&[vec![0.0, 1.0], vec![f64::NAN, 0.0]], 0.1).is_err());
    assert!(ranges(&[vec![0.0, 1.0], vec![0.0]], 0.1).is_err());
}

proptest! {
    /// Any plane, down to directions that are nearly parallel and of very different lengths: what is put together from
    /// coordinates and a part orthogonal to the plane is found again.
    #[test]
    fn projection_finds_coordinates_and_what_is_off_the_plane(
        seed in 0..1000u64, angle in -4.0..0.0f64, scale in -6.0..6.0f64, s in -3.0..3.0f64, t in -3.0..3.0f64,
        off in 0.0..2.0f64,
    ) {
        let n = 50;
        let (angle, scale) = (10f64.powf(angle), 10f64.powf(scale));
        let [origin, u, w, c] = [0, 1, 2, 3].map(|k| gaussian(n, 4 * seed + k));
        let v = combined(&vec![0.0; n], scale, &u, scale * angle, &w);
        let basis = Plane::through(&[vec![0.0; n], u.clone(), w]).unwrap();
        let beside = basis.project(&c).unwrap();
        let inside = basis.point(&beside.coordinates).unwrap();
        let outward: Vec<f64> = c.iter().zip(&inside).map(|(c, i)| (c - i) / beside.residual).collect();
        let plane = Plane::new(origin.clone(), vec![u.clone(), v.clone()]).unwrap();
        let t = t / scale;
        let flat = combined(&origin, s, &u, t, &v);
        let point = combined(&flat, off, &outward, 0.0, &u);
        let found = plane.project(&point).unwrap();
        let size = 1.0 + norm(&point);
        prop_assert!((found.residual - off).abs() < 1e-12 * size, "{} {off}", found.residual);
        prop_assert!((found.relative * distance(&point, &origin) - off).abs() < 1e-11 * size);
        // Coordinates are as well determined as the angle between the directions.
        prop_assert!((found.coordinates[0] - s).abs() < 1e-13 * size / angle);
        prop_assert!(((found.coordinates[1] - t) * scale).abs() < 1e-13 * size / angle);
    }
}
