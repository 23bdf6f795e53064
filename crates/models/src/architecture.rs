//! Networks by name, by model file, and how they are read off a checkpoint.
//!
//! An [`Architecture`] turns a batch of examples into logits by recording operations in a graph, and says which named
//! tensors it wants for that. It is described by a spec string, `name` or `name:key=value,key=value`, or by the path of
//! a `.toml` model file:
//!
//! ```
//! use relief_models::architecture::Architecture;
//! let mlp = Architecture::parse("mlp:widths=64-20-10,activation=tanh")?;
//! let names: Vec<String> = mlp.wanted(&[64])?.into_iter().map(|(name, _, _)| name).collect();
//! assert_eq!(names, ["0.bias", "0.weight", "2.bias", "2.weight"]);
//! assert_eq!(mlp.to_string(), "mlp:widths=64-20-10,activation=tanh");
//! # Ok::<(), relief_models::architecture::ArchitectureError>(())
//! ```
//!
//! A new built-in is one file in this folder and one line in `builtin.rs`.

mod activation;
mod builtin;
mod cifar_resnet;
mod cnn;
mod error;
mod gpt;
mod initial;
mod input;
mod layers;
mod lenet;
mod mlp;
mod model_file;
mod net;
mod resnet;
mod settings;
mod shapes;
mod transformer;
mod vgg;
mod vit;
mod wide_resnet;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use relief_autodiff::{GraphBuilder, PermutationGroup, Value};

use builtin::{BUILTINS, Builtin};
use model_file::ModelFile;
use settings::Settings;

pub use builtin::{ArgumentEntry, Entry, list};
pub use error::{ArchitectureError, Result};
pub use initial::Initial;
pub use input::InputKind;
pub use net::{BatchNormMode, Net, Role};
pub use shapes::Shapes;

/// A network: from examples to logits.
#[derive(Debug, Clone)]
pub struct Architecture {
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Builtin(&'static Builtin, Settings),
    File(Arc<ModelFile>),
}

impl Architecture {
    /// Reads `name`, `name:key=value,key=value`, or the model file at a path that ends in `.toml`.
    pub fn parse(spec: &str) -> Result<Self> {
        let spec = spec.trim();
        if Path::new(spec).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
            let text = std::fs::read_to_string(spec)
                .map_err(|source| ArchitectureError::Read { path: spec.into(), source })?;
            return Self::from_model_file(spec, &text);
        }
        let (name, arguments) = spec.split_once(':').unwrap_or((spec, ""));
        let (builtin, from_name) = builtin::find(name.trim())?;
        let mut settings = Settings::new(builtin.name, builtin.arguments);
        if let Some(text) = from_name {
            settings.read(&text)?;
        }
        settings.read(arguments)?;
        Ok(Self { form: Form::Builtin(builtin, settings) })
    }

    /// Reads the text of a model file; `path` names it in messages.
    pub fn from_model_file(path: &str, text: &str) -> Result<Self> {
        Ok(Self { form: Form::File(Arc::new(ModelFile::parse(path, text)?)) })
    }

    /// Name of the built-in, or path of the model file.
    pub fn name(&self) -> &str {
        match &self.form {
            Form::Builtin(builtin, _) => builtin.name,
            Form::File(file) => file.path(),
        }
    }

    /// The spec string that [`parse`](Self::parse) takes back: what was given or read off a checkpoint.
    pub fn arguments(&self) -> String {
        self.to_string()
    }

    /// What its examples look like.
    ///
    /// Fails where an argument is missing.
    pub fn input_kind(&self) -> Result<InputKind> {
        match &self.form {
            Form::Builtin(builtin, settings) => (builtin.input)(settings),
            Form::File(file) => Ok(InputKind::Shape(file.input().to_vec())),
        }
    }

    /// Logits [n, ..] from examples [n, ..].
    pub fn build(&self, net: &Net, input: &Value) -> Result<Value> {
        match &self.form {
            Form::Builtin(builtin, settings) => (builtin.build)(net, input, settings),
            Form::File(file) => file.build(net, input),
        }
    }

    /// Name, shape and role of every tensor that it needs for examples of this shape (without the batch axis), sorted
    /// by name. Nothing of the tensors' size is allocated.
    pub fn wanted(&self, example_shape: &[usize]) -> Result<Vec<(String, Vec<usize>, Role)>> {
        Ok(self.probe(example_shape)?.tensors())
    }

    /// Whether a checkpoint of this architecture may hold the tensor `name` although it is never asked for: a count of
    /// batches, an attention mask, or a second copy (see [`tied`](Self::tied)).
    pub fn ignores(&self, name: &str) -> bool {
        let is_gpt = matches!(&self.form, Form::Builtin(builtin, _) if builtin.name == gpt::GPT.name);
        name.ends_with("num_batches_tracked") || self.tied(name).is_some() || (is_gpt && gpt::is_mask(name))
    }

