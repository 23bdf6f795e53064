//! `relief quickstart`: the whole way on what is embedded, with nothing downloaded.

use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::DType;
use clap::{Args, Parser};
use relief_hessian::{
    Control, Curvature, Lanczos, Objective, Outcome, SpectralDensity, SpectrumOutcome, Wanted,
};
use relief_landscape::{Points, RandomDirection, Scan};
use relief_models::checkpoint::Checkpoint;
use relief_plot::Report;
use serde::Serialize;

use crate::arguments::{RunArguments, TaskArguments};
use crate::commands::surface::{self, Show};
use crate::commands::train;
use crate::directions::Named;
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::planes::{Choice, Extent, Planned, Site, Surface};
use crate::report::{self, Pairs};
use crate::runs::{self, Shown};
use crate::saved::Results;
use crate::scans::Job;
use crate::spectral::{self, Curve, Distribution};
use crate::survey::Survey;
use crate::training::report::Trained;
use crate::{interrupt, load, output, pages, progress};

/// See it work: two networks trained on the digits, one with SGD and one with SAM, how sharp their minima are, and why
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief quickstart
  relief quickstart --format json -o quickstart.json")]
pub(crate) struct Arguments {
    /// The folder that the report and its pictures go to
    #[arg(long, value_name = "FOLDER", default_value = "relief-quickstart", help_heading = "Output")]
    folder: PathBuf,

    #[command(flatten)]
    run: RunArguments,
}

/// The two embedded checkpoints: how each was trained, the file it is committed as, and its bytes.
const CHECKPOINTS: [(&str, &str, &[u8]); 2] = [
    (
        "SGD",
        "notebooks-data/digits-sgd.safetensors",
        include_bytes!("../../../../notebooks-data/digits-sgd.safetensors"),
    ),
    (
        "SAM",
        "notebooks-data/digits-sam.safetensors",
        include_bytes!("../../../../notebooks-data/digits-sam.safetensors"),
    ),
];

/// Arguments as a user would give them for one checkpoint.
#[derive(Parser)]
struct Task {
    #[command(flatten)]
    task: TaskArguments,
}

/// Arguments as a user would give them for a training.
#[derive(Parser)]
struct Training {
    #[command(flatten)]
    training: train::Arguments,
}

/// What the two trainings have in common: a step size at which gradient descent comes to the edge of stability soon.
const TRAINING: &[&str] = &[
    "--model=mlp:widths=64-32-32-10,activation=tanh",
    "--data=digits",
    "--limit=1000",
    // About the mean of all pixels.
    "--normalize=0.305,1",
    "--loss=half-squared-error",
    "--batch=full",
    "--momentum=0",
    "--eta=0.4",
    "--steps=1000",
    "--measure-every=25",
    "--probe-every=25",
];

/// The two trainings: the names of their folders, and what is their own.
const TRAININGS: [(&str, &[&str]); 2] =
    [("gradient-descent", &["--optimizer=sgd"]), ("sam", &["--optimizer=sam", "--rho=0.05"])];

/// The JSON document.
#[derive(Debug, Serialize)]
struct Found {
    schema: &'static str,
    networks: Vec<Envelope<Pairs>>,
    spectra: Vec<Envelope<Distribution>>,
    surfaces: Vec<Envelope<Surface>>,
    trainings: Vec<Envelope<Trained>>,
}

/// What is found of one network.
type One = (Envelope<Pairs>, Envelope<Distribution>, Envelope<Surface>);

