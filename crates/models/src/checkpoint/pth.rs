//! PyTorch's zip format: a pickle that says where in the archive each tensor's numbers lie.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

use candle_core::pickle::{Object, Stack, TensorInfo};
use candle_core::{Device, Tensor};
use zip::ZipArchive;

use super::error::{CheckpointError, first_line};
use super::{Named, Result};

/// Keys under which training scripts put the state dictionary.
const STATE: [&str; 7] = ["state_dict", "model_state_dict", "model", "net", "params", "weights", "ema"];

/// All tensors of an archive's state dictionary.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Named> {
    let damaged = |reason: String| CheckpointError::Damaged { name: name.to_string(), reason };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(first_line(&e)))?;
    let mut files = vec![];
    for i in 0..archive.len() {
        let file = archive.by_index_raw(i).map_err(|e| damaged(first_line(&e)))?;
        files.push(String::from_utf8_lossy(file.name_raw()).into_owned());
    }
    if files.iter().any(|f| f.ends_with("/constants.pkl")) {
        return Err(CheckpointError::TorchScript { name: name.to_string() });
    }
    let Some(pickle) = files.iter().find(|f| f.ends_with("data.pkl")) else {
        let found = "a zip archive that PyTorch did not write".to_string();
        return Err(CheckpointError::NotACheckpoint { name: name.to_string(), found });
    };
    let root = pickle.trim_end_matches(".pkl").to_string();
    let byte_order = files.iter().find(|f| f.ends_with("/byteorder")).cloned();
    if let Some(file) = byte_order
        && content(&mut archive, &file).map_err(damaged)? != b"little"
    {
        return Err(damaged("its numbers are big-endian, which is not read".into()));
    }
    let text = content(&mut archive, pickle).map_err(damaged)?;
    let mut stack = Stack::empty();
    let object = stack
        .read_loop(&mut Cursor::new(text))
        .and_then(|()| stack.finalize())
        .map_err(|e| damaged(format!("its pickle does not parse: {}", first_line(&e))))?;
    let mut storages = BTreeMap::new();
    let mut tensors = Named::new();
    for (key, value) in state_dictionary(object) {
        let info = value.into_tensor_info(key, Path::new(&root)).map_err(|e| damaged(first_line(&e)))?;
        let Some(info) = info else { continue };
        if !storages.contains_key(&info.path) {
            storages.insert(info.path.clone(), content(&mut archive, &info.path).map_err(damaged)?);
        }
        let tensor = gather(&info, &storages[&info.path]).map_err(damaged)?;
        tensors.insert(info.name, tensor);
    }
    Ok(tensors)
}

fn content(archive: &mut ZipArchive<Cursor<&[u8]>>, file: &str) -> Result<Vec<u8>, String> {
    let mut out = vec![];
    let mut reader = archive.by_name(file).map_err(|e| format!("`{file}`: {}", first_line(&e)))?;
    reader.read_to_end(&mut out).map_err(|e| format!("`{file}`: {}", first_line(&e)))?;
    Ok(out)
}

/// The dictionary that holds tensors: the object itself, or what lies under one of the usual keys.
fn state_dictionary(object: Object) -> Vec<(Object, Object)> {
    let object = match object {
        // `state_dict()` attaches version numbers to the dictionary.
        Object::Build { callable, .. } => *callable,
        other => other,
    };
    let Object::Dict(entries) = object else { return vec![] };
    if entries.iter().any(|(_, value)| matches!(value, Object::Reduce { .. })) {
        return entries;
    }
    for key in STATE {
        if let Some(position) = entries.iter().position(|(k, _)| matches!(k, Object::Unicode(k) if k == key)) {
            let found = state_dictionary(entries[position].1.clone());
            if !found.is_empty() {
                return found;
            }
        }
    }
    vec![]
}

/// The entries of a tensor, whatever its strides, from the bytes of its storage.
fn gather(info: &TensorInfo, storage: &[u8]) -> Result<Tensor, String> {
    let (dims, strides) = (info.layout.dims(), info.layout.stride());
    let size = info.dtype.size_in_bytes();
    let count: usize = dims.iter().product();
    let outside = || format!("`{}` reaches beyond its {} stored bytes", info.name, storage.len());
    let mut bytes = Vec::with_capacity(count.checked_mul(size).filter(|&n| n <= storage.len() * 64).ok_or_else(outside)?);
    let mut index = vec![0; dims.len()];
    for _ in 0..count {
        // The pickle's offset is in bytes already, its strides are in entries.
        let place: usize = index.iter().zip(strides).map(|(i, s)| i * s).sum();
        let start = info.layout.start_offset() + place * size;
        bytes.extend_from_slice(storage.get(start..start + size).ok_or_else(outside)?);
        for (i, &n) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    Tensor::from_raw_buffer(&bytes, info.dtype, dims, &Device::Cpu).map_err(|e| first_line(&e))
}
