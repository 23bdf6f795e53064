//! A text as examples of next-character prediction.
//!
//! Token ids are the positions of the characters in the sorted set of all characters of the file, as in nanoGPT. The
//! first nine tenths of the characters are `train`, the rest `test`. A split is cut into contiguous blocks of
//! `context + 1` characters that do not overlap: the first `context` are the input, the last `context` the targets; what
//! is left at the end is not used.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    error::DataError,
    files,
    options::{DataOptions, Split},
    raw::{Inputs, Raw, RawTargets},
};

/// Inputs and targets `[N, context]`.
pub(super) fn load(path: &Path, source: &str, options: &DataOptions) -> Result<Raw, DataError> {
    let content = String::from_utf8(files::read(path)?).map_err(|error| DataError::Malformed {
        path: path.to_path_buf(),
        reason: format!(
            "it is not UTF-8 text from byte {} on: save it as UTF-8",
            error.utf8_error().valid_up_to()
        ),
    })?;
    let context = options.context.unwrap_or(DataOptions::DEFAULT_CONTEXT);
    if context == 0 {
        return Err(DataError::OptionUnsuitable {
            option: "a context of 0",
            origin: source.to_owned(),
            reason: "an example needs at least 1 token".to_owned(),
        });
    }
    let alphabet: BTreeSet<char> = content.chars().collect();
    let ids: BTreeMap<char, u32> = alphabet.iter().copied().zip(0..).collect();
    let tokens: Vec<u32> = content.chars().map(|character| ids[&character]).collect();
    let boundary = tokens.len() * 9 / 10;
    let tokens = match options.split {
        Split::Train => &tokens[..boundary],
        Split::Test => &tokens[boundary..],
    };
    let block = context.saturating_add(1);
    if tokens.len() < block {
        return Err(DataError::TextTooShort {
            origin: source.to_owned(),
            split: options.split,
            characters: tokens.len(),
            block,
        });
    }
    let count = options.count(&format!("the {} split of {source}", options.split), tokens.len() / block)?;
    let blocks = || tokens.chunks_exact(block).take(count);
    let inputs = Inputs::Tokens(blocks().flat_map(|block| &block[..context]).copied().collect());
    let targets = RawTargets::Tokens(blocks().flat_map(|block| &block[1..]).copied().collect());
    Ok(Raw {
        classes: Some(alphabet.len()),
        class_names: alphabet.into_iter().map(String::from).collect(),
        cut_to_context: true,
        ..Raw::new(source, vec![path.to_path_buf()], (vec![count, context], inputs), targets)
    })
}
