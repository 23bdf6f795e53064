//! The command line: parse, call, print, save. No numerics.

mod allocator;
mod arguments;
mod characters;
mod commands;
mod comparison;
mod connection_figures;
mod connections;
mod curve_state;
mod curve_training;
mod device;
mod directions;
mod eigenvalue_figures;
mod envelope;
mod exit;
mod exports;
mod findings;
mod interrupt;
mod lines;
mod load;
mod numbers;
mod operators;
mod output;
mod pages;
mod parts;
mod planes;
mod points;
mod preconditioning;
mod probes;
mod progress;
mod refining;
mod report;
mod resuming;
mod run_folder;
mod runs;
mod saved;
mod scans;
mod sharpness;
mod spectral;
mod spectrum_figures;
mod surface_figures;
mod surface_report;
mod surfaces;
mod survey;
mod table;
mod threads;
mod traces;
mod tracking;
mod training;
mod watched;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Cli, Command};
use crate::exit::Failure;

fn main() -> ExitCode {
    allocator::keep_memory();
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.code()
        }
    }
}

fn run(command: Command) -> Result<exit::Outcome, Failure> {
    match command {
        Command::Quickstart(arguments) => commands::quickstart::run(&arguments),
        Command::Eigenvalues(arguments) => commands::eigenvalues::run(&arguments),
        Command::Spectrum(arguments) => commands::spectrum::run(&arguments),
        Command::Inspect(arguments) => commands::inspect::run(&arguments),
        Command::Check(arguments) => commands::check::run(arguments),
        Command::Connect(arguments) => commands::connect::run(&arguments),
        Command::Track(arguments) => commands::track::run(&arguments),
        Command::Train(arguments) => commands::train::run(&arguments),
        Command::Trace(arguments) => commands::trace::run(&arguments),
        Command::Sharpness(arguments) => commands::sharpness::run(&arguments),
        Command::Trajectory(arguments) => commands::trajectory::run(*arguments),
        Command::Shape(arguments) => commands::shape::run(&arguments),
        Command::Align(arguments) => commands::align::run(&arguments),
        Command::Diagonal(arguments) => commands::diagonal::run(&arguments),
        Command::Outliers(arguments) => commands::outliers::run(&arguments),
        Command::Kfac(arguments) => commands::kfac::run(&arguments),
        Command::Compare(arguments) => commands::compare::run(&arguments),
        Command::Subset(arguments) => commands::subset::run(&arguments),
        Command::Line(arguments) => commands::line::run(&arguments),
        Command::Surface(arguments) => commands::surface::run(&arguments),
        Command::Plot(arguments) => commands::plot::run(&arguments),
        Command::Models(arguments) => commands::models::run(&arguments),
        Command::Completions(arguments) => {
            commands::completions::run(&arguments);
            Ok(exit::Outcome::Done)
        }
    }
}
