//! The XML of VTK's files: numbers inline in base64, so that every bit and every NaN arrives.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Sampled;

/// A file of a type of data, whose contents stand inside the element of the same name.
pub(super) fn file(kind: &str, attributes: &str, contents: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<VTKFile type=\"{kind}\" version=\"1.0\" byte_order=\"LittleEndian\" \
         header_type=\"UInt64\">\n<{kind}{attributes}>\n{contents}</{kind}>\n</VTKFile>\n"
    )
}

/// Lists of numbers or texts in an element such as `PointData`.
pub(super) fn element(name: &str, attributes: &str, arrays: &[String]) -> String {
    format!("<{name}{attributes}>\n{}</{name}>\n", arrays.concat())
}

/// Real numbers, so many for each point.
pub(super) fn reals(name: &str, components: usize, values: impl IntoIterator<Item = f64>) -> String {
    let bytes: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
    array("DataArray", "Float64", name, &format!("NumberOfComponents=\"{components}\""), &bytes)
}

/// Integers, one for each.
pub(super) fn integers(name: &str, values: &[usize]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|v| (*v as i64).to_le_bytes()).collect();
    array("DataArray", "Int64", name, "NumberOfComponents=\"1\"", &bytes)
}

/// A text, which ends in a zero.
pub(super) fn text(name: &str, text: &str) -> String {
    array("Array", "String", name, "NumberOfTuples=\"1\"", &[text.as_bytes(), b"\0"].concat())
}

/// All measures at some of the points, and the decimal logarithm of the loss where it is positive.
pub(super) fn point_data(sampled: &Sampled, places: &[usize], more: &[String]) -> String {
    let log = |v: f64| if v > 0.0 { v.log10() } else { f64::NAN };
    let mut arrays: Vec<String> = sampled
        .measures
        .iter()
        .map(|(name, values)| reals(name, 1, places.iter().map(|i| values[*i])))
        .collect();
    arrays.push(reals("log10_loss", 1, places.iter().map(|i| log(sampled.loss()[*i]))));
    arrays.extend_from_slice(more);
    let normals = if more.is_empty() { "" } else { " Normals=\"Normals\"" };
    element("PointData", &format!(" Scalars=\"loss\"{normals}"), &arrays)
}

/// The number of bytes, then the bytes, both in one run of base64.
fn array(element: &str, kind: &str, name: &str, count: &str, bytes: &[u8]) -> String {
    let whole = [&(bytes.len() as u64).to_le_bytes(), bytes].concat();
    format!(
        "<{element} type=\"{kind}\" Name=\"{name}\" {count} format=\"binary\">{}</{element}>\n",
        STANDARD.encode(whole)
    )
}
