//! `relief kfac`: KFAC's and EKFAC's blocks of layers, and how far they are from the true ones.

mod table;

use std::time::Instant;

use clap::{Args, ValueEnum};
use relief_hessian::{
    Affine, Curvature, Eigen, KroneckerBlock, KroneckerFactors, Lanczos, LanczosState, Layers, Objective,
    Outcome, OutputRoots, RelativeDistance, Wanted,
};
use relief_models::architecture::BatchNormMode;
use relief_models::task::Fisher;

use crate::arguments::{RunArguments, TaskArguments};
use crate::envelope::{Envelope, Point, Work};
use crate::exit::{self, Failure};
use crate::findings::kronecker::{Blocks, Layer};
use crate::load::{self, Loaded};
use crate::parts::{self, Found, Parts};
use crate::resuming::ResumeArguments;
use crate::saved;
use crate::watched::{Watched, go_on};
use crate::{interrupt, output, progress};

/// Approximate each layer's block of the Gauss-Newton matrix by KFAC and EKFAC, and tell how far they are from it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  relief kfac notebooks-data/digits-sgd.safetensors
  relief kfac notebooks-data/digits-sgd.safetensors --kind sampled --draws 5 --top 10 -o kfac.png
  relief kfac net.pth --model resnet18 --data cifar/ --limit 500 --params 'layer4.*' --products 50 --format json

A layer is a weight that one matrix product or convolution reads, with its bias. KFAC (Martens & Grosse 2015; for convolutions Grosse
& Martens 2016; the convention for shared weights is expand) is the product of the second moments of a layer's inputs and of the
gradients in its outputs; EKFAC (George et al. 2018) keeps its eigenvectors and corrects its eigenvalues. The error of a block is the
Frobenius norm of its difference from the true block over that of the true block, from random products, or from all columns where
those are no more.

Costs twice as many backward passes as there are outputs (--kind exact: one for every class, for text one for every token of the
vocabulary at every position), --draws (sampled) or 1 (empirical); then for each layer the products of its eigenvalues and
--products. Holds the squares of a layer's inputs and outputs, i and o, as 2 (i^2 + o^2) + 2 i o numbers in double precision for all
layers at once: take a few at a time with --params.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,

    /// Which gradients the second moments are of
    #[arg(long, value_enum, default_value = "exact", help_heading = "Blocks")]
    kind: Kind,

    /// With --kind sampled: targets drawn for every example
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Blocks")]
    draws: usize,

    /// Eigenvalues of each block
    #[arg(long, value_name = "K", default_value_t = 5, help_heading = "Blocks")]
    top: usize,

    /// Residual of the true block's eigenvalues to reach, relative to the largest Ritz value
    #[arg(long, value_name = "TOL", default_value_t = 1e-6, help_heading = "Blocks")]
    tol: f64,

    /// Products for the true block's eigenvalues at most, for each layer
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Blocks")]
    max_products: usize,

    /// Products with the true block for the error of the whole block
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Blocks")]
    products: usize,

    #[command(flatten)]
    resume: ResumeArguments,

    /// Leave out the check of the model's derivatives on a few examples
    #[arg(long, help_heading = "Computation")]
    no_check: bool,

    #[command(flatten)]
    run: RunArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// For all targets, each weighted with its probability: the Fisher or Gauss-Newton matrix
    Exact,
    /// For targets drawn from what the network predicts
    Sampled,
    /// For the examples' own targets: the empirical Fisher matrix, which is not the true block's
    Empirical,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Sampled => "sampled",
            Self::Empirical => "empirical",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<exit::Outcome, Failure> {
    arguments.check()?;
    let begun = Instant::now();
    interrupt::install();
    let mut bar = progress::Bar::new("kfac");
    bar.say("reading");
    let loaded = load::load(&arguments.task, None, arguments.run.seed)?;
    if loaded.task.batch_norm == Some(BatchNormMode::Batch) {
        return Err(Failure::Usage(
            "with --bn batch examples act on each other, and a layer has no Kronecker factors: take --bn eval".into(),
        ));
    }
    if !arguments.no_check {
        bar.say("checking the model's derivatives");
        loaded.check_rules(arguments.run.seed)?;
    }
    let layers = loaded.task.objective.layers();
    if layers.found.is_empty() {
        return Err(Failure::Input(format!(
            "no parameter is the weight of a linear layer or a convolution: {}",
            layers
                .others
                .iter()
                .take(3)
                .map(|(n, why)| format!("`{n}` {why}"))
                .collect::<Vec<_>>()
                .join("; ")
        )));
    }
    let context = arguments.context(&loaded);
    let mut parts = Parts::begin("kfac.state.safetensors", &context, &arguments.resume, &mut bar)?;
    match arguments.measure(&loaded, &layers, &mut parts, &mut bar) {
        Ok(Some(measured)) => {
            drop(bar);
            let converged = arguments.present(&loaded, layers, measured, begun)?;
            parts.finish().remove();
            Ok(if converged { exit::Outcome::Done } else { exit::Outcome::NotConverged })
        }
        Ok(None) => Ok(exit::Outcome::Interrupted),
        // Second moments have no state.
        Err(_) if interrupt::requested() => parts.interrupted(&mut bar),
        Err(failure) => Err(failure),
    }
}

