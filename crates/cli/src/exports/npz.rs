//! NumPy archives: a zip of arrays in the `.npy` format.
//!
//! Beside the numbers, `metadata` is the result's JSON without them, as bytes:
//! `json.loads(file["metadata"].tobytes())`.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::Sampled;
use crate::eigenvalue_figures::{Pair, Spectrum};
use crate::exit::Failure;
use crate::saved::{Results, Saved};
use crate::spectrum_figures::Distribution;

/// An array in row-major order.
struct Array {
    name: String,
    shape: Vec<usize>,
    /// NumPy's name of the type, such as `<f8`.
    kind: &'static str,
    bytes: Vec<u8>,
}

impl Array {
    fn reals(name: impl Into<String>, shape: Vec<usize>, values: &[f64]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name: name.into(), shape, kind: "<f8", bytes }
    }

    /// One file of the archive: magic string, version 1.0, length of the header, header, numbers. Spaces fill the header
    /// up, so that the numbers begin at a multiple of 64.
    fn npy(&self) -> Vec<u8> {
        let shape: String = self.shape.iter().map(|n| format!("{n}, ")).collect();
        let header = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
            self.kind,
            shape.trim_end()
        );
        let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((length as u16).to_le_bytes());
        out.extend(format!("{header:width$}\n", width = length - 1).bytes());
        out.extend(&self.bytes);
        out
    }
}

/// All arrays of the results: under their own names, or, where there are several results, as `checkpoint/name`.
pub(super) fn archive(results: &Results) -> Result<Vec<u8>, Failure> {
    let Results { spectra, densities, surfaces, lines, connections } = results;
    let mut entries: Vec<(String, Vec<Array>)> = vec![];
    entries.extend(spectra.iter().map(|saved| entry(saved, spectrum(&saved.result))));
    entries.extend(densities.iter().map(|saved| entry(saved, density(&saved.result))));
    entries.extend(lines.iter().map(|saved| entry(saved, sampled(&saved.result.sampled()))));
    entries.extend(connections.iter().map(|saved| entry(saved, sampled(&saved.result.sampled()))));
    entries.extend(surfaces.iter().map(|saved| entry(saved, sampled(&saved.result.sampled()))));
    let mut arrays = vec![];
    for (i, prefix) in prefixes(entries.iter().map(|(name, _)| name.as_str())).into_iter().enumerate() {
        for array in std::mem::take(&mut entries[i].1) {
            arrays.push(Array { name: format!("{prefix}{}", array.name), ..array });
        }
    }
    zipped(&arrays).map_err(|e| Failure::Numbers(format!("the archive cannot be made: {e}")))
}

/// An archive of one result's numbers, with its JSON as metadata.
pub(super) fn numbers(numbers: &Sampled, document: &str) -> Result<Vec<u8>, Failure> {
    let mut arrays = sampled(numbers);
    let bytes = document.as_bytes().to_vec();
    arrays.push(Array { name: "metadata".into(), shape: vec![bytes.len()], kind: "|u1", bytes });
    zipped(&arrays).map_err(|e| Failure::Numbers(format!("the archive cannot be made: {e}")))
}

/// What stands before the names of each result's arrays: nothing where it is the only one.
fn prefixes<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    let names: Vec<&str> = names.collect();
    if names.len() > 1 {
        for name in &names {
            // Checkpoints in several folders may have one name.
            let numbered = (2..).map(|i| format!("{name}-{i}"));
            let free = std::iter::once((*name).to_string())
                .chain(numbered)
                .map(|name| name + "/")
                .find(|prefix| !out.contains(prefix));
            out.extend(free);
        }
        return out;
    }
    vec![String::new(); names.len()]
}

/// A checkpoint's name and its arrays, metadata among them.
fn entry<R>(saved: &Saved<R>, mut arrays: Vec<Array>) -> (String, Vec<Array>) {
    let bytes = saved.document.to_string().into_bytes();
    arrays.push(Array { name: "metadata".into(), shape: vec![bytes.len()], kind: "|u1", bytes });
    (saved.name(), arrays)
}

/// Coordinates, and measures with the last coordinate first: `loss[j, i]` belongs to `x[i]`, `y[j]`.
fn sampled(sampled: &Sampled) -> Vec<Array> {
    let shape: Vec<usize> = sampled.axes.iter().rev().map(|(_, nodes)| nodes.len()).collect();
    let axes = sampled.axes.iter().map(|(name, nodes)| Array::reals(*name, vec![nodes.len()], nodes));
    let measures = sampled.measures.iter().map(|(name, values)| Array::reals(*name, shape.clone(), values));
    axes.chain(measures).collect()
}

/// The eigenvalues asked for and what is known of each; those of the other end of the spectrum as `smallest_...`.
fn spectrum(spectrum: &Spectrum) -> Vec<Array> {
    let [first, second] = spectrum.ends();
    let other = second.1;
    let mut arrays = pairs("", first.1);
    if !other.is_empty() {
        arrays.extend(pairs("smallest_", other));
    }
    arrays
}

/// What each random vector saw, one after another (`probe` has its number), the cumulative share and the density.
fn density(density: &Distribution) -> Vec<Array> {
    let list = |name: &str, values: &[f64]| Array::reals(name, vec![values.len()], values);
    let ritz = density.ritz();
    let cumulative = density.cumulative();
    let curve = density.sampled();
    let mut arrays: Vec<Array> = ritz.iter().map(|(name, values)| list(name, values)).collect();
    arrays.extend(cumulative.iter().map(|(name, values)| list(&format!("cumulative_{name}"), values)));
    arrays.extend(curve.axes.iter().chain(&curve.measures).map(|(name, values)| list(name, values)));
    arrays
}

fn pairs(prefix: &str, pairs: &[Pair]) -> Vec<Array> {
    let reals = |name: &str, of: fn(&Pair) -> f64| {
        let values: Vec<f64> = pairs.iter().map(of).collect();
        Array::reals(format!("{prefix}{name}"), vec![values.len()], &values)
    };
    vec![
        reals("eigenvalues", |p| p.value),
        reals("residuals", |p| p.residual.unwrap_or(f64::NAN)),
        reals("error_bounds", |p| p.error_bound),
        reals("angle_bounds", |p| p.angle_bound.unwrap_or(f64::NAN)),
        Array {
            name: format!("{prefix}converged"),
            shape: vec![pairs.len()],
            kind: "|b1",
            bytes: pairs.iter().map(|p| u8::from(p.converged)).collect(),
        },
    ]
}

fn zipped(arrays: &[Array]) -> zip::result::ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for array in arrays {
        archive.start_file(format!("{}.npy", array.name), options)?;
        archive.write_all(&array.npy())?;
    }
    Ok(archive.finish()?.into_inner())
}
