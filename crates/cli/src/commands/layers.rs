//! `relief eigenvalues --per-layer` and `--per-block`: blocks of a curvature matrix, each by itself.

use std::path::{Path, PathBuf};
use std::time::Instant;

use relief_hessian::{Control, Curvature, LanczosState, Objective, Outcome, ParameterGroup};
use relief_plot::{Axis, Bars, Figure, Group, Panel};
use serde::{Deserialize, Serialize};

use super::eigenvalues::Arguments;
use crate::envelope::{Described, Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::exports::Sampled;
use crate::load::{self, Loaded};
use crate::preconditioning::Preconditioner;
use crate::progress::Bar;
use crate::report::{self, Pairs};
use crate::resuming::{self, Saved, State};
use crate::{interrupt, numbers, output, points, table};

/// The `result` of `relief eigenvalues --per-layer`.
#[derive(Debug, Serialize)]
struct ByLayer {
    layers: Vec<Layer>,
}

/// A layer's block.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Layer {
    /// What its parameters' names have in common, or the pattern.
    name: String,
    /// Rows of the block.
    parameters: usize,
    #[serde(flatten)]
    found: Pairs,
}

/// Blocks of which the eigenvalues are found, and what is known of the next.
#[derive(Debug, Default)]
struct LayersState {
    finished: Finished,
    next: Option<LanczosState>,
}

/// Blocks of which the eigenvalues are found, and what that took.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Finished {
    layers: Vec<Layer>,
    products: usize,
    gradients: usize,
}

/// What is computed for every block.
struct Job<'a> {
    arguments: &'a Arguments,
    loaded: &'a Loaded,
    groups: &'a [ParameterGroup],
    preconditioner: Option<&'a Preconditioner>,
    context: &'a str,
}

pub(super) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    if let Some(path) = &arguments.run.print.output {
        output::check_numbers(path)?;
    }
    let matrix = &arguments.matrix;
    if !matrix.is_over_parameters() {
        return Err(Failure::Usage(
            "the tangent kernel is over outputs and has no layers: take another --operator".into(),
        ));
    }
    let begun = Instant::now();
    interrupt::install();
    let mut bar = Bar::new("layers");
    bar.say("reading");
    let loaded = matrix.load(&arguments.task, arguments.run.seed)?;
    if !arguments.no_check {
        bar.say("checking the model's derivatives");
        loaded.check_rules(arguments.run.seed)?;
    }
    let at = loaded.task.objective.parameters();
    let mut groups = matrix.groups(at)?;
    if groups.is_empty() {
        groups = ParameterGroup::layers(at);
        groups.sort_by_cached_key(|group| points::natural(&group.name));
    }
    let preconditioner = matrix.preconditioner()?;
    let preconditioner = preconditioner.as_ref();
    let settings = arguments.solver(at, arguments.wanted_at_most(usize::MAX));
    let context = format!("{} {} {settings:?}", loaded.identity(), matrix.identity(preconditioner));
    let job = Job { arguments, loaded: &loaded, groups: &groups, preconditioner, context: &context };
    let Some((Finished { layers, products, gradients }, state)) = job.run(&mut bar)? else {
        return Ok(exit::Outcome::Interrupted);
    };
    drop(bar);
    let converged = layers.iter().all(|layer| layer.found.converged());
    let work = Work { products, gradients, evaluations: 0, seconds: begun.elapsed().as_secs_f64() };
    let described = Described::new(matrix.name_of_a_block(), preconditioner);
    let point = Point::with_loss(loaded.loss).with_operator(described);
    let mut envelope = Envelope::new(
        "relief/eigenvalues-by-layer/1",
        arguments.run.seed,
        &loaded,
        point,
        (ByLayer { layers }, work),
    );
    envelope.notes.extend(all_of(&envelope.result.layers, arguments.k));
    let result = &envelope.result;
    output::present_numbers(
        &arguments.run.print,
        &envelope,
        || human(&envelope),
        || figure(result, &matrix.name_of_a_block()),
        || sampled(result),
    )?;
    state.remove();
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

impl Job<'_> {
    /// All blocks, one after the other; `None` after Ctrl-C, with the state saved.
    fn run(&self, bar: &mut Bar) -> Result<Option<(Finished, Saved)>, Failure> {
        let Arguments { run, matrix, resume, .. } = self.arguments;
        let (mut keeper, state) = resume.begin("layers.state.json", self.context, bar)?;
        let mut state: LayersState = state.unwrap_or_default();
        for group in self.groups.iter().skip(state.finished.layers.len()) {
            let task = self.loaded.restricted_to(&group.parameters)?;
            let at = task.objective.parameters().clone();
            let curvature = Curvature::new(&task.objective, &at, load::memory(run))?;
            let operator = matrix.build_block(&curvature, &task, run.seed, self.preconditioner)?;
            let solver = self.arguments.solver(&at, self.arguments.wanted_at_most(at.len()));
            let eigen = loop {
                let outcome = match state.next.take() {
                    Some(known) => solver.resume(&*operator, known, bar)?,
                    None => solver.run(&*operator, None, bar)?,
                };
                match outcome {
                    Outcome::Done(eigen) => break eigen,
                    Outcome::Interrupted(known) => state.next = Some(known),
                }
                if keeper.paused(&state, bar)? == Control::Interrupt {
                    return Ok(None);
                }
            };
            state.finished.products += eigen.products;
            state.finished.gradients += curvature.gradients();
            let (name, parameters) = (group.name.clone(), at.len());
            state.finished.layers.push(Layer { name, parameters, found: Pairs::new(eigen) });
            if bar.control() == Control::Interrupt && keeper.paused(&state, bar)? == Control::Interrupt {
                return Ok(None);
            }
        }
        Ok(Some((state.finished, keeper.finish::<LayersState>())))
    }
}

