//! What Adam remembers, as PyTorch writes it, against its closed form.

use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use relief_hessian::Parameters;
use relief_models::checkpoint::AdamMemory;

fn load(name: &str) -> Result<AdamMemory, String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/optimizers").join(name);
    AdamMemory::load(&path).map_err(|e| e.to_string())
}

/// The network's parameters, by name.
fn parameters() -> Parameters {
    let shapes: [(&str, &[usize]); 6] = [
        ("0.weight", &[3, 2]),
        ("0.bias", &[3]),
        ("1.weight", &[3]),
        ("1.bias", &[3]),
        ("2.weight", &[1, 3]),
        ("2.bias", &[1]),
    ];
    let zeros = |(name, shape): (&str, &[usize])| {
        (name.to_string(), Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap())
    };
    Parameters::new(shapes.map(zeros)).unwrap()
}

/// v after two steps, in the order of the names.
fn expected(beta2: f64) -> Vec<f64> {
    let of = |entries: usize| (1..=entries).map(move |i| (1.0 - beta2 * beta2) * (i as f64 / 10.0).powi(2));
    // 0.bias, 0.weight, 1.bias, 1.weight, 2.bias, 2.weight
    [3, 6, 3, 3, 1, 3].into_iter().flat_map(of).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max);
    assert!(worst < 1e-12, "{worst:e}");
}

#[test]
fn second_moments_have_the_parameters_names() {
    for name in ["beside.pth", "named.pth", "amsgrad.pth", "parallel.pth", "rates.pth"] {
        let memory = load(name).unwrap();
        assert_close(&memory.of(&parameters()).unwrap(), &expected(0.95));
        assert_eq!((memory.steps, memory.beta1, memory.beta2), (Some(2), Some(0.8), Some(0.95)), "{name}");
        assert_eq!(memory.sha256.len(), 64);
    }
    let memory = load("beside.pth").unwrap();
    assert_eq!((memory.epsilon, memory.eta), (Some(1e-6), Some(0.01)));
    // There is no one step size.
    assert_eq!(load("rates.pth").unwrap().eta, None);
}

#[test]
fn what_is_not_adams_is_refused_with_its_reason() {
    for (name, word) in [
        ("alone.pth", "no names"),
        ("sgd.pth", "without exp_avg_sq"),
        ("fresh.pth", "without exp_avg_sq"),
        ("settings.pth", "different betas or eps"),
        ("groups.pth", "several groups"),
        ("half.pth", "2 parameters beside 6"),
    ] {
        let message = load(name).unwrap_err();
        assert!(message.contains(word) && message.contains(name), "{name}: {message}");
    }
}
