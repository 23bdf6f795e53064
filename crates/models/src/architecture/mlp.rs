//! Fully connected networks of any widths.

use relief_autodiff::Value;

use super::builtin::Builtin;
use super::error::{ArchitectureError, Result};
use super::input::InputKind;
use super::net::Net;
use super::settings::{ACTIVATION, Argument, Kind, Setting, Settings};
use super::shapes::{Shapes, natural};

pub(super) const MLP: Builtin = Builtin {
    name: "mlp",
    description: "linear layers with an activation between them; flattens its input",
    names: "torch.nn.Sequential (0.weight, 0.bias, 2.weight, ...), or the checkpoint's own",
    arguments: &[
        Argument {
            name: "widths",
            kind: Kind::Widths,
            default: "",
            description: "entries of an example, of every hidden layer and of the output, as in 784-128-10",
        },
        ACTIVATION,
        Argument {
            name: "bias",
            kind: Kind::Flag,
            default: "true",
            description: "whether layers have biases",
        },
        Argument {
            name: "names",
            kind: Kind::Names,
            default: "",
            description: "prefixes of the layers' parameters, as in fc1+fc2 (else 0+2+4...)",
        },
    ],
    input,
    build,
    infer,
};

fn input(settings: &Settings) -> Result<InputKind> {
    Ok(InputKind::Flat(settings.widths("widths")?.first().copied()))
}

/// Names that `nn.Sequential` gives to linear layers with an activation after each.
fn sequential(layers: usize) -> Vec<String> {
    (0..layers).map(|i| (2 * i).to_string()).collect()
}

fn build(net: &Net, x: &Value, settings: &Settings) -> Result<Value> {
    let widths = settings.widths("widths")?;
    let (Some(&first), layers) = (widths.first(), widths.len().saturating_sub(1)) else {
        return Err(settings.inconsistent("`widths` is empty"));
    };
    if layers == 0 {
        return Err(settings.inconsistent("`widths` needs at least an input and an output, as in 784-10"));
    }
    let names = settings.names("names")?.unwrap_or_else(|| sequential(layers));
    if names.len() != layers {
        let problem = format!("`widths` makes {layers} layers, but `names` has {}", names.len());
        return Err(settings.inconsistent(problem));
    }
    let activation = settings.activation()?;
    if layers > 1 {
        note_assumed_activation(net, settings);
    }
    let bias = settings.flag("bias")?;
    let mut x = if x.rank() < 2 { x.unsqueeze(1)? } else { x.flatten_from(1)? };
    if x.dims()[1] != first {
        return Err(ArchitectureError::Input {
            architecture: settings.architecture.into(),
            expected: format!("examples of {first} entries (its first width)"),
            found: x.dims()[1..].to_vec(),
        });
    }
    for (i, (name, &width)) in names.iter().zip(&widths[1..]).enumerate() {
        x = net.pp(name).linear(&x, width, bias)?;
        if i + 1 < layers {
            x = activation.apply(&x)?;
        }
    }
    Ok(x)
}

/// Says that the activation was not given: no checkpoint tells it.
pub(super) fn note_assumed_activation(net: &Net, settings: &Settings) {
    if !settings.is_given("activation") {
        net.note(
            "the activation cannot be read off a checkpoint: relu is assumed (give activation= otherwise)",
        );
    }
}

/// A checkpoint of nothing but matrices `*.weight`, with or without `*.bias`, that chain up: in natural order of their
/// names, or in the order of given `names`.
fn infer(shapes: &Shapes, settings: &mut Settings) -> Option<Vec<usize>> {
    let names = match settings.names("names").ok()? {
        Some(given) => given,
        None => natural_order(shapes),
    };
    let mut widths: Vec<usize> = vec![];
    for name in &names {
        let &[out, from] = shapes.get(&format!("{name}.weight"))?.as_slice() else { return None };
        match widths.last() {
            None => widths.extend([from, out]),
            Some(&last) if last == from => widths.push(out),
            Some(_) => return None,
        }
    }
    let &first = widths.first()?;
    let biases = shapes.keys().filter_map(|name| name.strip_suffix(".bias")).count();
    let complete = biases == 0 || biases == names.len();
    // Names with the separators of a spec string could not be read back.
    let readable = names.iter().all(|name| !name.is_empty() && !name.contains(['+', ',']));
    if !complete || !readable || names.len() + biases != shapes.len() {
        return None;
    }
    if names != sequential(names.len()) {
        settings.propose("names", Setting::Names(names));
    }
    settings.propose("widths", Setting::Widths(widths));
    settings.propose("bias", Setting::Flag(biases > 0));
    Some(vec![first])
}

fn natural_order(shapes: &Shapes) -> Vec<String> {
    let mut names: Vec<&str> = shapes.keys().filter_map(|name| name.strip_suffix(".weight")).collect();
    names.sort_by(|a, b| natural(a, b));
    names.into_iter().map(Into::into).collect()
}
