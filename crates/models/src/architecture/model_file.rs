//! Networks described layer by layer in a TOML file.
//!
//! ```toml
//! input = [1, 28, 28]
//!
//! [[layers]]
//! type = "conv2d"          # features.0.weight, features.0.bias
//! name = "features.0"
//! out_channels = 32
//! kernel_size = 3
//! padding = 1
//! [[layers]]
//! type = "relu"
//! [[layers]]
//! type = "flatten"
//! [[layers]]
//! type = "linear"
//! name = "classifier.0"
//! out_features = 10
//! ```
//!
//! Layers take PyTorch's arguments; `in_channels`, `in_features`, `num_features` and `num_channels` may be left out, and
//! are checked where given. `name` is the prefix of the layer's tensors in the checkpoint; without it the layer's
//! position counts, as in `nn.Sequential`.
//!
//! `type = "residual"` adds the output of its own `[[layers.layers]]` to its input, or to the output of
//! `[[layers.shortcut]]`. Its `name`, if it has one, goes before the names of the layers within, which then have
//! positions as default names; without it, layers within must be named in full.

mod arguments;
mod keys;
mod layer;
mod operation;

use relief_autodiff::Value;
use toml::de::DeTable;

use super::error::{ArchitectureError, Result};
use super::net::Net;
use keys::{Keys, Source};
use layer::{Layer, Naming};

/// A network of layers.
#[derive(Debug, PartialEq)]
pub(super) struct ModelFile {
    path: String,
    input: Vec<usize>,
    layers: Vec<Layer>,
}

impl ModelFile {
    /// Reads the text of a model file.
    pub(super) fn parse(path: &str, text: &str) -> Result<Self> {
        let source = Source::new(path, text);
        let table = DeTable::parse(text).map_err(|e| {
            source.error(e.span().map_or(0, |span| span.start), e.message().trim().replace('\n', ", "))
        })?;
        let keys = Keys::new(&source, "model file", table.get_ref(), 0);
        let input = keys.required_counts("input", "[1, 28, 28]")?;
        let layers = Layer::parse_all(&keys, "layers", Naming::Positions)?;
        keys.finish()?;
        if layers.is_empty() {
            return Err(source.error(0, "there are no layers: add [[layers]] with a `type`".into()));
        }
        Ok(Self { path: path.into(), input, layers })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn input(&self) -> &[usize] {
        &self.input
    }

    /// Applies the layers to a batch, whose examples are folded into the shape `input` first.
    pub(super) fn build(&self, net: &Net, x: &Value) -> Result<Value> {
        let found = &x.dims()[1.min(x.rank())..];
        let entries = |shape: &[usize]| shape.iter().product::<usize>();
        if x.rank() == 0 || entries(found) != entries(&self.input) {
            return Err(ArchitectureError::Input {
                architecture: self.path.clone(),
                expected: format!("examples of shape {:?} or as many entries (its `input`)", self.input),
                found: found.to_vec(),
            });
        }
        let mut dims = vec![x.dims()[0]];
        dims.extend(&self.input);
        Layer::build_all(&self.layers, &self.path, net, &x.reshape(&dims)?)
    }
}
