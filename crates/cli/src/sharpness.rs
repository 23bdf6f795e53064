//! Measures of sharpness: how those of each family are computed here.

mod family;
mod settings;
pub(crate) mod table;

use candle_core::Tensor;
use relief_hessian::{Curvature, Error, Lanczos, OuterProducts, Parameters, Sampling, Target, matching};
use relief_models::task::Minibatches;
use relief_sharpness::measures::{
    Apgd, AverageCase, Ball, Centre, CriticalStep, Keskar, MSharpness, MWorstCase, Measure, Noise,
    PacBayesSigma, RelativeFlatness, WorstCase, confinement, effective_dimension, eigenvalues, fisher_rao,
    frobenius, gradient_noise, gradient_norm, operator_norm, over_loss, pac_bayes_flatness, pac_bayes_origin,
    pac_bayes_start, sam_ascent, sam_bound, stand_in, trace, unit_flatness, weighted_lambda_max,
    weighted_trace,
};
use relief_sharpness::{Noise as MiniBatchNoise, Perturbation, Scale};

use crate::exit::Failure;
use crate::load::{self, Loaded};
use crate::watched::{Watched, go_on};

pub(crate) use family::Family;
pub(crate) use settings::Settings;

/// Weight matrices whose relative flatness is measured unless they are named; of more, the last one.
const MOST_LAYERS: usize = 8;

/// Units of a layer whose flatness is measured one by one unless the layer is named.
const MOST_UNITS: usize = 16;

/// Top eigenvectors whose space is looked at.
const TOP: usize = 5;

/// What all families share.
pub(crate) struct Given<'a> {
    pub(crate) loaded: &'a Loaded,
    pub(crate) curvature: &'a Curvature<'a>,
    pub(crate) centre: &'a Centre<'a>,
    pub(crate) examples: Watched<Minibatches>,
    pub(crate) settings: &'a Settings,
    /// The weights that training started at.
    pub(crate) start: Option<Vec<f64>>,
    pub(crate) seed: u64,
    pub(crate) memory: usize,
}

