//! Runs of the spectral density: plans, digits, interruptions, refusals, and a network's Hessian.

mod common;
mod matrices;

use candle_core::DType;
use common::Fixture;
use matrices::{Diagonal, density, even, network, places, settings, share, wasserstein};
use relief_hessian::{
    Control, Curvature, DEFAULT_MEMORY, Error, Lanczos, MissedCopies, Objective, Outcome, Result, Silent,
    SpectralDensity, Spectrum, SpectrumObserver, SpectrumOutcome, SpectrumProgress, SpectrumState,
    SymmetricOperator, Wanted,
};

#[test]
fn the_plan_follows_its_formula_and_its_caps() {
    let plan = |n| SpectralDensity::default().plan(n).unwrap();
    // pi / 0.04 = 78.5 steps; 4 ln(40) / ((n + 2) 0.0004) probes: 36.9 at a thousand rows, 3.7 at ten thousand.
    assert_eq!((plan(1_000).probes, plan(1_000).steps), (10, 79));
    assert_eq!((plan(10_000).probes, plan(10_000).steps), (4, 79));
    assert_eq!((plan(1_000_000).probes, plan(1_000_000).steps), (1, 79));
    assert!(plan(10_000).distance <= 0.02 && plan(1_000_000).distance <= 0.02 && plan(1_000).distance > 0.02);
    // The basis is to fit four gigabytes, unless that leaves next to nothing.
    assert_eq!((plan(20_000_000).steps, plan(1_000_000_000).steps), (26, 20));
    assert!(plan(20_000_000).distance > 0.02);
    assert_eq!((plan(10).probes, plan(10).steps, plan(10).products()), (10, 10, 100));
    // Far fewer than the published 601 steps, but never more probes.
    let published = |n: f64| (4.0 / (n + 2.0) / 0.02f64.powi(2) * (2.0 * n / 0.05).ln()).ceil();
    assert!([1e3, 1e4, 1e5, 1e6, 1e7].iter().all(|n| plan(*n as usize).probes as f64 <= published(*n)));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let standard = SpectralDensity::default;
    let refused = [
        SpectralDensity { accuracy: 0.0, ..standard() },
        SpectralDensity { accuracy: f64::NAN, ..standard() },
        SpectralDensity { confidence: 1.0, ..standard() },
        SpectralDensity { probes: Some(0), ..standard() },
        SpectralDensity { steps: Some(0), ..standard() },
        SpectralDensity { unit_roundoff: -1.0, ..standard() },
    ];
    for settings in refused {
        let error = settings.run(&Diagonal(vec![1.0; 9]), &mut Silent).unwrap_err();
        assert!(matches!(error, Error::Input(_)), "{error}");
    }
    assert!(standard().run(&Diagonal(vec![]), &mut Silent).is_err());
    let probe = density(&settings(1, 5, 0), &Diagonal(even(9, 0.0, 1.0))).probes.remove(0);
    assert!(Spectrum::new(9, vec![], 0.95, 0.0).is_err());
    assert!(Spectrum::new(4, vec![probe.clone()], 0.95, 0.0).is_err());
    assert!(Spectrum::new(9, vec![probe.clone()], 1.5, 0.0).is_err());
    let mut backwards = probe;
    backwards.values.reverse();
    assert!(Spectrum::new(9, vec![backwards], 0.95, 0.0).is_err());
}

#[test]
fn what_is_not_finite_stops_the_run() {
    for bad in [f64::NAN, f64::INFINITY] {
        let mut diagonal = even(40, 0.0, 1.0);
        diagonal[7] = bad;
        let error = settings(2, 9, 0).run(&Diagonal(diagonal), &mut Silent).unwrap_err();
        assert!(matches!(error, Error::NonFinite(_)), "{error}");
    }
}

#[test]
fn a_probe_does_not_depend_on_the_others_nor_on_threads() {
    let operator = Diagonal(even(40_000, -1.0, 2.0));
    let run = |probes, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| density(&settings(probes, 8, 5), &operator))
    };
    let three = run(3, 1);
    assert_eq!(three, run(3, 2));
    assert_eq!(three.probes[..2], run(2, 3).probes[..]);
    assert!(three.probes[0] != three.probes[1]);
    assert!(density(&settings(1, 8, 6), &operator).probes[0] != three.probes[0]);
}

/// Interrupts after a given product.
struct StopAt(usize);

impl SpectrumObserver for StopAt {
    fn product(&mut self, progress: &SpectrumProgress) -> Control {
        if progress.products >= self.0 { Control::Interrupt } else { Control::Continue }
    }
}

