//! What is measured at every point of a scan.

mod found;
mod sections;

use clap::{Args, ValueEnum};
use relief_hessian::{Error, Lanczos, Objective, Parameters, Silent};
use relief_landscape::{Convexity, Points, Scan, Slice, convexity};
use relief_models::architecture::BatchNormMode;
use relief_models::data::Split;
use relief_models::task::{Measure, Measured, StatisticsPass, Task};
use serde::Serialize;

use found::EIGENVALUES;
use sections::Place;

pub(crate) use found::{Column, Found, FoundClass, FoundCurvature};
pub(crate) use sections::{KeptLayers, Sections};

use crate::arguments::{RunArguments, SplitArgument, TaskArguments};
use crate::exit::Failure;
use crate::load::{self, Loaded, Sample};

/// Options of what is measured.
#[derive(Debug, Args)]
pub(crate) struct SurveyArguments {
    /// Measure the test split as well
    #[arg(long, help_heading = "Measures")]
    pub(crate) with_test: bool,

    /// Measure every class as well
    #[arg(long, help_heading = "Measures")]
    per_class: bool,

    /// The smallest and the largest eigenvalue of the Hessian at every point as well, each certified: how convex the loss
    /// is there. Costs some tens of products a point
    #[arg(long, help_heading = "Measures")]
    pub(crate) convexity: bool,

    /// Leave a point as soon as its loss is known to be at least C, and call it C
    #[arg(long, value_name = "C", allow_hyphen_values = true, help_heading = "Measures")]
    cap: Option<f64>,

    /// Running statistics of batch norm at every point: the checkpoint's, interpolated between the checkpoints, or computed
    /// anew from the whole training split [default: recompute between checkpoints, else freeze]
    #[arg(long, value_enum, help_heading = "Measures")]
    statistics: Option<StatisticsArgument>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StatisticsArgument {
    Freeze,
    Interpolate,
    Recompute,
}

/// Where batch norm's statistics come from.
enum Statistics {
    /// They stay, or there are none.
    Frozen,
    /// Of the same points as the parameters.
    Interpolated(Slice),
    /// A forward pass of its own over the training split.
    Recomputed(StatisticsPass),
}

/// Where the points of a scan lie, which says what statistics they have unless asked otherwise.
pub(crate) enum Lies {
    /// Around one checkpoint.
    Around,
    /// Between checkpoints, with the statistics that lie between theirs where there are such.
    Between(Option<Slice>),
}

/// What is measured, on which data, with which statistics.
pub(crate) struct Survey<'a> {
    pub(crate) loaded: &'a Loaded,
    pub(crate) test: Option<Loaded>,
    statistics: Statistics,
    /// What was asked of them; none without batch norm or where it uses those of the batch.
    named: Option<StatisticsArgument>,
    pub(crate) cap: Option<f64>,
    per_class: bool,
    /// Number of classes, where they are measured one by one.
    classes: usize,
    /// How eigenvalues are found, where they are asked for, and the bytes that may be kept for it.
    convexity: Option<(Lanczos, usize)>,
    /// Bytes that may be kept for all points together.
    memory: usize,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(
        loaded: &'a Loaded,
        task: &TaskArguments,
        arguments: &SurveyArguments,
        run: &RunArguments,
        lies: Lies,
    ) -> Result<Self, Failure> {
        let seed = run.seed;
        if let Some(cap) = arguments.cap.filter(|cap| !cap.is_finite() || *cap <= 0.0) {
            return Err(Failure::Usage(format!("--cap is {cap}: give a loss above 0")));
        }
        let classes = if arguments.per_class { loaded.data.classes.unwrap_or(0) } else { 0 };
        if arguments.per_class && (loaded.accuracy.is_none() || classes == 0) {
            return Err(Failure::Usage(
                "--per-class needs classes, which these targets are not: leave it out".into(),
            ));
        }
        if arguments.with_test && loaded.split == Split::Test {
            return Err(Failure::Usage(
                "--with-test adds the test split to the training split: leave out one of it and --split test"
                    .into(),
            ));
        }
        let load_split = |split| {
            let asked = TaskArguments {
                split,
                model: Some(loaded.model.clone()),
                data: Some(loaded.data.source.clone()),
                ..task.clone()
            };
            load::load(&asked, None, seed)
        };
        let named = named_statistics(arguments.statistics, &lies, loaded.task.batch_norm)?;
        let statistics = match (named, lies) {
            (None | Some(StatisticsArgument::Freeze), _) => Statistics::Frozen,
            (Some(StatisticsArgument::Interpolate), Lies::Between(Some(between))) => {
                Statistics::Interpolated(between)
            }
            (Some(StatisticsArgument::Interpolate), _) => {
                return Err(Failure::Usage(
                    "--statistics interpolate needs points on a line or plane between checkpoints: take freeze or recompute"
                        .into(),
                ));
            }
            (Some(StatisticsArgument::Recompute), _) if loaded.split == Split::Test => {
                pass(&load_split(SplitArgument::Train)?)?
            }
            (Some(StatisticsArgument::Recompute), _) => pass(loaded)?,
        };
        let test = arguments.with_test.then(|| load_split(SplitArgument::Test)).transpose()?;
        let (cap, per_class) = (arguments.cap, arguments.per_class);
        if arguments.convexity && !matches!(statistics, Statistics::Frozen) {
            return Err(Failure::Usage(
                "--convexity is that of the checkpoint's running statistics: add --statistics freeze".into(),
            ));
        }
        let convexity = arguments.convexity.then(|| {
            let at = loaded.task.objective.parameters();
            let solver = Lanczos { unit_roundoff: load::unit_roundoff(at), seed, ..Lanczos::default() };
            // Points are measured side by side, and each keeps its own linearizations.
            (solver, load::memory(run) / (2 * rayon::current_num_threads()))
        });
        let memory = load::memory(run);
        Ok(Self { loaded, test, statistics, named, cap, per_class, classes, convexity, memory })
    }

