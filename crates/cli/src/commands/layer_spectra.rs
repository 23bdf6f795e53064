//! `relief spectrum --per-layer`: the distribution of the eigenvalues of each layer's own block.

use std::time::Instant;

use relief_hessian::{Curvature, Objective, Outcome, Spectrum, SpectrumOutcome};
use serde::Serialize;

use super::spectrum::Arguments;
use crate::envelope::{Described, Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::parts::{Found, Parts};
use crate::spectral::{self, Distribution};
use crate::{interrupt, load, output, progress, report, table};

/// The `result` of `relief spectrum --per-layer`.
#[derive(Debug, Serialize)]
struct ByLayer {
    layers: Vec<Layer>,
}

/// A layer's block.
#[derive(Debug, Serialize)]
struct Layer {
    /// What its parameters' names have in common.
    name: String,
    #[serde(flatten)]
    found: Distribution,
}

pub(super) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    if !arguments.matrix.is_over_parameters() {
        return Err(Failure::Usage(
            "the tangent kernel is over outputs and has no layers: take another --operator".into(),
        ));
    }
    let table = arguments.run.print.output.as_ref().filter(|path| output::extension(path) == "csv");
    if let Some(path) = table {
        return Err(Failure::Usage(format!(
            "`{}` holds one spectrum, and every layer has its own: give the file .npz",
            path.display()
        )));
    }
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("layers");
    bar.say("reading");
    let matrix = &arguments.matrix;
    let loaded = matrix.load(&arguments.task, arguments.run.seed)?;
    if !arguments.no_check {
        bar.say("checking the model's derivatives");
        loaded.check_rules(arguments.run.seed)?;
    }
    let settings = arguments.settings(&loaded);
    let preconditioner = matrix.preconditioner()?;
    let preconditioner = preconditioner.as_ref();
    let identity = matrix.identity(preconditioner);
    let context = format!("spectrum by layer {} {identity} {settings:?}", loaded.identity());
    let mut parts = Parts::begin("spectrum.state.safetensors", &context, &arguments.resume, &mut bar)?;
    let (mut layers, mut notes) = (vec![], vec![]);
    for group in matrix.groups_or_layers(loaded.task.objective.parameters())? {
        let name = group.name;
        bar.at(format!("layer {name}"));
        let found = parts.part(&name, &mut bar, |state, bar| {
            let task = loaded.restricted_to(&group.parameters)?;
            let at = task.objective.parameters();
            let curvature = Curvature::new(&task.objective, at, load::memory(&arguments.run))?;
            let operator = matrix.build_block(&curvature, &task, arguments.run.seed, preconditioner)?;
            let outcome = match state {
                Some(state) => settings.resume(&*operator, state, bar)?,
                None => settings.run(&*operator, bar)?,
            };
            Ok(match outcome {
                SpectrumOutcome::Done(spectrum) => {
                    Outcome::Done(Found { products: spectrum.products, numbers: spectrum, vectors: vec![] })
                }
                SpectrumOutcome::Interrupted(state) => Outcome::Interrupted(state),
            })
        })?;
        let Some(Found { numbers: spectrum, .. }) = found else {
            return Ok(exit::Outcome::Interrupted);
        };
        let spectrum: Spectrum = spectrum;
        let missed = arguments.missed(&settings.plan(spectrum.n)?);
        notes.extend(missed.map(|note| format!("{name}: {note}")));
        layers.push(Layer { name, found: Distribution::new(spectrum, &settings, arguments.curve())? });
    }
    drop(bar);
    let work = Work {
        products: parts.products(),
        gradients: layers.len(),
        evaluations: 0,
        seconds: begun.elapsed().as_secs_f64(),
    };
    let met = notes.is_empty();
    let point =
        Point::with_loss(loaded.loss).with_operator(Described::new(matrix.name_of_a_block(), preconditioner));
    let result = (ByLayer { layers }, work);
    let mut envelope = Envelope::new(spectral::BY_LAYER, arguments.run.seed, &loaded, point, result);
    envelope.notes.extend(notes);
    output::present_saved(&arguments.run.print, &envelope, || human(&envelope))?;
    parts.finish().remove();
    Ok(if met { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

fn human(envelope: &Envelope<ByLayer>) -> String {
    let layers = &envelope.result.layers;
    let row = |layer: &Layer| [vec![layer.name.clone()], layer.found.row()].concat();
    let rows: Vec<Vec<String>> = layers.iter().map(row).collect();
    let heads: Vec<&str> = std::iter::once("layer").chain(spectral::HEADS).collect();
    let mut out = vec![
        report::head(envelope),
        String::new(),
        table::render(&heads, &rows),
        String::new(),
        report::work(envelope),
    ];
    out.extend(envelope.notes.iter().map(|note| format!("  note: {note}")));
    out.join("\n")
}
