//! Where vectors lie changes no digit: on the host, as tensors on the CPU (which go the way of a device), and on a card where
//! there is one.

mod common;

use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};
use common::Fixture;
use relief_hessian::{
    Affine, Control, Counted, Curvature, DEFAULT_MEMORY, Dense, Eigen, Error, Lanczos, LanczosState, Matrix,
    MissedCopies, Objective, Observer, OnHost, Outcome, Parameters, Progress, Restricted, Result, Scaled,
    Silent, SpectralDensity, SpectrumOutcome, Sum, SymmetricOperator, Wanted,
};

/// The CPU, and a card if there is one.
fn devices() -> &'static [Device] {
    static DEVICES: OnceLock<Vec<Device>> = OnceLock::new();
    DEVICES.get_or_init(|| [Device::Cpu].into_iter().chain(relief_autodiff::cuda_device(0)).collect())
}

/// An operator that wants its vectors on a device.
struct Placed<A>(A, Device);

impl<A: SymmetricOperator> SymmetricOperator for Placed<A> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.0.apply(x, y)
    }

    fn device(&self) -> Option<Device> {
        Some(self.1.clone())
    }

    fn apply_on_device(&self, x: &Tensor) -> Result<Tensor> {
        assert!(x.device().same_device(&self.1), "a vector lies elsewhere");
        self.0.apply_on_device(x)
    }
}

/// A band matrix of n rows with a few large values, two of them equal.
struct Band(usize);

impl SymmetricOperator for Band {
    fn dim(&self) -> usize {
        self.0
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
        for (i, y) in y.iter_mut().enumerate() {
            let near = [i.wrapping_sub(2), i + 2].iter().filter_map(|&j| x.get(j)).sum::<f64>();
            *y = (60.0 / (1 + i / 2) as f64 - (i % 97) as f64 / 300.0) * x[i] + 0.2 * near;
        }
        Ok(())
    }
}

struct StopAt(usize);

impl Observer for StopAt {
    fn product(&mut self, progress: &Progress) -> Control {
        if progress.products == self.0 { Control::Interrupt } else { Control::Continue }
    }
}

fn searches() -> Vec<Lanczos> {
    let plain = Lanczos { max_products: 120, ..Lanczos::default() };
    let both = Wanted::Both { largest: 3, smallest: 2 };
    vec![
        plain.clone(),
        Lanczos { wanted: Wanted::Largest { k: 5 }, tolerance: 1e-5, ..plain.clone() },
        Lanczos { wanted: both, tolerance: 1e-3, basis: Some(14), seed: 4, ..plain.clone() },
        Lanczos { wanted: Wanted::Magnitude { k: 3 }, check: MissedCopies::Never, ..plain },
    ]
}

fn done(outcome: Outcome) -> Eigen {
    let Outcome::Done(eigen) = outcome else { panic!("interrupted") };
    eigen
}

#[test]
fn searches_have_the_same_digits_wherever_vectors_lie() {
    for n in [9, 20_011] {
        for (case, settings) in searches().iter().enumerate() {
            let expected = done(settings.run(&Band(n), None, &mut Silent).unwrap());
            let near = |v: &Vec<f64>| v.iter().enumerate().map(|(i, x)| x + 1e-5 * (i % 7) as f64).collect();
            let start: Vec<Vec<f64>> = expected.vectors.iter().map(near).collect();
            let warm = done(settings.run(&Band(n), Some(&start), &mut Silent).unwrap());
            for device in devices() {
                let there = Placed(Band(n), device.clone());
                let found = done(settings.run(&there, None, &mut Silent).unwrap());
                assert_eq!(found, expected, "{n} rows, search {case} on {device:?}");
                let found = done(settings.run(&there, Some(&start), &mut Silent).unwrap());
                assert_eq!(found, warm, "{n} rows, search {case} on {device:?} from vectors");
            }
        }
    }
}

