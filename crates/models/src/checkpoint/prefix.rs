//! Names as the bare model has them, without what a wrapper put before each.

use std::collections::BTreeMap;

/// What `DataParallel` / `DistributedDataParallel` and `torch.compile` put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// Takes the wrappers' prefixes off, repeatedly, as long as every name carries the same one. Returns what was taken
/// off, if anything.
pub(super) fn strip<T>(mut named: BTreeMap<String, T>) -> (Option<String>, BTreeMap<String, T>) {
    let mut stripped = String::new();
    while let Some(prefix) = WRAPPERS
        .into_iter()
        .find(|prefix| !named.is_empty() && named.keys().all(|name| has_prefix(name, prefix)))
    {
        stripped.push_str(prefix);
        named = named.into_iter().map(|(name, value)| (name[prefix.len()..].to_string(), value)).collect();
    }
    ((!stripped.is_empty()).then_some(stripped), named)
}

/// Whether something is left of the name after the prefix.
fn has_prefix(name: &str, prefix: &str) -> bool {
    name.len() > prefix.len() && name.starts_with(prefix)
}
