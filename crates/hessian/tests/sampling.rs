//! What all estimators share: interruption and resumption, budgets, memory, and what is refused.

mod common;

use common::matrices::{Rotated, done};
use relief_hessian::{
    Control, Counted, Diagonal, DiagonalMethod, EstimateState, EstimateStatus, Estimating, Frobenius,
    FrobeniusMethod, Observer, Outcome, Result, Sampling, Silent, SpectralSum, Summand, SymmetricOperator,
    Target, Trace, TraceMethod,
};

/// Interrupts after every block.
struct Impatient;

impl Observer<Estimating> for Impatient {
    fn product(&mut self, _: &Estimating) -> Control {
        Control::Interrupt
    }
}

/// Remembers where it was.
#[derive(Default)]
struct Diary(Vec<Estimating>);

impl Observer<Estimating> for Diary {
    fn product(&mut self, progress: &Estimating) -> Control {
        self.0.push(*progress);
        Control::Continue
    }
}

fn indefinite() -> Vec<f64> {
    (0..150).map(|i| if i % 4 == 0 { -0.02 } else { 0.9f64.powi(i) }).collect()
}

fn positive() -> Vec<f64> {
    (0..150).map(|i| 0.9f64.powi(i)).collect()
}

/// An estimator as its run, its resumption and the bits of its result.
type Estimate<'a> = (
    String,
    Box<dyn Fn(&mut dyn Observer<Estimating>) -> Result<Outcome<Vec<u64>, EstimateState>> + Send + Sync + 'a>,
    Box<
        dyn Fn(EstimateState, &mut dyn Observer<Estimating>) -> Result<Outcome<Vec<u64>, EstimateState>>
            + Send
            + Sync
            + 'a,
    >,
);

macro_rules! estimate {
    ($estimator:expr, $operator:expr, $bits:expr) => {{
        let (first, second) = ($estimator, $estimator);
        let (one, other) = ($operator, $operator);
        (
            format!("{first:?}"),
            Box::new(move |o: &mut dyn Observer<Estimating>| Ok(first.run(&one, o)?.map($bits))),
            Box::new(move |s, o: &mut dyn Observer<Estimating>| Ok(second.resume(&other, s, o)?.map($bits))),
        )
    }};
}

fn all(target: Target) -> Vec<Estimate<'static>> {
    let sampling = || Sampling { target, seed: 7, max_products: 120, ..Sampling::default() };
    let mut all: Vec<Estimate<'static>> = vec![];
    for method in
        [TraceMethod::Hutchinson, TraceMethod::HutchPlusPlus, TraceMethod::XTrace, TraceMethod::XNysTrace]
    {
        let spectrum = if method == TraceMethod::XNysTrace { positive } else { indefinite };
        all.push(estimate!(Trace { method, sampling: sampling() }, Rotated::new(&spectrum()), |r| vec![
            r.value.to_bits(),
            r.error_estimate.to_bits(),
            r.products as u64
        ]));
    }
    for method in [DiagonalMethod::Independent, DiagonalMethod::XDiag] {
        all.push(estimate!(Diagonal { method, sampling: sampling() }, Rotated::new(&indefinite()), |r| {
            let numbers = [r.values, r.standard_errors, vec![r.error_estimate, r.products as f64]].concat();
            numbers.into_iter().map(f64::to_bits).collect()
        }));
    }
    for method in [FrobeniusMethod::Independent, FrobeniusMethod::LeaveOneOut] {
        all.push(estimate!(
            Frobenius { method, sampling: sampling() },
            Rotated::new(&indefinite()),
            |r| vec![r.value.to_bits(), r.error_estimate.to_bits(), r.products as u64]
        ));
    }
    for summand in [Summand::Logarithm, Summand::EffectiveDimension] {
        let sum = || SpectralSum { summand, damping: 0.01, sampling: sampling() };
        all.push(estimate!(sum(), Rotated::new(&positive()), |r| vec![
            r.value.to_bits(),
            r.error_estimate.to_bits(),
            r.products as u64
        ]));
    }
    all
}

const TARGETS: [Target; 2] = [Target::Products(41), Target::RelativeError(0.01)];