    /// Only loss and accuracy of what is loaded, as it is.
    pub(crate) fn plain(loaded: &'a Loaded, run: &RunArguments) -> Self {
        Self {
            loaded,
            test: None,
            statistics: Statistics::Frozen,
            named: None,
            cap: None,
            per_class: false,
            classes: 0,
            convexity: None,
            memory: load::memory(run),
        }
    }

    fn splits(&self) -> impl Iterator<Item = &Loaded> {
        std::iter::once(self.loaded).chain(&self.test)
    }

    /// Numbers that each split takes: loss, accuracy and standard error, then loss and accuracy of every class.
    fn width(&self) -> usize {
        3 + 2 * self.classes
    }

    /// Numbers that are measured at a point.
    pub(crate) fn columns(&self) -> usize {
        self.width() * self.splits().count() + if self.convexity.is_some() { EIGENVALUES } else { 0 }
    }

    /// Forward passes over a split that a point takes.
    pub(crate) fn passes(&self) -> usize {
        self.splits().count() + usize::from(matches!(self.statistics, Statistics::Recomputed(_)))
    }

    /// What is computed once for all of these points.
    pub(crate) fn sections(&self, points: &dyn Points) -> Result<Sections, Failure> {
        Sections::new(self, points)
    }

    /// The numbers at one of the points, given what was computed for all of them.
    pub(crate) fn measure(
        &self,
        points: &dyn Points,
        sections: &Sections,
        point: usize,
    ) -> relief_hessian::Result<Vec<f64>> {
        let failed = |e: relief_models::task::TaskError| Error::Other(e.to_string());
        let place = Place::new(points, point);
        let statistics = match &self.statistics {
            Statistics::Frozen => None,
            Statistics::Interpolated(between) => Some(between.point(point)?),
            Statistics::Recomputed(pass) => Some(match &sections.pass {
                Some(section) => pass.on(section, &place.coordinates).map_err(failed)?,
                None => pass.at(place.parameters()?).map_err(failed)?,
            }),
        };
        let mut all = vec![];
        for (loaded, section) in self.splits().zip(&sections.splits) {
            let how = Measure {
                statistics: statistics.as_ref(),
                cap: self.cap,
                in_detail: self.per_class || loaded.sample.is_some(),
            };
            let measured = match section {
                Some(section) => loaded.task.measure_on(section, &place.coordinates, &how),
                None => loaded.task.measure_as(place.parameters()?, &how),
            };
            let measured = measured.map_err(failed)?;
            all.extend(self.numbers(&measured, &loaded.task, loaded.sample));
        }
        if let Some((solver, memory)) = &self.convexity {
            let capped = self.cap.is_some_and(|cap| all[0] >= cap);
            all.extend(if capped {
                [f64::NAN; EIGENVALUES]
            } else {
                self.eigenvalues(place.parameters()?, solver, *memory)?
            });
        }
        Ok(all)
    }

    /// The Hessian's smallest and largest eigenvalue, their larger error bound (infinite where one did not converge) and the
    /// products they took; NaN where the loss is not finite.
    fn eigenvalues(
        &self,
        at: &Parameters,
        solver: &Lanczos,
        memory: usize,
    ) -> relief_hessian::Result<[f64; EIGENVALUES]> {
        match convexity(&self.loaded.task.objective, at, solver, memory, &mut Silent) {
            Ok(Some(Convexity { smallest, largest, products, .. })) => {
                let bound = smallest.error_bound.max(largest.error_bound);
                let converged = smallest.converged && largest.converged;
                let bound = if converged { bound } else { f64::INFINITY };
                Ok([smallest.value, largest.value, bound, products as f64])
            }
            Ok(None) | Err(Error::NonFiniteLoss { .. } | Error::NonFinite(_)) => Ok([f64::NAN; EIGENVALUES]),
            Err(error) => Err(error),
        }
    }

