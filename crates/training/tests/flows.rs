//! Flows against closed forms, finite differences and the discrete rules that they describe.

mod nets;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use nets::{chebyshev, digits, largest};
use relief_hessian::{
    Control, Evaluation, FiniteSum, Linearization, Objective, Parameters, Result, gradient, third_products,
};
use relief_training::{
    CentralFlow, Ending, Expansion, FlowState, GradientFlow, Rule, Sam, SamSde, SdeOrder, Training,
    TrainingState,
};

/// 1/2 x'Ax with A = Q D Q', Q a reflection.
struct Quadratic {
    start: Parameters,
    values: Vec<f64>,
    reflector: Vec<f64>,
}

impl Quadratic {
    fn new(values: &[f64]) -> Self {
        let n = values.len();
        let reflector: Vec<f64> = (0..n).map(|i| 1.0 + i as f64).collect();
        let length = reflector.iter().map(|x| x * x).sum::<f64>().sqrt();
        let start = Tensor::ones(n, DType::F64, &Device::Cpu).unwrap();
        Self {
            start: Parameters::new([("x".to_string(), start)]).unwrap(),
            values: values.to_vec(),
            reflector: reflector.iter().map(|x| x / length).collect(),
        }
    }

    /// Q f(D) Q' x.
    fn with_eigenvalues(&self, of: impl Fn(f64) -> f64, x: &[f64]) -> Vec<f64> {
        let reflect = |x: &[f64]| -> Vec<f64> {
            let along = 2.0 * self.reflector.iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
            x.iter().zip(&self.reflector).map(|(x, r)| x - along * r).collect()
        };
        let inner: Vec<f64> = reflect(x).iter().zip(&self.values).map(|(x, v)| of(*v) * x).collect();
        reflect(&inner)
    }
}

struct QuadraticAt {
    objective: Quadratic,
    x: Vec<f64>,
}

impl Objective for Quadratic {
    fn parameters(&self) -> &Parameters {
        &self.start
    }
    fn batches(&self) -> usize {
        1
    }
    fn weight(&self, _: usize) -> f64 {
        1.0
    }
    fn evaluate(&self, at: &Parameters, batch: usize) -> Result<Evaluation> {
        Ok(Evaluation { loss: self.linearize(at, batch)?.loss(), outputs: None })
    }
    fn linearize(&self, at: &Parameters, _: usize) -> Result<Box<dyn Linearization>> {
        Ok(Box::new(QuadraticAt { objective: Self::new(&self.values), x: at.to_vec()? }))
    }
    fn third_products(
        &self,
        _: &Parameters,
        _: usize,
        pairs: &[(Vec<Tensor>, Vec<Tensor>)],
    ) -> Result<Vec<Vec<Tensor>>> {
        pairs.iter().map(|(u, _)| Ok(vec![u[0].zeros_like()?])).collect()
    }
}

impl Linearization for QuadraticAt {
    fn loss(&self) -> f64 {
        let product = self.objective.with_eigenvalues(|v| v, &self.x);
        0.5 * self.x.iter().zip(product).map(|(x, a)| x * a).sum::<f64>()
    }
    fn gradient(&self) -> Result<Vec<Tensor>> {
        let product = self.objective.with_eigenvalues(|v| v, &self.x);
        Ok(vec![Tensor::new(product, &Device::Cpu)?])
    }
    fn hessian_products(&self, block: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
        let product = |x: &Vec<Tensor>| {
            let product = self.objective.with_eigenvalues(|v| v, &x[0].to_vec1::<f64>()?);
            Ok(vec![Tensor::new(product, &Device::Cpu)?])
        };
        block.iter().map(product).collect()
    }
    fn bytes(&self) -> usize {
        0
    }
}

fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
}

fn ends(flow: &GradientFlow, objective: &dyn Objective) -> FlowState {
    let mut state = FlowState::new(objective.parameters()).unwrap();
    let ending = flow.run(objective, &mut state, &mut |_, _| Control::Continue).unwrap();
    assert_eq!(ending, Ending::Finished);
    state
}

#[test]
fn gradient_flow_of_a_quadratic_is_an_exponential() {
    let objective = Quadratic::new(&[10.0, 3.0, 1.0, 0.2, 0.0, -0.1]);
    let start = objective.parameters().to_vec().unwrap();
    let exact = |time: f64| objective.with_eigenvalues(|v| (-v * time).exp(), &start);
    let with = |alpha| {
        let flow = GradientFlow { alpha, until: 0.7, marks: Some(0.35), ..GradientFlow::default() };
        let state = ends(&flow, &objective);
        assert!((state.time - 0.7).abs() < 1e-12 && (state.sharpness - 10.0).abs() < 1e-6);
        distance(&state.point, &exact(0.7))
    };
    assert!(with(0.025) < 1e-8, "{}", with(0.025));
    // Fourth order: sixteenfold for twice the step.
    let ratio = with(0.2) / with(0.1);
    assert!((12.0..22.0).contains(&ratio), "{ratio}");
}

