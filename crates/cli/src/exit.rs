//! How a command ends: exit codes, and errors in one sentence.

use std::fmt;
use std::process::ExitCode;

use relief_models::architecture::ArchitectureError;
use relief_models::checkpoint::CheckpointError;
use relief_models::data::DataError;
use relief_models::task::TaskError;

/// A command that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Computed and printed, but not to the asked tolerance.
    NotConverged,
    /// A check refused.
    Refused,
    /// Stopped by the user; resumable.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::NotConverged => 1,
            Outcome::Refused => 4,
            Outcome::Interrupted => 130,
        })
    }
}

/// A command that could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An option that cannot be met: exit code 2.
    Usage(String),
    /// Input that is missing, corrupt or does not fit: exit code 3.
    Input(String),
    /// Numbers that are not finite: exit code 4.
    Numbers(String),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Input(_) => 3,
            Self::Numbers(_) => 4,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(message) | Self::Input(message) | Self::Numbers(message)) = self;
        // Candle's errors may carry a backtrace, which says nothing to the user.
        f.write_str(
            message
                .lines()
                .take_while(|line| !line.trim_start().starts_with("0:"))
                .collect::<Vec<_>>()
                .join("\n")
                .trim_end(),
        )
    }
}

impl From<relief_plot::PlotError> for Failure {
    fn from(error: relief_plot::PlotError) -> Self {
        use relief_plot::PlotError;
        match &error {
            PlotError::Write { .. } | PlotError::Extension { .. } => Self::Usage(error.to_string()),
            _ => Self::Input(error.to_string()),
        }
    }
}

impl From<relief_hessian::Error> for Failure {
    fn from(error: relief_hessian::Error) -> Self {
        use relief_hessian::Error;
        match &error {
            Error::NonFiniteLoss { .. } | Error::NonFinite(_) => Self::Numbers(error.to_string()),
            _ => Self::Input(error.to_string()),
        }
    }
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        match &error {
            CheckpointError::NonFinite { .. } => Self::Numbers(error.to_string()),
            CheckpointError::CannotWrite { .. } => Self::Usage(error.to_string()),
            _ => Self::Input(error.to_string()),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        match &error {
            DataError::UnknownSplit { .. }
            | DataError::BadNormalization { .. }
            | DataError::BadLimit { .. } => Self::Usage(error.to_string()),
            DataError::NotFinite { .. } => Self::Numbers(error.to_string()),
            _ => Self::Input(error.to_string()),
        }
    }
}

impl From<ArchitectureError> for Failure {
    fn from(error: ArchitectureError) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Option(message) => Self::Usage(message),
            TaskError::Objective(error) => error.into(),
            TaskError::Architecture(error) => error.into(),
            other => Self::Input(other.to_string()),
        }
    }
}