    fn numbers(&self, measured: &Measured, task: &Task, sample: Option<Sample>) -> Vec<f64> {
        // Without replacement, so that a sample of everything has no error.
        let left = sample.map(|s| 1.0 - task.objective.examples() as f64 / s.of as f64);
        let error = left.zip(measured.standard_error).map(|(left, error)| error * left.sqrt());
        let mut numbers =
            vec![measured.loss, measured.accuracy.unwrap_or(f64::NAN), error.unwrap_or(f64::NAN)];
        for class in 0..self.classes {
            let found = measured.classes.get(class);
            numbers.extend(found.map_or([f64::NAN; 2], |c| [c.loss, c.accuracy]));
        }
        numbers
    }

    /// What a scan found on the asked split, and on the test split if that was asked for.
    pub(crate) fn found<T>(
        &self,
        scan: &Scan,
        shaped: &dyn Fn(Column, Vec<f64>) -> Result<T, Failure>,
    ) -> Result<(Found<T>, Option<Found<T>>), Failure> {
        let split = |nth: usize, loaded: &Loaded| {
            let column = |kind: Column, which: usize| shaped(kind, scan.measure(nth * self.width() + which));
            let class = |class: usize| {
                Ok(FoundClass {
                    name: loaded.data.class_names.get(class).cloned().unwrap_or_else(|| class.to_string()),
                    loss: column(Column::Positive, 3 + 2 * class)?,
                    accuracy: column(Column::Share, 4 + 2 * class)?,
                })
            };
            Ok::<_, Failure>(Found {
                loss: column(Column::Positive, 0)?,
                accuracy: loaded.accuracy.map(|_| column(Column::Share, 1)).transpose()?,
                standard_error: loaded.sample.map(|_| column(Column::Positive, 2)).transpose()?,
                classes: self
                    .per_class
                    .then(|| (0..self.classes).map(class).collect::<Result<Vec<_>, Failure>>())
                    .transpose()?,
            })
        };
        let test = self.test.as_ref().map(|test| split(1, test)).transpose()?;
        Ok((split(0, self.loaded)?, test))
    }

    /// The Hessian's extreme eigenvalues at the points of a scan, where they were asked for.
    pub(crate) fn curvature<T>(
        &self,
        scan: &Scan,
        shaped: &dyn Fn(Column, Vec<f64>) -> Result<T, Failure>,
    ) -> Result<Option<FoundCurvature<T>>, Failure> {
        if self.convexity.is_none() {
            return Ok(None);
        }
        let first = self.columns() - EIGENVALUES;
        let [smallest, largest, bound, products] = [0, 1, 2, 3].map(|nth| scan.measure(first + nth));
        let unconverged = bound.iter().filter(|b| b.is_infinite()).count();
        Ok(Some(FoundCurvature {
            smallest: shaped(Column::Signed, smallest)?,
            largest: shaped(Column::Signed, largest)?,
            error_bound: bound.into_iter().filter(|b| b.is_finite()).fold(0.0, f64::max),
            unconverged,
            products: products.iter().filter(|p| p.is_finite()).sum::<f64>() as usize,
        }))
    }

    /// What the reader should know of the statistics.
    pub(crate) fn note(&self) -> Option<String> {
        let text = match self.named? {
            StatisticsArgument::Freeze => {
                "running statistics of batch norm are the checkpoint's at every point"
            }
            StatisticsArgument::Interpolate => {
                "running statistics of batch norm are interpolated between the checkpoints"
            }
            StatisticsArgument::Recompute => {
                "statistics of batch norm are those of the whole training split at every point, in one batch"
            }
        };
        Some(text.to_string())
    }

    /// What else tells this survey from others: for the state of a scan.
    pub(crate) fn context(&self) -> String {
        let test = self.test.as_ref().map(Loaded::identity);
        format!("{:?} {:?} {} {} {test:?}", self.named, self.cap, self.per_class, self.convexity.is_some())
    }
}

/// What is done about running statistics: what was asked, else what suits the points; nothing without batch norm.
fn named_statistics(
    asked: Option<StatisticsArgument>,
    lies: &Lies,
    batch_norm: Option<BatchNormMode>,
) -> Result<Option<StatisticsArgument>, Failure> {
    match (asked, batch_norm) {
        (Some(_), Some(BatchNormMode::Batch)) => Err(Failure::Usage(
            "--statistics is about running statistics, which --bn batch does not use: leave out one of them"
                .into(),
        )),
        (_, None) | (None, Some(BatchNormMode::Batch)) => Ok(None),
        (Some(asked), Some(BatchNormMode::Eval)) => Ok(Some(asked)),
        (None, Some(BatchNormMode::Eval)) => Ok(Some(match lies {
            Lies::Around => StatisticsArgument::Freeze,
            Lies::Between(_) => StatisticsArgument::Recompute,
        })),
    }
}

fn pass(train: &Loaded) -> Result<Statistics, Failure> {
    let Loaded { architecture, tensors, data, options, .. } = train;
    let pass = StatisticsPass::new(architecture, tensors, data, options)?;
    Ok(pass.map_or(Statistics::Frozen, Statistics::Recomputed))
}