#[test]
fn a_state_goes_on_elsewhere_to_the_same_digits() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, n) = (&searches()[2], 3000);
    let expected = done(settings.run(&Band(n), None, &mut Silent).unwrap());
    for device in devices() {
        let there = Placed(Band(n), device.clone());
        for stop in [1, 25, 90] {
            let pause = |operator: &dyn SymmetricOperator| {
                let Outcome::Interrupted(state) = settings.run(operator, None, &mut StopAt(stop)).unwrap()
                else {
                    panic!("not interrupted")
                };
                state.save(&folder.path().join("state"), "band").unwrap();
                (LanczosState::load(&folder.path().join("state"), "band").unwrap(), state)
            };
            let (read, kept) = pause(&there);
            let again = kept.clone();
            for state in [read, kept, again] {
                assert_eq!(done(settings.resume(&Band(n), state, &mut Silent).unwrap()), expected);
            }
            for state in [pause(&Band(n)).0, pause(&there).1] {
                assert_eq!(done(settings.resume(&there, state, &mut Silent).unwrap()), expected);
            }
        }
    }
}

#[test]
fn spectra_have_the_same_digits_wherever_vectors_lie() {
    let settings = SpectralDensity { steps: Some(12), probes: Some(3), ..SpectralDensity::default() };
    let run = |operator: &dyn SymmetricOperator| {
        let SpectrumOutcome::Done(spectrum) = settings.run(operator, &mut Silent).unwrap() else {
            panic!("interrupted")
        };
        spectrum.probes
    };
    for n in [5, 20_011] {
        let expected = run(&Band(n));
        assert!(devices().iter().all(|device| run(&Placed(Band(n), device.clone())) == expected));
    }
}

#[test]
fn what_is_not_finite_is_refused_on_a_device_as_on_the_host() {
    struct Broken;
    impl SymmetricOperator for Broken {
        fn dim(&self) -> usize {
            4
        }
        fn apply(&self, _: &[f64], y: &mut [f64]) -> Result<()> {
            y.copy_from_slice(&[1.0, 2.0, f64::INFINITY, f64::NAN]);
            Ok(())
        }
    }
    for device in devices() {
        let there = Placed(Broken, device.clone());
        let refusals = [&Broken as &dyn SymmetricOperator, &there]
            .map(|operator| Lanczos::default().run(operator, None, &mut Silent).unwrap_err());
        let [here, there] = refusals.map(|e| match e {
            Error::NonFinite(said) => said,
            other => panic!("{other}"),
        });
        assert!(here == there && here.contains("entry 2"), "{here} {there}");
    }
}

/// A network on a device: its weights, and its batches, of which the last is smaller.
fn curved(device: &Device, dtype: DType) -> relief_hessian::GraphObjective {
    let mut fixture = Fixture::new("digits-mlp-tanh");
    let there = |t: &Tensor| t.to_device(device).unwrap();
    fixture.tensors.values_mut().for_each(|t| *t = there(t));
    (fixture.x, fixture.y) = (there(&fixture.x), there(&fixture.y));
    fixture.objective(dtype, 300, false).with_weight_decay(0.01)
}

fn direction(n: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7919) % 1013) as f64 / 500.0 - 1.0).collect()
}

