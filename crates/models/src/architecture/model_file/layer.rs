//! The layers of a model file: a line, a name, an operation.

use relief_autodiff::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::keys::{Keys, Source};
use super::operation::Operation;
use crate::architecture::error::{ArchitectureError, Result};
use crate::architecture::net::Net;

/// Names of layers that have none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Naming {
    /// Their positions, as in `nn.Sequential`.
    Positions,
    /// None: those with tensors must be named.
    Explicit,
}

/// One layer.
#[derive(Debug, PartialEq)]
pub(super) struct Layer {
    line: usize,
    kind: String,
    name: Option<String>,
    body: Body,
}

#[derive(Debug, PartialEq)]
enum Body {
    Plain(Operation),
    /// main(x) + shortcut(x), where no shortcut passes x on.
    Residual {
        main: Vec<Layer>,
        shortcut: Vec<Layer>,
    },
}

impl Layer {
    /// The layers of an array of tables.
    pub(super) fn parse_all(keys: &Keys<'_>, name: &'static str, naming: Naming) -> Result<Vec<Self>> {
        let tables = keys.tables(name)?;
        tables.into_iter().enumerate().map(|(i, table)| Self::parse(keys.source, table, i, naming)).collect()
    }

    fn parse(
        source: &Source<'_>,
        value: &Spanned<DeValue<'_>>,
        position: usize,
        naming: Naming,
    ) -> Result<Self> {
        let offset = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            return Err(source.error(offset, "a layer must be a table, written as [[layers]]".into()));
        };
        let mut keys = Keys::new(source, "a layer", table, offset);
        let kind = keys.required_text("type", "\"linear\"")?;
        keys.what = format!("a `{kind}` layer");
        let (body, named, has_tensors) = if kind == "residual" {
            let name = keys.text("name")?;
            let inner = if name.is_some() { Naming::Positions } else { Naming::Explicit };
            let main = Self::parse_all(&keys, "layers", inner)?;
            let shortcut = Self::parse_all(&keys, "shortcut", inner)?;
            if main.is_empty() {
                return Err(keys.error("a `residual` layer needs layers: add [[layers.layers]]".into()));
            }
            (Body::Residual { main, shortcut }, name, false)
        } else {
            let operation = Operation::parse(&kind, &keys)?;
            let has_tensors = operation.has_tensors();
            // Other layers may have names too: they say where an error is.
            (Body::Plain(operation), keys.text("name")?, has_tensors)
        };
        keys.finish()?;
        if named.is_none() && has_tensors && naming == Naming::Explicit {
            let advice = "needs a `name`, the prefix of its tensors in the checkpoint, because the `residual` layer \
                          around it has none";
            return Err(keys.error(format!("{} {advice}", keys.what)));
        }
        let positional = has_tensors.then(|| position.to_string());
        Ok(Self { line: source.line(offset), kind, name: named.or(positional), body })
    }

    /// Applies layers one after the other.
    pub(super) fn build_all(layers: &[Self], path: &str, net: &Net, x: &Value) -> Result<Value> {
        let mut x = x.clone();
        for layer in layers {
            x = layer.build(path, net, &x).map_err(|error| match error {
                located @ ArchitectureError::File { .. } => located,
                other => {
                    let problem =
                        format!("`{}` on values of shape {:?}: {other}", layer.kind, &x.dims()[1..]);
                    ArchitectureError::File { path: path.into(), line: layer.line, problem }
                }
            })?;
        }
        Ok(x)
    }

    fn build(&self, path: &str, net: &Net, x: &Value) -> Result<Value> {
        let net = match &self.name {
            Some(name) => net.pp(name),
            None => net.clone(),
        };
        match &self.body {
            Body::Plain(operation) => operation.build(&net, x),
            Body::Residual { main, shortcut } => {
                let around_net = if self.name.is_some() { net.pp("shortcut") } else { net.clone() };
                let main = Self::build_all(main, path, &net, x)?;
                let around = Self::build_all(shortcut, path, &around_net, x)?;
                if main.dims() != around.dims() {
                    // Broadcasting would hide this.
                    let shapes = (&main.dims()[1..], &around.dims()[1..]);
                    let problem = format!(
                        "the layers give shape {:?}, but {:?} passes around them: change strides and channels, or add \
                         [[layers.shortcut]]",
                        shapes.0, shapes.1
                    );
                    return Err(ArchitectureError::File { path: path.into(), line: self.line, problem });
                }
                Ok(main.add(&around)?)
            }
        }
    }
}
