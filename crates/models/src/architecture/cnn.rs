//! Plain convolutional networks: 3x3 convolutions, pooling, one linear layer.

use relief_autodiff::{PoolOptions, Value};

use super::builtin::Builtin;
use super::error::Result;
use super::input::{InputKind, image_size};
use super::layers::{EPSILON, strided};
use super::mlp::note_assumed_activation;
use super::net::Net;
use super::settings::{ACTIVATION, Argument, Kind, Setting, Settings, classes};
use super::shapes::{Shapes, dim, natural};

pub(super) const CNN: Builtin = Builtin {
    name: "cnn",
    description: "3x3 convolutions with pooling between them and a linear layer at the end; six of them by default",
    names: "torch.nn.Sequential of convolution, [batch norm], activation, [pool], ..., head (0.weight, 2.weight, 5.weight ...)",
    arguments: &[
        Argument {
            name: "channels",
            kind: Kind::Widths,
            default: "32-32-64-64-128-128",
            description: "channels of every convolution",
        },
        ACTIVATION,
        Argument {
            name: "batch_norm",
            kind: Kind::Flag,
            default: "false",
            description: "batch norm between convolution and activation",
        },
        Argument {
            name: "every",
            kind: Kind::Count(0),
            default: "2",
            description: "a 2x2 pool after every so many convolutions; 0 for none",
        },
        Argument {
            name: "pool",
            kind: Kind::Choice(&["max", "average"]),
            default: "max",
            description: "max or average",
        },
        Argument {
            name: "head",
            kind: Kind::Choice(&["average", "flatten"]),
            default: "average",
            description: "average over the image before the linear layer, or flatten",
        },
        classes("10"),
    ],
    input: |_| Ok(InputKind::Images { channels: None, size: None }),
    build,
    infer,
};

/// Positions of the layers in the `nn.Sequential`.
#[derive(Debug, PartialEq)]
struct Layout {
    convolutions: Vec<usize>,
    linear: usize,
}

impl Layout {
    fn new(convolutions: usize, batch_norm: bool, every: usize, average: bool) -> Self {
        let mut next = 0;
        let mut positions = vec![];
        for i in 0..convolutions {
            positions.push(next);
            next += 2 + usize::from(batch_norm) + usize::from(pooled(i, every));
        }
        // Averaging is a layer of its own; both heads flatten.
        Self { convolutions: positions, linear: next + 1 + usize::from(average) }
    }
}

fn pooled(convolution: usize, every: usize) -> bool {
    every > 0 && (convolution + 1).is_multiple_of(every)
}

fn build(net: &Net, x: &Value, settings: &Settings) -> Result<Value> {
    image_size(x, settings)?;
    let channels = settings.widths("channels")?;
    let (batch_norm, every) = (settings.flag("batch_norm")?, settings.count("every")?);
    let (average, max) = (settings.word("head")? == "average", settings.word("pool")? == "max");
    let activation = settings.activation()?;
    note_assumed_activation(net, settings);
    let layout = Layout::new(channels.len(), batch_norm, every, average);
    let mut x = x.clone();
    for (i, (&position, &width)) in layout.convolutions.iter().zip(&channels).enumerate() {
        x = net.pp(position).conv2d(&x, width, [3, 3], strided(1, 1), true)?;
        if batch_norm {
            x = net.pp(position + 1).batch_norm(&x, EPSILON, true)?;
        }
        x = activation.apply(&x)?;
        if pooled(i, every) {
            let window = PoolOptions::square(2);
            x = net.pp(position).in_layer(if max { x.max_pool2d(window) } else { x.avg_pool2d(window) })?;
        }
    }
    if average {
        x = x.mean(&[2, 3])?;
    }
    net.pp(layout.linear).linear(&x.flatten_from(1)?, settings.count("classes")?, true)
}

fn infer(shapes: &Shapes, settings: &mut Settings) -> Option<Vec<usize>> {
    let mut weights: Vec<&str> = shapes.keys().filter_map(|name| name.strip_suffix(".weight")).collect();
    weights.sort_by(|a, b| natural(a, b));
    let of_rank = |rank: usize| -> Option<Vec<usize>> {
        let has_rank = |name: &&&str| shapes.get(&format!("{name}.weight")).is_some_and(|s| s.len() == rank);
        weights.iter().filter(has_rank).map(|name| name.parse().ok()).collect()
    };
    let (convolutions, linear) = (of_rank(4)?, of_rank(2)?);
    let &[linear] = linear.as_slice() else { return None };
    let channels: Vec<usize> =
        convolutions.iter().filter_map(|i| dim(shapes, &format!("{i}.weight"), 0)).collect();
    let (&last, inputs) = (channels.last()?, dim(shapes, "0.weight", 1)?);
    let batch_norm = shapes.keys().any(|name| name.ends_with("running_mean"));
    let features = dim(shapes, &format!("{linear}.weight"), 1)?;
    // Without pooling first, so that `every` is not taken for a number beyond the last convolution.
    let found =
        (0..=channels.len()).flat_map(|every| [(every, true), (every, false)]).find(|&(every, average)| {
            let fits = features == last || !average;
            fits && Layout::new(channels.len(), batch_norm, every, average)
                == Layout { convolutions: convolutions.clone(), linear }
        });
    let (every, average) = found?;
    let pools = (0..channels.len()).filter(|&i| pooled(i, every)).count() as u32;
    let shrinks = 2usize.checked_pow(pools)?;
    let size = if average { shrinks.max(32) } else { (features / last).isqrt() * shrinks };
    settings.propose("channels", Setting::Widths(channels));
    settings.propose("batch_norm", Setting::Flag(batch_norm));
    settings.propose("every", Setting::Count(every));
    settings.propose("head", Setting::Word(if average { "average" } else { "flatten" }));
    settings.propose_count("classes", dim(shapes, &format!("{linear}.weight"), 0));
    Some(vec![inputs, size, size])
}