#[test]
fn gradient_flow_goes_on_from_a_file_to_the_same_digits() {
    let objective = digits(50, "64-6-10").whole().unwrap();
    let flow = GradientFlow { until: 3.0, marks: Some(0.25), refresh: 3, ..GradientFlow::default() };
    let whole = ends(&flow, &*objective);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let mut state = FlowState::new(objective.parameters()).unwrap();
    loop {
        let ending = flow.run(&*objective, &mut state, &mut |_, _| Control::Interrupt).unwrap();
        state.save(&path, "digits").unwrap();
        assert_eq!(FlowState::load(&path, "digits").unwrap(), state);
        state = FlowState::load(&path, "digits").unwrap();
        if ending == Ending::Finished {
            break;
        }
    }
    assert_eq!(state, whole);
    assert!(FlowState::load(&path, "other").is_err());
}

#[test]
fn gradient_descent_leaves_gradient_flow_at_the_edge() {
    let (sum, eta) = (chebyshev(), 0.4);
    let objective = sum.whole().unwrap();
    let (steps, every) = (2500, 20);
    let mut iterates = BTreeMap::new();
    let training = Training { eta, steps, ..Training::default() };
    let mut state = TrainingState::new(sum.parameters()).unwrap();
    training
        .run(&sum, &mut state, &mut |_, state| {
            if state.step.is_multiple_of(every) {
                iterates.insert(state.step, state.point.clone());
            }
            Control::Continue
        })
        .unwrap();
    let flow = GradientFlow {
        until: eta * steps as f64,
        marks: Some(eta * every as f64),
        ..GradientFlow::default()
    };
    let mut crossing = None;
    let mut apart = BTreeMap::new();
    let mut state = FlowState::new(sum.parameters()).unwrap();
    flow.run(&*objective, &mut state, &mut |step, state| {
        let at = (state.time / eta).round();
        if step.sharpness > 2.0 / eta && crossing.is_none() {
            crossing = Some(at as usize);
        }
        if (state.time / eta - at).abs() < 1e-6
            && let Some(iterate) = iterates.get(&(at as usize))
        {
            apart.insert(at as usize, distance(iterate, &state.point));
        }
        Control::Continue
    })
    .unwrap();
    let crossing = crossing.expect("the flow crosses the edge");
    let before = apart.range(..crossing * 9 / 10).map(|(_, d)| *d).fold(0.0, f64::max);
    let after = *apart.values().last().unwrap();
    assert!(after > 10.0 * before, "{before} before the crossing, {after} at the end");
}

#[test]
fn the_largest_eigenvalue_has_the_third_derivative_as_its_gradient() {
    let objective = digits(100, "64-8-10").whole().unwrap();
    let at = objective.parameters();
    let n = at.len();
    let found = largest(&*objective, at, 1, 1e-10, None);
    let v = &found.vectors[0];
    let slope = &third_products(&*objective, at, &[(v, v)]).unwrap()[0];
    let direction: Vec<f64> = (0..n).map(|i| (1.0 + 3.0 * i as f64).sin() / (n as f64).sqrt()).collect();
    let h = 1e-3;
    let moved = |way: f64| {
        let at = at.displaced(&direction, way * h).unwrap();
        largest(&*objective, &at, 1, 1e-11, Some(&found.vectors)).largest[0].value
    };
    let difference = (8.0 * (moved(1.0) - moved(-1.0)) - (moved(2.0) - moved(-2.0))) / (12.0 * h);
    let exact: f64 = slope.iter().zip(&direction).map(|(a, b)| a * b).sum();
    let size = slope.iter().map(|x| x * x).sum::<f64>().sqrt();
    assert!((difference - exact).abs() < 1e-6 * size, "{difference} against {exact}");
}

