//! `relief inspect`: what is in a checkpoint.

use std::path::PathBuf;

use clap::Args;
use relief_models::architecture::Architecture;
use relief_models::checkpoint::{Checkpoint, Inspection};
use serde::Serialize;

use crate::arguments::PrintArguments;
use crate::exit::{Failure, Outcome};
use crate::{numbers, output, table};

/// Show a checkpoint's tensors, metadata, and the built-in models that fit it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief inspect net.safetensors
  relief inspect resnet18.pth --format json")]
pub(crate) struct Arguments {
    /// Checkpoint: safetensors, or a PyTorch .pth or .pt zip archive
    checkpoint: PathBuf,

    #[command(flatten)]
    print: PrintArguments,
}

#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    version: &'static str,
    path: String,
    sha256: String,
    /// Built-in models whose tensors have these names and shapes.
    models: Vec<String>,
    #[serde(flatten)]
    inspection: Inspection,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    if let Some(path) = &arguments.print.output {
        output::check_writable(path)?;
    }
    let checkpoint = Checkpoint::load(&arguments.checkpoint)?;
    let report = Report {
        schema: "relief/inspect/1",
        version: env!("CARGO_PKG_VERSION"),
        path: arguments.checkpoint.display().to_string(),
        sha256: checkpoint.sha256().to_string(),
        models: Architecture::fits(&checkpoint.shapes()).iter().map(ToString::to_string).collect(),
        inspection: checkpoint.inspect()?,
    };
    output::present(&arguments.print, &report, || human(&report))?;
    Ok(Outcome::Done)
}

fn human(report: &Report) -> String {
    let inspection = &report.inspection;
    let rows: Vec<Vec<String>> = inspection
        .tensors
        .iter()
        .map(|t| {
            let dims: Vec<String> = t.shape.iter().map(ToString::to_string).collect();
            let finite = if t.non_finite > 0 {
                format!("{} not finite", numbers::count(t.non_finite))
            } else {
                String::new()
            };
            vec![
                t.name.clone(),
                format!("[{}]", dims.join(", ")),
                t.dtype.clone(),
                t.role.to_string(),
                number(t.norm),
                number(t.min),
                number(t.max),
                finite,
            ]
        })
        .collect();
    let mut out = vec![
        format!("{} ({})", report.path, inspection.format),
        format!("  sha256 {}", report.sha256),
        format!(
            "  {} parameters in {} tensors, {} entries of buffers",
            numbers::count(inspection.parameters),
            inspection.tensors.len(),
            numbers::count(inspection.buffers)
        ),
    ];
    out.extend(
        inspection.stripped_prefix.iter().map(|p| format!("  the prefix `{p}` was stripped from every name")),
    );
    out.extend(inspection.metadata.iter().map(|(key, value)| format!("  {key}: {value}")));
    out.push(match report.models.as_slice() {
        [] => "  no built-in model fits: describe it in a model file (see `relief models`)".to_string(),
        models => format!("  fits --model {}", models.join(" or --model ")),
    });
    out.push(String::new());
    out.push(table::render(&["tensor", "shape", "dtype", "role", "norm", "min", "max", ""], &rows));
    out.join("\n")
}

fn number(x: Option<f64>) -> String {
    x.map_or("-".into(), |x| format!("{x:.4}"))
}
