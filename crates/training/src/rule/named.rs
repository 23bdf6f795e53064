//! Rules by their names.

use relief_hessian::{Error, Result};

use super::{
    DetSam, Egr, EigenSam, FrobSam, GraphSam, Gsam, LookSam, MSam, RandomSam, Rule, Sam, TraceSam,
    UnnormalisedSam,
};

impl Rule {
    /// All names that [`named`](Self::named) knows. `asam` is SAM with its authors' scales.
    pub const NAMES: [&str; 15] = [
        "plain",
        "sam",
        "asam",
        "reverse-sam",
        "unnormalised-sam",
        "m-sam",
        "random",
        "egr",
        "eigen-sam",
        "graph-sam",
        "look-sam",
        "gsam",
        "frob-sam",
        "det-sam",
        "trace-sam",
    ];

    /// A rule with its default settings.
    pub fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "plain" => Self::Plain,
            "sam" => Self::Sam(Sam::default()),
            "asam" => Self::Sam(Sam::adaptive()),
            "reverse-sam" => Self::ReverseSam(Sam::default()),
            "unnormalised-sam" => Self::UnnormalisedSam(UnnormalisedSam::default()),
            "m-sam" => Self::MSam(MSam::default()),
            "random" => Self::Random(RandomSam::default()),
            "egr" => Self::Egr(Egr::default()),
            "eigen-sam" => Self::EigenSam(EigenSam::default()),
            "graph-sam" => Self::GraphSam(GraphSam::default()),
            "look-sam" => Self::LookSam(LookSam::default()),
            "gsam" => Self::Gsam(Gsam::default()),
            "frob-sam" => Self::FrobSam(FrobSam::default()),
            "det-sam" => Self::DetSam(DetSam::default()),
            "trace-sam" => Self::TraceSam(TraceSam::default()),
            _ => {
                return Err(Error::Input(format!(
                    "there is no rule `{name}`: give one of {}",
                    Self::NAMES.join(", ")
                )));
            }
        })
    }

    /// The rule's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sam(sam) if sam.perturbation.scale != Default::default() => "asam",
            Self::Sam(_) => "sam",
            Self::ReverseSam(_) => "reverse-sam",
            Self::UnnormalisedSam(_) => "unnormalised-sam",
            Self::MSam(_) => "m-sam",
            Self::Random(_) => "random",
            Self::Egr(_) => "egr",
            Self::EigenSam(_) => "eigen-sam",
            Self::GraphSam(_) => "graph-sam",
            Self::LookSam(_) => "look-sam",
            Self::Gsam(_) => "gsam",
            Self::FrobSam(_) => "frob-sam",
            Self::DetSam(_) => "det-sam",
            Self::TraceSam(_) => "trace-sam",
        }
    }

    /// The same rule with another radius; the plain gradient has none.
    #[must_use]
    pub fn with_rho(mut self, radius: f64) -> Self {
        match &mut self {
            Self::Plain => {}
            Self::Sam(Sam { rho, .. })
            | Self::ReverseSam(Sam { rho, .. })
            | Self::UnnormalisedSam(UnnormalisedSam { rho })
            | Self::MSam(MSam { rho, .. })
            | Self::Random(RandomSam { rho })
            | Self::Egr(Egr { rho })
            | Self::EigenSam(EigenSam { rho, .. })
            | Self::GraphSam(GraphSam { rho, .. })
            | Self::LookSam(LookSam { rho, .. })
            | Self::Gsam(Gsam { rho, .. })
            | Self::FrobSam(FrobSam { rho, .. })
            | Self::DetSam(DetSam { rho, .. })
            | Self::TraceSam(TraceSam { rho, .. }) => *rho = radius,
        }
        self
    }
}
