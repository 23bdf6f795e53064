//! The residual networks of the original paper's CIFAR experiments (He et al. 2016, section 4.2).

use relief_autodiff::Value;

use super::builtin::Builtin;
use super::error::Result;
use super::input::{InputKind, image_size};
use super::layers::{EPSILON, strided};
use super::net::Net;
use super::resnet::{basic_block, residual_branch};
use super::settings::{Argument, Kind, Setting, Settings, classes};
use super::shapes::{Shapes, dim, repeats};

const ARGUMENTS: &[Argument] = &[
    classes("10"),
    Argument {
        name: "width",
        kind: Kind::Count(2),
        default: "16",
        description: "channels of the first stage, even",
    },
    Argument {
        name: "shortcut",
        kind: Kind::Choice(&["A", "B"]),
        default: "A",
        description: "where shapes change: A (every other pixel, zero channels) or B (1x1 convolution)",
    },
];

const NAMES: &str = "pytorch_resnet_cifar10 (conv1, bn1, layer1.0.conv1, layer1.0.bn1, linear)";

pub(super) const RESNET20: Builtin = Builtin {
    name: "resnet20",
    description: "the paper's residual network of 20 layers for CIFAR",
    names: NAMES,
    arguments: ARGUMENTS,
    input: |_| Ok(InputKind::Images { channels: None, size: None }),
    build: |net, x, settings| build(net, x, settings, 3),
    infer: |shapes, settings| infer(shapes, settings, 3),
};

pub(super) const RESNET56: Builtin = Builtin {
    name: "resnet56",
    description: "the paper's residual network of 56 layers for CIFAR",
    names: NAMES,
    arguments: ARGUMENTS,
    input: |_| Ok(InputKind::Images { channels: None, size: None }),
    build: |net, x, settings| build(net, x, settings, 9),
    infer: |shapes, settings| infer(shapes, settings, 9),
};

fn build(net: &Net, x: &Value, settings: &Settings, blocks: usize) -> Result<Value> {
    image_size(x, settings)?;
    let (width, padded) = (settings.count("width")?, settings.word("shortcut")? == "A");
    if width % 2 == 1 {
        return Err(settings.inconsistent(format!("`width` is {width}, but must be even")));
    }
    let mut x = net.pp("conv1").conv2d(x, width, [3, 3], strided(1, 1), false)?;
    x = net.pp("bn1").batch_norm(&x, EPSILON, true)?.relu()?;
    for stage in 0..3 {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let net = net.pp(format!("layer{}", stage + 1)).pp(block);
            let channels = width << stage;
            x = if padded && stride == 2 {
                let main = residual_branch(&net, &x, channels, stride)?;
                net.in_layer(main.add(&subsampled(&x, channels)?))?.relu()?
            } else {
                basic_block(&net, &x, channels, stride, "shortcut")?
            };
        }
    }
    net.pp("linear").linear(&x.mean(&[2, 3])?, settings.count("classes")?, true)
}

/// Option A: every other pixel, and as many zero channels before as after.
fn subsampled(x: &Value, channels: usize) -> relief_autodiff::Result<Value> {
    let border = (channels - x.dim(1)?) / 2;
    x.stride(2, 2)?.stride(3, 2)?.pad_with_zeros(1, border, border)
}

fn infer(shapes: &Shapes, settings: &mut Settings, blocks: usize) -> Option<Vec<usize>> {
    let stem = shapes.get("conv1.weight").filter(|shape| shape.len() == 4)?;
    if repeats(shapes, "layer1.") != blocks {
        return None;
    }
    let projected = shapes.contains_key("layer2.0.shortcut.0.weight");
    settings.propose("shortcut", Setting::Word(if projected { "B" } else { "A" }));
    settings.propose_count("classes", Some(dim(shapes, "linear.weight", 0)?));
    settings.propose_count("width", Some(stem[0]));
    Some(vec![stem[1], 32, 32])
}
