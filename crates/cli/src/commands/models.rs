//! `relief models`: the built-in architectures.

use clap::Args;
use relief_models::architecture;

use crate::arguments::PrintArguments;
use crate::exit::{Failure, Outcome};
use crate::output;

/// List the built-in architectures, their arguments and their parameters' names
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief models
  relief models --format json
  relief eigenvalues net.safetensors --model mlp:activation=tanh --data digits
  relief eigenvalues net.safetensors --model my-network.toml --data digits")]
pub(crate) struct Arguments {
    #[command(flatten)]
    print: PrintArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let entries = architecture::list();
    output::present(&arguments.print, &entries, || {
        let mut out = vec![];
        for entry in &entries {
            out.push(format!("{}\n    {}", entry.name, entry.description));
            out.extend(
                entry
                    .arguments
                    .iter()
                    .map(|a| format!("    {:<12} {} (default {})", a.name, a.description, a.default)),
            );
        }
        out.push(String::new());
        out.push("Arguments follow the name as `name:key=value,key=value`; those left out are read off the checkpoint's shapes\nwhere they can be. Anything else is described in a .toml model file.".to_string());
        out.join("\n")
    })?;
    Ok(Outcome::Done)
}
