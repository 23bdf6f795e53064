//! Files of named arrays, read through candle: NPZ and safetensors.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor, npy::NpzTensors, safetensors::BufferedSafetensors};
use zip::ZipArchive;

use super::{error::DataError, files::unreadable};

/// An open file of named arrays.
pub(super) struct ArrayFile {
    path: PathBuf,
    format: Format,
}

enum Format {
    Npz(NpzTensors),
    Safetensors(BufferedSafetensors),
}

impl ArrayFile {
    /// Open an NPZ file, as `numpy.savez` and `numpy.savez_compressed` write it.
    pub(super) fn npz(path: &Path) -> Result<Self, DataError> {
        File::open(path).map_err(unreadable(path))?;
        let format = NpzTensors::new(path).map(Format::Npz);
        Self::opened(path, format, "NPZ")
    }

    /// Read a safetensors file.
    pub(super) fn safetensors(path: &Path) -> Result<Self, DataError> {
        let content = fs::read(path).map_err(unreadable(path))?;
        let format = BufferedSafetensors::new(content).map(Format::Safetensors);
        Self::opened(path, format, "safetensors")
    }

    fn opened(path: &Path, format: candle_core::Result<Format>, name: &str) -> Result<Self, DataError> {
        let path = path.to_path_buf();
        match format {
            Ok(format) => Ok(Self { path, format }),
            Err(cause) => {
                let reason = format!("it is no complete {name} file ({cause}), save or fetch it again");
                Err(DataError::Malformed { path, reason })
            }
        }
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The arrays' names, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match &self.format {
            Format::Npz(file) => file.names().into_iter().cloned().collect(),
            Format::Safetensors(file) => file.tensors().into_iter().map(|(name, _)| name).collect(),
        };
        names.sort();
        names
    }

    /// One array.
    pub(super) fn read(&self, name: &str) -> Result<Tensor, DataError> {
        let tensor = match &self.format {
            Format::Npz(file) => self.read_npz(file, name),
            Format::Safetensors(file) => file.load(name, &Device::Cpu).map_err(|cause| cause.to_string()),
        };
        tensor.map_err(|cause| DataError::Malformed {
            path: self.path.clone(),
            reason: format!(
                "array `{name}` cannot be read ({cause}): expected row-major numbers of the types u8, u32, i16, i32, \
                 i64, f16, f32 or f64, complete; save it anew"
            ),
        })
    }

    /// candle believes an array's header and stops reading before the archive's checksum, so both are checked first.
    fn read_npz(&self, file: &NpzTensors, name: &str) -> Result<Tensor, String> {
        let bytes = self.unpacked_size(name).map_err(|cause| cause.to_string())?;
        let (shape, dtype) = file.get_shape_and_dtype(name).map_err(|cause| cause.to_string())?;
        let claimed =
            shape.dims().iter().try_fold(dtype.size_in_bytes(), |bytes, &size| bytes.checked_mul(size));
        if claimed.is_none_or(|claimed| claimed as u64 > bytes) {
            return Err(format!(
                "its header says {dtype:?} of shape {:?}, but it has {bytes} bytes",
                shape.dims()
            ));
        }
        let tensor = file.get(name).map_err(|cause| cause.to_string())?;
        tensor.ok_or_else(|| "it is not in the file".to_owned())
    }

    /// Size of an array of an NPZ file with its header; an error where its checksum is wrong.
    fn unpacked_size(&self, name: &str) -> io::Result<u64> {
        let mut archive = ZipArchive::new(BufReader::new(File::open(&self.path)?))?;
        let mut entry = archive.by_name(&format!("{name}.npy"))?;
        io::copy(&mut entry, &mut io::sink())
    }
}

/// Type and shape in words, for messages.
pub(super) fn describe(array: &Tensor) -> String {
    format!("{} of shape {:?}", array.dtype().as_str(), array.dims())
}

/// Whether an array holds real numbers.
pub(super) fn is_real(array: &Tensor) -> bool {
    array.dtype().is_float()
}

/// Whether an array holds pixels: unsigned bytes.
pub(super) fn is_pixels(array: &Tensor) -> bool {
    array.dtype() == DType::U8
}