#[test]
fn every_interruption_resumes_to_the_same_digits() {
    let operator = Diagonal(network());
    let settings = settings(3, 12, 4);
    let whole = density(&settings, &operator);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for at in 1..=whole.products {
        let SpectrumOutcome::Interrupted(state) = settings.run(&operator, &mut StopAt(at)).unwrap() else {
            panic!("not interrupted at {at} of {}", whole.products)
        };
        assert_eq!((state.products(), state.probes().len()), (at, at / 12));
        state.save(&path, "here").unwrap();
        let state = SpectrumState::load(&path, "here").unwrap();
        let SpectrumOutcome::Done(resumed) = settings.resume(&operator, state, &mut Silent).unwrap() else {
            panic!("nobody interrupted")
        };
        assert_eq!(resumed, whole, "interrupted at {at}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only the state is left");
}

#[test]
fn a_state_of_something_else_is_refused() {
    let operator = Diagonal(network());
    let run = settings(2, 10, 4);
    let SpectrumOutcome::Interrupted(state) = run.run(&operator, &mut StopAt(13)).unwrap() else { panic!() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    state.save(&path, "here").unwrap();
    assert!(matches!(SpectrumState::load(&path, "there"), Err(Error::State(_))));
    assert!(relief_hessian::LanczosState::load(&path, "here").is_err());
    let other = settings(2, 10, 5);
    assert!(matches!(other.resume(&operator, state.clone(), &mut Silent), Err(Error::State(_))));
    let larger = Diagonal(even(301, 0.0, 1.0));
    assert!(matches!(run.resume(&larger, state, &mut Silent), Err(Error::State(_))));
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 5, 40, bytes.len() / 2] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(SpectrumState::load(&path, "here").is_err());
    }
}

#[test]
fn progress_counts_products_steps_and_probes() {
    struct Record(Vec<SpectrumProgress>);
    impl SpectrumObserver for Record {
        fn product(&mut self, progress: &SpectrumProgress) -> Control {
            self.0.push(*progress);
            Control::Continue
        }
    }
    let mut record = Record(vec![]);
    settings(3, 7, 0).run(&Diagonal(network()), &mut record).unwrap();
    assert_eq!(record.0.len(), 21);
    for (i, progress) in record.0.iter().enumerate() {
        assert_eq!((progress.products, progress.probe, progress.step), (i + 1, i / 7, i % 7 + 1));
        assert_eq!((progress.max_products, progress.probes, progress.steps), (21, 3, 7));
        assert_eq!(progress.finished, i % 7 == 6);
    }
}

#[test]
fn results_survive_json() {
    let spectrum = density(&settings(2, 6, 0), &Diagonal(network()));
    let text = serde_json::to_string(&spectrum).unwrap();
    let read: Spectrum = serde_json::from_str(&text).unwrap();
    let (found, expected) = (read.cumulative(0.001), spectrum.cumulative(0.001));
    assert!((found.quadrature_lower - expected.quadrature_lower).abs() < 1e-12);
    assert_eq!(read.probes.len(), 2);
    let partial: SpectralDensity = serde_json::from_str(r#"{"probes": 4}"#).unwrap();
    assert_eq!(partial, SpectralDensity { probes: Some(4), ..SpectralDensity::default() });
    // Two steps do not determine the fourth moment.
    let short = density(&settings(1, 2, 0), &Diagonal(network()));
    assert!(short.mean_eigenvalue().standard_error.is_some() && short.mean_square().standard_error.is_none());
}

/// Products rounded to single precision.
struct Single(Diagonal);

impl SymmetricOperator for Single {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.0.apply(x, y)?;
        y.iter_mut().for_each(|y| *y = f64::from(*y as f32));
        Ok(())
    }
}

#[test]
fn bounds_allow_for_rounded_products() {
    // Past the invariant subspace, only rounding is left to multiply; copies of 3 and -0.7 appear, and no ghosts.
    let eigenvalues = [vec![3.0; 150], vec![-0.7; 250]].concat();
    for seed in 0..20 {
        let roundoff = f64::from(f32::EPSILON) / 2.0;
        let settings = SpectralDensity { unit_roundoff: roundoff, ..settings(2, 40, seed) };
        let spectrum = density(&settings, &Single(Diagonal(eigenvalues.clone())));
        for x in [-0.7, 0.0, 3.0, 3.1, -0.8] {
            let found = spectrum.cumulative(x);
            let truth = share(&eigenvalues, x);
            assert!(found.lower <= truth && truth <= found.upper, "{found:?} at {x}");
        }
        assert!(spectrum.cumulative(0.0).upper - spectrum.cumulative(0.0).lower < 0.35);
        for value in spectrum.probes.iter().flat_map(|p| &p.values) {
            let distance = (value - 3.0).abs().min((value + 0.7).abs());
            assert!(distance < 1e-5, "{value}");
        }
    }
}

