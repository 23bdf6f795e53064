//! `relief check`: a model held against its own definition.

use candle_core::DType;
use clap::Args;
use relief_hessian::{Objective, Report, check};
use serde::Serialize;

use crate::arguments::{RunArguments, TaskArguments};
use crate::exit::{Failure, Outcome};
use crate::{load, numbers, output, progress, table};

/// Hold gradient and Hessian products against differences of the loss, in f64
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief check net.safetensors --model my-network.toml --data digits
  relief check resnet.pth --model resnet18 --data cifar-10-batches-bin --limit 4

Always computed in f64, on the first 32 examples unless --limit says otherwise.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    #[command(flatten)]
    run: RunArguments,
}

/// Examples that show whether the rules are right, at little cost.
const EXAMPLES: usize = 32;

#[derive(Debug, Serialize)]
struct Checked {
    schema: &'static str,
    version: &'static str,
    seed: u64,
    checkpoint: String,
    model: String,
    data: String,
    examples: usize,
    parameters: usize,
    #[serde(flatten)]
    report: Report,
    passed: bool,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<Outcome, Failure> {
    load::prepare(&arguments.run)?;
    let bar = progress::Bar::new("check");
    bar.say("reading");
    arguments.task.limit = arguments.task.limit.or(Some(EXAMPLES));
    let loaded = load::load(&arguments.task, Some(DType::F64), arguments.run.seed)?;
    bar.say("comparing derivatives with differences");
    let report = check(&loaded.task.objective, arguments.run.seed)?;
    drop(bar);
    let result = Checked {
        schema: "relief/check/1",
        version: env!("CARGO_PKG_VERSION"),
        seed: arguments.run.seed,
        checkpoint: loaded.checkpoint_path.clone(),
        model: loaded.model.clone(),
        data: loaded.data.source.clone(),
        examples: loaded.task.objective.examples(),
        parameters: loaded.task.objective.parameters().len(),
        passed: report.passed(),
        report,
    };
    output::present(&arguments.run.print, &result, || human(&result))?;
    Ok(if result.passed { Outcome::Done } else { Outcome::Refused })
}

fn human(result: &Checked) -> String {
    let findings = &result.report.findings;
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|f| {
            let verdict = if f.passed { "passed" } else { "FAILED" };
            vec![f.name.to_string(), numbers::small(f.error), numbers::small(f.allowed), verdict.to_string()]
        })
        .collect();
    let mut out = vec![
        format!("{} ({})", result.checkpoint, result.model),
        format!(
            "  {} parameters, {} examples of {}, f64",
            numbers::count(result.parameters),
            result.examples,
            result.data
        ),
        String::new(),
        table::render(&["what was compared", "error", "allowed", ""], &rows),
    ];
    out.extend(findings.iter().filter_map(|f| f.culprit.as_ref().map(|c| format!("  {}: {c}", f.name))));
    if result.report.kinks {
        out.push("  note: the loss has kinks (ReLU, max-pool) within the smallest steps; derivatives are those almost everywhere".into());
    }
    out.join("\n")
}
