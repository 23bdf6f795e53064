//! LeNet-5 (`LeCun` et al. 1998), as usually written in PyTorch.

use relief_autodiff::{PoolOptions, Value};

use super::builtin::Builtin;
use super::error::Result;
use super::input::{InputKind, image_size};
use super::layers::strided;
use super::mlp::note_assumed_activation;
use super::net::Net;
use super::settings::{ACTIVATION, Argument, Kind, Settings, classes};
use super::shapes::{Shapes, dim};

pub(super) const LENET5: Builtin = Builtin {
    name: "lenet5",
    description: "two 5x5 convolutions and three linear layers; pads 28x28 images, not 32x32 ones",
    names: "conv1, conv2, fc1, fc2, fc3",
    arguments: &[
        ACTIVATION,
        Argument {
            name: "pool",
            kind: Kind::Choice(&["max", "average"]),
            default: "max",
            description: "max or average",
        },
        classes("10"),
    ],
    input: |_| Ok(InputKind::Images { channels: None, size: Some([28, 28]) }),
    build,
    infer,
};

fn build(net: &Net, x: &Value, settings: &Settings) -> Result<Value> {
    let [_, height, _] = image_size(x, settings)?;
    let (activation, max) = (settings.activation()?, settings.word("pool")? == "max");
    note_assumed_activation(net, settings);
    let window = PoolOptions::square(2);
    let mut x = x.clone();
    // The original reads 32x32; 28x28 images get a border of two.
    for (name, channels, padding) in [("conv1", 6, if height == 28 { 2 } else { 0 }), ("conv2", 16, 0)] {
        let net = net.pp(name);
        x = activation.apply(&net.conv2d(&x, channels, [5, 5], strided(1, padding), true)?)?;
        x = net.in_layer(if max { x.max_pool2d(window) } else { x.avg_pool2d(window) })?;
    }
    x = x.flatten_from(1)?;
    for (name, width) in [("fc1", 120), ("fc2", 84)] {
        x = activation.apply(&net.pp(name).linear(&x, width, true)?)?;
    }
    net.pp("fc3").linear(&x, settings.count("classes")?, true)
}

fn infer(shapes: &Shapes, settings: &mut Settings) -> Option<Vec<usize>> {
    let inputs = dim(shapes, "conv1.weight", 1)?;
    settings.propose_count("classes", Some(dim(shapes, "fc3.weight", 0)?));
    // 16 channels of side (n / 2 - 4) / 2, where n is 28 after the first convolution of a 28x28 or 32x32 image.
    let side = (dim(shapes, "fc1.weight", 1)? / 16).isqrt();
    let size = 4 * side + 12;
    Some(vec![inputs, size, size])
}
