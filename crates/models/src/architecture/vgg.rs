//! VGG networks (Simonyan & Zisserman 2015), configurations A and D, with or without batch norm.

use relief_autodiff::{PoolOptions, Value};

use super::builtin::Builtin;
use super::error::Result;
use super::input::{InputKind, image_size};
use super::layers::{EPSILON, strided};
use super::net::Net;
use super::settings::{Argument, Kind, Setting, Settings, classes};
use super::shapes::{Shapes, dim};

/// Convolutions of each of the five stages; a max pool follows each stage.
type Stages = [usize; 5];
const A: Stages = [1, 1, 2, 2, 2];
const D: Stages = [2, 2, 3, 3, 3];
/// Channels of the stages, as multiples of the width.
const FACTORS: [usize; 5] = [1, 2, 4, 8, 8];

const ARGUMENTS: &[Argument] = &[
    Argument {
        name: "head",
        kind: Kind::Choice(&["large", "small"]),
        default: "large",
        description: "large (average to 7x7, three linear layers) or small (average to 1x1, one linear layer)",
    },
    classes("1000"),
    Argument {
        name: "width",
        kind: Kind::Count(1),
        default: "64",
        description: "channels of the first stage",
    },
];

const NAMES: &str = "torchvision (features.0, features.3, ..., classifier.0, .3, .6); head=small: classifier";

macro_rules! vgg {
    ($constant:ident, $name:literal, $description:literal, $stages:ident, $batch_norm:literal) => {
        pub(super) const $constant: Builtin = Builtin {
            name: $name,
            description: $description,
            names: NAMES,
            arguments: ARGUMENTS,
            input: |_| Ok(InputKind::Images { channels: None, size: None }),
            build: |net, x, settings| build(net, x, settings, $stages, $batch_norm),
            infer: |shapes, settings| infer(shapes, settings, $batch_norm),
        };
    };
}

vgg!(VGG11, "vgg11", "VGG of 11 layers", A, false);
vgg!(VGG11_BN, "vgg11_bn", "VGG of 11 layers with batch norm", A, true);
vgg!(VGG16, "vgg16", "VGG of 16 layers", D, false);
vgg!(VGG16_BN, "vgg16_bn", "VGG of 16 layers with batch norm", D, true);

fn build(net: &Net, x: &Value, settings: &Settings, stages: Stages, batch_norm: bool) -> Result<Value> {
    image_size(x, settings)?;
    let width = settings.count("width")?;
    let features = net.pp("features");
    let (mut x, mut position) = (x.clone(), 0);
    for (&convolutions, &factor) in stages.iter().zip(&FACTORS) {
        for _ in 0..convolutions {
            x = features.pp(position).conv2d(&x, width * factor, [3, 3], strided(1, 1), true)?;
            if batch_norm {
                x = features.pp(position + 1).batch_norm(&x, EPSILON, true)?;
            }
            x = x.relu()?;
            position += 2 + usize::from(batch_norm);
        }
        x = features.pp(position).in_layer(x.max_pool2d(PoolOptions::square(2)))?;
        position += 1;
    }
    let (classifier, classes) = (net.pp("classifier"), settings.count("classes")?);
    if settings.word("head")? == "small" {
        return classifier.linear(&x.mean(&[2, 3])?, classes, true);
    }
    x = x.adaptive_avg_pool2d([7, 7])?.flatten_from(1)?;
    for position in [0, 3] {
        x = classifier.pp(position).linear(&x, 64 * width, true)?.relu()?;
        x = net.dropout(&x);
    }
    classifier.pp(6).linear(&x, classes, true)
}

fn infer(shapes: &Shapes, settings: &mut Settings, batch_norm: bool) -> Option<Vec<usize>> {
    let stem = shapes.get("features.0.weight").filter(|shape| shape.len() == 4)?;
    if shapes.contains_key("features.1.running_mean") != batch_norm {
        return None;
    }
    let small = shapes.contains_key("classifier.weight");
    let head = if small { "classifier.weight" } else { "classifier.6.weight" };
    settings.propose("head", Setting::Word(if small { "small" } else { "large" }));
    settings.propose_count("classes", Some(dim(shapes, head, 0)?));
    settings.propose_count("width", Some(stem[0]));
    Some(vec![stem[1], 32, 32])
}