impl Given<'_> {
    /// The measures of a family.
    pub(crate) fn measure(&self, family: Family) -> Result<Vec<Measure>, Failure> {
        let hessian = Watched(self.curvature.hessian());
        let (settings, centre, at) = (self.settings, self.centre, self.centre.at());
        let (lanczos, sampling) = (self.lanczos(), self.sampling());
        Ok(match family {
            Family::Gradient => vec![gradient_norm(centre)],
            Family::Eigenvalues => {
                let [max, min] = eigenvalues(&hessian, &lanczos)?;
                let over = over_loss(&max, centre.loss());
                let norm = operator_norm(&max, &min);
                [Some(max), Some(min), Some(norm), over].into_iter().flatten().collect()
            }
            Family::Confinement => confinement(&hessian, centre, TOP, &lanczos)?,
            Family::Trace => vec![trace(&hessian, &sampling)?],
            Family::Frobenius => vec![frobenius(&hessian, &sampling)?],
            Family::GaussNewton => {
                let matrix = Watched(self.curvature.gauss_newton());
                stand_in(("G", "Gauss-Newton"), &matrix, &lanczos, &sampling)?.into()
            }
            Family::EmpiricalFisher => {
                let matrix = Watched(OuterProducts::empirical_fisher(self.curvature)?);
                stand_in(("F", "empirical Fisher"), &matrix, &lanczos, &sampling)?.into()
            }
            Family::EffectiveDimension => {
                let gauss_newton = Watched(self.curvature.gauss_newton());
                vec![effective_dimension(&gauss_newton, settings.damping, &sampling)?]
            }
            Family::Weighted => {
                vec![weighted_trace(&hessian, at, &sampling)?, weighted_lambda_max(&hessian, at, &lanczos)?]
            }
            Family::CriticalStep => vec![CriticalStep::default().measure(centre)?],
            Family::Sam => self.sam()?,
            Family::MSharpness => {
                let m = self.m();
                let one = |(scale, rho, ..): (Scale, f64, f64, f64)| {
                    let perturbation = Perturbation { norm: 2.0, scale };
                    MSharpness { m, rho, perturbation, seed: self.seed }.measure(&self.examples, at)
                };
                settings.kinds().map(one).into_iter().collect::<Result<_, _>>()?
            }
            Family::WorstCase => {
                let mut rows =
                    self.worst_cases().map(|worst| worst.measure(centre)).collect::<Result<Vec<_>, _>>()?;
                let examples = self.loaded.task.objective.examples();
                // The first is the plain one in the Euclidean ball.
                rows.push(sam_bound(&rows[0], centre, examples, settings.delta)?);
                rows
            }
            Family::MWorstCase => {
                let (m, seed) = (self.m(), self.seed);
                let one = |worst| MWorstCase { m, worst, seed }.measure(&self.examples, at);
                self.worst_cases().map(one).collect::<Result<_, _>>()?
            }
            Family::AverageCase => self.average_case()?,
            Family::Keskar => [None, Some(settings.subspace.min(at.len()))]
                .map(|dimensions| {
                    Keskar { epsilon: settings.epsilon, dimensions, search: self.search() }.measure(centre)
                })
                .into_iter()
                .collect::<Result<_, _>>()?,
            Family::PacBayes => self.pac_bayes()?,
            Family::FisherRao => {
                let layers = at.tensors().iter().filter(|t| t.rank() >= 2).count();
                let slopes = |batch, outputs: &Tensor, direction: &Tensor| {
                    let found = self.loaded.task.slopes(batch, outputs, direction);
                    found.map_err(|e| Error::Other(e.to_string()))
                };
                vec![fisher_rao(centre, layers, &slopes)?]
            }
            Family::RelativeFlatness => {
                let mut rows = vec![];
                for layer in self.layers()? {
                    let units = at.iter().find(|(name, _)| *name == layer).map_or(0, |(_, w)| w.dims()[0]);
                    let by_unit = units <= MOST_UNITS || !settings.layer.is_empty();
                    let by_unit =
                        by_unit.then(|| unit_flatness(&layer, &hessian, at, &lanczos)).transpose()?;
                    rows.push(RelativeFlatness { layer, sampling: sampling.clone() }.measure(&hessian, at)?);
                    rows.extend(by_unit);
                }
                rows
            }
            Family::GradientNoise => {
                let (batch, relative_error) = (Some(self.m()), 0.5 * settings.relative_error);
                let max_draws = settings.max_products;
                let noise = MiniBatchNoise { batch, relative_error, max_draws, kernel_norm: None };
                gradient_noise(&self.examples, self.curvature, &noise, self.seed)?
            }
        })
    }

    /// Puts beside averages what they are to second order, where the trace is known.
    pub(crate) fn compare(&self, measures: &mut [Measure]) {
        let value =
            |measures: &[Measure], name: &str| measures.iter().find(|m| m.name == name).map(|m| m.value);
        let traces = [value(measures, "trace"), value(measures, "weighted-trace")];
        for (average, prefix, trace) in
            self.averages().into_iter().filter_map(|average| match average.scale {
                Scale::None => Some((average, "", traces[0]?)),
                Scale::Magnitude => Some((average, "adaptive-", traces[1]?)),
                _ => None,
            })
        {
            let law = if average.noise == Noise::Gaussian { "gaussian" } else { "uniform" };
            let name = format!("{prefix}average-case-{law}");
            for measure in measures.iter_mut().filter(|m| m.name == name) {
                measure.beside.insert("second_order".into(), average.second_order(trace));
            }
        }
    }

    /// What a reader should know of the whole table.
    pub(crate) fn notes(&self) -> Vec<String> {
        let single = self.loaded.dtype_name() == "f32";
        let note = "losses are computed in f32: differences far below a millionth of the loss are rounding, and want \
                    --dtype f64";
        single.then(|| note.to_string()).into_iter().collect()
    }

    fn lanczos(&self) -> Lanczos {
        Lanczos {
            tolerance: self.settings.tol,
            max_products: self.settings.max_products,
            unit_roundoff: load::unit_roundoff(self.centre.at()),
            seed: self.seed,
            ..Lanczos::default()
        }
    }

    fn sampling(&self) -> Sampling {
        Sampling {
            target: Target::RelativeError(self.settings.relative_error),
            max_products: self.settings.max_products,
            memory: self.memory,
            unit_roundoff: load::unit_roundoff(self.centre.at()),
            seed: self.seed,
            ..Sampling::default()
        }
    }

    fn search(&self) -> Apgd {
        Apgd { steps: self.settings.steps, random_starts: self.settings.random_starts, seed: self.seed }
    }

    fn sam(&self) -> Result<Vec<Measure>, Failure> {
        let mut rows = vec![];
        for (scale, rho, rho_inf, _) in self.settings.kinds() {
            for &norm in &self.settings.norms {
                let rho = if norm.is_infinite() { rho_inf } else { rho };
                rows.push(sam_ascent(self.centre, &Perturbation { norm, scale }, rho)?);
            }
        }
        Ok(rows)
    }

    fn worst_cases(&self) -> impl Iterator<Item = WorstCase> {
        let search = self.search();
        self.settings.kinds().into_iter().flat_map(move |(scale, rho, rho_inf, _)| {
            [(Ball::L2, rho), (Ball::Linf, rho_inf)].map(|(ball, rho)| WorstCase { ball, rho, scale, search })
        })
    }

    /// Examples of a mini-batch.
    fn m(&self) -> usize {
        self.settings.m.unwrap_or(128.min(self.loaded.task.objective.examples()))
    }

    fn averages(&self) -> Vec<AverageCase> {
        let mut all = vec![];
        for (scale, _, _, rho) in self.settings.kinds() {
            for noise in [Noise::Gaussian, Noise::Uniform] {
                let (relative_error, max_pairs) = (self.settings.relative_error, self.settings.max_pairs);
                all.push(AverageCase { noise, rho, scale, relative_error, max_pairs, seed: self.seed });
            }
        }
        all
    }

    fn average_case(&self) -> Result<Vec<Measure>, Failure> {
        Ok(self.averages().iter().map(|average| average.measure(self.centre)).collect::<Result<_, _>>()?)
    }

    fn pac_bayes(&self) -> Result<Vec<Measure>, Failure> {
        let task = &self.loaded.task;
        let accuracy = |at: &Parameters| {
            go_on()?;
            let found = task.accuracy(at).map_err(|e| Error::Other(e.to_string()))?;
            found.ok_or_else(|| Error::Input("real targets have no accuracy that could fall".into()))
        };
        let examples = task.objective.examples();
        let mut rows = vec![];
        for (scale, ..) in self.settings.kinds() {
            let (drop, draws, seed) = (self.settings.drop, self.settings.draws, self.seed);
            let settings = PacBayesSigma { drop, scale, draws, seed, ..PacBayesSigma::default() };
            let sigma = settings.measure(self.centre, &accuracy)?;
            let plain = scale == Scale::None;
            let origin = plain.then(|| pac_bayes_origin(&sigma, self.centre, examples));
            let start = self.start.as_ref().filter(|_| plain);
            let start =
                start.map(|start| pac_bayes_start(&sigma, self.centre, start, examples)).transpose()?;
            let flatness = pac_bayes_flatness(&sigma, examples);
            rows.push(sigma);
            rows.extend(origin.into_iter().chain(start).chain([flatness]));
        }
        Ok(rows)
    }

    /// The weight matrices whose relative flatness is measured.
    fn layers(&self) -> Result<Vec<String>, Failure> {
        let at = self.centre.at();
        let matrices = at.iter().filter(|(_, tensor)| tensor.rank() >= 2).map(|(name, _)| name);
        if !self.settings.layer.is_empty() {
            return Ok(matching(matrices, &self.settings.layer)?);
        }
        let matrices: Vec<String> = matrices.map(String::from).collect();
        if matrices.len() <= MOST_LAYERS {
            return Ok(matrices);
        }
        // The network's own order says which layer is the last.
        let wanted = self.loaded.architecture.wanted(self.loaded.data.example_shape())?;
        let last = wanted.into_iter().map(|(name, ..)| name).rfind(|name| matrices.contains(name));
        Ok(last.into_iter().collect())
    }
}
