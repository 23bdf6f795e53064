//! Vision transformers (Dosovitskiy et al. 2021).

use relief_autodiff::Value;

use super::builtin::Builtin;
use super::error::{ArchitectureError, Result};
use super::initial::Initial;
use super::input::{InputKind, image_size};
use super::layers::strided;
use super::net::Net;
use super::settings::{Argument, Kind, Settings, classes};
use super::shapes::{Shapes, dim, repeats};
use super::transformer::{HEADS, heads, self_attention};

/// timm's epsilon of layer norm in vision transformers.
const EPSILON: f64 = 1e-6;

pub(super) const VIT: Builtin = Builtin {
    name: "vit",
    description: "vision transformer with a class token; size=tiny is ViT-Ti/16, size=base ViT-B/16",
    names: "timm (cls_token, pos_embed, patch_embed.proj, blocks.0.attn.qkv, blocks.0.mlp.fc1, norm, head)",
    arguments: &[
        Argument {
            name: "size",
            kind: Kind::Choice(&["tiny", "small", "base"]),
            default: "tiny",
            description: "width and depth where not given: tiny (192, 12), small (384, 12), base (768, 12)",
        },
        Argument { name: "width", kind: Kind::Count(1), default: "", description: "entries of a token" },
        Argument { name: "depth", kind: Kind::Count(1), default: "", description: "number of blocks" },
        HEADS,
        Argument {
            name: "mlp_ratio",
            kind: Kind::Count(1),
            default: "4",
            description: "hidden entries of a block, over width",
        },
        Argument {
            name: "patch",
            kind: Kind::Count(1),
            default: "16",
            description: "side of a patch, in pixels",
        },
        Argument {
            name: "image",
            kind: Kind::Count(1),
            default: "224",
            description: "side of an image, in pixels",
        },
        classes("1000"),
    ],
    input: |settings| {
        let side = settings.count("image")?;
        Ok(InputKind::Images { channels: None, size: Some([side, side]) })
    },
    build,
    infer,
};

fn build(net: &Net, x: &Value, settings: &Settings) -> Result<Value> {
    let (image, patch) = (settings.count("image")?, settings.count("patch")?);
    let [channels, height, across] = image_size(x, settings)?;
    if [height, across] != [image; 2] {
        return Err(ArchitectureError::Input {
            architecture: settings.architecture.into(),
            expected: format!("images of {image} x {image} pixels (give image= otherwise)"),
            found: vec![channels, height, across],
        });
    }
    if image % patch != 0 {
        let problem = format!("an image of {image} pixels does not divide into patches of {patch}");
        return Err(settings.inconsistent(problem));
    }
    let (default_width, default_depth) = match settings.word("size")? {
        "tiny" => (192, 12),
        "small" => (384, 12),
        _ => (768, 12),
    };
    let width = settings.optional_count("width")?.unwrap_or(default_width);
    let depth = settings.optional_count("depth")?.unwrap_or(default_depth);
    let hidden = width * settings.count("mlp_ratio")?;
    let heads = heads(net, settings, width)?;

    let (n, patches) = (x.dim(0)?, (image / patch) * (image / patch));
    let x = net.pp("patch_embed").pp("proj").conv2d(x, width, [patch; 2], strided(patch, 0), true)?;
    let x = x.reshape(&[n, width, patches])?.transpose(1, 2)?;
    let token = net.parameter_from("cls_token", &[1, 1, width], Initial::Normal(1e-6))?;
    let token = token.add(&zeros(net, &[n, 1, width])?)?;
    let positions = net.parameter_from("pos_embed", &[1, patches + 1, width], Initial::Normal(0.02))?;
    let mut x = Value::cat(&[&token, &x], 1)?.add(&positions)?;
    for i in 0..depth {
        let net = net.pp("blocks").pp(i);
        let y = net.pp("norm1").layer_norm(&x, 1, EPSILON, true, true)?;
        let joined = net.pp("attn").pp("qkv").linear(&y, 3 * width, true)?;
        let y = net.pp("attn").in_layer(self_attention(&joined, heads, None))?;
        x = x.add(&net.pp("attn").pp("proj").linear(&y, width, true)?)?;
        let y = net.pp("norm2").layer_norm(&x, 1, EPSILON, true, true)?;
        let y = net.pp("mlp").pp("fc1").linear(&y, hidden, true)?.gelu_erf()?;
        x = x.add(&net.pp("mlp").pp("fc2").linear(&y, width, true)?)?;
    }
    let x = net.pp("norm").layer_norm(&x, 1, EPSILON, true, true)?;
    let token = x.narrow(1, 0, 1)?.squeeze(1)?;
    net.pp("head").linear(&token, settings.count("classes")?, true)
}

/// Zeros by which a value is repeated when they are added.
fn zeros(net: &Net, shape: &[usize]) -> relief_autodiff::Result<Value> {
    let device = candle_core::Device::Cpu;
    net.graph().constant(&candle_core::Tensor::zeros(shape, candle_core::DType::F64, &device)?)
}

fn infer(shapes: &Shapes, settings: &mut Settings) -> Option<Vec<usize>> {
    let &[width, inputs, patch, _] = shapes.get("patch_embed.proj.weight")?.as_slice() else { return None };
    let tokens = dim(shapes, "pos_embed", 1)?;
    let image = tokens.checked_sub(1)?.isqrt() * patch;
    let hidden = dim(shapes, "blocks.0.mlp.fc1.weight", 0)?;
    let depth = Some(repeats(shapes, "blocks.")).filter(|depth| *depth > 0)?;
    // The default size says width and depth too: no need to spell out what it already means.
    if (width, depth) != (192, 12) || settings.is_given("size") {
        settings.propose_count("width", Some(width));
        settings.propose_count("depth", Some(depth));
    }
    settings.propose_count("patch", Some(patch));
    settings.propose_count("image", Some(image));
    settings.propose_count("mlp_ratio", Some(hidden / width).filter(|ratio| *ratio > 0));
    settings.propose_count("classes", Some(dim(shapes, "head.weight", 0)?));
    Some(vec![inputs, image, image])
}
