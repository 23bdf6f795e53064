//! `relief sharpness`: measures of sharpness in one table.

use std::collections::BTreeMap;
use std::time::Instant;

use clap::Args;
use relief_hessian::{Control, Curvature, Objective};
use relief_models::task::Minibatches;
use relief_sharpness::measures::{Centre, Measure};

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{self, Envelope, Work};
use crate::exit::{self, Failure};
use crate::load;
use crate::points::Point;
use crate::resuming::ResumeArguments;
use crate::sharpness::table::{self, Finished, Table};
use crate::sharpness::{Family, Given, Settings};
use crate::watched::Watched;
use crate::{interrupt, output, progress};

/// Measure how sharp the minimum is, in all the ways in which the literature measures it, each with its error
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief sharpness notebooks-data/digits-sgd.safetensors
  relief sharpness notebooks-data/digits-sgd.safetensors --only eigenvalues,sam,worst-case --rho 0.1 --dtype f64
  relief sharpness notebooks-data/digits-sam.safetensors --only average-case --relative-error 0.02 --format json
  relief sharpness runs/sgd/checkpoints/step-001000.safetensors --start runs/sgd/checkpoints/step-000000.safetensors --only pac-bayes
  relief sharpness net.pth --model resnet18 --data cifar/ --limit 2000 --only sam,m-sharpness --m 128

Errors: a bound holds always, twice a standard error holds in about 95 of 100 runs. A maximum over a ball is searched for, so
that it is at least what is printed. Radii of different norms are not comparable; nor are plain radii with adaptive ones,
which are relative to every weight's size.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// Only these, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME", help_heading = "Measures")]
    only: Vec<Family>,

    #[command(flatten)]
    settings: Settings,

    #[command(flatten)]
    resume: ResumeArguments,

    /// Leave out the check of the model's derivatives on a few examples
    #[arg(long, help_heading = "Computation")]
    no_check: bool,

    #[command(flatten)]
    run: RunArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    arguments.settings.check()?;
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("sharpness");
    bar.say("reading");
    let loaded = load::load(&arguments.task, None, arguments.run.seed)?;
    if !arguments.no_check {
        bar.say("checking the model's derivatives");
        loaded.check_rules(arguments.run.seed)?;
    }
    let context = format!("{} {:?} {}", loaded.identity(), arguments.settings, arguments.run.seed);
    let (mut keeper, finished) = arguments.resume.begin("sharpness.state.json", &context, &mut bar)?;
    let mut finished: Finished = finished.unwrap_or_default();

    bar.say("linearizing");
    let objective = Watched(&loaded.task.objective);
    let curvature = match Curvature::new(&objective, objective.parameters(), load::memory(&arguments.run)) {
        Err(_) if interrupt::requested() => {
            keeper.paused(&finished, &mut bar)?;
            return Ok(exit::Outcome::Interrupted);
        }
        other => other?,
    };
    let centre = match Centre::new(&objective, objective.parameters()) {
        Err(_) if interrupt::requested() => {
            keeper.paused(&finished, &mut bar)?;
            return Ok(exit::Outcome::Interrupted);
        }
        other => other?,
    };
    let start = arguments.settings.start.as_ref().map(|path| {
        let parameters = Point::load(&loaded, path)?.parameters;
        Ok::<_, Failure>(parameters.to_vec()?)
    });
    let examples = Minibatches::new(&loaded.architecture, &loaded.tensors, &loaded.data, &loaded.options)?;
    let given = Given {
        loaded: &loaded,
        curvature: &curvature,
        centre: &centre,
        examples: Watched(examples),
        settings: &arguments.settings,
        start: start.transpose()?,
        seed: arguments.run.seed,
        memory: load::memory(&arguments.run),
    };
    let mut left_out = BTreeMap::new();
    for family in arguments.families() {
        if finished.families.contains_key(family.name()) {
            continue;
        }
        bar.say(&family.name().replace('-', " "));
        match given.measure(family) {
            Ok(rows) => drop(finished.families.insert(family.name().into(), rows)),
            Err(_) if interrupt::requested() => (),
            // What was asked for by name must be there; the rest of a whole table goes on.
            Err(failure) if !arguments.only.is_empty() => return Err(failure),
            Err(failure) => drop(left_out.insert(family.name().to_string(), failure.to_string())),
        }
        let due = bar.control() == Control::Interrupt;
        if due && keeper.paused(&finished, &mut bar)? == Control::Interrupt {
            return Ok(exit::Outcome::Interrupted);
        }
    }
    drop(bar);
    let state = keeper.finish::<Finished>();

    let families = arguments.families();
    let mut measures: Vec<Measure> =
        families.iter().filter_map(|family| finished.families.remove(family.name())).flatten().collect();
    given.compare(&mut measures);
    let total = table::total(&measures);
    let work = Work {
        products: total.products,
        gradients: total.gradients,
        evaluations: total.evaluations,
        seconds: begun.elapsed().as_secs_f64(),
    };
    let met = left_out.is_empty() && measures.iter().all(|measure| measure.remedy.is_none());
    let point = envelope::Point::curved(&curvature, "hessian");
    let result = Table { measures, left_out };
    let mut envelope =
        Envelope::new("relief/sharpness/1", arguments.run.seed, &loaded, point, (result, work));
    envelope.notes.extend(given.notes());
    output::present(&arguments.run.print, &envelope, || table::human(&envelope))?;
    state.remove();
    Ok(if met { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

impl Arguments {
    /// Those asked for, in the order of the table.
    fn families(&self) -> Vec<Family> {
        let wanted = |family: &Family| self.only.is_empty() || self.only.contains(family);
        Family::ALL.into_iter().filter(wanted).collect()
    }
}