#[test]
fn products_have_the_same_digits_wherever_their_vectors_lie() {
    for dtype in [DType::F32, DType::F64] {
        for memory in [0, DEFAULT_MEMORY] {
            let host = curved(&Device::Cpu, dtype);
            let at = Curvature::new(&host, host.parameters(), memory).unwrap();
            let x = direction(host.parameters().len());
            for matrix in [Matrix::Hessian, Matrix::GaussNewton, Matrix::Residual] {
                let mut expected = vec![0.0; x.len()];
                at.operator(matrix).apply(&x, &mut expected).unwrap();
                let size = expected.iter().fold(0.0, |size: f64, y| size.max(y.abs()));
                for device in devices() {
                    let objective = curved(device, dtype);
                    let there = Curvature::new(&objective, objective.parameters(), memory).unwrap();
                    let operator = there.operator(matrix);
                    let v = Tensor::new(x.as_slice(), device).unwrap();
                    let found = operator.apply_on_device(&v).unwrap().to_vec1::<f64>().unwrap();
                    if device.is_cpu() {
                        assert!(found == expected && operator.device().is_none(), "{matrix:?} in {dtype:?}");
                        continue;
                    }
                    let (mut copied, wanted) = (vec![0.0; x.len()], operator.device());
                    operator.apply(&x, &mut copied).unwrap();
                    assert!(found == copied && wanted.is_some_and(|wanted| wanted.same_device(device)));
                    assert_eq!(
                        operator.apply_block(&[x.clone(), x.clone()]).unwrap(),
                        [found.clone(), copied]
                    );
                    let close = if dtype == DType::F32 { 1e-4 } else { 1e-11 };
                    let error = |(a, b): (&f64, &f64)| (a - b).abs() < close * size;
                    assert!(found.iter().zip(&expected).all(error), "{matrix:?} in {dtype:?}");
                }
            }
        }
    }
}

#[test]
fn eigenpairs_of_a_network_do_not_depend_on_where_vectors_lie() {
    for device in devices() {
        let objective = curved(device, DType::F32);
        let curvature = Curvature::new(&objective, objective.parameters(), DEFAULT_MEMORY).unwrap();
        let settings = Lanczos {
            wanted: Wanted::Largest { k: 3 },
            tolerance: 1e-4,
            unit_roundoff: f64::from(f32::EPSILON) / 2.0,
            ..Lanczos::default()
        };
        let host = done(settings.run(&OnHost(curvature.hessian()), None, &mut Silent).unwrap());
        let there = Placed(curvature.hessian(), device.clone());
        assert_eq!(done(settings.run(&there, None, &mut Silent).unwrap()), host);
    }
}

#[test]
fn adapters_have_the_same_digits_wherever_vectors_lie() {
    let entries: Vec<f64> =
        (0..49).map(|i| f64::from(1 + i / 7 + i % 7) * 0.37 - f64::from(i / 7 * (i % 7)) * 0.11).collect();
    for device in devices() {
        let a = || Placed(Dense::new(7, entries.clone()).unwrap(), device.clone());
        let scaled = Scaled::preconditioned(a(), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]).unwrap();
        let adapters: [Box<dyn SymmetricOperator>; 6] = [
            Box::new(Affine { operator: a(), factor: 0.7, shift: -0.3 }),
            Box::new(Sum::new(a(), Dense::new(7, entries.clone()).unwrap()).unwrap()),
            Box::new(Restricted::new(a(), vec![1..3, 3..4, 6..7]).unwrap()),
            Box::new(Restricted::new(a(), vec![0..2, 2..7]).unwrap()),
            Box::new(scaled),
            Box::new(Counted::new(a())),
        ];
        for (number, adapter) in adapters.iter().enumerate() {
            let x = direction(adapter.dim());
            let mut expected = vec![0.0; x.len()];
            adapter.apply(&x, &mut expected).unwrap();
            assert!(adapter.device().is_some_and(|wanted| wanted.same_device(device)));
            for _ in 0..2 {
                let v = Tensor::new(x.as_slice(), device).unwrap();
                let found = adapter.apply_on_device(&v).unwrap().to_vec1::<f64>().unwrap();
                assert_eq!(found, expected, "adapter {number} on {device:?}");
            }
        }
    }
}

#[test]
fn vectors_of_a_wrong_length_are_refused() {
    let objective = curved(&Device::Cpu, DType::F64);
    let parameters: &Parameters = objective.parameters();
    let curvature = Curvature::new(&objective, parameters, DEFAULT_MEMORY).unwrap();
    let short = Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap();
    assert!(curvature.hessian().apply_on_device(&short).is_err());
    let long = Tensor::zeros(parameters.len() + 1, DType::F64, &Device::Cpu).unwrap();
    assert!(curvature.hessian().apply_on_device(&long).is_err());
}
