//! `relief completions`: a script for the shell.

use clap::{Args, CommandFactory};

use crate::arguments::Cli;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief completions bash > ~/.local/share/bash-completion/completions/relief
  relief completions zsh > ~/.zfunc/_relief")]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(crate) fn run(arguments: &Arguments) {
    clap_complete::generate(arguments.shell, &mut Cli::command(), "relief", &mut std::io::stdout());
}
