//! What can be wrong with a data set, each said in one sentence with its remedy.

use std::path::PathBuf;

use super::options::Split;

/// Why a data set could not be used.
///
/// Nothing in a user's data is ever corrected silently: what does not fit is one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Nothing is at the path.
    #[error(
        "no data at {}: give `digits` (embedded), or the path of a folder or file that exists",
        path.display()
    )]
    Missing {
        /// The path as given.
        path: PathBuf,
    },
    /// The operating system refused to read the path.
    #[error("{} cannot be read ({cause})", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        cause: std::io::Error,
    },
    /// A sample of no examples, or of more than there are.
    #[error(
        "a sample of {asked} examples cannot be drawn from {examples}: ask for at least 1 and at most that many"
    )]
    SampleSize {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        examples: usize,
    },
    /// A file of no bytes.
    #[error("{} is an empty file: fetch or save it again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The path is there, but is of no format that is read.
    #[error(
        "{} is not a data set that can be read ({found}): expected a folder with idx files, a folder with CIFAR's \
         .bin files, a folder with one subfolder of images per class, or a file of type idx, .bin, .npz, .safetensors or .txt",
        path.display()
    )]
    Unrecognised {
        /// The file or folder.
        path: PathBuf,
        /// What was found there instead.
        found: String,
    },
    /// A file that belongs to the set is not beside the others.
    #[error("{} is missing: {remedy}", path.display())]
    FileMissing {
        /// The file that was looked for.
        path: PathBuf,
        /// How to mend it.
        remedy: String,
    },
    /// A file holds more or fewer bytes than its header or its layout says.
    #[error(
        "{} holds {found} bytes where {expected}: it was cut short or altered, fetch it again",
        path.display()
    )]
    WrongLength {
        /// The file.
        path: PathBuf,
        /// Bytes found (after decompression).
        found: u64,
        /// What was expected, in words.
        expected: String,
    },
    /// A file's content breaks the rules of its format.
    #[error("{} cannot be understood: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was found, what was expected and how to mend it.
        reason: String,
    },
    /// Inputs and targets do not pair up.
    #[error(
        "{origin} has {inputs} inputs but {targets} targets: every input needs exactly one target, check that both come \
         from the same set"
    )]
    CountMismatch {
        /// The data set.
        origin: String,
        /// Number of inputs.
        inputs: usize,
        /// Number of targets.
        targets: usize,
    },
    /// A label that is no class.
    #[error("{origin} has the label {label} at example {example} (counted from 0), expected {expected}")]
    LabelOutOfRange {
        /// The file or array.
        origin: String,
        /// Position of the example.
        example: usize,
        /// The label.
        label: i64,
        /// The labels that are allowed, in words.
        expected: String,
    },
    /// A set of no examples.
    #[error("{origin} holds no examples: at least one is needed")]
    NoExamples {
        /// The data set.
        origin: String,
    },
    /// A text too short for one example.
    #[error(
        "the {split} split of {origin} has {characters} characters, but one example takes {block} (the context and the \
         character after it): give a smaller context or a longer text"
    )]
    TextTooShort {
        /// The file.
        origin: String,
        /// The split asked for.
        split: Split,
        /// Characters in it.
        characters: usize,
        /// Characters of one example.
        block: usize,
    },
    /// No examples, or more than there are, asked for.
    #[error(
        "{limit} examples were asked for, but {origin} has {available}: give a limit from 1 to {available}"
    )]
    BadLimit {
        /// The data set.
        origin: String,
        /// The limit asked for.
        limit: usize,
        /// The examples there are.
        available: usize,
    },
    /// The asked split is not in the data.
    #[error("{origin} has no {split} split: {remedy}")]
    NoSplit {
        /// The data set.
        origin: String,
        /// The split asked for.
        split: Split,
        /// How to mend it.
        remedy: String,
    },
    /// NaN or an infinity among the numbers.
    #[error(
        "{origin} has the value {value:e} in `{array}` at example {example} (counted from 0): only numbers \
         that are finite in {dtype} can be used"
    )]
    NotFinite {
        /// The data set.
        origin: String,
        /// The array: `x` or `y`, with the split's suffix where there is one.
        array: String,
        /// Position of the example.
        example: usize,
        /// NaN, an infinity, or a number beyond the range of the dtype.
        value: f64,
        /// The dtype of the run.
        dtype: &'static str,
    },
    /// An array that is needed is not in an NPZ or safetensors file.
    #[error(
        "{} has no array `{wanted}` (it has: {}): save the inputs as `x` and the targets as `y`, or as `x_train`, \
         `y_train`, `x_test` and `y_test`",
        path.display(), found.join(", ")
    )]
    ArrayMissing {
        /// The file.
        path: PathBuf,
        /// The name looked for.
        wanted: String,
        /// The names that are there, sorted.
        found: Vec<String>,
    },
    /// An array of a type or shape that cannot be inputs or targets.
    #[error("array `{array}` of {} is {found}, expected {expected}", path.display())]
    UnsuitableArray {
        /// The file.
        path: PathBuf,
        /// The array's name.
        array: String,
        /// Its type and shape.
        found: String,
        /// What would do, and how to get there.
        expected: String,
    },
    /// Images of different sizes or colours in one set.
    #[error(
        "{} is {found}, but {} is {expected}: all images of a set must have one size and one kind of colour, convert them first",
        path.display(), first.display()
    )]
    ImagesDiffer {
        /// The first image that differs.
        path: PathBuf,
        /// Its size and colour.
        found: String,
        /// The first image of the set.
        first: PathBuf,
        /// Its size and colour.
        expected: String,
    },
    /// A normalisation that cannot be read or makes no sense.
    #[error(
        "the normalisation {found} is not usable ({reason}): write `mean,std` as in `0.1307,0.3081`, or one value per \
         channel as in `0.49,0.48,0.45/0.25,0.24,0.26`"
    )]
    BadNormalization {
        /// The text or values given.
        found: String,
        /// What is wrong.
        reason: String,
    },
    /// An option that means nothing for this data.
    #[error("{option} does not apply to {origin}: {reason}")]
    OptionUnsuitable {
        /// The option.
        option: &'static str,
        /// The data set.
        origin: String,
        /// Why not.
        reason: String,
    },
    /// A name that is no split.
    #[error("unknown split `{found}`, did you mean `{nearest}`? choose `train` or `test`")]
    UnknownSplit {
        /// The text given.
        found: String,
        /// The split whose name is nearest.
        nearest: Split,
    },
    /// Class labels are needed, but the targets are something else.
    #[error(
        "the targets of {origin} are {found}, expected integer class labels of shape [N]: save `y` with astype('int64')"
    )]
    NotClasses {
        /// The data set.
        origin: String,
        /// The targets, in words.
        found: String,
    },
    /// candle refused a tensor operation.
    #[error("a tensor of the data set could not be made: {0}")]
    Tensor(#[from] candle_core::Error),
}
