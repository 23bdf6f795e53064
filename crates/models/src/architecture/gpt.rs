//! GPT-2-like language models (Radford et al. 2019), as in nanoGPT.

use relief_autodiff::Value;

use super::builtin::Builtin;
use super::error::{ArchitectureError, Result};
use super::initial::Initial;
use super::input::InputKind;
use super::layers::EPSILON;
use super::net::Net;
use super::settings::{Argument, Kind, Setting, Settings};
use super::shapes::{Shapes, dim, repeats};
use super::transformer::{HEADS, heads, self_attention};

/// Name of the token table, which is also the output layer.
const TABLE: &str = "transformer.wte.weight";
/// Name under which nanoGPT saves the token table a second time.
const TIED: &str = "lm_head.weight";

pub(super) const GPT: Builtin = Builtin {
    name: "gpt",
    description: "decoder-only language model with learned positions and tied embeddings; the defaults are GPT-2 small",
    names: "nanoGPT (transformer.wte, transformer.h.0.attn.c_attn, transformer.h.0.mlp.c_fc, transformer.ln_f; lm_head tied to wte)",
    arguments: &[
        Argument {
            name: "vocabulary",
            kind: Kind::Count(1),
            default: "50257",
            description: "number of tokens",
        },
        Argument {
            name: "context",
            kind: Kind::Count(1),
            default: "1024",
            description: "largest number of positions",
        },
        Argument { name: "depth", kind: Kind::Count(1), default: "12", description: "number of blocks" },
        Argument { name: "width", kind: Kind::Count(1), default: "768", description: "entries of a token" },
        HEADS,
        Argument {
            name: "bias",
            kind: Kind::Flag,
            default: "true",
            description: "whether linear layers and layer norms have biases",
        },
    ],
    input: |settings| {
        Ok(InputKind::Tokens {
            vocabulary: settings.count("vocabulary")?,
            context: settings.count("context")?,
        })
    },
    build,
    infer,
};

fn build(net: &Net, ids: &Value, settings: &Settings) -> Result<Value> {
    let (vocabulary, context) = (settings.count("vocabulary")?, settings.count("context")?);
    let length = match ids.dims() {
        &[_, length] if (1..=context).contains(&length) => length,
        dims => {
            return Err(ArchitectureError::Input {
                architecture: settings.architecture.into(),
                expected: format!("sequences [positions] of 1 to {context} tokens"),
                found: dims.iter().skip(1).copied().collect(),
            });
        }
    };
    let (depth, width, bias) = (settings.count("depth")?, settings.count("width")?, settings.flag("bias")?);
    let heads = heads(net, settings, width)?;
    let body = net.pp("transformer");
    let table = body.pp("wte").parameter_from("weight", &[vocabulary, width], Initial::Normal(0.02))?;
    let positions = body.pp("wpe").parameter_from("weight", &[context, width], Initial::Normal(0.02))?;
    let mut x = table.embedding(ids)?.add(&positions.narrow(0, 0, length)?)?;
    let mask = x.causal_mask(length)?;
    for i in 0..depth {
        let net = body.pp("h").pp(i);
        let (attention, mlp) = (net.pp("attn"), net.pp("mlp"));
        let y = net.pp("ln_1").layer_norm(&x, 1, EPSILON, true, bias)?;
        let joined = attention.pp("c_attn").linear(&y, 3 * width, bias)?;
        let y = attention.in_layer(self_attention(&joined, heads, Some(&mask)))?;
        x = x.add(&attention.pp("c_proj").linear(&y, width, bias)?)?;
        let y = net.pp("ln_2").layer_norm(&x, 1, EPSILON, true, bias)?;
        let y = mlp.pp("c_fc").linear(&y, 4 * width, bias)?.gelu_erf()?;
        x = x.add(&mlp.pp("c_proj").linear(&y, width, bias)?)?;
    }
    let x = body.pp("ln_f").layer_norm(&x, 1, EPSILON, true, bias)?;
    Ok(x.linear(&table, None)?)
}

/// The tensor that a checkpoint may hold a second time under `name`.
pub(super) fn tied(name: &str) -> Option<&'static str> {
    (name == TIED).then_some(TABLE)
}

/// Causal masks, which older versions saved with every block.
pub(super) fn is_mask(name: &str) -> bool {
    name.starts_with("transformer.h.") && name.ends_with(".attn.bias")
}

fn infer(shapes: &Shapes, settings: &mut Settings) -> Option<Vec<usize>> {
    let &[vocabulary, width] = shapes.get(TABLE)?.as_slice() else { return None };
    let depth = Some(repeats(shapes, "transformer.h.")).filter(|depth| *depth > 0)?;
    let context = dim(shapes, "transformer.wpe.weight", 0)?;
    settings.propose_count("vocabulary", Some(vocabulary));
    settings.propose_count("context", Some(context));
    settings.propose_count("depth", Some(depth));
    settings.propose_count("width", Some(width));
    settings.propose("bias", Setting::Flag(shapes.contains_key("transformer.ln_f.bias")));
    Some(vec![context])
}