impl LayersState {
    /// Where the state of the block that is under way lies.
    fn of_next(path: &Path) -> PathBuf {
        path.with_extension("next.safetensors")
    }

    /// What the block that is under way must agree with.
    fn context_of_next(&self, context: &str) -> String {
        format!("{context} after {}", self.finished.layers.len())
    }
}

impl State for LayersState {
    fn products(&self) -> usize {
        self.finished.products + self.next.as_ref().map_or(0, LanczosState::products)
    }

    fn save(&self, path: &Path, context: &str) -> Result<(), Failure> {
        // In this order: where a kill comes between, only what is known of the next block is lost.
        resuming::save_json(path, context, &self.finished)?;
        match &self.next {
            Some(next) => Ok(next.save(&Self::of_next(path), &self.context_of_next(context))?),
            None => Ok(()),
        }
    }

    fn load(path: &Path, context: &str) -> Result<Self, Failure> {
        let mut state = Self { finished: resuming::load_json(path, context)?, next: None };
        // What is there of a block before is of no use.
        state.next = LanczosState::load(&Self::of_next(path), &state.context_of_next(context)).ok();
        Ok(state)
    }

    fn files(path: &Path) -> Vec<PathBuf> {
        vec![path.to_owned(), Self::of_next(path)]
    }
}

/// Which blocks have fewer eigenvalues than were asked for.
fn all_of(layers: &[Layer], k: usize) -> Option<String> {
    let small = layers.iter().filter(|layer| layer.found.pairs.len().max(layer.found.smallest.len()) < k);
    let names: Vec<&str> = small.map(|layer| layer.name.as_str()).collect();
    (!names.is_empty())
        .then(|| format!("fewer than {k} eigenvalues: all that there are of {}", names.join(", ")))
}

fn figure(result: &ByLayer, operator: &str) -> Figure {
    let ranks = result.layers.iter().map(|layer| layer.found.pairs.len()).max().unwrap_or(0);
    let group = |rank: usize| {
        let of = |value: &dyn Fn(&relief_hessian::EigenPair) -> f64| {
            let found = result.layers.iter().map(|layer| layer.found.pairs.get(rank).map_or(f64::NAN, value));
            found.collect()
        };
        Group {
            name: format!("{} {}", result.layers[0].found.which, rank + 1),
            values: of(&|pair| pair.value),
            errors: of(&|pair| pair.error_bound),
        }
    };
    let bars = Bars {
        title: String::new(),
        value: Axis::linear(format!("eigenvalue of the layer's block ({operator})")),
        names: result.layers.iter().map(|layer| layer.name.clone()).collect(),
        groups: (0..ranks).map(group).collect(),
    };
    Figure::new("", vec![Panel::Bars(bars)])
}

/// A row for every eigenvalue, with the number of its layer.
fn sampled(result: &ByLayer) -> Sampled {
    let all = || {
        let layers = result.layers.iter().enumerate();
        layers.flat_map(|(i, layer)| layer.found.pairs.iter().enumerate().map(move |(rank, p)| (i, rank, p)))
    };
    Sampled {
        axes: vec![("row", (0..all().count()).map(|i| i as f64).collect())],
        measures: vec![
            ("layer", all().map(|(i, ..)| i as f64).collect()),
            ("rank", all().map(|(_, rank, _)| (rank + 1) as f64).collect()),
            ("eigenvalue", all().map(|(.., pair)| pair.value).collect()),
            ("error_bound", all().map(|(.., pair)| pair.error_bound).collect()),
            ("residual", all().map(|(.., pair)| pair.residual).collect()),
        ],
    }
}

fn human(envelope: &Envelope<ByLayer>) -> String {
    let mut rows = vec![];
    for layer in &envelope.result.layers {
        let ends = [(layer.found.which.as_str(), &layer.found.pairs), ("smallest", &layer.found.smallest)];
        for (which, pairs) in ends {
            for (rank, pair) in pairs.iter().enumerate() {
                rows.push(vec![
                    layer.name.clone(),
                    numbers::count(layer.parameters),
                    format!("{which} {}", rank + 1),
                    numbers::with_bound(pair.value, pair.error_bound),
                    numbers::small(pair.error_bound),
                    if pair.converged { String::new() } else { "not converged".into() },
                ]);
            }
        }
    }
    let mut out = vec![
        report::head(envelope),
        String::new(),
        table::render(&["layer", "parameters", "", "eigenvalue", "error bound", ""], &rows),
        String::new(),
    ];
    for layer in &envelope.result.layers {
        let remedy = layer.found.status.remedy();
        out.extend(remedy.map(|remedy| format!("  {} not converged: {remedy}", layer.name)));
    }
    out.push(report::work(envelope));
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