#[test]
fn interrupted_runs_go_on_to_the_same_digits_also_through_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for target in TARGETS {
        for (name, run, resume) in all(target) {
            let expected = done(run(&mut Silent).unwrap());
            assert_eq!(done(run(&mut Silent).unwrap()), expected, "{name}: twice");
            let mut outcome = run(&mut Impatient).unwrap();
            let mut interruptions = 0;
            let found = loop {
                match outcome {
                    Outcome::Done(found) => break found,
                    Outcome::Interrupted(state) => {
                        state.save(&path, "a matrix").unwrap();
                        let loaded = EstimateState::load(&path, "a matrix").unwrap();
                        assert_eq!(loaded.products(), state.products());
                        outcome = resume(loaded, &mut Impatient).unwrap();
                        interruptions += 1;
                    }
                }
            };
            assert_eq!(found, expected, "{name}: interrupted");
            assert!(interruptions >= 5, "{name}: {interruptions} interruptions");
        }
    }
}

#[test]
fn digits_do_not_depend_on_the_number_of_threads() {
    for (name, run, _) in all(Target::Products(41)) {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| done(run(&mut Silent).unwrap()))
        };
        assert_eq!(with(1), with(5), "{name}");
    }
}

#[test]
fn states_of_something_else_and_damaged_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for (name, run, _) in all(Target::Products(41)) {
        let Outcome::Interrupted(state) = run(&mut Impatient).unwrap() else {
            panic!("{name}: done at once")
        };
        for (other, _, resume) in all(Target::Products(41)) {
            if other != name {
                let message = resume(state.clone(), &mut Silent).map(done).unwrap_err().to_string();
                assert!(message.contains("other settings"), "{message}");
            }
        }
        state.save(&path, "a matrix").unwrap();
        let refused = EstimateState::load(&path, "another matrix").unwrap_err().to_string();
        assert!(refused.contains("another checkpoint"), "{refused}");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 8]).unwrap();
        assert!(EstimateState::load(&path, "a matrix").is_err(), "{name}: cut off");
        // A count in the header that does not fit the lists.
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).to_string();
        let start = text.find("\"counts\":\"").unwrap() + 10;
        let mut changed = bytes.clone();
        changed[start] = b'9';
        changed[start + 1] = b'9';
        changed[start + 2] = b'9';
        std::fs::write(&path, &changed).unwrap();
        if let Ok(loaded) = EstimateState::load(&path, "a matrix") {
            let (_, _, resume) = all(Target::Products(41)).into_iter().find(|(n, ..)| *n == name).unwrap();
            assert!(resume(loaded, &mut Silent).is_err(), "{name}: of other rows");
        }
    }
    std::fs::write(&path, "nothing").unwrap();
    assert!(EstimateState::load(&path, "a matrix").unwrap_err().to_string().contains("not the state"));
    let other = Trace {
        sampling: Sampling { target: Target::Products(41), ..Sampling::default() },
        ..Trace::default()
    };
    let Outcome::Interrupted(state) = other.run(&Rotated::new(&positive()), &mut Impatient).unwrap() else {
        panic!("done at once")
    };
    let refused = other.resume(&Rotated::new(&positive()[1..]), state, &mut Silent).unwrap_err().to_string();
    assert!(refused.contains("150 rows, this one has 149"), "{refused}");
}

#[test]
fn products_are_counted_and_progress_is_told() {
    for method in [TraceMethod::HutchPlusPlus, TraceMethod::XTrace, TraceMethod::XNysTrace] {
        let operator = Counted::new(Rotated::new(&positive()));
        let sampling =
            Sampling { target: Target::RelativeError(0.01), max_products: 140, ..Sampling::default() };
        let mut diary = Diary::default();
        let found = done(Trace { method, sampling }.run(&operator, &mut diary).unwrap());
        assert_eq!(found.products, operator.products());
        assert!(found.products <= 140);
        let told = diary.0.last().unwrap();
        assert_eq!((told.products, told.max_products), (found.products, 140));
        assert!(
            diary.0.windows(2).all(|w| w[0].products < w[1].products && w[1].products <= w[0].products + 8)
        );
        assert!(diary.0[0].value.is_none() && diary.0.iter().all(|p| p.products <= p.planned));
        assert!(told.error_estimate.unwrap() > found.error_estimate);
    }
}