    /// The tensor whose values a checkpoint may hold a second time under `name`, as tied weights; two that differ are
    /// a mistake.
    pub fn tied(&self, name: &str) -> Option<&'static str> {
        match &self.form {
            Form::Builtin(builtin, _) if builtin.name == gpt::GPT.name => gpt::tied(name),
            _ => None,
        }
    }

    /// The same architecture with the arguments that were not given read off a checkpoint's names and shapes, as far
    /// as they tell them; tensors that do not fit show up when they are compared with [`wanted`](Self::wanted).
    pub fn infer(&self, shapes: &Shapes) -> Result<Self> {
        let Form::Builtin(builtin, settings) = &self.form else { return Ok(self.clone()) };
        let mut settings = settings.clone();
        (builtin.infer)(shapes, &mut settings);
        Ok(Self { form: Form::Builtin(builtin, settings) })
    }

    /// The same architecture with all its arguments in the spec string, as a network that is trained from it knows them.
    pub fn spelled_out(&self) -> Result<Self> {
        let Form::Builtin(builtin, settings) = &self.form else { return Ok(self.clone()) };
        Ok(Self { form: Form::Builtin(builtin, settings.clone().spelled_out()?) })
    }

    /// The built-ins whose tensors have exactly a checkpoint's names and shapes, with the arguments this takes.
    pub fn fits(shapes: &Shapes) -> Vec<Self> {
        BUILTINS.into_iter().filter_map(|builtin| Self::fit(builtin, shapes)).collect()
    }

    fn fit(builtin: &'static Builtin, shapes: &Shapes) -> Option<Self> {
        let mut settings = Settings::new(builtin.name, builtin.arguments);
        let example = (builtin.infer)(shapes, &mut settings)?;
        let found = Self { form: Form::Builtin(builtin, settings) };
        let wanted = found.wanted(&example).or_else(|_| {
            // Heads change no shape: one is enough to compare names.
            let mut settings = Settings::new(builtin.name, builtin.arguments);
            settings.read("heads=1")?;
            (builtin.infer)(shapes, &mut settings);
            Self { form: Form::Builtin(builtin, settings) }.wanted(&example)
        });
        let wanted = wanted.ok()?;
        let present = wanted.iter().all(|(name, shape, _)| shapes.get(name) == Some(shape));
        let expected = |name: &str| wanted.binary_search_by(|w| w.0.as_str().cmp(name)).is_ok();
        let nothing_left = shapes.keys().all(|name| expected(name) || found.ignores(name));
        (present && nothing_left).then_some(found)
    }

    /// Values before any training, for every wanted tensor: uniform within 1 / sqrt(fan in) for weights and biases of
    /// linear and convolutional layers, 1 and 0 for those of norms, normal for tables (see [`Initial`]).
    ///
    /// They depend on seed and tensor name alone (`ChaCha8`).
    pub fn random_parameters(
        &self,
        example_shape: &[usize],
        seed: u64,
        dtype: DType,
    ) -> Result<BTreeMap<String, Tensor>> {
        let tensor = |(name, shape, _, initial): (String, Vec<usize>, Role, Initial)| {
            let tensor = initial.tensor(&name, &shape, seed, dtype).map_err(relief_autodiff::Error::from)?;
            Ok((name, tensor))
        };
        self.probe(example_shape)?.initials().into_iter().map(tensor).collect()
    }

    /// The hidden units that can be permuted without changing the function, with all tensors they lie in: weights,
    /// biases, norms and running statistics (see [`relief_autodiff::permuted`]).
    ///
    /// Channels on a residual stream are one group; a channel that is flattened moves as a block; heads of attention, and
    /// the entries within all heads at once, are groups where queries, keys and values lie in one tensor.
    pub fn permutation_groups(&self, example_shape: &[usize]) -> Result<Vec<PermutationGroup>> {
        let (net, outputs) = self.built(example_shape)?;
        Ok(net.graph().permutation_groups(&outputs))
    }

    /// A graph for one example, for its record of tensors.
    fn probe(&self, example_shape: &[usize]) -> Result<Net> {
        Ok(self.built(example_shape)?.0)
    }

    /// A graph for one example, and its outputs.
    fn built(&self, example_shape: &[usize]) -> Result<(Net, Value)> {
        let graph = GraphBuilder::new();
        let dims: Vec<usize> = [1].into_iter().chain(example_shape.iter().copied()).collect();
        let net = Net::new(&graph, BatchNormMode::Eval);
        let outputs = self.build(&net, &graph.input(&dims))?;
        Ok((net, outputs))
    }
}

/// The spec string; a model file is its path.
impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::Builtin(_, settings) => settings.fmt(f),
            Form::File(file) => f.write_str(file.path()),
        }
    }
}

impl FromStr for Architecture {
    type Err = ArchitectureError;

    fn from_str(spec: &str) -> Result<Self> {
        Self::parse(spec)
    }
}

/// Built-ins are equal if their arguments are; model files, if their contents are.
impl PartialEq for Architecture {
    fn eq(&self, other: &Self) -> bool {
        match (&self.form, &other.form) {
            (Form::Builtin(_, a), Form::Builtin(_, b)) => a == b,
            (Form::File(a), Form::File(b)) => a == b,
            _ => false,
        }
    }
}