#[test]
fn a_search_for_eigenvalues_hands_out_a_probe() {
    let eigenvalues = network();
    let operator = Diagonal(eigenvalues.clone());
    let wanted = Wanted::Both { largest: 3, smallest: 1 };
    let mut missed = 0;
    for seed in 0..200 {
        let solver = Lanczos { wanted, seed, check: MissedCopies::Never, ..Lanczos::default() };
        let Outcome::Done(eigen) = solver.run(&operator, None, &mut Silent).unwrap() else { panic!() };
        let probe = eigen.probe.clone().unwrap();
        assert!(probe.values.len() <= eigen.products && probe.values.len() > 8);
        let spectrum = Spectrum::new(300, vec![probe], 0.95, solver.unit_roundoff).unwrap();
        assert!((spectrum.largest() - eigen.largest[0].value).abs() < 1e-5);
        missed += usize::from(places(&eigenvalues, 10).iter().any(|x| {
            let (found, truth) = (spectrum.cumulative(*x), share(&eigenvalues, *x));
            truth < found.lower - 1e-12 || truth > found.upper + 1e-12
        }));
        // The vectors are independent of those of the spectral density of the same seed.
        let steps = spectrum.probes[0].values.len();
        let other = density(&settings(1, steps, seed), &operator);
        assert!((other.mean_eigenvalue().value - spectrum.mean_eigenvalue().value).abs() > 1e-9);
        let Outcome::Done(warm) = solver.run(&operator, Some(&eigen.vectors), &mut Silent).unwrap() else {
            panic!()
        };
        assert!(warm.probe.is_none());
    }
    assert!(missed <= 10, "{missed} of 200 missed at a confidence of 0.95");
    // A restart ends the probe; an invariant subspace makes it exact.
    let short = Lanczos { wanted, basis: Some(12), ..Lanczos::default() };
    let Outcome::Done(eigen) = short.run(&operator, None, &mut Silent).unwrap() else { panic!() };
    assert!(eigen.products > 13 && eigen.probe.unwrap().values.len() == 12);
    let two = Diagonal([vec![1.0; 30], vec![2.0; 30]].concat());
    let Outcome::Done(eigen) = short.run(&two, None, &mut Silent).unwrap() else { panic!() };
    let probe = eigen.probe.unwrap();
    assert!(probe.exact && probe.values.len() == 2);
}

#[test]
fn the_spectrum_of_a_networks_hessian_lies_within_its_bounds() {
    let fixture = Fixture::new("digits-mlp-tanh");
    let eigenvalues: Vec<f64> = fixture.reference["eigenvalues"].to_vec1().unwrap();
    let n = eigenvalues.len();
    let objective = fixture.objective(DType::F64, 250, false);
    let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
    let settings = SpectralDensity { probes: Some(3), ..SpectralDensity::default() };
    let plan = settings.plan(n).unwrap();
    let spectrum = density(&settings, &curvature.hessian());
    assert_eq!((spectrum.n, spectrum.products), (1806, 3 * 79));

    for x in places(&eigenvalues, 200) {
        let (found, truth) = (spectrum.cumulative(x), share(&eigenvalues, x));
        assert!(
            found.lower <= truth + 1e-12 && truth <= found.upper + 1e-12,
            "{found:?}, not {truth}, at {x}"
        );
    }
    let spread = eigenvalues[n - 1] - eigenvalues[0];
    let masses = spectrum
        .probes
        .iter()
        .flat_map(|p| p.values.iter().zip(&p.weights).map(|(value, weight)| (*value, weight / 3.0)));
    let distance = wasserstein(masses, eigenvalues.iter().map(|v| (*v, 1.0 / n as f64)));
    assert!(distance <= plan.distance * spread, "{distance} of {}", plan.distance * spread);

    // The explicit matrix's trace and Frobenius norm.
    for (moment, truth) in [
        (spectrum.mean_eigenvalue(), fixture.number("trace") / n as f64),
        (spectrum.mean_square(), fixture.number("frobenius").powi(2) / n as f64),
    ] {
        assert!(
            (moment.value - truth).abs() <= 3.0 * moment.standard_error.unwrap(),
            "{moment:?}, not {truth}"
        );
    }
    // Ends of the spectrum from inside, and converged.
    assert!((spectrum.largest() - eigenvalues[n - 1]).abs() < 1e-8);
    assert!(spectrum.smallest() > eigenvalues[0] - 1e-8 && spectrum.smallest() < 0.99 * eigenvalues[0]);
    let above = spectrum.outliers().above;
    for (found, expected) in above.values.iter().zip(eigenvalues.iter().rev()) {
        assert!((found - expected).abs() < 1e-8);
    }
    assert!(
        above.values.len() >= 8 && above.at_least == above.values.len() && above.at_most < 25,
        "{above:?}"
    );
}
