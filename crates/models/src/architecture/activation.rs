//! Functions between layers.

use relief_autodiff::Value;

/// An activation function, by PyTorch's names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Activation {
    Relu,
    Relu6,
    Tanh,
    Gelu,
    GeluTanh,
    Silu,
    Sigmoid,
    Softplus,
    Softsign,
    Selu,
    Mish,
    HardSwish,
    HardSigmoid,
    LogSigmoid,
    Identity,
    Elu(f64),
    LeakyRelu(f64),
    Hardtanh(f64, f64),
}

impl Activation {
    /// Those that need no argument, by name.
    const PLAIN: [(&'static str, Self); 18] = [
        ("relu", Self::Relu),
        ("tanh", Self::Tanh),
        ("gelu", Self::Gelu),
        ("gelu_tanh", Self::GeluTanh),
        ("silu", Self::Silu),
        ("sigmoid", Self::Sigmoid),
        ("elu", Self::Elu(1.0)),
        ("softplus", Self::Softplus),
        ("leaky_relu", Self::LeakyRelu(0.01)),
        ("hardtanh", Self::Hardtanh(-1.0, 1.0)),
        ("relu6", Self::Relu6),
        ("selu", Self::Selu),
        ("mish", Self::Mish),
        ("softsign", Self::Softsign),
        ("hardswish", Self::HardSwish),
        ("hardsigmoid", Self::HardSigmoid),
        ("logsigmoid", Self::LogSigmoid),
        ("identity", Self::Identity),
    ];

    /// The names, in the order in which they are listed.
    pub(super) const NAMES: [&'static str; 18] = {
        let mut names = [""; 18];
        let mut i = 0;
        while i < 18 {
            names[i] = Self::PLAIN[i].0;
            i += 1;
        }
        names
    };

    /// The function of this name, with PyTorch's default arguments.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::PLAIN.iter().find(|(n, _)| *n == name).map(|(_, activation)| *activation)
    }

    pub(super) fn apply(self, x: &Value) -> relief_autodiff::Result<Value> {
        match self {
            Self::Relu => x.relu(),
            Self::Relu6 => x.relu6(),
            Self::Tanh => x.tanh(),
            Self::Gelu => x.gelu_erf(),
            Self::GeluTanh => x.gelu(),
            Self::Silu => x.silu(),
            Self::Sigmoid => x.sigmoid(),
            Self::Softplus => x.softplus(),
            Self::Softsign => x.softsign(),
            Self::Selu => x.selu(),
            Self::Mish => x.mish(),
            Self::HardSwish => x.hard_swish(),
            Self::HardSigmoid => x.hard_sigmoid(),
            Self::LogSigmoid => x.log_sigmoid(),
            Self::Identity => Ok(x.clone()),
            Self::Elu(alpha) => x.elu(alpha),
            Self::LeakyRelu(slope) => x.leaky_relu(slope),
            Self::Hardtanh(low, high) => x.clamp(low, high),
        }
    }
}
