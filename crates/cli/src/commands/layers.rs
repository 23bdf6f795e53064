//! `relief eigenvalues --per-layer`: each layer's own block of a curvature matrix.

use std::time::Instant;

use relief_hessian::{Curvature, Objective, Outcome, Parameters};
use serde::Serialize;

use super::eigenvalues::Arguments;
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::load;
use crate::report::{self, Pairs};
use crate::saved::Kind;
use crate::{interrupt, numbers, output, progress, table};

/// The `result` of `relief eigenvalues --per-layer`.
#[derive(Debug, Serialize)]
struct ByLayer {
    layers: Vec<Layer>,
}

/// A layer's block.
#[derive(Debug, Serialize)]
struct Layer {
    /// What its parameters' names have in common.
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
    if !arguments.matrix.is_over_parameters() {
        return Err(Failure::Usage(
            "the tangent kernel is over outputs and has no layers: take another --operator".into(),
        ));
    }
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("layers");
    bar.say("reading");
    let loaded = load::load(&arguments.task, None, arguments.run.seed)?;
    if !arguments.no_check {
        bar.say("checking the model's derivatives");
        loaded.check_rules(arguments.run.seed)?;
    }
    let (mut layers, mut work, mut converged) = (vec![], (0, 0), true);
    for (name, names) in by_layer(loaded.task.objective.parameters()) {
        let task = loaded.restricted_to(&names)?;
        let at = task.objective.parameters().clone();
        let curvature = Curvature::new(&task.objective, &at, load::memory(&arguments.run))?;
        let operator = arguments.matrix.build(&curvature, &task, arguments.run.seed)?;
        let solver = arguments.solver(&at, at.len())?;
        let Outcome::Done(eigen) = solver.run(&*operator, None, &mut bar)? else {
            return Ok(interrupt::lost());
        };
        work = (work.0 + eigen.products, work.1 + curvature.gradients());
        converged &= report::converged(&eigen);
        layers.push(Layer { name, parameters: at.len(), found: Pairs::new(eigen) });
    }
    drop(bar);
    let work =
        Work { products: work.0, gradients: work.1, evaluations: 0, seconds: begun.elapsed().as_secs_f64() };
    let point = Point::with_loss(loaded.loss).with_operator(arguments.matrix.name());
    let envelope = Envelope::new(
        "relief/eigenvalues-by-layer/1",
        arguments.run.seed,
        &loaded,
        point,
        (ByLayer { layers }, work),
    );
    output::present_saved(&arguments.run.print, &envelope, || human(&envelope))?;
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

/// Names of parameters by what stands before their last dot, in the order of the layers' numbers.
pub(super) fn by_layer(parameters: &Parameters) -> Vec<(String, Vec<String>)> {
    let mut layers: Vec<(String, Vec<String>)> = vec![];
    for name in parameters.names() {
        let layer = name.rsplit_once('.').map_or(name.as_str(), |(layer, _)| layer);
        match layers.iter_mut().find(|(known, _)| known == layer) {
            Some((_, names)) => names.push(name.clone()),
            None => layers.push((layer.to_string(), vec![name.clone()])),
        }
    }
    layers.sort_by_cached_key(|(name, _)| crate::points::natural(name));
    layers
}

fn human(envelope: &Envelope<ByLayer>) -> String {
    let mut rows = vec![];
    for layer in &envelope.result.layers {
        let ends = [(layer.found.which, &layer.found.pairs), ("smallest", &layer.found.smallest)];
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
        report::work(envelope),
    ];
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