/// Points along each direction of the quickstart's surfaces.
const GRID: usize = 33;
/// Random vectors of the quickstart's spectra, and steps of each.
const PROBES: usize = 4;
/// See [`PROBES`].
const STEPS: usize = 40;

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    load::prepare(&arguments.run)?;
    let folder = &arguments.folder;
    std::fs::create_dir_all(folder).map_err(|e| {
        Failure::Usage(format!(
            "the folder `{}` cannot be made ({e}): name another with --folder",
            folder.display()
        ))
    })?;
    interrupt::install();
    let (mut networks, mut spectra, mut surfaces) = (vec![], vec![], vec![]);
    for (_, path, bytes) in CHECKPOINTS {
        let Some((eigenvalues, spectrum, surface)) = one(arguments, path, bytes)? else {
            return Ok(exit::Outcome::Interrupted);
        };
        networks.push(eigenvalues);
        spectra.push(spectrum);
        surfaces.push(surface);
    }
    let mut trainings = vec![];
    for (name, options) in TRAININGS {
        let Some(training) = train(arguments, name, options)? else { return Ok(exit::Outcome::Interrupted) };
        trainings.push(training);
    }
    let converged =
        networks.iter().all(|n| n.result.pairs.iter().chain(&n.result.smallest).all(|p| p.converged));
    let found = Found { schema: "relief/quickstart/1", networks, spectra, surfaces, trainings };
    let pictures = draw(&found, folder)?;
    output::present(&arguments.run.print, &found, || human(&found, &pictures))?;
    Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
}

/// A training with probes, in a folder of its own that an earlier quickstart may have left; none after Ctrl-C.
fn train(arguments: &Arguments, name: &str, options: &[&str]) -> Result<Option<Envelope<Trained>>, Failure> {
    let run = arguments.folder.join("runs").join(name);
    if let Err(e) = std::fs::remove_dir_all(&run)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(Failure::Usage(format!(
            "the folder `{}` of an earlier quickstart cannot be removed ({e}): name another with --folder",
            run.display()
        )));
    }
    let (run, seed) = (run.display().to_string(), arguments.run.seed.to_string());
    let own = ["train", "--run", &run, "--seed", &seed];
    let training = Training::parse_from([&own, TRAINING, options].concat());
    train::carried_out(&training.training)
}

/// The eigenvalues, the spectrum and the surface of a checkpoint; none after Ctrl-C.
fn one(arguments: &Arguments, path: &str, bytes: &[u8]) -> Result<Option<One>, Failure> {
    let begun = Instant::now();
    let mut bar = progress::Bar::new(path);
    let checkpoint = Checkpoint::from_bytes(path, bytes)?;
    let task = Task::parse_from(["relief", path]).task;
    let loaded = load::assemble(&task, Some(DType::F64), arguments.run.seed, &checkpoint)?;
    let objective = &loaded.task.objective;
    let curvature = Curvature::new(objective, objective.parameters(), load::memory(&arguments.run))?;
    let wanted = Wanted::Both { largest: 5, smallest: 1 };
    let seed = arguments.run.seed;
    let solver = Lanczos { wanted, seed, ..Lanczos::default() };
    let eigen = match solver.run(&curvature.hessian(), None, &mut bar)? {
        Outcome::Done(eigen) => eigen,
        Outcome::Interrupted(_) => return Ok(None),
    };
    let point = || Point::curved(&curvature, "hessian");
    let work = |products: usize, gradients: usize, begun: Instant| {
        let seconds = begun.elapsed().as_secs_f64();
        Work { products, gradients, evaluations: 0, seconds }
    };
    let cost = work(eigen.products, curvature.gradients(), begun);
    let eigenvalues =
        Envelope::new("relief/eigenvalues/1", seed, &loaded, point(), (Pairs::new(eigen), cost));

    let begun = Instant::now();
    let settings =
        SpectralDensity { probes: Some(PROBES), steps: Some(STEPS), seed, ..SpectralDensity::default() };
    let SpectrumOutcome::Done(spectrum) = settings.run(&curvature.hessian(), &mut bar)? else {
        return Ok(None);
    };
    drop(bar);
    let products = spectrum.products;
    let density = Distribution::new(spectrum, &settings, Curve { log: true, sigma: None })?;
    let cost = work(products, 0, begun);
    let spectrum = Envelope::new(spectral::SCHEMA, seed, &loaded, point(), (density, cost));

    let begun = Instant::now();
    let extent = Extent { counts: [GRID; 2], ranges: [Some([-1.0, 1.0]); 2] };
    let choice = Choice::Along([Named::Random, Named::Random]);
    let family = RandomDirection { seed, ..RandomDirection::default() };
    let site = Site { loaded: &loaded, run: &arguments.run, family, orthogonal: false, extent, path: &[] };
    let Some(planned) = Planned::new(&site, &choice)? else { return Ok(None) };
    let survey = Survey::plain(&loaded, &arguments.run);
    let mut found = Scan::new(&planned.slice);
    let job = Job::new(&planned.slice, &survey, path)?;
    if job.measure(&mut found, planned.slice.count(), &mut |_| Control::Continue)? == Control::Interrupt {
        return Ok(None);
    }
    let rows = survey.found(&found, &|_, values| Ok(values.chunks(GRID).map(<[f64]>::to_vec).collect()))?;
    let surface = planned.found(rows, None);
    let mut surface = surface::envelope(seed, &survey, &planned, surface, &found, begun);
    surface.kept_layers = job.kept_layers();
    Ok(Some((eigenvalues, spectrum, surface)))
}