#[test]
fn the_central_flow_follows_the_mean_of_gradient_descent() {
    let (sum, eta, steps) = (chebyshev(), 0.4, 2500);
    let objective = sum.whole().unwrap();
    let training = Training { eta, steps, ..Training::default() };
    let mut state = TrainingState::new(sum.parameters()).unwrap();
    let mut losses = vec![];
    training
        .run(&sum, &mut state, &mut |step, _| {
            losses.push(step.loss);
            Control::Continue
        })
        .unwrap();
    let flow = CentralFlow { eta, steps, ..CentralFlow::default() };
    let mut state = FlowState::new(sum.parameters()).unwrap();
    let (mut predicted, mut sharpest, mut residual) = (vec![], 0.0_f64, 0.0_f64);
    flow.run(&*objective, &mut state, &mut |step, _| {
        predicted.push(step.mean_loss);
        sharpest = sharpest.max(step.eigenvalues[0]);
        residual = residual.max(step.residual);
        Control::Continue
    })
    .unwrap();
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    assert!(residual <= 1e-9 && sharpest < 2.0 / eta * 1.01, "{sharpest}, {residual}");
    let late = steps / 2..steps;
    let (found, expected) = (mean(&losses[late.clone()]), mean(&predicted[late]));
    assert!((expected / found - 1.0).abs() < 0.05, "predicted {expected}, found {found}");
}

#[test]
fn the_drifts_are_what_differences_of_losses_say() {
    let sum = digits(60, "64-6-10");
    let objective = sum.whole().unwrap();
    let (at, rho, h) = (sum.parameters(), 0.3, 1e-4);
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let (_, slope) = gradient(&*objective, at).unwrap();
    let u: Vec<f64> = slope.iter().map(|g| g / norm(&slope)).collect();
    let drift = |order| Expansion { rho, order }.gradient(&*objective, at).unwrap().2;
    let (second, third) = (drift(SdeOrder::Second), drift(SdeOrder::Third));
    // The drift to second order is the gradient of f + rho |grad f|.
    let direction: Vec<f64> = (0..at.len()).map(|i| (2.0 + i as f64).cos()).collect();
    let direction: Vec<f64> = direction.iter().map(|x| x / norm(&direction)).collect();
    let regularised = |way: f64| {
        let (loss, slope) = gradient(&*objective, &at.displaced(&direction, way * h).unwrap()).unwrap();
        loss + rho * norm(&slope)
    };
    let difference =
        (8.0 * (regularised(1.0) - regularised(-1.0)) - (regularised(2.0) - regularised(-2.0))) / (12.0 * h);
    let along: f64 = second.iter().zip(&direction).map(|(a, b)| a * b).sum();
    assert!((difference - along).abs() < 1e-6 * norm(&second), "{difference} against {along}");
    // What the third order adds is a second difference of gradients along u.
    let h = 1e-3;
    let beside = |way: f64| gradient(&*objective, &at.displaced(&u, way * h).unwrap()).unwrap().1;
    let (ahead, behind) = (beside(1.0), beside(-1.0));
    let expected: Vec<f64> =
        (0..at.len()).map(|i| 0.5 * rho * rho * (ahead[i] - 2.0 * slope[i] + behind[i]) / (h * h)).collect();
    let found: Vec<f64> = third.iter().zip(&second).map(|(a, b)| a - b).collect();
    assert!(distance(&found, &expected) < 1e-5 * norm(&expected), "{}", distance(&found, &expected));
    // Each order is off SAM's own gradient by the next power of the radius.
    let off = |rho: f64, order| {
        let sam = gradient(&*objective, &at.displaced(&u, rho).unwrap()).unwrap().1;
        distance(&sam, &Expansion { rho, order }.gradient(&*objective, at).unwrap().2)
    };
    for (order, power) in [(SdeOrder::Second, 2.0), (SdeOrder::Third, 3.0)] {
        let found = (off(0.02, order) / off(0.01, order)).log2();
        assert!((found - power).abs() < 0.1, "{order:?}: {found}");
    }
}

#[test]
fn without_mini_batches_the_third_order_stays_nearer_to_sharpness_aware_minimization() {
    let sum = digits(100, "64-8-10");
    let (eta, rho, steps) = (0.05, 0.2, 200);
    let rule = Rule::Sam(Sam { rho, ..Sam::default() });
    let training = Training { rule, eta, steps, ..Training::default() };
    let mut sam = TrainingState::new(sum.parameters()).unwrap();
    training.run(&sum, &mut sam, &mut |_, _| Control::Continue).unwrap();
    let apart = |order| {
        let equation = SamSde { order, eta, rho, steps, ..SamSde::default() };
        let mut state = FlowState::new(sum.parameters()).unwrap();
        let mut noise = 0.0_f64;
        equation
            .run(&sum, &mut state, &mut |step, _| {
                noise = noise.max(step.noise_norm);
                Control::Continue
            })
            .unwrap();
        assert!(noise < 1e-15 && (state.time - eta * steps as f64).abs() < 1e-12);
        distance(&state.point, &sam.point)
    };
    let (second, third) = (apart(SdeOrder::Second), apart(SdeOrder::Third));
    assert!(third < 0.5 * second, "{third} against {second}");
}