#[test]
fn budgets_and_memory_end_a_run_honestly() {
    let spectrum: Vec<f64> = (0..300).map(|i| 1.0 / (1.0 + f64::from(i))).collect();
    let operator = Counted::new(Rotated::new(&spectrum));
    let run = |sampling: Sampling| {
        let found = done(Trace { sampling, ..Trace::default() }.run(&operator, &mut Silent).unwrap());
        (found.status, found.products)
    };
    let target = Target::RelativeError(1e-6);
    let base = Sampling { target, ..Sampling::default() };
    assert_eq!(run(Sampling { max_products: 100, ..base.clone() }), (EstimateStatus::BudgetSpent, 100));
    // 16, 32, 64, 128, 256 products, and then all columns.
    assert_eq!(run(base.clone()), (EstimateStatus::Exact, 556));
    let memory = 8 * 300 * 50;
    assert_eq!(run(Sampling { memory, max_products: 200, ..base }), (EstimateStatus::MemorySpent, 50));
    let short = Sampling { target: Target::Products(100), max_products: 40, ..Sampling::default() };
    assert_eq!(run(short), (EstimateStatus::BudgetSpent, 40));
    let odd = Sampling { target: Target::Products(41), ..Sampling::default() };
    assert_eq!(run(odd), (EstimateStatus::Reached, 40));
    let statuses = [
        EstimateStatus::Exact,
        EstimateStatus::Reached,
        EstimateStatus::BudgetSpent,
        EstimateStatus::MemorySpent,
    ];
    assert_eq!(statuses.map(|s| s.remedy().is_some()), [false, false, true, true]);
}

/// Products that are not finite.
struct Broken;

impl SymmetricOperator for Broken {
    fn dim(&self) -> usize {
        100
    }

    fn apply(&self, _: &[f64], y: &mut [f64]) -> Result<()> {
        y.fill(1.0);
        y[3] = f64::NAN;
        Ok(())
    }
}

#[test]
fn bad_input_is_refused_in_words() {
    let operator = Rotated::new(&positive());
    let refused = |method, sampling| {
        let trace = Trace { method, sampling };
        trace.run(&operator, &mut Silent).map(done).unwrap_err().to_string()
    };
    let products = |m| Sampling { target: Target::Products(m), ..Sampling::default() };
    let relative = |e| Sampling { target: Target::RelativeError(e), ..Sampling::default() };
    for (method, least) in [
        (TraceMethod::Hutchinson, 2),
        (TraceMethod::HutchPlusPlus, 4),
        (TraceMethod::XTrace, 4),
        (TraceMethod::XNysTrace, 3),
    ] {
        for m in [0, least - 1] {
            let message = refused(method, products(m));
            assert!(message.contains(&format!("at least {least} products")), "{message}");
        }
        let found = done(Trace { method, sampling: products(least) }.run(&operator, &mut Silent).unwrap());
        assert!(found.products == least && found.value.is_finite() && found.error_estimate.is_finite());
    }
    for error in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
        assert!(refused(TraceMethod::XTrace, relative(error)).contains("between 0 and 1"));
    }
    for deviations in [0.0, -1.0, f64::NAN] {
        let sampling = Sampling { deviations, ..Sampling::default() };
        assert!(refused(TraceMethod::XTrace, sampling).contains("above 0"));
    }
    for target in [Target::Products(50), Target::RelativeError(0.1)] {
        let sampling = Sampling { target, memory: 8 * 150 * 3, ..Sampling::default() };
        assert!(refused(TraceMethod::XTrace, sampling.clone()).contains("memory"));
        assert!(Trace { method: TraceMethod::Hutchinson, sampling }.run(&operator, &mut Silent).is_ok());
    }
    let message = Trace::default().run(&Broken, &mut Silent).map(done).unwrap_err().to_string();
    assert!(message.contains("not finite"), "{message}");
    assert!(Trace::default().run(&Rotated::new(&[]), &mut Silent).is_err());
}

#[test]
fn settings_and_results_are_serialised() {
    let trace: Trace = serde_json::from_str(
        r#"{"method": "xnystrace", "sampling": {"target": {"products": 30}, "seed": 4}}"#,
    )
    .unwrap();
    assert_eq!(trace.method, TraceMethod::XNysTrace);
    assert_eq!(trace.sampling.target, Target::Products(30));
    let found = done(trace.run(&Rotated::new(&positive()), &mut Silent).unwrap());
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!((json["method"].as_str(), json["status"].as_str()), (Some("xnystrace"), Some("reached")));
    assert_eq!(serde_json::from_value::<relief_hessian::TraceEstimate>(json).unwrap().products, 30);
}
