//! `relief trajectory`: checkpoints of a training on a plane, with the loss around them.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::arguments::{RunArguments, TaskArguments};
use crate::commands::surface::DrawingArguments;
use crate::exit::{self, Failure};
use crate::load;
use crate::planes::Choice;
use crate::points::{self, Point};

/// Draw the way of a training: its checkpoints on the plane of their principal directions, or on another one
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief trajectory 'notebooks-data/pair/way/*.safetensors' -o way.png
  relief trajectory 'run/step-*.safetensors' --plane pca-mean --grid 41 -o way.html
  relief trajectory 'run/step-*.safetensors' --plane eigen --format json

The table says for every checkpoint how far it is off the plane, and what its own loss is beside the one on the plane.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// More checkpoints, as a shell makes of a pattern without quotes
    #[arg(value_name = "CHECKPOINT")]
    more: Vec<PathBuf>,

    /// pca: the two principal directions of the checkpoints, seen from the last one; pca-mean: seen from their mean. Or
    /// random, eigen, along:A,B, through:A,B as `relief surface` has them, around the last checkpoint
    #[arg(long, default_value = "pca", help_heading = "Directions")]
    plane: Choice,

    #[command(flatten)]
    drawing: DrawingArguments,

    #[command(flatten)]
    run: RunArguments,
}

pub(crate) fn run(arguments: Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    let Arguments { mut task, more, plane, drawing, run } = arguments;
    let first = task.checkpoint.display().to_string();
    let mut files =
        if Path::new(&first).exists() { vec![task.checkpoint.clone()] } else { points::matching(&first)? };
    files.extend(more);
    let Some(last) = files.last().filter(|_| files.len() > 1) else {
        return Err(Failure::Usage(format!(
            "a trajectory has two checkpoints or more, but there is only `{first}`: give a pattern in quotes, or all files"
        )));
    };
    task.checkpoint.clone_from(last);
    let loaded = load::load(&task, None, run.seed)?;
    let path = files.iter().map(|file| Point::load(&loaded, file)).collect::<Result<Vec<_>, _>>()?;
    drawing.run(&loaded, &task, &run, &plane, &path)
}
