//! Wide residual networks (Zagoruyko & Komodakis 2016).

use relief_autodiff::Value;

use super::builtin::Builtin;
use super::error::Result;
use super::input::{InputKind, image_size};
use super::layers::{EPSILON, strided};
use super::net::Net;
use super::settings::{Argument, Kind, Settings, classes};
use super::shapes::{Shapes, dim, repeats};

pub(super) const WRN_28_10: Builtin = Builtin {
    name: "wrn-28-10",
    description: "wide residual network for CIFAR; wrn-D-K stands for depth=D,widen=K",
    names: "WideResNet-pytorch (conv1, block1.layer.0.bn1, block1.layer.0.convShortcut, bn1, fc)",
    arguments: &[
        classes("10"),
        Argument { name: "depth", kind: Kind::Count(10), default: "28", description: "layers: 6 n + 4" },
        Argument {
            name: "widen",
            kind: Kind::Count(1),
            default: "10",
            description: "factor of the channels 16, 32, 64",
        },
    ],
    input: |_| Ok(InputKind::Images { channels: None, size: None }),
    build,
    infer,
};

/// The arguments that a name such as `wrn-16-4` stands for.
pub(super) fn arguments_in_name(name: &str) -> Option<String> {
    let (depth, widen) = name.strip_prefix("wrn-")?.split_once('-')?;
    let (depth, widen): (usize, usize) = (depth.parse().ok()?, widen.parse().ok()?);
    Some(format!("depth={depth},widen={widen}"))
}

fn build(net: &Net, x: &Value, settings: &Settings) -> Result<Value> {
    image_size(x, settings)?;
    let (depth, widen) = (settings.count("depth")?, settings.count("widen")?);
    if depth < 10 || (depth - 4) % 6 != 0 {
        return Err(
            settings.inconsistent(format!("`depth` is {depth}, but must be 10, 16, 22, 28, ... (6 n + 4)"))
        );
    }
    let mut x = net.pp("conv1").conv2d(x, 16, [3, 3], strided(1, 1), false)?;
    for stage in 0..3 {
        for layer in 0..(depth - 4) / 6 {
            let stride = if stage > 0 && layer == 0 { 2 } else { 1 };
            let net = net.pp(format!("block{}", stage + 1)).pp("layer").pp(layer);
            x = block(&net, &x, (16 * widen) << stage, stride)?;
        }
    }
    x = net.pp("bn1").batch_norm(&x, EPSILON, true)?.relu()?;
    net.pp("fc").linear(&x.mean(&[2, 3])?, settings.count("classes")?, true)
}

/// Batch norm, relu, convolution, twice; a 1x1 convolution around it where the channels change, which then reads the
/// normalised input.
fn block(net: &Net, x: &Value, channels: usize, stride: usize) -> Result<Value> {
    let normal = net.pp("bn1").batch_norm(x, EPSILON, true)?.relu()?;
    let main = net.pp("conv1").conv2d(&normal, channels, [3, 3], strided(stride, 1), false)?;
    let main = net.pp("bn2").batch_norm(&main, EPSILON, true)?.relu()?;
    let main = net.pp("conv2").conv2d(&main, channels, [3, 3], strided(1, 1), false)?;
    let around = if x.dim(1)? == channels {
        x.clone()
    } else {
        net.pp("convShortcut").conv2d(&normal, channels, [1, 1], strided(stride, 0), false)?
    };
    net.in_layer(main.add(&around))
}

fn infer(shapes: &Shapes, settings: &mut Settings) -> Option<Vec<usize>> {
    let inputs = dim(shapes, "conv1.weight", 1)?;
    let layers = repeats(shapes, "block1.layer.");
    let widen = dim(shapes, "block1.layer.0.conv1.weight", 0)? / 16;
    if layers == 0 || widen == 0 {
        return None;
    }
    settings.propose_count("depth", Some(6 * layers + 4));
    settings.propose_count("widen", Some(widen));
    settings.propose_count("classes", Some(dim(shapes, "fc.weight", 0)?));
    Some(vec![inputs, 32, 32])
}