#[test]
fn the_noise_has_the_covariance_of_mini_batches() {
    let sum = digits(64, "64-4-10");
    let settings = SamSde { eta: 0.1, rho: 0.05, steps: 1, batch: Some(16), ..SamSde::default() };
    // One step from the same point with many seeds: without noise all would end at one point but for the cuts.
    let runs: Vec<(Vec<f64>, f64)> = (0..200)
        .map(|seed| {
            let mut state = FlowState::new(sum.parameters()).unwrap();
            let mut noise = 0.0;
            let told = &mut |step: &relief_training::SamSdeStep, _: &FlowState| {
                noise = step.noise_norm;
                Control::Continue
            };
            SamSde { seed, ..settings.clone() }.run(&sum, &mut state, told).unwrap();
            (state.point, noise)
        })
        .collect();
    let found = runs.iter().map(|r| r.1.powi(2)).sum::<f64>() / runs.len() as f64;
    // The mean square deviation of a mini-batch's gradient from the mean, over many cuts.
    let expansion = Expansion { rho: 0.05, order: SdeOrder::Third };
    let epochs = relief_hessian::Epochs::new(64, 16, 7).unwrap();
    let mut expected = 0.0;
    for cut in 0..50 {
        let part = |nth: usize| {
            let batch = sum.over(&epochs.at(cut * 4 + nth)).unwrap();
            expansion.gradient(&*batch, sum.parameters()).unwrap().2
        };
        let parts: Vec<Vec<f64>> = (0..4).map(part).collect();
        let mean: Vec<f64> =
            (0..parts[0].len()).map(|i| parts.iter().map(|p| p[i]).sum::<f64>() / 4.0).collect();
        expected += parts.iter().map(|p| distance(p, &mean).powi(2)).sum::<f64>() / 4.0 / 50.0;
    }
    // 200 draws of a sum of a few squares: a standard error of some 6 %.
    assert!((found / expected - 1.0).abs() < 0.25, "{found} against {expected}");
}

#[test]
fn what_cannot_be_is_said() {
    let objective = Quadratic::new(&[10.0, 1.0]);
    let run = |flow: GradientFlow, state: &mut FlowState| {
        flow.run(&objective, state, &mut |_, _| Control::Continue).unwrap_err().to_string()
    };
    let mut state = FlowState::new(objective.parameters()).unwrap();
    let start = state.clone();
    assert!(run(GradientFlow { alpha: 0.0, ..GradientFlow::default() }, &mut state).contains("alpha is 0"));
    let wild = GradientFlow { alpha: 1e4, most: 1e4, until: 1e9, refresh: 1000, ..GradientFlow::default() };
    assert!(run(wild, &mut state).contains("diverged at step"));
    assert!(state.point.iter().all(|x| x.is_finite()));
    state.point.push(1.0);
    assert!(run(GradientFlow::default(), &mut state).contains("another network"));
    // A quadratic above the edge: nothing takes the sharpness back.
    let mut state = start;
    let flow = CentralFlow { eta: 0.3, ..CentralFlow::default() };
    let error = flow.run(&objective, &mut state, &mut |_, _| Control::Continue).unwrap_err().to_string();
    assert!(error.contains("no solution"), "{error}");
    let flow = CentralFlow { substeps: 0, ..CentralFlow::default() };
    assert!(flow.run(&objective, &mut state, &mut |_, _| Control::Continue).is_err());
    let sum = digits(20, "64-4-10");
    let mut state = FlowState::new(sum.parameters()).unwrap();
    let equation = SamSde { batch: Some(30), ..SamSde::default() };
    let error = equation.run(&sum, &mut state, &mut |_, _| Control::Continue).unwrap_err().to_string();
    assert!(error.contains("cannot be taken from 20"), "{error}");
}

#[test]
fn central_flow_and_equations_go_on_to_the_same_digits() {
    let sum = digits(60, "64-4-10");
    let objective = sum.whole().unwrap();
    let central = CentralFlow { eta: 1.5, steps: 12, ..CentralFlow::default() };
    let equation = SamSde { steps: 6, batch: Some(20), ..SamSde::default() };
    let run = |control: Control| {
        let start = FlowState::new(sum.parameters()).unwrap();
        let (mut flow, mut walk) = (start.clone(), start);
        while central.run(&*objective, &mut flow, &mut |_, _| control).unwrap() == Ending::Interrupted {}
        while equation.run(&sum, &mut walk, &mut |_, _| control).unwrap() == Ending::Interrupted {}
        (flow.point, walk.point)
    };
    assert_eq!(run(Control::Continue), run(Control::Interrupt));
}
