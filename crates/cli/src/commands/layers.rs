//! `relief eigenvalues --per-layer` and `--per-block`: blocks of a curvature matrix, each by itself.

use std::time::Instant;

use relief_hessian::{Curvature, Objective};
use serde::{Deserialize, Serialize};

use super::eigenvalues::Arguments;
use crate::envelope::{Described, Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load;
use crate::parts::{self, Found, Parts};
use crate::progress::Bar;
use crate::report::{self, Pairs};
use crate::saved::Kind;
use crate::{interrupt, numbers, output, table};

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

pub(super) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    if let Some(path) = &arguments.run.print.output {
        output::check_picture(path, Kind::Layers)?;
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
    let preconditioner = matrix.preconditioner()?;
    let preconditioner = preconditioner.as_ref();
    let settings = arguments.solver(at, arguments.wanted_at_most(usize::MAX));
    let context = format!("layers {} {} {settings:?}", loaded.identity(), matrix.identity(preconditioner));
    let mut parts = Parts::begin("layers.state.safetensors", &context, &arguments.resume, &mut bar)?;
    let (mut layers, mut gradients) = (vec![], 0);
    for group in matrix.groups_or_layers(at)? {
        bar.at(format!("layer {}", group.name));
        let found = parts.part(&group.name, &mut bar, |state, bar| {
            let task = loaded.restricted_to(&group.parameters)?;
            let at = task.objective.parameters();
            let curvature = Curvature::new(&task.objective, at, load::memory(&arguments.run))?;
            let operator = matrix.build_block(&curvature, &task, arguments.run.seed, preconditioner)?;
            let solver = arguments.solver(at, arguments.wanted_at_most(at.len()));
            let outcome = parts::search(&solver, &*operator, state, bar)?;
            Ok(outcome.map(|Found { numbers, products, .. }| {
                let (name, parameters) = (group.name.clone(), at.len());
                let layer = Layer { name, parameters, found: Pairs::new(numbers) };
                Found { numbers: (layer, curvature.gradients()), vectors: vec![], products }
            }))
        })?;
        let Some(Found { numbers: (layer, passes), .. }) = found else {
            return Ok(exit::Outcome::Interrupted);
        };
        layers.push(layer);
        gradients += passes;
    }
    drop(bar);
    let converged = layers.iter().all(|layer: &Layer| layer.found.converged());
    let work = Work {
        products: parts.products(),
        gradients,
        evaluations: 0,
        seconds: begun.elapsed().as_secs_f64(),
    };
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
    output::present_saved(&arguments.run.print, &envelope, || human(&envelope))?;
    parts.finish().remove();
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

/// Which blocks have fewer eigenvalues than were asked for.
fn all_of(layers: &[Layer], k: usize) -> Option<String> {
    let small = layers.iter().filter(|layer| layer.found.pairs.len().max(layer.found.smallest.len()) < k);
    let names: Vec<&str> = small.map(|layer| layer.name.as_str()).collect();
    (!names.is_empty())
        .then(|| format!("fewer than {k} eigenvalues: all that there are of {}", names.join(", ")))
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
