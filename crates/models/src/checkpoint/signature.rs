//! What a file is, told from its first bytes.

/// The longest header that safetensors allows, in bytes.
const LONGEST_HEADER: u64 = 100_000_000;

/// What the first bytes say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signature {
    Safetensors,
    Zip,
    Pickle,
    /// Fewer bytes than any header has, and none that say more.
    TooShort,
    /// Something else, in words.
    Other(String),
}

/// Files that people take for checkpoints, by their first bytes.
const FAMILIAR: [(&[u8], &str); 11] = [
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras?), whose weights have to be converted"),
    (b"\x1f\x8b", "a gzip file, which has to be unpacked first"),
    (b"\xfd7zXZ\0", "an xz file, which has to be unpacked first"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file, which has to be unpacked first"),
    (b"BZh", "a bzip2 file, which has to be unpacked first"),
    (b"\x93NUMPY", "a NumPy array (`.npy`) without a name"),
    (b"GGUF", "a GGUF file of quantised weights"),
    (b"version https://git-lfs", "a Git LFS pointer in place of the file; run `git lfs pull`"),
    (b"\x89PNG", "a PNG picture"),
    (b"%PDF", "a PDF document"),
    (b"<", "text that looks like a web page; the download was probably refused"),
];

/// Tells what a non-empty file is.
pub(super) fn identify(bytes: &[u8]) -> Signature {
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Signature::Zip;
    }
    // PROTO, then the protocol's number.
    if let [0x80, 2..=5, ..] = bytes {
        return Signature::Pickle;
    }
    if let Some((length, [b'{', ..])) = bytes.split_first_chunk::<8>()
        && u64::from_le_bytes(*length) <= LONGEST_HEADER
    {
        return Signature::Safetensors;
    }
    if let Some((_, found)) = FAMILIAR.iter().find(|(first, _)| bytes.starts_with(first)) {
        return Signature::Other((*found).to_string());
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Signature::Other("a tar archive, which has to be unpacked first".into());
    }
    // A protobuf of ONNX: field 1 (version of the format, a small number), then the producer's name or the graph.
    if let [0x08, 1..=20, 0x12 | 0x3a, ..] = bytes {
        return Signature::Other("an ONNX model, whose weights have to be exported from the original".into());
    }
    let beginning = &bytes[..bytes.len().min(64)];
    if beginning.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e)) {
        let shown: String = beginning.iter().take(24).map(|byte| char::from(*byte)).collect();
        return Signature::Other(format!("text that begins with {shown:?}"));
    }
    if bytes.len() < 9 {
        return Signature::TooShort;
    }
    let shown: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Signature::Other(format!("unknown contents that begin with the bytes {}", shown.join(" ")))
}
