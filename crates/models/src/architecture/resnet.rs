//! ResNet-18 (He et al. 2016) for large and for small images.

use relief_autodiff::{PoolOptions, Value};

use super::builtin::Builtin;
use super::error::Result;
use super::input::{InputKind, image_size};
use super::layers::{EPSILON, strided};
use super::net::Net;
use super::settings::{Argument, Kind, Setting, Settings, classes};
use super::shapes::{Shapes, dim};

pub(super) const RESNET18: Builtin = Builtin {
    name: "resnet18",
    description: "residual network of 18 layers, with the stem for ImageNet or the one for CIFAR",
    names: "torchvision (conv1, bn1, layer1.0.conv1, layer2.0.downsample.0, fc), or pytorch-cifar (shortcut.0, linear)",
    arguments: &[
        Argument {
            name: "stem",
            kind: Kind::Choice(&["imagenet", "cifar"]),
            default: "imagenet",
            description: "imagenet (7x7, stride 2, max pool) or cifar (3x3)",
        },
        classes("1000"),
        Argument {
            name: "width",
            kind: Kind::Count(1),
            default: "64",
            description: "channels of the first stage",
        },
        Argument {
            name: "names",
            kind: Kind::Choice(&["torchvision", "pytorch-cifar"]),
            default: "torchvision",
            description: "torchvision (downsample, fc) or pytorch-cifar (shortcut, linear)",
        },
    ],
    input: |_| Ok(InputKind::Images { channels: None, size: None }),
    build,
    infer,
};

fn build(net: &Net, x: &Value, settings: &Settings) -> Result<Value> {
    image_size(x, settings)?;
    let width = settings.count("width")?;
    let [shortcut, head] = match settings.word("names")? {
        "torchvision" => ["downsample", "fc"],
        _ => ["shortcut", "linear"],
    };
    let large = settings.word("stem")? == "imagenet";
    let (kernel, options) = if large { (7, strided(2, 3)) } else { (3, strided(1, 1)) };
    let mut x = net.pp("conv1").conv2d(x, width, [kernel; 2], options, false)?;
    x = net.pp("bn1").batch_norm(&x, EPSILON, true)?.relu()?;
    if large {
        let window = PoolOptions { stride: [2, 2], padding: [1, 1], ..PoolOptions::square(3) };
        x = net.pp("maxpool").in_layer(x.max_pool2d(window))?;
    }
    for stage in 0..4 {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let net = net.pp(format!("layer{}", stage + 1)).pp(block);
            x = basic_block(&net, &x, width << stage, stride, shortcut)?;
        }
    }
    net.pp(head).linear(&x.mean(&[2, 3])?, settings.count("classes")?, true)
}

/// Two 3x3 convolutions with batch norm, around which the input passes (through a 1x1 convolution where its shape
/// changes).
pub(super) fn basic_block(
    net: &Net,
    x: &Value,
    channels: usize,
    stride: usize,
    shortcut: &str,
) -> Result<Value> {
    let main = residual_branch(net, x, channels, stride)?;
    let around = if stride == 1 && x.dim(1)? == channels {
        x.clone()
    } else {
        let net = net.pp(shortcut);
        let projected = net.pp(0).conv2d(x, channels, [1, 1], strided(stride, 0), false)?;
        net.pp(1).batch_norm(&projected, EPSILON, true)?
    };
    Ok(net.in_layer(main.add(&around))?.relu()?)
}

/// The convolutions of a basic block.
pub(super) fn residual_branch(net: &Net, x: &Value, channels: usize, stride: usize) -> Result<Value> {
    let x = net.pp("conv1").conv2d(x, channels, [3, 3], strided(stride, 1), false)?;
    let x = net.pp("bn1").batch_norm(&x, EPSILON, true)?.relu()?;
    let x = net.pp("conv2").conv2d(&x, channels, [3, 3], strided(1, 1), false)?;
    net.pp("bn2").batch_norm(&x, EPSILON, true)
}

fn infer(shapes: &Shapes, settings: &mut Settings) -> Option<Vec<usize>> {
    let stem = shapes.get("conv1.weight").filter(|shape| shape.len() == 4)?;
    let torchvision = shapes.contains_key("fc.weight");
    let head = if torchvision { "fc.weight" } else { "linear.weight" };
    settings.propose("stem", Setting::Word(if stem[2] == 7 { "imagenet" } else { "cifar" }));
    settings.propose("names", Setting::Word(if torchvision { "torchvision" } else { "pytorch-cifar" }));
    settings.propose_count("classes", Some(dim(shapes, head, 0)?));
    settings.propose_count("width", Some(stem[0]));
    Some(vec![stem[1], 32, 32])
}
