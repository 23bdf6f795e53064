//! What can be wrong with an architecture's description.

/// Why an architecture cannot be named, read or built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchitectureError {
    /// No built-in has this name.
    #[error(
        "there is no architecture `{name}`: did you mean `{nearest}`? (one of {all}, or a .toml model file)"
    )]
    UnknownArchitecture {
        /// The name that was given.
        name: String,
        /// The built-in whose name is nearest.
        nearest: String,
        /// All built-ins.
        all: String,
    },
    /// The built-in has no such argument.
    #[error("`{architecture}` has no argument `{argument}`: did you mean `{nearest}`? (it has {all})")]
    UnknownArgument {
        /// The built-in.
        architecture: String,
        /// The argument that was given.
        argument: String,
        /// The argument whose name is nearest.
        nearest: String,
        /// All arguments.
        all: String,
    },
    /// A value of the wrong kind, or outside its range.
    #[error("`{architecture}` wants {expected} for `{argument}`, but got `{value}`")]
    BadValue {
        /// The built-in.
        architecture: String,
        /// The argument.
        argument: String,
        /// The value that was given.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// Text that is not `key=value`.
    #[error("`{found}` is not of the form key=value: write `{architecture}:key=value,key=value`")]
    Malformed {
        /// The built-in.
        architecture: String,
        /// The text in question.
        found: String,
    },
    /// The same argument twice.
    #[error("`{architecture}` gets the argument `{argument}` twice: leave one out")]
    Repeated {
        /// The built-in.
        architecture: String,
        /// The argument.
        argument: String,
    },
    /// An argument without default that was neither given nor read off a checkpoint.
    #[error(
        "`{architecture}` needs the argument `{argument}`: give `{architecture}:{argument}={example}`, or a \
         checkpoint from which it can be read"
    )]
    MissingArgument {
        /// The built-in.
        architecture: String,
        /// The argument.
        argument: String,
        /// A value it could have.
        example: String,
    },
    /// Arguments that do not go together.
    #[error("`{architecture}`: {problem}")]
    Inconsistent {
        /// The built-in.
        architecture: String,
        /// Which ones, and how to mend it.
        problem: String,
    },
    /// Examples of a shape that the architecture cannot read.
    #[error("`{architecture}` wants {expected}, but an example has shape {found:?}")]
    Input {
        /// The built-in or the model file.
        architecture: String,
        /// What an example must look like.
        expected: String,
        /// Its shape, without the batch axis.
        found: Vec<usize>,
    },
    /// A layer that does not fit what it is given.
    #[error("layer `{layer}`: {source}")]
    Layer {
        /// Prefix of the layer's parameters.
        layer: String,
        /// What the engine said.
        source: relief_autodiff::Error,
    },
    /// A mistake in a model file.
    #[error("{path}: line {line}: {problem}")]
    File {
        /// The model file.
        path: String,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// A model file that cannot be read.
    #[error("the model file {path} cannot be read: {source}")]
    Read {
        /// The model file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Any other refusal of the engine.
    #[error(transparent)]
    Engine(#[from] relief_autodiff::Error),
}

/// Results of this module.
pub type Result<T, E = ArchitectureError> = std::result::Result<T, E>;

/// The candidate most like `word` (Jaro-Winkler similarity; the first of equals).
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> &'a str {
    let mut best = ("", -1.0);
    for candidate in candidates {
        let similarity = strsim::jaro_winkler(word, candidate);
        if similarity > best.1 {
            best = (candidate, similarity);
        }
    }
    best.0
}