/// What was found of all layers, where, from so many columns of second moments and so many gradients.
struct Measured {
    layers: Vec<Layer>,
    point: Point,
    columns: usize,
    gradients: usize,
}

impl Arguments {
    fn check(&self) -> Result<(), Failure> {
        load::prepare(&self.run)?;
        if let Some(path) = &self.run.print.output {
            output::check_picture(path, saved::Kind::Blocks)?;
        }
        let counts = [("--top", self.top, 1), ("--draws", self.draws, 1), ("--products", self.products, 2)];
        if let Some((name, found, least)) = counts.iter().find(|(_, found, least)| found < least) {
            return Err(Failure::Usage(format!("{name} is {found}: give at least {least}")));
        }
        Ok(())
    }

    /// What a saved state must agree with.
    fn context(&self, loaded: &Loaded) -> String {
        let Self { kind, draws, top, tol, max_products, products, run, .. } = self;
        format!(
            "kfac {} {} {draws} {top} {tol:e} {max_products} {products} {}",
            loaded.identity(),
            kind.name(),
            run.seed
        )
    }

    fn fisher(&self) -> Fisher {
        match self.kind {
            Kind::Exact => Fisher::Exact,
            Kind::Sampled => Fisher::Sampled { draws: self.draws, seed: self.run.seed },
            Kind::Empirical => Fisher::Empirical,
        }
    }

    /// Finishes what is missing. None after Ctrl-C.
    fn measure(
        &self,
        loaded: &Loaded,
        layers: &Layers,
        parts: &mut Parts<'_>,
        bar: &mut progress::Bar,
    ) -> Result<Option<Measured>, Failure> {
        let weights = layers.found.iter().map(|layer| layer.weight.clone());
        let missing: Vec<String> = weights.filter(|weight| !parts.has(weight)).collect();
        bar.say("linearizing");
        let objective = Watched(&loaded.task.objective);
        let curvature = Curvature::new(&objective, objective.parameters(), load::memory(&self.run))?;
        let columns = loaded.task.output_roots(self.fisher())?;
        let roots = OutputRoots::new(columns.columns(), |batch, linearization, k| {
            go_on()?;
            columns.column(batch, linearization, k)
        });
        // Whatever is left to do, the same work is told: that of the whole run.
        let mut measured = Measured {
            layers: vec![],
            point: Point::curved(&curvature, "gauss-newton"),
            columns: roots.columns(),
            gradients: 1 + 2 * roots.columns(),
        };
        let blocks =
            if missing.is_empty() { vec![] } else { approximated(&curvature, &missing, &roots, bar)? };
        // Its memory is for the layers' own linearizations from here on.
        drop(curvature);
        let mut blocks = blocks.iter();
        for layer in &layers.found {
            bar.say(&layer.weight);
            let pair = if parts.has(&layer.weight) { None } else { blocks.next() };
            let found = parts.part(&layer.weight, bar, |state, bar| {
                let [kfac, ekfac] = pair.ok_or_else(|| Failure::Numbers("a layer was lost".into()))?;
                self.compare(loaded, layer, [kfac, ekfac], state, bar)
            })?;
            let Some(found) = found else { return Ok(None) };
            measured.layers.push(found.numbers);
        }
        Ok(Some(measured))
    }

