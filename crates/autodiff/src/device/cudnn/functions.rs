//! The functions of cuDNN that convolutions need, as declared in its headers since version 8.

use std::ffi::{c_int, c_void};

use super::super::library::functions;

/// Handles and descriptors.
pub(crate) type Opaque = *mut c_void;
type Numbers = *const c_void;
type Memory = *const c_void;

/// `cudnnConvolution*AlgoPerfStruct`; the three have the same fields.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Candidate {
    pub(super) algorithm: c_int,
    pub(super) status: c_int,
    pub(super) time: f32,
    pub(super) memory: usize,
    /// `CUDNN_DETERMINISTIC` is 1.
    pub(super) determinism: c_int,
    pub(super) mathematics: c_int,
    reserved: [c_int; 3],
}

functions! {
    /// See cuDNN's reference for each.
    Functions {
        create = "cudnnCreate" (*mut Opaque),
        set_stream = "cudnnSetStream" (Opaque, Opaque),
        create_tensor = "cudnnCreateTensorDescriptor" (*mut Opaque),
        set_tensor = "cudnnSetTensor4dDescriptor" (Opaque, c_int, c_int, c_int, c_int, c_int, c_int),
        create_filter = "cudnnCreateFilterDescriptor" (*mut Opaque),
        set_filter = "cudnnSetFilter4dDescriptor" (Opaque, c_int, c_int, c_int, c_int, c_int, c_int),
        create_convolution = "cudnnCreateConvolutionDescriptor" (*mut Opaque),
        set_convolution = "cudnnSetConvolution2dDescriptor"
            (Opaque, c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int),
        set_groups = "cudnnSetConvolutionGroupCount" (Opaque, c_int),
        set_mathematics = "cudnnSetConvolutionMathType" (Opaque, c_int),
        forward_candidates = "cudnnGetConvolutionForwardAlgorithm_v7"
            (Opaque, Opaque, Opaque, Opaque, Opaque, c_int, *mut c_int, *mut Candidate),
        input_candidates = "cudnnGetConvolutionBackwardDataAlgorithm_v7"
            (Opaque, Opaque, Opaque, Opaque, Opaque, c_int, *mut c_int, *mut Candidate),
        weight_candidates = "cudnnGetConvolutionBackwardFilterAlgorithm_v7"
            (Opaque, Opaque, Opaque, Opaque, Opaque, c_int, *mut c_int, *mut Candidate),
        forward = "cudnnConvolutionForward"
            (Opaque, Numbers, Opaque, Memory, Opaque, Memory, Opaque, c_int, Opaque, usize, Numbers, Opaque, Opaque),
        input_adjoint = "cudnnConvolutionBackwardData"
            (Opaque, Numbers, Opaque, Memory, Opaque, Memory, Opaque, c_int, Opaque, usize, Numbers, Opaque, Opaque),
        weight_adjoint = "cudnnConvolutionBackwardFilter"
            (Opaque, Numbers, Opaque, Memory, Opaque, Memory, Opaque, c_int, Opaque, usize, Numbers, Opaque, Opaque),
    }
}

/// cuDNN 9 or 8, loaded once.
#[cfg(feature = "cudnn")]
pub(crate) fn loaded() -> Result<&'static Functions, String> {
    use std::sync::OnceLock;

    static LOADED: OnceLock<Result<Functions, String>> = OnceLock::new();
    let files =
        if cfg!(windows) { ["cudnn64_9.dll", "cudnn64_8.dll"] } else { ["libcudnn.so.9", "libcudnn.so.8"] };
    let loaded = LOADED.get_or_init(|| {
        super::super::library::open("cuDNN", &files, |lookup| {
            // SAFETY: as `find` asks: these are cuDNN's, and stay.
            unsafe { Functions::find(lookup) }
        })
    });
    loaded.as_ref().map_err(Clone::clone)
}
