//! What the transformers share.

use relief_autodiff::Value;

use super::error::Result;
use super::net::Net;
use super::settings::{Argument, Kind, Settings};

/// The argument `heads`.
pub(super) const HEADS: Argument = Argument {
    name: "heads",
    kind: Kind::Count(1),
    default: "",
    description: "attention heads; width / 64 where not given, because no checkpoint tells",
};

/// The number of heads: given, or one for every 64 entries of the width, which is said in a note.
pub(super) fn heads(net: &Net, settings: &Settings, width: usize) -> Result<usize> {
    let given = settings.optional_count("heads")?;
    let heads = given.unwrap_or(width / 64);
    if heads == 0 || !width.is_multiple_of(heads) {
        let problem = match given {
            Some(heads) => {
                format!("a width of {width} does not divide into {heads} heads: give another heads=")
            }
            None => format!(
                "a width of {width} is no multiple of 64, so the number of heads is unknown: give heads="
            ),
        };
        return Err(settings.inconsistent(problem));
    }
    if given.is_none() {
        net.note(format!(
            "the number of attention heads cannot be read off a checkpoint: {heads} (width / 64) assumed (give heads= otherwise)"
        ));
    }
    Ok(heads)
}

/// Attention among the tokens of x [n, t, width], given their joined queries, keys and values [n, t, 3 width].
pub(super) fn self_attention(
    joined: &Value,
    heads: usize,
    mask: Option<&Value>,
) -> relief_autodiff::Result<Value> {
    let (n, t, width) = (joined.dim(0)?, joined.dim(1)?, joined.dim(2)? / 3);
    let split = joined.reshape(&[n, t, 3, heads, width / heads])?.permute(&[2, 0, 3, 1, 4])?;
    let part = |i: usize| split.narrow(0, i, 1)?.squeeze(0);
    part(0)?.attention(&part(1)?, &part(2)?, mask, None)?.transpose(1, 2)?.reshape(&[n, t, width])
}