    /// Both approximations of a layer's block beside the true one.
    fn compare(
        &self,
        loaded: &Loaded,
        layer: &relief_hessian::Layer,
        blocks: [&KroneckerBlock; 2],
        state: Option<LanczosState>,
        bar: &mut progress::Bar,
    ) -> Result<Outcome<Found<Layer>, LanczosState>, Failure> {
        let names: Vec<String> = [&layer.weight].into_iter().chain(&layer.bias).cloned().collect();
        let task = loaded.restricted_to(&names)?;
        let objective = Watched(&task.objective);
        let at = objective.parameters();
        let curvature = Curvature::new(&objective, at, load::memory(&self.run))?;
        // Weight decay has no part in the second moments.
        let truth =
            Affine { operator: curvature.gauss_newton(), factor: 1.0, shift: -objective.weight_decay() };
        let solver = Lanczos {
            wanted: Wanted::Largest { k: self.top.min(at.len()) },
            tolerance: self.tol,
            max_products: self.max_products,
            unit_roundoff: load::unit_roundoff(at),
            seed: self.run.seed,
            ..Lanczos::default()
        };
        let eigen = match parts::search(&solver, &truth, state, bar)? {
            Outcome::Done(Found { numbers, vectors, .. }) => Eigen { vectors, ..numbers },
            Outcome::Interrupted(state) => return Ok(Outcome::Interrupted(state)),
        };
        let distance = RelativeDistance { products: self.products, seed: self.run.seed };
        let found = bar.without_pause(|bar| distance.run(&truth, &[blocks[0], blocks[1]], bar))?;
        let found = found.ok_or_else(|| Failure::Input("interrupted".into()))?;
        let products = eigen.products + found.products;
        let numbers = Layer::new(layer, &eigen, blocks, &found, (products, curvature.gradients()))?;
        Ok(Outcome::Done(Found { numbers, vectors: vec![], products }))
    }

    /// Tells what was found, and whether all eigenvalues converged.
    fn present(
        &self,
        loaded: &Loaded,
        layers: Layers,
        Measured { layers: found, point, columns, gradients }: Measured,
        begun: Instant,
    ) -> Result<bool, Failure> {
        let sum = |of: &dyn Fn(&Layer) -> usize| found.iter().map(of).sum::<usize>();
        let work = Work {
            products: sum(&|layer| layer.products),
            gradients: gradients + sum(&|layer| layer.gradients),
            evaluations: 0,
            seconds: begun.elapsed().as_secs_f64(),
        };
        let converged = found.iter().all(|layer| layer.converged);
        let result = Blocks {
            kind: self.kind.name().into(),
            draws: (self.kind == Kind::Sampled).then_some(self.draws),
            columns,
            layers: found,
            left_out: layers.others.into_iter().collect(),
        };
        let envelope = Envelope::new("relief/kfac/1", self.run.seed, loaded, point, (result, work));
        output::present_saved(&self.run.print, &envelope, || table::human(&envelope))?;
        Ok(converged)
    }
}

/// KFAC's and EKFAC's blocks of some layers.
fn approximated(
    curvature: &Curvature<'_>,
    weights: &[String],
    roots: &OutputRoots<'_>,
    bar: &progress::Bar,
) -> Result<Vec<[KroneckerBlock; 2]>, Failure> {
    bar.say("second moments of inputs and gradients");
    let factors = KroneckerFactors::collect(curvature, weights, roots)?;
    bar.say("eigenvectors of the factors");
    let kfac = factors
        .iter()
        .map(|factors| go_on().and_then(|()| factors.block()))
        .collect::<relief_hessian::Result<Vec<_>>>()?;
    drop(factors);
    bar.say("second moments along the eigenvectors");
    let ekfac = KroneckerBlock::corrected(&kfac, curvature, roots)?;
    Ok(kfac.into_iter().zip(ekfac).map(|(kfac, ekfac)| [kfac, ekfac]).collect())
}
