//! What a measure says of itself.

use std::collections::BTreeMap;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

use crate::Scale;

/// A measure of sharpness with all that is needed to read its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Its name, such as `trace`.
    pub name: String,
    /// Its definition in one line. L is the mean loss, w the parameters, g and H gradient and Hessian.
    pub definition: String,
    /// The number.
    pub value: f64,
    /// How far it may be off.
    pub uncertainty: Uncertainty,
    /// Radii and sizes that the definition leaves open.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, f64>,
    /// Further numbers, to compare with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, f64>,
    /// What leaves it as it is.
    pub invariance: Invariance,
    /// What it cost.
    pub cost: Cost,
    /// What to do where the asked accuracy was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How far a number may be off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Uncertainty {
    /// By no more than rounding.
    Exact,
    /// By no more than this.
    Bound {
        /// The bound.
        size: f64,
    },
    /// By twice this in one of twenty runs.
    StandardError {
        /// The standard error.
        size: f64,
    },
    /// The true number is at least this one: a maximum that was searched for.
    LowerBound,
}

/// What changes of the network or the loss leave a measure as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariance {
    /// None: also not rescaled layers, which leave a ReLU network's function as it is (Dinh et al. 2017).
    Nothing,
    /// A layer's weights and biases times a, the next layer's weights over a, for ReLU networks.
    Rescaling,
    /// A factor on the loss.
    LossScale,
}

/// Passes over the whole data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Products with a matrix of second derivatives.
    pub products: usize,
    /// Gradients.
    pub gradients: usize,
    /// Forward passes, besides those of gradients and products.
    pub evaluations: usize,
}

impl Measure {
    /// A measure with no settings and no cost.
    pub fn new(
        name: impl Into<String>,
        definition: impl Into<String>,
        value: f64,
        uncertainty: Uncertainty,
        invariance: Invariance,
    ) -> Self {
        Self {
            name: name.into(),
            definition: definition.into(),
            value,
            uncertainty,
            settings: BTreeMap::new(),
            beside: BTreeMap::new(),
            invariance,
            cost: Cost::default(),
            remedy: None,
        }
    }

    /// The same with a setting.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: f64) -> Self {
        self.settings.insert(name.to_string(), value);
        self
    }

    /// The same with a number to compare with.
    #[must_use]
    pub fn with_beside(mut self, name: &str, value: f64) -> Self {
        self.beside.insert(name.to_string(), value);
        self
    }

    /// The same with its cost.
    #[must_use]
    pub fn with_cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// The same with what to do about an accuracy that was not reached.
    #[must_use]
    pub fn with_remedy(self, remedy: Option<&str>) -> Self {
        Self { remedy: remedy.map(String::from), ..self }
    }
}

impl Invariance {
    /// That of balls and noise with these scales: only where they are proportional to the weights.
    pub(crate) fn of(scale: Scale) -> Self {
        if scale == Scale::Magnitude { Self::Rescaling } else { Self::Nothing }
    }
}

impl Scale {
    /// The scale in a measure's name.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Magnitude => "adaptive-",
            Self::Shifted { .. } => "shifted-adaptive-",
            Self::Weights { .. } => "weights-adaptive-",
        }
    }

    /// The scales T in a measure's definition.
    pub(crate) fn formula(self) -> &'static str {
        match self {
            Self::None => "T = 1",
            Self::Magnitude => "T = |w|",
            Self::Shifted { .. } => "T = |w| + eta",
            Self::Weights { .. } => "T = |w| + eta for weights, 1 for others",
        }
    }

    /// The shift, where there is one.
    pub(crate) fn eta(self) -> Option<f64> {
        match self {
            Self::None | Self::Magnitude => None,
            Self::Shifted { eta } | Self::Weights { eta } => Some(eta),
        }
    }
}

impl Cost {
    /// Products alone.
    pub(crate) fn products(products: usize) -> Self {
        Self { products, ..Self::default() }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            products: self.products + other.products,
            gradients: self.gradients + other.gradients,
            evaluations: self.evaluations + other.evaluations,
        }
    }
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            products: self.products - other.products,
            gradients: self.gradients - other.gradients,
            evaluations: self.evaluations - other.evaluations,
        }
    }
}