/// Writes the report and its pictures; returns the files.
fn draw(found: &Found, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let json = serde_json::to_string(found).map_err(|e| Failure::Numbers(e.to_string()))?;
    let mut files = vec![folder.join("report.html")];
    let mut report = Report::new("Two minima of one network").introduced(
        "The same start and the same data (handwritten digits); one network was trained with SGD, the other with \
         sharpness-aware minimization.",
    );
    let names = ["surfaces.png", "perspective.png", "eigenvalues.png", "spectra.png"];
    for (name, (heading, figure)) in
        names.iter().zip(pages::figures(&Results::of(&json, "the result")?, Show::Loss)?)
    {
        let file = folder.join(name);
        figure.save(&file)?;
        files.push(file);
        report = pages::with(report, heading, figure)?;
    }
    let runs: Vec<_> = TRAININGS
        .iter()
        .map(|(name, _)| runs::read(&folder.join("runs").join(name)))
        .collect::<Result<_, _>>()?;
    let figure = runs::figure("", &runs, Shown::Usual);
    let file = folder.join("training.png");
    figure.save(&file)?;
    files.push(file);
    pages::with(report, "Two trainings, and their edges of stability", figure)?.save(&files[0])?;
    Ok(files)
}

fn human(found: &Found, pictures: &[PathBuf]) -> String {
    let mut out = vec![
        "Two networks with the same start and the same data (1,437 images of handwritten digits, built in); one was trained\nwith SGD, the other with sharpness-aware minimization. How curved is the loss where each of them stopped?".to_string(),
    ];
    for ((name, ..), network) in CHECKPOINTS.iter().zip(&found.networks) {
        out.extend([String::new(), format!("{name}: {}", report::head(network)), String::new()]);
        out.extend([report::pairs(&network.result), report::work(network)]);
    }
    if let [sgd, sam] = found.networks.as_slice()
        && let (Some(a), Some(b)) = (sgd.result.pairs.first(), sam.result.pairs.first())
    {
        out.push(format!(
            "\nThe largest eigenvalue with SGD is {:.1} times that with SAM.",
            a.value / b.value
        ));
    }
    if let [sgd, sam] = found.spectra.as_slice() {
        let [sgd, sam] = [sgd, sam].map(|spectrum| spectral::trace(&spectrum.result));
        out.push(format!("The trace of the Hessian is {sgd} with SGD and {sam} with SAM."));
    }
    out.push("\nHow do they get there? The same network trained again with probes on the way (1,000 images, full batch):".into());
    for ((name, _), training) in TRAININGS.iter().zip(&found.trainings) {
        out.extend(training.result.edge().map(|edge| format!("  {name}: {edge}")));
    }
    let files: Vec<String> = pictures.iter().map(|path| path.display().to_string()).collect();
    out.push(format!("\nPictures: {}", files.join(", ")));
    out.push(
        "\nEvery eigenvalue lies within its error bound of the number printed. Next:
  relief eigenvalues notebooks-data/digits-sgd.safetensors -k 3 --which both --format json
  relief spectrum notebooks-data/digits-sgd.safetensors --plot
  relief sharpness notebooks-data/digits-sgd.safetensors
  relief train --help                   train with SGD or one of a dozen sharpness-aware optimizers
  relief surface notebooks-data/digits-sgd.safetensors --perspective -o surface.png
  relief inspect notebooks-data/digits-sgd.safetensors
  relief check notebooks-data/digits-sgd.safetensors
  relief models                         the architectures that your own checkpoint may have
  relief eigenvalues --help             your checkpoint, your data"
            .to_string(),
    );
    out.join("\n")
}
